//! Why a filter answers as it does: the value of every sub-expression for one event, and a few words where it needs them.

mod grid;
mod reason;

use super::Span;
use super::eval::{Interpreter, Whole};
use super::plan::Expr;
use super::value::Value;

/// A sub-expression with its value for one event.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Where it stands in the filter's text.
    pub span: Span,
    /// Its value as text: `true`, `21.5`, `'hot'`, `undefined`, `missing`, `array of 3 elements`.
    pub value: String,
    /// Why it has this value, where that is not plain.
    pub reason: Option<String>,
    /// What it is made of, from left to right.
    pub children: Vec<Trace>,
}

/// Traces `expr` and all below it.
pub(super) fn trace<'v>(interpreter: &Interpreter<Whole<'v>>, expr: &'v Expr) -> Trace {
    let mut children = Vec::new();
    let mut values: Vec<Value<'v>> = Vec::new();
    expr.each_child(&mut |child| {
        // Every part is shown, those too that the interpreter need not look at: evaluation changes nothing.
        values.push(interpreter.value(child));
        children.push(trace(interpreter, child));
    });
    let value = interpreter.value(expr);
    let reason = reason::reason(interpreter, expr, &value, &values);
    Trace { span: expr.span.clone(), value: value.to_string(), reason, children }
}
