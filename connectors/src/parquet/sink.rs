//! The endpoint at work: deliveries into the open commits of their partitions, commits finished by rows, bytes, age and memory,
//! deliveries settled with their commit.

mod compaction;
mod start;
mod take;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use engine::parse::Parser;
use futures_util::{StreamExt, TryStreamExt};
use tokio::time::Instant;

use self::compaction::Compaction;
use super::cells::{Cells, Plan};
use super::commit::{Commit, Committed, Writing};
use super::config::ParquetConfig;
use super::delta::{Delta, DeltaError};
use super::file::FileError;
use super::gather::Gathered;
use super::layout::Layout;
use super::learn::{Bounds, Learner, Refusal, Why};
use super::manifest;
use super::pages::PageRoom;
use super::refused::{DeadLetters, RefusedError};
use super::schema::{Schema, SchemaError};
use super::store::{Again, Place, Store, StoreError};
use crate::rate_limited::RateLimited;
use crate::sink::{Feed, SettleTicket, SinkStats};
use start::Home;

/// How often it is said that rows are in finished files already.
const SKIPS_SAID_EVERY: Duration = Duration::from_secs(10);
/// Members without a column that are kept in mind, so that each is said once.
const BEYOND_MAX: usize = 10_000;
/// Longest time for what is open once the feed has ended: a node that stops waits no longer.
const END_MAX: Duration = Duration::from_secs(8);
/// Commits that are finished at a time: so many requests of an object store wait side by side.
const FINISHING_MAX: usize = 8;

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
    /// The table over the files.
    #[error(transparent)]
    Delta(#[from] DeltaError),
    /// The runtime for its timers and requests.
    #[error("cannot start a runtime: {0}")]
    Runtime(std::io::Error),
    /// Folders cannot be made as configured.
    #[error(
        "`partition_by` names the column `{column}` of type {kind}; folders are made of texts, whole numbers (int64) and booleans: \
         declare it as one of these with `columns`, for a new folder if there are files, or take it out of `partition_by`"
    )]
    Layout {
        /// The column.
        column: String,
        /// Its type.
        kind: String,
    },
    /// Rows cannot be sorted as configured.
    #[error("`sort_by` names the column `{column}` of type {kind}, which has no order; take it out of `sort_by`")]
    Sort {
        /// The column.
        column: String,
        /// Its type.
        kind: String,
    },
    /// The store did not take in time what was open at the end.
    #[error("the files that were open are not finished after {} s; their events come again after the next start", END_MAX.as_secs())]
    NotFinished,
}

impl From<StoreError> for SinkError {
    fn from(error: StoreError) -> Self {
        Self::File(error.into())
    }
}

struct Sink {
    name: String,
    config: ParquetConfig,
    layout: Layout,
    /// Where its files make their pages.
    room: PageRoom,
    store: Box<dyn Store>,
    again: Again,
    schema: Schema,
    /// How data is read for its columns.
    plan: Arc<Plan>,
    /// What had no column in finished files; `None` where the schema stays as it is.
    learner: Option<Learner>,
    home: Home,
    dead_letters: DeadLetters,
    cells: Cells,
    parser: Parser,
    text: String,
    gathered: Gathered,
    open: BTreeMap<u32, Commit>,
    /// Behind what finished files cover, per partition.
    done: BTreeMap<u32, u64>,
    compaction: Compaction,
    delta: Option<Delta>,
    /// When the oldest open commit is to be finished.
    deadline: Option<Instant>,
    /// Of all open commits.
    memory_bytes: u64,
    skipped_rows: usize,
    skips: RateLimited,
    /// Members of which was said that they have no column.
    beyond: BTreeSet<String>,
    stats: Arc<SinkStats>,
}

/// Runs the endpoint on this thread until its feed ends; then all files are finished.
pub fn run_blocking(name: &str, config: ParquetConfig, feed: Feed, stats: Arc<SinkStats>) -> Result<(), SinkError> {
    let runtime = match config.place() {
        // Uploads go on while this thread encodes.
        Ok(Place::S3 { .. } | Place::Azure { .. }) => {
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("upload").enable_all().build()
        }
        _ => tokio::runtime::Builder::new_current_thread().enable_time().build(),
    };
    runtime.map_err(SinkError::Runtime)?.block_on(run(name, config, feed, stats))
}

/// As [`run_blocking`], within a runtime. Dropped half-way it leaves what a crash would.
pub(super) async fn run(name: &str, config: ParquetConfig, feed: Feed, stats: Arc<SinkStats>) -> Result<(), SinkError> {
    let again = Again::new(name, stats.clone());
    let place = config.place().map_err(|reason| StoreError::Settings { url: config.shown_url(), reason })?;
    let store = super::store::open(&place, &config.store, &again)?;
    run_in(name, config, feed, stats, store, again).await
}

/// As [`run`] with a store that is open.
pub(super) async fn run_in(
    name: &str,
    config: ParquetConfig,
    feed: Feed,
    stats: Arc<SinkStats>,
    store: Box<dyn Store>,
    again: Again,
) -> Result<(), SinkError> {
    let ended = feed.ended();
    let too_late = async {
        ended.await;
        tokio::time::sleep(END_MAX).await;
    };
    tokio::select! {
        biased;
        result = work(name, config, feed, stats, store, again) => result,
        () = too_late => Err(SinkError::NotFinished),
    }
}

async fn work(
    name: &str,
    config: ParquetConfig,
    mut feed: Feed,
    stats: Arc<SinkStats>,
    store: Box<dyn Store>,
    again: Again,
) -> Result<(), SinkError> {
    let mut parser = Parser::default();
    let mut waiting = Vec::new();
    let dead_letters = DeadLetters::open(name, &config, stats.clone())?;
    let (entries, lake) = start::look(&config, &*store, &again).await?;
    let mut home = Home::of(&config, &*store, &again).await?;
    let mut delta = match config.delta {
        true => Some(Delta::open(name, &*store, &again, &entries).await?),
        false => None,
    };
    drop(entries);
    let seen = (&mut feed, &mut parser, &mut waiting);
    let found = start::schema(&config, &mut home, &*store, &again, delta.as_ref(), seen).await?;
    let Some((schema, beyond)) = found else {
        return Ok(start::sweep(&*store, &again, &lake).await?);
    };
    let layout = Layout::new(&config.partition_by);
    if let Some(delta) = &mut delta {
        delta.tell_apart(layout.types(&schema.arrow(true)));
        delta.adopt(&*store, &again, &lake).await?;
    }
    start::sweep(&*store, &again, &lake).await?;
    // For those who read names alone rows are there twice for as long as files are kept.
    let keep = if config.manifest || config.delta { config.compact_keep_ms } else { 0 };
    let compaction = Compaction::new(config.compaction(), Duration::from_millis(keep), &lake.files);
    let mut sink = Sink {
        name: name.to_owned(),
        learner: config.evolves().then(|| Learner::within(Bounds::later(&config))),
        home,
        config,
        layout,
        room: PageRoom::default(),
        store,
        again,
        plan: Arc::new(Plan::new(&schema, None)),
        schema,
        dead_letters,
        cells: Cells::default(),
        parser,
        text: String::new(),
        gathered: Gathered::default(),
        open: BTreeMap::new(),
        done: lake.next(),
        compaction,
        delta,
        deadline: None,
        memory_bytes: 0,
        skipped_rows: 0,
        skips: RateLimited::new(SKIPS_SAID_EVERY),
        beyond: BTreeSet::new(),
        stats,
    };
    sink.say_beyond(beyond);
    for handed in waiting {
        sink.gather(handed).await?;
    }
    sink.take_all().await?;
    loop {
        let handed = match sink.deadline {
            Some(deadline) => match tokio::time::timeout_at(deadline, feed.next()).await {
                Ok(handed) => handed,
                Err(_) => {
                    sink.finish_aged().await?;
                    continue;
                }
            },
            None => feed.next().await,
        };
        let Some(handed) = handed else { break };
        sink.gather(handed).await?;
        sink.linger(&mut feed).await?;
        // Under load the feed never lets the timer speak.
        if sink.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            sink.finish_aged().await?;
        }
    }
    sink.finish(|_| true).await
}

impl Sink {
    fn writing(&self) -> Writing<'_> {
        let Self { name, config, layout, room, store, again, .. } = self;
        Writing { endpoint: name, config, layout, room, store: &**store, again }
    }

    async fn open_commit(&mut self, partition: u32, covers_from: u64) -> Result<(), SinkError> {
        if self.open.contains_key(&partition) {
            return Ok(());
        }
        self.evolve().await?;
        let first = self.done.get(&partition).copied().unwrap_or(0).max(covers_from);
        let commit = Commit::begin(&self.schema, &self.plan, self.learner.is_some(), partition, first);
        self.deadline.get_or_insert(commit.since() + Duration::from_millis(self.config.age_ms_max));
        self.open.insert(partition, commit);
        Ok(())
    }

    /// Columns for what had none in finished files, before the next file begins.
    async fn evolve(&mut self) -> Result<(), SinkError> {
        let Some(learner) = self.learner.as_mut().filter(|learner| !learner.is_empty()) else { return Ok(()) };
        let learnt = learner.evolve(&mut self.schema);
        if learnt.change.is_any() {
            self.plan = Arc::new(Plan::new(&self.schema, None));
            self.schema.save(self.home.dir())?;
            self.home.keep(&*self.store, &self.again).await?;
            let (version, added, widened) =
                (self.schema.version, learnt.change.added.len(), learnt.change.widened.len());
            tracing::info!(endpoint = self.name, version, added, widened, "later files have more columns");
        }
        self.say_beyond(learnt.refused);
        Ok(())
    }

    /// Says, of each member once, that it has no column, and why.
    fn say_beyond(&mut self, refused: Vec<Refusal>) {
        let mut new: BTreeMap<Why, Vec<String>> = BTreeMap::new();
        for Refusal { member, why } in refused {
            if self.beyond.len() < BEYOND_MAX && self.beyond.insert(member.clone()) {
                new.entry(why).or_default().push(member);
            }
        }
        for (why, members) in new {
            SinkStats::add(&self.stats.refused_columns, members.len() as u64);
            let (endpoint, first, members) = (&self.name, &members[0], members.len());
            tracing::warn!(endpoint, members, first, "members stay in `_rest`: {why}");
        }
    }

    async fn finish_aged(&mut self) -> Result<(), SinkError> {
        let (now, age) = (Instant::now(), Duration::from_millis(self.config.age_ms_max));
        let aged: Vec<u32> =
            self.open.iter().filter(|(_, open)| open.since() + age <= now).map(|(partition, _)| *partition).collect();
        self.finish(|partition| aged.contains(&partition)).await
    }

    /// Finishes the partition's commit if it has its size, and writes out the largest of all while memory is short.
    async fn finish_large(&mut self, partition: u32) -> Result<(), SinkError> {
        if let Some(open) = self.open.get_mut(&partition) {
            if open.rows() >= self.config.rows_max || open.file_bytes() >= self.config.bytes_max {
                return self.finish(|at| at == partition).await;
            }
            count_memory(open, &mut self.memory_bytes);
        }
        while self.open.values().map(Commit::files).sum::<usize>() > self.config.open_files_max {
            let Some(most) = self.open.iter().max_by_key(|(_, open)| open.files()).map(|(at, _)| *at) else { break };
            self.finish(|at| at == most).await?;
        }
        while self.memory_bytes > self.config.memory_bytes_max {
            let Self { name, config, layout, room, store, again, open, memory_bytes, .. } = self;
            let writing = Writing { endpoint: name, config, layout, room, store: &**store, again };
            let Some((partition, largest)) = open.iter_mut().max_by_key(|(_, open)| open.counted_bytes) else { break };
            let (partition, before) = (*partition, largest.counted_bytes);
            largest.spill(writing).await?;
            count_memory(largest, memory_bytes);
            // What is left waits for the rest of a part: only the end of the file sends it.
            if largest.counted_bytes > before / 2 {
                self.finish(|at| at == partition).await?;
            }
        }
        Ok(())
    }

    /// Finishes the open commits of these partitions, side by side. In each partition one commit is kept before the next begins.
    async fn finish(&mut self, is_meant: impl Fn(u32) -> bool) -> Result<(), SinkError> {
        let meant: Vec<Commit> =
            self.open.extract_if(.., |partition, _| is_meant(*partition)).map(|(_, open)| open).collect();
        self.memory_bytes -= meant.iter().map(|open| open.counted_bytes).sum::<u64>();
        let age = Duration::from_millis(self.config.age_ms_max);
        self.deadline = self.open.values().map(|open| open.since() + age).min();
        // The tickets settle refused events too.
        self.dead_letters.write()?;
        if let Some(learner) = &mut self.learner {
            meant.iter().for_each(|open| open.teach(learner));
        }
        let (meant, empty): (Vec<Commit>, Vec<Commit>) = meant.into_iter().partition(|open| open.rows() > 0);
        empty.into_iter().for_each(Commit::settle);
        let writing = self.writing();
        let finish = async |open: Commit| {
            let committed = open.finish(writing).await?;
            if writing.config.manifest {
                manifest::publish(writing.store, writing.again, &committed).await?;
            }
            Ok::<Committed, FileError>(committed)
        };
        let finishing = futures_util::stream::iter(meant).map(finish).buffer_unordered(FINISHING_MAX);
        // Kept here until all are done: what is kept in files is settled even if another one fails.
        let mut kept: Vec<Committed> = Vec::new();
        let result = finishing.try_for_each(|committed| {
            kept.push(committed);
            std::future::ready(Ok(()))
        });
        let result = result.await;
        let Self { name, config, layout, room, store, again, delta, .. } = self;
        let writing = Writing { endpoint: name, config, layout, room, store: &**store, again };
        if let Some(delta) = delta {
            delta.publish(writing.store, writing.again, &kept).await?;
        }
        let partitions: Vec<u32> = kept.iter().map(|committed| committed.name.partition).collect();
        kept.into_iter().for_each(|committed| self.settle(committed));
        result?;
        for partition in partitions {
            let Self { name, config, layout, room, store, again, compaction, delta, .. } = self;
            let writing = Writing { endpoint: name, config, layout, room, store: &**store, again };
            compaction.work(writing, delta.as_mut(), partition).await?;
        }
        if let Some(delta) = &mut self.delta {
            delta.checkpoint(&*self.store).await;
        }
        Ok(())
    }

    fn settle(&mut self, committed: Committed) {
        self.compaction.add(&committed);
        let bytes = committed.bytes();
        let Committed { name, files, rows, mismatches, tickets } = committed;
        tracing::debug!(endpoint = self.name, commit = %name, rows, bytes, files = files.len(), "commit finished");
        self.done.insert(name.partition, name.last + 1);
        SinkStats::add(&self.stats.delivered_events, rows);
        SinkStats::add(&self.stats.delivered_bytes, bytes);
        SinkStats::add(&self.stats.files, files.len() as u64);
        SinkStats::add(&self.stats.mismatched_events, mismatches);
        tickets.into_iter().for_each(SettleTicket::settle);
    }
}

fn count_memory(open: &mut Commit, sum: &mut u64) {
    let now = open.memory_bytes();
    *sum = *sum + now - open.counted_bytes;
    open.counted_bytes = now;
}
