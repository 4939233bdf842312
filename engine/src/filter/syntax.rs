//! What was written, before any name has a meaning: the tree between parser and check.
//!
//! No tree is higher than [`limits::FILTER_DEPTH_MAX`](crate::limits::FILTER_DEPTH_MAX), so it may be walked by recursion.

use super::Span;
pub use crate::parse::Step;

/// A piece of the text with what it is.
#[derive(Debug)]
pub(super) struct Node {
    pub kind: NodeKind,
    pub span: Span,
    /// Height of the tree below, this node included.
    pub height: usize,
}

#[derive(Debug)]
pub(super) enum NodeKind {
    /// Something wrong that has been reported.
    Error,
    String(String),
    Number(f64),
    Bool(bool),
    Null,
    Undefined,
    Name(Name),
    Not(Box<Node>),
    Negate(Box<Node>),
    /// `AND` of two or more.
    And(Vec<Node>),
    /// `OR` of two or more.
    Or(Vec<Node>),
    Binary {
        op: BinaryOp,
        op_span: Span,
        left: Box<Node>,
        right: Box<Node>,
    },
    In {
        value: Box<Node>,
        list: Vec<Node>,
        negated: bool,
    },
    Between {
        value: Box<Node>,
        low: Box<Node>,
        high: Box<Node>,
        negated: bool,
    },
    Like {
        value: Box<Node>,
        pattern: Box<Node>,
        escape: Option<Box<Node>>,
        negated: bool,
    },
    IsNull {
        value: Box<Node>,
        negated: bool,
    },
    Exists(Box<Node>),
    Call {
        name: String,
        name_span: Span,
        args: Vec<Node>,
    },
}

/// A reference as written. In the IoT Hub dialect `head` is the whole text of the token and `rest` is empty.
#[derive(Debug)]
pub(super) struct Name {
    pub sigil: Sigil,
    pub head: String,
    pub head_span: Span,
    pub rest: Vec<(Step, Span)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sigil {
    /// `name`
    Bare,
    /// `` `name` ``
    Quoted,
    /// `$name`
    Dollar,
    /// `{$name}`
    Braced,
}

/// An operator with two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BinaryOp {
    Compare(Comparison),
    Arithmetic(Arithmetic),
    Join,
    Coalesce,
}

/// Comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=` or `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

impl Comparison {
    /// As written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
        }
    }

    /// Equality, as opposed to order.
    pub fn is_equality(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual)
    }
}

/// Arithmetic operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`, with the sign of the left side
    Remainder,
}

impl Arithmetic {
    /// As written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

impl BinaryOp {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Compare(op) => op.symbol(),
            Self::Arithmetic(op) => op.symbol(),
            Self::Join => "||",
            Self::Coalesce => "??",
        }
    }
}
