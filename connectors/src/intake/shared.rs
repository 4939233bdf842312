//! Batches that many connections of a core fill together: what comes in one turn of the core's loop for one partition is one batch.
//!
//! For listeners whose clients send a message at a time. A connection pushes and remembers the number of the batch; at the end of
//! the turn the core flushes; [`SharedBatches::take_done`] says which batches have reached their ack level. What always
//! holds: events of one connection for one key keep their order; every number that was given is done once, well or not.

use std::collections::VecDeque;
use std::task::Waker;

use engine::batch::{BatchBuilder, HeaderWriter, PushError, partition_of};
use engine::mesh::{AckLevel, Placed, Refused, Submitted, Ticket};

use super::{Intake, release};

/// A batch and what became of it.
pub type Done = (u32, Result<Placed, Refused>);

/// See the module. One per core and listener.
#[derive(Debug)]
pub struct SharedBatches {
    intake: Intake,
    level: AckLevel,
    builders: Vec<BatchBuilder>,
    /// The number of the batch that is being filled, per partition.
    numbers: Vec<Option<Ticket>>,
    /// Partitions that have rows, in the order of their first, and whether one of the rows is in a hurry.
    open: Vec<u32>,
    hurries: Vec<bool>,
    sealed: VecDeque<Submitted>,
    /// Shards that had no room in this flush.
    blocked: Vec<bool>,
    last_partition: u32,
}

impl SharedBatches {
    /// Batches that are acknowledged at `level`.
    pub fn new(intake: Intake, level: AckLevel) -> Self {
        let partitions = intake.partitions();
        Self {
            intake,
            level,
            builders: (0..partitions).map(BatchBuilder::new).collect(),
            numbers: vec![None; partitions as usize],
            open: Vec::new(),
            hurries: vec![false; partitions as usize],
            sealed: VecDeque::new(),
            blocked: Vec::new(),
            last_partition: 0,
        }
    }

    /// Adds one event to the batch of its key's partition and gives that batch's number. Never answers `Full`.
    pub fn push(
        &mut self,
        key: &[u8],
        value: &[u8],
        headers: &HeaderWriter,
        timestamp_ms: i64,
    ) -> Result<u32, PushError> {
        let number = self.push_at_leisure(key, value, headers, timestamp_ms)?;
        self.hurries[self.last_partition as usize] = true;
        Ok(number)
    }

    /// As [`push`](Self::push), for an event that nobody waits for: alone it does not have its batch flushed, because a batch of one
    /// event costs the shard and the disk as much as one of a thousand.
    pub fn push_at_leisure(
        &mut self,
        key: &[u8],
        value: &[u8],
        headers: &HeaderWriter,
        timestamp_ms: i64,
    ) -> Result<u32, PushError> {
        let partition = partition_of(key, self.builders.len() as u32);
        let at = partition as usize;
        self.last_partition = partition;
        if self.builders[at].is_full() {
            self.seal(partition);
            self.open.retain(|open| *open != partition);
        }
        self.builders[at].push(Some(key), value, headers, timestamp_ms)?;
        let ticket = match self.numbers[at] {
            Some(ticket) => ticket,
            None => {
                let ticket = self.intake.shared_ticket(self.level);
                self.numbers[at] = Some(ticket);
                self.open.push(partition);
                ticket
            }
        };
        Ok(ticket.slot)
    }

    /// The partition of the last event that was pushed.
    pub fn last_partition(&self) -> u32 {
        self.last_partition
    }

    /// Something waits to be flushed.
    pub fn is_open(&self) -> bool {
        !self.open.is_empty() || !self.sealed.is_empty()
    }

    fn seal(&mut self, partition: u32) {
        let at = partition as usize;
        self.hurries[at] = false;
        if let (Some(batch), Some(ticket)) = (self.builders[at].seal(), self.numbers[at].take()) {
            self.sealed.push_back(Submitted { batch, ticket });
        }
    }

    /// Sends what was pushed; without `all` not the batches in which nothing is in a hurry. `false` if a shard has no room: take no more
    /// from clients, `waker` is woken when there may be.
    pub fn flush(&mut self, waker: &Waker, all: bool) -> bool {
        let mut open = std::mem::take(&mut self.open);
        open.retain(|partition| {
            let stays = !all && !self.hurries[*partition as usize];
            if !stays {
                self.seal(*partition);
            }
            stays
        });
        self.open = open;
        let mut inner = self.intake.0.borrow_mut();
        let inner = &mut *inner;
        self.blocked.clear();
        self.blocked.resize(inner.shards.len(), false);
        // Not only the first: batches for another shard must not wait for this one's.
        for _ in 0..self.sealed.len() {
            let Some(submitted) = self.sealed.pop_front() else { break };
            let slot = submitted.ticket.slot;
            let shard = submitted.batch.partition() as usize % inner.shards.len();
            if inner.stopping || inner.shards[shard].is_abandoned() {
                inner.shared_done.push((slot, Err(Refused::Stopping)));
                inner.wake_shared();
                continue;
            }
            // What is pushed back keeps its order: once a shard had no room, what is behind waits even if there is room by now.
            if self.blocked[shard] {
                self.sealed.push_back(submitted);
            } else if let Err(back) = inner.shards[shard].push(submitted) {
                self.blocked[shard] = true;
                self.sealed.push_back(back);
            }
        }
        if !self.sealed.is_empty() {
            inner.waiting_for_room.push(waker.clone());
        }
        self.sealed.is_empty()
    }

    /// Moves the batches that are done into `into`, and has `waker` woken when there are more.
    pub fn take_done(&mut self, waker: &Waker, into: &mut Vec<Done>) {
        let mut inner = self.intake.0.borrow_mut();
        let inner = &mut *inner;
        for done in inner.shared_done.drain(..) {
            release(&mut inner.slots[done.0 as usize], done.0, &mut inner.free);
            into.push(done);
        }
        match &mut inner.shared_waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }
}
