//! A Parquet file of what a subscription brings.
//!
//! What always holds: the file has its name only when it is whole and synced; the columns are learnt from the first events.

use std::path::{Path, PathBuf};

use connectors::parquet::{Body, FileWriter, Learner, ParquetConfig, Pushed, Schema};
use connectors::quic::client::Batch;
use engine::filter::body_text;
use engine::parse::Parser;

/// Memory of the encoder at which it writes out what it holds, as a row group.
const MEMORY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Batches after which its memory is asked for.
const MEMORY_CHECK_BATCHES: u32 = 16;

/// See the module.
pub(super) struct ParquetFile {
    config: ParquetConfig,
    name: String,
    parser: Parser,
    /// For data that is in another encoding than UTF-8.
    text: String,
    /// Events from which the columns are learnt: so many of each batch.
    waiting: Vec<(Batch, usize)>,
    waiting_events: usize,
    schema: Option<Schema>,
    writer: Option<FileWriter>,
    batches: u32,
}

impl ParquetFile {
    /// A new file. One that is there already is not touched.
    pub fn open(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(format!("{shown} is no name of a file"));
        };
        if path.try_exists().unwrap_or(true) {
            return Err(format!("{shown} is there already: remove it, or name another file with --output"));
        }
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
            _ => PathBuf::from("."),
        };
        if !dir.is_dir() {
            return Err(format!("{shown} cannot be written: there is no folder {}", dir.display()));
        }
        Ok(Self {
            config: ParquetConfig { evolve: Some(false), ..ParquetConfig::new(dir) },
            name: name.to_owned(),
            parser: Parser::default(),
            text: String::new(),
            waiting: Vec::new(),
            waiting_events: 0,
            schema: None,
            writer: None,
            batches: 0,
        })
    }

    /// Takes the first `count` events of a batch.
    pub fn take(&mut self, batch: Batch, count: usize) -> Result<(), String> {
        if self.schema.is_none() {
            self.waiting_events += count;
            self.waiting.push((batch, count));
            return if self.waiting_events < self.config.learn_events { Ok(()) } else { self.learn() };
        }
        self.push(&batch, count)
    }

    /// Enough was seen: fixes the columns and writes what waits.
    fn learn(&mut self) -> Result<(), String> {
        let mut learner = Learner::default();
        for (batch, count) in &self.waiting {
            for event in batch.events().take(*count) {
                if let Some(Ok(document)) = body_text(&event, &mut self.text).map(|text| self.parser.parse(text)) {
                    learner.see(document.root());
                }
            }
        }
        self.schema = Some(learner.finish());
        for (batch, count) in std::mem::take(&mut self.waiting) {
            self.push(&batch, count)?;
        }
        Ok(())
    }

    fn push(&mut self, batch: &Batch, count: usize) -> Result<(), String> {
        let Some(schema) = &self.schema else { return Ok(()) };
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                // The number keeps the temporary file apart from that of another process in the same folder.
                let own = u64::from(std::process::id());
                let created = FileWriter::create(&self.config, schema, true, "subscribe", 0, own);
                none.insert(created.map_err(|error| error.to_string())?)
            }
        };
        for event in batch.events().take(count) {
            let text = body_text(&event, &mut self.text);
            let document = text.and_then(|text| self.parser.parse(text).ok());
            let body = document.as_ref().zip(text).map(|(document, text)| Body { root: document.root(), text });
            match writer.push(&event, batch.properties(), body).map_err(|error| error.to_string())? {
                Pushed::Row => {}
                Pushed::Refused(refused) => return Err(refused.to_string()),
            }
        }
        self.batches += 1;
        if self.batches.is_multiple_of(MEMORY_CHECK_BATCHES) && writer.memory_bytes() >= MEMORY_BYTES_MAX {
            writer.spill().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Writes what is left and gives the file its name; what became of it.
    pub fn finish(&mut self) -> Result<String, String> {
        if self.schema.is_none() && !self.waiting.is_empty() {
            self.learn()?;
        }
        let path = self.config.dir.join(&self.name);
        match self.writer.take() {
            Some(writer) => {
                let finished = writer.finish_as(&self.name).map_err(|error| error.to_string())?;
                Ok(format!("{}: {} events, {} bytes", path.display(), finished.rows, finished.bytes))
            }
            None => Ok(format!("no events came, so there is no {}", path.display())),
        }
    }
}
