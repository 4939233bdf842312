//! When to send: as fast as the far end acknowledges (closed loop), or at a rate that does not care (open loop).
//!
//! In an open loop a batch has an intended time, and its latency counts from there: a far end that stalls is charged for every
//! batch that should have gone out meanwhile, not only for the one that was on its way (no coordinated omission).
//!
//! All rates are made in the same way. A [`Rate`] says how many events should have gone out by a time; its inverse gives the time
//! of the n-th event. Connections take the n-th events in turn, evenly or at random (a Poisson process), so a rate that
//! changes is followed exactly by any number of connections.

mod rate;
mod text;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub use rate::Rate;
pub use text::PaceError;

/// How events are paced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The next batch goes out when the one before it is acknowledged.
    Closed,
    /// Events per second of the whole fleet, evenly spaced.
    Constant(f64),
    /// At a rate that may change, in even or random intervals.
    Open {
        /// Events per second of the whole fleet, over time.
        rate: Rate,
        /// Intervals are exponentially distributed: batches come as a Poisson process.
        poisson: bool,
    },
}

impl Pace {
    /// Events per second that should go out at a time after the start; `None` in a closed loop.
    pub fn at(&self, seconds: f64) -> Option<f64> {
        self.rate().map(|rate| rate.at(seconds))
    }

    /// Events that should have gone out until a time after the start; `None` in a closed loop.
    pub fn events_until(&self, seconds: f64) -> Option<f64> {
        self.rate().map(|rate| rate.events_until(seconds))
    }

    fn rate(&self) -> Option<Rate> {
        match *self {
            Self::Closed => None,
            Self::Constant(rate) => (rate > 0.0).then_some(Rate::Constant(rate)),
            Self::Open { rate, .. } => Some(rate),
        }
    }
}

/// The intended times of one connection's batches.
#[derive(Clone, Debug)]
pub struct Schedule {
    start: Instant,
    rate: Option<Rate>,
    /// Events of the whole fleet per event of this connection.
    parts: f64,
    /// Where between the batches of the others its own lie, so that connections do not send in step.
    phase: f64,
    /// Of a Poisson process: the chance, the events asked for last, and the fleet's events until then.
    poisson: Option<(fastrand::Rng, u64, f64)>,
}

impl Schedule {
    /// For connection `part` of `parts`, each sending batches of `batch` events.
    pub fn new(pace: Pace, start: Instant, part: u32, parts: u32, batch: usize) -> Self {
        let all = f64::from(parts.max(1));
        let poisson = matches!(pace, Pace::Open { poisson: true, .. });
        let mut chance = fastrand::Rng::with_seed(u64::from(part) ^ 0x9A55);
        // A Poisson process has no phase; its first batch comes after the first interval.
        let first = if poisson { exponential(&mut chance) * batch as f64 * all } else { 0.0 };
        Self {
            start,
            rate: pace.rate(),
            parts: all,
            phase: if poisson { 0.0 } else { batch as f64 * f64::from(part) },
            poisson: poisson.then_some((chance, 0, first)),
        }
    }

    /// When the batch is to be sent before which this connection sends `sent` events; `None` means now. Asked with a `sent` that
    /// never falls.
    pub fn due(&mut self, sent: u64) -> Option<Instant> {
        let rate = self.rate?;
        let of_fleet = match &mut self.poisson {
            None => self.phase + sent as f64 * self.parts,
            Some((chance, last, until)) => {
                if sent > *last {
                    *until += exponential(chance) * (sent - *last) as f64 * self.parts;
                    *last = sent;
                }
                *until
            }
        };
        Some(self.start + Duration::from_secs_f64(rate.time_of(of_fleet).min(1e9)))
    }
}

/// Mean 1.
fn exponential(chance: &mut fastrand::Rng) -> f64 {
    -(1.0 - chance.f64()).ln()
}
