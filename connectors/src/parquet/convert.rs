//! Cells of one column turned into the values of its type, and which of them do not fit: the rules of [`fit`](super::fit), by the column.
//!
//! What always holds: a value that fits is left in its cell as the bits of the column's type, but texts and decimals, which stay where
//! they lie; [`VALUE`] only where [`Fit::set`] would take it and set the same. Where that is not known here, it is a misfit.

use engine::parse::{Kernel, Span, Tag, wholes};

use super::fit::{DOUBLE_WHOLE_MAX, Fit, SINGLE_WHOLE_MAX};
use super::lists::Lists;
use super::types::ColumnType;

/// There is no value.
pub const NULL: u8 = 0;
/// There is one, and it fits.
pub const VALUE: u8 = 1;
/// It does not.
pub const MISFIT: u8 = 2;

/// Converts the cells of a column: their tags, values and own text, and the bytes of the batch. Says what became of each.
/// Lists go to `lists`: what is left in their cells says which there.
pub fn convert(
    kernel: Kernel,
    fit: &Fit,
    cells: (&[Tag], &mut [u64], &[u8]),
    bytes: &[u8],
    lists: &mut Lists,
    outcomes: &mut [u8],
) {
    if let ColumnType::List(item) = &fit.r#type {
        return lists.convert(item, cells, bytes, outcomes);
    }
    let (tags, values, own) = cells;
    let are_wholes = match &fit.r#type {
        ColumnType::Int64 | ColumnType::Int32 | ColumnType::Uint64 => true,
        ColumnType::Timestamp(unit) => *unit == fit.epoch && !fit.plain,
        _ => false,
    };
    if are_wholes {
        wholes(kernel, tags, values, bytes, own, outcomes);
    }
    let cells = tags.iter().zip(values).zip(outcomes);
    let text = |tag: Tag, value: u64| match tag {
        Tag::Text | Tag::Digits => Span::unpack(value).of(bytes),
        _ => Span::unpack(value).of(own),
    };
    let instant_of_text = |tag: Tag, value: u64, unit| match tag {
        Tag::Text | Tag::OwnText => fit.instant_of_text(unit, text(tag, value)).ok().map(|instant| instant as u64),
        _ => None,
    };
    match &fit.r#type {
        ColumnType::Float64 => {
            for ((tag, value), outcome) in cells {
                // Greater ones may have been whole numbers that a double rounds.
                let is_double = *tag == Tag::Number && f64::from_bits(*value).abs() < DOUBLE_WHOLE_MAX as f64;
                *outcome = if is_double { VALUE } else { without(*tag) };
            }
        }
        ColumnType::Float32 => {
            for ((tag, value), outcome) in cells {
                let number = f64::from_bits(*value);
                let is_single = *tag == Tag::Number && number.abs() <= SINGLE_WHOLE_MAX as f64;
                *outcome = if is_single { VALUE } else { without(*tag) };
                *value = u64::from((number as f32).to_bits());
            }
        }
        ColumnType::String => {
            for ((tag, _), outcome) in cells {
                *outcome = if matches!(tag, Tag::Text | Tag::OwnText) { VALUE } else { without(*tag) };
            }
        }
        ColumnType::Bool => {
            for ((tag, value), outcome) in cells {
                *value = u64::from(*tag == Tag::True);
                *outcome = if matches!(tag, Tag::True | Tag::False) { VALUE } else { without(*tag) };
            }
        }
        ColumnType::Int64 => each_whole(cells, |number| Some(number as u64), |_, _| None),
        ColumnType::Int32 => {
            each_whole(cells, |number| i32::try_from(number).ok().map(|number| i64::from(number) as u64), |_, _| None);
        }
        ColumnType::Uint64 => each_whole(cells, |number| u64::try_from(number).ok(), |_, _| None),
        ColumnType::Timestamp(unit) if are_wholes => each_whole(
            cells,
            |number| unit.stored(number).map(|instant| instant as u64),
            |tag, value| instant_of_text(tag, value, *unit),
        ),
        ColumnType::Timestamp(unit) => each(cells, |tag, value| match tag {
            Tag::Digits | Tag::OwnDigits => {
                fit.instant_of_number(*unit, text(tag, value)).ok().map(|instant| instant as u64)
            }
            _ => instant_of_text(tag, value, *unit),
        }),
        ColumnType::Date => each(cells, |tag, value| {
            let is_text = matches!(tag, Tag::Text | Tag::OwnText);
            let days = is_text.then(|| Fit::day_of_text(text(tag, value)).ok()).flatten();
            days.map(|days| i64::from(days) as u64)
        }),
        ColumnType::Decimal(precision, scale) => each(cells, |tag, value| {
            let is_one = matches!(tag, Tag::Digits | Tag::OwnDigits | Tag::Text | Tag::OwnText);
            (is_one && Fit::decimal(text(tag, value), *precision, *scale).is_ok()).then_some(value)
        }),
        // Values that are written anew: the twin does that.
        ColumnType::Binary | ColumnType::Json | ColumnType::List(_) => each(cells, |_, _| None),
    }
}

#[inline(always)]
fn each<'c>(
    cells: impl Iterator<Item = ((&'c Tag, &'c mut u64), &'c mut u8)>,
    value_of: impl Fn(Tag, u64) -> Option<u64>,
) {
    for ((tag, value), outcome) in cells {
        *outcome = match value_of(*tag, *value) {
            Some(converted) => {
                *value = converted;
                VALUE
            }
            None => without(*tag),
        };
    }
}

/// As [`each`] behind [`wholes`]: whole numbers, and cells that are none.
#[inline(always)]
fn each_whole<'c>(
    cells: impl Iterator<Item = ((&'c Tag, &'c mut u64), &'c mut u8)>,
    number_of: impl Fn(i64) -> Option<u64>,
    value_of: impl Fn(Tag, u64) -> Option<u64>,
) {
    for ((tag, value), outcome) in cells {
        let converted = if *outcome == 1 { number_of(*value as i64) } else { value_of(*tag, *value) };
        *outcome = if converted.is_some() { VALUE } else { without(*tag) };
        *value = converted.unwrap_or(*value);
    }
}

/// A misfit with this tag may fit all the same: [`convert`] does not try all that [`Fit::set`] does.
pub fn may_take(r#type: &ColumnType, tag: Tag) -> bool {
    match r#type {
        ColumnType::Json => true,
        ColumnType::Binary => matches!(tag, Tag::Text | Tag::OwnText),
        ColumnType::List(_) => matches!(tag, Tag::Array | Tag::OwnArray),
        ColumnType::Float64 | ColumnType::Float32 => tag == Tag::Number,
        ColumnType::Int64 | ColumnType::Int32 | ColumnType::Uint64 | ColumnType::Timestamp(_) => {
            matches!(tag, Tag::Digits | Tag::OwnDigits)
        }
        ColumnType::Bool | ColumnType::String | ColumnType::Date | ColumnType::Decimal(..) => false,
    }
}

/// What a cell is that holds no value of the type.
#[inline(always)]
pub fn without(tag: Tag) -> u8 {
    if matches!(tag, Tag::Missing | Tag::Null) { NULL } else { MISFIT }
}
