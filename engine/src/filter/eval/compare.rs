//! Comparison: which values can be compared, and how the dialects answer where they cannot.

use std::cmp::Ordering;

use super::super::plan::{Comparison, Semantics};
use super::super::value::{Truth, Value};

/// `left op right`
pub(in super::super) fn compare(op: Comparison, left: &Value<'_>, right: &Value<'_>, semantics: Semantics) -> Truth {
    match op {
        Comparison::Equal => equal(left, right, semantics).into(),
        Comparison::NotEqual => equal(left, right, semantics).map(|equal| !equal).into(),
        Comparison::Less => order(left, right, semantics).map(Ordering::is_lt).into(),
        Comparison::LessEqual => order(left, right, semantics).map(Ordering::is_le).into(),
        Comparison::Greater => order(left, right, semantics).map(Ordering::is_gt).into(),
        Comparison::GreaterEqual => order(left, right, semantics).map(Ordering::is_ge).into(),
    }
}

/// `None` where the question has no answer.
fn equal(left: &Value<'_>, right: &Value<'_>, semantics: Semantics) -> Option<bool> {
    use Value::{Array, Bool, Missing, Null, NullText, Number, Object, Text, Undefined};
    match (left, right) {
        (Undefined | NullText | Array(_) | Object(_), _) | (_, Undefined | NullText | Array(_) | Object(_)) => None,
        (Bool(left), Bool(right)) => Some(left == right),
        (Number(left), Number(right)) => Some(left == right),
        (Text(left), Text(right)) => Some(left == right),
        _ if !semantics.compares_null_and_kinds() => None,
        (Null | Missing, Null | Missing) => Some(true),
        _ => Some(false),
    }
}

fn order(left: &Value<'_>, right: &Value<'_>, semantics: Semantics) -> Option<Ordering> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => left.partial_cmp(right),
        (Value::Text(left), Value::Text(right)) => {
            let (left, right) = (left.as_str(), right.as_str());
            // Both orders are the same but for characters beyond the first plane.
            Some(if semantics.counts_utf16() && !(left.is_ascii() && right.is_ascii()) {
                left.encode_utf16().cmp(right.encode_utf16())
            } else {
                left.cmp(right)
            })
        }
        _ => None,
    }
}
