//! Files read back by the parquet crate: what columns hold, that nothing is lost, that each offset is there once after any crash.

mod crash;
mod delta_columns;
mod faults;
mod layout;
mod learning;
mod nothing_is_lost;
mod oracle;
mod schemas;
mod settings;
mod twins;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use engine::batch::{BatchBuilder, HeaderWriter};
use engine::lane::{Delivery, Enrichment, Rows};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value as Json};

use super::{ParquetConfig, Schema, SinkError, run_blocking};
use crate::sink::{Cursors, ROOM, SinkStats, feed};

/// A row as read back; columns that are null are absent.
type Row = Map<String, Json>;

/// Finished files of a folder, in the order of their names.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "parquet"))
        .collect();
    found.sort();
    found
}

/// All rows of a folder's files.
fn rows(dir: &Path) -> Vec<Row> {
    files(dir).iter().flat_map(|path| batches(path)).flat_map(|batch| to_rows(&batch)).collect()
}

fn batches(path: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file").build().expect("a reader");
    reader.map(|batch| batch.expect("rows")).collect()
}

fn batches_of(content: bytes::Bytes) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(content).expect("a Parquet file").build().expect("a reader");
    reader.map(|batch| batch.expect("rows")).collect()
}

fn to_rows(batch: &RecordBatch) -> Vec<Row> {
    let schema = batch.schema();
    let row = |row: usize| {
        let values = schema.fields().iter().zip(batch.columns()).filter(|(_, array)| array.is_valid(row));
        values.map(|(field, array)| (field.name().clone(), to_json(array, row))).collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

/// A value as JSON: instants and days as numbers, decimals as texts, structs without fields that are null.
fn to_json(array: &dyn Array, row: usize) -> Json {
    if array.is_null(row) {
        return Json::Null;
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float32 => array.as_primitive::<Float32Type>().value(row).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).into(),
        DataType::Date32 => array.as_primitive::<Date32Type>().value(row).into(),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            array.as_primitive::<TimestampMillisecondType>().value(row).into()
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            array.as_primitive::<TimestampMicrosecondType>().value(row).into()
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            array.as_primitive::<TimestampNanosecondType>().value(row).into()
        }
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row).into(),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::Binary => String::from_utf8_lossy(array.as_binary::<i32>().value(row)).into(),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|item| to_json(&items, item)).collect()
        }
        DataType::Struct(fields) => {
            let values = fields.iter().zip(array.as_struct().columns()).filter(|(_, array)| array.is_valid(row));
            Json::Object(values.map(|(field, array)| (field.name().clone(), to_json(array, row))).collect())
        }
        other => panic!("no column has type {other}"),
    }
}

/// A delivery of all rows of a batch at `base`.
fn delivery(partition: u32, base: u64, bodies: &[&str]) -> Delivery {
    let events: Vec<_> =
        bodies.iter().map(|body| (b"dev".as_slice(), body.as_bytes(), HeaderWriter::default())).collect();
    delivery_of(partition, base, &events, &[])
}

/// As [`delivery`] with keys, headers and enrichments.
fn delivery_of(
    partition: u32,
    base: u64,
    events: &[(&[u8], &[u8], HeaderWriter)],
    enrichments: &[(&str, &str)],
) -> Delivery {
    let mut builder = BatchBuilder::new(partition);
    for (key, body, headers) in events {
        builder.push(Some(key), body, headers, 1_000).expect("fits");
    }
    let mut batch = builder.seal().expect("rows");
    batch.set_base_offset(base);
    let enrichments = enrichments
        .iter()
        .map(|(key, value)| Enrichment { key: (*key).to_owned(), value: (*value).to_owned() })
        .collect();
    Delivery { batch: Arc::new(batch), rows: Rows::All, enrichments, table_version: 1 }
}

/// Runs deliveries through an endpoint; where its cursors stand then, and what it counted.
fn run(config: &ParquetConfig, deliveries: Vec<Delivery>) -> (Result<(), SinkError>, Vec<u64>, Arc<SinkStats>) {
    let cursors = Arc::new(Cursors::new(&[0; 4]));
    let (sender, feed) = feed(ROOM, cursors.clone());
    deliveries.into_iter().for_each(|delivery| sender.blocking_send(delivery).expect("room"));
    drop(sender);
    let stats = Arc::new(SinkStats::default());
    let ended = run_blocking("lake", config.clone(), feed, stats.clone());
    (ended, cursors.all(), stats)
}

/// Each of the bodies as a file of its own.
fn files_of(config: &mut ParquetConfig, first: u64, bodies: &[&str]) -> Arc<SinkStats> {
    config.rows_max = 1;
    let deliveries = bodies.iter().zip(first..).map(|(body, offset)| delivery(0, offset, &[body])).collect();
    let (ended, cursors, stats) = run(config, deliveries);
    ended.expect("writes");
    assert_eq!(cursors[0], first + bodies.len() as u64, "everything is settled");
    stats
}

/// A row's columns of the data, with what has none.
fn data(row: &Row) -> Json {
    let is_own = |name: &str| super::schema::system_fields().iter().any(|field| field.name() == name);
    Json::Object(
        row.iter().filter(|(name, _)| !is_own(name)).map(|(name, value)| (name.clone(), value.clone())).collect(),
    )
}

fn columns(schema: &Schema) -> Vec<String> {
    schema.columns.iter().map(|column| format!("{} {}", column.name, column.r#type)).collect()
}
