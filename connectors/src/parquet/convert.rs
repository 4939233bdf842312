//! Cells of one column turned into the values of its type, and which of them do not fit: the rules of [`fit`](super::fit), by the column.
//!
//! What always holds: a value that fits is left in its cell as the bits of the column's type, but texts and decimals, which stay where
//! they lie; [`VALUE`] only where [`Fit::set`] would take it and set the same. Where that is not known here, it is a misfit.

use engine::parse::{Span, Tag, whole};

use super::fit::{DOUBLE_WHOLE_MAX, Fit, SINGLE_WHOLE_MAX};
use super::types::ColumnType;

/// There is no value.
pub const NULL: u8 = 0;
/// There is one, and it fits.
pub const VALUE: u8 = 1;
/// It does not.
pub const MISFIT: u8 = 2;

/// Converts the cells of a column: their tags, values and own text, and the bytes of the batch. Says what became of each.
pub fn convert(fit: &Fit, cells: (&[Tag], &mut [u64], &[u8]), bytes: &[u8], outcomes: &mut [u8]) {
    let (tags, values, own) = cells;
    let cells = tags.iter().zip(values).zip(outcomes);
    let text = |tag: Tag, value: u64| match tag {
        Tag::Text | Tag::Digits => Span::unpack(value).of(bytes),
        _ => Span::unpack(value).of(own),
    };
    let whole = |tag: Tag, value: u64| match tag {
        Tag::Digits => whole_of(value, bytes),
        Tag::OwnDigits => whole_of(value, own),
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
        ColumnType::Int64 => each(cells, |tag, value| whole(tag, value).map(|number| number as u64)),
        ColumnType::Int32 => each(cells, |tag, value| {
            let number = i32::try_from(whole(tag, value)?).ok()?;
            Some(i64::from(number) as u64)
        }),
        ColumnType::Uint64 => each(cells, |tag, value| u64::try_from(whole(tag, value)?).ok()),
        ColumnType::Timestamp(unit) => each(cells, |tag, value| {
            let instant = match tag {
                Tag::Digits | Tag::OwnDigits if *unit == fit.epoch && !fit.plain => {
                    whole(tag, value).and_then(|number| unit.stored(number))
                }
                Tag::Digits | Tag::OwnDigits => fit.instant_of_number(*unit, text(tag, value)).ok(),
                Tag::Text | Tag::OwnText => fit.instant_of_text(*unit, text(tag, value)).ok(),
                _ => None,
            };
            instant.map(|instant| instant as u64)
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

/// What a cell is that holds no value of the type.
#[inline(always)]
fn without(tag: Tag) -> u8 {
    if matches!(tag, Tag::Missing | Tag::Null) { NULL } else { MISFIT }
}

#[inline(always)]
fn whole_of(value: u64, bytes: &[u8]) -> Option<i64> {
    let Span { start, len } = Span::unpack(value);
    whole(bytes, start as usize, (start + len) as usize)
}
