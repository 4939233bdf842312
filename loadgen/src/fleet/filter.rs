//! A few simple filters, evaluated from the seed: what an endpoint should have got, without asking anything of ours.
//!
//! `FIELD OP VALUE`, joined by `and`; OP is one of = != < <= > >=; VALUE is a number, `true`, `false`, or text in single quotes. A field
//! that an event does not have matches nothing.

use std::sync::Arc;

use super::{FieldPlace, Model, Value};

/// A filter over the events of one model.
#[derive(Clone, Debug)]
pub struct Filter {
    model: Arc<Model>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug)]
struct Condition {
    place: FieldPlace,
    compare: Compare,
    with: With,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug)]
enum With {
    Number(f64),
    Text(String),
    Bool(bool),
}

/// A filter that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Not of the form `field op value`.
    #[error(
        "`{0}` is no condition; write FIELD OP VALUE with one of = != < <= > >=, as in: temp > 30 and status = 'ok'"
    )]
    Condition(String),
    /// The value is neither a number, a truth value nor quoted text.
    #[error("`{0}` is no value; write a number, true, false, or text in single quotes")]
    Value(String),
    /// No profile has this field.
    #[error("no device has a field `{field}`; there are: {known}")]
    Unknown {
        /// The name.
        field: String,
        /// Those that there are.
        known: String,
    },
}

impl Filter {
    /// Reads a filter.
    pub fn parse(text: &str, model: &Arc<Model>) -> Result<Self, FilterError> {
        let conditions = parts(text).into_iter().map(|part| condition(part, model)).collect::<Result<_, _>>()?;
        Ok(Self { model: model.clone(), conditions })
    }

    /// Whether event `seq` of a device matches.
    pub fn matches(&self, seed: u64, device: u32, seq: u32) -> bool {
        self.conditions.iter().all(|condition| {
            let value = self.model.value(seed, device, seq, &condition.place);
            value.is_some_and(|value| condition.holds(&value))
        })
    }
}

impl Condition {
    fn holds(&self, value: &Value) -> bool {
        let ordering = match (&self.with, value) {
            (With::Number(with), Value::Number { .. }) => value.as_f64().and_then(|value| value.partial_cmp(with)),
            (With::Text(with), Value::Text(text)) => Some(text.as_str().cmp(with)),
            (With::Bool(with), Value::Bool(value)) if matches!(self.compare, Compare::Equal | Compare::NotEqual) => {
                Some(value.cmp(with))
            }
            _ => None,
        };
        ordering.is_some_and(|ordering| match self.compare {
            Compare::Equal => ordering.is_eq(),
            Compare::NotEqual => ordering.is_ne(),
            Compare::Less => ordering.is_lt(),
            Compare::LessOrEqual => ordering.is_le(),
            Compare::Greater => ordering.is_gt(),
            Compare::GreaterOrEqual => ordering.is_ge(),
        })
    }
}

/// Splits at `and` outside quotes.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut quoted) = (Vec::new(), 0, false);
    let lower = text.to_ascii_lowercase();
    for (at, char) in text.char_indices() {
        quoted ^= char == '\'';
        if !quoted && lower[at..].starts_with(" and ") {
            parts.push(text[from..at].trim());
            from = at + 5;
        }
    }
    parts.push(text[from.min(text.len())..].trim());
    parts
}

fn condition(text: &str, model: &Model) -> Result<Condition, FilterError> {
    let no = || FilterError::Condition(text.to_owned());
    let at = text.find(['=', '!', '<', '>']).ok_or_else(no)?;
    let (field, rest) = (text[..at].trim(), &text[at..]);
    let (compare, width) = match rest.as_bytes() {
        [b'=', b'=', ..] => (Compare::Equal, 2),
        [b'=', ..] => (Compare::Equal, 1),
        [b'!', b'=', ..] | [b'<', b'>', ..] => (Compare::NotEqual, 2),
        [b'<', b'=', ..] => (Compare::LessOrEqual, 2),
        [b'<', ..] => (Compare::Less, 1),
        [b'>', b'=', ..] => (Compare::GreaterOrEqual, 2),
        [b'>', ..] => (Compare::Greater, 1),
        _ => return Err(no()),
    };
    let value = rest[width..].trim();
    if field.is_empty() || value.is_empty() {
        return Err(no());
    }
    let with = match value {
        "true" => With::Bool(true),
        "false" => With::Bool(false),
        _ => match value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            Some(text) => With::Text(text.replace("''", "'")),
            None => With::Number(value.parse().map_err(|_| FilterError::Value(value.to_owned()))?),
        },
    };
    let field = field.strip_prefix("$body.").unwrap_or(field);
    let place = model
        .find(field)
        .ok_or_else(|| FilterError::Unknown { field: field.to_owned(), known: model.field_names().join(", ") })?;
    Ok(Condition { place, compare, with })
}
