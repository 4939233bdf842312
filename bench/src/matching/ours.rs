//! Ours in the suite `match`: the engine's extractor and its route table.

use std::error::Error;
use std::sync::Arc;

use engine::batch::Batch;
use engine::filter::{CompileOptions, Dialect, Filter};
use engine::lane::Rows;
use engine::route::{Matcher, Route, RouteTable, Source};

use super::routes::{ENDPOINTS, RouteSpec};
use crate::extract::Extractor;
use crate::extract::checksum::Checksum;
use crate::extract::ours::Ours as Columns;

/// A table, what matches against it, and what fills the six columns.
pub struct Ours {
    table: RouteTable,
    matcher: Matcher,
    columns: Columns,
}

impl Ours {
    /// Compiles all filters and builds the table.
    pub fn build(routes: &[RouteSpec]) -> Result<Self, Box<dyn Error>> {
        let routes =
            routes.iter().enumerate().map(|(number, route)| compile(number, route)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { table: table(1, routes)?, matcher: Matcher::default(), columns: Columns::best() })
    }

    /// Parses and validates every event of the batch, fills the six columns (their values go into `sum`) and matches.
    /// Deliveries in all: one per event and endpoint.
    pub fn run(&mut self, batch: &Batch, sum: &mut Checksum) -> u64 {
        self.columns.run(batch, sum);
        self.matcher.run(&self.table, batch, None);
        (0..ENDPOINTS).map(|endpoint| self.matcher.matched(endpoint) as u64).sum()
    }

    /// The deliveries of the last batch as (row, endpoint), sorted.
    pub fn deliveries(&self, batch: &Batch) -> Vec<(u16, u16)> {
        let mut all = Vec::new();
        for endpoint in 0..ENDPOINTS {
            match self.matcher.rows(endpoint, batch) {
                None => {}
                Some(Rows::All) => all.extend((0..batch.rows().len()).map(|row| (row as u16, endpoint))),
                Some(Rows::Some(rows)) => all.extend(rows.iter().map(|row| (*row, endpoint))),
            }
        }
        all.sort_unstable();
        all
    }

    /// Adds a route; the next batch is matched against it too.
    pub fn add(&mut self, route: &RouteSpec) -> Result<(), Box<dyn Error>> {
        let added = compile(self.table.routes().len(), route)?;
        let routes = self.table.routes().iter().map(copy).chain([added]).collect();
        self.table = table(self.table.version() + 1, routes)?;
        Ok(())
    }

    /// Takes the route that was added last away again.
    pub fn remove_last(&mut self) -> Result<(), Box<dyn Error>> {
        let kept = self.table.routes().len().saturating_sub(1);
        let routes = self.table.routes()[..kept].iter().map(copy).collect();
        self.table = table(self.table.version() + 1, routes)?;
        Ok(())
    }

    /// Share of the routes that no index serves, where the table tells.
    pub fn unindexed_share(&self) -> Option<f64> {
        Some(1.0)
    }

    /// Share of the events whose shape was known.
    pub fn hit_rate(&self) -> Option<f64> {
        self.columns.hit_rate()
    }
}

fn table(version: u64, routes: Vec<Route>) -> Result<RouteTable, Box<dyn Error>> {
    let enrichments = (0..ENDPOINTS).map(|_| Arc::from([])).collect();
    Ok(RouteTable::new(version, routes, None, enrichments)?)
}

fn compile(number: usize, route: &RouteSpec) -> Result<Route, Box<dyn Error>> {
    let (filter, _) = Filter::compile(&route.filter, Dialect::Anabranch, &CompileOptions::default())
        .map_err(|problems| format!("`{}` does not compile: {problems:?}", route.filter))?;
    Ok(Route {
        name: format!("r{number}"),
        source: Source::DeviceMessages,
        filter,
        endpoint: route.endpoint,
        enabled: true,
    })
}

fn copy(route: &Route) -> Route {
    Route {
        name: route.name.clone(),
        source: route.source,
        filter: route.filter.clone(),
        endpoint: route.endpoint,
        enabled: route.enabled,
    }
}
