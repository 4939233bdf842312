//! Idempotent ingest: an event that a publisher sends again within a window is kept once. CloudEvents names an event by its
//! `source` and `id`; events that came without an `id` are never taken for others.
//!
//! What always holds: time is that of acceptance as it stands in the events; an id is remembered for the window, or until
//! [`DedupSettings::ids_max`] younger ones have come, whichever is first; what was not kept is forgotten again. Ids are 128 bits of
//! two hashes with secrets of the process: two different events are taken for one with a chance of about 10^-20 at a million ids,
//! and nobody outside can look for such a pair.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};

use crate::batch::{Batch, BatchBuilder, HeaderWriter};
use crate::event::{CE_PREFIX, DEFAULT_SOURCE, Event};

/// Bytes that one remembered id takes at most: 24 in the order of arrival, up to 50 in the map.
pub const DEDUP_ID_BYTES_MAX: usize = 74;

/// Which ids are remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DedupSettings {
    /// How long, in milliseconds; 0: nothing is looked at.
    pub window_ms: u64,
    /// How many at most, per shard.
    pub ids_max: usize,
    /// Secret of the process.
    pub seed: u64,
}

type Id = (u64, u64);

/// The ids are hashes already.
#[derive(Default)]
struct FirstWord(u64);

impl Hasher for FirstWord {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        debug_assert!(false, "an id is two words, not {} bytes", bytes.len());
    }

    fn write_u64(&mut self, word: u64) {
        self.0 ^= word;
    }
}

/// See the module.
pub(super) struct Dedup {
    settings: DedupSettings,
    secrets: [RapidSecrets; 2],
    /// When each was seen last.
    seen: HashMap<Id, i64, BuildHasherDefault<FirstWord>>,
    /// In the order of arrival, with the time.
    order: VecDeque<(Id, i64)>,
    /// Ids that were forgotten before their time.
    forgotten: u64,
    room: Vec<u8>,
}

impl std::fmt::Debug for Dedup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dedup")
            .field("settings", &self.settings)
            .field("ids", &self.order.len())
            .finish_non_exhaustive()
    }
}

/// What is left of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// All of it.
    All,
    /// Some rows, in a batch of their own.
    Some(Batch),
    /// Nothing.
    None,
}

impl Dedup {
    /// `None` if nothing is to be remembered.
    pub fn new(settings: DedupSettings) -> Option<Self> {
        if settings.window_ms == 0 || settings.ids_max == 0 {
            return None;
        }
        let secrets =
            [RapidSecrets::seed(settings.seed), RapidSecrets::seed(settings.seed.rotate_left(32) ^ 0x6120_6272)];
        Some(Self {
            settings,
            secrets,
            seen: HashMap::default(),
            order: VecDeque::new(),
            forgotten: 0,
            room: Vec::new(),
        })
    }

    /// Ids that were forgotten before their time, because there were too many.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Remembers the ids of `batch` and says what of it is new.
    pub fn admit(&mut self, batch: &Batch) -> Kept {
        let mut is_new = Vec::new();
        for row in 0..batch.rows().len() {
            let event = Event::new(batch, row);
            let fresh = self.admit_event(&event);
            if !fresh && is_new.is_empty() {
                is_new = vec![true; batch.rows().len()];
            }
            if !fresh {
                is_new[row] = false;
            }
        }
        if is_new.is_empty() {
            return Kept::All;
        }
        let mut builder = BatchBuilder::new(batch.partition());
        let mut headers = HeaderWriter::default();
        for (row, _) in is_new.iter().enumerate().filter(|(_, is_new)| **is_new) {
            let event = Event::new(batch, row);
            headers.clear();
            event.headers().for_each(|(name, value)| headers.put(name, value));
            let pushed = builder.push(event.key(), event.data().unwrap_or(b""), &headers, event.timestamp_ms());
            debug_assert!(pushed.is_ok(), "it fitted with more before it");
        }
        builder.seal().map_or(Kept::None, Kept::Some)
    }

    fn admit_event(&mut self, event: &Event<'_>) -> bool {
        let Some(id) = self.id(event) else { return true };
        let now_ms = event.timestamp_ms();
        let window_ms = self.settings.window_ms as i64;
        while let Some((oldest, at_ms)) = self.order.front().copied() {
            let is_over = now_ms.saturating_sub(at_ms) > window_ms;
            let is_full = self.order.len() >= self.settings.ids_max;
            if !is_over && !is_full {
                break;
            }
            self.order.pop_front();
            // It may have been forgotten and come again since.
            if self.seen.get(&oldest) == Some(&at_ms) {
                self.seen.remove(&oldest);
                self.forgotten += u64::from(!is_over);
            }
        }
        if self.seen.get(&id).is_some_and(|at_ms| now_ms.saturating_sub(*at_ms) <= window_ms) {
            return false;
        }
        self.seen.insert(id, now_ms);
        self.order.push_back((id, now_ms));
        true
    }

    /// The batch was not kept: its events may come again.
    pub fn forget(&mut self, batch: &Batch) {
        for row in 0..batch.rows().len() {
            if let Some(id) = self.id(&Event::new(batch, row)) {
                self.seen.remove(&id);
            }
        }
    }

    fn id(&mut self, event: &Event<'_>) -> Option<Id> {
        let (mut id, mut source) = (None, None);
        for (name, value) in event.headers() {
            match name.strip_prefix(CE_PREFIX) {
                Some("id") => id = value,
                Some("source") => source = value,
                _ => {}
            }
        }
        let (id, source) = (id?, source.unwrap_or(DEFAULT_SOURCE.as_bytes()));
        self.room.clear();
        self.room.extend_from_slice(&(source.len() as u64).to_le_bytes());
        self.room.extend_from_slice(source);
        self.room.extend_from_slice(id);
        let [first, second] = &self.secrets;
        Some((rapidhash_v3_seeded(&self.room, first), rapidhash_v3_seeded(&self.room, second)))
    }
}

#[cfg(test)]
mod tests;
