//! Case `route`: batches against a table of routes.

use std::sync::Arc;

use engine::batch::Batch;
use engine::filter::{CompileOptions, Dialect, Filter};
use engine::route::{EndpointId, Matcher, Route, RouteTable, Source};

use super::events::{DEVICES, bodies, device_name, plain, scattered, telemetry};
use super::{Case, EVENTS};

/// Endpoints that many routes lead to, in turn.
const ENDPOINTS: EndpointId = 256;

/// A table, what matches against it, and what it matches.
pub struct Routed {
    table: RouteTable,
    matcher: Matcher,
    batches: Vec<Batch>,
    /// Deliveries that a run has to give.
    deliveries: Option<usize>,
}

impl Routed {
    /// One route, which half of the events take.
    pub fn one() -> Self {
        Self::of(table(&["temp > 27".to_owned()], 1))
    }

    /// A route for each of ten thousand devices: its events above a temperature of its own.
    pub fn ten_thousand() -> Self {
        let filter = |device| {
            format!("device_id = '{}' AND temp > {}.5", device_name(device), 10 + scattered(device ^ 0xf1) % 35)
        };
        Self::of(table(&(0..DEVICES).map(filter).collect::<Vec<_>>(), ENDPOINTS))
    }

    fn of(table: RouteTable) -> Self {
        Self { table, matcher: Matcher::default(), batches: plain(&bodies(telemetry)), deliveries: None }
    }
}

impl Case for Routed {
    fn run(&mut self) -> usize {
        let (mut rows, mut deliveries) = (0, 0);
        for batch in &self.batches {
            self.matcher.run(&self.table, batch, None);
            rows += batch.rows().len();
            deliveries +=
                self.matcher.endpoints().iter().map(|endpoint| self.matcher.matched(*endpoint)).sum::<usize>();
        }
        assert_eq!(*self.deliveries.get_or_insert(deliveries), deliveries, "the same events match otherwise");
        assert!(
            deliveries > EVENTS / 3 && deliveries < EVENTS,
            "{deliveries} of {EVENTS} events match: about half should"
        );
        rows
    }
}

/// The table of these filters; the routes lead to `endpoints` endpoints in turn.
pub fn table(filters: &[String], endpoints: EndpointId) -> RouteTable {
    let route = |(n, filter): (usize, &String)| Route {
        name: format!("r{n}"),
        source: Source::DeviceMessages,
        filter: Filter::compile(filter, Dialect::Anabranch, &CompileOptions::default()).expect("a valid filter").0,
        endpoint: (n % usize::from(endpoints)) as EndpointId,
        enabled: true,
        every_source: false,
    };
    let routes: Vec<Route> = filters.iter().enumerate().map(route).collect();
    let enrichments = (0..endpoints).map(|_| Arc::from([])).collect();
    RouteTable::new(1, &routes, None, enrichments).expect("endpoints and costs are within their bounds")
}
