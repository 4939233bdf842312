//! Which rows of a page have a value: its definition levels. A page without nulls costs nothing per row.

use arrow_buffer::{BooleanBufferBuilder, NullBuffer};

use super::bits;
use super::varint;

/// Bytes of equal bits that are worth a run.
const RUN_BYTES: usize = 8;

/// Those of the page that is being filled.
pub struct Levels {
    rows: usize,
    nulls: usize,
    /// A bit per row, from the page's first null on; before it there are none.
    valid: BooleanBufferBuilder,
}

impl Default for Levels {
    fn default() -> Self {
        Self { rows: 0, nulls: 0, valid: BooleanBufferBuilder::new(0) }
    }
}

impl Levels {
    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Those of them without a value.
    pub fn nulls(&self) -> usize {
        self.nulls
    }

    /// Takes `count` rows without nulls.
    pub fn push_valid(&mut self, count: usize) {
        if self.nulls > 0 {
            self.valid.append_n(count, true);
        }
        self.rows += count;
    }

    /// Takes rows of which some are null.
    pub fn push(&mut self, nulls: &NullBuffer) {
        if nulls.null_count() == 0 {
            return self.push_valid(nulls.len());
        }
        if self.nulls == 0 {
            self.valid.append_n(self.rows, true);
        }
        self.valid.append_buffer(nulls.inner());
        self.nulls += nulls.null_count();
        self.rows += nulls.len();
    }

    /// Begins the next page.
    pub fn clear(&mut self) {
        (self.rows, self.nulls) = (0, 0);
        self.valid.truncate(0);
    }

    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.valid.capacity() / 8
    }

    /// Appends them as a page has them, with their length before them.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let base = out.len();
        out.extend_from_slice(&[0; 4]);
        if self.nulls == 0 || self.nulls == self.rows {
            run(self.rows, self.nulls == 0, out);
        } else {
            encode_bits(self.valid.as_slice(), self.rows, out);
        }
        let length = (out.len() - base - 4) as u32;
        out[base..base + 4].copy_from_slice(&length.to_le_bytes());
    }
}

fn run(length: usize, value: bool, out: &mut Vec<u8>) {
    if length > 0 {
        varint::put((length as u64) << 1, out);
        out.push(value.into());
    }
}

/// Bits as they lie are packed numbers of one bit; only long stretches of one value become runs.
fn encode_bits(bytes: &[u8], rows: usize, out: &mut Vec<u8>) {
    // The last byte may be filled in part only.
    let whole = rows / 8;
    let (mut packed_from, mut at) = (0, 0);
    while at < whole {
        let first = bytes[at];
        let is_even = first == 0 || first == u8::MAX;
        let length = if is_even { bytes[at..whole].iter().take_while(|byte| **byte == first).count() } else { 1 };
        if is_even && length >= RUN_BYTES {
            packed(&bytes[packed_from..at], out);
            run(length * 8, first != 0, out);
            packed_from = at + length;
        }
        at += length;
    }
    packed(&bytes[packed_from..rows.div_ceil(8)], out);
}

fn packed(bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        varint::put((bytes.len() as u64) << 1 | 1, out);
        out.extend_from_slice(bytes);
    }
}

/// Bits of the numbers below `count`.
pub fn index_width(count: usize) -> u32 {
    bits::width(count.saturating_sub(1) as u64)
}
