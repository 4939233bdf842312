//! DELTA_BINARY_PACKED: whole numbers as differences to the one before, in blocks that say their least difference and how many bits
//! the others need above it.

use super::bits::{self, CHUNK};
use super::varint;

/// Differences of a block, and parts of it that have a width each: what the crate's own writer has for 64 bits.
const BLOCK: usize = 256;
const PARTS: usize = BLOCK / CHUNK;

/// A whole number whose differences wrap around at its width.
pub trait Whole: Copy {
    /// Its bits, with its sign.
    fn wide(self) -> i64;
    /// What was added to `before`.
    fn since(self, before: Self) -> i64;
}

impl Whole for i64 {
    fn wide(self) -> i64 {
        self
    }

    #[inline]
    fn since(self, before: Self) -> i64 {
        self.wrapping_sub(before)
    }
}

impl Whole for u64 {
    fn wide(self) -> i64 {
        self as i64
    }

    #[inline]
    fn since(self, before: Self) -> i64 {
        self.wrapping_sub(before) as i64
    }
}

impl Whole for i32 {
    fn wide(self) -> i64 {
        self.into()
    }

    #[inline]
    fn since(self, before: Self) -> i64 {
        self.wrapping_sub(before).into()
    }
}

/// Appends `values`.
pub fn encode<T: Whole>(values: &[T], out: &mut Vec<u8>) {
    varint::put(BLOCK as u64, out);
    varint::put(PARTS as u64, out);
    varint::put(values.len() as u64, out);
    varint::put_signed(values.first().map_or(0, |first| first.wide()), out);
    let mut deltas = [0u64; BLOCK];
    let mut before = 0;
    while before + 1 < values.len() {
        let count = BLOCK.min(values.len() - 1 - before);
        let with_before = &values[before..=before + count];
        let mut least = i64::MAX;
        for (delta, pair) in deltas.iter_mut().zip(with_before.windows(2)) {
            let since = pair[1].since(pair[0]);
            *delta = since as u64;
            least = least.min(since);
        }
        for delta in &mut deltas[..count] {
            *delta = delta.wrapping_sub(least as u64);
        }
        // A part that is begun is packed whole.
        deltas[count..].fill(0);
        block(&deltas, count, least, out);
        before += count;
    }
}

fn block(deltas: &[u64; BLOCK], count: usize, least: i64, out: &mut Vec<u8>) {
    varint::put_signed(least, out);
    let parts = deltas.as_chunks::<CHUNK>().0;
    let mut widths = [0u8; PARTS];
    for (width, part) in widths.iter_mut().zip(parts) {
        *width = bits::width(part.iter().fold(0, |all, delta| all | delta)) as u8;
    }
    out.extend_from_slice(&widths);
    for (width, part) in widths.iter().zip(parts).take(count.div_ceil(CHUNK)) {
        if *width > 0 {
            bits::pack_chunk(part, u32::from(*width), out);
        }
    }
}

#[cfg(test)]
mod tests;
