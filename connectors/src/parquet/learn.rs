//! Learns columns from events, and from what has no column later on.
//!
//! The rule. Each member gets a column for each kind of values that it has: booleans, numbers, texts, and arrays of one of these;
//! members of objects have dots between the names. The kind that was there most often has the member's name (of equals, in this
//! order), the others have `:bool`, `:number`, `:string`, `:bools`, `:numbers` or `:strings` behind it. So no value ever changes its
//! kind, and one device that does otherwise spoils no column.
//! - Numbers are `int64`, or `uint64` if one is above 2^63 and none below 0, or `float64` as soon as one has a point or an exponent.
//! - Texts are a timestamp if all of them are RFC 3339 in UTC with 0, 3, 6 or 9 digits of a second's fraction, all the same: then the
//!   text comes back from the column. Otherwise they are strings.
//! - Whatever a column does not take stays in `_rest`: arrays of several kinds, arrays of objects or arrays, numbers that a column of
//!   doubles does not hold, members deeper than eight objects, names with a dot or with `_` in front, and what the [`Bounds`] refuse.
//!
//! Afterwards a schema only evolves: columns come, and whole numbers become doubles. A column never goes and never changes its kind.

mod bounds;

use engine::parse::Value;

pub use self::bounds::{Bounds, Refusal, Why};
use super::declared::Nested;
use super::kept::{Change, Widened};
use super::schema::{Column, Schema};
use super::seen::{Kind, Member, Shape, Wanted, merge, see_all};
use super::tree::Level;
use super::types::ColumnType;

/// Most columns that are learnt where nothing else is configured.
pub const COLUMNS_MAX: usize = 1000;

/// What was seen so far.
#[derive(Debug)]
pub struct Learner {
    root: Level<Member>,
    /// How many more members are taken note of.
    left: usize,
    events: usize,
    bounds: Bounds,
}

impl Default for Learner {
    fn default() -> Self {
        Self::new(COLUMNS_MAX)
    }
}

/// What came of learning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learnt {
    /// How the schema changed.
    pub change: Change,
    /// Members, with the kind of their values, that stay in `_rest`.
    pub refused: Vec<Refusal>,
}

impl Learner {
    /// For schemas with so many columns at most.
    pub fn new(columns_max: usize) -> Self {
        Self::within(Bounds::of(columns_max))
    }

    /// For schemas within these bounds.
    pub fn within(bounds: Bounds) -> Self {
        // Objects are members too, and one more member than there may be columns is what shows that there are too many.
        Self { root: Level::default(), left: bounds.columns_max.saturating_mul(2) + 1, events: 0, bounds }
    }

    /// Looks at one event's data.
    pub fn see(&mut self, root: Value<'_>) {
        self.events += 1;
        see_all(&mut self.root, root, 0, &mut self.left);
    }

    /// Events seen so far.
    pub fn events(&self) -> usize {
        self.events
    }

    /// Adds what had no column in an object at a place.
    pub fn add(&mut self, path: &[&str], members: &Level<Member>) {
        if members.is_empty() {
            return;
        }
        let mut level = &mut self.root;
        for name in path {
            let Some(member) = level.find_or_add(name, &mut self.left) else { return };
            level = &mut member.inside;
        }
        merge(level, members, &mut self.left);
    }

    /// A flat schema of what was seen.
    pub fn finish(&self) -> Schema {
        self.finish_as(Nested::Flatten)
    }

    /// A schema of what was seen.
    pub fn finish_as(&self, nested: Nested) -> Schema {
        let mut schema = Schema { nested, ..Schema::new(Vec::new()) };
        self.begin(&mut schema);
        schema
    }

    /// Fills the first version of a schema; what is refused a column.
    pub fn begin(&self, schema: &mut Schema) -> Vec<Refusal> {
        let learnt = self.teach(schema);
        (schema.version, schema.history) = (1, Vec::new());
        learnt.refused
    }

    /// Nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// Lets a schema evolve by what was seen, into its next version if anything is new; and forgets it.
    pub fn evolve(&mut self, schema: &mut Schema) -> Learnt {
        let learnt = self.teach(schema);
        *self = Self::within(std::mem::take(&mut self.bounds));
        learnt
    }

    fn teach(&self, schema: &mut Schema) -> Learnt {
        let mut learnt = Learnt { change: Change::new(schema.version + 1), refused: Vec::new() };
        let known = schema.columns.len();
        self.level(&self.root, &mut Vec::new(), schema, known, &mut learnt);
        if learnt.change.is_any() {
            schema.version = learnt.change.version;
            schema.history.push(learnt.change.clone());
        }
        learnt
    }

    /// The first `known` columns are those of before.
    fn level(
        &self,
        level: &Level<Member>,
        path: &mut Vec<String>,
        schema: &mut Schema,
        known: usize,
        learnt: &mut Learnt,
    ) {
        for (name, member) in level.iter() {
            path.push(name.to_owned());
            let mut wanted = member.wanted();
            // The most frequent first; the others stay in their order.
            wanted.sort_by_key(|wanted| std::cmp::Reverse(wanted.count));
            for wanted in wanted {
                let shape = wanted.shape;
                let is_object = !member.inside.is_empty();
                if let Err(why) = self.column(path, wanted, is_object, schema, known, &mut learnt.change) {
                    learnt.refused.push(Refusal { member: format!("{}{}", path.join("."), shape.suffix()), why });
                }
            }
            self.level(&member.inside, path, schema, known, learnt);
            path.pop();
        }
    }

    /// Sees to it that there is a column for values of a kind at a place, or says why there is none.
    fn column(
        &self,
        path: &[String],
        wanted: Wanted,
        is_object: bool,
        schema: &mut Schema,
        known: usize,
        change: &mut Change,
    ) -> Result<(), Why> {
        let mut here = schema.columns.iter_mut().filter(|column| column.path == path).peekable();
        let is_first = here.peek().is_none();
        if let Some(column) = here.find(|column| Shape::of(&column.r#type) == Some(wanted.shape)) {
            if column.learnt && is_wider(&wanted.r#type, &column.r#type) {
                self.bounds.widen(&column.name, &wanted.r#type)?;
                let (from, to) = (column.r#type.to_string(), wanted.r#type.to_string());
                change.widened.push(Widened { name: column.name.clone(), from, to });
                column.r#type = wanted.r#type;
            }
            return Ok(());
        }
        if schema.columns.len() >= self.bounds.columns_max {
            return Err(Why::Room);
        }
        let plain = path.join(".");
        let other = format!("{plain}{}", wanted.shape.suffix());
        // A struct keeps the name that a value inside of it needs.
        let may_be_plain = is_first && !(schema.nested == Nested::Struct && is_object);
        let names = [may_be_plain.then_some(plain), Some(other)];
        let Some(name) = names.into_iter().flatten().find(|name| !schema.is_taken(name)) else { return Ok(()) };
        // A second column of texts beside one of times takes the texts that are none.
        let r#type = match (is_first, wanted.shape.kind) {
            (false, Kind::Text) if wanted.shape.is_list => ColumnType::List(Box::new(ColumnType::String)),
            (false, Kind::Text) => ColumnType::String,
            _ => wanted.r#type,
        };
        self.bounds.add(&name, &r#type, &schema.columns[..known], schema.nested)?;
        change.added.push(name.clone());
        schema.columns.push(Column::learnt(name, path.to_vec(), r#type));
        Ok(())
    }
}

/// Doubles are wider than whole numbers: they take all that are not beyond 2^53, and those others go to `_rest`.
fn is_wider(new: &ColumnType, old: &ColumnType) -> bool {
    match (new, old) {
        (ColumnType::Float64, ColumnType::Int64 | ColumnType::Uint64) => true,
        (ColumnType::List(new), ColumnType::List(old)) => is_wider(new, old),
        _ => false,
    }
}

impl Schema {
    /// Whether there is a column or a struct of this name, or a column where the name wants a struct.
    pub(super) fn is_taken(&self, name: &str) -> bool {
        let is_inside = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
        self.columns.iter().any(|column| {
            let other = column.name.as_str();
            other == name || self.nested == Nested::Struct && (is_inside(other, name) || is_inside(name, other))
        })
    }
}
