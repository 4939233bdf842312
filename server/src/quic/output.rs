//! Where events go: lines on standard output or in a file, or a Parquet file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use clap::ValueEnum;
use connectors::cloudevents::write_structured;
use connectors::file::{LineFormat, write_line};
use connectors::quic::client::Batch;

use super::error::QuicError;
use super::parquet::ParquetFile;
use crate::tail::pretty;

/// How events are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The data of each event on a line; what is no JSON as a JSON string.
    Ndjson,
    /// Each event as a CloudEvent in JSON on a line, with its place in the log.
    Cloudevents,
    /// Partition and offset, time, type, source and subject in columns, then the data.
    Table,
    /// A Parquet file, columns learnt from the first events; whole when the command ends. Needs --output.
    Parquet,
}

/// An open output.
pub(super) enum Output {
    Lines { format: Format, to: BufWriter<Box<dyn Write>>, name: String, line: Vec<u8> },
    Parquet(Box<ParquetFile>),
}

/// Whether somebody still reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    There,
    /// As `head` is when it has enough. Nothing is wrong.
    Gone,
}

impl Output {
    /// Opens it.
    pub fn open(format: Format, path: Option<&Path>) -> Result<Self, QuicError> {
        let (to, name): (Box<dyn Write>, String) = match (format, path) {
            (Format::Parquet, Some(path)) => {
                let file = ParquetFile::open(path).map_err(QuicError::Output)?;
                return Ok(Self::Parquet(Box::new(file)));
            }
            (Format::Parquet, None) => {
                return Err(QuicError::Usage("--format parquet writes a file: name it with --output".to_owned()));
            }
            (_, Some(path)) => {
                let opened = File::options().create(true).append(true).open(path);
                let file =
                    opened.map_err(|error| QuicError::Output(format!("cannot open {}: {error}", path.display())))?;
                (Box::new(file), path.display().to_string())
            }
            (_, None) => (Box::new(io::stdout()), "standard output".to_owned()),
        };
        Ok(Self::Lines { format, to: BufWriter::with_capacity(256 * 1024, to), name, line: Vec::new() })
    }

    /// Takes the first `count` events of a batch.
    pub fn take(&mut self, batch: Batch, count: usize) -> Result<Reader, QuicError> {
        match self {
            Self::Lines { format, to, name, line } => {
                for event in batch.events().take(count) {
                    line.clear();
                    match format {
                        Format::Ndjson | Format::Parquet => {
                            write_line(line, &event, batch.properties(), LineFormat::Data)
                        }
                        Format::Cloudevents => write_line(line, &event, batch.properties(), LineFormat::CloudEvents),
                        Format::Table => {
                            write_structured(&event, batch.properties(), line);
                            let written = match str::from_utf8(line) {
                                Ok(text) => pretty(to, event.partition(), event.offset(), text),
                                Err(error) => Err(io::Error::other(error)),
                            };
                            if let Reader::Gone = there(name, written)? {
                                return Ok(Reader::Gone);
                            }
                            line.clear();
                            line.push(b'\n');
                        }
                    }
                    if let Reader::Gone = there(name, to.write_all(line))? {
                        return Ok(Reader::Gone);
                    }
                }
                Ok(Reader::There)
            }
            Self::Parquet(file) => file.take(batch, count).map_err(QuicError::Output).map(|()| Reader::There),
        }
    }

    /// Lets readers of lines see what there is so far.
    pub fn flush(&mut self) -> Result<Reader, QuicError> {
        match self {
            Self::Lines { to, name, .. } => there(name, to.flush()),
            Self::Parquet(_) => Ok(Reader::There),
        }
    }

    /// What was taken is where it belongs once it is flushed; otherwise when all is finished.
    pub fn is_there_when_flushed(&self) -> bool {
        matches!(self, Self::Lines { .. })
    }

    /// Writes what is left; says what became of a file.
    pub fn finish(&mut self) -> Result<(), QuicError> {
        match self {
            Self::Lines { .. } => self.flush().map(|_| ()),
            Self::Parquet(file) => {
                eprintln!("{}", file.finish().map_err(QuicError::Output)?);
                Ok(())
            }
        }
    }
}

fn there(name: &str, written: io::Result<()>) -> Result<Reader, QuicError> {
    match written {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(QuicError::Output(format!("cannot write {name}: {error}"))),
    }
}
