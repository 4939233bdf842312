//! Keeps on disk how far numbered producers have come, and tells the shards at a start: from what was stored, and from the log behind it.
//!
//! What always holds: the stored rows say nothing that is not on the device; no report of a shard is lost while the node runs, so the
//! rows and the log from the stored heads on are the whole progress; what belongs to another log is not believed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::task::{Wake, Waker};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant, SystemTime};

use connectors::hub::{LogReader, ReadError};
use engine::ring::{Bell, Consumer, ring};
use engine::shard::{Command, ProducerReport, Shard};

use super::StartError;
use super::switchboard::Switchboard;
use crate::state::{ShardProducers, State, StateError};

/// How often is stored: so much of the log is read back at a start.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// How long a shard may take to report; what comes later is stored the next time.
const REPORT_MAX: Duration = Duration::from_secs(1);
const READ_BYTES_MAX: usize = 1024 * 1024;

/// Tells the shards how far the producers of their partitions have come. Before they take their first turn.
pub fn restore(state: &State, reader: &LogReader, window_ms: u64, shards: &mut [Shard]) -> Result<(), StartError> {
    let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let since_ms = now_ms.saturating_sub_unsigned(window_ms);
    let mut saved = state.producers()?;
    let mut strange = BTreeSet::new();
    saved.heads.retain(|partition, head| {
        let end = reader.bounds(*partition).1;
        if *head > end {
            tracing::warn!(
                partition,
                end,
                stored = *head,
                "the log ends before what is stored of its publishers: not believed, the log is read instead"
            );
            strange.insert(*partition);
        }
        *head <= end
    });
    strange.extend(saved.progress.iter().map(|one| one.partition).filter(|one| !saved.heads.contains_key(one)));
    if !strange.is_empty() {
        // Now: once the new log is longer than the old one was, nobody would see it.
        state.forget_producers(&strange.iter().copied().collect::<Vec<_>>())?;
    }
    saved.progress.retain(|one| one.seen_ms >= since_ms && !strange.contains(&one.partition));
    saved.progress.sort_unstable_by_key(|one| one.seen_ms);
    let count = shards.len();
    for one in &mut saved.progress {
        // A clock that was ahead is not followed.
        one.seen_ms = one.seen_ms.min(now_ms);
        shards[one.partition as usize % count].restore_producer(one);
    }
    for partition in 0..reader.partitions() {
        let from = match saved.heads.get(&partition) {
            Some(head) => *head,
            None => reader.offset_at(partition, since_ms)?,
        };
        read_back(reader, partition, from, &mut shards[partition as usize % count])?;
    }
    Ok(())
}

fn read_back(reader: &LogReader, partition: u32, from: u64, shard: &mut Shard) -> Result<(), StartError> {
    let (mut next, end) = (from, reader.bounds(partition).1);
    while next < end {
        match reader.read(partition, next, READ_BYTES_MAX) {
            Ok(batches) => {
                for batch in batches {
                    shard.remember_producer(&batch);
                    next = batch.last_offset() + 1;
                }
            }
            // Nobody can say what was in there: a producer that comes again from before it sends events that are not kept.
            Err(ReadError::Damaged { next: behind, .. } | ReadError::FallenOff { first_available: behind, .. }) => {
                next = behind.max(next + 1);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The thread that asks and stores.
pub struct ProducerKeeper {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl ProducerKeeper {
    /// Starts the thread, which asks the shards behind `switchboard` every `interval`.
    pub fn start(state: Arc<State>, switchboard: Arc<Switchboard>, interval: Duration) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new().name("producers".to_owned()).spawn(move || {
            let mut keeping = Keeping::new(state, switchboard);
            loop {
                let is_last = stopped.recv_timeout(interval) != Err(RecvTimeoutError::Timeout);
                if let Err(error) = keeping.round() {
                    tracing::error!(%error, "cannot store how far publishers have come; the next start reads more of the log");
                }
                if is_last {
                    break;
                }
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Asks and stores once more while the shards still answer, and ends the thread.
    pub fn stop(&mut self) {
        // The thread may have panicked: then it is gone, which is what is wanted.
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread knows.
struct Keeping {
    state: Arc<State>,
    switchboard: Arc<Switchboard>,
    bell: Bell,
    waker: Waker,
    /// By shard: an answer that is still to come.
    answers: Vec<Option<Consumer<ProducerReport>>>,
    /// Answers that are not stored yet, in their order.
    reports: Vec<ShardProducers>,
    /// What is stored, by partition and by shard.
    heads: BTreeMap<u32, u64>,
    kept_since_ms: Vec<i64>,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Keeping {
    fn new(state: Arc<State>, switchboard: Arc<Switchboard>) -> Self {
        let shards = switchboard.shards();
        Self {
            state,
            switchboard,
            bell: Bell::default(),
            waker: Arc::new(Unpark(std::thread::current())).into(),
            answers: (0..shards).map(|_| None).collect(),
            reports: Vec::new(),
            heads: BTreeMap::new(),
            kept_since_ms: vec![i64::MIN; shards],
        }
    }

    /// Asks every shard for all that has changed, and stores it.
    fn round(&mut self) -> Result<(), StateError> {
        // What could not be stored the last time comes first, and until it is nobody is asked for more.
        self.store()?;
        let until = Instant::now() + REPORT_MAX;
        let mut is_done = vec![false; self.answers.len()];
        loop {
            self.bell.register(&self.waker);
            for (shard, is_done) in is_done.iter_mut().enumerate().filter(|(_, is_done)| !**is_done) {
                *is_done = self.hear(shard);
            }
            let left = until.saturating_duration_since(Instant::now());
            if is_done.iter().all(|is_done| *is_done) || left.is_zero() {
                break;
            }
            std::thread::park_timeout(left);
        }
        self.store()
    }

    /// Takes the answer of a shard if there is one, or asks. `true` if the shard has said all, or says nothing any more.
    fn hear(&mut self, shard: usize) -> bool {
        loop {
            let Some(answer) = &mut self.answers[shard] else {
                let (to, answer) = ring(1, &self.bell);
                if !self.switchboard.try_command(shard, Command::ReportProducers(to)) {
                    // It has no room for commands, or is gone: the next round asks again.
                    return true;
                }
                self.answers[shard] = Some(answer);
                continue;
            };
            // Before the look into the ring: what came last must be seen.
            let is_gone = answer.is_abandoned();
            let Some(report) = answer.pop() else {
                if is_gone {
                    self.answers[shard] = None;
                }
                return is_gone;
            };
            self.answers[shard] = None;
            let is_all = report.heads.is_some();
            self.reports.push(ShardProducers { shard: shard as u32, shards: self.answers.len() as u32, report });
            if is_all {
                return true;
            }
        }
    }

    fn store(&mut self) -> Result<(), StateError> {
        let kept_since_ms = |shard: u32| self.kept_since_ms[shard as usize];
        let is_news = |one: &ShardProducers| {
            let mut heads = one.report.heads.iter().flatten();
            !one.report.changed.is_empty()
                || one.report.kept_since_ms != kept_since_ms(one.shard)
                || heads.any(|(partition, head)| self.heads.get(partition) != Some(head))
        };
        if self.reports.iter().any(is_news) {
            let forgetting = self.reports.iter().filter(|one| one.report.kept_since_ms != kept_since_ms(one.shard));
            let forgetting: BTreeSet<u32> = forgetting.map(|one| one.shard).collect();
            self.state.commit_producers(&self.reports, &forgetting.into_iter().collect::<Vec<_>>())?;
        }
        for one in self.reports.drain(..) {
            self.kept_since_ms[one.shard as usize] = one.report.kept_since_ms;
            self.heads.extend(one.report.heads.into_iter().flatten());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
