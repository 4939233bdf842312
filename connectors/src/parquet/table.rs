//! Rows on their way into a file: bodies spread over typed columns in one walk over their members.
//!
//! Devices send the same members in the same order, so each level remembers where it was: the next member is compared with
//! the next column first, and only a surprise costs a search.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Schema as ArrowSchema, SchemaRef};
use engine::event::Event;
use engine::lane::Enrichment;
use engine::parse::{Kind, Value};

use super::columns::{ColumnBuilder, Values};
use super::config::ColumnType;
use super::rest::{self, Above};
use super::schema::{Schema, rest_fields, system_fields};
use super::system::SystemColumns;

#[derive(Debug)]
struct Member {
    name: String,
    column: Option<(usize, ColumnType)>,
    /// What is inside, where the member is an object. A member may be both: devices do not agree on everything.
    inside: Option<Level>,
}

#[derive(Debug, Default)]
struct Level {
    /// In the order of the columns.
    members: Vec<Member>,
    /// Indexes into `members` in the order of their names.
    sorted: Vec<usize>,
    /// Where the next member is expected.
    next: usize,
}

impl Level {
    #[inline]
    fn find(&mut self, name: &str) -> Option<&mut Member> {
        let at = match self.members.get(self.next) {
            Some(member) if member.name == name => self.next,
            _ => self.search(name)?,
        };
        self.next = at + 1;
        Some(&mut self.members[at])
    }

    fn search(&self, name: &str) -> Option<usize> {
        self.sorted
            .binary_search_by(|at| self.members[*at].name.as_str().cmp(name))
            .ok()
            .map(|found| self.sorted[found])
    }

    fn add(&mut self, path: &[String], column: usize, r#type: ColumnType) {
        let Some((name, inner)) = path.split_first() else { return };
        let at = self.search(name).unwrap_or_else(|| {
            let at = self.members.len();
            let place = self.sorted.partition_point(|at| self.members[*at].name < *name);
            self.sorted.insert(place, at);
            self.members.push(Member { name: name.clone(), column: None, inside: None });
            at
        });
        let member = &mut self.members[at];
        if inner.is_empty() {
            member.column = Some((column, r#type));
        } else {
            member.inside.get_or_insert_default().add(inner, column, r#type);
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Table {
    arrow: SchemaRef,
    system: Option<SystemColumns>,
    root: Level,
    data: Vec<ColumnBuilder>,
    rest: ColumnBuilder,
    raw: ColumnBuilder,
    rows: usize,
    text: Vec<u8>,
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
        Self {
            arrow: Arc::new(ArrowSchema::new(fields)),
            system: with_system.then(SystemColumns::new),
            root,
            data,
            rest: ColumnBuilder::new(Values::String(Default::default())),
            raw: ColumnBuilder::new(Values::Binary(Default::default())),
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
        columns + self.system.as_ref().map_or(0, SystemColumns::byte_len)
    }

    /// Appends an event with what its endpoint adds. `body` is its data parsed; `None` where it is no JSON.
    pub fn push(&mut self, event: &Event<'_>, enrichments: &[Enrichment], body: Option<Value<'_>>) {
        let row = self.rows;
        if row == 0 {
            self.reserve();
        }
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

    fn reserve(&mut self) {
        if let Some(system) = &mut self.system {
            system.reserve();
        }
        self.data.iter_mut().chain([&mut self.rest, &mut self.raw]).for_each(ColumnBuilder::reserve);
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
        let Some(member) = level.find(name) else {
            rest::add(rest, above, name, value);
            continue;
        };
        let column = member.column.map(|(at, r#type)| (&mut columns[at], r#type));
        match (column, value.kind()) {
            (Some((column, ColumnType::Bool)), Kind::Bool(value)) => column.set_bool(row, value),
            (Some((column, ColumnType::Int64 | ColumnType::TimestampMs)), Kind::Int(value)) => {
                column.set_i64(row, value)
            }
            (Some((column, ColumnType::Float64)), Kind::Float(value)) => column.set_f64(row, value),
            // Only what a double holds exactly; other whole numbers keep their digits in `_rest`.
            (Some((column, ColumnType::Float64)), Kind::Int(value)) if value.unsigned_abs() <= 1 << 53 => {
                column.set_f64(row, value as f64);
            }
            (Some((column, ColumnType::String)), Kind::String(text)) => column.set_bytes(row, text.as_bytes()),
            (Some(_), Kind::Null) => {}
            // An object without members would leave no trace in the columns.
            (_, Kind::Object(members)) if members > 0 && member.inside.is_some() => {
                if let Some(inside) = &mut member.inside {
                    spread(inside, value, row, columns, rest, Some(&Above { outer: above, name }));
                }
            }
            _ => rest::add(rest, above, name, value),
        }
    }
}
