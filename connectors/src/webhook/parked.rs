//! Requests that wait for their retry, by the time they are due. Counts events, because events are what is bounded.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tokio::time::Instant;

use super::queue::Shot;

/// The waiting room.
#[derive(Debug, Default)]
pub(super) struct Parked {
    heap: BinaryHeap<Reverse<Waiting>>,
    events: usize,
    /// Keeps the order of those that are due at the same time.
    sequence: u64,
}

#[derive(Debug)]
struct Waiting {
    due: Instant,
    sequence: u64,
    shot: Shot,
}

impl Parked {
    /// Events that wait.
    pub fn events(&self) -> usize {
        self.events
    }

    /// Lets `shot` wait until `due`.
    pub fn park(&mut self, shot: Shot, due: Instant) {
        self.events += shot.events();
        self.sequence += 1;
        self.heap.push(Reverse(Waiting { due, sequence: self.sequence, shot }));
    }

    /// When the next one is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(waiting)| waiting.due)
    }

    /// The next one that is due at `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<Shot> {
        if self.next_due()? > now {
            return None;
        }
        let Reverse(waiting) = self.heap.pop()?;
        self.events -= waiting.shot.events();
        Some(waiting.shot)
    }

    /// The receiver is back after an outage: all are due at once, in their order.
    pub fn all_due(&mut self, now: Instant) {
        let mut waiting: Vec<_> = std::mem::take(&mut self.heap).into_vec();
        for Reverse(waiting) in &mut waiting {
            waiting.due = waiting.due.min(now);
        }
        self.heap = waiting.into();
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.sequence).cmp(&(other.due, other.sequence))
    }
}
