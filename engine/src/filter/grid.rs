//! A condition of Event Grid's advanced filters (sheet `eventgrid-eventhubs-servicebus.md` 3.2): one key, one operator, some
//! operands. Open to inspection, because indexes are built from it.
//!
//! What always holds: the operands are of the kind that the operator wants, and there is at least one unless it wants none;
//! texts are [folded](super::fold) but for the two exact operators; a condition is true or false, never undefined.

use super::case::fold_char;
use super::plan::Reference;
use super::{Value, fold};

#[cfg(test)]
mod tests;

/// One advanced filter.
#[derive(Clone, Debug, PartialEq)]
pub struct GridCondition {
    /// What is looked at: an attribute, or a member of the data.
    pub key: Reference,
    /// What is asked.
    pub operator: GridOperator,
    /// With what it is compared.
    pub values: GridValues,
    /// The elements of an array are looked at; otherwise an array counts as no value. False for attributes, which hold none.
    pub arrays: bool,
}

/// The operands of a condition.
#[derive(Clone, Debug, PartialEq)]
pub enum GridValues {
    /// The null tests have none.
    None,
    /// Of `BoolEquals`.
    Bool(bool),
    /// One or more, finite.
    Numbers(Box<[f64]>),
    /// One or more, finite: least and most, both inside.
    Ranges(Box<[(f64, f64)]>),
    /// One or more, folded unless the operator is exact.
    Strings(Box<[Box<str>]>),
}

impl GridValues {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Bool(_) => 1,
            Self::Numbers(numbers) => numbers.len(),
            Self::Ranges(ranges) => ranges.len(),
            Self::Strings(strings) => strings.len(),
        }
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a condition asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GridOperator {
    /// Equal to one of the numbers.
    NumberIn,
    /// Equal to none of the numbers.
    NumberNotIn,
    /// Below the number.
    NumberLessThan,
    /// Not above the number.
    NumberLessThanOrEquals,
    /// Above the number.
    NumberGreaterThan,
    /// Not below the number.
    NumberGreaterThanOrEquals,
    /// In one of the ranges.
    NumberInRange,
    /// In none of the ranges.
    NumberNotInRange,
    /// The same truth.
    BoolEquals,
    /// Equal to one of the texts.
    StringIn,
    /// Equal to none of the texts.
    StringNotIn,
    /// Has one of the texts in it.
    StringContains,
    /// Starts with one of the texts.
    StringBeginsWith,
    /// Ends with one of the texts.
    StringEndsWith,
    /// Has none of the texts in it.
    StringNotContains,
    /// Starts with none of the texts.
    StringNotBeginsWith,
    /// Ends with none of the texts.
    StringNotEndsWith,
    /// It is absent or null.
    IsNullOrUndefined,
    /// It is there and not null.
    IsNotNull,
    /// `subjectBeginsWith` with regard to case. No advanced filter can ask it.
    ExactBeginsWith,
    /// `subjectEndsWith` with regard to case. No advanced filter can ask it.
    ExactEndsWith,
}

/// What operands an operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GridOperand {
    /// None.
    None,
    /// One number.
    Number,
    /// Numbers.
    Numbers,
    /// Pairs of numbers.
    Ranges,
    /// One truth.
    Bool,
    /// Texts.
    Strings,
}

impl GridOperator {
    /// Those that an advanced filter can name.
    pub const NAMED: [Self; 19] = [
        Self::NumberIn,
        Self::NumberNotIn,
        Self::NumberLessThan,
        Self::NumberLessThanOrEquals,
        Self::NumberGreaterThan,
        Self::NumberGreaterThanOrEquals,
        Self::NumberInRange,
        Self::NumberNotInRange,
        Self::BoolEquals,
        Self::StringIn,
        Self::StringNotIn,
        Self::StringContains,
        Self::StringBeginsWith,
        Self::StringEndsWith,
        Self::StringNotContains,
        Self::StringNotBeginsWith,
        Self::StringNotEndsWith,
        Self::IsNullOrUndefined,
        Self::IsNotNull,
    ];

    /// Its `operatorType`; for the exact ones the member of the filter that asks it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NumberIn => "NumberIn",
            Self::NumberNotIn => "NumberNotIn",
            Self::NumberLessThan => "NumberLessThan",
            Self::NumberLessThanOrEquals => "NumberLessThanOrEquals",
            Self::NumberGreaterThan => "NumberGreaterThan",
            Self::NumberGreaterThanOrEquals => "NumberGreaterThanOrEquals",
            Self::NumberInRange => "NumberInRange",
            Self::NumberNotInRange => "NumberNotInRange",
            Self::BoolEquals => "BoolEquals",
            Self::StringIn => "StringIn",
            Self::StringNotIn => "StringNotIn",
            Self::StringContains => "StringContains",
            Self::StringBeginsWith => "StringBeginsWith",
            Self::StringEndsWith => "StringEndsWith",
            Self::StringNotContains => "StringNotContains",
            Self::StringNotBeginsWith => "StringNotBeginsWith",
            Self::StringNotEndsWith => "StringNotEndsWith",
            Self::IsNullOrUndefined => "IsNullOrUndefined",
            Self::IsNotNull => "IsNotNull",
            Self::ExactBeginsWith => "subjectBeginsWith",
            Self::ExactEndsWith => "subjectEndsWith",
        }
    }

    /// The operator with that `operatorType`.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|operator| operator.name() == name)
    }

    /// What operands it wants.
    pub fn operand(self) -> GridOperand {
        match self {
            Self::NumberIn | Self::NumberNotIn => GridOperand::Numbers,
            Self::NumberLessThan
            | Self::NumberLessThanOrEquals
            | Self::NumberGreaterThan
            | Self::NumberGreaterThanOrEquals => GridOperand::Number,
            Self::NumberInRange | Self::NumberNotInRange => GridOperand::Ranges,
            Self::BoolEquals => GridOperand::Bool,
            Self::IsNullOrUndefined | Self::IsNotNull => GridOperand::None,
            _ => GridOperand::Strings,
        }
    }

    /// No operand may hit, instead of any one.
    pub fn is_negative(self) -> bool {
        matches!(
            self,
            Self::NumberNotIn
                | Self::NumberNotInRange
                | Self::StringNotIn
                | Self::StringNotContains
                | Self::StringNotBeginsWith
                | Self::StringNotEndsWith
        )
    }

    /// Its answer where there is no value that it can look at: absent, null, or of another kind. Of the negative operators
    /// only those that ask for equality (or a range) take it.
    pub fn takes_nothing(self) -> bool {
        matches!(self, Self::NumberNotIn | Self::NumberNotInRange | Self::StringNotIn | Self::IsNullOrUndefined)
    }

    /// The answer of the condition, where `hit` says whether an operand hits a value, if there is a value to look at.
    pub fn decide(self, hit: Option<bool>) -> bool {
        hit.map_or(self.takes_nothing(), |hit| hit != self.is_negative())
    }
}

impl GridCondition {
    /// Whether some operand hits the value: equals it, is in it, … For negative operators the same question: see
    /// [`GridOperator::decide`]. `None` if the value is not of the operator's kind. Of the null tests: whether it is the one asked for.
    pub fn hit(&self, value: &Value<'_>) -> Option<bool> {
        let is_null = matches!(value, Value::Undefined | Value::Missing | Value::Null | Value::NullText);
        match (&self.values, value) {
            (GridValues::None, _) => Some(is_null == (self.operator == GridOperator::IsNullOrUndefined)),
            (GridValues::Bool(operand), Value::Bool(value)) => Some(value == operand),
            (GridValues::Numbers(operands), Value::Number(value)) => {
                Some(operands.iter().any(|operand| self.operator.compares(*value, *operand)))
            }
            (GridValues::Ranges(ranges), Value::Number(value)) => {
                Some(ranges.iter().any(|(least, most)| least <= value && value <= most))
            }
            (GridValues::Strings(operands), Value::Text(value)) => Some(self.operator.finds(value.as_str(), operands)),
            _ => None,
        }
    }

    /// Worst-case work, without the look-up of the key.
    pub(super) fn cost(&self) -> u32 {
        let each: u32 = match (self.values.len(), self.operator) {
            (_, GridOperator::StringContains | GridOperator::StringNotContains) => 8,
            (_, _) if matches!(self.values, GridValues::Strings(_)) => 2,
            _ => 1,
        };
        // How many elements an array has is not known; it is cheaper to refuse nothing here than to guess.
        each.saturating_mul(self.values.len() as u32).saturating_add(1)
    }
}

impl GridOperator {
    fn compares(self, value: f64, operand: f64) -> bool {
        match self {
            Self::NumberLessThan => value < operand,
            Self::NumberLessThanOrEquals => value <= operand,
            Self::NumberGreaterThan => value > operand,
            Self::NumberGreaterThanOrEquals => value >= operand,
            _ => value == operand,
        }
    }

    fn finds(self, value: &str, operands: &[Box<str>]) -> bool {
        let any = |test: fn(&str, &str) -> bool| operands.iter().any(|operand| test(value, operand));
        match self {
            Self::StringContains | Self::StringNotContains => {
                // The search is linear for any operand, which no search character by character is.
                let folded = fold(value);
                operands.iter().any(|operand| folded.contains(&**operand))
            }
            Self::StringBeginsWith | Self::StringNotBeginsWith => any(begins),
            Self::StringEndsWith | Self::StringNotEndsWith => any(ends),
            Self::ExactBeginsWith => any(|value, operand| value.starts_with(operand)),
            Self::ExactEndsWith => any(|value, operand| value.ends_with(operand)),
            _ => any(|value, operand| value.chars().map(fold_char).eq(operand.chars())),
        }
    }
}

fn begins(value: &str, folded: &str) -> bool {
    let mut chars = value.chars().map(fold_char);
    folded.chars().all(|c| chars.next() == Some(c))
}

fn ends(value: &str, folded: &str) -> bool {
    let mut chars = value.chars().rev().map(fold_char);
    folded.chars().rev().all(|c| chars.next() == Some(c))
}
