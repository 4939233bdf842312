//! Reads batches by offset. Blocking; every batch is decoded and its checksum checked before it is handed out.

use std::sync::Arc;

use engine::batch::{Batch, decode_stored};

use super::catalog::{Catalog, Extent};

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
    /// A batch is damaged on disk.
    #[error(
        "the batch at offset {offset} of partition {partition} is damaged in {path}: {reason}; offset {next} is the next whole one"
    )]
    Damaged {
        /// The partition.
        partition: u32,
        /// First offset of the batch.
        offset: u64,
        /// Offset behind it.
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

/// See the module.
#[derive(Clone, Debug)]
pub struct LogReader(Arc<Catalog>);

impl LogReader {
    pub(super) fn new(catalog: Arc<Catalog>) -> Self {
        Self(catalog)
    }

    /// Number of partitions.
    pub fn partitions(&self) -> u32 {
        self.0.partition_count()
    }

    /// First offset that is kept and first offset that is not synced yet; `(0, 0)` for a partition that is not there.
    pub fn bounds(&self, partition: u32) -> (u64, u64) {
        self.0.with(partition, |partition| (partition.start, partition.end)).unwrap_or((0, 0))
    }

    /// The batches from the one that holds `from` on, synced ones only, until they have `bytes_max` bytes: at least one if
    /// there is one, none at the end of the partition.
    pub fn read(&self, partition: u32, from: u64, bytes_max: usize) -> Result<Vec<Arc<Batch>>, ReadError> {
        let looked = self.0.with(partition, |found| {
            if from < found.start {
                return Err(found.start);
            }
            let at = found.extents.partition_point(|extent| extent.end <= from);
            Ok((found.end, found.extents.iter().skip(at).take(4).cloned().collect::<Vec<Extent>>()))
        });
        let (end, extents) = match looked {
            None => return Err(ReadError::UnknownPartition { partition, partitions: self.partitions() }),
            Some(Err(first_available)) => {
                return Err(ReadError::FallenOff { partition, wanted: from, first_available });
            }
            Some(Ok(found)) => found,
        };
        let (mut batches, mut bytes) = (Vec::new(), 0);
        for extent in extents {
            let segment = &extent.segment;
            let io = |error| ReadError::Io { path: segment.path.display().to_string(), error };
            let (entries, loaded) = segment.find(partition, from, end, bytes_max).map_err(io)?;
            if loaded {
                self.0.touch(segment);
            }
            for entry in &entries {
                if !batches.is_empty() && bytes + entry.bytes as usize > bytes_max {
                    return Ok(batches);
                }
                let stored = segment.read(entry).map_err(io)?;
                let batch = match decode_stored(&stored) {
                    Ok(batch) if batch.partition() == partition && batch.base_offset() == entry.base_offset => batch,
                    wrong if batches.is_empty() => {
                        return Err(ReadError::Damaged {
                            partition,
                            offset: entry.base_offset,
                            next: entry.end_offset(),
                            path: segment.path.display().to_string(),
                            reason: wrong.err().map_or("it is another batch".to_owned(), |error| error.to_string()),
                        });
                    }
                    // What is good before it comes first; the next read says what is wrong.
                    _ => return Ok(batches),
                };
                bytes += entry.bytes as usize;
                batches.push(Arc::new(batch));
            }
            // The index gave as much as was asked for, not all it has: what follows in the next segment must wait.
            if entries.last().is_some_and(|last| last.end_offset() < extent.end) {
                return Ok(batches);
            }
        }
        Ok(batches)
    }
}
