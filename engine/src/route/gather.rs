//! From a batch to the columns that the routes want: headers here, bodies by the extractor.
//!
//! What always holds: a cell has the value that the interpreter sees for its reference; nothing is allocated per event once the
//! buffers have grown, but for bodies in UTF-16 and UTF-32.

mod shape;

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, RandomState};

use super::columns::ColumnSet;
use crate::batch::Batch;
use crate::event::{APP_PREFIX, CE_PREFIX, CONTENT_ENCODING, CONTENT_TYPE, Event, MESSAGE_SOURCE, Source, is_reserved};
use crate::filter::plan::{Reference, System};
use crate::filter::{self, Dialect, Value, body_readable, body_text};
use crate::parse::{ColumnId, Columns, ExtractStats, Extractor, Kernel, Span, Tag};
use shape::Shape;

/// What a header of the IoT Hub profile or of the content is for the gathering itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It may decide whether the body can be read, or what source the event has.
    Decides,
    Other,
}

/// One header of the event before, which most often is that of this one too.
#[derive(Debug)]
struct Header {
    name: Vec<u8>,
    role: Role,
    /// Columns that it fills, and whether a null is a value there.
    columns: Vec<(ColumnId, bool)>,
}

/// Columns of the batch that was gathered last, with what they were gathered by.
#[derive(Debug)]
pub(super) struct Gather {
    pub columns: Columns,
    /// The source of each row.
    pub sources: Vec<Source>,
    /// All rows are device messages.
    pub only_device_messages: bool,
    extractor: Extractor,
    bodies: Vec<Span>,
    /// Rows that IoT Hub's dialect may not look into.
    not_iothub: Vec<u32>,
    /// Rows whose body had to be rewritten, with its text.
    rewritten: Vec<(u32, String)>,
    layout: Vec<Header>,
    shape: Shape,
    /// For which columns the layout was made.
    layout_stamp: u64,
    /// By column: the row for which a header filled it last, plus one.
    filled: Vec<u32>,
    /// The headers that decided last time, and what they decided.
    deciding: Vec<u8>,
    decided: Decided,
    room: Vec<u8>,
}

/// What is said about an event by the headers that decide.
#[derive(Clone, Copy, Debug, Default)]
struct Decided {
    source: Source,
    readable: bool,
    readable_iothub: bool,
    rewrite: bool,
}

impl Gather {
    pub fn new(kernel: Kernel) -> Self {
        // Keys of the hash: whoever chooses the bodies must not know them. Results do not depend on them.
        let seed = RandomState::new().hash_one(0u64);
        Self {
            columns: Columns::default(),
            sources: Vec::new(),
            only_device_messages: true,
            extractor: Extractor::new(kernel, seed),
            bodies: Vec::new(),
            not_iothub: Vec::new(),
            rewritten: Vec::new(),
            layout: Vec::new(),
            shape: Shape::default(),
            layout_stamp: 0,
            filled: Vec::new(),
            deciding: Vec::new(),
            decided: Decided::default(),
            room: Vec::new(),
        }
    }

    /// What it was made with.
    pub fn kernel(&self) -> Kernel {
        self.extractor.kernel()
    }

    /// Counts of the extractor.
    pub fn stats(&self) -> ExtractStats {
        self.extractor.stats()
    }

    /// The body of a row is JSON, if the set reads bodies.
    pub fn is_json(&self, row: usize) -> bool {
        row < self.bodies.len() && self.extractor.is_json(row)
    }

    /// Fills the columns of `set` from `batch`.
    pub fn run(&mut self, set: &ColumnSet, batch: &Batch) {
        let rows = batch.rows().len();
        self.columns.reset(rows, set.len());
        for (_, column) in set.headers().iter().chain(set.special()) {
            self.columns.fill(*column, Tag::Undefined);
        }
        if self.layout_stamp != set.stamp() {
            self.layout.clear();
            self.shape.clear();
            self.layout_stamp = set.stamp();
            self.deciding.clear();
        }
        self.filled.clear();
        self.filled.resize(set.len(), 0);
        self.sources.clear();
        self.only_device_messages = true;
        self.bodies.clear();
        self.not_iothub.clear();
        self.rewritten.clear();
        let reads_body = !set.fields().is_empty();
        let plain = set.special().is_empty();
        for (index, row) in batch.rows().iter().enumerate() {
            if plain && row.header_count == 0 {
                // Nothing is said about it: a device message, and JSON if it is.
                self.sources.push(Source::DeviceMessages);
                self.bodies.push(Span { start: row.value.start, len: row.value.len });
                continue;
            }
            let event = Event::new(batch, index);
            let mut decided = Decided { readable: true, readable_iothub: true, ..Decided::default() };
            if row.header_count > 0 {
                decided = match self.shape.fill(batch, index, &mut self.columns) {
                    Some(decided) => decided,
                    None => self.headers(set, batch, &event, index, reads_body),
                };
            }
            for (reference, column) in set.special() {
                self.special(batch, &event, reference, *column, index);
            }
            self.sources.push(decided.source);
            self.only_device_messages &= decided.source == Source::DeviceMessages;
            if reads_body {
                self.body(row.value, &event, index, decided);
            }
        }
        if reads_body {
            self.extractor.run(set.fields(), batch.bytes(), &self.bodies, &mut self.columns);
            for (row, text) in &self.rewritten {
                self.extractor.run_text(set.fields(), text.as_bytes(), *row as usize, &mut self.columns);
            }
            self.restrict_iothub(set, rows);
        }
    }

    fn body(&mut self, value: crate::batch::Span, event: &Event<'_>, index: usize, decided: Decided) {
        let none = Span { start: 0, len: u32::MAX };
        let mut span = Span { start: value.start, len: value.len };
        if !decided.readable {
            span = none;
        } else if decided.rewrite && value.len != u32::MAX {
            span = none;
            let mut room = String::new();
            let same = match body_text(event, &mut room) {
                None => false,
                Some(text) => event.data().is_some_and(|data| std::ptr::eq(data, text)),
            };
            if same {
                span = Span { start: value.start, len: value.len };
            } else if !room.is_empty() {
                let start = room.strip_prefix('\u{feff}').map_or(0, |_| '\u{feff}'.len_utf8());
                self.rewritten.push((index as u32, room.split_off(start)));
            }
        }
        if !decided.readable_iothub {
            self.not_iothub.push(index as u32);
        }
        self.bodies.push(span);
    }

    /// IoT Hub's dialect looks into fewer bodies.
    fn restrict_iothub(&mut self, set: &ColumnSet, rows: usize) {
        let Some(root) = set.root() else { return };
        for row in &self.not_iothub {
            for column in set.iothub() {
                self.columns.set(*column, *row as usize, Tag::Undefined, 0);
            }
        }
        for row in 0..rows {
            if self.columns.cell(root, row).0 != Tag::Object {
                for column in set.iothub() {
                    self.columns.set(*column, row, Tag::Undefined, 0);
                }
            }
        }
    }

    /// The headers of one event, in one pass.
    fn headers(&mut self, set: &ColumnSet, batch: &Batch, event: &Event<'_>, row: usize, reads_body: bool) -> Decided {
        self.room.clear();
        let mut decides = false;
        let mut walked = 0;
        for (at, (name, value)) in event.headers().enumerate() {
            walked = at + 1;
            if self.layout.get(at).is_none_or(|header| header.name != name.as_bytes()) {
                self.layout.truncate(at);
                self.layout.push(Header::new(set, name));
            }
            let header = &self.layout[at];
            if header.decides() {
                decides = true;
                self.room.extend_from_slice(name.as_bytes());
                self.room.push(0xff);
                self.room.extend_from_slice(value.unwrap_or(&[0xfe]));
                self.room.push(0xff);
            }
            for (column, null_is_value) in &header.columns {
                // Of several headers of one name the first one counts.
                let filled = &mut self.filled[*column as usize];
                if *filled == row as u32 + 1 {
                    continue;
                }
                *filled = row as u32 + 1;
                if let Some((tag, span)) = shape::cell(batch, value, *null_is_value) {
                    self.columns.set(*column, row, tag, span.pack());
                }
            }
        }
        let decided = self.decide(event, decides, reads_body);
        self.shape.learn(&self.layout[..walked], batch, row, decided);
        decided
    }

    /// What the headers say that decide, which lie in `room`.
    fn decide(&mut self, event: &Event<'_>, decides: bool, reads_body: bool) -> Decided {
        if !decides {
            return Decided { readable: true, readable_iothub: true, ..Decided::default() };
        }
        if self.room != self.deciding {
            std::mem::swap(&mut self.room, &mut self.deciding);
            let readable = reads_body && body_readable(event, Dialect::Anabranch);
            self.decided = Decided {
                source: Source::of(event),
                readable,
                readable_iothub: readable && body_readable(event, Dialect::IotHub),
                rewrite: event.header(CONTENT_ENCODING).is_some(),
            };
            // An event without data is not readable, whatever its headers say.
            if event.data().is_none() {
                self.deciding.clear();
            }
        }
        self.decided
    }

    /// A value that takes more than one header.
    fn special(&mut self, batch: &Batch, event: &Event<'_>, reference: &Reference, column: ColumnId, row: usize) {
        let (tag, value) = match filter::header_value(*event, reference) {
            Value::Text(text) => self.text(batch, text.as_str()),
            Value::NullText => (Tag::NullText, 0),
            _ => (Tag::Undefined, 0),
        };
        self.columns.set(column, row, tag, value);
    }

    /// A text as a cell: where it lies in the batch, or a copy.
    fn text(&mut self, batch: &Batch, text: &str) -> (Tag, u64) {
        let bytes = batch.bytes().as_ptr_range();
        if bytes.contains(&text.as_ptr()) {
            return (Tag::Text, place(batch, text.as_bytes()).pack());
        }
        let own = self.columns.own_text_mut();
        let span = Span { start: own.len() as u32, len: text.len() as u32 };
        own.extend_from_slice(text.as_bytes());
        (Tag::OwnText, span.pack())
    }
}

/// Where a part of the batch lies in it.
fn place(batch: &Batch, part: &[u8]) -> Span {
    Span { start: (part.as_ptr().addr() - batch.bytes().as_ptr().addr()) as u32, len: part.len() as u32 }
}

impl Header {
    fn decides(&self) -> bool {
        self.role == Role::Decides
    }

    fn new(set: &ColumnSet, name: &str) -> Self {
        let decides = [CONTENT_TYPE, CONTENT_ENCODING, MESSAGE_SOURCE].contains(&name);
        let columns = set.headers().iter().filter_map(|(reference, column)| {
            let null_is_value = fills(reference, name)?;
            Some((*column, null_is_value))
        });
        Self {
            name: name.as_bytes().to_vec(),
            role: if decides { Role::Decides } else { Role::Other },
            columns: columns.collect(),
        }
    }
}

/// The header fills the column of the reference; inner: a null is a value there.
fn fills(reference: &Reference, name: &str) -> Option<bool> {
    match reference {
        Reference::Attribute(attribute) => (name.strip_prefix(CE_PREFIX) == Some(attribute)).then_some(false),
        Reference::Property(property) => {
            let own = name.strip_prefix(APP_PREFIX).or_else(|| (!is_reserved(name)).then_some(name));
            own.is_some_and(|own| own.eq_ignore_ascii_case(property)).then_some(true)
        }
        Reference::System(System::Known(known)) => (known.header == name).then_some(false),
        Reference::System(System::Header(header)) => name.eq_ignore_ascii_case(header).then_some(false),
        _ => None,
    }
}
