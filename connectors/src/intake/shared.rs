//! Batches that many connections of a core fill together: what comes in one turn of the core's loop for one partition is one batch.
//!
//! For listeners whose clients send a message at a time. A connection pushes and remembers the number of the batch; at the end of
//! the turn the core flushes; [`SharedBatches::take_done`] says which batches have reached their ack level. What always
//! holds: events of one connection for one key keep their order; every number that was given is done once, well or not.

use std::task::Waker;

use engine::batch::{BatchBuilder, HeaderWriter, PushError, partition_of};
use engine::mesh::{AckLevel, Ticket};

use super::{Appends, Done, Intake};

/// See the module. One per core and listener.
#[derive(Debug)]
pub struct SharedBatches {
    appends: Appends,
    builders: Vec<BatchBuilder>,
    /// The number of the batch that is being filled, per partition.
    numbers: Vec<Option<Ticket>>,
    /// Partitions that have rows, in the order of their first, and whether one of the rows is in a hurry.
    open: Vec<u32>,
    hurries: Vec<bool>,
    last_partition: u32,
}

impl SharedBatches {
    /// Batches that are acknowledged at `level`.
    pub fn new(intake: Intake, level: AckLevel) -> Self {
        let appends = Appends::new(intake, level);
        let partitions = appends.partitions();
        Self {
            appends,
            builders: (0..partitions).map(BatchBuilder::new).collect(),
            numbers: vec![None; partitions as usize],
            open: Vec::new(),
            hurries: vec![false; partitions as usize],
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
                let ticket = self.appends.ticket();
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
        !self.open.is_empty() || self.appends.is_waiting()
    }

    fn seal(&mut self, partition: u32) {
        let at = partition as usize;
        self.hurries[at] = false;
        if let (Some(batch), Some(ticket)) = (self.builders[at].seal(), self.numbers[at].take()) {
            self.appends.push_with(batch, ticket);
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
        self.appends.flush(waker)
    }

    /// Moves the batches that are done into `into`, and has `waker` woken when there are more.
    pub fn take_done(&mut self, waker: &Waker, into: &mut Vec<Done>) {
        self.appends.take_done(waker, into);
    }
}
