//! Which segment holds which offsets: the map that writers extend, readers search and retention shortens.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use engine::log::Entry;

use super::segment::Segment;

/// Finished segments whose index is kept in memory.
const INDEXES_CACHED_MAX: usize = 64;

/// The offsets of one partition that one segment holds.
#[derive(Clone, Debug)]
pub struct Extent {
    /// First offset.
    pub first: u64,
    /// Offset behind the last.
    pub end: u64,
    /// Where they lie.
    pub segment: Arc<Segment>,
}

#[derive(Debug, Default)]
pub struct Partition {
    /// First offset that is kept.
    pub start: u64,
    /// First offset that is not synced.
    pub end: u64,
    /// In offset order.
    pub extents: VecDeque<Extent>,
}

/// A finished segment as retention sees it.
#[derive(Clone, Debug)]
pub struct Finished {
    pub segment: Arc<Segment>,
    pub bytes: u64,
    pub max_timestamp_ms: i64,
}

/// See the module.
#[derive(Debug)]
pub struct Catalog {
    partitions: Vec<RwLock<Partition>>,
    finished: Mutex<Vec<Finished>>,
    cached: Mutex<VecDeque<Arc<Segment>>>,
}

impl Catalog {
    pub fn new(partitions: Vec<Partition>, finished: Vec<Finished>) -> Self {
        Self {
            partitions: partitions.into_iter().map(RwLock::new).collect(),
            finished: Mutex::new(finished),
            cached: Mutex::default(),
        }
    }

    pub fn partition_count(&self) -> u32 {
        self.partitions.len() as u32
    }

    /// The end offsets of all partitions.
    pub fn ends(&self) -> Vec<u64> {
        (0..self.partition_count()).map(|partition| self.lock(partition).end).collect()
    }

    /// Looks at a partition.
    pub fn with<R>(&self, partition: u32, look: impl FnOnce(&Partition) -> R) -> Option<R> {
        let partition = self.partitions.get(partition as usize)?;
        Some(look(&partition.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// A synced group of `segment` becomes readable.
    pub fn publish(&self, segment: &Arc<Segment>, group: &[Entry]) {
        segment.extend(group);
        for entry in group {
            let mut partition = self.lock(entry.partition);
            match partition.extents.back_mut() {
                Some(extent) if Arc::ptr_eq(&extent.segment, segment) => extent.end = entry.end_offset(),
                _ => partition.extents.push_back(Extent {
                    first: entry.base_offset,
                    end: entry.end_offset(),
                    segment: segment.clone(),
                }),
            }
            partition.end = entry.end_offset();
        }
    }

    /// A segment is finished: retention may take it one day, and its index may leave memory.
    pub fn finish(&self, finished: Finished) {
        self.touch(&finished.segment);
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).push(finished);
    }

    /// The segment's index was just loaded: the one that was loaded longest ago may go.
    pub fn touch(&self, segment: &Arc<Segment>) {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.push_back(segment.clone());
        while cached.len() > INDEXES_CACHED_MAX {
            if let Some(oldest) = cached.pop_front() {
                oldest.forget();
            }
        }
    }

    /// Takes the oldest finished segments out while the log has more than `bytes_max` bytes (0: any number) or they are older
    /// than `oldest_ms`. Readers that have one open can still read it.
    pub fn retire(&self, log_bytes: u64, bytes_max: u64, oldest_ms: Option<i64>) -> Vec<Finished> {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.sort_by_key(|segment| segment.max_timestamp_ms);
        let (mut left, mut count) = (log_bytes, 0);
        for segment in finished.iter() {
            let too_many = bytes_max > 0 && left > bytes_max;
            let too_old = oldest_ms.is_some_and(|oldest| segment.max_timestamp_ms < oldest);
            // Only from the front of every partition: a hole in the middle would be a lie about what is kept.
            if !(too_many || too_old) || !self.take_front(&segment.segment) {
                break;
            }
            left -= segment.bytes;
            count += 1;
        }
        finished.drain(..count).collect()
    }

    fn take_front(&self, segment: &Arc<Segment>) -> bool {
        let holds = |partition: &Partition| partition.extents.iter().position(|e| Arc::ptr_eq(&e.segment, segment));
        let in_front = |partition: &RwLock<Partition>| {
            !matches!(holds(&partition.read().unwrap_or_else(PoisonError::into_inner)), Some(1..))
        };
        if !self.partitions.iter().all(in_front) {
            return false;
        }
        for number in 0..self.partition_count() {
            let mut partition = self.lock(number);
            if holds(&partition) == Some(0) {
                partition.extents.pop_front();
                partition.start = partition.extents.front().map_or(partition.end, |extent| extent.first);
            }
        }
        true
    }

    fn lock(&self, partition: u32) -> std::sync::RwLockWriteGuard<'_, Partition> {
        self.partitions[partition as usize].write().unwrap_or_else(PoisonError::into_inner)
    }
}
