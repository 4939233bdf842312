//! A folder of Parquet files: every row is held against the event that the seed makes again, column by column.
//!
//! Files are read in the order of their names, each with the columns that it has. Where they lie in folders that say values
//! (`site=site-7`), those are columns like any other, and a device's rows may be spread over folders: they are shown in the order of
//! `_partition` and `_offset`. A row is told by `device_id` and `seq`; each other column that is called like a field, or like it with a kind
//! of values behind a colon (`temp:string`), must say what the event said, if it is of a type that holds that exactly: text, truth values,
//! whole numbers, doubles, decimals. Where a sink keeps what has or fits no column in `_rest`, a JSON object as text, each field without a
//! value is looked up there.

use std::fs::File;
use std::path::{Path, PathBuf};

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int32Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Fields};

use super::{Question, Told, VerifyError};
use crate::fleet::{FieldPlace, Value, device_number};
use crate::ledger::Verifier;

const ROWS_PER_BATCH: usize = 8_192;

/// Shows every row of every `*.parquet` below `folder`, but for what is hidden; gives their number.
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
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // What is being written, and what logs of tables keep beside the rows; a folder may say the value of a column `_key`.
        if name.starts_with('.') || name.starts_with('_') && !name.contains('=') {
            continue;
        }
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
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
    fields: Vec<Field<'a>>,
    /// Fields whose values are in the names of folders.
    said: Vec<(&'a str, FieldPlace, Option<&'a str>)>,
    /// Partition and offset, where the order of the files is not that of the rows.
    place: Option<(&'a dyn Array, &'a dyn Array)>,
}

/// A field and the columns that may say it, one for each kind of its values.
struct Field<'a> {
    name: &'a str,
    place: FieldPlace,
    columns: Vec<&'a dyn Array>,
}

impl<'a> Rows<'a> {
    fn of(
        question: &'a Question,
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
        let model = &question.kept.model;
        let (schema, rest) = (batch.schema_ref(), column("_rest"));
        let mut fields = Vec::new();
        for name in model.field_names() {
            let is_its = |column: &str| {
                let kind = column.strip_prefix(name).is_some_and(|kind| kind.starts_with(':'));
                column == name || kind && model.find(column).is_none()
            };
            let mut columns = Vec::new();
            find_columns(&is_its, "", schema.fields(), batch.columns(), &mut columns);
            let Some(place) = model.find(name) else { continue };
            // Without `_rest` a sink may leave out what it likes.
            if !columns.is_empty() || rest.is_some() {
                fields.push(Field { name, place, columns });
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
        // What a folder says is in no column.
        fields.retain(|field: &Field<'_>| !said.iter().any(|(name, ..)| *name == field.name));
        Ok(Self { batch, device, seq, rest, fields, said, place })
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
            for field in &self.fields {
                let wanted = question.kept.model.value(question.kept.seed, device, seq, &field.place);
                if !self.says(row, field, wanted.as_ref()) {
                    verifier.corrupt(|| {
                        let (path, name) = (path.display(), field.name);
                        format!("dev-{device:09} event {seq} in {path}: column `{name}` is not {wanted:?}")
                    });
                }
            }
        }
    }

    fn says(&self, row: usize, field: &Field<'_>, wanted: Option<&Value>) -> bool {
        let mut there = field.columns.iter().filter(|column| column.is_valid(row)).peekable();
        match wanted {
            Some(Value::Other) => true,
            None => there.peek().is_none(),
            Some(wanted) if there.peek().is_none() => {
                self.rest.and_then(|rest| text(rest, row)).is_some_and(|rest| rest_says(rest, field.name, wanted))
            }
            Some(wanted) => there.all(|column| !is_exact(column.data_type()) || is(*column, row, wanted)),
        }
    }
}

/// Whether a value that is not null is the wanted one.
fn is(column: &dyn Array, row: usize, wanted: &Value) -> bool {
    match wanted {
        Value::Text(wanted) => text(column, row) == Some(wanted),
        Value::Bool(wanted) => column.as_boolean_opt().is_some_and(|column| column.value(row) == *wanted),
        Value::Number { scaled, decimals } => match column.data_type() {
            DataType::Decimal128(_, scale) => {
                // Both as digits behind the same point.
                let digits = |number: i128, behind: u32| number.checked_mul(10i128.checked_pow(behind)?);
                let found = digits(column.as_primitive::<Decimal128Type>().value(row), u32::from(*decimals));
                let scale = u32::try_from(*scale).ok();
                found.is_some() && found == scale.and_then(|scale| digits(i128::from(*scaled), scale))
            }
            _ => number(column, row) == wanted.as_f64(),
        },
        Value::Other => true,
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
            | DataType::Decimal128(..)
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

/// The columns that are called so, those in structs with dots between.
fn find_columns<'a>(
    is_wanted: &dyn Fn(&str) -> bool,
    above: &str,
    fields: &Fields,
    arrays: &'a [ArrayRef],
    found: &mut Vec<&'a dyn Array>,
) {
    for (field, array) in fields.iter().zip(arrays) {
        let name = format!("{above}{}", field.name());
        match field.data_type() {
            DataType::Struct(fields) => {
                find_columns(is_wanted, &format!("{name}."), fields, array.as_struct().columns(), found);
            }
            _ if is_wanted(&name) => found.push(&**array),
            _ => {}
        }
    }
}

fn rest_says(rest: &str, name: &str, wanted: &Value) -> bool {
    let Ok(serde_json::Value::Object(rest)) = serde_json::from_str(rest) else { return false };
    match (find_member(&rest, name), wanted) {
        (Some(serde_json::Value::Number(found)), Value::Number { .. }) => found.as_f64() == wanted.as_f64(),
        (Some(serde_json::Value::String(found)), Value::Text(wanted)) => found == wanted,
        (Some(serde_json::Value::Bool(found)), Value::Bool(wanted)) => found == wanted,
        _ => false,
    }
}

/// A member by its name, or where a dot in the name leads into an object.
fn find_member<'r>(rest: &'r serde_json::Map<String, serde_json::Value>, name: &str) -> Option<&'r serde_json::Value> {
    let inside = || {
        name.match_indices('.').find_map(|(at, _)| find_member(rest.get(&name[..at])?.as_object()?, &name[at + 1..]))
    };
    rest.get(name).or_else(inside)
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
