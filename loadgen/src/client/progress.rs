//! Counters of a run under way, added to once per batch and read by whoever shows them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::histogram::{Latencies, Quantiles};

/// What has happened so far. Shared by all connections of a run.
#[derive(Debug, Default)]
pub struct Progress {
    pub(super) sent_events: AtomicU64,
    pub(super) acknowledged_events: AtomicU64,
    pub(super) sent_bytes: AtomicU64,
    pub(super) retries: AtomicU64,
    recent: Mutex<Latencies>,
    trouble: Mutex<Option<String>>,
}

/// A copy of the counters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProgressView {
    /// Events whose first attempt began.
    pub sent_events: u64,
    /// Events with a receipt.
    pub acknowledged_events: u64,
    /// Bytes of bodies sent, repeats included.
    pub sent_bytes: u64,
    /// Attempts that ended without a receipt.
    pub retries: u64,
    /// Latency of the batches acknowledged since the last look.
    pub recent: Quantiles,
    /// What went wrong since the last look.
    pub trouble: Option<String>,
}

impl Progress {
    /// Reads the counters, and takes away latencies and trouble since the last look.
    pub fn look(&self) -> ProgressView {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let quantiles = recent.quantiles();
        recent.clear();
        ProgressView {
            sent_events: self.sent_events.load(Ordering::Relaxed),
            acknowledged_events: self.acknowledged_events.load(Ordering::Relaxed),
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            recent: quantiles,
            trouble: self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take(),
        }
    }

    pub(super) fn acknowledged(&self, events: u64, latency: Duration) {
        self.acknowledged_events.fetch_add(events, Ordering::Relaxed);
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).record(latency);
    }

    pub(super) fn retried(&self, why: &str) {
        self.retries.fetch_add(1, Ordering::Relaxed);
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
    }
}
