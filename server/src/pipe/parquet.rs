//! A folder of Parquet files: columns learnt from the first matches or configured, rows by the column where that is possible.

use std::sync::Arc;

use connectors::parquet::{
    Body, Cells, DeadLetters, FileWriter, Learner, Local, ParquetConfig, Piece, Plan, Pushed, Schema, prepare_dir,
    resume_offsets,
};
use connectors::sink::SinkStats;
use engine::batch::Batch;
use engine::event::Event;
use engine::parse::Parser;

use super::batches::STRANGER;
use super::output::Line;

/// Rows after which the size of a file is asked for again.
const BYTES_CHECK_ROWS: u64 = 4096;

/// See the module.
pub struct ParquetOutput {
    files: Files,
    cells: Cells,
    parser: Parser,
    /// Matches from which the columns are learnt, with their numbers.
    waiting: Vec<(Batch, Vec<u8>, u64)>,
    /// The folder is ours while this lives.
    _lock: Local,
}

/// The files, one after the other.
struct Files {
    config: ParquetConfig,
    with_system: bool,
    /// With how data is read for it; none before the columns are known.
    schema: Option<(Schema, Arc<Plan>)>,
    writer: Option<FileWriter>,
    dead_letters: DeadLetters,
}

impl ParquetOutput {
    /// Opens a folder that has no files yet; the error is ready to print.
    pub fn open(mut config: ParquetConfig, with_system: bool) -> Result<Self, String> {
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
        let files = Files { config, with_system, schema: schema.map(with_plan), writer: None, dead_letters };
        let (cells, parser) = (Cells::default(), Parser::default());
        Ok(Self { files, cells, parser, waiting: Vec::new(), _lock: lock })
    }

    /// The columns are known.
    pub fn is_ready(&self) -> bool {
        self.files.schema.is_some()
    }

    /// Takes a match.
    pub fn take(&mut self, line: &Line<'_>) -> Result<(), String> {
        if self.is_ready() {
            return self.files.push(&Event::new(line.batch, 0), line.body);
        }
        self.waiting.push((line.batch.clone(), line.data.to_vec(), line.number));
        if self.waiting.len() < self.files.config.learn_events { Ok(()) } else { self.learn() }
    }

    /// Enough was seen: fix the columns and write what waits.
    fn learn(&mut self) -> Result<(), String> {
        let Self { files, parser, waiting, .. } = self;
        let mut learner = Learner::new(files.config.columns_max);
        for (_, data, _) in &*waiting {
            if let Ok(document) = parser.parse(data) {
                learner.see(document.root());
            }
        }
        files.schema = Some(with_plan(learner.finish_as(files.config.nested)));
        for (mut batch, data, number) in std::mem::take(waiting) {
            batch.set_base_offset(number);
            let document = parser.parse(&data).ok();
            let body = document.as_ref().map(|document| Body { root: document.root(), text: &data });
            files.push(&Event::new(&batch, 0), body)?;
        }
        Ok(())
    }

    /// Reads the data of some rows: how many.
    pub fn read(&mut self, batch: &Batch, rows: impl Iterator<Item = usize>) -> usize {
        let Some((_, plan)) = &self.files.schema else { return 0 };
        self.cells.read(plan, &[batch.into()], rows.map(|row| (0, row)));
        self.cells.len()
    }

    /// How many of the rows that were read come before the first one that is no JSON or a CloudEvent.
    pub fn before_odd(&self) -> usize {
        let is_odd = |at: &usize| !self.cells.is_json(*at) || self.cells.is_stranger(*at);
        (0..self.cells.len()).find(is_odd).unwrap_or(self.cells.len())
    }

    /// The first `len` of the rows that were read from `batch` become rows of files.
    pub fn push_read(&mut self, batch: &Batch, len: usize) -> Result<(), String> {
        let Self { files, cells, parser, .. } = self;
        let pieces = [Piece::from(batch)];
        let mut at = 0;
        while at < len {
            if cells.is_plain(at) {
                at += files.push_cells(cells, at, &pieces)?;
                continue;
            }
            let event = cells.event(at, &pieces);
            let text = event.data().unwrap_or_default();
            let document = parser.parse(text).ok();
            files.push(&event, document.as_ref().map(|document| Body { root: document.root(), text }))?;
            at += 1;
        }
        Ok(())
    }

    /// Writes what is left.
    pub fn finish(&mut self) -> Result<(), String> {
        if !self.waiting.is_empty() {
            self.learn()?;
        }
        self.files.finish_file()
    }
}

fn with_plan(schema: Schema) -> (Schema, Arc<Plan>) {
    let plan = Arc::new(Plan::new(&schema, Some(STRANGER)));
    (schema, plan)
}

impl Files {
    fn push(&mut self, event: &Event<'_>, body: Option<Body<'_>>) -> Result<(), String> {
        let Some(writer) = self.writer(event.offset())? else { return Ok(()) };
        if let Pushed::Refused(refused) = writer.push(event, &[], body).map_err(|error| error.to_string())? {
            return self.dead_letters.add(event, &refused).map_err(|error| error.to_string());
        }
        let is_asked = writer.rows().is_multiple_of(BYTES_CHECK_ROWS);
        self.finish_large(is_asked)
    }

    /// Some rows from `at` on, which is plain: how many are done with.
    fn push_cells(&mut self, cells: &Cells, at: usize, pieces: &[Piece<'_>]) -> Result<usize, String> {
        let first = cells.event(at, pieces);
        let Some(writer) = self.writer(first.offset())? else { return Ok(1) };
        match writer.push_cells(cells, at, pieces).map_err(|error| error.to_string())? {
            Ok(pushed) => self.finish_large(true).map(|()| pushed),
            Err(refused) => {
                self.dead_letters.add(&first, &refused).map_err(|error| error.to_string())?;
                Ok(1)
            }
        }
    }

    /// The open file, or a new one for rows from `first` on; none before the columns are known.
    fn writer(&mut self, first: u64) -> Result<Option<&mut FileWriter>, String> {
        let Some((schema, plan)) = &self.schema else { return Ok(None) };
        if self.writer.is_none() {
            let created = FileWriter::create(&self.config, schema, self.with_system, "pipe", 0, first);
            self.writer = Some(created.map_err(|error| error.to_string())?.with_plan(plan));
        }
        Ok(self.writer.as_mut())
    }

    /// Ends the file if it is large enough; its bytes are asked for only now and then.
    fn finish_large(&mut self, asks: bool) -> Result<(), String> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let is_large = writer.rows() >= self.config.rows_max || asks && writer.bytes() >= self.config.bytes_max;
        if is_large { self.finish_file() } else { Ok(()) }
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
}
