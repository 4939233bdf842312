//! Deliveries on their way into the same commit: small ones of a partition wait a little, so that they are read as one.
//!
//! A request of a hundred events is deliveries of three where there are 32 partitions, and reading by the column begins anew with each.
//! What always holds: what is taken out of a partition came in that order and is covered without a gap between; what waits is bounded
//! by rows and bytes, and is taken out after a while.

use std::collections::BTreeMap;

use crate::sink::Handed;

/// Rows of a partition that are worth being read at once: of more, each costs as much.
const ROWS_ENOUGH: usize = 256;
/// Bytes that wait, of all partitions together.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub struct Gathered {
    partitions: BTreeMap<u32, Group>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Group {
    deliveries: Vec<Handed>,
    rows: usize,
}

impl Gathered {
    /// None waits.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// More wait than should.
    pub fn is_large(&self) -> bool {
        self.bytes > BYTES_MAX
    }

    /// What waits of its partition goes first, by itself: this is large enough alone, or something is lost between, so that no commit
    /// can cover both.
    pub fn is_apart(&self, handed: &Handed) -> bool {
        let group = self.partitions.get(&handed.delivery.batch.partition());
        let first = group.and_then(|group| group.deliveries.first());
        first.is_some_and(|first| first.covers_from != handed.covers_from || handed.delivery.len() >= ROWS_ENOUGH)
    }

    /// Lets a delivery wait; `true` once its partition has enough, or the rows that are left until its file is full.
    pub fn add(&mut self, handed: Handed, rows_left: u64) -> bool {
        self.bytes += handed.bytes();
        let group = self.partitions.entry(handed.delivery.batch.partition()).or_default();
        group.rows += handed.delivery.len();
        group.deliveries.push(handed);
        group.rows >= ROWS_ENOUGH || group.rows as u64 >= rows_left
    }

    /// Takes out what waits of a partition, in the order in which it came.
    pub fn take(&mut self, partition: u32) -> Vec<Handed> {
        let deliveries = self.partitions.remove(&partition).unwrap_or_default().deliveries;
        self.bytes -= deliveries.iter().map(Handed::bytes).sum::<usize>();
        deliveries
    }

    /// Some partition of which something waits.
    pub fn next(&self) -> Option<u32> {
        self.partitions.keys().next().copied()
    }
}
