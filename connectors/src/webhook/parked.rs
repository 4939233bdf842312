//! Requests that wait for their retry, by the time they are due. Counts events, because events are what is bounded.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::shot::Shot;

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
    due_ms: u64,
    sequence: u64,
    shot: Shot,
}

impl Parked {
    /// Events that wait.
    pub fn events(&self) -> usize {
        self.events
    }

    /// Lets `shot` wait until `due_ms`.
    pub fn park(&mut self, shot: Shot, due_ms: u64) {
        self.events += shot.len_with_after();
        self.sequence += 1;
        self.heap.push(Reverse(Waiting { due_ms, sequence: self.sequence, shot }));
    }

    /// When the next one is due.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(waiting)| waiting.due_ms)
    }

    /// The next one that is due at `now_ms`.
    pub fn pop_due(&mut self, now_ms: u64) -> Option<Shot> {
        if self.next_due_ms()? > now_ms {
            return None;
        }
        let Reverse(waiting) = self.heap.pop()?;
        self.events -= waiting.shot.len_with_after();
        Some(waiting.shot)
    }

    /// The receiver is back after an outage: all are due at once, in their order.
    pub fn all_due(&mut self, now_ms: u64) {
        let mut waiting: Vec<_> = std::mem::take(&mut self.heap).into_vec();
        for Reverse(waiting) in &mut waiting {
            waiting.due_ms = waiting.due_ms.min(now_ms);
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
        (self.due_ms, self.sequence).cmp(&(other.due_ms, other.sequence))
    }
}
