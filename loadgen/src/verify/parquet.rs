//! A folder of Parquet files: every row is held against the event that the seed makes again, column by column.
//!
//! Files are read in the order of their names. Where they lie in folders that say values (`site=site-7`), those are columns like any
//! other, and a device's rows may be spread over folders: they are shown in the order of `_partition` and `_offset`. A row is told by
//! `device_id` and `seq`; each other column that is called like a field must say what the event said, if it is of a type that holds
//! that exactly: text, truth values, whole numbers, doubles. Where a sink keeps what fits no column in `_rest`, a JSON object as text, it
//! is looked up there.

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
    let mut places = Vec::new();
    for path in files {
        let said = folder_values(path.strip_prefix(folder).unwrap_or(&path));
        let wrong = |what: String| VerifyError::Parquet { path: path.clone(), what };
        let file = File::open(&path).map_err(|error| VerifyError::Io { path: path.clone(), error })?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(|builder| builder.with_batch_size(ROWS_PER_BATCH).build())
            .map_err(|error| wrong(error.to_string()))?;
        for batch in reader {
            let batch = batch.map_err(|error| wrong(error.to_string()))?;
            let here = Rows::of(question, &batch, &said).map_err(wrong)?;
            here.show(question, verifier, &mut rows, &path, &mut places);
            told(rows);
        }
    }
    places.sort_unstable();
    for (position, (_, _, device, seq)) in places.into_iter().enumerate() {
        verifier.see(device, seq, position as u64);
    }
    Ok(rows)
}

/// What the folders of a path say: `site=a%2Fb` is `a/b` in the column `site`.
fn folder_values(path: &Path) -> Vec<(String, Option<String>)> {
    let folders = path.parent().into_iter().flat_map(Path::components);
    let read = |folder: std::path::Component<'_>| {
        let text = folder.as_os_str().to_str()?;
        let (name, value) = text.split_once('=')?;
        Some((unescaped(name), (value != "__HIVE_DEFAULT_PARTITION__").then(|| unescaped(value))))
    };
    folders.filter_map(read).collect()
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where a row is in the log, and of which event: partition, offset, device, number.
type Place = (i64, i64, u32, u32);

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
    /// Fields whose values are in the names of folders.
    said: Vec<(&'a str, FieldPlace, Option<&'a str>)>,
    /// Partition and offset, where the order of the files is not that of the rows.
    place: Option<(&'a dyn Array, &'a dyn Array)>,
}

impl<'a> Rows<'a> {
    fn of(
        question: &Question,
        batch: &'a RecordBatch,
        folders: &'a [(String, Option<String>)],
    ) -> Result<Self, String> {
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
        let find = |(name, value): &'a (String, Option<String>)| {
            Some((name.as_str(), question.kept.model.find(name)?, value.as_deref()))
        };
        let said: Vec<_> = folders.iter().filter_map(find).collect();
        let place = match folders.is_empty() {
            true => None,
            false => column("_partition").zip(column("_offset")),
        };
        Ok(Self { batch, device, seq, rest: column("_rest"), fields, said, place })
    }

    fn show(
        &self,
        question: &Question,
        verifier: &mut Verifier<'_>,
        rows: &mut u64,
        path: &Path,
        places: &mut Vec<Place>,
    ) {
        for row in 0..self.batch.num_rows() {
            let position = *rows;
            *rows += 1;
            let device = text(self.device, row).and_then(device_number);
            let seq = number(self.seq, row).and_then(|seq| u32::try_from(seq as i64).ok());
            let (Some(device), Some(seq)) = (device, seq) else {
                verifier.strangers(1);
                continue;
            };
            let place = self.place.and_then(|(partition, offset)| number(partition, row).zip(number(offset, row)));
            match place {
                Some((partition, offset)) => places.push((partition as i64, offset as i64, device, seq)),
                None => verifier.see(device, seq, position),
            }
            for (name, place, value) in &self.said {
                let wanted = question.kept.model.value(question.kept.seed, device, seq, place);
                if !folder_says(*value, wanted.as_ref()) {
                    verifier.corrupt(|| {
                        format!(
                            "dev-{device:09} event {seq} in {}: the folder's `{name}` is not {wanted:?}",
                            path.display()
                        )
                    });
                }
            }
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

/// As a folder's name has it: the empty text is nothing there.
fn folder_says(value: Option<&str>, wanted: Option<&Value>) -> bool {
    match (value, wanted) {
        (None, Some(Value::Text(wanted))) => wanted.is_empty(),
        (None, Some(_)) | (Some(_), None) => false,
        (None, None) | (_, Some(Value::Other)) => true,
        (Some(value), Some(Value::Text(wanted))) => value == *wanted,
        (Some(value), Some(Value::Bool(wanted))) => value == if *wanted { "true" } else { "false" },
        (Some(value), Some(wanted @ Value::Number { .. })) => value.parse().ok() == wanted.as_f64(),
    }
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
