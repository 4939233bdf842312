//! Matches a batch against a table: each row's body is parsed at most once, and only if a route asks for it.

use super::{EndpointId, RouteTable, Source};
use crate::batch::Batch;
use crate::event::Event;
use crate::filter::Truth;
use crate::lane::Rows;
use crate::parse::{Document, Parser, Value, to_utf8};

/// Scratch memory of one matching thread, and the result of the last match.
#[derive(Debug, Default)]
pub struct Matcher {
    parser: Parser,
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
            let document = match event.data() {
                Some(data) if table.reads_body && !data.is_empty() => parse_body(&mut self.parser, &event, data),
                _ => None,
            };
            let body = document.as_ref().map(|document| document.root());
            let matched = match_event(table, &event, body, only, index as u16, &mut self.rows, &mut self.undefined);
            if !matched && only.is_none() {
                let telemetry = Source::of(&event) == Source::DeviceMessages;
                match table.fallback.filter(|_| telemetry) {
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

fn parse_body<'p>(parser: &'p mut Parser, event: &Event<'_>, data: &[u8]) -> Option<Document<'p>> {
    match event.encoding() {
        Some(encoding) => parser.parse(&to_utf8(data, encoding)?).ok(),
        None => parser.parse(data).ok(),
    }
}

fn match_event(
    table: &RouteTable,
    event: &Event<'_>,
    body: Option<Value<'_>>,
    only: Option<EndpointId>,
    index: u16,
    rows: &mut [Vec<u16>],
    undefined: &mut u64,
) -> bool {
    let source = Source::of(event);
    let mut matched = false;
    for route in &table.routes {
        if !route.enabled || route.source != source || only.is_some_and(|only| only != route.endpoint) {
            continue;
        }
        let rows = &mut rows[usize::from(route.endpoint)];
        // One copy per endpoint: it already has this row, so another match changes nothing.
        if rows.last() == Some(&index) {
            continue;
        }
        let truth = match source {
            // Conditions are not applied to this source (sheet 1.1).
            Source::DigitalTwinChangeEvents => Truth::True,
            _ => route.filter.eval(event, body),
        };
        match truth {
            Truth::True => {
                matched = true;
                rows.push(index);
            }
            Truth::Undefined => *undefined += 1,
            Truth::False => {}
        }
    }
    matched
}
