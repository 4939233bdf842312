//! Encoding alone: columns of a fleet to the bytes of a file, by the endpoint's encoder and by the parquet crate's `ArrowWriter`.

use std::error::Error;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::DataType;
use connectors::parquet::{Compression, Encoder, ParquetConfig};
use loadgen::generate::{GeneratePlan, generate};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as Codec, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde::Deserialize;

use crate::rounds::{Plan, Work, take_turns};
use crate::row::{Peer, Row};
use crate::{Setting, cores, machine};

use super::{DEVICES, SEED};

/// Rows of a batch: as many as the endpoint gathers.
const BATCH_ROWS: usize = 8192;
/// Rows of a row group, as the endpoint has them.
const GROUP_ROWS: usize = 128 * 1024;
const DICTIONARY_BYTES: usize = 256 * 1024;
const CODECS: [(&str, Compression); 3] =
    [("lz4", Compression::Lz4), ("snappy", Compression::Snappy), ("zstd", Compression::Zstd)];

/// What the columns hold, of an event of the fleet.
#[derive(Deserialize)]
struct Event {
    device_id: String,
    site: String,
    r#type: String,
    ts: i64,
    seq: i64,
    temp: f64,
    humidity: f64,
    door: bool,
}

/// Encodes all batches into a file in memory; says its bytes.
fn ours(config: &ParquetConfig, batches: &[RecordBatch], out: Vec<u8>) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut encoder = Encoder::new(out, Vec::new());
    for batch in batches {
        encoder.write(config, batch)?;
    }
    Ok(std::mem::take(encoder.finish(&[])?.output()))
}

/// What `ArrowWriter` was told while it wrote the endpoint's files.
fn properties(compression: Compression, batch: &RecordBatch) -> WriterProperties {
    let codec = match compression {
        Compression::Lz4 => Codec::LZ4_RAW,
        Compression::Snappy => Codec::SNAPPY,
        Compression::Zstd => Codec::ZSTD(ZstdLevel::try_new(3).unwrap_or_default()),
        Compression::None => Codec::UNCOMPRESSED,
    };
    let mut properties = WriterProperties::builder()
        .set_compression(codec)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page);
    for field in batch.schema_ref().fields() {
        let (plain, has_dictionary) = match field.data_type() {
            DataType::Int64 => (Encoding::DELTA_BINARY_PACKED, false),
            DataType::Float64 => (Encoding::BYTE_STREAM_SPLIT, true),
            DataType::Utf8 => (Encoding::DELTA_LENGTH_BYTE_ARRAY, true),
            _ => continue,
        };
        let path = ColumnPath::new(vec![field.name().clone()]);
        properties = properties
            .set_column_dictionary_enabled(path.clone(), has_dictionary)
            .set_column_dictionary_page_size_limit(path.clone(), DICTIONARY_BYTES)
            .set_column_encoding(path, plain);
    }
    properties.build()
}

fn peer(properties: &WriterProperties, batches: &[RecordBatch], out: Vec<u8>) -> Result<Vec<u8>, Box<dyn Error>> {
    let schema = batches.first().ok_or("no rows")?.schema();
    let mut writer = ArrowWriter::try_new(out, schema, Some(properties.clone()))?;
    for batch in batches {
        writer.write(batch)?;
    }
    Ok(writer.into_inner()?)
}

/// The fleet's events as columns, in batches.
fn batches(events: u64) -> Result<Vec<RecordBatch>, Box<dyn Error>> {
    let mut lines = Vec::new();
    generate(&GeneratePlan::new(DEVICES, events, SEED), &mut lines)?;
    let events: Vec<Event> = lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(serde_json::from_slice)
        .collect::<Result<_, _>>()?;
    let batch = |events: &[Event]| {
        let text =
            |of: fn(&Event) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(events.iter().map(of))) };
        let whole = |of: fn(&Event) -> i64| -> ArrayRef { Arc::new(events.iter().map(of).collect::<Int64Array>()) };
        let double = |of: fn(&Event) -> f64| -> ArrayRef { Arc::new(events.iter().map(of).collect::<Float64Array>()) };
        RecordBatch::try_from_iter_with_nullable([
            ("device_id", text(|event| &event.device_id), true),
            ("site", text(|event| &event.site), true),
            ("type", text(|event| &event.r#type), true),
            ("ts", whole(|event| event.ts), true),
            ("seq", whole(|event| event.seq), true),
            ("temp", double(|event| event.temp), true),
            ("humidity", double(|event| event.humidity), true),
            ("door", Arc::new(events.iter().map(|event| Some(event.door)).collect::<BooleanArray>()), true),
        ])
    };
    Ok(events.chunks(BATCH_ROWS).map(batch).collect::<Result<_, _>>()?)
}

/// Measures all codecs.
pub(super) fn run(setting: &Setting) -> Result<Vec<Row>, Box<dyn Error>> {
    let rows: u64 = if setting.quick { 20_000 } else { 1_000_000 };
    let batches = batches(rows)?;
    let core = *cores::allowed()?.last().ok_or("no core is allowed")?;
    let mut found = Vec::new();
    for (name, compression) in CODECS {
        found.extend(cores::on(core, || measure(setting, name, compression, &batches, rows))??);
    }
    Ok(found)
}

fn measure(
    setting: &Setting,
    name: &str,
    compression: Compression,
    batches: &[RecordBatch],
    rows: u64,
) -> Result<Vec<Row>, Box<dyn Error>> {
    let config = ParquetConfig { compression, ..ParquetConfig::new("unused") };
    let properties = properties(compression, &batches[0]);
    // Both write over the file of the turn before.
    let (mut our_file, mut peer_file) = (Vec::new(), Vec::new());
    let [our_samples, peer_samples] = {
        let (our_file, peer_file) = (&mut our_file, &mut peer_file);
        let our_turn: Work<'_> = Box::new(|| {
            our_file.clear();
            *our_file = ours(&config, batches, std::mem::take(our_file))?;
            Ok(rows)
        });
        let peer_turn: Work<'_> = Box::new(|| {
            peer_file.clear();
            *peer_file = peer(&properties, batches, std::mem::take(peer_file))?;
            Ok(rows)
        });
        let samples = take_turns(&mut [our_turn, peer_turn], Plan::of(setting))?;
        <[_; 2]>::try_from(samples).map_err(|_| "two took turns")?
    };
    let case = format!("8 columns of a fleet of 10,000, {name}");
    let peer = |values: Vec<f64>, cpu_ns: Vec<f64>| Peer {
        name: "parquet's ArrowWriter".to_owned(),
        version: machine::locked_version("parquet"),
        values,
        cpu_ns,
    };
    let written = Row::new(
        "parquet",
        &case,
        "encoded",
        &our_samples.per_s,
        &our_samples.cpu_ns,
        peer(peer_samples.per_s, peer_samples.cpu_ns),
        setting.quick,
    );
    let bytes = |file: &[u8]| vec![file.len() as f64 / rows as f64];
    let size = Row::new(
        "parquet",
        &case,
        "encoded size",
        &bytes(&our_file),
        &[],
        peer(bytes(&peer_file), Vec::new()),
        setting.quick,
    );
    Ok(vec![written, size.unit("bytes/event")])
}
