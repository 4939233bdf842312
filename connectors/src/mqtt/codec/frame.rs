//! Finds packets in a stream of bytes. A frame is complete, within the caller's limit, and of a known packet type.

use super::{DecodeError, Reason};

/// Largest remaining length that four bytes can say.
pub const REMAINING_BYTES_MAX: usize = 268_435_455;

/// One whole packet, its fixed header read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Packet type (high half) and flags (low half).
    pub first: u8,
    /// All that follows the fixed header.
    pub body: &'a [u8],
    /// Bytes of the packet, fixed header included: how far the stream moves on.
    pub total: usize,
}

impl Frame<'_> {
    /// Whether the remaining length was written with more bytes than it needs, which MQTT 5 forbids.
    pub(super) fn is_overlong(&self) -> bool {
        self.total - self.body.len() > 1 + varint_bytes(self.body.len())
    }
}

/// The first packet of `bytes`, which may be at most `bytes_max` long with its header.
///
/// None: more bytes are needed. An error comes as soon as the bytes that are there show it.
#[inline]
pub fn frame(bytes: &[u8], bytes_max: usize) -> Result<Option<Frame<'_>>, DecodeError> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    if first >> 4 == 0 {
        return Err(DecodeError::malformed("packet type 0 is reserved"));
    }
    let mut length = 0;
    for (index, &byte) in rest.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let header = 2 + index;
            let total = header + length;
            if total > bytes_max {
                return Err(DecodeError::new(Reason::PacketTooLarge, "the packet is larger than allowed"));
            }
            return Ok(bytes.get(header..total).map(|body| Frame { first, body, total }));
        }
    }
    if rest.len() >= 4 {
        return Err(DecodeError::malformed("the remaining length has more than four bytes"));
    }
    Ok(None)
}

/// Bytes of a variable byte integer.
pub(super) const fn varint_bytes(value: usize) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}
