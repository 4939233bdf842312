//! Keeps the log from flooding where the same thing would be said again and again.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Lets a repeated message through once per interval and counts the others.
#[derive(Debug)]
pub struct RateLimited {
    interval: Duration,
    state: Mutex<(Option<Instant>, u64)>,
}

impl RateLimited {
    /// At most one message per `interval`.
    pub const fn new(interval: Duration) -> Self {
        Self { interval, state: Mutex::new((None, 0)) }
    }

    /// `Some(n)` if the message may be said now; `n` of them were held back since the last one.
    pub fn allow(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (last, held_back) = &mut *state;
        if last.is_some_and(|last| now.saturating_duration_since(last) < self.interval) {
            *held_back += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_held_back_and_counted() {
        let limited = RateLimited::new(Duration::from_secs(60));
        let start = Instant::now();
        assert_eq!(limited.allow(start), Some(0));
        assert_eq!(limited.allow(start + Duration::from_secs(1)), None);
        assert_eq!(limited.allow(start + Duration::from_secs(59)), None);
        assert_eq!(limited.allow(start + Duration::from_secs(60)), Some(2));
        assert_eq!(limited.allow(start + Duration::from_secs(130)), Some(0));
    }
}
