//! What each type of column takes. A value that does not fit is a misfit, never rounded, cut or converted by guess.
//!
//! | type | takes |
//! |---|---|
//! | `bool` | `true`, `false` |
//! | `int32`, `int64`, `uint64` | numbers without point and exponent, in range |
//! | `float64` | numbers with point or exponent, as the nearest double; whole numbers up to 2^53 |
//! | `float32` | the same as the nearest single, if that is finite; whole numbers up to 2^24 |
//! | `decimal(p,s)` | numbers, and texts that are one: at most `s` digits behind the point and `p` in all, zeros at the ends apart |
//! | `string` | texts |
//! | `binary` | texts that are Base64 with padding |
//! | `date` | texts of the form `2026-11-21` |
//! | `timestamp_…` | texts by RFC 3339; numbers since 1970 in the unit that `epoch` says. Both only if the unit holds all, from year 0 to 9999 |
//! | `json` | everything but null, as JSON without white space; numbers with their digits as written |
//! | `list<…>` | arrays whose elements fit, or are null |
//!
//! Null fits everywhere and leaves the row without a value. An attribute is a text: where a number or a boolean is wanted, its
//! text is read as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::parse::{Kind, NumberTexts, Value};

use super::columns::ColumnBuilder;
use super::rest::write_value;
use super::types::{ColumnType, Unit};
use super::{decimal, time};

/// Whole numbers up to this are doubles, and those up to the other are singles.
pub(super) const DOUBLE_WHOLE_MAX: u64 = 1 << 53;
pub(super) const SINGLE_WHOLE_MAX: u64 = 1 << 24;
/// Doubles below this were not whole numbers of 64 bits.
const WHOLE_64_MAX: f64 = 9_223_372_036_854_775_808.0;
/// Digits of any 64-bit number.
const DIGITS_64: u8 = 20;

/// Why a value does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Of another kind.
    #[error("is no {0}")]
    Kind(&'static str),
    /// Too large or too small.
    #[error("is out of range")]
    Range,
    /// With more digits behind the point than the type holds.
    #[error("has more digits than the type holds")]
    Digits,
    /// Not of the form in which the type is written.
    #[error("is not written as the type asks")]
    Form,
}

/// How values become those of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit {
    /// The column's type.
    pub r#type: ColumnType,
    /// Unit of numbers that are instants.
    pub epoch: Unit,
    /// Instants only from texts that can be written again from the column's value.
    pub plain: bool,
}

impl Fit {
    /// Puts a value that is not null into a row, if it fits. `numbers` are those of the body, `room` is room to work in.
    #[inline(always)]
    pub fn set(
        &self,
        column: &mut ColumnBuilder,
        row: usize,
        value: Value<'_>,
        numbers: &mut NumberTexts<'_>,
        room: &mut Vec<u8>,
    ) -> Result<(), Misfit> {
        if set_common(&self.r#type, column, row, value) {
            return Ok(());
        }
        self.set_other(&self.r#type, column, row, value, numbers, room)
    }

    /// As [`set`](Self::set), for the values that [`set_common`] leaves.
    #[inline(never)]
    fn set_other(
        &self,
        r#type: &ColumnType,
        column: &mut ColumnBuilder,
        row: usize,
        value: Value<'_>,
        numbers: &mut NumberTexts<'_>,
        room: &mut Vec<u8>,
    ) -> Result<(), Misfit> {
        let kind = value.kind();
        match (r#type, kind) {
            (ColumnType::Json, Kind::Null) => return Err(Misfit::Kind(expected(r#type))),
            (ColumnType::Json, _) => {
                room.clear();
                write_value(room, value, numbers);
                column.set_bytes(row, room);
            }
            (ColumnType::List(item), Kind::Array(_)) => {
                return column.set_list(row, |items, start| {
                    for (at, element) in value.elements().enumerate() {
                        let is_there = element.kind() == Kind::Null || set_common(item, items, start + at, element);
                        if !is_there {
                            self.set_other(item, items, start + at, element, numbers, room)?;
                        }
                        items.end_row(start + at);
                    }
                    Ok(())
                });
            }
            (ColumnType::Int32, Kind::Int(number)) => {
                column.set_i32(row, i32::try_from(number).map_err(|_| Misfit::Range)?);
            }
            (ColumnType::Uint64, Kind::Int(number)) => {
                column.set_u64(row, u64::try_from(number).map_err(|_| Misfit::Range)?);
            }
            (ColumnType::Uint64, Kind::Uint(number)) => column.set_u64(row, number),
            (ColumnType::Int32 | ColumnType::Int64, Kind::Uint(_)) => return Err(Misfit::Range),
            (ColumnType::Float64, Kind::Int(_) | Kind::Uint(_)) => return Err(Misfit::Digits),
            // A whole number that no 64 bits hold came as a double, rounded.
            (ColumnType::Float64 | ColumnType::Float32, Kind::Float(number))
                if number.abs() >= WHOLE_64_MAX && numbers.of(value).is_some_and(is_whole) =>
            {
                return Err(Misfit::Digits);
            }
            (ColumnType::Float64, Kind::Float(number)) => column.set_f64(row, number),
            (ColumnType::Float32, Kind::Float(number)) => column.set_f32(row, single(number)?),
            (ColumnType::Float32, Kind::Int(number)) => {
                let held = number.unsigned_abs() <= SINGLE_WHOLE_MAX;
                column.set_f32(row, held.then_some(number as f32).ok_or(Misfit::Digits)?);
            }
            (ColumnType::Float32, Kind::Uint(_)) => return Err(Misfit::Digits),
            (ColumnType::Timestamp(unit), Kind::Int(number)) if *unit == self.epoch && !self.plain => {
                column.set_i64(row, unit.stored(number).ok_or(Misfit::Range)?);
            }
            (ColumnType::Timestamp(_) | ColumnType::Decimal(..), Kind::Int(_) | Kind::Uint(_) | Kind::Float(_)) => {
                let digits = numbers.of(value).ok_or(Misfit::Form)?;
                return self.set_number(r#type, column, row, digits);
            }
            (_, Kind::String(text)) => return self.set_text(r#type, column, row, text, room),
            _ => return Err(Misfit::Kind(expected(r#type))),
        }
        Ok(())
    }

    /// A number by its digits into a column of instants or decimals.
    fn set_number(
        &self,
        r#type: &ColumnType,
        column: &mut ColumnBuilder,
        row: usize,
        digits: &[u8],
    ) -> Result<(), Misfit> {
        match r#type {
            ColumnType::Decimal(precision, scale) => column.set_i128(row, Self::decimal(digits, *precision, *scale)?),
            ColumnType::Timestamp(unit) => column.set_i64(row, self.instant_of_number(*unit, digits)?),
            _ => return Err(Misfit::Kind(expected(r#type))),
        }
        Ok(())
    }

    /// The columns of the type need the digits of numbers, which a double may round.
    pub fn wants_digits(&self) -> bool {
        !matches!(self.r#type, ColumnType::Float64 | ColumnType::Float32)
    }

    /// The digits of a decimal, from a number or a text.
    pub fn decimal(text: &[u8], precision: u8, scale: u8) -> Result<i128, Misfit> {
        if !decimal::is_number(text) {
            return Err(Misfit::Form);
        }
        decimal::scaled(text, i64::from(scale), precision)
    }

    /// The stored instant that a number is, by its digits.
    pub fn instant_of_number(&self, unit: Unit, digits: &[u8]) -> Result<i64, Misfit> {
        if self.plain {
            return Err(Misfit::Kind(expected(&ColumnType::Timestamp(unit))));
        }
        let finer = i64::from(unit.digits()) - i64::from(self.epoch.digits());
        let instant = i64::try_from(decimal::scaled(digits, finer, DIGITS_64)?);
        instant.ok().and_then(|instant| unit.stored(instant)).ok_or(Misfit::Range)
    }

    /// The stored instant that a text is.
    pub fn instant_of_text(&self, unit: Unit, text: &[u8]) -> Result<i64, Misfit> {
        let written = time::parse(text).filter(|written| !self.plain || written.plain == Some(unit));
        let instant = written.ok_or(Misfit::Form)?.in_unit(unit)?;
        // An offset to UTC may lead out of the years that are written.
        unit.stored(instant).ok_or(Misfit::Range)
    }

    /// The day that a text is.
    pub fn day_of_text(text: &[u8]) -> Result<i32, Misfit> {
        // Four digits of years are far from the ends of 32 bits of days.
        time::parse_date(text).and_then(|days| i32::try_from(days).ok()).ok_or(Misfit::Form)
    }

    fn set_text(
        &self,
        r#type: &ColumnType,
        column: &mut ColumnBuilder,
        row: usize,
        text: &str,
        room: &mut Vec<u8>,
    ) -> Result<(), Misfit> {
        let bytes = text.as_bytes();
        match r#type {
            ColumnType::Date => column.set_i32(row, Self::day_of_text(bytes)?),
            ColumnType::Timestamp(unit) => column.set_i64(row, self.instant_of_text(*unit, bytes)?),
            ColumnType::Decimal(precision, scale) => column.set_i128(row, Self::decimal(bytes, *precision, *scale)?),
            ColumnType::Binary => {
                room.clear();
                room.resize(base64::decoded_len_estimate(bytes.len()), 0);
                let len = STANDARD.decode_slice(bytes, room).map_err(|_| Misfit::Form)?;
                column.set_bytes(row, &room[..len]);
            }
            _ => return Err(Misfit::Kind(expected(r#type))),
        }
        Ok(())
    }

    /// Puts an attribute's bytes into a row, if they fit.
    pub fn set_attribute(
        &self,
        column: &mut ColumnBuilder,
        row: usize,
        bytes: &[u8],
        room: &mut Vec<u8>,
    ) -> Result<(), Misfit> {
        if self.r#type == ColumnType::Binary {
            column.set_bytes(row, bytes);
            return Ok(());
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Misfit::Kind("text"))?;
        let whole = || -> Result<i64, Misfit> {
            (decimal::is_number(bytes) && is_whole(bytes))
                .then(|| text.parse())
                .ok_or(Misfit::Form)?
                .map_err(|_| Misfit::Range)
        };
        let float = || -> Result<f64, Misfit> {
            let number: f64 =
                decimal::is_number(bytes).then(|| text.parse()).ok_or(Misfit::Form)?.map_err(|_| Misfit::Form)?;
            number.is_finite().then_some(number).ok_or(Misfit::Range)
        };
        match self.r#type {
            ColumnType::String => column.set_bytes(row, bytes),
            ColumnType::Bool => match text {
                "true" => column.set_bool(row, true),
                "false" => column.set_bool(row, false),
                _ => return Err(Misfit::Form),
            },
            ColumnType::Int64 => column.set_i64(row, whole()?),
            ColumnType::Int32 => column.set_i32(row, i32::try_from(whole()?).map_err(|_| Misfit::Range)?),
            ColumnType::Uint64 => match whole() {
                Ok(number) => column.set_u64(row, u64::try_from(number).map_err(|_| Misfit::Range)?),
                Err(Misfit::Range) => column.set_u64(row, text.parse().map_err(|_| Misfit::Range)?),
                Err(misfit) => return Err(misfit),
            },
            ColumnType::Float64 => match whole() {
                Ok(number) if number.unsigned_abs() > DOUBLE_WHOLE_MAX => return Err(Misfit::Digits),
                Err(Misfit::Range) => return Err(Misfit::Digits),
                _ => column.set_f64(row, float()?),
            },
            ColumnType::Float32 => match whole() {
                Ok(number) if number.unsigned_abs() > SINGLE_WHOLE_MAX => return Err(Misfit::Digits),
                Err(Misfit::Range) => return Err(Misfit::Digits),
                _ => column.set_f32(row, single(float()?)?),
            },
            ColumnType::Timestamp(_) if decimal::is_number(bytes) => {
                return self.set_number(&self.r#type, column, row, bytes);
            }
            _ => return self.set_text(&self.r#type, column, row, text, room),
        }
        Ok(())
    }
}

/// Sets the values that most columns get, and says whether this was one.
#[inline(always)]
fn set_common(r#type: &ColumnType, column: &mut ColumnBuilder, row: usize, value: Value<'_>) -> bool {
    match (r#type, value.kind()) {
        (ColumnType::Float64, Kind::Float(number)) if number.abs() < WHOLE_64_MAX => column.set_f64(row, number),
        (ColumnType::Float64, Kind::Int(number)) if number.unsigned_abs() <= DOUBLE_WHOLE_MAX => {
            column.set_f64(row, number as f64);
        }
        (ColumnType::Int64, Kind::Int(number)) => column.set_i64(row, number),
        (ColumnType::String, Kind::String(text)) => column.set_bytes(row, text.as_bytes()),
        (ColumnType::Bool, Kind::Bool(truth)) => column.set_bool(row, truth),
        _ => return false,
    }
    true
}

/// Whether a number is written without point and exponent.
fn is_whole(number: &[u8]) -> bool {
    !number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

fn single(number: f64) -> Result<f32, Misfit> {
    let single = number as f32;
    if single.is_finite() { Ok(single) } else { Err(Misfit::Range) }
}

fn expected(r#type: &ColumnType) -> &'static str {
    match r#type {
        ColumnType::Bool => "true or false",
        ColumnType::Int32 | ColumnType::Int64 | ColumnType::Uint64 => "whole number",
        ColumnType::Float32 | ColumnType::Float64 => "number",
        ColumnType::Decimal(..) => "number, nor the text of one",
        ColumnType::String => "text",
        ColumnType::Binary => "text in Base64",
        ColumnType::Date => "text of a date",
        ColumnType::Timestamp(_) => "text of a time, nor a number",
        ColumnType::Json => "JSON",
        ColumnType::List(_) => "array",
    }
}
