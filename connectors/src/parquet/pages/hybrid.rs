//! Parquet's mix of runs and packed numbers, for places in a dictionary: a run is a count and a value, all else is packed in groups of
//! eight.

use super::bits::{self, CHUNK};
use super::varint;

/// Numbers that are packed or skipped together.
const GROUP: usize = 8;
/// Bits that a run has to save: what its header and that of the numbers behind it take.
const RUN_BITS: usize = 64;

/// Appends `values` of `width` bits each.
pub fn encode(values: &[u16], width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return run(values.len(), 0, 0, out);
    }
    let run_min = RUN_BITS.div_ceil(width as usize).max(GROUP);
    let (mut packed_from, mut at) = (0, 0);
    while let Some(group) = values.get(at..at + GROUP) {
        let first = group[0];
        if group.iter().fold(0, |differs, value| differs | (value ^ first)) != 0 {
            at += GROUP;
            continue;
        }
        let length = GROUP + values[at + GROUP..].iter().take_while(|value| **value == first).count();
        if length < run_min {
            at += GROUP;
            continue;
        }
        packed(&values[packed_from..at], width, out);
        run(length, first, width, out);
        at += length;
        packed_from = at;
    }
    packed(&values[packed_from..], width, out);
}

fn run(length: usize, value: u16, width: u32, out: &mut Vec<u8>) {
    if length > 0 {
        varint::put((length as u64) << 1, out);
        out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
    }
}

/// Whole groups; the last one is filled with zeros.
fn packed(values: &[u16], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(GROUP);
    varint::put((groups as u64) << 1 | 1, out);
    let end = out.len() + groups * width as usize;
    for values in values.chunks(CHUNK) {
        let mut chunk = [0; CHUNK];
        for (wide, value) in chunk.iter_mut().zip(values) {
            *wide = u64::from(*value);
        }
        bits::pack_chunk(&chunk, width, out);
    }
    out.truncate(end);
}

#[cfg(test)]
mod tests;
