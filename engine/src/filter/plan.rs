//! The plan: a filter with every name resolved, every type known, every pattern compiled. All dialects end here.
//!
//! Its shapes are open to inspection, because what evaluates filters fast (indexes, columns) is built from them. The plain
//! interpreter in `eval` is what they mean.

use std::fmt;

use super::functions::Function;
use super::grid::GridCondition;
use super::pattern::Pattern;
pub use super::syntax::{Arithmetic, Comparison};
use super::topic::TopicFilter;
use super::{Dialect, Span};
use crate::event::SystemProperty;
pub use crate::parse::{Path, Step};

/// What is known about a value before any event is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A string: properties, attributes, string functions.
    String,
    /// A number.
    Number,
    /// True or false.
    Bool,
    /// The literal `null`.
    Null,
    /// The literal `undefined`.
    Undefined,
    /// Whatever the event's data holds.
    Dynamic,
}

impl Type {
    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Bool => "bool",
            Self::Null => "null",
            Self::Undefined => "undefined",
            Self::Dynamic => "dynamic",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A sub-expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it computes.
    pub kind: ExprKind,
    /// Its type.
    pub ty: Type,
    /// Where it stands in the text.
    pub span: Span,
}

/// What a sub-expression computes.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A constant.
    Literal(Literal),
    /// A part of the event.
    Reference(Reference),
    /// `NOT x`
    Not(Box<Expr>),
    /// `-x`
    Negate(Box<Expr>),
    /// `a AND b AND …`, two or more
    And(Vec<Expr>),
    /// `a OR b OR …`, two or more
    Or(Vec<Expr>),
    /// `a < b` and its kin
    Compare {
        /// Operator.
        op: Comparison,
        /// Left side.
        left: Box<Expr>,
        /// Right side.
        right: Box<Expr>,
    },
    /// `a + b` and its kin
    Arithmetic {
        /// Operator.
        op: Arithmetic,
        /// Left side.
        left: Box<Expr>,
        /// Right side.
        right: Box<Expr>,
    },
    /// `a || b`: strings joined
    Join(Box<Expr>, Box<Expr>),
    /// `a ?? b`: `a` if it is defined, else `b`
    Coalesce(Box<Expr>, Box<Expr>),
    /// `x IN (a, b)`: the same as `x = a OR x = b`
    In {
        /// What is looked for.
        value: Box<Expr>,
        /// Where; one or more.
        list: Vec<Expr>,
        /// `NOT IN`
        negated: bool,
    },
    /// `x BETWEEN a AND b`: the same as `x >= a AND x <= b`
    Between {
        /// What is compared.
        value: Box<Expr>,
        /// Least.
        low: Box<Expr>,
        /// Most.
        high: Box<Expr>,
        /// `NOT BETWEEN`
        negated: bool,
    },
    /// `x LIKE 'pattern'`
    Like {
        /// What is matched.
        value: Box<Expr>,
        /// With what.
        pattern: Pattern,
        /// `NOT LIKE`
        negated: bool,
    },
    /// `x IS NULL`: true if it is absent or null; never undefined
    IsNull {
        /// What is asked for.
        value: Box<Expr>,
        /// `IS NOT NULL`
        negated: bool,
    },
    /// `EXISTS(path)`: true if it is there, even as null, object or array; never undefined
    Exists(Reference),
    /// A function
    Call {
        /// Which.
        function: Function,
        /// Its arguments, checked in number and type.
        args: Vec<Expr>,
    },
    /// `twin_change_includes(path)`: the path is there in the body of a twin change
    TwinChangeIncludes(Reference),
    /// An advanced filter of Event Grid; never undefined
    Grid(Box<GridCondition>),
    /// `topic_matches(x, 'filter')`, and all there is in the MQTT dialect
    Topic {
        /// The topic.
        value: Box<Expr>,
        /// What takes it.
        filter: TopicFilter,
    },
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Text.
    String(Box<str>),
    /// A double; NaN is undefined.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// `undefined`.
    Undefined,
}

/// A part of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A CloudEvents attribute or extension, by its exact name.
    Attribute(Box<str>),
    /// An application property; its name compares without case.
    Property(Box<str>),
    /// A system property of the IoT Hub profile.
    System(System),
    /// `$name` of the IoT Hub dialect: the system property, else the application property whose name starts with `$`.
    SystemOrProperty {
        /// The system property.
        system: System,
        /// Name of the application property, `$` included.
        property: Box<str>,
    },
    /// A value in the JSON data.
    Body(Path),
    /// A body that has no value in the IoT Hub dialect: `$body` alone, or with an index right behind it.
    NoBody,
    /// A column of a batch: what a route table makes of the others. No text compiles to it.
    Column(u32),
}

/// As it is written in the default dialect, quotes around odd names left out.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(name) => f.write_str(name),
            Self::Property(name) => write!(f, "$property.{name}"),
            Self::System(System::Known(known)) => write!(f, "${}", known.keyword),
            Self::System(System::Header(header)) => write!(f, "${header}"),
            Self::SystemOrProperty { property, .. } => f.write_str(property),
            Self::Body(path) => {
                f.write_str("$body")?;
                path.iter().try_for_each(|step| match step {
                    Step::Member(name) => write!(f, ".{name}"),
                    Step::Element(index) => write!(f, "[{index}]"),
                })
            }
            Self::NoBody => f.write_str("$body"),
            Self::Column(column) => write!(f, "$column{column}"),
        }
    }
}

/// A system property: one that is known, or one that is stored under `iothub-` and its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum System {
    /// In the vocabulary of the engine.
    Known(SystemProperty),
    /// Any other: the name of its header.
    Header(Box<str>),
}

/// A dialect's answers where the dialects differ in meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Semantics {
    /// Which rules.
    pub dialect: Dialect,
    /// Strings of the data that look like a date and time are undefined, as seen on Azure (sheet 1.7.8, C5).
    pub azure_date_quirk: bool,
}

impl Semantics {
    /// `null` can be compared, a missing value counts as null for `=` and `!=`, and values of different kinds are unequal
    /// (sheet 1.7.8, C2 and C4). Otherwise all of these are undefined.
    pub fn compares_null_and_kinds(self) -> bool {
        matches!(self.dialect, Dialect::IotHub | Dialect::DigitalTwins)
    }

    /// Lengths and positions count UTF-16 code units; otherwise characters.
    pub fn counts_utf16(self) -> bool {
        self.dialect == Dialect::IotHub
    }

    /// Objects and arrays count as defined.
    pub fn compounds_are_defined(self) -> bool {
        !matches!(self.dialect, Dialect::IotHub | Dialect::DigitalTwins)
    }

    /// The data must be an object; otherwise any JSON value.
    pub fn body_is_object(self) -> bool {
        self.dialect == Dialect::IotHub
    }
}

impl Expr {
    /// Calls `visit` for this and every sub-expression, parents first.
    pub fn walk<'e>(&'e self, visit: &mut impl FnMut(&'e Expr)) {
        visit(self);
        self.each_child(&mut |child| child.walk(visit));
    }

    /// Changes every reference by `change` and forgets the places in the text.
    pub fn rewrite(&mut self, change: &mut impl FnMut(&mut Reference)) {
        self.span = 0..0;
        match &mut self.kind {
            ExprKind::Literal(_) => {}
            ExprKind::Reference(reference) | ExprKind::Exists(reference) | ExprKind::TwinChangeIncludes(reference) => {
                change(reference);
            }
            ExprKind::Grid(condition) => change(&mut condition.key),
            ExprKind::Not(inner)
            | ExprKind::Negate(inner)
            | ExprKind::Like { value: inner, .. }
            | ExprKind::Topic { value: inner, .. }
            | ExprKind::IsNull { value: inner, .. } => inner.rewrite(change),
            ExprKind::And(parts) | ExprKind::Or(parts) | ExprKind::Call { args: parts, .. } => {
                parts.iter_mut().for_each(|part| part.rewrite(change));
            }
            ExprKind::Compare { left, right, .. }
            | ExprKind::Arithmetic { left, right, .. }
            | ExprKind::Join(left, right)
            | ExprKind::Coalesce(left, right) => {
                left.rewrite(change);
                right.rewrite(change);
            }
            ExprKind::In { value, list, .. } => {
                value.rewrite(change);
                list.iter_mut().for_each(|item| item.rewrite(change));
            }
            ExprKind::Between { value, low, high, .. } => {
                value.rewrite(change);
                low.rewrite(change);
                high.rewrite(change);
            }
        }
    }

    /// Calls `visit` for the direct sub-expressions, from left to right.
    pub fn each_child<'e>(&'e self, visit: &mut dyn FnMut(&'e Expr)) {
        match &self.kind {
            ExprKind::Literal(_)
            | ExprKind::Reference(_)
            | ExprKind::Exists(_)
            | ExprKind::TwinChangeIncludes(_)
            | ExprKind::Grid(_) => {}
            ExprKind::Not(inner)
            | ExprKind::Negate(inner)
            | ExprKind::Like { value: inner, .. }
            | ExprKind::Topic { value: inner, .. }
            | ExprKind::IsNull { value: inner, .. } => visit(inner),
            ExprKind::And(parts) | ExprKind::Or(parts) | ExprKind::Call { args: parts, .. } => {
                parts.iter().for_each(visit);
            }
            ExprKind::Compare { left, right, .. }
            | ExprKind::Arithmetic { left, right, .. }
            | ExprKind::Join(left, right)
            | ExprKind::Coalesce(left, right) => {
                visit(left);
                visit(right);
            }
            ExprKind::In { value, list, .. } => {
                visit(value);
                list.iter().for_each(visit);
            }
            ExprKind::Between { value, low, high, .. } => {
                visit(value);
                visit(low);
                visit(high);
            }
        }
    }

    /// The data is read somewhere in it.
    pub fn reads_body(&self) -> bool {
        let mut reads = false;
        self.walk(&mut |expr| {
            reads |= match &expr.kind {
                ExprKind::Reference(reference) | ExprKind::Exists(reference) => matches!(reference, Reference::Body(_)),
                ExprKind::TwinChangeIncludes(_) => true,
                ExprKind::Grid(condition) => matches!(condition.key, Reference::Body(_)),
                _ => false,
            };
        });
        reads
    }

    /// Worst-case work of one evaluation, in units of about one comparison.
    pub fn cost(&self) -> u32 {
        let mut cost = 0u32;
        self.walk(&mut |expr| cost = cost.saturating_add(expr.own_cost()));
        cost
    }

    fn own_cost(&self) -> u32 {
        let reference = |reference: &Reference| match reference {
            // A look-up walks the headers of the event.
            Reference::Attribute(_) | Reference::Property(_) | Reference::System(_) => 4,
            Reference::SystemOrProperty { .. } => 8,
            Reference::Body(path) => path_cost(path),
            Reference::NoBody | Reference::Column(_) => 1,
        };
        match &self.kind {
            ExprKind::Reference(found) | ExprKind::Exists(found) | ExprKind::TwinChangeIncludes(found) => {
                reference(found)
            }
            ExprKind::Like { pattern, .. } => pattern.cost(),
            ExprKind::Grid(condition) => reference(&condition.key).saturating_add(condition.cost()),
            ExprKind::Topic { filter, .. } => filter.cost(),
            ExprKind::Join(..) => 8,
            ExprKind::Call { function, .. } => function.cost(),
            _ => 1,
        }
    }
}

fn path_cost(path: &[Step]) -> u32 {
    path.iter()
        .map(|step| match step {
            Step::Member(_) => 4,
            Step::Element(index) => 1 + index / 16,
        })
        .fold(0, u32::saturating_add)
}
