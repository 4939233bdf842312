//! One segment as readers see it: its file, and where its batches lie when that is in memory.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
#[expect(clippy::disallowed_types, reason = "readers on any thread share what the writer of the segment extends")]
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use super::index::{self, Entry, Summaries};
use super::names;
use super::scan::{End, scan};
use super::storage::{Storage, StorageFile, read_full, read_whole};

/// Entries of a segment by partition, each in offset order.
pub type Entries = BTreeMap<u32, Vec<Entry>>;

/// See the module.
#[derive(Debug)]
pub struct Segment<F> {
    /// Its file's name.
    pub name: String,
    file: Arc<F>,
    /// Bytes that are batches and may be read; what lies behind is void.
    bytes: AtomicU64,
    #[expect(clippy::disallowed_types, reason = "see above")]
    contents: RwLock<Contents>,
}

#[derive(Debug, Default)]
struct Contents {
    /// Which offsets it holds of each partition.
    offsets: BTreeMap<u32, Range<u64>>,
    /// Where each batch lies.
    entries: Option<Entries>,
}

impl<F: StorageFile> Segment<F> {
    /// A segment that is being written: its index grows in memory.
    pub fn active(name: String, file: Arc<F>) -> Self {
        let contents = Contents { entries: Some(Entries::new()), ..Contents::default() };
        Self::new(name, file, 0, contents)
    }

    /// A finished segment; its index is read when it is needed.
    pub fn finished(name: String, file: Arc<F>, summaries: &Summaries) -> Self {
        let offsets = summaries.partitions.iter().map(|summary| (summary.partition, summary.first..summary.end));
        let contents = Contents { offsets: offsets.collect(), entries: None };
        Self::new(name, file, summaries.segment_bytes, contents)
    }

    #[expect(clippy::disallowed_types, reason = "see above")]
    fn new(name: String, file: Arc<F>, bytes: u64, contents: Contents) -> Self {
        Self { name, file, bytes: AtomicU64::new(bytes), contents: RwLock::new(contents) }
    }

    /// Adds the entries of a synced group.
    pub fn extend(&self, group: &[Entry]) {
        let mut contents = self.contents.write().unwrap_or_else(PoisonError::into_inner);
        let Contents { offsets, entries } = &mut *contents;
        let entries = entries.get_or_insert_default();
        for entry in group {
            offsets.entry(entry.partition).or_insert(entry.base_offset..0).end = entry.end_offset();
            entries.entry(entry.partition).or_default().push(*entry);
        }
        if let Some(last) = group.last() {
            self.bytes.store(last.position + u64::from(last.bytes), Ordering::Release);
        }
    }

    /// Bytes that may be read.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Asks `look` about the entries; loads them first if they are not in memory. Also says whether it had to.
    pub fn with_entries<S: Storage<File = F>, R>(
        &self,
        storage: &S,
        look: impl FnOnce(&Entries) -> R,
    ) -> io::Result<(R, bool)> {
        let offsets = {
            let contents = self.contents.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(entries) = &contents.entries {
                return Ok((look(entries), false));
            }
            contents.offsets.clone()
        };
        let stored = read_whole(storage, &names::index(&self.name))?.map(|bytes| index::decode(&self.name, &bytes));
        let list = match stored {
            Some(Ok((list, _))) => list,
            // Missing or damaged: the segment itself knows.
            _ => {
                scan(&*self.file, self.bytes(), End::Finish, |partition| {
                    offsets.get(&partition).cloned().unwrap_or(0..0)
                })?
                .entries
            }
        };
        let entries = by_partition(&list);
        let found = look(&entries);
        self.contents.write().unwrap_or_else(PoisonError::into_inner).entries = Some(entries);
        Ok((found, true))
    }

    /// As [`with_entries`](Self::with_entries) if they are in memory.
    pub fn with_known_entries<R>(&self, look: impl FnOnce(&Entries) -> R) -> Option<R> {
        self.contents.read().unwrap_or_else(PoisonError::into_inner).entries.as_ref().map(look)
    }

    /// Drops the index from memory.
    pub fn forget(&self) {
        self.contents.write().unwrap_or_else(PoisonError::into_inner).entries = None;
    }

    /// Reads the bytes of one batch; fewer if the file is shorter than its index says.
    pub fn read(&self, entry: &Entry) -> io::Result<Vec<u8>> {
        self.file.read_bytes(entry.position, entry.bytes as usize)
    }

    /// Reads a piece of the segment as it lies; how many bytes there were.
    pub fn read_piece(&self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        let readable = self.bytes().saturating_sub(position).min(into.len() as u64) as usize;
        read_full(&*self.file, position, &mut into[..readable])
    }
}

/// Sorts entries of a segment by partition, keeping their order.
pub fn by_partition(list: &[Entry]) -> Entries {
    let mut entries = Entries::new();
    for entry in list {
        entries.entry(entry.partition).or_default().push(*entry);
    }
    entries
}

/// The entries of `partition` from the one that holds `from` on, below `end`, until they have `bytes_max` bytes, at least one
/// if there is one.
pub fn select(entries: &Entries, partition: u32, from: u64, end: u64, bytes_max: usize) -> Vec<Entry> {
    let Some(entries) = entries.get(&partition) else { return Vec::new() };
    let first = entries.partition_point(|entry| entry.end_offset() <= from);
    let mut bytes = 0;
    let fits = |entry: &&Entry| {
        let fits = entry.base_offset < end && (bytes == 0 || bytes + entry.bytes as usize <= bytes_max);
        bytes += entry.bytes as usize;
        fits
    };
    entries[first..].iter().take_while(fits).copied().collect()
}
