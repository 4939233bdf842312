//! One file: rows gather in a table, go in row batches to the parquet crate's writer, and the whole is synced and renamed.

use std::fs::File;
use std::path::{Path, PathBuf};

use engine::event::Event;
use engine::lane::Enrichment;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;

use super::config::{Compression, ParquetConfig};
use super::encoding::properties;
use super::learn::Learner;
use super::names;
use super::schema::Schema;
use super::spread::Refused;
use super::table::{Body, Table};

/// Rows that gather before they are encoded: enough for the encoder's loops, few enough to stay in the cache.
const TABLE_ROWS_MAX: usize = 8192;
/// Bytes that gather, looked at every so many rows. With events of the largest size that is far from 2 GiB.
const TABLE_BYTES_MAX: usize = 16 * 1024 * 1024;
const TABLE_ROWS_CHECK: usize = 64;

const _: () =
    assert!(TABLE_BYTES_MAX + (TABLE_ROWS_CHECK + 1) * engine::limits::EVENT_BYTES_MAX * 6 < i32::MAX as usize);

/// A file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The disk says no.
    #[error("cannot write {path}: {error}; is the disk full, or the folder not ours to write?")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Two endpoints would remove each other's open files.
    #[error("another endpoint or node writes into {dir}; give each endpoint a folder of its own")]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// The encoder says no.
    #[error("cannot encode {path}: {error}")]
    Encode {
        /// The file.
        path: PathBuf,
        /// What it says.
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
    partition: u32,
    first: u64,
    last: u64,
    rows: u64,
    dir: PathBuf,
    temporary: PathBuf,
    compression: Compression,
    endpoint: String,
    schema_version: u32,
    table: Table,
    output: Output,
    /// Bytes that the encoder holds in memory, as of its last row batch.
    encoder_bytes: usize,
}

/// The encoder is made with the first rows: they have the schema of the file.
enum Output {
    Fresh(File),
    Begun(Box<ArrowWriter<File>>),
    /// An error came between; nothing more can be written.
    Broken,
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
        let table = if config.evolves() { table.observing() } else { table };
        let temporary = config.dir.join(format!("{}p{partition:05}-{first:020}", names::TEMPORARY));
        let file = File::create(&temporary).map_err(|error| FileError::Io { path: temporary.clone(), error })?;
        Ok(Self {
            partition,
            first,
            last: first,
            rows: 0,
            dir: config.dir.clone(),
            temporary,
            compression: config.compression,
            endpoint: endpoint.to_owned(),
            schema_version: schema.version,
            table,
            output: Output::Fresh(file),
            encoder_bytes: 0,
        })
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

    /// Shows a learner what had no column.
    pub fn teach(&self, learner: &mut Learner) {
        self.table.teach(learner);
    }

    /// Rows of which `_errors` says something.
    pub fn mismatches(&self) -> u64 {
        self.table.mismatches()
    }

    /// Removes a file into which nothing was written.
    pub fn discard(self) -> Result<(), FileError> {
        std::fs::remove_file(&self.temporary).map_err(|error| FileError::Io { path: self.temporary, error })
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes written so far, and those that will be when what is in memory is encoded, roughly.
    pub fn bytes(&self) -> u64 {
        let written = match &self.output {
            Output::Begun(writer) => writer.bytes_written() as u64,
            Output::Fresh(_) | Output::Broken => 0,
        };
        written + self.memory_bytes()
    }

    /// Bytes in memory, roughly.
    pub fn memory_bytes(&self) -> u64 {
        (self.encoder_bytes + self.table.byte_len()) as u64
    }

    /// Writes everything in memory to the file, as a row group of its own.
    pub fn spill(&mut self) -> Result<(), FileError> {
        self.encode()?;
        if let Output::Begun(writer) = &mut self.output {
            writer.flush().map_err(|error| FileError::Encode { path: self.temporary.clone(), error })?;
        }
        self.encoder_bytes = 0;
        Ok(())
    }

    fn encode(&mut self) -> Result<(), FileError> {
        if self.table.rows() == 0 {
            return Ok(());
        }
        let rows = self.table.take();
        let failed = |error| FileError::Encode { path: self.temporary.clone(), error };
        let mut writer = match std::mem::replace(&mut self.output, Output::Broken) {
            Output::Begun(writer) => writer,
            Output::Fresh(file) => {
                let metadata = [
                    ("anabranch.endpoint", self.endpoint.clone()),
                    ("anabranch.partition", self.partition.to_string()),
                    ("anabranch.schema_version", self.schema_version.to_string()),
                ]
                .map(|(key, value)| KeyValue::new(key.to_owned(), value));
                let properties = properties(self.compression, rows.schema_ref(), metadata.into());
                Box::new(ArrowWriter::try_new(file, rows.schema(), Some(properties)).map_err(failed)?)
            }
            Output::Broken => return Err(failed(ParquetError::General("an earlier write failed".to_owned()))),
        };
        writer.write(&rows).map_err(failed)?;
        self.encoder_bytes = writer.memory_size();
        self.output = Output::Begun(writer);
        Ok(())
    }

    /// Encodes the rest and gives the file its name. Once this returns it survives power loss.
    pub fn finish(self) -> Result<Finished, FileError> {
        let path = self.dir.join(names::file_name(self.partition, self.first, self.last));
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
        let encode = |error| FileError::Encode { path: self.temporary.clone(), error };
        let Output::Begun(mut writer) = self.output else {
            return Err(encode(ParquetError::General("a file without rows".to_owned())));
        };
        for (key, number) in metadata {
            writer.append_key_value_metadata(KeyValue::new(format!("anabranch.{key}"), number.to_string()));
        }
        writer.finish().map_err(encode)?;
        let bytes = writer.bytes_written() as u64;
        let named = (|| {
            writer.inner().sync_all()?;
            std::fs::rename(&self.temporary, &path)?;
            crate::hub::sync_dir(&self.dir)
        })();
        named.map_err(|error| FileError::Io { path: path.clone(), error })?;
        Ok(Finished { path, bytes, rows: self.rows, next: self.last + 1 })
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
pub fn prepare_dir(dir: &Path) -> Result<File, FileError> {
    let prepared = (|| {
        std::fs::create_dir_all(dir)?;
        let lock = names::lock(dir)?;
        names::remove_temporary(dir)?;
        Ok(lock)
    })();
    prepared.map_err(|error: std::io::Error| match error.kind() {
        std::io::ErrorKind::WouldBlock => FileError::InUse { dir: dir.to_owned() },
        _ => FileError::Io { path: dir.to_owned(), error },
    })
}
