//! Where matches go: Parquet files, a file of lines, or standard output.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use connectors::file::{LineFormat, open_at_end, write_line};
use connectors::parquet::{Body, ParquetConfig};
use engine::batch::Batch;
use engine::event::Event;

use super::PipeArgs;
use super::parquet::ParquetOutput;
use crate::config::EndpointKind;

/// Rows of a Parquet file where no configuration says how large it may be.
const FILE_ROWS_MAX: u64 = 10_000_000;

/// Why an output takes no more.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The reader of standard output has had enough, as `head` does. Nothing is wrong.
    #[error("standard output is closed")]
    Closed,
    /// It cannot be written.
    #[error("{0}")]
    Failed(String),
}

/// A line that matched.
#[derive(Clone, Copy)]
pub struct Line<'l> {
    /// Its event, alone in a batch.
    pub batch: &'l Batch,
    /// It came as a CloudEvent, whose attributes say whether filters may read the data; otherwise they may.
    pub is_cloud_event: bool,
    /// The data parsed; `None` where it is no JSON.
    pub body: Option<Body<'l>>,
    /// The data as written.
    pub data: &'l [u8],
    /// Number of the event in the input, from 0.
    pub number: u64,
}

/// An endpoint.
pub enum Output {
    /// Files in a folder.
    Parquet(Box<ParquetOutput>),
    /// Lines.
    Lines {
        /// Its name in messages.
        name: String,
        /// The open file.
        writer: BufWriter<Box<dyn Write>>,
        /// What a line holds.
        format: LineFormat,
        /// The line under way.
        line: Vec<u8>,
    },
}

impl Output {
    /// Opens the endpoint that a route names.
    pub fn open(spec: &str, args: &PipeArgs) -> Result<Self, String> {
        let lines = |name: String, target: Box<dyn Write>| Self::Lines {
            name,
            writer: BufWriter::with_capacity(256 * 1024, target),
            format: args.format,
            line: Vec::new(),
        };
        match spec.split_once(':') {
            _ if spec == "-" => Ok(lines("standard output".to_owned(), Box::new(std::io::stdout()))),
            Some(("parquet", dir)) if !dir.is_empty() => {
                let mut config = ParquetConfig::new(PathBuf::from(dir));
                config.compression = args.compression;
                (config.rows_max, config.bytes_max) = (FILE_ROWS_MAX, u64::MAX);
                parquet(config, args.system_columns)
            }
            Some(("ndjson", file)) if !file.is_empty() => {
                let opened = open_at_end(Path::new(file)).map_err(|error| format!("cannot open {file}: {error}"))?;
                Ok(lines(file.to_owned(), Box::new(opened)))
            }
            _ => Err(format!("'{spec}' is no endpoint: use parquet:DIR, ndjson:FILE or - for standard output")),
        }
    }

    /// The endpoint as a node's configuration has it.
    pub fn configured(kind: &EndpointKind, args: &PipeArgs) -> Result<Self, String> {
        match kind {
            EndpointKind::Parquet(config) => parquet(config.as_ref().clone(), args.system_columns),
            EndpointKind::Ndjson(config) => {
                let spec = format!("ndjson:{}", config.path.display());
                Self::open(&spec, &PipeArgs { format: config.format, ..args.clone() })
            }
            EndpointKind::Hub | EndpointKind::Webhook(_) | EndpointKind::Mqtt(_) => {
                Err(format!("an endpoint of type {} needs a node: `anabranch run`", kind.name()))
            }
        }
    }

    /// Takes a match.
    pub fn take(&mut self, line: &Line<'_>) -> Result<(), OutputError> {
        match self {
            Self::Lines { name, writer, format, line: room } => {
                room.clear();
                if *format == LineFormat::Data && line.body.is_some() {
                    room.extend_from_slice(line.data);
                    room.push(b'\n');
                } else {
                    write_line(room, &Event::new(line.batch, 0), &[], *format);
                }
                writer.write_all(room).map_err(|error| cannot_write(name, &error))
            }
            Self::Parquet(parquet) => parquet.take(line).map_err(OutputError::Failed),
        }
    }

    /// Whether it takes rows of a batch by now: Parquet does when its columns are known.
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Lines { format, .. } => *format == LineFormat::Data,
            Self::Parquet(parquet) => parquet.is_ready(),
        }
    }

    /// Takes matches: rows of a batch whose data is JSON as written, and no CloudEvent.
    pub fn take_rows(&mut self, batch: &Batch, rows: impl Iterator<Item = usize>) -> Result<(), OutputError> {
        match self {
            Self::Lines { name, writer, .. } => {
                for row in rows {
                    let data = Event::new(batch, row).data().unwrap_or_default();
                    let written = writer.write_all(data).and_then(|()| writer.write_all(b"\n"));
                    written.map_err(|error| cannot_write(name, &error))?;
                }
                Ok(())
            }
            Self::Parquet(parquet) => {
                let all = parquet.read(batch, rows);
                parquet.push_read(batch, all).map_err(OutputError::Failed)
            }
        }
    }

    /// Takes matches, which all rows are, up to the first one whose data is no JSON or a CloudEvent: how many that were. `None`: the
    /// output cannot tell, and has taken none.
    pub fn take_all(&mut self, batch: &Batch) -> Result<Option<usize>, OutputError> {
        let Self::Parquet(parquet) = self else { return Ok(None) };
        parquet.read(batch, 0..batch.rows().len());
        let len = parquet.before_odd();
        parquet.push_read(batch, len).map_err(OutputError::Failed)?;
        Ok(Some(len))
    }

    /// Lets readers of lines see what there is so far; Parquet is there when a file is whole.
    pub fn flush(&mut self) -> Result<(), OutputError> {
        match self {
            Self::Lines { name, writer, .. } => writer.flush().map_err(|error| cannot_write(name, &error)),
            Self::Parquet(_) => Ok(()),
        }
    }

    /// Writes what is left.
    pub fn finish(&mut self) -> Result<(), OutputError> {
        match self {
            Self::Lines { .. } => self.flush(),
            Self::Parquet(parquet) => parquet.finish().map_err(OutputError::Failed),
        }
    }
}

fn cannot_write(name: &str, error: &io::Error) -> OutputError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => OutputError::Closed,
        _ => OutputError::Failed(format!("cannot write {name}: {error}")),
    }
}

fn parquet(config: ParquetConfig, with_system: bool) -> Result<Output, String> {
    Ok(Output::Parquet(Box::new(ParquetOutput::open(config, with_system)?)))
}
