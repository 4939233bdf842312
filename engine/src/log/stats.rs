//! What the log counts: added to once per group commit, read by anyone.

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
    /// Groups committed since the start.
    pub groups: AtomicU64,
    /// Batches synced since the start.
    pub appended_batches: AtomicU64,
    /// Bytes synced since the start.
    pub appended_bytes: AtomicU64,
    /// Syncs of segments since the start, as the storage counts them.
    pub syncs: AtomicU64,
    /// Time spent in them, in microseconds.
    pub sync_micros: AtomicU64,
    /// Them by duration: see [`SYNC_SECONDS_BUCKETS`].
    pub sync_buckets: [AtomicU64; SYNC_SECONDS_BUCKETS.len() + 1],
    /// Writes or syncs that failed.
    pub failures: AtomicU64,
    /// Groups that a failed sync had left in doubt and that were written again elsewhere.
    pub rewritten_groups: AtomicU64,
    /// Segments removed by retention.
    pub removed_segments: AtomicU64,
    /// Bytes found damaged, at the start or while reading.
    pub damaged_bytes: AtomicU64,
}

impl LogStats {
    /// A sync took so long.
    pub fn synced(&self, took: Duration) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.sync_micros.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        let bucket = SYNC_SECONDS_BUCKETS.partition_point(|bound| *bound < took.as_secs_f64());
        self.sync_buckets[bucket].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn committed(&self, batches: u64, bytes: u64) {
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.appended_batches.fetch_add(batches, Ordering::Relaxed);
        self.appended_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}
