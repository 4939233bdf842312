//! The frames of `anabranch/1`, written from `docs/quic.md` alone: numbers, what a client writes, what it reads.
//!
//! Reading never trusts: a length is held against its bound and against what is there before anything is taken by it. What a frame
//! means where it stands is the business of whoever reads it.

mod batch;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub(super) use batch::{Batch, Record, crc_is_right, murmur2, put_varint, varint_len};
pub(super) use read::{Answer, Control, Data, Frames, Nack, Welcome, skim};
pub(super) use write::{
    Commit, Hello, Start, Subscribe, write_commit, write_credit, write_hello, write_producer, write_publish_head,
    write_subscribe,
};

/// Bytes that are not the protocol's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// A frame ends before its fields, or a field has a form that it cannot have.
    #[error("a frame of type {kind:#04x} is malformed: {what}")]
    Malformed {
        /// The frame's type.
        kind: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A frame that is longer than it may be.
    #[error("a frame of type {kind:#04x} has {bytes} bytes, and may have {bytes_max}")]
    TooLarge {
        /// The frame's type.
        kind: u64,
        /// What it says.
        bytes: u64,
        /// What it may say.
        bytes_max: u64,
    },
    /// A frame that has no business where it stands.
    #[error("a frame of type {0:#04x} may not come here")]
    Unexpected(u64),
    /// The records of a batch.
    #[error("a batch is malformed: {0}")]
    Batch(&'static str),
}

/// Types of frames.
pub(super) mod kind {
    pub const HELLO: u64 = 0x01;
    pub const WELCOME: u64 = 0x03;
    pub const SUBSCRIBE: u64 = 0x05;
    pub const SUBSCRIBED: u64 = 0x07;
    pub const REFUSED: u64 = 0x09;
    pub const ENDED: u64 = 0x0d;
    pub const CREDIT: u64 = 0x0f;
    pub const COMMIT: u64 = 0x11;
    pub const COMMITTED: u64 = 0x13;
    pub const ACK: u64 = 0x15;
    pub const NACK: u64 = 0x17;
    pub const GOAWAY: u64 = 0x19;
    pub const DATA: u64 = 0x21;
    pub const BATCH: u64 = 0x23;
    pub const POSITION: u64 = 0x25;
    pub const LOST: u64 = 0x27;
    pub const PRODUCER: u64 = 0x31;
    pub const PUBLISH: u64 = 0x33;
}

/// The minor version that is spoken.
pub(super) const MINOR: u64 = 0;

/// Codes that a client acts on.
pub(super) mod code {
    pub const NONE: u64 = 0x00;
    const INTERNAL: u64 = 0x01;
    const MALFORMED: u64 = 0x02;
    const LIMIT: u64 = 0x07;
    const TIMEOUT: u64 = 0x08;
    const GOING_AWAY: u64 = 0x09;
    const BUSY: u64 = 0x0a;
    const UNAUTHENTICATED: u64 = 0x10;
    const AUTH_EXPIRED: u64 = 0x11;
    pub const FORBIDDEN: u64 = 0x12;
    const NO_SUCH_PARTITION: u64 = 0x22;
    const SOURCE_CHANGED: u64 = 0x24;
    const CURSORS_FAILED: u64 = 0x30;
    pub const OUT_OF_ORDER: u64 = 0x41;
    const EVENT_INVALID: u64 = 0x42;
    const EVENT_TOO_LARGE: u64 = 0x43;
    const WRONG_PARTITION: u64 = 0x44;

    /// As the code of a NACK: the events will never be taken.
    pub fn drops_events(code: u64) -> bool {
        matches!(code, FORBIDDEN | NO_SUCH_PARTITION | EVENT_INVALID | EVENT_TOO_LARGE | WRONG_PARTITION)
    }

    /// As the code of a NACK: the events are for the next connection.
    pub fn is_of_connection(code: u64) -> bool {
        matches!(code, GOING_AWAY | AUTH_EXPIRED)
    }

    /// As the code of REFUSED or ENDED: the subscription may be taken later.
    pub fn is_passing(code: u64) -> bool {
        matches!(code, INTERNAL | TIMEOUT | GOING_AWAY | BUSY | AUTH_EXPIRED | SOURCE_CHANGED | CURSORS_FAILED)
    }

    /// As the end of a connection: this client has done something that the next one would do again.
    pub fn is_fault(code: u64) -> bool {
        matches!(code, MALFORMED..=LIMIT)
    }

    /// As the end of a connection: nobody lets this client in.
    pub fn is_unwanted(code: u64) -> bool {
        matches!(code, UNAUTHENTICATED | FORBIDDEN)
    }
}
