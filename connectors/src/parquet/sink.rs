//! The endpoint at work: deliveries into the open files of their partitions, files finished by rows, bytes, age and memory,
//! deliveries settled with their file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::event::Event;
use engine::filter::body_text;
use engine::lane::Enrichment;
use engine::parse::Parser;
use tokio::time::Instant;

use super::config::ParquetConfig;
use super::file::{FileError, FileWriter, prepare_dir};
use super::learn::Learner;
use super::names::resume_offsets;
use super::schema::{Schema, SchemaError};
use crate::sink::{Feed, Handed, SettleTicket, SinkStats};

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
    /// The runtime for its timers.
    #[error("cannot start a timer: {0}")]
    Timer(std::io::Error),
}

struct OpenFile {
    writer: FileWriter,
    tickets: Vec<SettleTicket>,
    since: Instant,
}

struct Sink {
    name: String,
    config: ParquetConfig,
    schema: Schema,
    parser: Parser,
    text: String,
    open: BTreeMap<u32, OpenFile>,
    /// Behind what finished files cover, per partition.
    done: BTreeMap<u32, u64>,
    stats: Arc<SinkStats>,
}

/// Runs the endpoint on this thread until its feed ends; then all files are finished.
pub fn run_blocking(name: &str, config: ParquetConfig, feed: Feed, stats: Arc<SinkStats>) -> Result<(), SinkError> {
    prepare_dir(&config.dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(SinkError::Timer)?;
    runtime.block_on(run(name, config, feed, stats))
}

async fn run(name: &str, config: ParquetConfig, mut feed: Feed, stats: Arc<SinkStats>) -> Result<(), SinkError> {
    let mut parser = Parser::default();
    let kept = match &config.columns {
        Some(columns) => Some(Schema::configured(columns)),
        None => Schema::load(&config.dir)?,
    };
    let mut waiting = Vec::new();
    let schema = match kept {
        Some(schema) => schema,
        None => {
            let schema = learn(&config, &mut feed, &mut parser, &mut waiting).await;
            if waiting.is_empty() {
                return Ok(());
            }
            schema.save(&config.dir)?;
            schema
        }
    };
    let done = resume_offsets(&config.dir).map_err(|error| FileError::Io { path: config.dir.clone(), error })?;
    let done = done.into_iter().collect();
    let name = name.to_owned();
    let mut sink = Sink { name, config, schema, parser, text: String::new(), open: BTreeMap::new(), done, stats };
    for handed in waiting {
        sink.take(handed)?;
    }
    loop {
        let handed = match sink.next_deadline() {
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
        if sink.next_deadline().is_some_and(|deadline| deadline <= Instant::now()) {
            sink.finish_aged()?;
        }
    }
    let partitions: Vec<u32> = sink.open.keys().copied().collect();
    partitions.into_iter().try_for_each(|partition| sink.finish(partition))
}

/// Takes deliveries until there are enough events, or no more come for a while.
async fn learn(config: &ParquetConfig, feed: &mut Feed, parser: &mut Parser, waiting: &mut Vec<Handed>) -> Schema {
    let mut learner = Learner::default();
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
    learner.finish()
}

impl Sink {
    fn take(&mut self, handed: Handed) -> Result<(), SinkError> {
        let Handed { delivery, ticket } = handed;
        let partition = delivery.batch.partition();
        let done = self.done.get(&partition).copied().unwrap_or(0);
        let mut ticket = Some(ticket);
        for event in delivery.events().filter(|event| event.offset() >= done) {
            self.push(partition, &event, &delivery.enrichments)?;
        }
        if let Some(open) = self.open.get_mut(&partition) {
            open.tickets.extend(ticket.take());
        }
        if let Some(ticket) = ticket {
            // Finished files have all of it.
            ticket.settle();
        }
        self.finish_large(partition)
    }

    fn push(&mut self, partition: u32, event: &Event<'_>, enrichments: &[Enrichment]) -> Result<(), SinkError> {
        let open = match self.open.entry(partition) {
            std::collections::btree_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::btree_map::Entry::Vacant(vacant) => {
                let first = event.offset();
                let writer = FileWriter::create(&self.config, &self.schema, true, &self.name, partition, first)?;
                vacant.insert(OpenFile { writer, tickets: Vec::new(), since: Instant::now() })
            }
        };
        let document = body_text(event, &mut self.text).and_then(|text| self.parser.parse(text).ok());
        let body = document.as_ref().map(|document| document.root());
        open.writer.push(event, enrichments, body)?;
        Ok(())
    }

    fn next_deadline(&self) -> Option<Instant> {
        let age = Duration::from_millis(self.config.age_ms_max);
        self.open.values().map(|open| open.since + age).min()
    }

    fn finish_aged(&mut self) -> Result<(), SinkError> {
        let (now, age) = (Instant::now(), Duration::from_millis(self.config.age_ms_max));
        let aged: Vec<u32> =
            self.open.iter().filter(|(_, open)| open.since + age <= now).map(|(partition, _)| *partition).collect();
        aged.into_iter().try_for_each(|partition| self.finish(partition))
    }

    /// Finishes the partition's file if it has its size, and the largest of all while memory is short.
    fn finish_large(&mut self, partition: u32) -> Result<(), SinkError> {
        if let Some(open) = self.open.get(&partition)
            && (open.writer.rows() >= self.config.rows_max || open.writer.bytes() >= self.config.bytes_max)
        {
            self.finish(partition)?;
        }
        loop {
            let memory: u64 = self.open.values().map(|open| open.writer.memory_bytes()).sum();
            if memory <= self.config.memory_bytes_max {
                return Ok(());
            }
            let largest = self.open.iter().max_by_key(|(_, open)| open.writer.memory_bytes()).map(|(p, _)| *p);
            match largest {
                Some(largest) => self.finish(largest)?,
                None => return Ok(()),
            }
        }
    }

    fn finish(&mut self, partition: u32) -> Result<(), SinkError> {
        let Some(open) = self.open.remove(&partition) else { return Ok(()) };
        let rows = open.writer.rows();
        let (path, bytes) = open.writer.finish()?;
        tracing::debug!(file = %path.display(), rows, bytes, "file finished");
        if let Some((_, next)) =
            path.file_name().and_then(|n| super::names::parse(n.to_str()?)).map(|(_, f, l)| (f, l + 1))
        {
            self.done.insert(partition, next);
        }
        SinkStats::add(&self.stats.delivered_events, rows);
        SinkStats::add(&self.stats.delivered_bytes, bytes);
        SinkStats::add(&self.stats.files, 1);
        open.tickets.into_iter().for_each(SettleTicket::settle);
        Ok(())
    }
}
