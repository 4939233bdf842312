//! Gives batches their offsets, and takes them back when the log could not keep them.

use crate::batch::Batch;

/// Next offset of each partition a shard owns, and the number of its next append.
#[derive(Debug)]
pub struct Sequencer {
    shard: u32,
    shards: u32,
    next_seq: u64,
    /// By position among the owned partitions.
    next_offset: Vec<u64>,
}

impl Sequencer {
    pub fn new(shard: u32, shards: u32, next_offsets: &[u64]) -> Self {
        let next_offset = next_offsets.iter().skip(shard as usize).step_by(shards as usize).copied().collect();
        Self { shard, shards, next_seq: 0, next_offset }
    }

    /// The partitions of the shard, ascending.
    pub fn owned(&self) -> impl Iterator<Item = u32> + use<> {
        let (shard, shards) = (self.shard, self.shards);
        (0..self.next_offset.len() as u32).map(move |at| shard + at * shards)
    }

    fn slot(&mut self, partition: u32) -> &mut u64 {
        debug_assert_eq!(partition % self.shards, self.shard, "the partition belongs to another shard");
        &mut self.next_offset[(partition / self.shards) as usize]
    }

    /// Gives `batch` its offsets, and the mark of its group; returns the number of its append.
    pub fn place(&mut self, batch: &mut Batch, mark: u8) -> u64 {
        let rows = batch.rows().len() as u64;
        let next = self.slot(batch.partition());
        let base = *next;
        *next += rows;
        batch.set_place(base, mark);
        self.next_seq += 1;
        self.next_seq - 1
    }

    /// The batch was not kept: its partition goes on where it began. Called for all failed batches in any order.
    pub fn take_back(&mut self, batch: &Batch) {
        let next = self.slot(batch.partition());
        *next = (*next).min(batch.base_offset());
    }
}
