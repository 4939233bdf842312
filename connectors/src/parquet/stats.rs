//! What a footer says about the columns of a file: least and largest value, nulls. For manifests, table logs and who looks.

use jiff::Timestamp;
use parquet::basic::{LogicalType, TimeUnit};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bounds of a column's values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// No value is less. Absent where nobody knows; long texts are cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Value>,
    /// No value is larger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Value>,
    /// Rows without a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nulls: Option<u64>,
}

/// Bounds of each leaf column by its path, in the order of the file.
pub fn bounds(footer: &ParquetMetaData) -> Vec<(Vec<String>, Bounds)> {
    let schema = footer.file_metadata().schema_descr();
    let mut found = Vec::with_capacity(schema.num_columns());
    for (at, column) in schema.columns().iter().enumerate() {
        let mut all: Option<Bounds> = None;
        for group in footer.row_groups() {
            let of_group =
                group.column(at).statistics().map(|statistics| of_group(column, statistics)).unwrap_or_default();
            all = Some(match all {
                None => of_group,
                Some(all) => merge(all, of_group, group.num_rows()),
            });
        }
        found.push((column.path().parts().to_vec(), all.unwrap_or_default()));
    }
    found
}

/// Of two row groups; a bound that one of them does not know is not known, unless all of its values are null.
fn merge(one: Bounds, other: Bounds, other_rows: i64) -> Bounds {
    let is_null = |bounds: &Bounds, rows: i64| bounds.nulls == u64::try_from(rows).ok();
    if is_null(&other, other_rows) {
        return Bounds { nulls: sum(one.nulls, other.nulls), ..one };
    }
    if one.min.is_none() && one.max.is_none() && one.nulls.is_some_and(|nulls| nulls > 0) {
        // All before were null, or nothing is known of them: then nothing is known of all.
        return Bounds { nulls: sum(one.nulls, other.nulls), ..Bounds::default() };
    }
    let pick = |one: Option<Value>, other: Option<Value>, is_other: fn(&Value, &Value) -> bool| {
        let (one, other) = (one?, other?);
        Some(if is_other(&one, &other) { other } else { one })
    };
    Bounds {
        min: pick(one.min, other.min, |one, other| is_less(other, one)),
        max: pick(one.max, other.max, is_less),
        nulls: sum(one.nulls, other.nulls),
    }
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    Some(one? + other?)
}

/// Of two values of one column. Times are texts whose order is that of the times.
fn is_less(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => one < other,
            _ => one.as_f64() < other.as_f64(),
        },
        (Value::String(one), Value::String(other)) => one < other,
        (Value::Bool(one), Value::Bool(other)) => one < other,
        _ => false,
    }
}

fn of_group(column: &ColumnDescriptor, statistics: &Statistics) -> Bounds {
    let (min, max) = match statistics {
        Statistics::Boolean(of) => (of.min_opt().copied().map(Value::from), of.max_opt().copied().map(Value::from)),
        Statistics::Int32(of) => {
            whole(column, of.min_opt().map(|v| i64::from(*v)), of.max_opt().map(|v| i64::from(*v)))
        }
        Statistics::Int64(of) => whole(column, of.min_opt().copied(), of.max_opt().copied()),
        Statistics::Float(of) => {
            (of.min_opt().map(|v| f64::from(*v).into()), of.max_opt().map(|v| f64::from(*v).into()))
        }
        Statistics::Double(of) => (of.min_opt().copied().map(Value::from), of.max_opt().copied().map(Value::from)),
        Statistics::ByteArray(of) if matches!(column.logical_type_ref(), Some(LogicalType::String)) => {
            let text = |bytes: Option<&parquet::data_type::ByteArray>| {
                bytes.and_then(|bytes| std::str::from_utf8(bytes.data()).ok().map(Value::from))
            };
            (text(of.min_opt()), text(of.max_opt()))
        }
        Statistics::ByteArray(_) | Statistics::FixedLenByteArray(_) | Statistics::Int96(_) => (None, None),
    };
    let known = |value: &Value| !value.is_null();
    Bounds { min: min.filter(known), max: max.filter(known), nulls: statistics.null_count_opt() }
}

/// Whole numbers as they are, times as RFC 3339; what has another meaning is left out.
fn whole(column: &ColumnDescriptor, min: Option<i64>, max: Option<i64>) -> (Option<Value>, Option<Value>) {
    let read = |value: i64, is_max: bool| -> Option<Value> {
        match column.logical_type_ref() {
            None => Some(value.into()),
            Some(LogicalType::Integer(integer)) if integer.is_signed => Some(value.into()),
            Some(LogicalType::Timestamp(timestamp)) => time(value, &timestamp.unit, is_max),
            _ => None,
        }
    };
    (min.and_then(|value| read(value, false)), max.and_then(|value| read(value, true)))
}

/// With three digits behind the second; what is finer is rounded away from the values, so that the bounds hold.
fn time(value: i64, unit: &TimeUnit, is_max: bool) -> Option<Value> {
    let per_ms = match unit {
        TimeUnit::MILLIS => 1,
        TimeUnit::MICROS => 1000,
        TimeUnit::NANOS => 1_000_000,
    };
    let ms = value.div_euclid(per_ms) + i64::from(is_max && value.rem_euclid(per_ms) != 0);
    let time = Timestamp::from_millisecond(ms).ok()?;
    // Years of four digits sort as texts.
    (0..=253_402_300_799_999).contains(&ms).then(|| Value::from(format!("{time:.3}")))
}
