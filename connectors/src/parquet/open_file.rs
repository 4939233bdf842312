//! A file of a commit while it is written: rows are sorted if that is asked for, encoded, and handed to the store as they come out.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};

use super::commit::Writing;
use super::encoder::Encoder;
use super::encoding::GROUP_ROWS_MAX;
use super::file::{FileError, TABLE_ROWS_MAX};
use super::names::Name;
use super::sorter::Sorter;
use super::store::{Again, Draft, StoreError};

/// See the module.
pub struct OpenFile {
    stem: String,
    encoder: Encoder<Vec<u8>>,
    sorter: Option<Sorter>,
    draft: Box<dyn Draft>,
    /// Bytes that the draft has.
    sent: u64,
    first_row: i64,
    last_row: i64,
}

/// A file whose bytes are all with the store, under no name yet.
pub struct SealedFile {
    draft: Box<dyn Draft>,
    file: CommittedFile,
}

/// A file of a commit.
#[derive(Clone)]
pub struct CommittedFile {
    /// Its path.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its footer.
    pub footer: ParquetMetaData,
}

impl OpenFile {
    /// Begins one under a name made of `stem`; the footer says `metadata`.
    pub fn begin(writing: Writing<'_>, stem: String, metadata: Vec<KeyValue>) -> Self {
        let sort_by = &writing.config.sort_by;
        Self {
            encoder: Encoder::new(Vec::new(), metadata).in_room(writing.room),
            sorter: (!sort_by.is_empty()).then(|| Sorter::new(sort_by)),
            draft: writing.store.begin(&stem),
            stem,
            sent: 0,
            first_row: i64::MAX,
            last_row: 0,
        }
    }

    fn encode_error(&self) -> impl Fn(ParquetError) -> FileError + use<> {
        let path = self.stem.clone();
        move |error| FileError::Encode { path: path.clone().into(), error }
    }

    /// Appends rows.
    pub async fn write(&mut self, writing: Writing<'_>, rows: RecordBatch) -> Result<(), FileError> {
        let offsets = rows.column_by_name("_offset").and_then(|column| column.as_primitive_opt::<Int64Type>());
        for offset in offsets.into_iter().flat_map(|offsets| offsets.values()) {
            (self.first_row, self.last_row) = (self.first_row.min(*offset), self.last_row.max(*offset));
        }
        match &mut self.sorter {
            None => self.encoder.write(writing.config, &rows).map_err(self.encode_error())?,
            Some(sorter) => {
                sorter.push(rows);
                if sorter.rows() >= GROUP_ROWS_MAX || sorter.bytes() >= writing.config.row_group_bytes_max {
                    self.encode_sorted(writing)?;
                }
            }
        }
        self.send(writing.again).await.map_err(FileError::from)
    }

    /// What has gathered becomes a row group.
    fn encode_sorted(&mut self, writing: Writing<'_>) -> Result<(), FileError> {
        let error = self.encode_error();
        let Some(sorter) = &mut self.sorter else { return Ok(()) };
        let Some(sorted) = sorter.take().map_err(|failed| error(failed.into()))? else { return Ok(()) };
        for first in (0..sorted.num_rows()).step_by(TABLE_ROWS_MAX) {
            let rows = sorted.slice(first, TABLE_ROWS_MAX.min(sorted.num_rows() - first));
            self.encoder.write(writing.config, &rows).map_err(&error)?;
        }
        self.encoder.flush().map_err(&error)
    }

    /// Writes everything in memory to the file, as a row group of its own.
    pub async fn spill(&mut self, writing: Writing<'_>) -> Result<(), FileError> {
        self.encode_sorted(writing)?;
        self.encoder.flush().map_err(self.encode_error())?;
        self.send(writing.again).await.map_err(FileError::from)
    }

    /// Hands over what the encoder has written.
    async fn send(&mut self, again: &Again) -> Result<(), StoreError> {
        let Some(output) = self.encoder.output().filter(|output| !output.is_empty()) else { return Ok(()) };
        let bytes = Bytes::from(std::mem::take(output));
        let (draft, sent) = (&mut self.draft, self.sent);
        again.run(async || draft.write(sent, bytes.clone()).await).await?;
        self.sent += bytes.len() as u64;
        Ok(())
    }

    /// Bytes so far, with those that will be when what is in memory is encoded, roughly.
    pub fn bytes(&self) -> u64 {
        self.encoder.bytes_written() + (self.encoder.pending_bytes() + self.sorted_bytes()) as u64
    }

    /// Bytes in memory.
    pub fn memory_bytes(&self) -> u64 {
        (self.encoder.memory_bytes() + self.sorted_bytes() + self.draft.memory_bytes()) as u64
    }

    fn sorted_bytes(&self) -> usize {
        self.sorter.as_ref().map_or(0, Sorter::bytes)
    }

    /// Encodes the rest and hands all over, for a file that will be at `path` and whose commit covers what `name` says.
    pub async fn seal(mut self, writing: Writing<'_>, name: Name, path: String) -> Result<SealedFile, FileError> {
        self.encode_sorted(writing)?;
        let error = self.encode_error();
        let Self { encoder, mut draft, sent, first_row, last_row, .. } = self;
        let metadata = [
            ("first_offset", first_row.to_string()),
            ("last_offset", last_row.to_string()),
            ("covers_from", name.first.to_string()),
            ("covers_to", name.last.to_string()),
            ("rows", encoder.rows().to_string()),
        ];
        let mut encoded = encoder.finish(&metadata).map_err(error)?;
        let rest = Bytes::from(std::mem::take(encoded.output()));
        writing.again.run(async || draft.write(sent, rest.clone()).await).await?;
        writing.again.run(async || draft.seal().await).await?;
        let file = CommittedFile { path, bytes: encoded.bytes, footer: encoded.footer };
        Ok(SealedFile { draft, file })
    }
}

impl SealedFile {
    /// Gives the file its name. Once this resolves it is there, whatever happens.
    pub async fn publish(mut self, again: &Again) -> Result<CommittedFile, StoreError> {
        let (draft, path) = (&mut self.draft, &self.file.path);
        again.run(async || draft.publish(path).await).await?;
        Ok(self.file)
    }
}
