//! Kafka's variable-length integers: zig-zag, seven bits a byte, least significant first.

/// Appends `value`.
#[inline]
pub fn put(out: &mut Vec<u8>, value: i64) {
    let mut z = ((value << 1) ^ (value >> 63)) as u64;
    while z >= 0x80 {
        out.push(z as u8 | 0x80);
        z >>= 7;
    }
    out.push(z as u8);
}

/// Bytes that [`put`] writes for `value`.
#[inline]
pub fn len(value: i64) -> usize {
    let z = ((value << 1) ^ (value >> 63)) as u64;
    (64 - (z | 1).leading_zeros() as usize).div_ceil(7)
}

/// Reads one value at `*at` and moves `*at` behind it; `None` if the bytes end first or it is longer than 64 bits.
#[inline]
pub fn get(bytes: &[u8], at: &mut usize) -> Option<i64> {
    // Nearly all of them: lengths of names and keys, deltas, nulls.
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(i64::from(first >> 1) ^ -i64::from(first & 1));
    }
    get_long(bytes, at)
}

fn get_long(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let mut z = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if shift == 63 && byte > 1 {
            return None;
        }
        z |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((z >> 1) as i64 ^ -((z & 1) as i64));
        }
    }
    None
}
