//! Properties of MQTT 5 as they are written: their identifiers, and one function per data type.
//!
//! Each function appends one property to a list that has no length yet. False: the value is longer than its length field can
//! say, and nothing was appended.

use super::frame::REMAINING_BYTES_MAX;
use super::writer;

/// Byte: 0 bytes of any kind, 1 UTF-8 text.
pub const PAYLOAD_FORMAT: u8 = 0x01;
/// Four bytes: seconds.
pub const MESSAGE_EXPIRY: u8 = 0x02;
/// Text.
pub const CONTENT_TYPE: u8 = 0x03;
/// Text: a topic name.
pub const RESPONSE_TOPIC: u8 = 0x08;
/// Binary.
pub const CORRELATION_DATA: u8 = 0x09;
/// Variable byte integer; as often as subscriptions match.
pub const SUBSCRIPTION_ID: u8 = 0x0B;
/// Four bytes: seconds.
pub const SESSION_EXPIRY: u8 = 0x11;
/// Text.
pub const ASSIGNED_CLIENT_ID: u8 = 0x12;
/// Two bytes: seconds.
pub const SERVER_KEEP_ALIVE: u8 = 0x13;
/// Text.
pub const AUTH_METHOD: u8 = 0x15;
/// Binary.
pub const AUTH_DATA: u8 = 0x16;
/// Byte: 0 or 1.
pub const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
/// Four bytes: seconds.
pub const WILL_DELAY: u8 = 0x18;
/// Byte: 0 or 1.
pub const REQUEST_RESPONSE_INFORMATION: u8 = 0x19;
/// Text.
pub const RESPONSE_INFORMATION: u8 = 0x1A;
/// Text.
pub const SERVER_REFERENCE: u8 = 0x1C;
/// Text.
pub const REASON_STRING: u8 = 0x1F;
/// Two bytes.
pub const RECEIVE_MAX: u8 = 0x21;
/// Two bytes.
pub const TOPIC_ALIAS_MAX: u8 = 0x22;
/// Two bytes.
pub const TOPIC_ALIAS: u8 = 0x23;
/// Byte: 0 or 1.
pub const QOS_MAX: u8 = 0x24;
/// Byte: 0 or 1.
pub const RETAIN_AVAILABLE: u8 = 0x25;
/// Two texts; as often as wanted.
pub const USER: u8 = 0x26;
/// Four bytes.
pub const PACKET_BYTES_MAX: u8 = 0x27;
/// Byte: 0 or 1.
pub const WILDCARD_AVAILABLE: u8 = 0x28;
/// Byte: 0 or 1.
pub const SUBSCRIPTION_IDS_AVAILABLE: u8 = 0x29;
/// Byte: 0 or 1.
pub const SHARED_AVAILABLE: u8 = 0x2A;

/// Appends a property of one byte.
pub fn put_byte(out: &mut Vec<u8>, id: u8, value: u8) -> bool {
    out.extend_from_slice(&[id, value]);
    true
}

/// Appends a property of two bytes.
pub fn put_two(out: &mut Vec<u8>, id: u8, value: u16) -> bool {
    let [a, b] = value.to_be_bytes();
    out.extend_from_slice(&[id, a, b]);
    true
}

/// Appends a property of four bytes.
pub fn put_four(out: &mut Vec<u8>, id: u8, value: u32) -> bool {
    let [a, b, c, d] = value.to_be_bytes();
    out.extend_from_slice(&[id, a, b, c, d]);
    true
}

/// Appends a property that is a variable byte integer, at most 268,435,455.
pub fn put_varint(out: &mut Vec<u8>, id: u8, value: u32) -> bool {
    if value as usize > REMAINING_BYTES_MAX {
        return false;
    }
    out.push(id);
    writer::varint(out, value as usize);
    true
}

/// Appends a property that is a text of at most 65,535 bytes. It must not hold the character NUL.
pub fn put_text(out: &mut Vec<u8>, id: u8, value: &str) -> bool {
    put_binary(out, id, value.as_bytes())
}

/// Appends a property that is binary, at most 65,535 bytes.
pub fn put_binary(out: &mut Vec<u8>, id: u8, value: &[u8]) -> bool {
    let start = out.len();
    out.push(id);
    let fits = writer::binary(out, value);
    if !fits {
        out.truncate(start);
    }
    fits
}

/// Appends a property that is a name and a value, each at most 65,535 bytes. They must not hold the character NUL.
pub fn put_pair(out: &mut Vec<u8>, id: u8, name: &str, value: &str) -> bool {
    let start = out.len();
    out.push(id);
    let fits = writer::binary(out, name.as_bytes()) && writer::binary(out, value.as_bytes());
    if !fits {
        out.truncate(start);
    }
    fits
}

/// The properties of one packet, for the writers: each that is there is appended.
pub(super) struct List<'o> {
    out: &'o mut Vec<u8>,
    fits: bool,
}

impl<'o> List<'o> {
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        List { out, fits: true }
    }

    pub fn byte(&mut self, id: u8, value: Option<u8>) -> &mut Self {
        self.fits &= value.is_none_or(|value| put_byte(self.out, id, value));
        self
    }

    /// A yes or no that is left out where it says what its absence says.
    pub fn yes(&mut self, id: u8, value: bool, absent: bool) -> &mut Self {
        self.byte(id, (value != absent).then_some(u8::from(value)))
    }

    pub fn two(&mut self, id: u8, value: Option<u16>) -> &mut Self {
        self.fits &= value.is_none_or(|value| put_two(self.out, id, value));
        self
    }

    pub fn four(&mut self, id: u8, value: Option<u32>) -> &mut Self {
        self.fits &= value.is_none_or(|value| put_four(self.out, id, value));
        self
    }

    pub fn varint(&mut self, id: u8, value: Option<u32>) -> &mut Self {
        self.fits &= value.is_none_or(|value| put_varint(self.out, id, value));
        self
    }

    pub fn text(&mut self, id: u8, value: Option<&str>) -> &mut Self {
        self.fits &= value.is_none_or(|value| put_text(self.out, id, value));
        self
    }

    pub fn binary(&mut self, id: u8, value: Option<&[u8]>) -> &mut Self {
        self.fits &= value.is_none_or(|value| put_binary(self.out, id, value));
        self
    }

    pub fn user(&mut self, pairs: super::UserProperties<'_>) -> &mut Self {
        for (name, value) in pairs.iter() {
            self.fits &= put_pair(self.out, USER, name, value);
        }
        self
    }

    pub fn fits(&self) -> bool {
        self.fits
    }
}
