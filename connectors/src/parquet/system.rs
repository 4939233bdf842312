//! The node's own columns: where an event lies in the log, whose it is, when it was, and everything that came with it.

use arrow_array::ArrayRef;
use base64::Engine as _;
use engine::event::{APP_PREFIX, CE_PREFIX, CONTENT_TYPE, Event};
use engine::lane::Enrichment;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimeParser;

use super::columns::ColumnBuilder;
use super::types::{ColumnType, Unit};
use crate::cloudevents::write_json_string;

/// The builders, in the order of [`system_fields`](super::schema::system_fields).
#[derive(Debug)]
pub struct SystemColumns {
    partition: ColumnBuilder,
    offset: ColumnBuilder,
    key: ColumnBuilder,
    time: ColumnBuilder,
    ingest_time: ColumnBuilder,
    id: ColumnBuilder,
    r#type: ColumnBuilder,
    source: ColumnBuilder,
    attributes: ColumnBuilder,
}

impl SystemColumns {
    pub fn new() -> Self {
        let strings = || ColumnBuilder::new(&ColumnType::String);
        let times = || ColumnBuilder::new(&ColumnType::Timestamp(Unit::Ms));
        Self {
            partition: ColumnBuilder::new(&ColumnType::Int64),
            offset: ColumnBuilder::new(&ColumnType::Int64),
            key: strings(),
            time: times(),
            ingest_time: times(),
            id: strings(),
            r#type: strings(),
            source: strings(),
            attributes: strings(),
        }
    }

    fn all(&mut self) -> [&mut ColumnBuilder; 9] {
        [
            &mut self.partition,
            &mut self.offset,
            &mut self.key,
            &mut self.time,
            &mut self.ingest_time,
            &mut self.id,
            &mut self.r#type,
            &mut self.source,
            &mut self.attributes,
        ]
    }

    /// Bytes in memory.
    pub fn byte_len(&self) -> usize {
        let Self { partition, offset, key, time, ingest_time, id, r#type, source, attributes } = self;
        [partition, offset, key, time, ingest_time, id, r#type, source, attributes]
            .map(ColumnBuilder::byte_len)
            .iter()
            .sum()
    }

    /// Makes room for as many rows as there were last.
    pub fn reserve(&mut self) {
        self.all().into_iter().for_each(ColumnBuilder::reserve);
    }

    /// Takes rows back, so that `rows` are left.
    pub fn truncate(&mut self, rows: usize) {
        self.all().into_iter().for_each(|column| column.truncate(rows));
    }

    /// Fills the row; `text` is room to work in.
    pub fn push(&mut self, row: usize, event: &Event<'_>, enrichments: &[Enrichment], text: &mut Vec<u8>) {
        self.partition.set_i64(row, i64::from(event.partition()));
        self.offset.set_i64(row, event.offset() as i64);
        self.ingest_time.set_i64(row, event.timestamp_ms());
        text.clear();
        match event.key().map(std::str::from_utf8) {
            Some(Ok(key)) => self.key.set_bytes(row, key.as_bytes()),
            Some(Err(_)) => add(text, "_key", event.key()),
            None => {}
        }
        let mut time = None;
        for (name, value) in event.headers() {
            let column = match name {
                "ce_id" => Some(&mut self.id),
                "ce_type" => Some(&mut self.r#type),
                "ce_source" => Some(&mut self.source),
                _ => None,
            };
            if let Some(column) = column
                && let Some(value) = value.filter(|value| std::str::from_utf8(value).is_ok())
            {
                column.set_bytes(row, value);
            } else if let Some(attribute) = name.strip_prefix(CE_PREFIX) {
                let parsed = value.filter(|_| attribute == "time").and_then(parse_time);
                time = parsed.or(time);
                // What the column cannot hold is kept as it was written.
                if parsed.is_none_or(|time| time.subsec_nanosecond() % 1_000_000 != 0) {
                    add(text, attribute, value);
                }
            } else if name == CONTENT_TYPE {
                add(text, "datacontenttype", value);
            } else {
                let own = name.strip_prefix(APP_PREFIX).unwrap_or(name);
                if !enrichments.iter().any(|enrichment| enrichment.key.eq_ignore_ascii_case(own)) {
                    add(text, own, value);
                }
            }
        }
        for enrichment in enrichments {
            add(text, &enrichment.key, Some(enrichment.value.as_bytes()));
        }
        self.time.set_i64(row, time.map_or_else(|| event.timestamp_ms(), Timestamp::as_millisecond));
        if !text.is_empty() {
            text.push(b'}');
            self.attributes.set_bytes(row, text);
        }
        self.all().into_iter().for_each(|column| column.end_row(row));
    }

    /// The arrays; the builders are empty afterwards.
    pub fn finish(&mut self) -> [ArrayRef; 9] {
        self.all().map(ColumnBuilder::finish)
    }
}

/// An RFC 3339 time.
fn parse_time(text: &[u8]) -> Option<Timestamp> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    PARSER.parse_timestamp(text).ok()
}

/// Adds a member to the text of an object. Bytes that are no text become `{"base64": …}`.
fn add(object: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    object.push(if object.is_empty() { b'{' } else { b',' });
    write_json_string(object, name);
    object.push(b':');
    match value.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => object.extend_from_slice(b"null"),
        Some((_, Ok(text))) => write_json_string(object, text),
        Some((bytes, Err(_))) => {
            object.extend_from_slice(b"{\"base64\":");
            write_json_string(object, &base64::engine::general_purpose::STANDARD.encode(bytes));
            object.push(b'}');
        }
    }
}
