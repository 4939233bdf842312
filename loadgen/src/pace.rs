//! When to send: as fast as the far end acknowledges (closed loop), or at a rate that does not care (open loop).
//!
//! In an open loop a batch has an intended time, and its latency counts from there: a far end that stalls is charged for every
//! batch that should have gone out meanwhile, not only for the one that was on its way (no coordinated omission).

use std::time::{Duration, Instant};

/// How events are paced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The next batch goes out when the one before it is acknowledged.
    Closed,
    /// Events per second of the whole fleet, evenly spaced.
    Constant(f64),
}

/// The intended times of one connection's batches.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    start: Instant,
    /// Seconds per event of this connection; zero in a closed loop.
    gap_s: f64,
    /// Where in its first gap this connection starts, so that connections do not send in step.
    phase_s: f64,
}

impl Schedule {
    /// For connection `part` of `parts`, each sending batches of `batch` events.
    pub fn new(pace: Pace, start: Instant, part: u32, parts: u32, batch: usize) -> Self {
        match pace {
            Pace::Constant(rate) if rate > 0.0 => {
                let gap_s = f64::from(parts.max(1)) / rate;
                let phase_s = gap_s * batch as f64 * f64::from(part) / f64::from(parts.max(1));
                Self { start, gap_s, phase_s }
            }
            _ => Self { start, gap_s: 0.0, phase_s: 0.0 },
        }
    }

    /// When the batch is to be sent before which this connection sends `sent` events; `None` means now.
    pub fn due(&self, sent: u64) -> Option<Instant> {
        (self.gap_s > 0.0).then(|| self.start + Duration::from_secs_f64(self.phase_s + self.gap_s * sent as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_of_all_connections_are_spaced_evenly() {
        let start = Instant::now();
        let mut times: Vec<f64> = (0..4)
            .flat_map(|part| {
                let schedule = Schedule::new(Pace::Constant(1_000.0), start, part, 4, 100);
                (0..10).map(move |n| (schedule.due(n * 100).unwrap() - start).as_secs_f64())
            })
            .collect();
        times.sort_by(f64::total_cmp);
        assert_eq!(times.len(), 40);
        for (n, time) in times.iter().enumerate() {
            assert!((time - n as f64 * 0.1).abs() < 1e-6, "batch {n} at {time}");
        }
    }

    #[test]
    fn a_closed_loop_never_waits() {
        assert_eq!(Schedule::new(Pace::Closed, Instant::now(), 1, 2, 10).due(1_000_000), None);
    }
}
