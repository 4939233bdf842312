//! How far numbered producers have come, as the shards reported it, and up to which offset of each partition the log is covered by it.
//!
//! What always holds: a report and its heads are stored together or not at all, so that the log from the heads on says all that
//! the rows do not; what a shard has forgotten is removed, so that the file does not grow with all producers that ever were.

use std::collections::BTreeMap;

use engine::shard::{ProducerProgress, ProducerReport};
use redb::{ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction};

use super::{State, StateError};

/// Partition and producer to the sequence that it goes on with and when it was seen last.
const PROGRESS: TableDefinition<'_, (u32, u64), (u64, i64)> = TableDefinition::new("producers");
/// Partition to the offset from which on the log is to be read.
const HEADS: TableDefinition<'_, u32, u64> = TableDefinition::new("producer-heads");

/// What is stored.
#[derive(Debug, Default)]
pub struct SavedProducers {
    /// In no order.
    pub progress: Vec<ProducerProgress>,
    /// By partition; those that never were reported are missing.
    pub heads: BTreeMap<u32, u64>,
}

/// What a shard reported.
#[derive(Clone, Debug)]
pub struct ShardProducers {
    /// Its number.
    pub shard: u32,
    /// Number of shards.
    pub shards: u32,
    /// What it said.
    pub report: ProducerReport,
}

pub(super) fn make_tables(write: &WriteTransaction) -> Result<(), TableError> {
    write.open_table(PROGRESS)?;
    write.open_table(HEADS)?;
    Ok(())
}

impl State {
    /// All that is stored.
    pub fn producers(&self) -> Result<SavedProducers, StateError> {
        let read = self.database.begin_read().map_err(StateError::access)?;
        let mut saved = SavedProducers::default();
        for entry in read.open_table(PROGRESS).map_err(StateError::access)?.iter().map_err(StateError::access)? {
            let (key, value) = entry.map_err(StateError::access)?;
            let ((partition, producer), (next, seen_ms)) = (key.value(), value.value());
            saved.progress.push(ProducerProgress { partition, producer, next, seen_ms });
        }
        for entry in read.open_table(HEADS).map_err(StateError::access)?.iter().map_err(StateError::access)? {
            let (partition, head) = entry.map_err(StateError::access)?;
            saved.heads.insert(partition.value(), head.value());
        }
        Ok(saved)
    }

    /// Stores what shards reported, oldest first, all or nothing. Shards among `forgetting` have forgotten some since they were
    /// stored last: they are removed, which takes a look at every row.
    pub fn commit_producers(&self, reports: &[ShardProducers], forgetting: &[u32]) -> Result<(), StateError> {
        let write = self.database.begin_write().map_err(StateError::access)?;
        {
            let mut progress = write.open_table(PROGRESS).map_err(StateError::access)?;
            let mut heads = write.open_table(HEADS).map_err(StateError::access)?;
            for ShardProducers { report, .. } in reports {
                for one in &report.changed {
                    let (key, value) = ((one.partition, one.producer), (one.next, one.seen_ms));
                    progress.insert(key, value).map_err(StateError::access)?;
                }
                for (partition, head) in report.heads.iter().flatten() {
                    heads.insert(partition, head).map_err(StateError::access)?;
                }
            }
            for shard in forgetting {
                let Some(last) = reports.iter().rfind(|one| one.shard == *shard) else { continue };
                let is_kept = |(partition, _): (u32, u64), (_, seen_ms): (u64, i64)| {
                    partition % last.shards != *shard || seen_ms >= last.report.kept_since_ms
                };
                progress.retain(is_kept).map_err(StateError::access)?;
            }
        }
        write.commit().map_err(StateError::access)
    }

    /// Removes all that is stored of the producers in these partitions: their log is another one.
    pub fn forget_producers(&self, partitions: &[u32]) -> Result<(), StateError> {
        let write = self.database.begin_write().map_err(StateError::access)?;
        {
            let mut progress = write.open_table(PROGRESS).map_err(StateError::access)?;
            progress.retain(|(partition, _), _| !partitions.contains(&partition)).map_err(StateError::access)?;
            let mut heads = write.open_table(HEADS).map_err(StateError::access)?;
            heads.retain(|partition, _| !partitions.contains(&partition)).map_err(StateError::access)?;
        }
        write.commit().map_err(StateError::access)
    }
}
