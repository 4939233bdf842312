//! From a time to the offset where reading begins.

use super::reader::{LogReader, ReadError};
use super::segment::select;
use super::storage::Storage;

impl<S: Storage> LogReader<S> {
    /// The first offset of `partition` that was accepted at `time_ms` (milliseconds since the Unix epoch) or later; the end of the
    /// partition if there is none. Reads one index and one batch at most.
    pub fn offset_at(&self, partition: u32, time_ms: i64) -> Result<u64, ReadError> {
        let found = self.catalog.with(partition, |found| {
            let extent = found.extents.iter().find(|extent| extent.max_timestamp_ms >= time_ms).cloned();
            (found.end, extent)
        });
        let Some((end, extent)) = found else {
            return Err(ReadError::UnknownPartition { partition, partitions: self.partitions() });
        };
        let Some(extent) = extent else { return Ok(end) };
        let io = |error| ReadError::Io { path: extent.segment.name.clone(), error };
        let (entry, loaded) = extent
            .segment
            .with_entries(&self.storage, |entries| {
                let of_partition = select(entries, partition, extent.first, extent.end, usize::MAX);
                of_partition.into_iter().find(|entry| entry.max_timestamp_ms >= time_ms)
            })
            .map_err(io)?;
        if loaded {
            self.catalog.touch(&extent.segment);
        }
        let Some(entry) = entry else { return Ok(extent.end) };
        match self.read(partition, entry.base_offset, 1) {
            Ok(batches) => {
                let rows = batches.first().map(|batch| batch.rows()).unwrap_or_default();
                let row = rows.iter().position(|row| row.timestamp_ms >= time_ms).unwrap_or(0);
                Ok(entry.base_offset + row as u64)
            }
            // Where reading goes on is whoever reads told when he comes to it.
            Err(ReadError::Damaged { .. } | ReadError::FallenOff { .. }) => Ok(entry.base_offset),
            Err(error) => Err(error),
        }
    }
}
