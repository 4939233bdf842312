//! Numbered ingest: events that a producer numbers are kept once, however often it sends them. A shard remembers, per partition and
//! producer, the sequence that the producer goes on with.
//!
//! What always holds: a producer that sends something at least every [`ProducerSettings::window_ms`] is not forgotten, unless more
//! than half of [`ProducerSettings::producers_max`] others came meanwhile; work and memory are per batch, not per event; what the
//! log could not keep can come again; a report speaks of synced events alone. When in doubt the lower sequence is remembered:
//! then an event is asked for again, never passed over.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher};

use crate::batch::{Batch, ProducerStamp, tail};

/// Bytes that one remembered pair of partition and producer takes at most: up to 112 in a map, up to 32 where changes wait.
pub const PRODUCER_BYTES_MAX: usize = 144;
/// Most entries of one report: a shard spends less than a millisecond on them.
pub const REPORT_ENTRIES_MAX: usize = 4096;

/// Whose numbers are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerSettings {
    /// How long after a producer's last batch, in milliseconds of the time of acceptance; at most twice as long.
    pub window_ms: u64,
    /// Pairs of partition and producer that a shard remembers at most.
    pub producers_max: usize,
    /// Secret of the process: who chooses producer numbers cannot make the map slow.
    pub seed: u64,
}

impl Default for ProducerSettings {
    fn default() -> Self {
        Self { window_ms: 3_600_000, producers_max: 262_144, seed: 0 }
    }
}

/// How far a producer has come in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerProgress {
    /// The partition.
    pub partition: u32,
    /// The producer.
    pub producer: u64,
    /// Its events before this sequence are in the log, on the device.
    pub next: u64,
    /// When it last sent something, in milliseconds since the Unix epoch.
    pub seen_ms: i64,
}

/// What of a shard's progress is to be stored beside the log, so that a start need not read the window back. Together with all
/// reports before it, it is the shard's progress; so none may be lost, unless all are forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducerReport {
    /// What has changed.
    pub changed: Vec<ProducerProgress>,
    /// By partition, an offset: whatever lies before it is in this report or in one before. None while a long row of changes
    /// is reported in pieces, but with the last piece.
    pub heads: Option<Vec<(u32, u64)>>,
    /// Who was last seen before this is forgotten.
    pub kept_since_ms: i64,
}

/// What is left of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// All of it.
    All,
    /// Its last rows; those before are kept already.
    Tail(Batch),
    /// Nothing: all is kept already.
    None,
    /// Nothing: events before it are missing.
    OutOfOrder {
        /// The first of them.
        expected: u64,
    },
}

/// Partition and producer.
type Key = (u32, u64);

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Behind what was accepted.
    next: u64,
    /// Behind what is on the device.
    synced: u64,
    seen_ms: i64,
    /// It is among those that a report has to name.
    is_changed: bool,
}

/// Folded multiplication with a secret.
#[derive(Clone, Copy, Debug)]
struct Secret(u64);

struct Fold {
    state: u64,
    secret: u64,
}

impl BuildHasher for Secret {
    type Hasher = Fold;

    fn build_hasher(&self) -> Fold {
        Fold { state: self.0, secret: self.0.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15 }
    }
}

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.state
    }

    fn write(&mut self, bytes: &[u8]) {
        debug_assert!(false, "a key is two integers, not {} bytes", bytes.len());
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        let wide = u128::from(self.state ^ word) * u128::from(self.secret | 1);
        self.state = (wide >> 64) as u64 ^ wide as u64;
    }
}

type Entries = HashMap<Key, Entry, Secret>;

/// See the module.
#[derive(Debug)]
pub(super) struct Producers {
    settings: ProducerSettings,
    /// Seen since `young_since_ms`.
    young: Entries,
    /// Seen last between `old_since_ms` and `young_since_ms`.
    old: Entries,
    young_since_ms: i64,
    old_since_ms: i64,
    /// The latest time of acceptance: it does not go back with a clock.
    now_ms: i64,
    forgotten: u64,
    /// Entries that a report has to name, each once.
    changed: VecDeque<Key>,
    /// So many of them belong to the report that is under way in pieces, and the heads as they were when it began.
    round: usize,
    round_heads: Vec<(u32, u64)>,
}

impl Producers {
    pub fn new(settings: ProducerSettings) -> Self {
        let secret = Secret(settings.seed);
        Self {
            settings,
            young: HashMap::with_hasher(secret),
            old: HashMap::with_hasher(secret),
            young_since_ms: i64::MIN,
            old_since_ms: i64::MIN,
            now_ms: i64::MIN,
            forgotten: 0,
            changed: VecDeque::new(),
            round: 0,
            round_heads: Vec::new(),
        }
    }

    /// Pairs of partition and producer that are remembered.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Those that were forgotten before their time, because there were too many.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Counts a batch that is to be kept, and says what of it is new.
    pub fn admit(&mut self, batch: &Batch, stamp: ProducerStamp) -> Admitted {
        let key = (batch.partition(), stamp.producer);
        let (first, end) = (stamp.sequence, stamp.sequence + batch.rows().len() as u64);
        self.pass_time(batch.max_timestamp_ms());
        let now_ms = self.now_ms;
        self.touch(key);
        let Some(entry) = self.young.get_mut(&key) else {
            self.insert(key, Entry { next: end, synced: first, seen_ms: now_ms, is_changed: false });
            return Admitted::All;
        };
        entry.seen_ms = now_ms;
        let next = entry.next;
        if first > next || end <= next {
            // Nothing of it will be synced, and that it was seen is to be stored too.
            mark(&mut self.changed, key, entry);
            return if first > next { Admitted::OutOfOrder { expected: next } } else { Admitted::None };
        }
        entry.next = end;
        if first == next {
            return Admitted::All;
        }
        Admitted::Tail(tail(batch, (next - first) as usize, ProducerStamp { sequence: next, ..stamp }))
    }

    /// The batch, as it was admitted, is on the device.
    pub fn synced(&mut self, batch: &Batch, stamp: ProducerStamp) {
        let key = (batch.partition(), stamp.producer);
        if let Some(entry) = find(&mut self.young, &mut self.old, key) {
            entry.synced = stamp.sequence + batch.rows().len() as u64;
            mark(&mut self.changed, key, entry);
        }
    }

    /// The batch, as it was admitted, is not kept: its events may come again.
    pub fn take_back(&mut self, batch: &Batch, stamp: ProducerStamp) {
        let key = (batch.partition(), stamp.producer);
        match find(&mut self.young, &mut self.old, key) {
            Some(entry) => entry.next = entry.next.min(stamp.sequence),
            // What it sent behind this must not be taken for a beginning.
            None => {
                let (first, seen_ms) = (stamp.sequence, self.now_ms);
                self.insert(key, Entry { next: first, synced: first, seen_ms, is_changed: false });
            }
        }
    }

    /// A batch of the log, in the order of the log: what stands there last is how far its producer has come.
    pub fn remember(&mut self, batch: &Batch, stamp: ProducerStamp) {
        let key = (batch.partition(), stamp.producer);
        let end = stamp.sequence + batch.rows().len() as u64;
        self.pass_time(batch.max_timestamp_ms());
        let seen_ms = self.now_ms;
        self.touch(key);
        if !self.young.contains_key(&key) {
            self.insert(key, Entry { next: end, synced: end, seen_ms, is_changed: false });
        }
        if let Some(entry) = self.young.get_mut(&key) {
            (entry.next, entry.synced, entry.seen_ms) = (end, end, seen_ms);
            mark(&mut self.changed, key, entry);
        }
    }

    /// What a report said. Before anything else, in the order of `seen_ms`.
    pub fn restore(&mut self, progress: &ProducerProgress) {
        self.pass_time(progress.seen_ms);
        let ProducerProgress { partition, producer, next, seen_ms } = *progress;
        self.insert((partition, producer), Entry { next, synced: next, seen_ms, is_changed: false });
    }

    /// The next piece of what is to be stored. `heads` gives, by partition, the first offset that is not synced.
    pub fn report(&mut self, heads: impl FnOnce() -> Vec<(u32, u64)>) -> ProducerReport {
        if self.round == 0 {
            self.round = self.changed.len();
            self.round_heads = heads();
        }
        let mut report = ProducerReport { kept_since_ms: self.old_since_ms, ..ProducerReport::default() };
        let count = self.round.min(REPORT_ENTRIES_MAX);
        report.changed.reserve_exact(count);
        for _ in 0..count {
            let Some(key) = self.changed.pop_front() else { break };
            if let Some(entry) = find(&mut self.young, &mut self.old, key) {
                entry.is_changed = false;
                let Entry { synced, seen_ms, .. } = *entry;
                let (partition, producer) = key;
                report.changed.push(ProducerProgress { partition, producer, next: synced, seen_ms });
            }
        }
        self.round -= count;
        if self.round == 0 {
            report.heads = Some(std::mem::take(&mut self.round_heads));
        }
        report
    }

    fn pass_time(&mut self, ms: i64) {
        self.now_ms = self.now_ms.max(ms);
        if self.now_ms.saturating_sub(self.young_since_ms) > self.window_ms() {
            self.rotate(None);
        }
    }

    fn window_ms(&self) -> i64 {
        i64::try_from(self.settings.window_ms).unwrap_or(i64::MAX)
    }

    /// An entry that is used now is among the young, if there is one.
    fn touch(&mut self, key: Key) {
        if let Some(entry) = self.old.remove(&key) {
            self.insert(key, entry);
        }
    }

    fn insert(&mut self, key: Key, entry: Entry) {
        if self.young.len() >= (self.settings.producers_max / 2).max(1) {
            self.rotate(Some(key));
        }
        self.young.insert(key, entry);
    }

    /// The older half is forgotten, but for what is `moving` to the younger one.
    fn rotate(&mut self, moving: Option<Key>) {
        let over_ms = self.now_ms.saturating_sub(self.window_ms());
        self.forgotten += self.old.values().filter(|entry| entry.seen_ms > over_ms).count() as u64;
        std::mem::swap(&mut self.young, &mut self.old);
        self.young.clear();
        (self.old_since_ms, self.young_since_ms) = (self.young_since_ms, self.now_ms);
        let Self { old, changed, .. } = self;
        // Who comes again would be in the list twice, and the list without bound.
        changed.retain(|key| old.contains_key(key) || moving == Some(*key));
        self.round = self.round.min(self.changed.len());
    }
}

fn find<'a>(young: &'a mut Entries, old: &'a mut Entries, key: Key) -> Option<&'a mut Entry> {
    young.get_mut(&key).or_else(|| old.get_mut(&key))
}

fn mark(changed: &mut VecDeque<Key>, key: Key, entry: &mut Entry) {
    if !std::mem::replace(&mut entry.is_changed, true) {
        changed.push_back(key);
    }
}

#[cfg(test)]
pub(super) mod tests;
