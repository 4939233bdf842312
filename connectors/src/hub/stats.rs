//! What the log counts: added to once per group commit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the sync-time histogram, in seconds; a last bucket takes the rest.
pub const SYNC_SECONDS_BUCKETS: [f64; 9] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1, 1.0];

/// See the module.
#[derive(Debug, Default)]
pub struct LogStats {
    /// Bytes of all segments.
    pub bytes: AtomicU64,
    /// Number of segments.
    pub segments: AtomicU64,
    /// Batches synced since the start.
    pub appended_batches: AtomicU64,
    /// Bytes synced since the start.
    pub appended_bytes: AtomicU64,
    /// fdatasync calls since the start.
    pub syncs: AtomicU64,
    /// Time spent in them, in microseconds.
    pub sync_micros: AtomicU64,
    /// Them by duration: see [`SYNC_SECONDS_BUCKETS`].
    pub sync_buckets: [AtomicU64; SYNC_SECONDS_BUCKETS.len() + 1],
    /// Writes or syncs that failed.
    pub failures: AtomicU64,
    /// Segments removed by retention.
    pub removed_segments: AtomicU64,
}

impl LogStats {
    pub(super) fn synced(&self, batches: u64, bytes: u64, took: Duration) {
        self.appended_batches.fetch_add(batches, Ordering::Relaxed);
        self.appended_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.sync_micros.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        let bucket = SYNC_SECONDS_BUCKETS.partition_point(|bound| *bound < took.as_secs_f64());
        self.sync_buckets[bucket].fetch_add(1, Ordering::Relaxed);
    }
}
