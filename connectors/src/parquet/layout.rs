//! Which folder a row goes to: by the hour or day of its time, and by values of columns.
//!
//! What always holds: rows of one folder keep their order; a column whose values are in the names of folders is in no file.

use std::collections::HashMap;
use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, DataType, Schema, TimeUnit};
use arrow_select::take::take_record_batch;

use super::folders::{NOTHING, escape};

/// What the folders of one level are told by.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    /// `date=2026-11-21`, of `_time` in UTC.
    Date,
    /// `hour=07`.
    Hour,
    /// `name=value`.
    Column(String),
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout(Vec<Level>);

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// Column that says when.
const TIME: &str = "_time";

impl Layout {
    /// Levels by their names: `date`, `hour`, or a column's.
    pub fn new(names: &[String]) -> Self {
        let level = |name: &String| match name.as_str() {
            "date" => Level::Date,
            "hour" => Level::Hour,
            _ => Level::Column(name.clone()),
        };
        Self(names.iter().map(level).collect())
    }

    /// Columns whose values are in names of folders.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|level| match level {
            Level::Column(name) => Some(name.as_str()),
            Level::Date | Level::Hour => None,
        })
    }

    /// The levels by name with the types of what they say.
    pub fn types(&self, schema: &Schema) -> Vec<(String, DataType)> {
        let level = |level: &Level| match level {
            Level::Date => ("date".to_owned(), DataType::Date32),
            Level::Hour => ("hour".to_owned(), DataType::Int32),
            Level::Column(name) => {
                let kind = schema.field_with_name(name).map_or(DataType::Utf8, |field| field.data_type().clone());
                (name.clone(), kind)
            }
        };
        self.0.iter().map(level).collect()
    }

    /// The first column of which no folders can be made, if there is one.
    pub fn unfit<'s>(&'s self, schema: &'s Schema) -> Option<(&'s str, &'s DataType)> {
        let mut types = self.columns().filter_map(|name| Some((name, schema.field_with_name(name).ok()?.data_type())));
        types.find(|(_, kind)| !Self::makes_folders(kind))
    }

    /// Folders are named by what has few values and one way to write each.
    pub fn makes_folders(kind: &DataType) -> bool {
        matches!(kind, DataType::Utf8 | DataType::Int64 | DataType::Boolean)
    }

    /// The rows by folder, in the order in which the folders first come.
    pub fn split(&self, rows: &RecordBatch) -> Result<Vec<(String, RecordBatch)>, ArrowError> {
        if self.0.is_empty() {
            return Ok(vec![(String::new(), rows.clone())]);
        }
        let mut groups = Groups { of_row: vec![0; rows.num_rows()], names: vec![String::new()] };
        for level in &self.0 {
            match level {
                Level::Date => groups.refine_time(rows, DAY_MS, write_date),
                Level::Hour => groups.refine_time(rows, HOUR_MS, write_hour),
                Level::Column(name) => groups.refine_column(name, rows.column_by_name(name))?,
            }
        }
        let kept: Vec<usize> = (0..rows.num_columns())
            .filter(|at| !self.columns().any(|name| name == rows.schema_ref().field(*at).name()))
            .collect();
        let rows = rows.project(&kept)?;
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); groups.names.len()];
        for (row, group) in groups.of_row.iter().enumerate() {
            members[*group as usize].push(row as u32);
        }
        let mut split = Vec::new();
        for (name, members) in groups.names.into_iter().zip(members) {
            if members.len() == rows.num_rows() {
                return Ok(vec![(name, rows)]);
            }
            if !members.is_empty() {
                split.push((name, take_record_batch(&rows, &UInt32Array::from(members))?));
            }
        }
        Ok(split)
    }
}

fn write_date(bucket: i64, name: &mut String) {
    let day = jiff::Timestamp::from_millisecond(bucket.saturating_mul(DAY_MS)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let date = day.to_zoned(jiff::tz::TimeZone::UTC).date();
    write!(name, "date={date}").expect("writing to memory cannot fail");
}

fn write_hour(bucket: i64, name: &mut String) {
    write!(name, "hour={:02}", bucket.rem_euclid(24)).expect("writing to memory cannot fail");
}

/// Rows in groups that become finer with every level.
struct Groups {
    of_row: Vec<u32>,
    names: Vec<String>,
}

impl Groups {
    /// Splits each group by what `key` says of a row. Neighbours are mostly alike, so the last answer is tried first.
    fn refine<K: std::hash::Hash + Eq + Copy>(&mut self, key: impl Fn(usize) -> K, write: impl Fn(K, &mut String)) {
        let mut found: HashMap<(u32, K), u32> = HashMap::new();
        let (mut names, mut last) = (Vec::new(), None);
        for (row, group) in self.of_row.iter_mut().enumerate() {
            let here = (*group, key(row));
            let to = match last {
                Some((same, to)) if same == here => to,
                _ => *found.entry(here).or_insert_with(|| {
                    let mut name = self.names[here.0 as usize].clone();
                    if !name.is_empty() {
                        name.push('/');
                    }
                    write(here.1, &mut name);
                    names.push(name);
                    names.len() as u32 - 1
                }),
            };
            (last, *group) = (Some((here, to)), to);
        }
        self.names = names;
    }

    fn refine_time(&mut self, rows: &RecordBatch, bucket_ms: i64, write: fn(i64, &mut String)) {
        let times: Vec<i64> = rows.column_by_name(TIME).map(milliseconds).unwrap_or_default();
        // Of years that no calendar here knows the bucket is that of 1970: no row is lost for it.
        let in_calendar = |ms: &i64| jiff::Timestamp::from_millisecond(*ms).is_ok();
        self.refine(|row| times.get(row).filter(|ms| in_calendar(ms)).map_or(0, |ms| ms.div_euclid(bucket_ms)), write);
    }

    fn refine_column(&mut self, name: &str, column: Option<&ArrayRef>) -> Result<(), ArrowError> {
        let level = |value: Option<&str>, out: &mut String| {
            escape(name, out);
            out.push('=');
            match value.filter(|value| !value.is_empty()) {
                Some(value) => escape(value, out),
                None => out.push_str(NOTHING),
            }
        };
        let Some(column) = column else {
            self.refine(|_| (), |(), out| level(None, out));
            return Ok(());
        };
        let valid = |row: usize| column.is_valid(row);
        match column.data_type() {
            DataType::Utf8 => {
                let texts = column.as_string::<i32>();
                self.refine(|row| valid(row).then(|| texts.value(row)), level);
            }
            DataType::Int64 => {
                let numbers = column.as_primitive::<Int64Type>();
                let write =
                    |number: Option<i64>, out: &mut String| level(number.map(|n| n.to_string()).as_deref(), out);
                self.refine(|row| valid(row).then(|| numbers.value(row)), write);
            }
            DataType::Boolean => {
                let truths = column.as_boolean();
                let write =
                    |truth: Option<bool>, out: &mut String| level(truth.map(|t| if t { "true" } else { "false" }), out);
                self.refine(|row| valid(row).then(|| truths.value(row)), write);
            }
            // Refused before the first row, and never learnt. The column is in no file: to go on would lose its values.
            other => {
                let message =
                    format!("`partition_by` names the column `{name}` of type {other}, of which no folders are made");
                return Err(ArrowError::InvalidArgumentError(message));
            }
        }
        Ok(())
    }
}

fn milliseconds(times: &ArrayRef) -> Vec<i64> {
    let DataType::Timestamp(unit, _) = times.data_type() else { return Vec::new() };
    match unit {
        TimeUnit::Second => {
            times.as_primitive::<TimestampSecondType>().values().iter().map(|at| at.saturating_mul(1000)).collect()
        }
        TimeUnit::Millisecond => times.as_primitive::<TimestampMillisecondType>().values().to_vec(),
        TimeUnit::Microsecond => {
            times.as_primitive::<TimestampMicrosecondType>().values().iter().map(|at| at.div_euclid(1000)).collect()
        }
        TimeUnit::Nanosecond => {
            times.as_primitive::<TimestampNanosecondType>().values().iter().map(|at| at.div_euclid(1_000_000)).collect()
        }
    }
}

#[cfg(test)]
mod tests;
