//! Whole batches on their way into the log, each with a number by which its owner is told what became of it.
//!
//! What always holds: batches of one partition keep their order; every number that was given is done once, well or not; what a
//! shard has no room for waits here, and its owner is told to bring no more.

use std::collections::VecDeque;
use std::task::Waker;

use engine::batch::Batch;
use engine::mesh::{AckLevel, Placed, Refused, Submitted, Ticket};

use super::{Intake, Owner, release};

/// A batch and what became of it.
pub type Done = (u32, Result<Placed, Refused>);

/// See the module. One per core and listener.
#[derive(Debug)]
pub struct Appends {
    intake: Intake,
    level: AckLevel,
    owner: u16,
    waiting: VecDeque<Submitted>,
    /// Shards that had no room in this flush.
    blocked: Vec<bool>,
}

impl Appends {
    /// Batches that are acknowledged at `level`.
    pub fn new(intake: Intake, level: AckLevel) -> Self {
        let owner = {
            let owners = &mut intake.0.borrow_mut().owners;
            owners.push(Owner::default());
            // One for each listener of the core.
            (owners.len() - 1) as u16
        };
        Self { intake, level, owner, waiting: VecDeque::new(), blocked: Vec::new() }
    }

    pub(super) fn partitions(&self) -> u32 {
        self.intake.partitions()
    }

    /// A number for a batch that will be pushed.
    pub(super) fn ticket(&self) -> Ticket {
        let mut inner = self.intake.0.borrow_mut();
        let ticket = inner.ticket(self.level);
        let slot = &mut inner.slots[ticket.slot as usize];
        slot.owner = Some(self.owner);
        slot.in_flight = 1;
        ticket
    }

    pub(super) fn push_with(&mut self, batch: Batch, ticket: Ticket) {
        self.waiting.push_back(Submitted { batch, ticket });
    }

    /// Takes a batch to be flushed and gives its number.
    pub fn push(&mut self, batch: Batch) -> u32 {
        let ticket = self.ticket();
        self.push_with(batch, ticket);
        ticket.slot
    }

    /// Something waits to be flushed.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Sends what was pushed. `false` if a shard has no room: take no more from clients, `waker` is woken when there may be.
    pub fn flush(&mut self, waker: &Waker) -> bool {
        let mut inner = self.intake.0.borrow_mut();
        let inner = &mut *inner;
        self.blocked.clear();
        self.blocked.resize(inner.shards.len(), false);
        // Not only the first: batches for another shard must not wait for this one's.
        for _ in 0..self.waiting.len() {
            let Some(submitted) = self.waiting.pop_front() else { break };
            let slot = submitted.ticket.slot;
            let shard = submitted.batch.partition() as usize % inner.shards.len();
            if inner.stopping || inner.shards[shard].is_abandoned() {
                inner.owners[usize::from(self.owner)].push((slot, Err(Refused::Stopping)));
                continue;
            }
            // What is pushed back keeps its order: once a shard had no room, what is behind waits even if there is room by now.
            if self.blocked[shard] {
                self.waiting.push_back(submitted);
            } else if let Err(back) = inner.shards[shard].push(submitted) {
                self.blocked[shard] = true;
                self.waiting.push_back(back);
            }
        }
        if !self.waiting.is_empty() {
            inner.waiting_for_room.push(waker.clone());
        }
        self.waiting.is_empty()
    }

    /// Moves the batches that are done into `into`, and has `waker` woken when there are more.
    pub fn take_done(&mut self, waker: &Waker, into: &mut Vec<Done>) {
        let mut inner = self.intake.0.borrow_mut();
        let inner = &mut *inner;
        let owner = &mut inner.owners[usize::from(self.owner)];
        for done in owner.done.drain(..) {
            release(&mut inner.slots[done.0 as usize], done.0, &mut inner.free);
            into.push(done);
        }
        match &mut owner.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }
}
