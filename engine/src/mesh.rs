//! What travels between a receiving core and the shard that owns a partition: sealed batches one way, acknowledgements back.

use crate::batch::Batch;
use crate::log::Group;

/// What an acknowledgement promises (architecture, invariant 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum AckLevel {
    /// It has its place in the partition and is in memory.
    Memory,
    /// It is written to the log's file: survives the end of the process.
    Written,
    /// It is on the device (fdatasync): survives power loss.
    #[default]
    Synced,
}

impl AckLevel {
    /// The level that configuration calls `name`.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "memory" => Some(Self::Memory),
            "written" => Some(Self::Written),
            "synced" => Some(Self::Synced),
            _ => None,
        }
    }

    /// Its name in configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Written => "written",
            Self::Synced => "synced",
        }
    }
}

/// Names a submission to the core that made it; means nothing elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The core that waits for the acknowledgement.
    pub core: u16,
    /// Slot of the submission on that core.
    pub slot: u32,
    /// Guards against a slot that has been used again.
    pub generation: u32,
    /// When to acknowledge.
    pub level: AckLevel,
}

/// A sealed batch on its way to its shard.
#[derive(Debug)]
pub struct Submitted {
    /// Its partition belongs to the shard; it has no offset yet.
    pub batch: Batch,
    /// Who waits for it.
    pub ticket: Ticket,
}

/// Why a batch was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The log cannot be written (full disk, I/O error).
    #[error("the log cannot be written")]
    LogFailed,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
    /// The batch is numbered, and events before it were not kept.
    #[error("events before these are missing: the next sequence is {expected}")]
    OutOfOrder {
        /// The first that is missing.
        expected: u64,
    },
}

/// One batch of a submission is kept at the wanted level, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The submission.
    pub ticket: Ticket,
    /// Partition and first offset of the batch, or why it is not kept.
    pub result: Result<Placed, Refused>,
}

/// Where a batch lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its partition.
    pub partition: u32,
    /// Offset of its first event.
    pub base_offset: u64,
    /// Number of its events that were kept.
    pub rows: u32,
    /// Events of the submitted batch that had been kept before.
    pub duplicates: u32,
}

/// From a shard to the writer of its log.
#[derive(Debug)]
pub enum Append {
    /// Write and sync this next.
    Group(Box<Group>),
    /// After a failure: what follows is a new start from the offsets that were kept.
    Restart,
}

/// From the writer of a log back to its shard, in the order of the groups. Every group comes back once.
#[derive(Debug)]
pub enum LogEvent {
    /// All batches up to this number are in the file.
    Written {
        /// Last number.
        upto_seq: u64,
    },
    /// The group is on the device.
    Synced(Box<Group>),
    /// The group is not kept, nor is anything that follows it until [`Append::Restart`].
    Failed(Box<Group>),
    /// The group came after one that failed: it is not kept either.
    Refused(Box<Group>),
}
