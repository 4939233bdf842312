//! From record batches to the bytes of a file: the parquet crate's writer with what it holds in memory counted.

use std::io::Write;

use arrow_array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};

use super::config::ParquetConfig;
use super::encoding::properties;

/// See the module.
pub struct Encoder<W: Write + Send> {
    state: State<W>,
    metadata: Vec<KeyValue>,
    rows: u64,
    /// What the writer holds, as of its last batch.
    memory_bytes: usize,
}

/// The writer is made with the first rows: they have the schema of the file.
enum State<W: Write + Send> {
    Fresh(W),
    Begun(Box<ArrowWriter<W>>),
    /// An error came between; nothing more can be written.
    Broken,
}

/// A file that is encoded whole.
pub struct Encoded<W: Write + Send> {
    writer: Box<ArrowWriter<W>>,
    /// Its footer.
    pub footer: ParquetMetaData,
    /// Its size.
    pub bytes: u64,
}

impl<W: Write + Send> Encoded<W> {
    /// Where it was written to.
    pub fn output(&mut self) -> &mut W {
        self.writer.inner_mut()
    }
}

fn broken() -> ParquetError {
    ParquetError::General("an earlier write failed".to_owned())
}

impl<W: Write + Send> Encoder<W> {
    /// Writes into `output`; the footer says `metadata`.
    pub fn new(output: W, metadata: Vec<KeyValue>) -> Self {
        Self { state: State::Fresh(output), metadata, rows: 0, memory_bytes: 0 }
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes in memory, roughly.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Bytes written to the output so far.
    pub fn bytes_written(&self) -> u64 {
        match &self.state {
            State::Begun(writer) => writer.bytes_written() as u64,
            State::Fresh(_) | State::Broken => 0,
        }
    }

    /// Where it writes to; what is still buffered is not there.
    pub fn output(&mut self) -> Option<&mut W> {
        match &mut self.state {
            State::Fresh(output) => Some(output),
            State::Begun(writer) => Some(writer.inner_mut()),
            State::Broken => None,
        }
    }

    /// Appends rows. All batches have one schema.
    pub fn write(&mut self, config: &ParquetConfig, rows: &RecordBatch) -> Result<(), ParquetError> {
        let mut writer = match std::mem::replace(&mut self.state, State::Broken) {
            State::Begun(writer) => writer,
            State::Fresh(output) => {
                let properties = properties(config, rows.schema_ref(), std::mem::take(&mut self.metadata));
                Box::new(ArrowWriter::try_new(output, rows.schema(), Some(properties))?)
            }
            State::Broken => return Err(broken()),
        };
        writer.write(rows)?;
        self.memory_bytes = writer.memory_size();
        self.rows += rows.num_rows() as u64;
        self.state = State::Begun(writer);
        Ok(())
    }

    /// Ends the row group.
    pub fn flush(&mut self) -> Result<(), ParquetError> {
        if let State::Begun(writer) = &mut self.state {
            writer.flush()?;
        }
        self.memory_bytes = 0;
        Ok(())
    }

    /// Writes the rest and a footer that says `metadata` too.
    pub fn finish(self, metadata: &[(&str, String)]) -> Result<Encoded<W>, ParquetError> {
        let State::Begun(mut writer) = self.state else { return Err(broken()) };
        for (key, value) in metadata {
            writer.append_key_value_metadata(KeyValue::new(format!("anabranch.{key}"), value.clone()));
        }
        let footer = writer.finish()?;
        let bytes = writer.bytes_written() as u64;
        Ok(Encoded { writer, footer, bytes })
    }
}
