//! The route table: all routes compiled, immutable, versioned, swapped whole; and the match of a batch against it.
//!
//! Routing is IoT Hub's (sheet `iothub-and-twins.md` 1.5): every enabled route of the event's source is tried, a route fires on
//! True only, an endpoint gets one copy however many of its routes match, the order of routes means nothing, and what matched
//! nothing goes to the fallback. This is the plain matcher, one filter after the other by the interpreter: it stays as the
//! oracle of every faster one.

mod matcher;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use matcher::Matcher;

pub use crate::event::Source;
use crate::filter::Filter;
use crate::lane::Enrichment;
use crate::limits;

/// Number of an endpoint, given by the node and kept as long as it runs.
pub type EndpointId = u16;

/// One compiled route.
#[derive(Debug)]
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
}

/// Why a table cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// More than [`limits::ROUTES_MAX`].
    #[error("{0} routes are more than {max}", max = limits::ROUTES_MAX)]
    TooManyRoutes(usize),
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
    routes: Vec<Route>,
    fallback: Option<EndpointId>,
    /// By endpoint number.
    enrichments: Vec<Arc<[Enrichment]>>,
    /// Some enabled route has to see the body.
    reads_body: bool,
}

impl RouteTable {
    /// Freezes `routes`. `enrichments` has one entry per endpoint number, empty where there is nothing to add.
    pub fn new(
        version: u64,
        routes: Vec<Route>,
        fallback: Option<EndpointId>,
        enrichments: Vec<Arc<[Enrichment]>>,
    ) -> Result<Self, TableError> {
        if routes.len() > limits::ROUTES_MAX {
            return Err(TableError::TooManyRoutes(routes.len()));
        }
        let endpoints = routes.iter().map(|route| (route.name.as_str(), route.endpoint));
        for (route, endpoint) in endpoints.chain(fallback.map(|endpoint| ("$fallback", endpoint))) {
            if usize::from(endpoint) >= enrichments.len() {
                return Err(TableError::UnknownEndpoint { route: route.to_owned(), endpoint });
            }
        }
        let reads_body = routes.iter().any(|route| route.enabled && route.filter.reads_body());
        Ok(Self { version, routes, fallback, enrichments, reads_body })
    }

    /// Grows with every table of a node.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The routes as given.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Endpoint of what matched nothing.
    pub fn fallback(&self) -> Option<EndpointId> {
        self.fallback
    }

    /// Number of endpoint numbers in use.
    pub fn endpoints(&self) -> usize {
        self.enrichments.len()
    }

    /// What is added to the events of an endpoint.
    pub fn enrichments(&self, endpoint: EndpointId) -> &Arc<[Enrichment]> {
        &self.enrichments[usize::from(endpoint)]
    }
}
