//! Which segment holds which offsets: the map that writers extend, readers search and retention shortens. It also keeps the
//! newest batches in memory, because who reads the log mostly reads its end.
//!
//! What always holds: what is in the catalog is synced; the extents of a partition are in offset order; the recent batches of a
//! partition are its last ones, without a hole.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
#[expect(
    clippy::disallowed_types,
    reason = "writers and readers on any thread share it; locks are held for look-ups only"
)]
use std::sync::{Mutex, RwLock};

use super::index::{Entry, Summary};
use super::segment::Segment;
use crate::batch::Batch;

/// Finished segments whose index is kept in memory.
const INDEXES_CACHED_MAX: usize = 64;

/// The offsets of one partition that one segment holds.
#[derive(Debug)]
pub struct Extent<F> {
    /// First offset.
    pub first: u64,
    /// Offset behind the last.
    pub end: u64,
    /// Bytes of its batches.
    pub bytes: u64,
    /// Latest time of acceptance.
    pub max_timestamp_ms: i64,
    /// Where they lie.
    pub segment: Arc<Segment<F>>,
}

// Derived, it would ask for `F: Clone`.
impl<F> Clone for Extent<F> {
    fn clone(&self) -> Self {
        let Self { first, end, bytes, max_timestamp_ms, segment } = self;
        Self { first: *first, end: *end, bytes: *bytes, max_timestamp_ms: *max_timestamp_ms, segment: segment.clone() }
    }
}

impl<F> Extent<F> {
    /// What `segment` holds of the partition.
    pub fn of(summary: &Summary, segment: &Arc<Segment<F>>) -> Self {
        Self {
            first: summary.first,
            end: summary.end,
            bytes: summary.bytes,
            max_timestamp_ms: summary.max_timestamp_ms,
            segment: segment.clone(),
        }
    }
}

/// One partition.
#[derive(Debug)]
pub struct Partition<F> {
    /// First offset that is kept.
    pub start: u64,
    /// First offset that is not synced.
    pub end: u64,
    /// In offset order.
    pub extents: VecDeque<Extent<F>>,
    /// Its newest batches.
    pub recent: VecDeque<Arc<Batch>>,
}

impl<F> Partition<F> {
    /// A partition with these extents, in offset order.
    pub fn new(start: u64, end: u64, extents: VecDeque<Extent<F>>) -> Self {
        Self { start, end, extents, recent: VecDeque::new() }
    }
}

/// A finished segment as retention sees it.
#[derive(Debug)]
pub struct Finished<F> {
    /// The segment.
    pub segment: Arc<Segment<F>>,
    /// Its size.
    pub bytes: u64,
    /// Latest time of acceptance in it.
    pub max_timestamp_ms: i64,
}

/// See the module.
#[derive(Debug)]
#[expect(clippy::disallowed_types, reason = "see the import")]
pub struct Catalog<F> {
    partitions: Vec<RwLock<Partition<F>>>,
    finished: Mutex<Vec<Finished<F>>>,
    /// Out of the partitions, still on the disk, oldest first.
    retired: Mutex<VecDeque<Finished<F>>>,
    cached: Mutex<VecDeque<Arc<Segment<F>>>>,
}

impl<F: super::storage::StorageFile> Catalog<F> {
    /// What a recovery has found.
    #[expect(clippy::disallowed_types, reason = "see the import")]
    pub fn new(partitions: Vec<Partition<F>>, finished: Vec<Finished<F>>) -> Self {
        Self {
            partitions: partitions.into_iter().map(RwLock::new).collect(),
            finished: Mutex::new(finished),
            retired: Mutex::default(),
            cached: Mutex::default(),
        }
    }

    /// Number of partitions.
    pub fn partition_count(&self) -> u32 {
        self.partitions.len() as u32
    }

    /// The end offsets of all partitions.
    pub fn ends(&self) -> Vec<u64> {
        (0..self.partition_count()).filter_map(|partition| self.with(partition, |found| found.end)).collect()
    }

    /// Looks at a partition.
    pub fn with<R>(&self, partition: u32, look: impl FnOnce(&Partition<F>) -> R) -> Option<R> {
        let partition = self.partitions.get(partition as usize)?;
        Some(look(&partition.read().unwrap_or_else(PoisonError::into_inner)))
    }

    fn change<R>(&self, partition: u32, change: impl FnOnce(&mut Partition<F>) -> R) -> R {
        change(&mut self.partitions[partition as usize].write().unwrap_or_else(PoisonError::into_inner))
    }

    /// A synced group of `segment` becomes readable: its entries and, in the same order, its batches.
    pub fn publish(&self, segment: &Arc<Segment<F>>, entries: &[Entry], batches: &[Arc<Batch>]) {
        segment.extend(entries);
        for (entry, batch) in entries.iter().zip(batches) {
            self.change(entry.partition, |partition| {
                match partition.extents.back_mut() {
                    Some(extent) if Arc::ptr_eq(&extent.segment, segment) => {
                        extent.end = entry.end_offset();
                        extent.bytes += u64::from(entry.bytes);
                        extent.max_timestamp_ms = extent.max_timestamp_ms.max(entry.max_timestamp_ms);
                    }
                    _ => partition.extents.push_back(Extent {
                        first: entry.base_offset,
                        end: entry.end_offset(),
                        bytes: entry.bytes.into(),
                        max_timestamp_ms: entry.max_timestamp_ms,
                        segment: segment.clone(),
                    }),
                }
                partition.end = entry.end_offset();
                partition.recent.push_back(batch.clone());
            });
        }
    }

    /// The oldest recent batch of `partition` leaves memory.
    pub fn forget_recent(&self, partition: u32) {
        // Dropped outside of the lock: freeing 64 KiB takes longer than the look-up.
        drop(self.change(partition, |partition| partition.recent.pop_front()));
    }

    /// A segment is finished: retention may take it one day, and its index may leave memory.
    pub fn finish(&self, finished: Finished<F>) {
        self.touch(&finished.segment);
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).push(finished);
    }

    /// The segment's index was just loaded: the one that was loaded longest ago may go.
    pub fn touch(&self, segment: &Arc<Segment<F>>) {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.push_back(segment.clone());
        while cached.len() > INDEXES_CACHED_MAX {
            if let Some(oldest) = cached.pop_front() {
                oldest.forget();
            }
        }
    }

    /// All segments, finished ones first, each once.
    pub fn segments(&self) -> Vec<Arc<Segment<F>>> {
        let mut all: Vec<Arc<Segment<F>>> = Vec::new();
        for partition in 0..self.partition_count() {
            self.with(partition, |found| {
                for extent in &found.extents {
                    if !all.iter().any(|known| Arc::ptr_eq(known, &extent.segment)) {
                        all.push(extent.segment.clone());
                    }
                }
            });
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Takes the oldest finished segments out while the log has more than `bytes_max` bytes (0: any number) or they are older
    /// than `oldest_ms`. Readers that have one open can still read it.
    pub fn retire(&self, log_bytes: u64, bytes_max: u64, oldest_ms: Option<i64>) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.sort_by_key(|segment| segment.max_timestamp_ms);
        let waiting = retired.iter().map(|segment| segment.bytes).sum();
        let (mut left, mut count) = (log_bytes.saturating_sub(waiting), 0);
        for segment in finished.iter() {
            let too_many = bytes_max > 0 && left > bytes_max;
            let too_old = oldest_ms.is_some_and(|oldest| segment.max_timestamp_ms < oldest);
            // Only from the front of every partition: a hole in the middle would be a lie about what is kept.
            if !(too_many || too_old) || !self.take_front(&segment.segment) {
                break;
            }
            left = left.saturating_sub(segment.bytes);
            count += 1;
        }
        retired.extend(finished.drain(..count));
    }

    /// Something was taken out and is still on the disk.
    pub fn has_retired(&self) -> bool {
        !self.retired.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Has `remove` take retired segments off the disk, oldest first, until one cannot be removed: what is younger then stays as
    /// well, so that a start never finds a hole. The next call goes on there.
    pub fn remove_retired<E>(&self, mut remove: impl FnMut(&Finished<F>) -> Result<(), E>) -> Result<(), E> {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(oldest) = retired.front() {
            remove(oldest)?;
            retired.pop_front();
        }
        Ok(())
    }

    fn take_front(&self, segment: &Arc<Segment<F>>) -> bool {
        let holds = |partition: &Partition<F>| partition.extents.iter().position(|e| Arc::ptr_eq(&e.segment, segment));
        let mut numbers = 0..self.partition_count();
        if !numbers.all(|number| !matches!(self.with(number, holds).flatten(), Some(1..))) {
            return false;
        }
        for number in 0..self.partition_count() {
            self.change(number, |partition| {
                if holds(partition) == Some(0) {
                    partition.extents.pop_front();
                    partition.start = partition.extents.front().map_or(partition.end, |extent| extent.first);
                }
            });
        }
        true
    }
}
