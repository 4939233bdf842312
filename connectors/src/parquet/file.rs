//! One file: rows gather in a table, go in row batches to the parquet crate's writer, and the whole is synced and renamed.

use std::fs::File;
use std::path::{Path, PathBuf};

use engine::event::Event;
use engine::lane::Enrichment;
use engine::parse::Value;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression as Codec;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::config::{Compression, ParquetConfig};
use super::names;
use super::schema::Schema;
use super::table::Table;

/// Rows that gather before they are encoded: enough for the encoder's loops, few enough to stay in the cache.
const TABLE_ROWS_MAX: usize = 8192;
/// Rows of a row group.
const GROUP_ROWS_MAX: usize = 512 * 1024;

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
    /// The encoder says no.
    #[error("cannot encode {path}: {error}")]
    Encode {
        /// The file.
        path: PathBuf,
        /// What it says.
        error: ParquetError,
    },
}

/// An open file.
pub struct FileWriter {
    partition: u32,
    first: u64,
    last: u64,
    rows: u64,
    dir: PathBuf,
    temporary: PathBuf,
    table: Table,
    writer: ArrowWriter<File>,
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
        let temporary = config.dir.join(format!("{}p{partition:05}-{first:020}", names::TEMPORARY));
        let table = Table::new(schema, with_system);
        let file = File::create(&temporary).map_err(|error| FileError::Io { path: temporary.clone(), error })?;
        let properties = properties(config, endpoint, partition);
        let writer = ArrowWriter::try_new(file, table.arrow_schema().clone(), Some(properties))
            .map_err(|error| FileError::Encode { path: temporary.clone(), error })?;
        let dir = config.dir.clone();
        Ok(Self { partition, first, last: first, rows: 0, dir, temporary, table, writer })
    }

    /// Appends an event with what its endpoint adds.
    pub fn push(
        &mut self,
        event: &Event<'_>,
        enrichments: &[Enrichment],
        body: Option<Value<'_>>,
    ) -> Result<(), FileError> {
        self.table.push(event, enrichments, body);
        self.last = event.offset();
        self.rows += 1;
        if self.table.rows() >= TABLE_ROWS_MAX { self.encode() } else { Ok(()) }
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes written so far, and those that will be when what is in memory is encoded, roughly.
    pub fn bytes(&self) -> u64 {
        self.writer.bytes_written() as u64 + self.memory_bytes()
    }

    /// Bytes in memory, roughly.
    pub fn memory_bytes(&self) -> u64 {
        (self.writer.in_progress_size() + self.table.byte_len()) as u64
    }

    fn encode(&mut self) -> Result<(), FileError> {
        let rows = self.table.take();
        self.writer.write(&rows).map_err(|error| FileError::Encode { path: self.temporary.clone(), error })
    }

    /// Encodes the rest and gives the file its name; its path and size. Once this returns it survives power loss.
    pub fn finish(mut self) -> Result<(PathBuf, u64), FileError> {
        if self.table.rows() > 0 {
            self.encode()?;
        }
        let range = [("anabranch.first_offset", self.first), ("anabranch.last_offset", self.last)];
        for (key, offset) in range {
            self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), offset.to_string()));
        }
        let encode = |error| FileError::Encode { path: self.temporary.clone(), error };
        self.writer.finish().map_err(encode)?;
        let bytes = self.writer.bytes_written() as u64;
        let path = self.dir.join(names::file_name(self.partition, self.first, self.last));
        let named = (|| {
            self.writer.inner().sync_all()?;
            std::fs::rename(&self.temporary, &path)?;
            crate::hub::sync_dir(&self.dir)
        })();
        named.map_err(|error| FileError::Io { path: path.clone(), error })?;
        Ok((path, bytes))
    }
}

fn properties(config: &ParquetConfig, endpoint: &str, partition: u32) -> WriterProperties {
    let codec = match config.compression {
        Compression::Snappy => Codec::SNAPPY,
        Compression::Lz4 => Codec::LZ4_RAW,
        Compression::Zstd => Codec::ZSTD(Default::default()),
        Compression::None => Codec::UNCOMPRESSED,
    };
    let metadata = vec![
        KeyValue::new("anabranch.endpoint".to_owned(), endpoint.to_owned()),
        KeyValue::new("anabranch.partition".to_owned(), partition.to_string()),
    ];
    WriterProperties::builder()
        .set_compression(codec)
        .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_key_value_metadata(Some(metadata))
        .set_created_by("anabranch".to_owned())
        .build()
}

/// Makes the folder and clears what an earlier run did not finish.
pub fn prepare_dir(dir: &Path) -> Result<(), FileError> {
    let prepared = std::fs::create_dir_all(dir).and_then(|()| names::remove_temporary(dir));
    prepared.map_err(|error| FileError::Io { path: dir.to_owned(), error })
}
