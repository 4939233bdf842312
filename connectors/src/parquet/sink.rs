//! The endpoint at work: deliveries into the open files of their partitions, files finished by rows, bytes, age and memory,
//! deliveries settled with their file.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use engine::filter::body_text;
use engine::lane::Delivery;
use engine::parse::Parser;
use tokio::time::Instant;

use super::config::ParquetConfig;
use super::file::{FileError, FileWriter, Pushed, prepare_dir};
use super::learn::Learner;
use super::names::resume_offsets;
use super::refused::{DeadLetters, RefusedError};
use super::schema::{Schema, SchemaError};
use super::table::Body;
use crate::rate_limited::RateLimited;
use crate::sink::{Feed, Handed, SettleTicket, SinkStats};

/// How often it is said that rows are in finished files already.
const SKIPS_SAID_EVERY: Duration = Duration::from_secs(10);
/// Members without a column for want of room that are kept in mind, so that each is said once.
const BEYOND_MAX: usize = 10_000;
/// Longest wait for enough events to learn the columns from.
const LEARN_MAX: Duration = Duration::from_secs(2);

/// Why the endpoint stopped. What is not settled comes again.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The schema beside the files.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The file for dead letters.
    #[error(transparent)]
    Refused(#[from] RefusedError),
    /// The runtime for its timers.
    #[error("cannot start a timer: {0}")]
    Timer(std::io::Error),
}

struct OpenFile {
    writer: FileWriter,
    tickets: Vec<SettleTicket>,
    since: Instant,
    /// Its memory as last counted into the sum.
    memory_bytes: u64,
}

struct Sink {
    name: String,
    config: ParquetConfig,
    schema: Schema,
    /// What had no column in finished files; `None` where the schema stays as it is.
    learner: Option<Learner>,
    dead_letters: DeadLetters,
    parser: Parser,
    text: String,
    open: BTreeMap<u32, OpenFile>,
    /// Behind what finished files cover, per partition.
    done: BTreeMap<u32, u64>,
    /// When the oldest open file is to be finished.
    deadline: Option<Instant>,
    /// Of all open files.
    memory_bytes: u64,
    skipped_rows: usize,
    skips: RateLimited,
    /// Members of which was said that there is no column left for them.
    beyond: BTreeSet<String>,
    stats: Arc<SinkStats>,
}

/// Runs the endpoint on this thread until its feed ends; then all files are finished.
pub fn run_blocking(name: &str, config: ParquetConfig, feed: Feed, stats: Arc<SinkStats>) -> Result<(), SinkError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(SinkError::Timer)?;
    runtime.block_on(run(name, config, feed, stats))
}

/// As [`run_blocking`], within a runtime that has timers. Dropped half-way it leaves what a crash would.
pub(super) async fn run(
    name: &str,
    config: ParquetConfig,
    mut feed: Feed,
    stats: Arc<SinkStats>,
) -> Result<(), SinkError> {
    let _lock = prepare_dir(&config.dir)?;
    let mut parser = Parser::default();
    let mut waiting = Vec::new();
    let mut beyond = Vec::new();
    let dead_letters = DeadLetters::open(name, &config, stats.clone())?;
    let schema = match Schema::of(&config)? {
        Some(schema) => schema,
        None => {
            let learner = learn(&config, &mut feed, &mut parser, &mut waiting).await;
            if waiting.is_empty() {
                return Ok(());
            }
            let mut schema = Schema { nested: config.nested, ..Schema::new(Vec::new()) };
            let refused = learner.begin(&mut schema);
            schema.save(&config.dir)?;
            beyond = refused;
            schema
        }
    };
    let done = resume_offsets(&config.dir).map_err(|error| FileError::Io { path: config.dir.clone(), error })?;
    let done = done.into_iter().collect();
    let name = name.to_owned();
    let mut sink = Sink {
        name,
        learner: config.evolves().then(|| Learner::new(config.columns_max)),
        config,
        schema,
        dead_letters,
        parser,
        text: String::new(),
        open: BTreeMap::new(),
        done,
        deadline: None,
        memory_bytes: 0,
        skipped_rows: 0,
        skips: RateLimited::new(SKIPS_SAID_EVERY),
        beyond: BTreeSet::new(),
        stats,
    };
    sink.say_beyond(beyond);
    for handed in waiting {
        sink.take(handed)?;
    }
    loop {
        let handed = match sink.deadline {
            Some(deadline) => match tokio::time::timeout_at(deadline, feed.next()).await {
                Ok(handed) => handed,
                Err(_) => {
                    sink.finish_aged()?;
                    continue;
                }
            },
            None => feed.next().await,
        };
        match handed {
            Some(handed) => sink.take(handed)?,
            None => break,
        }
        // Under load the feed never lets the timer speak.
        if sink.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            sink.finish_aged()?;
        }
    }
    let partitions: Vec<u32> = sink.open.keys().copied().collect();
    partitions.into_iter().try_for_each(|partition| sink.finish(partition))
}

/// Takes deliveries until there are enough events, or no more come for a while.
async fn learn(config: &ParquetConfig, feed: &mut Feed, parser: &mut Parser, waiting: &mut Vec<Handed>) -> Learner {
    let mut learner = Learner::new(config.columns_max);
    let mut text = String::new();
    let mut deadline = None;
    while learner.events() < config.learn_events {
        let handed = match deadline {
            None => feed.next().await,
            Some(deadline) => match tokio::time::timeout_at(deadline, feed.next()).await {
                Ok(handed) => handed,
                Err(_) => break,
            },
        };
        let Some(handed) = handed else { break };
        deadline.get_or_insert_with(|| Instant::now() + LEARN_MAX.min(Duration::from_millis(config.age_ms_max)));
        for event in handed.delivery.events() {
            if let Some(Ok(document)) = body_text(&event, &mut text).map(|text| parser.parse(text)) {
                learner.see(document.root());
            }
        }
        waiting.push(handed);
    }
    learner
}

impl Sink {
    fn take(&mut self, handed: Handed) -> Result<(), SinkError> {
        let Handed { delivery, ticket } = handed;
        let partition = delivery.batch.partition();
        let done = self.done.get(&partition).copied().unwrap_or(0);
        let rows = delivery.len();
        let Some(delivery) = delivery.from_offset(done) else {
            self.skipped(rows);
            ticket.settle();
            return Ok(());
        };
        if delivery.len() < rows {
            self.skipped(rows - delivery.len());
        }
        let Self { parser, text, dead_letters, .. } = self;
        let (mut parser, mut text) = (std::mem::take(parser), std::mem::take(text));
        let mut dead_letters = std::mem::take(dead_letters);
        let open = self.open_file(partition, &delivery)?;
        for event in delivery.events() {
            let text = body_text(&event, &mut text);
            let document = text.and_then(|text| parser.parse(text).ok());
            let body = document.as_ref().zip(text).map(|(document, text)| Body { root: document.root(), text });
            if let Pushed::Refused(refused) = open.writer.push(&event, &delivery.enrichments, body)? {
                dead_letters.add(&event, &refused)?;
            }
        }
        open.tickets.push(ticket);
        (self.parser, self.text, self.dead_letters) = (parser, text, dead_letters);
        self.finish_large(partition)
    }

    /// Rows that finished files hold already. Right after a start that is the replay; at any other time, or in large numbers, it
    /// says that the folder belongs to another log.
    fn skipped(&mut self, rows: usize) {
        self.skipped_rows += rows;
        if self.skips.allow(std::time::Instant::now()).is_some() {
            tracing::info!(endpoint = self.name, rows = self.skipped_rows, "already in finished files");
        }
    }

    fn open_file(&mut self, partition: u32, delivery: &Delivery) -> Result<&mut OpenFile, SinkError> {
        if !self.open.contains_key(&partition) {
            self.evolve()?;
        }
        Ok(match self.open.entry(partition) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(vacant) => {
                let first = delivery.events().next().map_or(0, |event| event.offset());
                let writer = FileWriter::create(&self.config, &self.schema, true, &self.name, partition, first)?;
                let since = Instant::now();
                let deadline = since + Duration::from_millis(self.config.age_ms_max);
                self.deadline.get_or_insert(deadline);
                vacant.insert(OpenFile { writer, tickets: Vec::new(), since, memory_bytes: 0 })
            }
        })
    }

    /// Columns for what had none in finished files, before the next file begins.
    fn evolve(&mut self) -> Result<(), SinkError> {
        let Some(learner) = self.learner.as_mut().filter(|learner| !learner.is_empty()) else { return Ok(()) };
        let learnt = learner.evolve(&mut self.schema);
        if learnt.change.is_any() {
            self.schema.save(&self.config.dir)?;
            let (version, added, widened) =
                (self.schema.version, learnt.change.added.len(), learnt.change.widened.len());
            tracing::info!(endpoint = self.name, version, added, widened, "later files have more columns");
        }
        self.say_beyond(learnt.refused);
        Ok(())
    }

    /// Says, of each member once, that it has no column because there are `columns_max` already.
    fn say_beyond(&mut self, members: Vec<String>) {
        let columns_max = self.config.columns_max;
        let mut new = 0;
        for member in members {
            new += u64::from(self.beyond.len() < BEYOND_MAX && self.beyond.insert(member));
        }
        if new > 0 {
            SinkStats::add(&self.stats.refused_columns, new);
            let endpoint = &self.name;
            tracing::warn!(
                endpoint,
                columns_max,
                members = new,
                "no more columns are learnt: these members stay in `_rest`"
            );
        }
    }

    fn finish_aged(&mut self) -> Result<(), SinkError> {
        let (now, age) = (Instant::now(), Duration::from_millis(self.config.age_ms_max));
        let aged: Vec<u32> =
            self.open.iter().filter(|(_, open)| open.since + age <= now).map(|(partition, _)| *partition).collect();
        aged.into_iter().try_for_each(|partition| self.finish(partition))
    }

    /// Finishes the partition's file if it has its size, and writes out the largest of all while memory is short.
    fn finish_large(&mut self, partition: u32) -> Result<(), SinkError> {
        if let Some(open) = self.open.get_mut(&partition) {
            if open.writer.rows() >= self.config.rows_max || open.writer.bytes() >= self.config.bytes_max {
                return self.finish(partition);
            }
            count_memory(open, &mut self.memory_bytes);
        }
        while self.memory_bytes > self.config.memory_bytes_max {
            let Some(largest) = self.open.values_mut().max_by_key(|open| open.memory_bytes) else { break };
            largest.writer.spill()?;
            count_memory(largest, &mut self.memory_bytes);
        }
        Ok(())
    }

    fn finish(&mut self, partition: u32) -> Result<(), SinkError> {
        let Some(open) = self.open.remove(&partition) else { return Ok(()) };
        self.memory_bytes -= open.memory_bytes;
        let age = Duration::from_millis(self.config.age_ms_max);
        self.deadline = self.open.values().map(|open| open.since + age).min();
        // The tickets settle refused events too.
        self.dead_letters.write()?;
        if let Some(learner) = &mut self.learner {
            open.writer.teach(learner);
        }
        if open.writer.rows() == 0 {
            open.writer.discard()?;
            open.tickets.into_iter().for_each(SettleTicket::settle);
            return Ok(());
        }
        let mismatches = open.writer.mismatches();
        let file = open.writer.finish()?;
        tracing::debug!(endpoint = self.name, file = %file.path.display(), rows = file.rows, bytes = file.bytes, "file finished");
        self.done.insert(partition, file.next);
        SinkStats::add(&self.stats.delivered_events, file.rows);
        SinkStats::add(&self.stats.delivered_bytes, file.bytes);
        SinkStats::add(&self.stats.files, 1);
        SinkStats::add(&self.stats.mismatched_events, mismatches);
        open.tickets.into_iter().for_each(SettleTicket::settle);
        Ok(())
    }
}

fn count_memory(open: &mut OpenFile, sum: &mut u64) {
    let now = open.writer.memory_bytes();
    *sum = *sum + now - open.memory_bytes;
    open.memory_bytes = now;
}
