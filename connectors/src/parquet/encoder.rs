//! From record batches to the bytes of a file, with what is held in memory counted: columns by our own encoders, the file around them by
//! the parquet crate.
//!
//! What always holds: a row group ends at its most rows, and where it has about its most bytes.

use std::io::Write;

use arrow_array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::writer::SerializedFileWriter;

use super::config::ParquetConfig;
use super::encoding::{GROUP_ROWS_MAX, properties};
use super::pages::{PageRoom, RowGroup};

/// See the module.
pub struct Encoder<W: Write + Send> {
    state: State<W>,
    metadata: Vec<KeyValue>,
    rows: u64,
    room: PageRoom,
    /// What the row group takes in memory, as of its last batch.
    memory_bytes: usize,
    /// And what it would take in the file.
    pending_bytes: usize,
}

/// The file is begun with the first rows: they have its schema.
enum State<W: Write + Send> {
    Fresh(W),
    Begun(Box<Begun<W>>),
    /// An error came between; nothing more can be written.
    Broken,
}

struct Begun<W: Write + Send> {
    file: SerializedFileWriter<W>,
    group: RowGroup,
    group_bytes_max: usize,
}

/// A file that is encoded whole.
pub struct Encoded<W: Write + Send> {
    file: SerializedFileWriter<W>,
    /// Its footer.
    pub footer: ParquetMetaData,
    /// Its size.
    pub bytes: u64,
}

impl<W: Write + Send> Encoded<W> {
    /// Where it was written to.
    pub fn output(&mut self) -> &mut W {
        self.file.inner_mut()
    }
}

fn broken() -> ParquetError {
    ParquetError::General("an earlier write failed".to_owned())
}

impl<W: Write + Send> Encoder<W> {
    /// Writes into `output`; the footer says `metadata`.
    pub fn new(output: W, metadata: Vec<KeyValue>) -> Self {
        let room = PageRoom::default();
        Self { state: State::Fresh(output), metadata, rows: 0, room, memory_bytes: 0, pending_bytes: 0 }
    }

    /// With pages that are made where other files make theirs.
    pub fn in_room(self, room: &PageRoom) -> Self {
        Self { room: room.clone(), ..self }
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Bytes that will be written when what is in memory is encoded, roughly.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Bytes written to the output so far.
    pub fn bytes_written(&self) -> u64 {
        match &self.state {
            State::Begun(begun) => begun.file.bytes_written() as u64,
            State::Fresh(_) | State::Broken => 0,
        }
    }

    /// Where it writes to; what is still buffered is not there.
    pub fn output(&mut self) -> Option<&mut W> {
        match &mut self.state {
            State::Fresh(output) => Some(output),
            State::Begun(begun) => Some(begun.file.inner_mut()),
            State::Broken => None,
        }
    }

    /// Appends rows. All batches have one schema.
    pub fn write(&mut self, config: &ParquetConfig, rows: &RecordBatch) -> Result<(), ParquetError> {
        let mut begun = match std::mem::replace(&mut self.state, State::Broken) {
            State::Begun(begun) => begun,
            State::Fresh(output) => {
                let metadata = std::mem::take(&mut self.metadata);
                Box::new(Begun::new(output, config, &self.room, rows, metadata)?)
            }
            State::Broken => return Err(broken()),
        };
        begun.write(rows)?;
        (self.memory_bytes, self.pending_bytes) = (begun.group.memory_bytes(), begun.group.encoded_bytes());
        self.rows += rows.num_rows() as u64;
        self.state = State::Begun(begun);
        Ok(())
    }

    /// Ends the row group.
    pub fn flush(&mut self) -> Result<(), ParquetError> {
        if let State::Begun(begun) = &mut self.state {
            begun.flush()?;
        }
        (self.memory_bytes, self.pending_bytes) = (0, 0);
        Ok(())
    }

    /// Writes the rest and a footer that says `metadata` too.
    pub fn finish(self, metadata: &[(&str, String)]) -> Result<Encoded<W>, ParquetError> {
        let State::Begun(mut begun) = self.state else { return Err(broken()) };
        begun.flush()?;
        let mut file = begun.file;
        for (key, value) in metadata {
            file.append_key_value_metadata(KeyValue::new(format!("anabranch.{key}"), value.clone()));
        }
        let footer = file.finish()?;
        let bytes = file.bytes_written() as u64;
        Ok(Encoded { file, footer, bytes })
    }
}

impl<W: Write + Send> Begun<W> {
    fn new(
        output: W,
        config: &ParquetConfig,
        room: &PageRoom,
        rows: &RecordBatch,
        metadata: Vec<KeyValue>,
    ) -> Result<Self, ParquetError> {
        let properties = properties(config, rows.schema_ref(), metadata);
        // It knows how Arrow's types are Parquet's, and how a footer says so.
        let (file, factory) =
            ArrowWriter::try_new(output, rows.schema(), Some(properties))?.into_serialized_writer()?;
        let group = RowGroup::new(config, room.clone(), rows.schema_ref(), &file, factory)?;
        Ok(Self { file, group, group_bytes_max: config.row_group_bytes_max })
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        let mut at = 0;
        while at < rows.num_rows() {
            let count = self.fitting().min(rows.num_rows() - at);
            if count == 0 {
                self.flush()?;
                continue;
            }
            match count == rows.num_rows() {
                true => self.group.write(rows)?,
                false => self.group.write(&rows.slice(at, count))?,
            }
            at += count;
        }
        if self.fitting() == 0 {
            self.flush()?;
        }
        Ok(())
    }

    /// Rows that the row group still takes, if they are like those that it has.
    fn fitting(&self) -> usize {
        let (rows, bytes) = (self.group.rows(), self.group.encoded_bytes());
        let room = self.group_bytes_max.saturating_sub(bytes);
        let by_bytes = match (rows, room.checked_div(bytes / rows.max(1))) {
            // The first rows tell; there are not too many of them in a batch.
            (0, _) | (_, None) if room > 0 => GROUP_ROWS_MAX,
            (_, fit) => fit.unwrap_or(0),
        };
        by_bytes.min(GROUP_ROWS_MAX - rows)
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        if self.group.rows() > 0 {
            self.group.close(&mut self.file)?;
        }
        Ok(())
    }
}
