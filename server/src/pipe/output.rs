//! Where matches go: Parquet files, a file of lines, or standard output.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use connectors::file::{LineFormat, write_line};
use connectors::parquet::{FileWriter, Learner, ParquetConfig, Schema};
use engine::batch::Batch;
use engine::event::Event;
use engine::parse::{Parser, Value};

use super::PipeArgs;
use crate::config::EndpointKind;

/// A Parquet file of `pipe` is finished at this many rows, so that memory stays bounded whatever the input.
const FILE_ROWS_MAX: u64 = 10_000_000;

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
    /// Matches from which the columns are learnt.
    waiting: Vec<(Batch, Vec<u8>)>,
    writer: Option<FileWriter>,
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
                Self::parquet(config, args.system_columns)
            }
            Some(("ndjson", file)) if !file.is_empty() => {
                let opened = OpenOptions::new().create(true).append(true).open(file);
                let opened = opened.map_err(|error| format!("cannot open {file}: {error}"))?;
                Ok(lines(file.to_owned(), Box::new(opened)))
            }
            _ => Err(format!("'{spec}' is no endpoint: use parquet:DIR, ndjson:FILE or - for standard output")),
        }
    }

    /// The endpoint as a node's configuration has it.
    pub fn configured(kind: &EndpointKind, args: &PipeArgs) -> Result<Self, String> {
        match kind {
            EndpointKind::Parquet(config) => Self::parquet(config.clone(), args.system_columns),
            EndpointKind::Ndjson(config) => {
                let spec = format!("ndjson:{}", config.path.display());
                Self::open(&spec, &PipeArgs { format: config.format, ..args.clone() })
            }
            EndpointKind::Hub | EndpointKind::Webhook(_) => {
                Err(format!("an endpoint of type {} needs a node: `anabranch run`", kind.name()))
            }
        }
    }

    fn parquet(config: ParquetConfig, with_system: bool) -> Result<Self, String> {
        let dir = config.dir.display();
        std::fs::create_dir_all(&config.dir).map_err(|error| format!("cannot create the folder {dir}: {error}"))?;
        if std::fs::read_dir(&config.dir).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(format!("the folder {dir} is not empty; name a new one, or remove what is in it"));
        }
        let schema = config.columns.as_deref().map(Schema::configured);
        let (waiting, writer) = (Vec::new(), None);
        Ok(Self::Parquet(Box::new(ParquetOutput { config, schema, with_system, waiting, writer })))
    }

    /// Takes a match, the one event of `batch`.
    pub fn take(&mut self, batch: &Batch, body: Option<Value<'_>>, data: &[u8]) -> Result<(), String> {
        match self {
            Self::Lines { name, writer, format, line } => {
                line.clear();
                if *format == LineFormat::Data {
                    line.extend_from_slice(data);
                    line.push(b'\n');
                } else {
                    write_line(line, &Event::new(batch, 0), &[], *format);
                }
                writer.write_all(line).map_err(|error| format!("cannot write {name}: {error}"))
            }
            Self::Parquet(parquet) => parquet.take(batch, body, data),
        }
    }

    /// Writes what is left.
    pub fn finish(&mut self) -> Result<(), String> {
        match self {
            Self::Lines { name, writer, .. } => writer.flush().map_err(|error| format!("cannot write {name}: {error}")),
            Self::Parquet(parquet) => parquet.finish(),
        }
    }
}

impl ParquetOutput {
    fn take(&mut self, batch: &Batch, body: Option<Value<'_>>, data: &[u8]) -> Result<(), String> {
        if self.schema.is_none() {
            self.waiting.push((batch.clone(), data.to_vec()));
            if self.waiting.len() < self.config.learn_events {
                return Ok(());
            }
            return self.learn();
        }
        self.push(&Event::new(batch, 0), body)
    }

    /// Enough was seen: fix the columns and write what waits.
    fn learn(&mut self) -> Result<(), String> {
        let (mut parser, mut learner) = (Parser::default(), Learner::default());
        for (_, data) in &self.waiting {
            if let Ok(document) = parser.parse(data) {
                learner.see(document.root());
            }
        }
        self.schema = Some(learner.finish());
        for (batch, data) in std::mem::take(&mut self.waiting) {
            // They matched, so they were parsed before.
            if let Ok(document) = parser.parse(&data) {
                self.push(&Event::new(&batch, 0), Some(document.root()))?;
            }
        }
        Ok(())
    }

    fn push(&mut self, event: &Event<'_>, body: Option<Value<'_>>) -> Result<(), String> {
        let Some(schema) = &self.schema else { return Ok(()) };
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let created = FileWriter::create(&self.config, schema, self.with_system, "pipe", 0, event.offset());
                none.insert(created.map_err(|error| error.to_string())?)
            }
        };
        writer.push(event, &[], body).map_err(|error| error.to_string())?;
        if writer.rows() >= FILE_ROWS_MAX { self.finish_file() } else { Ok(()) }
    }

    fn finish_file(&mut self) -> Result<(), String> {
        match self.writer.take() {
            Some(writer) => writer.finish().map(|_| ()).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), String> {
        if !self.waiting.is_empty() {
            self.learn()?;
        }
        self.finish_file()
    }
}
