//! The matcher against the naive one: the same rows to the same endpoints.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine::batch::Batch;
use engine::lane::Rows;
use engine::parse::Kernel;
use engine::route::naive::NaiveMatcher;
use engine::route::{EndpointId, Matcher, OBSERVERS_FROM, Route, RouteTable};

/// Both matchers, with all kernels of the machine.
pub struct RoutingRunner {
    matchers: Vec<(Kernel, Matcher)>,
    naive: NaiveMatcher,
    /// Rows that were routed so far, once per endpoint.
    pub routed: u64,
}

impl Default for RoutingRunner {
    fn default() -> Self {
        let kernels = Kernel::ALL.into_iter().filter(|kernel| kernel.is_available());
        Self {
            matchers: kernels.map(|kernel| (kernel, Matcher::new(kernel))).collect(),
            naive: NaiveMatcher::default(),
            routed: 0,
        }
    }
}

/// A table of `routes` without enrichments.
pub fn table(version: u64, routes: &[Route], fallback: Option<EndpointId>, endpoints: usize) -> RouteTable {
    let enrichments = (0..endpoints).map(|_| Arc::from([])).collect();
    RouteTable::new(version, routes, fallback, enrichments).expect("a table")
}

impl RoutingRunner {
    /// Matches the batch both ways. `routes` must be what the table was made of.
    pub fn check(&mut self, table: &RouteTable, routes: &[Route], batch: &Batch) -> Result<(), String> {
        let before = self.naive.orphaned();
        self.naive.run(routes, table.fallback(), batch);
        let orphaned = self.naive.orphaned() - before;
        let observers = routes.iter().map(|route| route.endpoint).filter(|endpoint| *endpoint >= OBSERVERS_FROM);
        let observers: BTreeSet<EndpointId> = observers.collect();
        for (kernel, matcher) in &mut self.matchers {
            let before = matcher.orphaned();
            matcher.run(table, batch, None);
            let found: Vec<(EndpointId, Vec<u16>)> = (0..table.endpoints() as EndpointId)
                .chain(observers.iter().copied())
                .map(|endpoint| (endpoint, rows(matcher.rows(endpoint), batch)))
                .collect();
            let found_orphaned = matcher.orphaned() - before;
            if found_orphaned != orphaned {
                let name = kernel.name();
                return Err(format!("{name}: {found_orphaned} events matched nothing, by the interpreter {orphaned}"));
            }
            for (endpoint, found) in found {
                let expected = self.naive.rows(endpoint);
                self.routed += expected.len() as u64;
                if found != expected {
                    return Err(difference(kernel.name(), routes, endpoint, &found, expected, batch));
                }
                matcher.run(table, batch, Some(endpoint));
                let alone = rows(matcher.rows(endpoint), batch);
                if alone != expected {
                    return Err(format!(
                        "alone: {}",
                        difference(kernel.name(), routes, endpoint, &alone, expected, batch)
                    ));
                }
            }
        }
        Ok(())
    }
}

fn rows(rows: Option<Rows>, batch: &Batch) -> Vec<u16> {
    match rows {
        None => Vec::new(),
        Some(Rows::All) => (0..batch.rows().len()).map(|row| row as u16).collect(),
        Some(Rows::Some(rows)) => rows.into_vec(),
    }
}

fn difference(
    kernel: &str,
    routes: &[Route],
    endpoint: EndpointId,
    found: &[u16],
    expected: &[u16],
    batch: &Batch,
) -> String {
    let row = found.iter().chain(expected).copied().find(|row| found.contains(row) != expected.contains(row));
    let row = row.unwrap_or_default();
    let event = engine::event::Event::new(batch, usize::from(row));
    let filters: Vec<String> = routes
        .iter()
        .filter(|route| route.endpoint == endpoint && route.enabled)
        .take(20)
        .map(|route| format!("[{}] {}", route.filter.dialect(), route.filter.text()))
        .collect();
    format!(
        "{kernel}: endpoint {endpoint}, row {row}: the matcher says {}, the interpreter {}\nbody {:?}\nheaders {:?}\nfilters\n{}",
        found.contains(&row),
        expected.contains(&row),
        event.data().map(String::from_utf8_lossy),
        event.headers().map(|(name, value)| (name, value.map(String::from_utf8_lossy))).collect::<Vec<_>>(),
        filters.join("\n")
    )
}
