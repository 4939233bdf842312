//! Strings: positions, case, joining, and the two texts that are made from a number of milliseconds.

use std::fmt::Write;

use super::super::case::{lower, upper};
use super::super::plan::{Expr, Semantics};
use super::super::value::{Short, Text, Value};
use super::{Facts, Interpreter};
use crate::limits;

/// Length in the units of the dialect.
pub(super) fn len(text: &str, semantics: Semantics) -> usize {
    if text.is_ascii() {
        text.len()
    } else if semantics.counts_utf16() {
        text.encode_utf16().count()
    } else {
        text.chars().count()
    }
}

/// The byte at which unit `at` starts; `None` beyond the end and in the middle of a character.
fn byte_at(text: &str, at: usize, semantics: Semantics) -> Option<usize> {
    if text.is_ascii() {
        return (at <= text.len()).then_some(at);
    }
    let mut units = 0;
    for (byte, c) in text.char_indices() {
        if units >= at {
            return (units == at).then_some(byte);
        }
        units += if semantics.counts_utf16() { c.len_utf16() } else { 1 };
    }
    (units == at).then_some(text.len())
}

/// `text` from unit `start` on, `count` units long. `None` where that is not inside it.
pub(super) fn substring(text: &str, start: f64, count: Option<f64>, semantics: Semantics) -> Option<&str> {
    let whole = |value: f64| {
        let value = value.trunc();
        // Beyond any text that there can be.
        (0.0..=u32::MAX as f64).contains(&value).then_some(value as usize)
    };
    let start = whole(start)?;
    let from = byte_at(text, start, semantics)?;
    let Some(count) = count else { return Some(&text[from..]) };
    if from == text.len() {
        return None;
    }
    let end = byte_at(text, start + whole(count)?, semantics)?;
    Some(&text[from..end])
}

/// Where `part` first stands in `text`, or -1.
pub(super) fn index_of(text: &str, part: &str, semantics: Semantics) -> f64 {
    text.find(part).map_or(-1.0, |byte| len(&text[..byte], semantics) as f64)
}

pub(super) fn to_lower(value: Value<'_>) -> Value<'_> {
    mapped(value, lower)
}

pub(super) fn to_upper(value: Value<'_>) -> Value<'_> {
    mapped(value, upper)
}

fn mapped<'v>(value: Value<'v>, map: fn(char) -> char) -> Value<'v> {
    let Some(text) = value.as_text() else { return Value::Undefined };
    if text.chars().all(|c| map(c) == c) {
        return value;
    }
    Value::Text(Text::Owned(text.chars().map(map).collect()))
}

impl<'v, F: Facts<'v>> Interpreter<F> {
    /// All parts in a row: null counts as empty, anything else that is no string makes the whole undefined.
    pub(super) fn join(&self, parts: &[&'v Expr]) -> Value<'v> {
        let mut joined = String::new();
        for part in parts {
            match self.value(part) {
                Value::Text(text) => joined.push_str(text.as_str()),
                Value::NullText => {}
                _ => return Value::Undefined,
            }
            if joined.len() > limits::FILTER_TEXT_BYTES_MAX {
                return Value::Undefined;
            }
        }
        Value::Text(Text::Owned(joined))
    }
}

/// `2019-05-10T06:06:32.722Z` with so many digits after the point (the event knows three).
pub(super) fn timestamp(ms: i64, fraction_digits: usize) -> Short {
    let (days, in_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (hour, minute, second, milli) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60, in_day % 1000);
    let mut short = Short::new();
    // A year of more digits than fit leaves it cut, which compares like any other text.
    let _ = write!(short, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}");
    let zeros = fraction_digits.saturating_sub(3);
    let _ = write!(short, "{:0<zeros$}Z", "");
    short
}

/// Year, month and day of a day counted from 1970-01-01 (Gregorian; 400 years are 146,097 days).
fn civil(days: i64) -> (i64, i64, i64) {
    // Years are counted from March, so that the leap day is the last one.
    let from_year_0 = days + 719_468;
    let era = from_year_0.div_euclid(146_097);
    let day_of_era = from_year_0.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// `2017-03-09T00:00:00`, with or without a fraction and a zone: what Azure takes for a date and drops.
pub(super) fn looks_like_date_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shape = b"dddd-dd-ddTdd:dd:dd";
    if bytes.len() < shape.len() {
        return false;
    }
    let fits = |(byte, place): (&u8, &u8)| if *place == b'd' { byte.is_ascii_digit() } else { byte == place };
    if !bytes.iter().zip(shape).all(fits) {
        return false;
    }
    let mut rest = &text[shape.len()..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return false;
        }
        rest = &fraction[digits..];
    }
    match rest.as_bytes() {
        [] | [b'Z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}
