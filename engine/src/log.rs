//! The log: its format, appending, recovery, retention and reading, over a small [`Storage`] that is a disk or a simulated one.
//!
//! A segment is record batches one after the other, as they were accepted by one shard, of all of its partitions, and nothing
//! else: any Kafka tool can read one (behind the last batch of the one that is being written may be zeros). The partition of a
//! batch, and a checksum of its place, stand in its `partitionLeaderEpoch` field. Beside a finished segment lies its index
//! ([`index`]), so that a start reads the heads of indexes and scans only what has none.
//!
//! What always holds: what a writer called synced is read back after the end of the process and after power loss; readers see
//! synced batches only, and each from the disk with its checksum checked again; offsets of a partition have no gap and
//! are never used twice; a failed sync is never repeated as if nothing had happened.

pub mod index;
mod by_time;
mod catalog;
mod chain;
mod group;
mod keeper;
mod lag;
mod names;
mod reader;
mod recover;
mod scan;
mod segment;
mod stats;
mod storage;
mod sweep;
mod writer;

#[cfg(test)]
mod tests;

pub use catalog::Catalog;
pub use group::Group;
pub use index::{Entry, IndexError};
pub use keeper::{Full, Prepared, SegmentKeeper};
pub use lag::Lag;
pub use reader::{LogReader, ReadError};
pub use recover::{Access, RecoverError, Recovered, recover};
pub use scan::{Damage, End, ReadAt, Scanned, scan};
pub use stats::{LogStats, SYNC_SECONDS_BUCKETS};
pub use storage::{BLOCK_BYTES, FileUse, Storage, StorageFile, write_whole};
pub use sweep::Sweep;
pub use writer::{SegmentWriter, WriterSettings};

/// Something that a writer did or could not do and that whoever runs it should know.
#[derive(Debug, thiserror::Error)]
pub enum Notice {
    /// A sync failed; the group was written and synced in another segment.
    #[error("a sync failed ({error}): {bytes} bytes were written again into a new segment; look after the device")]
    Rewritten {
        /// Size of the group.
        bytes: u64,
        /// What the storage said.
        error: std::io::Error,
    },
    /// A finished segment has no index.
    #[error("no index was written for {segment} ({error}); the next start scans it")]
    NoIndex {
        /// The segment.
        segment: String,
        /// What the storage said.
        error: std::io::Error,
    },
    /// Retention could not remove it.
    #[error("retention cannot remove {segment}: {error}; it is tried again")]
    NotRemoved {
        /// The segment.
        segment: String,
        /// What the storage said.
        error: std::io::Error,
    },
}
