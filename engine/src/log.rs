//! The log's format, and reading it back after anything may have happened to it. Pure: bytes come through [`ReadAt`].
//!
//! A segment is record batches one after the other, as they were accepted by one shard, of all of its partitions, and nothing
//! else: any Kafka tool can read one. The partition of a batch stands in its `partitionLeaderEpoch` field. Neither that field nor
//! the base offset is under the batch's checksum, so a batch counts as whole only if it also continues its partition.
//! Beside a finished segment lies its index ([`index`]), so that a start reads indexes and scans only what has none.

pub mod index;
mod scan;

#[cfg(test)]
mod tests;

pub use index::{Entry, IndexError};
pub use scan::{Damage, ReadAt, Scanned, scan};
