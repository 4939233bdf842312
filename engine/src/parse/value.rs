//! One JSON value inside a parsed body: a slice of the tape that starts with it.

use simd_json::{Node, StaticNode};

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind<'d> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number that fits
    Int(i64),
    /// A whole number above `i64::MAX`
    Uint(u64),
    /// Any other number
    Float(f64),
    /// A string, unescaped
    String(&'d str),
    /// An array with this many elements
    Array(usize),
    /// An object with this many members, duplicates counted
    Object(usize),
}

/// A value; cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Value<'d>(&'d [Node<'d>]);

impl<'d> Value<'d> {
    pub(super) fn new(tape: &'d [Node<'d>]) -> Self {
        Self(tape)
    }

    /// The tape from this value to the end of the body.
    pub(super) fn nodes(self) -> &'d [Node<'d>] {
        self.0
    }

    /// Its kind, with the content of a scalar.
    #[inline]
    pub fn kind(self) -> Kind<'d> {
        match self.0[0] {
            Node::Static(StaticNode::Null) => Kind::Null,
            Node::Static(StaticNode::Bool(value)) => Kind::Bool(value),
            Node::Static(StaticNode::I64(value)) => Kind::Int(value),
            Node::Static(StaticNode::U64(value)) => i64::try_from(value).map_or(Kind::Uint(value), Kind::Int),
            Node::Static(StaticNode::F64(value)) => Kind::Float(value),
            Node::String(text) => Kind::String(text),
            Node::Array { len, .. } => Kind::Array(len),
            Node::Object { len, .. } => Kind::Object(len),
        }
    }

    /// A number as the nearest double.
    pub fn as_f64(self) -> Option<f64> {
        match self.kind() {
            Kind::Int(value) => Some(value as f64),
            Kind::Uint(value) => Some(value as f64),
            Kind::Float(value) => Some(value),
            _ => None,
        }
    }

    /// A string's text.
    pub fn as_str(self) -> Option<&'d str> {
        match self.kind() {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// Nodes that this value takes on the tape.
    #[inline]
    fn extent(self) -> usize {
        match self.0[0] {
            Node::Array { count, .. } | Node::Object { count, .. } => count + 1,
            _ => 1,
        }
    }

    /// Member of an object; of duplicates the last one.
    #[inline]
    pub fn get(self, name: &str) -> Option<Value<'d>> {
        self.members().filter(|(found, _)| *found == name).last().map(|(_, value)| value)
    }

    /// Element of an array.
    pub fn at(self, index: usize) -> Option<Value<'d>> {
        self.elements().nth(index)
    }

    /// All members in the order written; nothing for other kinds.
    pub fn members(self) -> impl Iterator<Item = (&'d str, Value<'d>)> {
        let mut left = match self.0[0] {
            Node::Object { len, .. } => len,
            _ => 0,
        };
        let mut rest = &self.0[1..];
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let Node::String(name) = rest[0] else { return None };
            let value = Value(&rest[1..]);
            rest = &rest[1 + value.extent()..];
            Some((name, value))
        })
    }

    /// All elements; nothing for other kinds.
    pub fn elements(self) -> impl Iterator<Item = Value<'d>> {
        let mut left = match self.0[0] {
            Node::Array { len, .. } => len,
            _ => 0,
        };
        let mut rest = &self.0[1..];
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let value = Value(rest);
            rest = &rest[value.extent()..];
            Some(value)
        })
    }
}
