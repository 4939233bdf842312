//! The group: batches that go to the device in one write and are committed by one sync.
//!
//! A shard copies each batch into the open group while the batch is still in its cache; the writer adds what makes whole
//! blocks of it (the start of the block that the last group left half full, zeros behind the end) and writes it as it lies. What
//! always holds: the bytes of a group are its batches one after the other, its memory is aligned for O_DIRECT and is used again,
//! and it never grows beyond its size but for a single batch that is larger.

use std::sync::Arc;

use super::index::Entry;
use super::storage::BLOCK_BYTES;
use crate::batch::Batch;

/// See the module.
#[derive(Debug)]
pub struct Group {
    memory: Vec<u8>,
    /// First aligned byte of the memory; the block with the carried-over bytes begins there.
    origin: usize,
    /// Bytes of the block before the group that are in the same block as its first byte.
    lead: usize,
    /// Bytes of the batches.
    bytes: usize,
    bytes_max: usize,
    entries: Vec<Entry>,
    batches: Vec<Arc<Batch>>,
    first_seq: u64,
}

impl Group {
    /// An empty group for about `bytes_max` bytes of batches.
    pub fn new(bytes_max: usize) -> Self {
        let mut group = Self {
            memory: Vec::new(),
            origin: 0,
            lead: 0,
            bytes: 0,
            bytes_max,
            entries: Vec::new(),
            batches: Vec::new(),
            first_seq: 0,
        };
        group.make_room(bytes_max);
        group
    }

    /// Memory for `bytes` bytes of batches, a block before them and a block behind them.
    fn make_room(&mut self, bytes: usize) {
        if self.memory.len() >= self.origin + 2 * BLOCK_BYTES + bytes && !self.memory.is_empty() {
            return;
        }
        let mut memory = vec![0; bytes + 3 * BLOCK_BYTES];
        let origin = memory.as_ptr().align_offset(BLOCK_BYTES);
        // Aligning a byte pointer always succeeds outside of constant evaluation.
        let origin = if origin < BLOCK_BYTES { origin } else { 0 };
        let used = self.lead + self.bytes;
        if used > 0 {
            memory[origin..origin + used].copy_from_slice(&self.memory[self.origin..self.origin + used]);
        }
        self.memory = memory;
        self.origin = origin;
    }

    /// Empties it. `lead`: how many bytes of its block lie before its first byte, as far as is known.
    pub fn clear(&mut self, lead: usize) {
        self.lead = lead % BLOCK_BYTES;
        self.bytes = 0;
        self.entries.clear();
        self.batches.clear();
    }

    /// `bytes` more fit, or it is empty.
    pub fn fits(&self, bytes: usize) -> bool {
        self.bytes == 0 || self.bytes + bytes <= self.bytes_max
    }

    /// It has its size.
    pub fn is_full(&self) -> bool {
        self.bytes >= self.bytes_max
    }

    /// No batch is in it.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Adds a batch, which has its offset; `seq` counts the batches of the shard.
    pub fn push(&mut self, seq: u64, batch: Arc<Batch>) {
        if self.batches.is_empty() {
            self.first_seq = seq;
        }
        debug_assert_eq!(self.first_seq + self.batches.len() as u64, seq);
        let added = batch.bytes().len();
        self.make_room(self.bytes + added);
        let start = self.origin + self.lead + self.bytes;
        self.memory[start..start + added].copy_from_slice(batch.bytes());
        // The position is counted from the group's first byte until the group has its place.
        self.entries.push(Entry::of(&batch, self.bytes as u64));
        self.bytes += added;
        self.batches.push(batch);
    }

    /// Bytes of its batches.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Its batches.
    pub fn batches(&self) -> &[Arc<Batch>] {
        &self.batches
    }

    /// Number of its first batch.
    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// Number of its last batch.
    pub fn last_seq(&self) -> u64 {
        self.first_seq + (self.batches.len() as u64).saturating_sub(1)
    }

    /// How many bytes the block has that its last byte is in: the lead of what follows it.
    pub fn next_lead(&self) -> usize {
        (self.lead + self.bytes) % BLOCK_BYTES
    }

    /// Its entries with positions counted from `base`.
    pub(super) fn entries_at(&self, base: u64) -> impl Iterator<Item = Entry> + '_ {
        self.entries.iter().map(move |entry| Entry { position: base + entry.position, ..*entry })
    }

    /// The whole blocks that hold `tail` (what is in the block already) and then the group.
    pub(super) fn blocks(&mut self, tail: &[u8]) -> &[u8] {
        if tail.len() != self.lead {
            // A new segment began since the group was opened, or an old one was given up.
            let from = self.origin + self.lead;
            self.memory.copy_within(from..from + self.bytes, self.origin + tail.len());
            self.lead = tail.len();
        }
        self.memory[self.origin..self.origin + tail.len()].copy_from_slice(tail);
        let end = self.origin + self.lead + self.bytes;
        let whole = (self.lead + self.bytes).next_multiple_of(BLOCK_BYTES);
        self.memory[end..self.origin + whole].fill(0);
        &self.memory[self.origin..self.origin + whole]
    }

    /// What the last block of the group holds: carried over into the next write.
    pub(super) fn last_block(&self) -> &[u8] {
        let end = self.lead + self.bytes;
        &self.memory[self.origin + (end - end % BLOCK_BYTES)..self.origin + end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, HeaderWriter};

    fn batch(bytes: usize) -> Arc<Batch> {
        let mut builder = BatchBuilder::new(0);
        builder.push(None, &vec![7; bytes], &HeaderWriter::default(), 0).expect("fits");
        Arc::new(builder.seal().expect("a row"))
    }

    #[test]
    fn blocks_are_aligned_and_hold_tail_batches_and_zeros() {
        for (lead, tail) in [(0, 0), (700, 700), (700, 0), (0, 4095), (4095, 3)] {
            let mut group = Group::new(10_000);
            for round in 0..3 {
                group.clear(lead);
                let mut expected = vec![9u8; tail];
                for (at, size) in [100, 5000, 30_000].into_iter().enumerate() {
                    let batch = batch(size * (round + 1));
                    expected.extend_from_slice(batch.bytes());
                    group.push(at as u64, batch);
                }
                let entries: Vec<u64> = group.entries_at(50).map(|entry| entry.position).collect();
                assert_eq!(entries[0], 50);
                let blocks = group.blocks(&vec![9; tail]);
                assert_eq!((blocks.as_ptr().align_offset(BLOCK_BYTES), blocks.len() % BLOCK_BYTES), (0, 0));
                assert_eq!(&blocks[..expected.len()], expected);
                assert!(blocks[expected.len()..].iter().all(|byte| *byte == 0));
                assert_eq!(group.last_block(), &expected[expected.len() - expected.len() % BLOCK_BYTES..]);
                assert_eq!((group.next_lead(), group.last_seq()), (expected.len() % BLOCK_BYTES, 2));
            }
        }
    }

    #[test]
    fn a_group_takes_one_batch_of_any_size_and_then_what_fits() {
        let mut group = Group::new(1000);
        assert!(group.fits(5000) && group.is_empty());
        group.push(0, batch(100));
        assert!(group.fits(100) && !group.fits(5000) && !group.is_full());
        group.clear(0);
        group.push(7, batch(5000));
        assert!(group.is_full());
        assert_eq!((group.first_seq(), group.last_seq()), (7, 7));
    }
}
