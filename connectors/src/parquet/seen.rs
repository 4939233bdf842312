//! What was seen of members that have no column: how often which kind of value, and what a column for them would have to hold.
//!
//! Seeing a member again allocates nothing.

use engine::parse::{Kind as JsonKind, Value};

use super::time;
use super::tree::Level;
use super::types::{ColumnType, Unit};

/// Deepest nesting that is looked into.
const DEPTH_MAX: usize = 8;

/// Kinds of values that get columns of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` and `false`.
    Bool,
    /// Numbers.
    Number,
    /// Texts.
    Text,
}

/// A kind, alone or in arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Of the values.
    pub kind: Kind,
    /// They are the elements of arrays.
    pub is_list: bool,
}

impl Shape {
    /// What a column's name ends with if it is not the first one of its member.
    pub fn suffix(self) -> &'static str {
        match (self.kind, self.is_list) {
            (Kind::Bool, false) => ":bool",
            (Kind::Number, false) => ":number",
            (Kind::Text, false) => ":string",
            (Kind::Bool, true) => ":bools",
            (Kind::Number, true) => ":numbers",
            (Kind::Text, true) => ":strings",
        }
    }

    /// What a column of this type holds; `None` for types that are never learnt.
    pub fn of(r#type: &ColumnType) -> Option<Self> {
        let kind = match r#type.item() {
            ColumnType::Bool => Kind::Bool,
            ColumnType::Int64 | ColumnType::Uint64 | ColumnType::Float64 => Kind::Number,
            ColumnType::String => Kind::Text,
            _ => return None,
        };
        Some(Self { kind, is_list: matches!(r#type, ColumnType::List(_)) })
    }
}

/// How often values of the three kinds were there, and what they were like.
#[derive(Clone, Copy, Debug, Default)]
struct Values {
    bools: u64,
    numbers: u64,
    has_floats: bool,
    has_negatives: bool,
    /// Above what 63 bits hold.
    has_large: bool,
    texts: u64,
    plain: Plain,
}

/// Whether all texts are times that come back as they were written, and of which unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Plain {
    #[default]
    Nothing,
    All(Unit),
    Not,
}

impl Plain {
    fn of(text: &str) -> Self {
        let looks_so = text.len() >= 20 && text.as_bytes()[0].is_ascii_digit();
        let written = looks_so.then(|| time::parse(text.as_bytes())).flatten();
        match written.and_then(|written| written.plain.filter(|unit| written.in_unit(*unit).is_ok())) {
            Some(unit) => Self::All(unit),
            None => Self::Not,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, other) | (other, Self::Nothing) => other,
            (one, other) if one == other => one,
            _ => Self::Not,
        }
    }
}

impl Values {
    fn merge(&mut self, other: &Self) {
        self.bools += other.bools;
        self.numbers += other.numbers;
        self.texts += other.texts;
        self.has_floats |= other.has_floats;
        self.has_negatives |= other.has_negatives;
        self.has_large |= other.has_large;
        self.plain = self.plain.and(other.plain);
    }

    /// Notes a value; whether it is of one of the kinds, or null.
    fn see(&mut self, value: Value<'_>) -> bool {
        match value.kind() {
            JsonKind::Null => return true,
            JsonKind::Array(_) | JsonKind::Object(_) => return false,
            JsonKind::Bool(_) => self.bools += 1,
            JsonKind::String(text) => {
                self.texts += 1;
                if self.plain != Plain::Not {
                    self.plain = self.plain.and(Plain::of(text));
                }
            }
            JsonKind::Int(number) => {
                self.numbers += 1;
                self.has_negatives |= number < 0;
            }
            JsonKind::Uint(_) => {
                self.numbers += 1;
                self.has_large = true;
            }
            JsonKind::Float(_) => {
                self.numbers += 1;
                self.has_floats = true;
            }
        }
        true
    }

    fn number(&self) -> ColumnType {
        match (self.has_floats, self.has_large && !self.has_negatives) {
            (true, _) => ColumnType::Float64,
            (false, true) => ColumnType::Uint64,
            (false, false) => ColumnType::Int64,
        }
    }

    fn text(&self) -> ColumnType {
        match self.plain {
            Plain::All(unit) => ColumnType::Timestamp(unit),
            Plain::Nothing | Plain::Not => ColumnType::String,
        }
    }
}

/// What was seen of a member.
#[derive(Debug, Default)]
pub struct Member {
    single: Values,
    lists: Values,
    /// Of the objects that it was.
    pub inside: Level<Member>,
}

/// A column that would hold what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of what values.
    pub shape: Shape,
    /// Of what type.
    pub r#type: ColumnType,
    /// How often they were there.
    pub count: u64,
}

impl Member {
    fn note(&mut self, value: Value<'_>) {
        if !matches!(value.kind(), JsonKind::Array(_)) {
            self.single.see(value);
            return;
        }
        let mut items = Values::default();
        let fits = value.elements().all(|element| items.see(element));
        let kinds = [&mut items.bools, &mut items.numbers, &mut items.texts];
        // Of one kind; then the array counts, not its elements.
        if fits && kinds.iter().filter(|count| ***count > 0).count() == 1 {
            kinds.into_iter().for_each(|count| *count = (*count).min(1));
            self.lists.merge(&items);
        }
    }

    /// The columns that would hold it all.
    pub fn wanted(&self) -> Vec<Wanted> {
        let mut found = Vec::new();
        for (values, is_list) in [(&self.single, false), (&self.lists, true)] {
            for (kind, count, r#type) in [
                (Kind::Bool, values.bools, ColumnType::Bool),
                (Kind::Number, values.numbers, values.number()),
                (Kind::Text, values.texts, values.text()),
            ] {
                if count > 0 {
                    let r#type = if is_list { ColumnType::List(Box::new(r#type)) } else { r#type };
                    found.push(Wanted { shape: Shape { kind, is_list }, r#type, count });
                }
            }
        }
        found
    }
}

/// Notes the members of an object. `left` is how many more members are taken note of.
pub fn see_all(level: &mut Level<Member>, object: Value<'_>, depth: usize, left: &mut usize) {
    level.begin();
    for (name, value) in object.members() {
        see(level, name, value, depth, left);
    }
}

/// Notes one member of an object that is `depth` objects deep.
pub fn see(level: &mut Level<Member>, name: &str, value: Value<'_>, depth: usize, left: &mut usize) {
    // Names with `_` in front are the node's own; a name with a dot would read as a path.
    if name.is_empty() || name.contains('.') || (depth == 0 && name.starts_with('_')) {
        return;
    }
    let is_object = matches!(value.kind(), JsonKind::Object(_));
    if is_object && depth + 1 >= DEPTH_MAX {
        return;
    }
    let Some(member) = level.find_or_add(name, left) else { return };
    if is_object {
        see_all(&mut member.inside, value, depth + 1, left);
    } else {
        member.note(value);
    }
}

/// Adds what was seen elsewhere.
pub fn merge(to: &mut Level<Member>, from: &Level<Member>, left: &mut usize) {
    for (name, member) in from.iter() {
        let Some(to) = to.find_or_add(name, left) else { return };
        to.single.merge(&member.single);
        to.lists.merge(&member.lists);
        merge(&mut to.inside, &member.inside, left);
    }
}
