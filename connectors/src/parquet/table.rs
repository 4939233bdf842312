//! Rows on their way into a file: an event's data spread over typed columns in one walk over its members.
//!
//! What always holds, for whoever makes the same rows by a faster way:
//! - The data's columns are filled from a JSON object, member by member. A member goes to the first column of its place that takes it
//!   ([`fit`](super::fit) says what each type takes); null goes nowhere. An object with members, at a place with columns inside,
//!   is spread over them, whatever else is there. Everything else goes to `_rest` under its name, names above it with dots in front, as
//!   JSON with the digits of its numbers as written. In an object below which there is no column everything stays as it is.
//! - A declared column that does not take a value is null, or its default if it is never null, and `_errors` says why; or the
//!   event is refused and leaves no trace. A learnt column says nothing. What no member filled is the default, or null, or refused
//!   where the column is never null.
//! - A `json` column of an object has all of it; columns inside are filled beside it, and nothing of it goes to `_rest`.
//! - Of duplicate members the last one counts, in whatever object that has a column at or below them; within values of `_rest` and `json`
//!   they stand as they came.
//! - Data that is no JSON object is in `_data`, byte by byte, and fills no column. No data, or data without bytes, is null there.
//! - Columns with an attribute read that, and their mismatches go to `_errors` alone.
//! - With `nested = "struct"` a batch is the same one, with its columns in structs ([`nest`](super::nest)).
//!
//! Members are found by their place first ([`tree`](super::tree)), and once the columns have their size no event allocates, but for
//! what `_errors` says.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use engine::event::{CE_PREFIX, CONTENT_TYPE, Event};
use engine::lane::Enrichment;
use engine::parse::{Kind, NumberTexts, Value};

use super::cells::{Cells, Plan};
use super::columns::ColumnBuilder;
use super::learn::Learner;
use super::nest::Layout;
use super::piece::Piece;
use super::schema::Schema;
use super::slot::Slot;
use super::spread::{Members, Refused, Spread, Stop, Texts, why};
use super::system::SystemColumns;
use super::types::ColumnType;

/// Members without a column that a table takes note of.
const UNKNOWN_MAX: usize = 2001;

/// An event's data, parsed, and the text it was parsed from.
#[derive(Clone, Copy, Debug)]
pub struct Body<'b> {
    /// The outermost value.
    pub root: Value<'b>,
    /// The text.
    pub text: &'b [u8],
}

/// See the module.
#[derive(Debug)]
pub struct Table {
    arrow: SchemaRef,
    layout: Layout,
    system: Option<SystemColumns>,
    root: Members,
    slots: Vec<Slot>,
    /// How the extractor reads the data for these columns.
    plan: Arc<Plan>,
    /// Slots that read an attribute, with its name.
    attributes: Vec<(usize, String)>,
    /// Slots that are never null and have no default.
    required: Vec<usize>,
    rest: ColumnBuilder,
    raw: ColumnBuilder,
    errors: Option<ColumnBuilder>,
    rows: usize,
    mismatches: u64,
    walk: u64,
    /// How many more members without a column are taken note of; none where nobody learns.
    left: usize,
    texts: Texts,
}

impl Table {
    /// An empty table. Without system columns it holds the data only.
    pub fn new(schema: &Schema, with_system: bool) -> Self {
        let mut root = Members::default();
        let mut attributes = Vec::new();
        for (at, column) in schema.columns.iter().enumerate() {
            match &column.attribute {
                Some(attribute) => attributes.push((at, attribute.clone())),
                None => root.add(&column.path, at),
            }
        }
        let slots: Vec<Slot> = schema.columns.iter().map(Slot::new).collect();
        let required = (0..slots.len()).filter(|at| slots[*at].is_required && slots[*at].default.is_none()).collect();
        Self {
            arrow: Arc::new(schema.arrow(with_system)),
            layout: schema.layout(),
            system: with_system.then(SystemColumns::new),
            root,
            slots,
            plan: Arc::new(Plan::new(schema, None)),
            attributes,
            required,
            rest: ColumnBuilder::new(&ColumnType::String),
            raw: ColumnBuilder::new(&ColumnType::Binary),
            errors: schema.has_errors().then(|| ColumnBuilder::new(&ColumnType::String)),
            rows: 0,
            mismatches: 0,
            walk: 0,
            left: 0,
            texts: Texts::default(),
        }
    }

    /// Takes note of what has no column, for [`teach`](Self::teach).
    pub fn observing(mut self) -> Self {
        self.left = UNKNOWN_MAX;
        self
    }

    /// With a plan for the same schema that other tables have too: the extractor learns the shapes of events by plan.
    pub fn with_plan(mut self, plan: &Arc<Plan>) -> Self {
        self.plan = plan.clone();
        self
    }

    /// How data is to be read for [`push_cells`](Self::push_cells).
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Shows a learner what had no column.
    pub fn teach(&self, learner: &mut Learner) {
        self.root.teach(&mut Vec::new(), learner);
    }

    /// The columns in Arrow's words.
    pub fn arrow_schema(&self) -> &SchemaRef {
        &self.arrow
    }

    /// Rows since the last [`take`](Self::take).
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows of which `_errors` says something, since the table was made.
    pub fn mismatches(&self) -> u64 {
        self.mismatches
    }

    /// Bytes in memory.
    pub fn byte_len(&self) -> usize {
        let data = self.slots.iter().map(|slot| slot.builder.byte_len()).sum::<usize>();
        let others = [Some(&self.rest), Some(&self.raw), self.errors.as_ref()];
        let others = others.into_iter().flatten().map(ColumnBuilder::byte_len).sum::<usize>();
        data + others + self.system.as_ref().map_or(0, SystemColumns::byte_len)
    }

    /// Appends an event with what its endpoint adds. `body` is its data parsed; `None` where it is no JSON. A refused event leaves
    /// the table as it was.
    pub fn push(
        &mut self,
        event: &Event<'_>,
        enrichments: &[Enrichment],
        body: Option<Body<'_>>,
    ) -> Result<(), Refused> {
        let row = self.rows;
        if row == 0 {
            self.reserve();
        }
        let filled = self.fill(row, event, enrichments, body);
        if let Err(refused) = filled {
            self.take_back(row);
            return Err(refused);
        }
        for slot in &mut self.slots {
            slot.end_row(row);
        }
        self.rest.end_row(row);
        self.raw.end_row(row);
        if let Some(errors) = &mut self.errors {
            errors.end_row(row);
        }
        self.rows += 1;
        Ok(())
    }

    /// Appends some of the rows from `first` on of what was read from `pieces` by this table's [`plan`](Self::plan): those that are plain,
    /// `most` at most. `first` is. Says how many; a refused event leaves the table as it was.
    pub fn push_cells(
        &mut self,
        cells: &Cells,
        first: usize,
        most: usize,
        pieces: &[Piece<'_>],
    ) -> Result<usize, Refused> {
        // Each attribute may be one that does not fit.
        let most = if self.attributes.is_empty() { most } else { 1 };
        let len = cells.plain_from(first, most);
        let row = self.rows;
        if row == 0 {
            self.reserve();
        }
        if let Some(system) = &mut self.system {
            for at in 0..len {
                let enrichments = pieces[cells.piece(first + at)].enrichments;
                system.push(row + at, &cells.event(first + at, pieces), enrichments, &mut self.texts.room);
            }
        }
        self.texts.errors.clear();
        let bytes = cells.bytes(pieces);
        for (column, slot) in self.slots.iter_mut().enumerate() {
            if self.plan.reads(column) {
                slot.extend(column, cells, first..first + len, bytes);
            }
        }
        if !self.attributes.is_empty() {
            let (event, enrichments) = (cells.event(first, pieces), pieces[cells.piece(first)].enrichments);
            let filled = self.read_attributes(row, &event, enrichments).and_then(|()| self.check_required(row));
            if let Err(refused) = filled {
                self.take_back(row);
                return Err(refused);
            }
            self.slots.iter_mut().for_each(|slot| slot.end_row(row));
        }
        self.rest.extend_nulls(len);
        self.raw.extend_nulls(len);
        if let Some(errors) = &mut self.errors {
            match self.texts.errors.finish() {
                Some(text) => {
                    self.mismatches += 1;
                    errors.set_bytes(row, text);
                }
                None => errors.extend_nulls(len),
            }
        }
        self.rows += len;
        Ok(len)
    }

    fn check_required(&self, row: usize) -> Result<(), Refused> {
        match self.required.iter().find(|at| self.slots[**at].builder.rows() == row) {
            Some(missing) => {
                Err(Refused { column: self.slots[*missing].name.clone(), why: "there is no value".to_owned() })
            }
            None => Ok(()),
        }
    }

    fn fill(
        &mut self,
        row: usize,
        event: &Event<'_>,
        enrichments: &[Enrichment],
        body: Option<Body<'_>>,
    ) -> Result<(), Refused> {
        if let Some(system) = &mut self.system {
            system.push(row, event, enrichments, &mut self.texts.room);
        }
        self.texts.rest.clear();
        self.texts.errors.clear();
        match body {
            Some(body) if matches!(body.root.kind(), Kind::Object(_)) => self.spread(row, body)?,
            _ => {
                if let Some(data) = event.data().filter(|data| !data.is_empty()) {
                    self.raw.set_bytes(row, data);
                }
            }
        }
        if !self.attributes.is_empty() {
            self.read_attributes(row, event, enrichments)?;
        }
        self.check_required(row)?;
        if let Some(text) = self.texts.rest.finish() {
            self.rest.set_bytes(row, text);
        }
        if let (Some(errors), Some(text)) = (&mut self.errors, self.texts.errors.finish()) {
            self.mismatches += 1;
            errors.set_bytes(row, text);
        }
        Ok(())
    }

    fn spread(&mut self, row: usize, body: Body<'_>) -> Result<(), Refused> {
        let spread = |this: &mut Self, dedupes| {
            this.walk += 1;
            let Self { root, slots, left, texts, walk, .. } = this;
            let numbers = NumberTexts::new(body.root, body.text);
            Spread { row, walk: *walk, dedupes, slots, left, texts, numbers }.object(root, body.root, None, 0, false)
        };
        if spread(self, false).is_ok() {
            return Ok(());
        }
        // A value that is refused may be one that does not count.
        self.slots.iter_mut().for_each(|slot| slot.builder.truncate(row));
        self.texts.rest.clear();
        self.texts.errors.clear();
        match spread(self, true) {
            Err(Stop::Refused(refused)) => Err(refused),
            Ok(()) | Err(Stop::Repeated) => Ok(()),
        }
    }

    fn read_attributes(&mut self, row: usize, event: &Event<'_>, enrichments: &[Enrichment]) -> Result<(), Refused> {
        for (at, name) in &self.attributes {
            let slot = &mut self.slots[*at];
            let Some(bytes) = attribute(event, enrichments, name) else { continue };
            let Err(misfit) = slot.fit.set_attribute(&mut slot.builder, row, bytes, &mut self.texts.room) else {
                continue;
            };
            let why = why(&String::from_utf8_lossy(bytes), misfit, &slot.fit.r#type);
            if slot.refuses {
                return Err(Refused { column: slot.name.clone(), why });
            }
            if !slot.is_required {
                slot.builder.end_row(row);
            }
            self.texts.errors.add_text(&slot.name, &why);
        }
        Ok(())
    }

    #[cold]
    fn take_back(&mut self, row: usize) {
        if let Some(system) = &mut self.system {
            system.truncate(row);
        }
        let others = [Some(&mut self.rest), Some(&mut self.raw), self.errors.as_mut()];
        let data = self.slots.iter_mut().map(|slot| &mut slot.builder);
        data.chain(others.into_iter().flatten()).for_each(|builder| builder.truncate(row));
    }

    fn reserve(&mut self) {
        if let Some(system) = &mut self.system {
            system.reserve();
        }
        let others = [Some(&mut self.rest), Some(&mut self.raw), self.errors.as_mut()];
        let data = self.slots.iter_mut().map(|slot| &mut slot.builder);
        data.chain(others.into_iter().flatten()).for_each(ColumnBuilder::reserve);
    }

    /// Takes the rows out as a record batch.
    pub fn take(&mut self) -> RecordBatch {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.arrow.fields().len());
        if let Some(system) = &mut self.system {
            arrays.extend(system.finish());
        }
        let flat: Vec<ArrayRef> = self.slots.iter_mut().map(|slot| slot.builder.finish()).collect();
        let fields = &self.arrow.fields()[arrays.len()..];
        arrays.extend(self.layout.arrays(fields, flat));
        arrays.extend([self.rest.finish(), self.raw.finish()]);
        arrays.extend(self.errors.as_mut().map(ColumnBuilder::finish));
        self.rows = 0;
        RecordBatch::try_new(self.arrow.clone(), arrays).expect("the arrays were made for the schema, row by row")
    }
}

/// What came with an event under a name: the key, an attribute as sent, an enrichment, or an application property.
fn attribute<'e>(event: &Event<'e>, enrichments: &'e [Enrichment], name: &str) -> Option<&'e [u8]> {
    if name == "key" {
        return event.key();
    }
    let sent = event.headers().raw().find(|(header, _)| {
        header.strip_prefix(CE_PREFIX.as_bytes()) == Some(name.as_bytes())
            || (name == "datacontenttype" && *header == CONTENT_TYPE.as_bytes())
    });
    if let Some((_, value)) = sent {
        return value;
    }
    if let Some(enrichment) = enrichments.iter().find(|enrichment| enrichment.key.eq_ignore_ascii_case(name)) {
        return Some(enrichment.value.as_bytes());
    }
    event.properties().find(|(property, _)| property.eq_ignore_ascii_case(name))?.1
}
