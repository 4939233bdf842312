//! How far behind the end of the log an offset is: events, bytes, and since when. From what is in memory; nothing is read.

use super::catalog::Extent;
use super::reader::LogReader;
use super::segment::Segment;
use super::storage::{Storage, StorageFile};

/// What lies between a cursor and the end of its partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Events.
    pub events: u64,
    /// Their bytes in the log. In an old segment whose index is not in memory the share is reckoned from the share of offsets.
    pub bytes: u64,
    /// When the first of them was accepted, in milliseconds since the Unix epoch, as exactly as the bytes; none if there is none.
    pub since_ms: Option<i64>,
}

impl<S: Storage> LogReader<S> {
    /// How far `offset` is behind the end of `partition`.
    pub fn lag(&self, partition: u32, offset: u64) -> Lag {
        let found = self.catalog.with(partition, |found| {
            let at = found.extents.partition_point(|extent| extent.end <= offset);
            let mut lag = Lag { events: found.end.saturating_sub(offset.max(found.start)), ..Lag::default() };
            if let Some(extent) = found.extents.get(at) {
                let before_ms = at.checked_sub(1).map(|at| found.extents[at].max_timestamp_ms);
                let (bytes, since_ms) = in_extent(partition, extent, offset, before_ms);
                lag.bytes = bytes + found.extents.range(at + 1..).map(|extent| extent.bytes).sum::<u64>();
                lag.since_ms = Some(since_ms);
            }
            lag
        });
        found.unwrap_or_default()
    }
}

/// Bytes of the extent from `offset` on, and when the event at `offset` was accepted.
fn in_extent<F: StorageFile>(partition: u32, extent: &Extent<F>, offset: u64, before_ms: Option<i64>) -> (u64, i64) {
    if let Some(exact) = from_entries(&extent.segment, partition, offset) {
        return exact;
    }
    let share = (extent.end - offset.max(extent.first)) as f64 / (extent.end - extent.first) as f64;
    let first_ms = before_ms.unwrap_or(extent.max_timestamp_ms).min(extent.max_timestamp_ms);
    let span_ms = (extent.max_timestamp_ms - first_ms) as f64;
    ((extent.bytes as f64 * share) as u64, extent.max_timestamp_ms - (span_ms * share) as i64)
}

fn from_entries<F: StorageFile>(segment: &Segment<F>, partition: u32, offset: u64) -> Option<(u64, i64)> {
    segment.with_known_entries(|entries| {
        let entries = entries.get(&partition)?;
        let behind = &entries[entries.partition_point(|entry| entry.end_offset() <= offset)..];
        Some((behind.iter().map(|entry| u64::from(entry.bytes)).sum(), behind.first()?.max_timestamp_ms))
    })?
}
