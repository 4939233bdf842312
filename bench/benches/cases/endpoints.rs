//! Cases `columns`, `envelope`, `dispatch` and `pack`: what an endpoint does with an event that it gets.

use std::sync::Arc;

use connectors::cloudevents::write_structured;
use connectors::parquet::{Body, Cells, Learner, Piece, Table};
use connectors::sink::{Cursors, Handed};
use connectors::webhook::policy::{Answer, Verdict};
use connectors::webhook::{Dispatch, Shot, WebhookConfig};
use engine::batch::{Batch, HeaderWriter, pack};
use engine::event::{Event, put_attribute, put_property};
use engine::lane::{Delivery, Enrichment, Rows};
use engine::parse::Parser;

use super::events::{START_MS, batches, bodies, telemetry};
use super::{Case, EVENTS};

/// Events of a webhook's request.
const REQUEST_EVENTS: u32 = 64;

fn attributes(n: u64, headers: &mut HeaderWriter) {
    put_attribute(headers, "id", &format!("{n:016x}"));
    put_attribute(headers, "source", "/plants/7");
    put_attribute(headers, "type", "com.example.telemetry");
    put_attribute(headers, "datacontenttype", "application/json");
    put_property(headers, "site", Some(b"zurich"));
}

fn events(batches: &[Batch]) -> impl Iterator<Item = Event<'_>> {
    batches.iter().flat_map(|batch| (0..batch.rows().len()).map(move |row| Event::new(batch, row)))
}

/// A Parquet endpoint's table in memory.
pub struct Columns {
    parser: Parser,
    cells: Option<Cells>,
    table: Table,
    batches: Vec<Batch>,
}

impl Columns {
    /// With the node's own columns and those that the first event has: rows by the column, as most are.
    pub fn parquet() -> Self {
        // A null that has no column makes a row one of the others.
        let without_null = |n| telemetry(n).replace("\"error\":null,", "");
        let batches = batches(0, 0, &bodies(without_null), attributes);
        Self { cells: Some(Cells::default()), batches, ..Self::one_by_one() }
    }

    /// Rows one by one, as those are made of which something has no column.
    pub fn one_by_one() -> Self {
        let batches = batches(0, 0, &bodies(telemetry), attributes);
        let (mut parser, mut learner) = (Parser::default(), Learner::default());
        learner.see(parser.parse(telemetry(0).as_bytes()).expect("JSON").root());
        Self { parser, cells: None, table: Table::new(&learner.finish(), true), batches }
    }
}

impl Case for Columns {
    fn run(&mut self) -> usize {
        if let Some(cells) = &mut self.cells {
            for batch in &self.batches {
                let pieces = [Piece::from(batch)];
                cells.read(self.table.plan(), &pieces, (0..batch.rows().len()).map(|row| (0, row)));
                let mut at = 0;
                while at < cells.len() {
                    assert!(cells.is_plain(at), "all of the data has a column");
                    at += self.table.push_cells(cells, at, usize::MAX, &pieces).expect("a row");
                }
            }
            return self.table.take().num_rows();
        }
        for event in events(&self.batches) {
            let text = event.data().unwrap_or_default();
            let document = self.parser.parse(text).expect("JSON");
            self.table.push(&event, &[], Some(Body { root: document.root(), text })).expect("a row");
        }
        self.table.take().num_rows()
    }
}

/// The body of a webhook's request, or a line of a file.
pub struct Envelopes {
    batches: Vec<Batch>,
    enrichments: [Enrichment; 1],
    out: Vec<u8>,
}

impl Envelopes {
    /// With an enrichment and a property beside the attributes.
    pub fn structured() -> Self {
        let batches = batches(0, 0, &bodies(telemetry), attributes);
        let enrichments = [Enrichment { key: "hub".into(), value: "anabranch-1".into() }];
        Self { batches, enrichments, out: Vec::new() }
    }
}

impl Case for Envelopes {
    fn run(&mut self) -> usize {
        self.out.clear();
        let mut done = 0;
        for event in events(&self.batches) {
            let before = self.out.len();
            write_structured(&event, &self.enrichments, &mut self.out);
            done += usize::from(self.out.len() > before);
        }
        done
    }
}

/// A webhook endpoint's decisions; its receiver takes everything.
pub struct Dispatched {
    dispatch: Dispatch,
    cursors: Arc<Cursors>,
    bodies: Vec<String>,
    now_ms: u64,
    offset: u64,
    next: Vec<Delivery>,
    under_way: Vec<Shot>,
}

impl Dispatched {
    /// The order of each key is kept.
    pub fn ordered() -> Self {
        let config = WebhookConfig {
            ordered: true,
            batch_events_max: REQUEST_EVENTS,
            ..WebhookConfig::new("http://127.0.0.1:9/events")
        };
        Self {
            dispatch: Dispatch::new(&config, 7),
            cursors: Arc::new(Cursors::new(&[0])),
            bodies: bodies(telemetry),
            now_ms: 0,
            offset: 0,
            next: Vec::new(),
            under_way: Vec::new(),
        }
    }
}

impl Case for Dispatched {
    fn prepare(&mut self) {
        let delivery = |batch: Batch| Delivery {
            batch: Arc::new(batch),
            rows: Rows::All,
            enrichments: Arc::from([]),
            table_version: 1,
        };
        // Taken from the end.
        self.next = batches(0, self.offset, &self.bodies, |_, _| {}).into_iter().rev().map(delivery).collect();
        self.offset += EVENTS as u64;
    }

    fn run(&mut self) -> usize {
        let mut done = 0;
        loop {
            while self.dispatch.wants_more()
                && let Some(delivery) = self.next.pop()
            {
                self.dispatch.take(Handed::new(delivery, &self.cursors));
            }
            while let Some(shot) = self.dispatch.next_shot(self.now_ms, START_MS as i64) {
                self.under_way.push(shot);
            }
            if self.under_way.is_empty() {
                break;
            }
            self.now_ms += 1;
            for shot in self.under_way.drain(..) {
                let judged = self.dispatch.answered(shot, Answer::status(200), None, self.now_ms);
                done += if judged.verdict == Verdict::Delivered { judged.events } else { 0 };
            }
        }
        assert_eq!(self.cursors.get(0), self.offset, "all of it is settled");
        done
    }
}

/// BATCH frames of a subscriber over QUIC that wants nearly everything.
pub struct Packed {
    /// With the rows that are wanted.
    batches: Vec<(Batch, Vec<u16>)>,
    out: Vec<u8>,
}

impl Packed {
    /// Every tenth event is not wanted.
    pub fn nine_in_ten() -> Self {
        let wanted = |batch: &Batch| (0..batch.rows().len() as u16).filter(|row| row % 10 != 9).collect();
        let batches = batches(0, 0, &bodies(telemetry), attributes);
        let batches = batches.into_iter().map(|batch| (wanted(&batch), batch)).map(|(rows, batch)| (batch, rows));
        Self { batches: batches.collect(), out: Vec::new() }
    }
}

impl Case for Packed {
    fn run(&mut self) -> usize {
        self.out.clear();
        let mut done = 0;
        for (batch, rows) in &self.batches {
            pack(batch, rows, &mut self.out);
            done += batch.rows().len();
        }
        done
    }
}
