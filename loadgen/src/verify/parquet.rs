//! A folder of Parquet files: every row is held against the event that the seed makes again, column by column.
//!
//! Files are read in the order of their names. A row is told by `device_id` and `seq`; each other column that is called like a field
//! must say what the event said, if it is of a type that holds that exactly: text, truth values, whole numbers, doubles. Where a
//! sink keeps what fits no column in `_rest`, a JSON object as text, it is looked up there.

use std::fs::File;
use std::path::{Path, PathBuf};

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

use super::{Question, Told, VerifyError};
use crate::fleet::{FieldPlace, Value, device_number};
use crate::ledger::Verifier;

const ROWS_PER_BATCH: usize = 8_192;

/// Shows every row of every `*.parquet` below `folder`; gives their number.
pub fn parquet(
    question: &Question,
    verifier: &mut Verifier<'_>,
    folder: &Path,
    told: Told<'_>,
) -> Result<u64, VerifyError> {
    let mut files = Vec::new();
    find(folder, &mut files)?;
    files.sort();
    if files.is_empty() {
        let error = std::io::Error::new(std::io::ErrorKind::NotFound, "there is no *.parquet in it");
        return Err(VerifyError::Io { path: folder.to_owned(), error });
    }
    let mut rows = 0;
    for path in files {
        let wrong = |what: String| VerifyError::Parquet { path: path.clone(), what };
        let file = File::open(&path).map_err(|error| VerifyError::Io { path: path.clone(), error })?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(|builder| builder.with_batch_size(ROWS_PER_BATCH).build())
            .map_err(|error| wrong(error.to_string()))?;
        for batch in reader {
            let batch = batch.map_err(|error| wrong(error.to_string()))?;
            Rows::of(question, &batch).map_err(wrong)?.show(question, verifier, &mut rows, &path);
            told(rows);
        }
    }
    Ok(rows)
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), VerifyError> {
    let io = |error| VerifyError::Io { path: folder.to_owned(), error };
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() {
            find(&path, files)?;
        } else if !hidden && path.extension().is_some_and(|extension| extension == "parquet") {
            files.push(path);
        }
    }
    Ok(())
}

/// The columns of one batch that say something.
struct Rows<'a> {
    batch: &'a RecordBatch,
    device: &'a dyn Array,
    seq: &'a dyn Array,
    rest: Option<&'a dyn Array>,
    fields: Vec<(&'a str, FieldPlace, &'a dyn Array)>,
}

impl<'a> Rows<'a> {
    fn of(question: &Question, batch: &'a RecordBatch) -> Result<Self, String> {
        let column = |name: &str| batch.column_by_name(name).map(|column| &**column);
        let needed = |name: &str| column(name).ok_or(format!("there is no column `{name}`, by which an event is told"));
        let (device, seq) = (needed("device_id")?, needed("seq")?);
        for (name, column) in [("device_id", device), ("seq", seq)] {
            if !is_exact(column.data_type()) {
                return Err(format!(
                    "column `{name}`, by which an event is told, is of type {}, which is not read here",
                    column.data_type()
                ));
            }
        }
        let schema = batch.schema_ref();
        let mut fields = Vec::new();
        for (at, field) in schema.fields().iter().enumerate() {
            let place = question.kept.model.find(field.name());
            let is_own = matches!(field.name().as_str(), "device_id" | "seq" | "ts");
            if let Some(place) = place.filter(|_| !is_own && is_exact(field.data_type())) {
                fields.push((field.name().as_str(), place, &**batch.column(at)));
            }
        }
        Ok(Self { batch, device, seq, rest: column("_rest"), fields })
    }

    fn show(&self, question: &Question, verifier: &mut Verifier<'_>, rows: &mut u64, path: &Path) {
        for row in 0..self.batch.num_rows() {
            let position = *rows;
            *rows += 1;
            let device = text(self.device, row).and_then(device_number);
            let seq = number(self.seq, row).and_then(|seq| u32::try_from(seq as i64).ok());
            let (Some(device), Some(seq)) = (device, seq) else {
                verifier.strangers(1);
                continue;
            };
            verifier.see(device, seq, position);
            for (name, place, column) in &self.fields {
                let wanted = question.kept.model.value(question.kept.seed, device, seq, place);
                if !self.says(row, name, *column, wanted.as_ref()) {
                    verifier.corrupt(|| {
                        format!("dev-{device:09} event {seq} in {}: column `{name}` is not {wanted:?}", path.display())
                    });
                }
            }
        }
    }

    fn says(&self, row: usize, name: &str, column: &dyn Array, wanted: Option<&Value>) -> bool {
        if column.is_null(row) {
            return match (wanted, self.rest.and_then(|rest| text(rest, row))) {
                (None | Some(Value::Other), _) => true,
                (Some(wanted), Some(rest)) => rest_says(rest, name, wanted),
                (Some(_), None) => false,
            };
        }
        match wanted {
            None => false,
            Some(Value::Other) => true,
            Some(Value::Text(wanted)) => text(column, row) == Some(wanted),
            Some(Value::Bool(wanted)) => column.as_boolean_opt().is_some_and(|column| column.value(row) == *wanted),
            Some(wanted @ Value::Number { .. }) => number(column, row) == wanted.as_f64(),
        }
    }
}

/// A column of this type holds a field's value as it was sent; others (categories, single floats, times) would differ without being wrong.
fn is_exact(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Boolean
            | DataType::Float64
            | DataType::Int64
            | DataType::UInt64
            | DataType::Int32
            | DataType::UInt32
    )
}

fn rest_says(rest: &str, name: &str, wanted: &Value) -> bool {
    let Ok(serde_json::Value::Object(rest)) = serde_json::from_str(rest) else { return false };
    match (rest.get(name), wanted) {
        (Some(serde_json::Value::Number(found)), Value::Number { .. }) => found.as_f64() == wanted.as_f64(),
        (Some(serde_json::Value::String(found)), Value::Text(wanted)) => found == wanted,
        (Some(serde_json::Value::Bool(found)), Value::Bool(wanted)) => found == wanted,
        _ => false,
    }
}

fn text(column: &dyn Array, row: usize) -> Option<&str> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Utf8 => Some(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(column.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(column.as_string_view().value(row)),
        _ => None,
    }
}

/// Numbers of events are at most 2^53, so a double holds them.
fn number(column: &dyn Array, row: usize) -> Option<f64> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Float64 => Some(column.as_primitive::<Float64Type>().value(row)),
        DataType::Int64 => Some(column.as_primitive::<Int64Type>().value(row) as f64),
        DataType::UInt64 => Some(column.as_primitive::<UInt64Type>().value(row) as f64),
        DataType::Int32 => Some(f64::from(column.as_primitive::<Int32Type>().value(row))),
        DataType::UInt32 => Some(f64::from(column.as_primitive::<UInt32Type>().value(row))),
        _ => None,
    }
}
