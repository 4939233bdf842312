//! The kernel for every machine: a table of kinds, byte by byte, and plain Rust for the rest. Twin of the others.

use super::{block, scalars, scan};

/// Kinds of bytes as bits.
const QUOTE: u8 = 1;
const COLON: u8 = 2;
const OTHER: u8 = 4;
const ARRAY: u8 = 8;
const END: u8 = 16;
const SPACE: u8 = 32;
const BAD: u8 = 64;

const fn kinds() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'"' => QUOTE,
            b':' => COLON,
            b'{' => 0,
            b'[' => ARRAY,
            b',' | b'}' | b']' => END,
            b' ' => SPACE,
            b'\t' | b'\n' | b'\r' => SPACE | BAD,
            b'\\' | 0..0x20 => BAD | OTHER,
            _ => OTHER,
        };
        byte += 1;
    }
    table
}

static KINDS: [u8; 256] = kinds();

/// The first half of the table, for kernels that look bytes up in registers.
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub(super) static ASCII_KINDS: super::Aligned<[u8; 128]> = super::Aligned({
    let all = kinds();
    let mut half = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        half[byte] = all[byte];
        byte += 1;
    }
    half
});

/// The bits of [`block::Masks`] in the order of the kinds.
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub(super) const KIND_BITS: [u8; 7] = [QUOTE, COLON, ARRAY, END, SPACE, BAD, OTHER];

/// See the module.
pub(super) struct Portable;

impl scan::Blocks for Portable {
    fn masks(bytes: &[u8; 64]) -> block::Masks {
        let mut masks = block::Masks::default();
        for (at, byte) in bytes.iter().enumerate() {
            let kind = KINDS[usize::from(*byte)];
            let bit = |of: u8| u64::from(kind & of != 0) << at;
            masks.quote |= bit(QUOTE);
            masks.colon |= bit(COLON);
            masks.other |= bit(OTHER);
            masks.array |= bit(ARRAY);
            masks.end |= bit(END);
            masks.space |= bit(SPACE);
            masks.bad |= bit(BAD);
        }
        masks
    }

    fn close(bytes: &[u8; 64]) -> u64 {
        bytes.iter().enumerate().fold(0, |bits, (at, byte)| bits | u64::from(*byte == b']') << at)
    }

    fn non_ascii(bytes: &[u8; 64]) -> u64 {
        bytes.iter().enumerate().fold(0, |bits, (at, byte)| bits | u64::from(byte >> 7) << at)
    }

    fn prefix_xor(bits: u64) -> u64 {
        let bits = bits ^ bits << 1;
        let bits = bits ^ bits << 2;
        let bits = bits ^ bits << 4;
        let bits = bits ^ bits << 8;
        let bits = bits ^ bits << 16;
        bits ^ bits << 32
    }
}

impl scalars::Blocks for Portable {
    fn masks(bytes: &[u8; 64]) -> scalars::Masks {
        let mut masks = scalars::Masks::default();
        for (at, byte) in bytes.iter().enumerate() {
            masks.comma |= u64::from(*byte == b',') << at;
            masks.digit |= u64::from(byte.is_ascii_digit()) << at;
            masks.zero |= u64::from(*byte == b'0') << at;
            masks.minus |= u64::from(*byte == b'-') << at;
            masks.point |= u64::from(*byte == b'.') << at;
        }
        masks
    }
}
