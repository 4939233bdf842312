//! The route table: all routes compiled, immutable, versioned, swapped whole; and the match of a batch against it.
//!
//! Routing is IoT Hub's (sheet `iothub-and-twins.md` 1.5): every enabled route of the event's source is tried, a route fires on
//! True only, an endpoint gets one copy however many of its routes match, the order of routes means nothing, and what matched
//! nothing goes to the fallback.
//!
//! How it is fast: each part of an event that some route wants becomes a **column** once per batch (`columns`, `gather`). Each
//! filter is split into alternatives with an **access path** (`access`), and the paths of all routes share indexes
//! (`index`), so that a batch costs what it matches and not what there is. What no index serves is scanned, under a cap. What it
//! means is written in [`naive`], which tries one filter after the other by the interpreter and stays as the oracle.

mod access;
mod check;
mod columns;
mod describe;
mod facts;
mod gather;
mod hits;
mod index;
mod layer;
mod matcher;
mod vector;
pub mod naive;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use describe::{Path, paths};
pub use matcher::Matcher;

pub use crate::event::Source;
use crate::filter::Filter;
use crate::lane::Enrichment;
use crate::limits;
use columns::ColumnSet;
use layer::Layer;

/// Routes of the small layer: a change builds it anew, so this bounds what a change costs.
const RECENT_MAX: usize = 256;
/// Layers from which on a table should be built anew: every batch visits each of them.
const LAYERS_MAX: usize = 8;

/// Number of an endpoint, given by the node and kept as long as it runs.
pub type EndpointId = u16;

/// Endpoints from this number on are observers: they get what they ask for, and nothing else depends on it. An event that
/// only they want has matched nothing, and goes to the fallback.
pub const OBSERVERS_FROM: EndpointId = limits::ENDPOINTS_MAX as EndpointId;

fn is_observer(endpoint: EndpointId) -> bool {
    endpoint >= OBSERVERS_FROM
}

/// One compiled route.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name; unique in the table.
    pub name: String,
    /// Events of other sources are not looked at.
    pub source: Source,
    /// What it wants.
    pub filter: Filter,
    /// Where its matches go.
    pub endpoint: EndpointId,
    /// A disabled route is as if it were not there.
    pub enabled: bool,
    /// Events of every source are looked at, and the filter counts for all of them, whatever `source` says.
    pub every_source: bool,
}

impl Route {
    /// The sources that it looks at.
    fn sources(&self) -> &[Source] {
        if self.every_source { &Source::ALL } else { std::slice::from_ref(&self.source) }
    }

    /// Its filter counts for events of that source: for those of changed digital twins it does not (sheet 1.1).
    fn is_filtered(&self, source: Source) -> bool {
        self.every_source || source != Source::DigitalTwinChangeEvents
    }
}

/// Why a table cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// More than [`limits::ROUTES_MAX`].
    #[error("{0} routes are more than {max}", max = limits::ROUTES_MAX)]
    TooManyRoutes(usize),
    /// What no index serves is evaluated for every event, and that has a bound.
    #[error(
        "the conditions that no index can serve cost every event {cost} units, more than {max}; the last such route is \
         '{route}': add an equality, a range, a prefix or a topic to its filter, or take it out",
        max = limits::SCAN_COST_MAX
    )]
    ScansTooCostly {
        /// The last route of that kind.
        route: String,
        /// Units of about one comparison.
        cost: u64,
    },
    /// A route or the fallback names an endpoint that the table does not have.
    #[error("route '{route}' leads to endpoint number {endpoint}, which is not there")]
    UnknownEndpoint {
        /// The route.
        route: String,
        /// What it names.
        endpoint: EndpointId,
    },
}

/// All routes of a node at one moment.
#[derive(Debug)]
pub struct RouteTable {
    version: u64,
    columns: ColumnSet,
    /// Each with one bit per route that is gone, or none.
    layers: Vec<(Arc<Layer>, Arc<[u64]>)>,
    /// The routes of the last layer if it is a small one: it is built anew with every change.
    recent: Vec<Arc<Route>>,
    routes: usize,
    fallback: Option<EndpointId>,
    /// By endpoint number; observers have none.
    enrichments: Vec<Arc<[Enrichment]>>,
    no_enrichments: Arc<[Enrichment]>,
    /// One more than the highest number of an endpoint.
    endpoints: usize,
}

impl RouteTable {
    /// Builds the indexes of `routes`. `enrichments` has one entry per endpoint number, empty where there is nothing to add.
    pub fn new(
        version: u64,
        routes: &[Route],
        fallback: Option<EndpointId>,
        enrichments: Vec<Arc<[Enrichment]>>,
    ) -> Result<Self, TableError> {
        if routes.len() > limits::ROUTES_MAX {
            return Err(TableError::TooManyRoutes(routes.len()));
        }
        let endpoints = routes.iter().map(|route| (route.name.as_str(), route.endpoint));
        for (route, endpoint) in endpoints.chain(fallback.map(|endpoint| ("$fallback", endpoint))) {
            if !is_there(endpoint, &enrichments) {
                return Err(TableError::UnknownEndpoint { route: route.to_owned(), endpoint });
            }
        }
        let mut columns = ColumnSet::default();
        let layer = Layer::new(routes.iter(), &mut columns);
        columns.seal();
        let layers = vec![(Arc::new(layer), Arc::from([]))];
        let table = Self {
            version,
            columns,
            layers,
            recent: Vec::new(),
            routes: routes.len(),
            fallback,
            endpoints: endpoints_of(routes).max(enrichments.len()),
            enrichments,
            no_enrichments: Arc::from([]),
        };
        table.check_scans()?;
        Ok(table)
    }

    /// Some route reads more of events than their bodies.
    pub fn reads_headers(&self) -> bool {
        !self.columns.headers().is_empty() || !self.columns.special().is_empty()
    }

    /// The table with routes added (in place of those of the same name) and others taken away. What it costs depends on
    /// the change and not on the table: the indexes that are there are shared, and what is gone is marked.
    pub fn change(&self, version: u64, add: Vec<Route>, remove: &[&str]) -> Result<Self, TableError> {
        for route in &add {
            if !is_there(route.endpoint, &self.enrichments) {
                return Err(TableError::UnknownEndpoint { route: route.name.clone(), endpoint: route.endpoint });
            }
        }
        let mut table = Self {
            version,
            columns: self.columns.clone(),
            layers: self.layers.clone(),
            recent: self.recent.clone(),
            routes: self.routes,
            fallback: self.fallback,
            enrichments: self.enrichments.clone(),
            no_enrichments: self.no_enrichments.clone(),
            endpoints: endpoints_of(&add).max(self.endpoints),
        };
        if !table.recent.is_empty() {
            table.layers.pop();
        }
        for name in remove.iter().copied().chain(add.iter().map(|route| route.name.as_str())) {
            table.routes -= usize::from(table.take_away(name));
        }
        table.routes += add.len();
        if table.routes > limits::ROUTES_MAX {
            return Err(TableError::TooManyRoutes(table.routes));
        }
        table.recent.extend(add.into_iter().map(Arc::new));
        if !table.recent.is_empty() {
            let layer = Layer::new(table.recent.iter().map(|route| &**route), &mut table.columns);
            table.layers.push((Arc::new(layer), Arc::from([])));
        }
        if table.recent.len() > RECENT_MAX {
            table.recent.clear();
        }
        table.columns.seal();
        table.check_scans()?;
        Ok(table)
    }

    /// Takes the route of that name away; false if there is none.
    fn take_away(&mut self, name: &str) -> bool {
        if let Some(at) = self.recent.iter().position(|route| route.name == name) {
            self.recent.remove(at);
            return true;
        }
        for (layer, removed) in &mut self.layers {
            let Some(route) = layer.find(name) else { continue };
            let (word, bit) = (route as usize / 64, 1 << (route % 64));
            if removed.get(word).is_some_and(|word| word & bit != 0) {
                continue;
            }
            let mut bits = removed.to_vec();
            bits.resize(layer.len().div_ceil(64), 0);
            bits[word] |= bit;
            *removed = bits.into();
            return true;
        }
        false
    }

    /// The table has become a pile of layers: one made by [`new`](Self::new) of the same routes matches faster.
    pub fn wants_rebuild(&self) -> bool {
        self.layers.len() > LAYERS_MAX
    }

    /// Refuses what would cost every event too much.
    fn check_scans(&self) -> Result<(), TableError> {
        let cost: u64 = self.indexes().map(|index| u64::from(index.scan_cost())).sum();
        if cost <= u64::from(limits::SCAN_COST_MAX) {
            return Ok(());
        }
        let (layer, _) = self
            .layers
            .iter()
            .rev()
            .find(|(layer, _)| layer.indexes().any(|index| index.scan_cost() > 0))
            .unwrap_or(&self.layers[0]);
        let last = layer.indexes().flat_map(|index| index.scans()).max();
        let route = last.map_or_else(String::new, |route| layer.name(route).to_owned());
        Err(TableError::ScansTooCostly { route, cost })
    }

    fn indexes(&self) -> impl Iterator<Item = &index::Index> {
        self.layers.iter().flat_map(|(layer, _)| layer.indexes())
    }

    /// Grows with every table of a node.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Number of routes, disabled ones included.
    pub fn len(&self) -> usize {
        self.routes
    }

    /// It has no route.
    pub fn is_empty(&self) -> bool {
        self.routes == 0
    }

    /// Number of routes that no index serves: each of their conditions is evaluated for every event.
    pub fn scanned(&self) -> usize {
        let routes =
            |layer: &Layer| layer.indexes().flat_map(|index| index.scans()).collect::<std::collections::HashSet<_>>();
        self.layers.iter().map(|(layer, _)| routes(layer).len()).sum()
    }

    /// Number of routes that are enabled.
    pub fn enabled(&self) -> usize {
        self.layers.iter().map(|(layer, removed)| layer.enabled(removed)).sum()
    }

    /// About how many bytes the table takes, the texts of names excluded.
    pub fn memory_bytes(&self) -> usize {
        self.layers.iter().map(|(layer, removed)| layer.memory_bytes() + removed.len() * 8).sum()
    }

    /// Endpoint of what matched nothing.
    pub fn fallback(&self) -> Option<EndpointId> {
        self.fallback
    }

    /// Number of endpoints, observers aside.
    pub fn endpoints(&self) -> usize {
        self.enrichments.len()
    }

    /// One more than the highest number of an endpoint, observers included.
    fn numbers(&self) -> usize {
        self.endpoints
    }

    /// What is added to the events of an endpoint.
    pub fn enrichments(&self, endpoint: EndpointId) -> &Arc<[Enrichment]> {
        self.enrichments.get(usize::from(endpoint)).unwrap_or(&self.no_enrichments)
    }
}

fn is_there(endpoint: EndpointId, enrichments: &[Arc<[Enrichment]>]) -> bool {
    let at = usize::from(endpoint);
    at < enrichments.len() || is_observer(endpoint) && at < limits::ENDPOINTS_MAX + limits::OBSERVERS_MAX
}

fn endpoints_of(routes: &[Route]) -> usize {
    routes.iter().map(|route| usize::from(route.endpoint) + 1).max().unwrap_or(0)
}
