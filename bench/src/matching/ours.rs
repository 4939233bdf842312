//! Ours in the suite `match`: the engine's route table and matcher, as a shard runs them.

use std::error::Error;
use std::sync::Arc;

use engine::batch::Batch;
use engine::filter::{CompileOptions, Dialect, Filter};
use engine::lane::Rows;
use engine::route::{Matcher, Route, RouteTable, Source};

use super::routes::{ENDPOINTS, RouteSpec};
use crate::extract::checksum::Checksum;

/// Matches nothing, but asks for the fields that the routes leave out: the six columns of the suite `extract` are filled.
const ALL_SIX: &str =
    "ts BETWEEN 0 AND 1 AND temp < 0 AND humidity < 0 AND battery < 0 AND length(status || device_id) > 99";

/// A table and what matches against it.
pub struct Ours {
    table: RouteTable,
    matcher: Matcher,
}

impl Ours {
    /// Compiles all filters and builds the table.
    pub fn build(routes: &[RouteSpec]) -> Result<Self, Box<dyn Error>> {
        let mut all =
            routes.iter().enumerate().map(|(number, route)| compile(number, route)).collect::<Result<Vec<_>, _>>()?;
        all.push(compile(routes.len(), &RouteSpec { filter: ALL_SIX.to_owned(), endpoint: 0 })?);
        let enrichments = (0..ENDPOINTS).map(|_| Arc::from([])).collect();
        Ok(Self { table: RouteTable::new(1, &all, None, enrichments)?, matcher: Matcher::default() })
    }

    /// Parses and validates every event of the batch, fills the six columns and matches; `sum` counts the events that are JSON.
    /// Deliveries in all: one per event and endpoint.
    pub fn run(&mut self, batch: &Batch, sum: &mut Checksum) -> u64 {
        let before = self.matcher.extracted();
        self.matcher.run(&self.table, batch, None);
        let after = self.matcher.extracted();
        sum.valid += (after.bodies - before.bodies) - (after.not_json - before.not_json);
        self.matcher.endpoints().iter().map(|endpoint| self.matcher.matched(*endpoint) as u64).sum()
    }

    /// The deliveries of the last batch as (row, endpoint), sorted.
    pub fn deliveries(&self, batch: &Batch) -> Vec<(u16, u16)> {
        let mut all = Vec::new();
        for endpoint in 0..ENDPOINTS {
            match self.matcher.rows(endpoint) {
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
        self.table = self.table.change(self.table.version() + 1, vec![compile(ADDED, route)?], &[])?;
        Ok(())
    }

    /// Takes the route that was added away again.
    pub fn remove_last(&mut self) -> Result<(), Box<dyn Error>> {
        self.table = self.table.change(self.table.version() + 1, Vec::new(), &[&name(ADDED)])?;
        Ok(())
    }

    /// Share of the routes that no index serves.
    pub fn unindexed_share(&self) -> Option<f64> {
        Some(self.table.scanned() as f64 / self.table.len() as f64)
    }

    /// What the table says about its size, in bytes per route.
    pub fn bytes_per_route(&self) -> f64 {
        self.table.memory_bytes() as f64 / self.table.len() as f64
    }

    /// Share of the events whose shape was known.
    pub fn hit_rate(&self) -> Option<f64> {
        let stats = self.matcher.extracted();
        (stats.bodies > 0).then(|| stats.shape_hits as f64 / stats.bodies as f64)
    }
}

/// Number of the route that is added and taken away.
const ADDED: usize = usize::MAX;

fn name(number: usize) -> String {
    format!("r{number}")
}

fn compile(number: usize, route: &RouteSpec) -> Result<Route, Box<dyn Error>> {
    let (filter, _) = Filter::compile(&route.filter, Dialect::Anabranch, &CompileOptions::default())
        .map_err(|problems| format!("`{}` does not compile: {problems:?}", route.filter))?;
    Ok(Route {
        name: name(number),
        source: Source::DeviceMessages,
        filter,
        endpoint: route.endpoint,
        enabled: true,
        every_source: false,
    })
}
