//! The plain matcher: every route on every event, by the interpreter. Slow, and what routing means: oracle of the fast one.

use std::collections::HashMap;

use super::{EndpointId, Route, Source, is_observer};
use crate::batch::Batch;
use crate::event::Event;
use crate::filter::{Dialect, Truth, body_text};
use crate::parse::{Parser, Value};

/// Scratch memory of one matching thread, and the result of the last match.
#[derive(Debug, Default)]
pub struct NaiveMatcher {
    parser: Parser,
    text: String,
    /// Matching rows by endpoint.
    rows: HashMap<EndpointId, Vec<u16>>,
    /// Events that matched no route, since the start.
    orphaned: u64,
}

impl NaiveMatcher {
    /// Matches all rows against `routes`. Afterwards [`rows`](Self::rows) has the result.
    pub fn run(&mut self, routes: &[Route], fallback: Option<EndpointId>, batch: &Batch) {
        self.rows.values_mut().for_each(Vec::clear);
        for index in 0..batch.rows().len() {
            let event = Event::new(batch, index);
            let source = Source::of(&event);
            let document = body_text(&event, &mut self.text).and_then(|text| self.parser.parse(text).ok());
            let body = Body { root: document.as_ref().map(|document| document.root()), readable: [None; 2] };
            let mut row = RowMatch { routes, event, source, body, index: index as u16 };
            if !row.run(&mut self.rows) {
                match fallback.filter(|_| source == Source::DeviceMessages) {
                    Some(endpoint) => self.rows.entry(endpoint).or_default().push(index as u16),
                    None => self.orphaned += 1,
                }
            }
        }
    }

    /// The rows of the last batch that `endpoint` gets, ascending.
    pub fn rows(&self, endpoint: EndpointId) -> &[u16] {
        self.rows.get(&endpoint).map_or(&[], Vec::as_slice)
    }

    /// Events that matched no route and had no fallback, since the start.
    pub fn orphaned(&self) -> u64 {
        self.orphaned
    }
}

/// A parsed body, and whether a dialect may look into it: IoT Hub's rule differs from the other two's.
struct Body<'d> {
    root: Option<Value<'d>>,
    readable: [Option<bool>; 2],
}

impl<'d> Body<'d> {
    fn of(&mut self, event: &Event<'_>, dialect: Dialect) -> Option<Value<'d>> {
        let root = self.root?;
        let readable = &mut self.readable[usize::from(dialect == Dialect::IotHub)];
        readable.get_or_insert_with(|| dialect.body_readable(event)).then_some(root)
    }
}

struct RowMatch<'t, 'd> {
    routes: &'t [Route],
    event: Event<'d>,
    source: Source,
    body: Body<'d>,
    index: u16,
}

impl RowMatch<'_, '_> {
    fn run(&mut self, rows: &mut HashMap<EndpointId, Vec<u16>>) -> bool {
        let mut matched = false;
        for route in self.routes {
            if !route.enabled || !route.sources().contains(&self.source) {
                continue;
            }
            let truth = match route.is_filtered(self.source) {
                false => Truth::True,
                true => route.filter.eval(&self.event, self.body.of(&self.event, route.filter.dialect())),
            };
            if truth.is_true() {
                matched |= !is_observer(route.endpoint);
                let rows = rows.entry(route.endpoint).or_default();
                // One copy per endpoint.
                if rows.last() != Some(&self.index) {
                    rows.push(self.index);
                }
            }
        }
        matched
    }
}
