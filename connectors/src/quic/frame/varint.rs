//! QUIC's variable-length integers (RFC 9000, section 16): two bits say the length, 6 to 62 bits follow, most significant first.

/// Largest value.
pub const MAX: u64 = (1 << 62) - 1;
/// Longest form.
pub const BYTES_MAX: usize = 8;

/// Bytes of the shortest form of `value`.
#[inline]
pub const fn len(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

/// Writes the shortest form at the start of `out`, which has room for it. Values above [`MAX`] are written as [`MAX`].
#[inline]
pub fn write(out: &mut [u8], value: u64) {
    let value = value.min(MAX);
    match len(value) {
        1 => out[0] = value as u8,
        2 => out[..2].copy_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        4 => out[..4].copy_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out[..8].copy_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

/// Appends the shortest form. Values above [`MAX`] are written as [`MAX`].
#[inline]
pub fn put(out: &mut Vec<u8>, value: u64) {
    let mut room = [0; BYTES_MAX];
    write(&mut room, value);
    out.extend_from_slice(&room[..len(value)]);
}

/// The value at the start of `bytes` and the bytes that it takes, in whichever form; `None` if they end first.
#[inline]
pub fn get(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let len = 1 << (first >> 6);
    let rest = bytes.get(1..len)?;
    let value = rest.iter().fold(u64::from(first & 0x3f), |value, byte| value << 8 | u64::from(*byte));
    Some((value, len))
}
