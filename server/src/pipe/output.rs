//! Where matches go: Parquet files, a file of lines, or standard output.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use connectors::file::{LineFormat, open_at_end, write_line};
use connectors::parquet::{
    Body, DeadLetters, FileWriter, Learner, Local, ParquetConfig, Pushed, Schema, prepare_dir, resume_offsets,
};
use connectors::sink::SinkStats;
use engine::batch::Batch;
use engine::event::Event;
use engine::parse::Parser;

use super::PipeArgs;
use crate::config::EndpointKind;

/// Rows of a Parquet file where no configuration says how large it may be.
const FILE_ROWS_MAX: u64 = 10_000_000;
/// Rows after which the size of a file is asked for again.
const BYTES_CHECK_ROWS: u64 = 4096;

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

/// A folder of Parquet files.
pub struct ParquetOutput {
    config: ParquetConfig,
    schema: Option<Schema>,
    with_system: bool,
    /// Matches from which the columns are learnt, with their numbers.
    waiting: Vec<(Batch, Vec<u8>, u64)>,
    writer: Option<FileWriter>,
    dead_letters: DeadLetters,
    /// The folder is ours while this lives.
    _lock: Local,
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
                Self::parquet(config, args.system_columns)
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
            EndpointKind::Parquet(config) => Self::parquet(config.as_ref().clone(), args.system_columns),
            EndpointKind::Ndjson(config) => {
                let spec = format!("ndjson:{}", config.path.display());
                Self::open(&spec, &PipeArgs { format: config.format, ..args.clone() })
            }
            EndpointKind::Hub | EndpointKind::Webhook(_) | EndpointKind::Mqtt(_) => {
                Err(format!("an endpoint of type {} needs a node: `anabranch run`", kind.name()))
            }
        }
    }

    fn parquet(mut config: ParquetConfig, with_system: bool) -> Result<Self, String> {
        // All files of a run have the columns of the first one.
        config.evolve = Some(false);
        let Some(folder) = config.local_dir() else {
            return Err(format!("an endpoint at {} needs a node: `anabranch run`", config.shown_url()));
        };
        config.dir = folder;
        let dir = config.dir.display();
        let lock = prepare_dir(&config.dir).map_err(|error| error.to_string())?;
        let there = resume_offsets(&config.dir).map_err(|error| format!("cannot read {dir}: {error}"))?;
        if !there.is_empty() {
            return Err(format!("the folder {dir} has Parquet files; name a new one, or remove what is in it"));
        }
        let columns = config.columns.as_deref();
        let schema = columns.map(|columns| Schema::configured(columns, config.nested, config.on_mismatch));
        let dead_letters =
            DeadLetters::open("pipe", &config, Arc::new(SinkStats::default())).map_err(|error| error.to_string())?;
        let (waiting, writer) = (Vec::new(), None);
        let output = ParquetOutput { config, schema, with_system, waiting, writer, dead_letters, _lock: lock };
        Ok(Self::Parquet(Box::new(output)))
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

impl ParquetOutput {
    fn take(&mut self, line: &Line<'_>) -> Result<(), String> {
        if self.schema.is_none() {
            self.waiting.push((line.batch.clone(), line.data.to_vec(), line.number));
            if self.waiting.len() < self.config.learn_events {
                return Ok(());
            }
            return self.learn();
        }
        self.push(&Event::new(line.batch, 0), line.body)
    }

    /// Enough was seen: fix the columns and write what waits.
    fn learn(&mut self) -> Result<(), String> {
        let (mut parser, mut learner) = (Parser::default(), Learner::new(self.config.columns_max));
        for (_, data, _) in &self.waiting {
            if let Ok(document) = parser.parse(data) {
                learner.see(document.root());
            }
        }
        self.schema = Some(learner.finish_as(self.config.nested));
        for (mut batch, data, number) in std::mem::take(&mut self.waiting) {
            batch.set_base_offset(number);
            let document = parser.parse(&data).ok();
            let body = document.as_ref().map(|document| Body { root: document.root(), text: &data });
            self.push(&Event::new(&batch, 0), body)?;
        }
        Ok(())
    }

    fn push(&mut self, event: &Event<'_>, body: Option<Body<'_>>) -> Result<(), String> {
        let Some(schema) = &self.schema else { return Ok(()) };
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let created = FileWriter::create(&self.config, schema, self.with_system, "pipe", 0, event.offset());
                none.insert(created.map_err(|error| error.to_string())?)
            }
        };
        if let Pushed::Refused(refused) = writer.push(event, &[], body).map_err(|error| error.to_string())? {
            return self.dead_letters.add(event, &refused).map_err(|error| error.to_string());
        }
        let is_asked = writer.rows().is_multiple_of(BYTES_CHECK_ROWS);
        if writer.rows() >= self.config.rows_max || is_asked && writer.bytes() >= self.config.bytes_max {
            self.finish_file()
        } else {
            Ok(())
        }
    }

    fn finish_file(&mut self) -> Result<(), String> {
        self.dead_letters.write().map_err(|error| error.to_string())?;
        match self.writer.take() {
            Some(writer) if writer.rows() == 0 => writer.discard(),
            Some(writer) => writer.finish().map(|_| ()),
            None => Ok(()),
        }
        .map_err(|error| error.to_string())
    }

    fn finish(&mut self) -> Result<(), String> {
        if !self.waiting.is_empty() {
            self.learn()?;
        }
        self.finish_file()
    }
}
