//! One file of the local disk, for who writes one at a time: rows gather in a table, go in row batches to the parquet crate's writer,
//! and the whole is synced and renamed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::event::Event;
use engine::lane::Enrichment;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;

use super::cells::{Cells, Plan};
use super::config::ParquetConfig;
use super::encoder::Encoder;
use super::names::{Lake, Name, Part};
use super::piece::Piece;
use super::schema::Schema;
use super::spread::Refused;
use super::store::{Local, StoreError, TEMPORARY};
use super::table::{Body, Table};

/// Rows that gather before they are encoded: enough for the encoder's loops, few enough to stay in the cache.
pub(super) const TABLE_ROWS_MAX: usize = 8192;
/// Bytes that gather, looked at every so many rows. With events of the largest size that is far from 2 GiB.
pub(super) const TABLE_BYTES_MAX: usize = 16 * 1024 * 1024;
pub(super) const TABLE_ROWS_CHECK: usize = 64;
/// Rows that are appended at once, before the bytes are looked at again: their values are still in the cache then.
pub(super) const RUN_ROWS_MAX: usize = 2048;

const _: () =
    assert!(TABLE_BYTES_MAX + (TABLE_ROWS_CHECK + 1) * engine::limits::EVENT_BYTES_MAX * 6 < i32::MAX as usize);

/// A file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The disk or the object store says no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The encoder says no.
    #[error("cannot encode {path}: {error}")]
    Encode {
        /// The file.
        path: PathBuf,
        /// What it says.
        error: ParquetError,
    },
    /// A file that should be whole is not.
    #[error("cannot read {path}: {error}; it is damaged: move it away, and know that its events are in no other file")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: ParquetError,
    },
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Pushed {
    /// It is a row.
    Row,
    /// It cannot be one.
    Refused(Refused),
}

/// An open file.
pub struct FileWriter {
    config: ParquetConfig,
    partition: u32,
    first: u64,
    last: u64,
    rows: u64,
    dir: PathBuf,
    temporary: PathBuf,
    table: Table,
    encoder: Encoder<File>,
}

impl FileWriter {
    /// Opens a file for rows of `partition` from `first` on.
    pub fn create(
        config: &ParquetConfig,
        schema: &Schema,
        with_system: bool,
        endpoint: &str,
        partition: u32,
        first: u64,
    ) -> Result<Self, FileError> {
        let table = Table::new(schema, with_system);
        let temporary = config.dir.join(format!("{TEMPORARY}p{partition:05}-{first:020}"));
        let file = File::create(&temporary).map_err(|error| StoreError::Io { path: temporary.clone(), error })?;
        let metadata = [
            ("anabranch.endpoint", endpoint.to_owned()),
            ("anabranch.partition", partition.to_string()),
            ("anabranch.schema_version", schema.version.to_string()),
        ]
        .map(|(key, value)| KeyValue::new(key.to_owned(), value));
        Ok(Self {
            config: config.clone(),
            partition,
            first,
            last: first,
            rows: 0,
            dir: config.dir.clone(),
            temporary,
            table,
            encoder: Encoder::new(file, metadata.into()),
        })
    }

    /// With a plan for the same schema that files before it had too.
    pub fn with_plan(mut self, plan: &Arc<Plan>) -> Self {
        self.table = self.table.with_plan(plan);
        self
    }

    /// Appends an event with what its endpoint adds; offsets ascend. `body` is its data parsed; `None` where it is no JSON. An event
    /// that is refused is not in the file and leaves no trace in it.
    pub fn push(
        &mut self,
        event: &Event<'_>,
        enrichments: &[Enrichment],
        body: Option<Body<'_>>,
    ) -> Result<Pushed, FileError> {
        if let Err(refused) = self.table.push(event, enrichments, body) {
            return Ok(Pushed::Refused(refused));
        }
        if self.rows == 0 {
            self.first = event.offset();
        }
        self.last = event.offset();
        self.rows += 1;
        // Large events are asked for more often: a column's values are counted in 31 bits.
        let is_large = self.table.rows().is_multiple_of(TABLE_ROWS_CHECK) && self.table.byte_len() >= TABLE_BYTES_MAX;
        if self.table.rows() >= TABLE_ROWS_MAX || is_large {
            self.encode()?;
        }
        Ok(Pushed::Row)
    }

    /// As [`push`](Self::push) for some of the rows from `first` on of what was read from `pieces`, of which that one is plain. Says how
    /// many became rows, or why the first one cannot.
    pub fn push_cells(
        &mut self,
        cells: &Cells,
        first: usize,
        pieces: &[Piece<'_>],
    ) -> Result<Result<usize, Refused>, FileError> {
        let left = usize::try_from(self.config.rows_max.saturating_sub(self.rows)).unwrap_or(usize::MAX).max(1);
        let most = (TABLE_ROWS_MAX - self.table.rows()).min(RUN_ROWS_MAX).min(left);
        let len = match self.table.push_cells(cells, first, most, pieces) {
            Ok(len) => len,
            Err(refused) => return Ok(Err(refused)),
        };
        let offset = |at: usize| cells.event(at, pieces).offset();
        if self.rows == 0 {
            self.first = offset(first);
        }
        self.last = offset(first + len - 1);
        self.rows += len as u64;
        if self.table.rows() >= TABLE_ROWS_MAX || self.table.byte_len() >= TABLE_BYTES_MAX {
            self.encode()?;
        }
        Ok(Ok(len))
    }

    /// Removes a file into which nothing was written.
    pub fn discard(self) -> Result<(), FileError> {
        let removed = std::fs::remove_file(&self.temporary);
        removed.map_err(|error| StoreError::Io { path: self.temporary, error }.into())
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes written so far, and those that will be when what is in memory is encoded, roughly.
    pub fn bytes(&self) -> u64 {
        self.encoder.bytes_written() + (self.encoder.pending_bytes() + self.table.byte_len()) as u64
    }

    /// Bytes in memory, roughly.
    pub fn memory_bytes(&self) -> u64 {
        (self.encoder.memory_bytes() + self.table.byte_len()) as u64
    }

    /// Writes everything in memory to the file, as a row group of its own.
    pub fn spill(&mut self) -> Result<(), FileError> {
        self.encode()?;
        self.encoder.flush().map_err(|error| FileError::Encode { path: self.temporary.clone(), error })
    }

    fn encode(&mut self) -> Result<(), FileError> {
        if self.table.rows() == 0 {
            return Ok(());
        }
        let rows = self.table.take();
        let written = self.encoder.write(&self.config, &rows);
        written.map_err(|error| FileError::Encode { path: self.temporary.clone(), error })
    }

    /// Encodes the rest and gives the file its name. Once this returns it survives power loss.
    pub fn finish(self) -> Result<Finished, FileError> {
        let name = Name { partition: self.partition, first: self.first, last: self.last, part: Part::Whole };
        let path = self.dir.join(name.to_string());
        let range = [("first_offset", self.first), ("last_offset", self.last), ("rows", self.rows)];
        self.finish_with(path, &range)
    }

    /// The same under a name of one's own, in the same folder: for a file of rows from several partitions.
    pub fn finish_as(self, name: &str) -> Result<Finished, FileError> {
        let path = self.dir.join(name);
        let rows = [("rows", self.rows)];
        self.finish_with(path, &rows)
    }

    fn finish_with(mut self, path: PathBuf, metadata: &[(&str, u64)]) -> Result<Finished, FileError> {
        self.encode()?;
        let metadata: Vec<_> = metadata.iter().map(|(key, number)| (*key, number.to_string())).collect();
        let encoded = self.encoder.finish(&metadata);
        let mut encoded = encoded.map_err(|error| FileError::Encode { path: self.temporary.clone(), error })?;
        let named = (|| {
            encoded.output().sync_all()?;
            std::fs::rename(&self.temporary, &path)?;
            crate::hub::sync_dir(&self.dir)
        })();
        named.map_err(|error| StoreError::Io { path: path.clone(), error })?;
        Ok(Finished { path, bytes: encoded.bytes, rows: self.rows, next: self.last + 1 })
    }
}

/// A file that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Under its final name.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// Offset behind its last row.
    pub next: u64,
}

/// Makes the folder, takes it for as long as the result lives, and clears what an earlier run did not finish.
pub fn prepare_dir(dir: &Path) -> Result<Local, FileError> {
    let local = Local::take(dir)?;
    for path in Lake::of(local.entries()?).temporary {
        let path = dir.join(path);
        std::fs::remove_file(&path).map_err(|error| StoreError::Io { path, error })?;
    }
    Ok(local)
}
