//! Writes a packet whose length is known only when it is written. What no packet can hold leaves the buffer as it was.

use super::frame::{REMAINING_BYTES_MAX, varint_bytes};
use super::text::TEXT_BYTES_MAX;

pub(super) struct Writer<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    fits: bool,
}

impl<'o> Writer<'o> {
    pub fn new(out: &'o mut Vec<u8>, first: u8) -> Self {
        let start = out.len();
        out.extend_from_slice(&[first, 0]);
        Writer { out, start, fits: true }
    }

    pub fn byte(&mut self, value: u8) {
        self.out.push(value);
    }

    pub fn two(&mut self, value: u16) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub fn binary(&mut self, value: &[u8]) {
        self.fits &= binary(self.out, value);
    }

    pub fn text(&mut self, value: &str) {
        self.binary(value.as_bytes());
    }

    /// The packet cannot be said in this version.
    pub fn refuse(&mut self) {
        self.fits = false;
    }

    /// A property list with its length before it. `put` says whether all fitted.
    pub fn properties(&mut self, put: impl FnOnce(&mut Vec<u8>) -> bool) {
        let at = self.out.len();
        self.out.push(0);
        self.fits &= put(self.out) && insert_length(self.out, at);
    }

    /// True: the packet stands in the buffer.
    pub fn finish(self) -> bool {
        let fits = self.fits && insert_length(self.out, self.start + 1);
        if !fits {
            self.out.truncate(self.start);
        }
        fits
    }
}

/// Bytes with their length before them; false if two bytes cannot say it, and then nothing was appended.
pub(super) fn binary(out: &mut Vec<u8>, value: &[u8]) -> bool {
    let Ok(length) = u16::try_from(value.len()) else { return false };
    debug_assert!(value.len() <= TEXT_BYTES_MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
    true
}

/// A variable byte integer; the caller has checked that four bytes can say it.
pub(super) fn varint(out: &mut Vec<u8>, mut value: usize) {
    debug_assert!(value <= REMAINING_BYTES_MAX);
    while value > 0x7F {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Turns the placeholder byte at `at` into the length of what follows it.
fn insert_length(out: &mut Vec<u8>, at: usize) -> bool {
    let length = out.len() - at - 1;
    if length <= 0x7F {
        out[at] = length as u8;
        return true;
    }
    if length > REMAINING_BYTES_MAX {
        return false;
    }
    let more = varint_bytes(length) - 1;
    let end = out.len();
    out.resize(end + more, 0);
    out.copy_within(at + 1..end, at + 1 + more);
    let mut rest = length;
    for byte in &mut out[at..at + more] {
        *byte = rest as u8 | 0x80;
        rest >>= 7;
    }
    out[at + more] = rest as u8;
    true
}
