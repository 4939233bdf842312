//! Checkpoints: what all versions up to one say, in one Parquet file, so that nobody reads them one by one. Classic ones, of the first
//! specification (PROTOCOL.md of Delta Lake, "Checkpoints").
//!
//! What always holds: a checkpoint is made of the log itself, so it also says what others wrote; it has its name only when it is whole,
//! and `_last_checkpoint` names none that is not there. It is there to be quick: whatever fails with it fails nothing else. What is in
//! memory for one is what the versions since the last one say, that one, and the new one, [`BYTES_MAX`] each at most.

use std::collections::BTreeMap;

use arrow_schema::{ArrowError, SchemaRef};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use serde_json::{Value, json};

use super::actions::decode;
use super::{FOLDER, READS_MAX, rows};
use crate::parquet::store::{Store, StoreError};

/// Versions from one checkpoint to the next.
pub const EVERY: u64 = 10;
/// Larger ones are neither written nor read.
pub const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Rows that are made or read at a time.
const ROWS: usize = 1024;
/// Rows of a row group.
const GROUP_ROWS_MAX: usize = 16 * 1024;
/// How long it is said of a file that it was taken out, for those who remove such files. What the endpoint has put together it removes by
/// itself, long before.
const REMOVED_MS: i64 = 7 * 24 * 3600 * 1000;
const REPLACED_MS: i64 = 3600 * 1000;

/// There is no checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What it is made of is not there, or not understood.
    #[error("{path}: {reason}")]
    Source {
        /// The version or checkpoint.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The table is too large for one.
    #[error("it would have more than {} MiB", BYTES_MAX >> 20)]
    TooLarge,
    /// It cannot be encoded.
    #[error("it cannot be encoded: {0}")]
    Encode(#[from] ParquetError),
}

impl From<ArrowError> for CheckpointError {
    fn from(error: ArrowError) -> Self {
        Self::Encode(error.into())
    }
}

/// Where the checkpoint of a version is.
pub fn path(version: u64) -> String {
    format!("{FOLDER}/{version:020}.checkpoint.parquet")
}

/// The version of a checkpoint by its path.
pub fn version(path: &str) -> Option<u64> {
    let digits = path.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".checkpoint.parquet")?;
    super::number(digits)
}

/// Shows each action of a checkpoint; the error says what is wrong.
pub fn read(content: Bytes, mut show: impl FnMut(Value) -> Result<(), String>) -> Result<(), String> {
    let text = |error: ParquetError| error.to_string();
    let reader = ParquetRecordBatchReaderBuilder::try_new(content).map_err(text)?;
    for batch in reader.with_batch_size(ROWS).build().map_err(text)? {
        let batch = batch.map_err(|error| error.to_string())?;
        (0..batch.num_rows()).try_for_each(|row| show(rows::to_action(&batch, row)))?;
    }
    Ok(())
}

/// Writes the checkpoint of `version`, made of that of `base` and the versions since.
pub async fn write(store: &dyn Store, version: u64, base: Option<u64>, now_ms: i64) -> Result<(), CheckpointError> {
    let latest = latest(store, base.map_or(0, |base| base + 1)..=version).await?;
    let mut encoder = Encoder::new()?;
    if let Some(base) = base {
        let path = path(base);
        let content = store.read(&path).await?.unwrap_or_default();
        let mut failed = None;
        let read = read(content, |action| {
            let is_said = key(&action).is_none_or(|key| latest.contains_key(&key));
            let kept = if is_said || is_forgotten(&action, now_ms) { Ok(()) } else { encoder.push(action) };
            kept.map_err(|error| failed.insert(error).to_string())
        });
        match (failed, read) {
            (Some(failed), _) => return Err(failed),
            (None, Err(reason)) => return Err(CheckpointError::Source { path, reason }),
            (None, Ok(())) => {}
        }
    }
    for line in latest.into_values() {
        let action = serde_json::from_str(&line)
            .map_err(|error| CheckpointError::Source { path: super::path(version), reason: error.to_string() })?;
        if !is_forgotten(&action, now_ms) {
            encoder.push(action)?;
        }
    }
    let Encoded { content, actions, files } = encoder.finish()?;
    let bytes = content.len();
    if store.write_new(&path(version), content).await? {
        let last = json!({"version": version, "size": actions, "sizeInBytes": bytes, "numOfAddFiles": files});
        store.replace(&format!("{FOLDER}/_last_checkpoint"), last.to_string().into()).await?;
    }
    Ok(())
}

/// What an action is about: a later one about the same takes its place. `None` for what is in no checkpoint.
fn key(action: &Value) -> Option<(&'static str, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, said) = action.as_object()?.iter().next()?;
    Some(match kind.as_str() {
        "protocol" => ("protocol", String::new()),
        "metaData" => ("metaData", String::new()),
        "txn" => ("txn", text(&said["appId"])),
        "add" | "remove" => ("file", decode(&text(&said["path"]))),
        _ => return None,
    })
}

/// It was taken out long ago.
fn is_forgotten(action: &Value, now_ms: i64) -> bool {
    let Some(removed) = action.get("remove") else { return false };
    let is_data_change = removed["dataChange"].as_bool().unwrap_or(true);
    let keep_ms = if is_data_change { REMOVED_MS } else { REPLACED_MS };
    removed["deletionTimestamp"].as_i64().unwrap_or(0).saturating_add(keep_ms) < now_ms
}

/// The last action of these versions about each thing, as text.
async fn latest(
    store: &dyn Store,
    versions: std::ops::RangeInclusive<u64>,
) -> Result<BTreeMap<(&'static str, String), String>, CheckpointError> {
    let read = |version: u64| async move {
        let path = super::path(version);
        let content = store.read(&path).await?;
        Ok::<_, CheckpointError>((path, content))
    };
    let mut reads = futures_util::stream::iter(versions).map(read).buffered(READS_MAX);
    let (mut latest, mut bytes) = (BTreeMap::new(), 0);
    while let Some((path, content)) = reads.try_next().await? {
        let wrong = |reason: String| CheckpointError::Source { path: path.clone(), reason };
        let content = content.ok_or_else(|| wrong("it is not there".to_owned()))?;
        for line in content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let action: Value = serde_json::from_slice(line).map_err(|error| wrong(error.to_string()))?;
            if let Some(key) = key(&action) {
                bytes += line.len() as u64;
                let before = latest.insert(key, action.to_string());
                bytes -= before.map_or(0, |before| before.len() as u64).min(bytes);
            }
        }
        if bytes > BYTES_MAX {
            return Err(CheckpointError::TooLarge);
        }
    }
    Ok(latest)
}

/// Actions on their way into a file.
struct Encoder {
    columns: SchemaRef,
    writer: ArrowWriter<Vec<u8>>,
    waiting: Vec<Value>,
    actions: usize,
    files: usize,
}

struct Encoded {
    content: Bytes,
    actions: usize,
    /// That are in the table.
    files: usize,
}

impl Encoder {
    fn new() -> Result<Self, CheckpointError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
            .set_created_by(concat!("anabranch ", env!("CARGO_PKG_VERSION")).to_owned());
        let columns = rows::columns();
        let writer = ArrowWriter::try_new(Vec::new(), columns.clone(), Some(properties.build()))?;
        Ok(Self { columns, writer, waiting: Vec::with_capacity(ROWS), actions: 0, files: 0 })
    }

    fn push(&mut self, mut action: Value) -> Result<(), CheckpointError> {
        self.actions += 1;
        if let Some(added) = action.get_mut("add") {
            self.files += 1;
            // It is no change any more.
            added["dataChange"] = false.into();
        }
        self.waiting.push(action);
        if self.waiting.len() < ROWS { Ok(()) } else { self.encode() }
    }

    fn encode(&mut self) -> Result<(), CheckpointError> {
        self.writer.write(&rows::to_rows(&self.columns, &self.waiting)?)?;
        self.waiting.clear();
        match (self.writer.bytes_written() + self.writer.in_progress_size()) as u64 > BYTES_MAX {
            true => Err(CheckpointError::TooLarge),
            false => Ok(()),
        }
    }

    fn finish(mut self) -> Result<Encoded, CheckpointError> {
        self.encode()?;
        let content: Bytes = self.writer.into_inner()?.into();
        Ok(Encoded { content, actions: self.actions, files: self.files })
    }
}
