//! Sixteen bytes at once, for the walker: where a string or a number may end, without a loop whose end has to be guessed.
#![allow(unsafe_code, reason = "vector instructions that every x86-64 has; each block says why it holds")]

/// A bit for each byte that is `0` to `9`.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
pub(super) fn digits(bytes: &[u8; 16]) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_set1_epi8, _mm_sub_epi8,
    };
    // SAFETY: SSE2 is part of x86-64; the load is of an array of 16 bytes.
    unsafe {
        let text = _mm_loadu_si128(bytes.as_ptr().cast());
        let value = _mm_sub_epi8(text, _mm_set1_epi8(b'0' as i8));
        _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(value, _mm_set1_epi8(9)), value)) as u32
    }
}

/// A bit for each byte that is a quote, a backslash or a control character.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
pub(super) fn specials(bytes: &[u8; 16]) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    // SAFETY: SSE2 is part of x86-64; the load is of an array of 16 bytes.
    unsafe {
        let text = _mm_loadu_si128(bytes.as_ptr().cast());
        let is = |byte: u8| _mm_cmpeq_epi8(text, _mm_set1_epi8(byte as i8));
        let control = _mm_cmpeq_epi8(_mm_min_epu8(text, _mm_set1_epi8(0x1f)), text);
        _mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(is(b'"'), is(b'\\')))) as u32
    }
}

/// A bit for each byte that is `0` to `9`.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
pub(super) fn digits(bytes: &[u8; 16]) -> u32 {
    bits(bytes, |byte| byte.is_ascii_digit())
}

/// A bit for each byte that is a quote, a backslash or a control character.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
pub(super) fn specials(bytes: &[u8; 16]) -> u32 {
    bits(bytes, |byte| byte == b'"' || byte == b'\\' || byte < 0x20)
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn bits(bytes: &[u8; 16], is: impl Fn(u8) -> bool) -> u32 {
    bytes.iter().enumerate().fold(0, |bits, (at, byte)| bits | u32::from(is(*byte)) << at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place() {
        for place in 0..16 {
            for byte in 0..=255u8 {
                let mut bytes = [b'x'; 16];
                bytes[place] = byte;
                assert_eq!(digits(&bytes), u32::from(byte.is_ascii_digit()) << place);
                let special = byte == b'"' || byte == b'\\' || byte < 0x20;
                assert_eq!(specials(&bytes), u32::from(special) << place);
            }
        }
    }
}
