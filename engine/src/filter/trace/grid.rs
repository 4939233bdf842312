//! Why a condition of Event Grid's advanced filters answers as it does.

use super::super::eval::{Facts, Interpreter, Whole};
use super::super::grid::{GridCondition, GridOperand};
use super::super::plan::{Reference, Step};
use super::super::value::Value;

/// The value that it looks at and, where the operator cannot use it, what it wants.
pub(super) fn reason(
    interpreter: &Interpreter<Whole<'_>>,
    condition: &GridCondition,
    unread: Option<String>,
) -> String {
    let key = match &condition.key {
        Reference::Attribute(name) => name.to_string(),
        Reference::Body(path) => path.iter().fold("data".to_owned(), |text, step| match step {
            Step::Member(name) => format!("{text}.{name}"),
            Step::Element(index) => format!("{text}[{index}]"),
        }),
        _ => "the key".to_owned(),
    };
    let value = interpreter.facts.value(&condition.key, interpreter.semantics);
    let wanted = match condition.operator.operand() {
        GridOperand::None => None,
        GridOperand::Bool => Some("true or false"),
        GridOperand::Number | GridOperand::Numbers | GridOperand::Ranges => Some("a number"),
        GridOperand::Strings => Some("a string"),
    };
    let is_absent = matches!(value, Value::Undefined | Value::Missing | Value::Null | Value::NullText);
    match (&value, wanted) {
        (Value::Undefined, _) if unread.is_some() => unread.unwrap_or_default(),
        (Value::Undefined | Value::Missing, _) => format!("`{key}` is missing"),
        (_, None) => format!("`{key}` is {value}"),
        (Value::Array(_), Some(_)) if condition.arrays => format!("`{key}` is an {value}"),
        (Value::Array(_), Some(_)) => format!("`{key}` is an {value}; enableAdvancedFilteringOnArrays is not set"),
        (_, Some(wanted)) if condition.hit(&value).is_none() && !is_absent => {
            format!("`{key}` is {value}, not {wanted}: it counts as missing")
        }
        _ => format!("`{key}` is {value}"),
    }
}
