//! Counters of one shard: written by it once per batch, read by anyone at any time.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::batch::Batch;
use crate::limits;
use crate::parse::ExtractStats;
use crate::route::EndpointId;

/// Upper bounds of the batch-size histogram, in rows; a last bucket takes the rest.
pub const BATCH_ROWS_BUCKETS: [u64; 8] = [1, 4, 16, 64, 256, 1024, 4096, 16384];

/// See the module. One writer, so plain loads and stores would do; the relaxed additions cost the same.
#[derive(Debug)]
pub struct ShardStats {
    /// Events that got an offset.
    pub accepted_events: AtomicU64,
    /// Their bytes as stored.
    pub accepted_bytes: AtomicU64,
    /// Batches that got an offset.
    pub batches: AtomicU64,
    /// Events that are synced and matched.
    pub synced_events: AtomicU64,
    /// Events that the log could not keep.
    pub refused_events: AtomicU64,
    /// Bodies that some route wants to read.
    pub bodies: AtomicU64,
    /// Of these, bodies of a known shape.
    pub shape_hits: AtomicU64,
    /// Of these, bodies that are not JSON.
    pub not_json: AtomicU64,
    /// Events that matched no route.
    pub orphaned_events: AtomicU64,
    /// Events that had been kept before.
    pub duplicate_events: AtomicU64,
    /// Ids that were forgotten before their time, because there were too many.
    pub forgotten_ids: AtomicU64,
    /// Pairs of partition and producer whose numbers are remembered.
    pub producers: AtomicU64,
    /// Those that were forgotten before their time, because there were too many.
    pub forgotten_producers: AtomicU64,
    /// Batches by rows: see [`BATCH_ROWS_BUCKETS`].
    pub batch_rows: [AtomicU64; BATCH_ROWS_BUCKETS.len() + 1],
    matched: Box<[AtomicU64]>,
}

impl Default for ShardStats {
    fn default() -> Self {
        Self {
            accepted_events: AtomicU64::new(0),
            accepted_bytes: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            synced_events: AtomicU64::new(0),
            refused_events: AtomicU64::new(0),
            bodies: AtomicU64::new(0),
            shape_hits: AtomicU64::new(0),
            not_json: AtomicU64::new(0),
            orphaned_events: AtomicU64::new(0),
            duplicate_events: AtomicU64::new(0),
            forgotten_ids: AtomicU64::new(0),
            producers: AtomicU64::new(0),
            forgotten_producers: AtomicU64::new(0),
            batch_rows: Default::default(),
            matched: (0..limits::ENDPOINTS_MAX).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl ShardStats {
    /// Events that matched for an endpoint, behind or not.
    pub fn matched_events(&self, endpoint: EndpointId) -> u64 {
        self.matched[usize::from(endpoint)].load(Ordering::Relaxed)
    }

    pub(super) fn accepted(&self, batch: &Batch) {
        let rows = batch.rows().len() as u64;
        self.accepted_events.fetch_add(rows, Ordering::Relaxed);
        self.accepted_bytes.fetch_add(batch.bytes().len() as u64, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
        let bucket = BATCH_ROWS_BUCKETS.partition_point(|bound| *bound < rows);
        self.batch_rows[bucket].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn duplicates(&self, events: u32) {
        if events > 0 {
            self.duplicate_events.fetch_add(events.into(), Ordering::Relaxed);
        }
    }

    pub(super) fn set_forgotten_ids(&self, ids: u64) {
        self.forgotten_ids.store(ids, Ordering::Relaxed);
    }

    pub(super) fn set_producers(&self, remembered: usize, forgotten: u64) {
        self.producers.store(remembered as u64, Ordering::Relaxed);
        self.forgotten_producers.store(forgotten, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, rows: usize) {
        self.refused_events.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(super) fn matched(&self, endpoint: EndpointId, rows: usize) {
        // Observers come and go, and count for themselves.
        if let Some(matched) = self.matched.get(usize::from(endpoint)) {
            matched.fetch_add(rows as u64, Ordering::Relaxed);
        }
    }

    pub(super) fn set_matching(&self, extracted: ExtractStats, orphaned: u64) {
        self.bodies.store(extracted.bodies, Ordering::Relaxed);
        self.shape_hits.store(extracted.shape_hits, Ordering::Relaxed);
        self.not_json.store(extracted.not_json, Ordering::Relaxed);
        self.orphaned_events.store(orphaned, Ordering::Relaxed);
    }
}
