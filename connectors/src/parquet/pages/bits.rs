//! Packs whole numbers into as few bits as the largest of them needs, the first one into the lowest bits, as Parquet has it.
//!
//! Neighbours are put side by side first, two and two in registers that have room for both, and what comes out of that is written word
//! by word: the loops have no branch that depends on a value.

/// Values that are packed at a time.
pub const CHUNK: usize = 64;

/// Bits that `value` needs.
pub fn width(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

/// Appends `values`, `width` bits of each, 1 to 64: 8 bytes for each bit of the width.
pub fn pack_chunk(values: &[u64; CHUNK], width: u32, out: &mut Vec<u8>) {
    let mut words = [0u64; CHUNK];
    let count = match width {
        0..=8 => words_of(
            &fold::<16, 8>(&fold::<32, 16>(&fold::<64, 32>(values, width), width * 2), width * 4),
            width * 8,
            &mut words,
        ),
        9..=16 => words_of(&fold::<32, 16>(&fold::<64, 32>(values, width), width * 2), width * 4, &mut words),
        17..=32 => words_of(&fold::<64, 32>(values, width), width * 2, &mut words),
        _ => words_of(values, width, &mut words),
    };
    debug_assert_eq!(count, width as usize);
    let base = out.len();
    out.resize(base + count * 8, 0);
    for (bytes, word) in out[base..].as_chunks_mut::<8>().0.iter_mut().zip(&words) {
        *bytes = word.to_le_bytes();
    }
}

/// Puts two neighbours into one register; `HALF` is half of `N`.
#[inline]
fn fold<const N: usize, const HALF: usize>(values: &[u64; N], width: u32) -> [u64; HALF] {
    let mut folded = [0; HALF];
    for (at, folded) in folded.iter_mut().enumerate() {
        *folded = values[at * 2] | values[at * 2 + 1] << width;
    }
    folded
}

/// Values of `width` bits, 1 to 64, end to end; says how many words they fill. They fill whole words.
#[inline]
fn words_of<const N: usize>(values: &[u64; N], width: u32, words: &mut [u64; CHUNK]) -> usize {
    let (mut word, mut filled, mut count) = (0u64, 0u32, 0usize);
    for value in values {
        word |= value << filled;
        filled += width;
        if filled >= u64::BITS {
            words[count % CHUNK] = word;
            count += 1;
            filled -= u64::BITS;
            // Above the word's end; all of the value where the word was empty before.
            word = value.checked_shr(width - filled).unwrap_or(0);
        }
    }
    count
}

#[cfg(test)]
mod tests;
