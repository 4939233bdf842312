//! The cursors of one endpoint: per partition the offset up to which all is settled.
//!
//! Settling may come in any order within what is handed out; the cursor moves in order. One lock per delivery.

use std::collections::BTreeMap;
use std::sync::Mutex;

#[derive(Debug, Default)]
struct Partition {
    /// Everything before it has been handed out or was not wanted.
    handed: u64,
    /// Nothing is lost from here to `handed`.
    whole_from: u64,
    /// First offset of every delivery that is not settled.
    open: BTreeMap<u64, ()>,
}

/// One endpoint's progress, shared by its feeder, its sink and whoever stores and shows it.
#[derive(Debug)]
pub struct Cursors(Vec<Mutex<Partition>>);

impl Cursors {
    /// Starts at these offsets, one per partition.
    pub fn new(start: &[u64]) -> Self {
        Self(
            start
                .iter()
                .map(|handed| Mutex::new(Partition { handed: *handed, whole_from: *handed, open: BTreeMap::new() }))
                .collect(),
        )
    }

    /// Number of partitions.
    pub fn partitions(&self) -> u32 {
        self.0.len() as u32
    }

    /// The first offset of `partition` that is not settled.
    pub fn get(&self, partition: u32) -> u64 {
        let partition = self.lock(partition);
        partition.open.keys().next().copied().unwrap_or(partition.handed)
    }

    /// The cursors of all partitions.
    pub fn all(&self) -> Vec<u64> {
        (0..self.partitions()).map(|partition| self.get(partition)).collect()
    }

    /// Deliveries handed out and not settled.
    pub fn open(&self) -> usize {
        (0..self.partitions()).map(|partition| self.lock(partition).open.len()).sum()
    }

    /// Gives the offset from which nothing is lost.
    pub(super) fn hand(&self, partition: u32, first: u64, end: u64) -> u64 {
        let mut partition = self.lock(partition);
        debug_assert!(first >= partition.handed, "deliveries of a partition come in order");
        partition.open.insert(first, ());
        partition.handed = end;
        partition.whole_from
    }

    pub(super) fn settle(&self, partition: u32, first: u64) {
        let found = self.lock(partition).open.remove(&first);
        debug_assert!(found.is_some());
    }

    /// Everything of `partition` before `offset` has been handed out or was not wanted.
    pub fn advance(&self, partition: u32, offset: u64) {
        let mut partition = self.lock(partition);
        partition.handed = partition.handed.max(offset);
    }

    /// What `partition` had before `offset` and was not handed out is lost.
    pub fn lost(&self, partition: u32, offset: u64) {
        let mut partition = self.lock(partition);
        partition.whole_from = partition.whole_from.max(offset);
    }

    fn lock(&self, partition: u32) -> std::sync::MutexGuard<'_, Partition> {
        // The lock is held for map operations only; a panic there leaves the map whole.
        self.0[partition as usize].lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
