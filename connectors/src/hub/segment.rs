//! One segment as readers see it: its file, what it holds of each partition, and its index when that is in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use engine::log::{Entry, ReadAt, index, scan};

use super::files;

/// Entries of a segment by partition, each in offset order.
pub type Entries = std::collections::BTreeMap<u32, Vec<Entry>>;

/// See the module.
#[derive(Debug)]
pub struct Segment {
    /// Its file's name.
    pub path: PathBuf,
    file: File,
    entries: RwLock<Option<Entries>>,
}

/// Lets the engine's scan read a file.
pub struct FileAt<'f>(pub &'f File);

impl ReadAt for FileAt<'_> {
    fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(into, position)
    }
}

impl Segment {
    /// A segment that is being written: its index grows in memory.
    pub fn active(path: PathBuf, file: File) -> Self {
        Self { path, file, entries: RwLock::new(Some(Entries::new())) }
    }

    /// A finished segment; its index is read when it is needed.
    pub fn finished(path: PathBuf, file: File) -> Self {
        Self { path, file, entries: RwLock::new(None) }
    }

    /// Adds the entries of a synced group.
    pub fn extend(&self, group: &[Entry]) {
        let mut slot = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let entries = slot.get_or_insert_default();
        for entry in group {
            entries.entry(entry.partition).or_default().push(*entry);
        }
    }

    /// The entries of `partition` from the one that holds `from` on, below `end`, until they have `bytes_max` bytes, at least
    /// one if there is one; and whether the index had to be read from disk.
    pub fn find(&self, partition: u32, from: u64, end: u64, bytes_max: usize) -> io::Result<(Vec<Entry>, bool)> {
        if let Some(entries) = &*self.entries.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok((select(entries, partition, from, end, bytes_max), false));
        }
        let list = match std::fs::read(files::index_path(&self.path)).map(|bytes| index::decode(&bytes)) {
            Ok(Ok((list, _))) => list,
            // Missing or damaged: the segment itself knows.
            _ => scan(&FileAt(&self.file), self.file.metadata()?.len())?.entries,
        };
        let entries = by_partition(&list);
        let found = select(&entries, partition, from, end, bytes_max);
        *self.entries.write().unwrap_or_else(PoisonError::into_inner) = Some(entries);
        Ok((found, true))
    }

    /// Drops the index from memory.
    pub fn forget(&self) {
        *self.entries.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Reads the bytes of one batch.
    pub fn read(&self, entry: &Entry) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; entry.bytes as usize];
        self.file.read_exact_at(&mut bytes, entry.position)?;
        Ok(bytes)
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

fn select(entries: &Entries, partition: u32, from: u64, end: u64, bytes_max: usize) -> Vec<Entry> {
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
