//! BYTE_STREAM_SPLIT: the first bytes of all values, then the second bytes of all, and so on. Signs and exponents come to lie together,
//! where they compress.

/// Appends values of 8 bytes.
pub fn encode_64(values: impl ExactSizeIterator<Item = u64>, out: &mut Vec<u8>) {
    let count = values.len();
    let base = out.len();
    out.resize(base + count * 8, 0);
    if count == 0 {
        return;
    }
    let mut rest = out[base..].chunks_exact_mut(count);
    let mut streams: [&mut [u8]; 8] = std::array::from_fn(|_| rest.next().unwrap_or_default());
    let mut values = values;
    let mut at = 0;
    while at + 8 <= count {
        let block = transposed(std::array::from_fn(|_| values.next().unwrap_or_default()));
        for (stream, bytes) in streams.iter_mut().zip(block) {
            stream[at..at + 8].copy_from_slice(&bytes.to_le_bytes());
        }
        at += 8;
    }
    for value in values {
        for (stream, byte) in streams.iter_mut().zip(value.to_le_bytes()) {
            stream[at] = byte;
        }
        at += 1;
    }
}

/// Appends values of 4 bytes.
pub fn encode_32(values: impl ExactSizeIterator<Item = u32>, out: &mut Vec<u8>) {
    let count = values.len();
    let base = out.len();
    out.resize(base + count * 4, 0);
    if count == 0 {
        return;
    }
    let mut rest = out[base..].chunks_exact_mut(count);
    let mut streams: [&mut [u8]; 4] = std::array::from_fn(|_| rest.next().unwrap_or_default());
    for (at, value) in values.enumerate() {
        for (stream, byte) in streams.iter_mut().zip(value.to_le_bytes()) {
            stream[at] = byte;
        }
    }
}

/// Byte `c` of row `r` becomes byte `r` of row `c`: blocks of four bytes change places, then of two, then single ones.
#[inline]
fn transposed(mut rows: [u64; 8]) -> [u64; 8] {
    for (half, shift, mask) in
        [(4, 32, 0x0000_0000_ffff_ffff), (2, 16, 0x0000_ffff_0000_ffff), (1, 8, 0x00ff_00ff_00ff_00ff)]
    {
        for upper in 0..8 {
            if upper & half == 0 {
                let (a, b) = (rows[upper], rows[upper + half]);
                let swapped: u64 = (a >> shift ^ b) & mask;
                rows[upper] = a ^ swapped << shift;
                rows[upper + half] = b ^ swapped;
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests;
