//! Group commit: which batches go to the device together, and when.
//!
//! The policy: an idle device gets what there is at once, unless `delay_us_max` asks to wait for more; while the device works
//! the next group fills; a full group waits behind the one that is being written, so that the device never waits for the
//! shard. What always holds: memory is [`GROUPS`] groups and used again; the order of the batches is the order of their numbers.

use std::sync::Arc;

use crate::batch::{Batch, group_mark};
use crate::log::Group;
use crate::mesh::Append;
use crate::ring::Producer;

/// One that fills, one that is written, one that is full and waits.
const GROUPS: usize = 3;

/// When a group is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitPolicy {
    /// Most bytes of a group.
    pub bytes_max: usize,
    /// How long an idle device waits for more, in microseconds; 0: not at all.
    pub delay_us_max: u64,
}

impl Default for CommitPolicy {
    fn default() -> Self {
        Self { bytes_max: crate::limits::COMMIT_BYTES_DEFAULT, delay_us_max: 0 }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Committer {
    policy: CommitPolicy,
    appends: Producer<Append>,
    open: Box<Group>,
    /// Counts the groups.
    number: u64,
    opened_us: u64,
    #[expect(clippy::vec_box, reason = "groups travel as boxes: a ring slot is a pointer")]
    spare: Vec<Box<Group>>,
    in_flight: usize,
    /// The writer has to be told that what comes next is a new start.
    wants_restart: bool,
}

impl Committer {
    pub fn new(policy: CommitPolicy, appends: Producer<Append>) -> Self {
        let group = || Box::new(Group::new(policy.bytes_max));
        let spare = (1..GROUPS).map(|_| group()).collect();
        Self { policy, appends, open: group(), number: 0, opened_us: 0, spare, in_flight: 0, wants_restart: false }
    }

    /// A batch of `bytes` bytes would find room, or there is nobody left to write it and it can be refused.
    pub fn has_room(&self, bytes: usize) -> bool {
        (self.open.fits(bytes) && !self.open.is_full()) || self.can_hand_over() || !self.is_writing()
    }

    /// The writer is there.
    pub fn is_writing(&self) -> bool {
        !self.appends.is_abandoned()
    }

    fn can_hand_over(&self) -> bool {
        !self.spare.is_empty() && self.appends.room() >= 2
    }

    /// The mark of a batch of `bytes` bytes that is pushed next.
    pub fn mark_for(&mut self, bytes: usize) -> u8 {
        if !self.open.fits(bytes) {
            self.hand_over();
        }
        group_mark(self.number, self.open.is_empty())
    }

    /// Takes a batch for which there is room, with the mark that [`mark_for`](Self::mark_for) gave it.
    pub fn push(&mut self, seq: u64, batch: Arc<Batch>, now_us: u64) {
        if self.open.is_empty() {
            self.opened_us = now_us;
        }
        self.open.push(seq, batch);
    }

    /// Hands the open group over if it is time. `true` if it was.
    pub fn commit(&mut self, now_us: u64) -> bool {
        if self.open.is_empty() || !self.can_hand_over() {
            return false;
        }
        let is_due = self.in_flight == 0 && now_us >= self.opened_us.saturating_add(self.policy.delay_us_max);
        if is_due || self.open.is_full() {
            self.hand_over();
            return true;
        }
        false
    }

    /// When [`commit`](Self::commit) has something to do though nothing else happens.
    pub fn next_due_us(&self) -> Option<u64> {
        (!self.open.is_empty() && self.in_flight == 0).then(|| self.opened_us.saturating_add(self.policy.delay_us_max))
    }

    fn hand_over(&mut self) {
        let Some(mut next) = self.spare.pop() else { return };
        if std::mem::take(&mut self.wants_restart) {
            // Room was seen before: it is the writer's only producer.
            let pushed = self.appends.push(Append::Restart);
            debug_assert!(pushed.is_ok());
        }
        self.number += 1;
        next.clear(self.open.next_lead());
        let group = std::mem::replace(&mut self.open, next);
        match self.appends.push(Append::Group(group)) {
            Ok(()) => self.in_flight += 1,
            Err(_) => debug_assert!(false, "room was seen before"),
        }
    }

    /// The writer has given a group back.
    pub fn take_back(&mut self, mut group: Box<Group>) {
        group.clear(0);
        self.spare.push(group);
        self.in_flight -= 1;
    }

    /// Nothing of the open group is kept, nor of what is on its way: the next group is a new start.
    pub fn start_anew(&mut self) {
        self.open.clear(0);
        self.wants_restart = true;
    }
}
