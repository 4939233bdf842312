//! The partitions of a follower that it does not follow now: its owner has no room for them, or they catch up from the log.
//!
//! What always holds: what comes through a lane for such a partition is thrown away, and remembered by where it ended. The partition is
//! followed again only when one look at the log has brought it up to there and up to the head: all behind that is still in the lane.

use std::collections::VecDeque;

use crate::lane::Delivery;

/// How a partition goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// With its lane.
    Followed,
    /// Not at all.
    Parked,
    /// From the log, a piece at a time between the turns of the lanes.
    CatchingUp,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Parking {
    ways: Vec<Way>,
    /// Behind the last that was thrown away or refused, per partition.
    thrown: Vec<u64>,
    /// Those that catch up, the next one first; the one that is being read is not in it.
    catching_up: VecDeque<u32>,
    /// The lanes have had their turn.
    is_due: bool,
    /// How many are not followed.
    count: usize,
}

impl Parking {
    pub fn new(partitions: usize) -> Self {
        Self {
            ways: vec![Way::Followed; partitions],
            thrown: vec![0; partitions],
            catching_up: VecDeque::new(),
            is_due: false,
            count: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn is_followed(&self, partition: u32) -> bool {
        self.ways[partition as usize] == Way::Followed
    }

    pub fn is_catching_up(&self, partition: u32) -> bool {
        self.ways[partition as usize] == Way::CatchingUp
    }

    /// There is something to read, at once or after the lanes.
    pub fn has_work(&self) -> bool {
        !self.catching_up.is_empty()
    }

    /// There is no room for what follows; a delivery was refused that ends at `end`, or none, and `end` is 0.
    pub fn park(&mut self, partition: u32, end: u64) {
        let (way, thrown) = (&mut self.ways[partition as usize], &mut self.thrown[partition as usize]);
        self.count += usize::from(*way == Way::Followed);
        *way = Way::Parked;
        *thrown = end.max(*thrown);
    }

    /// Its owner takes it again.
    pub fn unpark(&mut self, partition: u32) {
        let way = &mut self.ways[partition as usize];
        if *way == Way::Parked {
            *way = Way::CatchingUp;
            self.catching_up.push_back(partition);
        }
    }

    /// True for what comes through a lane and is not to be handed over.
    pub fn throws_away(&mut self, delivery: &Delivery) -> bool {
        let partition = delivery.batch.partition();
        if self.is_followed(partition) {
            return false;
        }
        let thrown = &mut self.thrown[partition as usize];
        *thrown = (delivery.batch.last_offset() + 1).max(*thrown);
        true
    }

    /// All lanes have had a turn.
    pub fn lanes_had_their_turn(&mut self) {
        self.is_due = true;
    }

    /// The partition that may read a piece now.
    pub fn next_due(&mut self) -> Option<u32> {
        if !self.is_due {
            return None;
        }
        self.is_due = false;
        self.catching_up.pop_front()
    }

    /// Where reading has to reach if nothing comes out of the lanes meanwhile. A shard hands out first and moves its head then, so the
    /// lane may have brought more than the head says.
    pub fn upto(&self, partition: u32, head: u64) -> u64 {
        head.max(self.thrown[partition as usize])
    }

    /// A piece was read, and with it all up to where it had to reach, or not.
    pub fn has_read(&mut self, partition: u32, reached: bool) {
        if reached {
            self.ways[partition as usize] = Way::Followed;
            self.count -= 1;
        } else {
            self.catching_up.push_back(partition);
        }
    }
}
