//! MQTT 3.1.1 and 5 as bytes, the client's half: what a client says is written, what a server says is read.
//!
//! Nothing here knows of sockets or time. What always holds: no bytes make [`decode`] panic or allocate; a packet is given only
//! when it is whole; topic and payload are borrowed from the bytes given; a packet over the caller's size limit is an error as
//! soon as its length is known, before its body has been waited for.

mod decode;
mod encode;
mod property;
mod reason;

#[cfg(test)]
mod tests;

pub use decode::{ConnAck, Packet, Publish, Receipt, decode};
pub(super) use encode::set_dup;
pub use encode::{Connect, Draft, write_disconnect, write_ping, write_receipt, write_subscribe};
pub use reason::{connack_reason, is_lasting, v5_reason};

/// Largest body that a packet can have: what its length field can say.
pub const REMAINING_BYTES_MAX: usize = 268_435_455;

/// Version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// 3.1.1
    V311,
    /// 5.0
    #[default]
    V5,
}

/// Quality of service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qos {
    /// 0: no receipt.
    AtMostOnce,
    /// 1: PUBACK.
    #[default]
    AtLeastOnce,
    /// 2: PUBREC, PUBREL, PUBCOMP.
    ExactlyOnce,
}

impl Qos {
    /// 0, 1 or 2.
    pub fn level(self) -> u8 {
        self as u8
    }

    /// Of 0, 1 or 2.
    pub fn of(level: u8) -> Option<Self> {
        match level {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// The four answers to a PUBLISH of QoS 1 and 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptKind {
    /// PUBACK, QoS 1: taken.
    Ack,
    /// PUBREC, QoS 2: taken.
    Rec,
    /// PUBREL, QoS 2: the sender may forget it.
    Rel,
    /// PUBCOMP, QoS 2: both have forgotten it.
    Comp,
}

/// Why bytes are no packet, or a packet cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Larger than the caller allows.
    #[error("a packet of {bytes} bytes is over the limit of {bytes_max} bytes")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// What is allowed.
        bytes_max: usize,
    },
    /// The length field has more than four bytes.
    #[error("the length of a packet does not end within four bytes")]
    Length,
    /// A packet that a server never sends, or flags that its type does not have.
    #[error("a packet begins with {0:#04x}, which no server may send")]
    Unexpected(u8),
    /// The body is shorter than what it should hold, or holds what it must not.
    #[error("the body of a {0} packet is malformed")]
    Malformed(&'static str),
    /// A text that its two-byte length cannot hold.
    #[error("{what} has {bytes} bytes; MQTT allows 65535")]
    TextTooLong {
        /// Of what.
        what: &'static str,
        /// Its size.
        bytes: usize,
    },
}
