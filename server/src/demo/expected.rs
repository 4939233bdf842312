//! The demo's own count of what should match, taken from the readings as the fleet made them and not from the node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loadgen::client::Observer;
use loadgen::fleet::{Emitted, Filter, FilterError, Model};

/// Filter of the alerts, and what it means for a reading.
pub const ALERT_FILTER: &str = "$body.temp > 30";
/// Filter of the live tail.
pub const CRITICAL_FILTER: &str = "$body.status = 'critical'";
/// Filter of everything.
pub const ALL_FILTER: &str = "true";

/// Counts of acknowledged events.
#[derive(Debug)]
pub struct Expected {
    seed: u64,
    is_alert: Filter,
    is_critical: Filter,
    all: AtomicU64,
    alerts: AtomicU64,
    critical: AtomicU64,
}

impl Expected {
    /// Of the built-in fleet of this seed. The filters are the routes' own texts, read by the load generator's own reader.
    pub fn new(seed: u64) -> Result<Self, FilterError> {
        let model = Model::telemetry();
        Ok(Self {
            seed,
            is_alert: Filter::parse(ALERT_FILTER, &model)?,
            is_critical: Filter::parse(CRITICAL_FILTER, &model)?,
            all: AtomicU64::new(0),
            alerts: AtomicU64::new(0),
            critical: AtomicU64::new(0),
        })
    }

    /// Counts every acknowledged batch.
    pub fn observer(self: &Arc<Self>) -> Observer {
        let expected = self.clone();
        Arc::new(move |batch: &[Emitted]| {
            let count = |of: &Filter| {
                batch.iter().filter(|event| of.matches(expected.seed, event.device, event.seq)).count() as u64
            };
            expected.all.fetch_add(batch.len() as u64, Ordering::Relaxed);
            expected.alerts.fetch_add(count(&expected.is_alert), Ordering::Relaxed);
            expected.critical.fetch_add(count(&expected.is_critical), Ordering::Relaxed);
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
