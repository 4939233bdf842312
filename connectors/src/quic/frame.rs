//! The frames of `anabranch/1` as bytes: [`head`] finds one, [`Control::decode`], [`DataFrame::decode`] and
//! [`PublishFrame::decode`] read its body, the `write` functions append one. `docs/quic.md` is the specification.
//!
//! What always holds: nothing is copied on the way in, texts, lists and records are borrowed from the body; what is decoded
//! obeys every bound in [`bounds`]; whatever the bytes, nothing panics. What a session must know is not asked here: whether a
//! number is in use, a partition exists, a frame may come now.

pub mod bounds;
mod code;
mod control;
mod data;
mod fields;
mod hello;
pub mod kind;
mod lists;
mod publish;
mod subscribe;
pub mod varint;

#[cfg(test)]
mod tests;

pub use code::Code;
pub use control::{Commit, Committed, Control, Credit, GoAway};
pub use data::{BatchFrame, DataFrame, DataHeader, ENCODINGS_ALL, Encoding, Lost, Position, write_batch_head};
pub use hello::{Hello, Welcome};
pub use lists::{AckEntry, Acks, Groups, Numbers, Pairs, Properties, Texts};
pub use publish::{Ack, Nack, Producer, Publish, PublishFrame, PublishHead, publish_head, write_publish_head};
pub use subscribe::{Ended, Refused, Start, Subscribe, Subscribed};

/// Why bytes are no frame. Every one of these ends the connection with [`code`](Self::code).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A field is cut off, out of its bounds, or not what it must be.
    #[error("malformed frame of type {kind:#04x}: {what}")]
    Malformed {
        /// Type of the frame.
        kind: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The body is longer than frames of its stream may be.
    #[error("a frame of type {kind:#04x} has a body of {bytes} bytes, at most {bytes_max} are allowed")]
    TooLarge {
        /// Type of the frame.
        kind: u64,
        /// Bytes of its body.
        bytes: u64,
        /// Most that are allowed.
        bytes_max: u64,
    },
    /// A frame type with an odd number that this side does not know.
    #[error("frame type {kind:#04x} is not known and may not be skipped: its number is odd")]
    Unknown {
        /// The type.
        kind: u64,
    },
}

impl FrameError {
    /// The code that the connection ends with.
    pub fn code(&self) -> Code {
        match self {
            Self::Malformed { .. } => Code::MALFORMED,
            Self::TooLarge { .. } => Code::FRAME_TOO_LARGE,
            Self::Unknown { .. } => Code::UNKNOWN_FRAME,
        }
    }
}

/// Type and length of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Type: see [`kind`].
    pub kind: u64,
    /// Bytes of the body.
    pub body_bytes: usize,
    /// Bytes of type and length.
    pub head_bytes: usize,
}

impl Head {
    /// Bytes of the whole frame.
    pub fn total(&self) -> usize {
        self.head_bytes + self.body_bytes
    }
}

/// Reads type and length at the start of `bytes`; `None` if more bytes are needed. An error comes as soon as the bytes show it.
#[inline]
pub fn head(bytes: &[u8], body_bytes_max: usize) -> Result<Option<Head>, FrameError> {
    let Some((kind, kind_bytes)) = varint::get(bytes) else { return Ok(None) };
    let Some((length, length_bytes)) = varint::get(&bytes[kind_bytes..]) else { return Ok(None) };
    if length > body_bytes_max as u64 {
        return Err(FrameError::TooLarge { kind, bytes: length, bytes_max: body_bytes_max as u64 });
    }
    Ok(Some(Head { kind, body_bytes: length as usize, head_bytes: kind_bytes + length_bytes }))
}

/// Appends a frame whose body `write` appends.
fn put(out: &mut Vec<u8>, kind: u64, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let body = out.len() - start;
    let (mut head, at) = ([0; 2 * varint::BYTES_MAX], varint::len(kind));
    varint::write(&mut head, kind);
    varint::write(&mut head[at..], body as u64);
    out.splice(start..start, head[..at + varint::len(body as u64)].iter().copied());
}

/// What to do with a type that is not known: skip it if its number is even.
fn unknown<T>(kind: u64) -> Result<Option<T>, FrameError> {
    if kind.is_multiple_of(2) { Ok(None) } else { Err(FrameError::Unknown { kind }) }
}
