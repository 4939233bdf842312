//! Matches a batch against a table: each row's body is parsed at most once, and only if a route asks for it.

use super::{EndpointId, RouteTable, Source};
use crate::batch::Batch;
use crate::event::Event;
use crate::filter::{Dialect, Truth, body_text};
use crate::lane::Rows;
use crate::parse::{Parser, Value};

/// Scratch memory of one matching thread, and the result of the last match.
#[derive(Debug, Default)]
pub struct Matcher {
    parser: Parser,
    text: String,
    /// Matching rows by endpoint number.
    rows: Vec<Vec<u16>>,
    /// Filters that were neither true nor false, since the start.
    undefined: u64,
    /// Events that matched no route, since the start.
    orphaned: u64,
}

impl Matcher {
    /// Matches all rows. Afterwards [`rows`](Self::rows) has the result. With `only`, other endpoints' routes are left out
    /// where that changes nothing for this one.
    pub fn run(&mut self, table: &RouteTable, batch: &Batch, only: Option<EndpointId>) {
        self.rows.resize_with(table.endpoints(), Vec::new);
        self.rows.iter_mut().for_each(Vec::clear);
        // Whether an event matched nothing is only known when every route was tried.
        let only = only.filter(|endpoint| table.fallback != Some(*endpoint));
        for index in 0..batch.rows().len() {
            let event = Event::new(batch, index);
            let source = Source::of(&event);
            let document = match table.reads_body {
                true => body_text(&event, &mut self.text).and_then(|text| self.parser.parse(text).ok()),
                false => None,
            };
            let body = Body { root: document.as_ref().map(|document| document.root()), readable: [None; 2] };
            let mut row = RowMatch { table, event, source, body, index: index as u16, undefined: 0 };
            let matched = row.run(only, &mut self.rows);
            self.undefined += row.undefined;
            if !matched && only.is_none() {
                match table.fallback.filter(|_| source == Source::DeviceMessages) {
                    Some(endpoint) => self.rows[usize::from(endpoint)].push(index as u16),
                    None => self.orphaned += 1,
                }
            }
        }
    }

    /// The rows of the last batch that `endpoint` gets; `None` if it gets none.
    pub fn rows(&self, endpoint: EndpointId, batch: &Batch) -> Option<Rows> {
        let rows = self.rows.get(usize::from(endpoint)).filter(|rows| !rows.is_empty())?;
        Some(if rows.len() == batch.rows().len() { Rows::All } else { Rows::Some(rows.as_slice().into()) })
    }

    /// How many rows of the last batch `endpoint` gets.
    pub fn matched(&self, endpoint: EndpointId) -> usize {
        self.rows.get(usize::from(endpoint)).map_or(0, Vec::len)
    }

    /// Evaluations that were undefined, since the start.
    pub fn undefined(&self) -> u64 {
        self.undefined
    }

    /// Events that matched no route and had no fallback, since the start.
    pub fn orphaned(&self) -> u64 {
        self.orphaned
    }
}

/// A parsed body, and whether a dialect may look into it: IoT Hub's rule differs from all others'.
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
    table: &'t RouteTable,
    event: Event<'d>,
    source: Source,
    body: Body<'d>,
    index: u16,
    undefined: u64,
}

impl RowMatch<'_, '_> {
    fn run(&mut self, only: Option<EndpointId>, rows: &mut [Vec<u16>]) -> bool {
        let mut matched = false;
        for route in &self.table.routes {
            if !route.enabled || route.source != self.source || only.is_some_and(|only| only != route.endpoint) {
                continue;
            }
            let rows = &mut rows[usize::from(route.endpoint)];
            // One copy per endpoint: it already has this row, so another match changes nothing.
            if rows.last() == Some(&self.index) {
                continue;
            }
            let truth = match self.source {
                // Conditions are not applied to this source (sheet 1.1).
                Source::DigitalTwinChangeEvents => Truth::True,
                _ => route.filter.eval(&self.event, self.body.of(&self.event, route.filter.dialect())),
            };
            match truth {
                Truth::True => {
                    matched = true;
                    rows.push(self.index);
                }
                Truth::Undefined => self.undefined += 1,
                Truth::False => {}
            }
        }
        matched
    }
}
