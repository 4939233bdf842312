//! The demo's own count of what should match, taken from the readings as the fleet made them and not from the node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loadgen::client::Observer;
use loadgen::fleet::{Emitted, Status};

/// Filter of the alerts, and what it means for a reading.
pub const ALERT_FILTER: &str = "$body.temp > 30";
/// Filter of the live tail.
pub const CRITICAL_FILTER: &str = "$body.status = 'critical'";
/// Filter of everything.
pub const ALL_FILTER: &str = "true";

const ALERT_ABOVE_CENTI: i16 = 3_000;

/// Counts of acknowledged events.
#[derive(Debug, Default)]
pub struct Expected {
    all: AtomicU64,
    alerts: AtomicU64,
    critical: AtomicU64,
}

impl Expected {
    /// Counts every acknowledged batch.
    pub fn observer(self: &Arc<Self>) -> Observer {
        let expected = self.clone();
        Arc::new(move |batch: &[Emitted]| {
            let count = |of: fn(&Emitted) -> bool| batch.iter().filter(|&event| of(event)).count() as u64;
            expected.all.fetch_add(batch.len() as u64, Ordering::Relaxed);
            expected.alerts.fetch_add(count(|event| event.temp_centi > ALERT_ABOVE_CENTI), Ordering::Relaxed);
            expected.critical.fetch_add(count(|event| event.status == Status::Critical), Ordering::Relaxed);
        })
    }

    /// All events.
    pub fn all(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    /// Events above the threshold.
    pub fn alerts(&self) -> u64 {
        self.alerts.load(Ordering::Relaxed)
    }

    /// Critical events.
    pub fn critical(&self) -> u64 {
        self.critical.load(Ordering::Relaxed)
    }
}
