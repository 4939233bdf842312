//! How long to wait before a connection is tried again. No clock and no randomness of its own.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);

/// Twice as long each time, up to a bound; between half of it and all of it, so that clients which lost their node together do not
/// come back together.
#[derive(Debug)]
pub(super) struct Backoff {
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub fn new(max: Duration) -> Self {
        Self { max, next: FIRST.min(max) }
    }

    /// The next pause. `jitter` is between 0 and 1.
    pub fn pause(&mut self, jitter: f64) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(self.max);
        full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }

    /// It went well.
    pub fn reset(&mut self) {
        self.next = FIRST.min(self.max);
    }
}
