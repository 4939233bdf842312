//! The wall clock in microseconds since 1970: what events carry as `ts`, so that latency can be told at the far end.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970 now. Zero where the clock stands before 1970.
pub fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}
