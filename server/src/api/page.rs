//! One answer of the hub: events of a partition from an offset on, as JSON. Blocks; runs on a blocking thread.
//!
//! Bounded three ways: by events, by bytes of the answer, and by bytes read, so that a filter that lets little through still
//! answers soon, with the offset to go on from.

use connectors::hub::{LogReader, ReadError};
use connectors::webhook::dead_letter::one_line;
use engine::batch::Batch;
use engine::event::Event;
use engine::filter::{Filter, Truth};
use engine::parse::Parser;

/// An answer is closed when it has so many bytes.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Read at once.
const READ_BYTES_MAX: usize = 1024 * 1024;
/// Read for one answer.
const SCAN_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One JSON object with everything.
    Json,
    /// One event per line; offsets in headers.
    Lines,
}

impl Format {
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
        }
    }
}

/// What a request asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub partition: u32,
    pub events_max: usize,
    pub filter: Option<Filter>,
    pub format: Format,
}

/// The answer.
#[derive(Debug)]
pub(super) struct Page {
    pub format: Format,
    partition: u32,
    /// Where to go on.
    pub next: u64,
    /// First offset that is not synced.
    pub end: u64,
    events: Vec<u8>,
    offsets: Vec<u64>,
}

impl Wanted {
    /// Reads from `from` on.
    pub fn page(&self, reader: &LogReader, from: u64) -> Result<Page, ReadError> {
        let (first, end) = reader.bounds(self.partition);
        if from < first {
            let partition = self.partition;
            return Err(ReadError::FallenOff { partition, wanted: from, first_available: first });
        }
        let mut page = Page {
            format: self.format,
            partition: self.partition,
            next: from,
            end,
            events: Vec::new(),
            offsets: Vec::new(),
        };
        let mut parser = Parser::default();
        let mut scanned = 0;
        while page.next < end && scanned < SCAN_BYTES_MAX {
            let batches = match reader.read(self.partition, page.next, READ_BYTES_MAX) {
                Ok(batches) => batches,
                // What was found before it comes first; the next request says what is wrong.
                Err(_) if page.count() > 0 => break,
                Err(error) => return Err(error),
            };
            let before = page.next;
            for batch in &batches {
                scanned += batch.bytes().len();
                if !self.take(batch, &mut page, &mut parser) {
                    return Ok(page);
                }
            }
            if page.next == before {
                // The reader has nothing more to give just now.
                break;
            }
        }
        Ok(page)
    }

    /// Adds the events of a batch that are wanted; false if the page is full.
    fn take(&self, batch: &Batch, page: &mut Page, parser: &mut Parser) -> bool {
        for row in 0..batch.rows().len() {
            let event = Event::new(batch, row);
            if event.offset() < page.next {
                continue;
            }
            if event.offset() >= page.end {
                return false;
            }
            if self.filter.as_ref().is_none_or(|filter| matches(filter, &event, parser)) {
                if page.offsets.len() == self.events_max || page.events.len() >= PAGE_BYTES_MAX {
                    return false;
                }
                page.push(&event);
            }
            page.next = event.offset() + 1;
        }
        true
    }
}

fn matches(filter: &Filter, event: &Event<'_>, parser: &mut Parser) -> bool {
    let body = match event.data() {
        Some(data) if filter.reads_body() && filter.dialect().body_readable(event) => parser.parse(data).ok(),
        _ => None,
    };
    filter.eval(event, body.as_ref().map(|body| body.root())) == Truth::True
}

impl Page {
    /// Number of events.
    pub fn count(&self) -> usize {
        self.offsets.len()
    }

    fn push(&mut self, event: &Event<'_>) {
        if self.format == Format::Json && !self.offsets.is_empty() {
            self.events.push(b',');
        }
        let start = self.events.len();
        connectors::cloudevents::write_structured(event, &[], &mut self.events);
        if self.format == Format::Lines {
            one_line(&mut self.events[start..]);
            self.events.push(b'\n');
        }
        self.offsets.push(event.offset());
    }

    /// The answer's bytes.
    pub fn into_body(self) -> Vec<u8> {
        if self.format == Format::Lines {
            return self.events;
        }
        let mut offsets = String::with_capacity(self.offsets.len() * 8);
        for (index, offset) in self.offsets.iter().enumerate() {
            if index > 0 {
                offsets.push(',');
            }
            offsets.push_str(&offset.to_string());
        }
        let head = format!(
            "{{\"partition\":{},\"next\":{},\"end\":{},\"offsets\":[{offsets}],\"events\":[",
            self.partition, self.next, self.end
        );
        let mut body = head.into_bytes();
        body.extend_from_slice(&self.events);
        body.extend_from_slice(b"]}\n");
        body
    }
}
