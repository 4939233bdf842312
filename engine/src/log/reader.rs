//! Reads batches by offset. Blocking; every batch that comes from the disk is decoded and its checksum checked before it is
//! handed out. The newest ones come from memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::LogStats;
use super::catalog::{Catalog, Extent, Partition};
use super::segment::select;
use super::storage::Storage;
use crate::batch::{Batch, decode_whole};

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The log has no such partition.
    #[error("there is no partition {partition}; they are numbered 0 to {}", partitions - 1)]
    UnknownPartition {
        /// What was asked for.
        partition: u32,
        /// How many there are.
        partitions: u32,
    },
    /// Retention has removed the offset.
    #[error("offset {wanted} of partition {partition} is no longer kept; the first one is {first_available}")]
    FallenOff {
        /// The partition.
        partition: u32,
        /// What was asked for.
        wanted: u64,
        /// Where reading can go on.
        first_available: u64,
    },
    /// A batch is damaged on disk, or was found damaged when the log was opened.
    #[error(
        "offsets {offset} to {next} of partition {partition} are damaged in {path}: {reason}; reading goes on at {next}"
    )]
    Damaged {
        /// The partition.
        partition: u32,
        /// First offset that is lost.
        offset: u64,
        /// Offset behind the damage.
        next: u64,
        /// The segment.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The disk cannot be read.
    #[error("cannot read {path}: {error}")]
    Io {
        /// The segment.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
}

/// See the module. Cheap to clone, usable on any thread.
#[derive(Debug)]
pub struct LogReader<S: Storage> {
    pub(super) storage: S,
    pub(super) catalog: Arc<Catalog<S::File>>,
    stats: Arc<LogStats>,
}

// Derived, it would ask for a file that can be cloned.
impl<S: Storage> Clone for LogReader<S> {
    fn clone(&self) -> Self {
        Self { storage: self.storage.clone(), catalog: self.catalog.clone(), stats: self.stats.clone() }
    }
}

/// What a look at a partition finds.
enum Found<F> {
    Recent(Vec<Arc<Batch>>),
    Stored { end: u64, extents: Vec<Extent<F>> },
    FallenOff(u64),
}

impl<S: Storage> LogReader<S> {
    /// Reads what is in the catalog.
    pub fn new(storage: S, catalog: Arc<Catalog<S::File>>, stats: Arc<LogStats>) -> Self {
        Self { storage, catalog, stats }
    }

    /// Number of partitions.
    pub fn partitions(&self) -> u32 {
        self.catalog.partition_count()
    }

    /// First offset that is kept and first offset that is not synced yet; `(0, 0)` for a partition that is not there.
    pub fn bounds(&self, partition: u32) -> (u64, u64) {
        self.catalog.with(partition, |partition| (partition.start, partition.end)).unwrap_or((0, 0))
    }

    /// As [`read`](Self::read) if memory has the batches: never waits for a disk. `None` if it has not.
    pub fn read_recent(&self, partition: u32, from: u64, bytes_max: usize) -> Option<Vec<Arc<Batch>>> {
        self.catalog.with(partition, |found| recent(found, from, bytes_max)).flatten()
    }

    /// The batches from the one that holds `from` on, synced ones only, until they have `bytes_max` bytes: at least one if
    /// there is one, none at the end of the partition.
    pub fn read(&self, partition: u32, from: u64, bytes_max: usize) -> Result<Vec<Arc<Batch>>, ReadError> {
        let looked = self.catalog.with(partition, |found| {
            if from < found.start {
                return Found::FallenOff(found.start);
            }
            if let Some(batches) = recent(found, from, bytes_max) {
                return Found::Recent(batches);
            }
            let at = found.extents.partition_point(|extent| extent.end <= from);
            Found::Stored { end: found.end, extents: found.extents.iter().skip(at).take(4).cloned().collect() }
        });
        match looked {
            None => Err(ReadError::UnknownPartition { partition, partitions: self.partitions() }),
            Some(Found::FallenOff(first_available)) => {
                Err(ReadError::FallenOff { partition, wanted: from, first_available })
            }
            Some(Found::Recent(batches)) => Ok(batches),
            Some(Found::Stored { end, extents }) => self.read_stored(partition, from, end, &extents, bytes_max),
        }
    }

    fn read_stored(
        &self,
        partition: u32,
        from: u64,
        end: u64,
        extents: &[Extent<S::File>],
        bytes_max: usize,
    ) -> Result<Vec<Arc<Batch>>, ReadError> {
        let (mut batches, mut bytes, mut next) = (Vec::new(), 0, from);
        for extent in extents {
            let segment = &extent.segment;
            let io = |error| ReadError::Io { path: segment.name.clone(), error };
            let (entries, loaded) = segment
                .with_entries(&self.storage, |entries| select(entries, partition, next, end.min(extent.end), bytes_max))
                .map_err(io)?;
            if loaded {
                self.catalog.touch(segment);
            }
            for entry in &entries {
                if !batches.is_empty() && bytes + entry.bytes as usize > bytes_max {
                    return Ok(batches);
                }
                let damaged = |next: u64, until: u64, reason: String| ReadError::Damaged {
                    partition,
                    offset: next,
                    next: until,
                    path: segment.name.clone(),
                    reason,
                };
                if entry.base_offset > next {
                    // What was found damaged when the log was opened has no entry.
                    return match batches.is_empty() {
                        true => Err(damaged(next, entry.base_offset, "found when the log was opened".to_owned())),
                        false => Ok(batches),
                    };
                }
                let stored = segment.read(entry).map_err(io)?;
                let batch = match decode_whole(stored) {
                    Ok(batch) if batch.partition() == partition && batch.base_offset() == entry.base_offset => batch,
                    wrong if batches.is_empty() => {
                        self.stats.damaged_bytes.fetch_add(entry.bytes.into(), Ordering::Relaxed);
                        let reason = wrong.err().map_or("it is another batch".to_owned(), |error| error.to_string());
                        return Err(damaged(next.max(entry.base_offset), entry.end_offset(), reason));
                    }
                    // What is good before it comes first; the next read says what is wrong.
                    _ => return Ok(batches),
                };
                bytes += entry.bytes as usize;
                next = entry.end_offset();
                batches.push(Arc::new(batch));
            }
            // The index gave as much as was asked for, not all it has: what follows in the next segment must wait.
            if entries.last().is_some_and(|last| last.end_offset() < extent.end) {
                return Ok(batches);
            }
        }
        if batches.is_empty() && next < end {
            // The last batches of the partition are damaged: nothing with an entry follows.
            let path = extents.first().map_or_else(String::new, |extent| extent.segment.name.clone());
            let reason = "found when the log was opened".to_owned();
            return Err(ReadError::Damaged { partition, offset: next, next: end, path, reason });
        }
        Ok(batches)
    }
}

/// What memory has from `from` on; `None` if that lies before it, or retention has removed it.
fn recent<F>(found: &Partition<F>, from: u64, bytes_max: usize) -> Option<Vec<Arc<Batch>>> {
    let batches = &found.recent;
    if from < found.start || batches.front().is_none_or(|oldest| oldest.base_offset() > from) {
        return None;
    }
    let first = batches.partition_point(|batch| batch.last_offset() < from);
    let mut bytes = 0;
    let fits = |batch: &&Arc<Batch>| {
        let fits = bytes == 0 || bytes + batch.bytes().len() <= bytes_max;
        bytes += batch.bytes().len();
        fits
    };
    Some(batches.range(first..).take_while(fits).cloned().collect())
}
