//! A run second by second: what was sent and acknowledged, how long it took, what the watched process used.
//!
//! Bounded: beyond [`ENTRIES_MAX`] entries (a day) neighbours are merged pairwise, so a longer run is told more coarsely, and never
//! more favourably: merged latencies are the worse of the two.

use std::time::Instant;

use serde::Serialize;

use crate::client::ProgressView;
use crate::histogram::Quantiles;
use crate::watch::Usage;

#[cfg(test)]
mod tests;

/// The most entries that are kept: the seconds of a day. Even, so that all have a neighbour to be merged with.
pub const ENTRIES_MAX: usize = 86_400;

/// What happened since the entry before; about a second, in very long runs a multiple of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Second {
    /// When it ended, in seconds since the start of the run.
    pub at_s: f64,
    /// Events that the pace asked for; known after [`Series::intend`].
    pub intended_events: Option<f64>,
    /// Events whose first attempt began.
    pub sent_events: u64,
    /// Events that got a receipt.
    pub acknowledged_events: u64,
    /// Attempts that ended without a receipt.
    pub retries: u64,
    /// Latency of the batches that were acknowledged, from their intended time.
    pub latency: Quantiles,
    /// Cores that the watched process kept busy.
    pub cpu_cores: Option<f64>,
    /// Resident memory of the watched process.
    pub resident_bytes: Option<u64>,
}

/// A run over time.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// The entries, in order of time.
    pub seconds: Vec<Second>,
    #[serde(skip)]
    start: Instant,
    #[serde(skip)]
    entries_max: usize,
    /// How many looks one entry stands for.
    #[serde(skip)]
    looks_per_entry: u32,
    /// How many looks the last entry holds so far.
    #[serde(skip)]
    looks_in_last: u32,
    /// The counters at the last look.
    #[serde(skip)]
    seen: Seen,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    sent_events: u64,
    acknowledged_events: u64,
    retries: u64,
}

impl Default for Series {
    fn default() -> Self {
        Self::starting(Instant::now())
    }
}

impl Series {
    /// An empty series of a run that started at `start`.
    pub fn starting(start: Instant) -> Self {
        Self::bounded(start, ENTRIES_MAX)
    }

    fn bounded(start: Instant, entries_max: usize) -> Self {
        debug_assert!(entries_max >= 2 && entries_max.is_multiple_of(2), "all entries have a neighbour");
        Self { seconds: Vec::new(), start, entries_max, looks_per_entry: 1, looks_in_last: 0, seen: Seen::default() }
    }

    /// Adds what happened since the last look. To be called about once a second, and once more at the end of the run.
    pub fn push(&mut self, view: &ProgressView, usage: Option<Usage>) {
        self.push_at(self.start.elapsed().as_secs_f64(), view, usage);
    }

    /// As [`push`](Self::push), at a given time since the start. A look that is not later than the last is left to the next one;
    /// its latencies are kept.
    pub fn push_at(&mut self, at_s: f64, view: &ProgressView, usage: Option<Usage>) {
        let second = Second {
            at_s,
            intended_events: None,
            // The counters never fall; should they be another run's, its first second counts from zero.
            sent_events: view.sent_events.checked_sub(self.seen.sent_events).unwrap_or(view.sent_events),
            acknowledged_events: view
                .acknowledged_events
                .checked_sub(self.seen.acknowledged_events)
                .unwrap_or(view.acknowledged_events),
            retries: view.retries.checked_sub(self.seen.retries).unwrap_or(view.retries),
            latency: view.recent,
            cpu_cores: usage.map(|usage| usage.cpu_cores),
            resident_bytes: usage.map(|usage| usage.resident_bytes),
        };
        self.seen = Seen {
            sent_events: view.sent_events,
            acknowledged_events: view.acknowledged_events,
            retries: view.retries,
        };
        self.append(second);
    }

    /// Says how many events the pace had asked for by a time (seconds since the start), for the entries so far.
    pub fn intend(&mut self, events_by: impl Fn(f64) -> f64) {
        let mut before = events_by(0.0);
        for second in &mut self.seconds {
            let by_now = events_by(second.at_s);
            second.intended_events = Some((by_now - before).max(0.0));
            before = by_now;
        }
    }

    /// The entries with how long each lasted, in seconds.
    pub fn with_lengths(&self) -> impl Iterator<Item = (f64, &Second)> {
        let starts = std::iter::once(0.0).chain(self.seconds.iter().map(|second| second.at_s));
        starts.zip(&self.seconds).map(|(start, second)| (second.at_s - start, second))
    }

    /// The same run in at most `entries_max` entries, neighbours merged. A last entry that is shorter than half of the one before
    /// is joined to it: its rates would be those of a moment.
    pub fn coarser(&self, entries_max: usize) -> Self {
        let mut coarser = self.clone();
        if let [.., before, last, tail] = &coarser.seconds[..]
            && 2.0 * (tail.at_s - last.at_s) < last.at_s - before.at_s
        {
            let joined = merged(before.at_s, last, tail);
            coarser.seconds.truncate(coarser.seconds.len() - 2);
            coarser.seconds.push(joined);
        }
        while coarser.seconds.len() > entries_max.max(1) {
            coarser.halve();
        }
        coarser
    }

    fn append(&mut self, second: Second) {
        let start_of_last = self.seconds.iter().rev().nth(1).map_or(0.0, |before| before.at_s);
        if let Some(last) = self.seconds.last_mut() {
            let stands_still = second.at_s <= last.at_s;
            if stands_still || self.looks_in_last < self.looks_per_entry {
                *last = merged(start_of_last, last, &second);
                self.looks_in_last += u32::from(!stands_still);
                return;
            }
        }
        if self.seconds.len() >= self.entries_max {
            self.halve();
        }
        self.seconds.push(second);
        self.looks_in_last = 1;
    }

    /// Merges each entry with its neighbour; of an odd number the last stays alone.
    fn halve(&mut self) {
        let mut start = 0.0;
        let mut halved = Vec::with_capacity(self.seconds.len().div_ceil(2));
        for pair in self.seconds.chunks(2) {
            let entry = pair.iter().skip(1).fold(pair[0], |sum, next| merged(start, &sum, next));
            start = entry.at_s;
            halved.push(entry);
        }
        self.seconds = halved;
        self.looks_per_entry = self.looks_per_entry.saturating_mul(2);
        self.looks_in_last = self.looks_per_entry;
    }
}

/// Two neighbours as one, the first having begun at `start_s`: sums of counts, the mean of processor time, the worst of the rest.
fn merged(start_s: f64, first: &Second, second: &Second) -> Second {
    let (first_s, second_s) = (first.at_s - start_s, (second.at_s - first.at_s).max(0.0));
    Second {
        at_s: first.at_s.max(second.at_s),
        intended_events: either(first.intended_events, second.intended_events, |a, b| a + b),
        sent_events: first.sent_events + second.sent_events,
        acknowledged_events: first.acknowledged_events + second.acknowledged_events,
        retries: first.retries + second.retries,
        latency: worse(first.latency, second.latency),
        cpu_cores: either(first.cpu_cores, second.cpu_cores, |a, b| {
            if first_s + second_s > 0.0 { (a * first_s + b * second_s) / (first_s + second_s) } else { a.max(b) }
        }),
        resident_bytes: either(first.resident_bytes, second.resident_bytes, u64::max),
    }
}

/// The worse of two at every quantile: quantiles cannot be merged without what they were made of.
fn worse(a: Quantiles, b: Quantiles) -> Quantiles {
    Quantiles {
        count: a.count + b.count,
        p50_us: a.p50_us.max(b.p50_us),
        p90_us: a.p90_us.max(b.p90_us),
        p99_us: a.p99_us.max(b.p99_us),
        p999_us: a.p999_us.max(b.p999_us),
        max_us: a.max_us.max(b.max_us),
    }
}

fn either<T: Copy>(a: Option<T>, b: Option<T>, both: impl Fn(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(both(a, b)),
        (one, other) => one.or(other),
    }
}
