//! Rows on their way into a file: bodies spread over typed columns in one walk over their members.
//!
//! Devices send the same members in the same order, so each level remembers where it was: the next member is compared with
//! the next column first, and only a surprise costs a search.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Schema as ArrowSchema, SchemaRef};
use engine::event::{CE_PREFIX, CONTENT_TYPE, Event};
use engine::lane::Enrichment;
use engine::parse::{Kind, Value};

use super::columns::{ColumnBuilder, Values};
use super::config::ColumnType;
use super::schema::{Schema, rest_fields, system_fields};
use crate::cloudevents::write_json_string;

#[derive(Debug)]
struct Member {
    name: String,
    what: Target,
}

#[derive(Debug)]
enum Target {
    Column(usize, ColumnType),
    Object(Level),
}

#[derive(Debug, Default)]
struct Level {
    members: Vec<Member>,
    /// Where the next member is expected.
    next: usize,
}

impl Level {
    fn find(&mut self, name: &str) -> Option<&mut Target> {
        let at = match self.members.get(self.next) {
            Some(member) if member.name == name => self.next,
            _ => self.members.iter().position(|member| member.name == name)?,
        };
        self.next = at + 1;
        Some(&mut self.members[at].what)
    }

    fn add(&mut self, path: &[String], column: usize, r#type: ColumnType) {
        let Some((name, rest)) = path.split_first() else { return };
        if rest.is_empty() {
            self.members.push(Member { name: name.clone(), what: Target::Column(column, r#type) });
            return;
        }
        let existing =
            self.members.iter().position(|member| member.name == *name && matches!(member.what, Target::Object(_)));
        let at = existing.unwrap_or_else(|| {
            self.members.push(Member { name: name.clone(), what: Target::Object(Level::default()) });
            self.members.len() - 1
        });
        if let Target::Object(level) = &mut self.members[at].what {
            level.add(rest, column, r#type);
        }
    }
}

/// Columns of the node itself, filled from the event.
#[derive(Debug)]
struct System {
    partition: ColumnBuilder,
    offset: ColumnBuilder,
    key: ColumnBuilder,
    time: ColumnBuilder,
    id: ColumnBuilder,
    r#type: ColumnBuilder,
    source: ColumnBuilder,
    attributes: ColumnBuilder,
}

/// See the module.
#[derive(Debug)]
pub struct Table {
    arrow: SchemaRef,
    system: Option<System>,
    root: Level,
    data: Vec<ColumnBuilder>,
    rest: ColumnBuilder,
    raw: ColumnBuilder,
    rows: usize,
    text: Vec<u8>,
}

fn strings() -> ColumnBuilder {
    ColumnBuilder::new(Values::String(Default::default()))
}

impl Table {
    /// An empty table. Without system columns it holds the data only.
    pub fn new(schema: &Schema, with_system: bool) -> Self {
        let mut fields = if with_system { system_fields().to_vec() } else { Vec::new() };
        fields.extend(schema.fields());
        fields.extend(rest_fields().map(Arc::new));
        let mut root = Level::default();
        let mut data = Vec::new();
        for (at, column) in schema.columns.iter().enumerate() {
            root.add(&column.path, at, column.r#type);
            data.push(ColumnBuilder::new(match column.r#type {
                ColumnType::Bool => Values::Bool(Vec::new()),
                ColumnType::Int64 => Values::Int64(Vec::new()),
                ColumnType::Float64 => Values::Float64(Vec::new()),
                ColumnType::String => Values::String(Default::default()),
                ColumnType::TimestampMs => Values::TimestampMs(Vec::new()),
            }));
        }
        let system = with_system.then(|| System {
            partition: ColumnBuilder::new(Values::Int64(Vec::new())),
            offset: ColumnBuilder::new(Values::Int64(Vec::new())),
            key: strings(),
            time: ColumnBuilder::new(Values::TimestampMs(Vec::new())),
            id: strings(),
            r#type: strings(),
            source: strings(),
            attributes: strings(),
        });
        let raw = ColumnBuilder::new(Values::Binary(Default::default()));
        Self {
            arrow: Arc::new(ArrowSchema::new(fields)),
            system,
            root,
            data,
            rest: strings(),
            raw,
            rows: 0,
            text: Vec::new(),
        }
    }

    /// The columns in Arrow's words.
    pub fn arrow_schema(&self) -> &SchemaRef {
        &self.arrow
    }

    /// Rows since the last [`take`](Self::take).
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes in memory.
    pub fn byte_len(&self) -> usize {
        let columns = self.data.iter().chain([&self.rest, &self.raw]).map(ColumnBuilder::byte_len).sum::<usize>();
        columns + if self.system.is_some() { self.rows * 96 } else { 0 }
    }

    /// Appends an event with what its endpoint adds. `body` is its data parsed; `None` where it is no JSON.
    pub fn push(&mut self, event: &Event<'_>, enrichments: &[Enrichment], body: Option<Value<'_>>) {
        let row = self.rows;
        if let Some(system) = &mut self.system {
            system.push(row, event, enrichments, &mut self.text);
        }
        self.text.clear();
        match body {
            Some(body) if matches!(body.kind(), Kind::Object(_)) => {
                spread(&mut self.root, body, row, &mut self.data, &mut self.text, None);
                if !self.text.is_empty() {
                    self.text.push(b'}');
                    self.rest.set_bytes(row, &self.text);
                }
            }
            _ => {
                if let Some(data) = event.data().filter(|data| !data.is_empty()) {
                    self.raw.set_bytes(row, data);
                }
            }
        }
        for column in &mut self.data {
            column.end_row(row);
        }
        self.rest.end_row(row);
        self.raw.end_row(row);
        self.rows += 1;
    }

    /// Takes the rows out as a record batch.
    pub fn take(&mut self) -> RecordBatch {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.arrow.fields().len());
        if let Some(system) = &mut self.system {
            arrays.extend(system.finish());
        }
        arrays.extend(self.data.iter_mut().map(ColumnBuilder::finish));
        arrays.extend([self.rest.finish(), self.raw.finish()]);
        self.rows = 0;
        RecordBatch::try_new(self.arrow.clone(), arrays).expect("the arrays were made for the schema, row by row")
    }
}

impl System {
    fn push(&mut self, row: usize, event: &Event<'_>, enrichments: &[Enrichment], text: &mut Vec<u8>) {
        self.partition.set_i64(row, i64::from(event.partition()));
        self.offset.set_i64(row, event.offset() as i64);
        self.time.set_i64(row, event.timestamp_ms());
        if let Some(key) = event.key().and_then(|key| std::str::from_utf8(key).ok()) {
            self.key.set_bytes(row, key.as_bytes());
        }
        text.clear();
        for (name, value) in event.headers() {
            let value_text = value.and_then(|value| std::str::from_utf8(value).ok());
            match (name.strip_prefix(CE_PREFIX), value_text) {
                (Some("id"), Some(value)) => self.id.set_bytes(row, value.as_bytes()),
                (Some("type"), Some(value)) => self.r#type.set_bytes(row, value.as_bytes()),
                (Some("source"), Some(value)) => self.source.set_bytes(row, value.as_bytes()),
                (None, _) if enrichments.iter().any(|added| added.key.eq_ignore_ascii_case(name)) => {}
                (attribute, _) => {
                    let name = if name == CONTENT_TYPE { "datacontenttype" } else { attribute.unwrap_or(name) };
                    text.push(if text.is_empty() { b'{' } else { b',' });
                    write_json_string(text, name);
                    text.push(b':');
                    match value {
                        Some(value) => write_json_string(text, &String::from_utf8_lossy(value)),
                        None => text.extend_from_slice(b"null"),
                    }
                }
            }
        }
        for added in enrichments {
            text.push(if text.is_empty() { b'{' } else { b',' });
            write_json_string(text, &added.key);
            text.push(b':');
            write_json_string(text, &added.value);
        }
        if !text.is_empty() {
            text.push(b'}');
            self.attributes.set_bytes(row, text);
        }
        for column in [&mut self.key, &mut self.id, &mut self.r#type, &mut self.source, &mut self.attributes] {
            column.end_row(row);
        }
    }

    fn finish(&mut self) -> [ArrayRef; 8] {
        [
            self.partition.finish(),
            self.offset.finish(),
            self.key.finish(),
            self.time.finish(),
            self.id.finish(),
            self.r#type.finish(),
            self.source.finish(),
            self.attributes.finish(),
        ]
    }
}

/// The names above a level, kept on the stack: they are only written down where something has no column.
#[derive(Clone, Copy)]
struct Above<'p> {
    outer: Option<&'p Above<'p>>,
    name: &'p str,
}

impl Above<'_> {
    fn write(&self, out: &mut String) {
        if let Some(outer) = self.outer {
            outer.write(out);
        }
        out.push_str(self.name);
        out.push('.');
    }
}

/// Adds what has no column to the text of a JSON object, names of nested members with dots between.
#[cold]
fn add_rest(text: &mut Vec<u8>, above: Option<&Above<'_>>, name: &str, value: Value<'_>) {
    text.push(if text.is_empty() { b'{' } else { b',' });
    let mut full = String::new();
    if let Some(above) = above {
        above.write(&mut full);
    }
    full.push_str(name);
    write_json_string(text, &full);
    text.push(b':');
    write_value(text, value);
}

fn spread(
    level: &mut Level,
    object: Value<'_>,
    row: usize,
    columns: &mut [ColumnBuilder],
    rest: &mut Vec<u8>,
    above: Option<&Above<'_>>,
) {
    level.next = 0;
    for (name, value) in object.members() {
        match level.find(name) {
            Some(Target::Column(at, r#type)) => {
                let column = &mut columns[*at];
                match (*r#type, value.kind()) {
                    (ColumnType::Bool, Kind::Bool(value)) => column.set_bool(row, value),
                    (ColumnType::Int64 | ColumnType::TimestampMs, Kind::Int(value)) => column.set_i64(row, value),
                    (ColumnType::Float64, Kind::Float(value)) => column.set_f64(row, value),
                    // Only what a double holds exactly; other whole numbers keep their digits in `_rest`.
                    (ColumnType::Float64, Kind::Int(value)) if value.unsigned_abs() <= 1 << 53 => {
                        column.set_f64(row, value as f64);
                    }
                    (ColumnType::String, Kind::String(text)) => column.set_bytes(row, text.as_bytes()),
                    (_, Kind::Null) => {}
                    _ => add_rest(rest, above, name, value),
                }
            }
            Some(Target::Object(level)) if matches!(value.kind(), Kind::Object(_)) => {
                spread(level, value, row, columns, rest, Some(&Above { outer: above, name }));
            }
            _ => add_rest(rest, above, name, value),
        }
    }
}

/// Appends a value as JSON.
pub fn write_value(out: &mut Vec<u8>, value: Value<'_>) {
    use std::io::Write;
    match value.kind() {
        Kind::Null => out.extend_from_slice(b"null"),
        Kind::Bool(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
        Kind::Int(number) => write!(out, "{number}").expect("writing to memory"),
        Kind::Uint(number) => write!(out, "{number}").expect("writing to memory"),
        Kind::Float(number) => write!(out, "{number:?}").expect("writing to memory"),
        Kind::String(text) => write_json_string(out, text),
        Kind::Array(_) => {
            out.push(b'[');
            for (at, element) in value.elements().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_value(out, element);
            }
            out.push(b']');
        }
        Kind::Object(_) => {
            out.push(b'{');
            for (at, (name, member)) in value.members().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_json_string(out, name);
                out.push(b':');
                write_value(out, member);
            }
            out.push(b'}');
        }
    }
}
