//! Patience: an operation of a store is tried until it succeeds, with growing pauses.
//!
//! What always holds: a failure is counted and its words are kept for whoever looks; only what cannot pass ends the patience.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::StoreError;
use crate::rate_limited::RateLimited;
use crate::sink::SinkStats;

/// First and longest pause between two attempts.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How often a failure is logged.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Again {
    endpoint: Arc<str>,
    stats: Arc<SinkStats>,
    said: Arc<RateLimited>,
    pause_min: Duration,
}

/// The pauses of one operation.
#[derive(Debug)]
pub struct Pauses(Duration);

impl Again {
    /// For an endpoint and its counters.
    pub fn new(endpoint: &str, stats: Arc<SinkStats>) -> Self {
        let said = Arc::new(RateLimited::new(SAID_EVERY));
        Self { endpoint: endpoint.into(), stats, said, pause_min: PAUSE_MIN }
    }

    /// The same with a shorter first pause.
    #[cfg(test)]
    pub fn hasty(self) -> Self {
        Self { pause_min: Duration::from_micros(1), ..self }
    }

    /// The pauses of an operation that begins.
    pub fn pauses(&self) -> Pauses {
        Pauses(self.pause_min)
    }

    /// Says what failed and waits, or gives the error back if another attempt cannot help.
    pub async fn after(&self, error: StoreError, pauses: &mut Pauses) -> Result<(), StoreError> {
        if !error.may_pass() {
            return Err(error);
        }
        SinkStats::add(&self.stats.retries, 1);
        self.stats.failed(&error);
        if let Some(held_back) = self.said.allow(Instant::now()) {
            tracing::warn!(endpoint = %self.endpoint, held_back, %error, "trying again until it works");
        }
        // Not all endpoints at the same moment.
        let pause = pauses.0.mul_f64(0.5 + fastrand::f64() / 2.0);
        tokio::time::sleep(pause).await;
        pauses.0 = (pauses.0 * 2).min(PAUSE_MAX);
        Ok(())
    }

    /// Does it until it is done.
    pub async fn run<T>(&self, mut attempt: impl AsyncFnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut pauses = self.pauses();
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => self.after(error, &mut pauses).await?,
            }
        }
    }
}
