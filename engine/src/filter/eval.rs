//! The plain interpreter: what a filter means, written to be read. Everything faster is held to it and never replaces it.
//!
//! It walks the plan by recursion (bounded by [`limits::FILTER_DEPTH_MAX`](crate::limits::FILTER_DEPTH_MAX)), cannot fail, and
//! takes memory only for strings that a function puts together. Where the values of references come from is a parameter
//! ([`Facts`]): the event itself, or columns of a batch. What is done with them is written once.

mod body;
mod call;
mod compare;
mod grid;
mod number;
mod reference;
mod text;

pub use body::{body_readable, body_text};
pub(super) use compare::compare;

use super::plan::{Arithmetic, Comparison, Expr, ExprKind, Literal, Reference, Semantics, Type};
use super::value::{Truth, Value};
use crate::event::Event;
use crate::parse;

/// Where a reference leads for one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Into data that cannot be read.
    Unreadable,
    /// Nowhere.
    Absent,
    /// To a value, be it null.
    Present,
}

/// What is known about one event.
pub trait Facts<'v>: Copy {
    /// The value of a reference.
    fn value(&self, reference: &'v Reference, semantics: Semantics) -> Value<'v>;
    /// Where the reference leads.
    fn presence(&self, reference: &'v Reference, semantics: Semantics) -> Presence;
    /// Calls `visit` for each element if the value of the reference is an array.
    fn elements(&self, reference: &'v Reference, semantics: Semantics, visit: &mut dyn FnMut(Value<'v>));
}

/// The event itself and its parsed data.
#[derive(Clone, Copy)]
pub(super) struct Whole<'v> {
    pub event: Event<'v>,
    pub body: Option<parse::Value<'v>>,
}

/// One event under one filter.
#[derive(Clone, Copy)]
pub(super) struct Interpreter<F> {
    pub facts: F,
    pub semantics: Semantics,
}

impl<'v, F: Facts<'v>> Interpreter<F> {
    /// Result of a whole filter.
    pub fn result(&self, root: &'v Expr) -> Truth {
        self.truth(root)
    }

    /// Value of a sub-expression as a condition: the literal null, or what is null for sure, counts as false.
    fn truth(&self, expr: &'v Expr) -> Truth {
        match self.value(expr) {
            Value::Null if expr.ty == Type::Null => Truth::False,
            value => value.truth(),
        }
    }

    /// Value of a sub-expression.
    pub fn value(&self, expr: &'v Expr) -> Value<'v> {
        match &expr.kind {
            ExprKind::Literal(literal) => literal_value(literal),
            ExprKind::Reference(reference) => self.facts.value(reference, self.semantics),
            ExprKind::Not(inner) => self.truth(inner).negated_if(true).into(),
            ExprKind::Negate(inner) => self.value(inner).as_number().map_or(Value::Undefined, |x| Value::number(-x)),
            // `null and x` is null, whatever x is.
            ExprKind::And(_) if expr.ty == Type::Null => Value::Null,
            ExprKind::And(parts) => self.all(parts).into(),
            ExprKind::Or(parts) => self.any(parts).into(),
            ExprKind::Compare { op, left, right } => {
                compare(*op, &self.value(left), &self.value(right), self.semantics).into()
            }
            ExprKind::Arithmetic { op, left, right } => self.arithmetic(*op, left, right),
            ExprKind::Join(left, right) => self.join(&[left, right]),
            ExprKind::Coalesce(left, right) => match self.value(left) {
                value if self.is_defined(&value) => value,
                _ => self.value(right),
            },
            ExprKind::In { value, list, negated } => {
                let value = self.value(value);
                let equal = |item| compare(Comparison::Equal, &value, &self.value(item), self.semantics);
                list.iter().map(equal).fold(Truth::False, Truth::or).negated_if(*negated).into()
            }
            ExprKind::Between { value, low, high, negated } => {
                let value = self.value(value);
                let low = compare(Comparison::GreaterEqual, &value, &self.value(low), self.semantics);
                let high = compare(Comparison::LessEqual, &value, &self.value(high), self.semantics);
                low.and(high).negated_if(*negated).into()
            }
            ExprKind::Like { value, pattern, negated } => {
                let matches = self.value(value).as_text().map(|text| pattern.matches(text));
                Truth::from(matches).negated_if(*negated).into()
            }
            ExprKind::IsNull { value, negated } => {
                let is_null =
                    matches!(self.value(value), Value::Undefined | Value::Missing | Value::Null | Value::NullText);
                Value::Bool(is_null != *negated)
            }
            ExprKind::Exists(reference) => {
                Value::Bool(self.facts.presence(reference, self.semantics) == Presence::Present)
            }
            ExprKind::Call { function, args } => self.call(*function, args),
            ExprKind::TwinChangeIncludes(path) => match self.facts.presence(path, self.semantics) {
                Presence::Unreadable => Value::Undefined,
                presence => Value::Bool(presence == Presence::Present),
            },
            ExprKind::Grid(condition) => Value::Bool(self.grid(condition)),
            ExprKind::Topic { value, filter } => {
                Truth::from(self.value(value).as_text().map(|topic| filter.matches(topic))).into()
            }
        }
    }

    fn all(&self, parts: &'v [Expr]) -> Truth {
        let mut result = Truth::True;
        for part in parts {
            result = result.and(self.truth(part));
            if result == Truth::False {
                break;
            }
        }
        result
    }

    fn any(&self, parts: &'v [Expr]) -> Truth {
        let mut result = Truth::False;
        for part in parts {
            result = result.or(self.truth(part));
            if result == Truth::True {
                break;
            }
        }
        result
    }

    fn arithmetic(&self, op: Arithmetic, left: &'v Expr, right: &'v Expr) -> Value<'v> {
        let (Some(left), Some(right)) = (self.value(left).as_number(), self.value(right).as_number()) else {
            return Value::Undefined;
        };
        Value::number(match op {
            Arithmetic::Add => left + right,
            Arithmetic::Subtract => left - right,
            Arithmetic::Multiply => left * right,
            Arithmetic::Divide => left / right,
            Arithmetic::Remainder => left % right,
        })
    }

    /// Defined in the sense of `is_defined` and `??`.
    pub fn is_defined(&self, value: &Value<'_>) -> bool {
        match value {
            Value::Undefined | Value::Missing => false,
            Value::Array(_) | Value::Object(_) => self.semantics.compounds_are_defined(),
            _ => true,
        }
    }
}

impl<'v> Whole<'v> {
    /// The data, where the dialect reads such data at all.
    pub fn root(&self, semantics: Semantics) -> Option<parse::Value<'v>> {
        let root = self.body?;
        let fits = !semantics.body_is_object() || matches!(root.kind(), parse::Kind::Object(_));
        fits.then_some(root)
    }
}

fn literal_value(literal: &Literal) -> Value<'_> {
    match literal {
        Literal::String(text) => Value::text(text),
        Literal::Number(value) => Value::number(*value),
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Null => Value::Null,
        Literal::Undefined => Value::Undefined,
    }
}
