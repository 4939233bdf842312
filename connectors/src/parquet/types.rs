//! Types of columns, as they are written in configurations and kept schemas: `int64`, `decimal(10,2)`, `list<timestamp_ms>`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow_schema::{DataType, Field, TimeUnit};
use serde::{Deserialize, Serialize};

/// Digits that a decimal has at most.
pub const DECIMAL_DIGITS_MAX: u8 = 38;

/// Where the years begin that texts can say, and where they end: seconds since 1970.
const YEAR_0: i64 = -62_167_219_200;
const YEAR_10_000: i64 = 253_402_300_800;

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

impl Unit {
    /// All of them, coarse to fine.
    pub const ALL: [Self; 4] = [Self::S, Self::Ms, Self::Us, Self::Ns];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::S => "s",
            Self::Ms => "ms",
            Self::Us => "us",
            Self::Ns => "ns",
        }
    }

    /// Digits of a second's fraction that it holds.
    pub fn digits(self) -> u8 {
        match self {
            Self::S => 0,
            Self::Ms => 3,
            Self::Us => 6,
            Self::Ns => 9,
        }
    }

    /// An instant as a column of this unit stores it, if it is in the years 0 to 9999: further away readers fail, and with them whole
    /// queries. Parquet knows no seconds, so they are stored as milliseconds.
    pub fn stored(self, instant: i64) -> Option<i64> {
        let second = 10i64.pow(u32::from(self.digits()));
        let years = YEAR_0.saturating_mul(second)..YEAR_10_000.saturating_mul(second);
        let factor = if self == Self::S { 1000 } else { 1 };
        years.contains(&instant).then(|| instant * factor)
    }

    fn arrow(self) -> TimeUnit {
        match self {
            Self::S | Self::Ms => TimeUnit::Millisecond,
            Self::Us => TimeUnit::Microsecond,
            Self::Ns => TimeUnit::Nanosecond,
        }
    }
}

/// Type of a column. What each one takes is said in `fit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ColumnType {
    /// `true` or `false`.
    Bool,
    /// Whole numbers of 32 bits.
    Int32,
    /// Whole numbers of 64 bits.
    Int64,
    /// Whole numbers from 0, of 64 bits.
    Uint64,
    /// Single floats.
    Float32,
    /// Doubles.
    Float64,
    /// Text.
    String,
    /// Bytes, from Base64.
    Binary,
    /// Days, from `2026-11-21`.
    Date,
    /// Instants in UTC, from RFC 3339 or numbers since 1970.
    Timestamp(Unit),
    /// Numbers of so many digits, so many of them behind the point.
    Decimal(u8, u8),
    /// Whatever it is, as the text of its JSON.
    Json,
    /// Lists of one of these; a list in a list is none of them.
    List(Box<ColumnType>),
}

/// A type that there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no column type `{0}`: use bool, int32, int64, uint64, float32, float64, string, binary, date, timestamp_s, timestamp_ms, \
     timestamp_us, timestamp_ns, json, decimal(DIGITS,FRACTION) with up to 38 digits, or list<…> of one of these"
)]
pub struct NoType(String);

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int32 => f.write_str("int32"),
            Self::Int64 => f.write_str("int64"),
            Self::Uint64 => f.write_str("uint64"),
            Self::Float32 => f.write_str("float32"),
            Self::Float64 => f.write_str("float64"),
            Self::String => f.write_str("string"),
            Self::Binary => f.write_str("binary"),
            Self::Date => f.write_str("date"),
            Self::Json => f.write_str("json"),
            Self::Timestamp(unit) => write!(f, "timestamp_{}", unit.name()),
            Self::Decimal(precision, scale) => write!(f, "decimal({precision},{scale})"),
            Self::List(item) => write!(f, "list<{item}>"),
        }
    }
}

impl FromStr for ColumnType {
    type Err = NoType;

    fn from_str(text: &str) -> Result<Self, NoType> {
        let none = || NoType(text.to_owned());
        Ok(match text {
            "bool" => Self::Bool,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "uint64" => Self::Uint64,
            "float32" => Self::Float32,
            "float64" => Self::Float64,
            "string" => Self::String,
            "binary" => Self::Binary,
            "date" => Self::Date,
            "json" => Self::Json,
            _ => {
                if let Some(unit) = text.strip_prefix("timestamp_") {
                    return Unit::ALL
                        .into_iter()
                        .find(|known| known.name() == unit)
                        .map(Self::Timestamp)
                        .ok_or_else(none);
                }
                let inside = |open: &str, close: &str| text.strip_prefix(open)?.strip_suffix(close);
                if let Some(digits) = inside("decimal(", ")") {
                    let (precision, scale) = digits.split_once(',').ok_or_else(none)?;
                    let number = |text: &str| text.trim().parse::<u8>().map_err(|_| none());
                    let (precision, scale) = (number(precision)?, number(scale)?);
                    let is_one = (1..=DECIMAL_DIGITS_MAX).contains(&precision) && scale <= precision;
                    return if is_one { Ok(Self::Decimal(precision, scale)) } else { Err(none()) };
                }
                match inside("list<", ">").ok_or_else(none)?.parse() {
                    Err(_) | Ok(Self::List(_)) => return Err(none()),
                    Ok(item) => Self::List(Box::new(item)),
                }
            }
        })
    }
}

impl TryFrom<String> for ColumnType {
    type Error = NoType;

    fn try_from(text: String) -> Result<Self, NoType> {
        text.parse()
    }
}

impl From<ColumnType> for String {
    fn from(r#type: ColumnType) -> Self {
        r#type.to_string()
    }
}

impl ColumnType {
    /// In Arrow's words.
    pub fn arrow(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Uint64 => DataType::UInt64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::String | Self::Json => DataType::Utf8,
            Self::Binary => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Timestamp(unit) => DataType::Timestamp(unit.arrow(), Some("UTC".into())),
            Self::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale as i8),
            Self::List(item) => DataType::List(Arc::new(Field::new_list_field(item.arrow(), true))),
        }
    }

    /// The type of its items, if it is a list.
    pub fn item(&self) -> &Self {
        match self {
            Self::List(item) => item,
            single => single,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_they_are_written() {
        for text in [
            "bool",
            "int32",
            "int64",
            "uint64",
            "float32",
            "float64",
            "string",
            "binary",
            "date",
            "json",
            "timestamp_s",
            "timestamp_ms",
            "timestamp_us",
            "timestamp_ns",
            "decimal(38,38)",
            "decimal(1,0)",
            "list<decimal(10,2)>",
        ] {
            assert_eq!(text.parse::<ColumnType>().map(|found| found.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("decimal(10, 2)".parse(), Ok(ColumnType::Decimal(10, 2)));
        for text in [
            "",
            "Int64",
            "timestamp",
            "decimal",
            "decimal(0,0)",
            "decimal(39,1)",
            "decimal(2,3)",
            "decimal(1)",
            "list<>",
        ] {
            assert_eq!(text.parse::<ColumnType>(), Err(NoType(text.to_owned())));
        }
        assert!("list<list<bool>>".parse::<ColumnType>().is_err());
    }
}
