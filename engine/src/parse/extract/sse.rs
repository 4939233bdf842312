//! Numbers of up to sixteen bytes in one register of x86-64: the twin of [`number::value`] for the kernels that have SSE4.1.
//!
//! What always holds: it is reached only through a caller that was compiled for AVX2; the load lies inside the bytes given.
#![allow(unsafe_code, reason = "vector instructions; each block says why it holds")]

use std::arch::x86_64::{
    _mm_and_si128, _mm_cmpeq_epi8, _mm_cmpgt_epi8, _mm_cvtsi128_si64, _mm_load_si128, _mm_loadu_si128, _mm_madd_epi16,
    _mm_maddubs_epi16, _mm_movemask_epi8, _mm_packus_epi32, _mm_set1_epi8, _mm_set1_epi16, _mm_set1_epi32,
    _mm_setr_epi8, _mm_shuffle_epi8, _mm_sub_epi8,
};

use super::super::number;
use super::Aligned;

/// Row `k` moves the bytes before place `k` up by one, over the point that stands there; the last row changes nothing.
pub(super) static SQUEEZE: Aligned<[[u8; 16]; 17]> = Aligned({
    let mut rows = [[0; 16]; 17];
    let mut point = 0;
    while point <= 16 {
        let mut at = 0;
        while at < 16 {
            rows[point][at] = if point == 16 || at > point {
                at as u8
            } else if at == 0 {
                0x80
            } else {
                at as u8 - 1
            };
            at += 1;
        }
        point += 1;
    }
    rows
});

/// What to divide by if the point stands at place `k`.
pub(super) static DIVISORS: [f64; 17] = {
    let mut divisors = [1.0; 17];
    let mut point = 0;
    while point < 16 {
        divisors[point] = number::POWERS[15 - point];
        point += 1;
    }
    divisors
};

/// The value of a scalar `bytes[start..end]` that is a number without exponent; for one that is none, some number.
#[inline(always)]
pub(super) fn value(bytes: &[u8], start: usize, end: usize) -> f64 {
    let negative = bytes[start] == b'-';
    let len = end - start - usize::from(negative);
    let before = end.checked_sub(16).and_then(|from| bytes.get(from..end)?.first_chunk::<16>());
    let (Some(before), true) = (before, len <= 16) else { return number::slow(&bytes[start..end]) };
    // SAFETY: SSE4.1 is part of AVX2, which is available (see the module); the load is of an array of 16 bytes; `SQUEEZE` is
    // aligned and has 17 rows, and `point` is 16 at most.
    let (digits, point) = unsafe {
        let text = _mm_loadu_si128(before.as_ptr().cast());
        let places = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let token = _mm_cmpgt_epi8(places, _mm_set1_epi8(15 - len as i8));
        let points = _mm_and_si128(_mm_cmpeq_epi8(text, _mm_set1_epi8(b'.' as i8)), token);
        let point = (_mm_movemask_epi8(points) as u32 | 1 << 16).trailing_zeros() as usize;
        let digits = _mm_and_si128(_mm_sub_epi8(text, _mm_set1_epi8(b'0' as i8)), token);
        let digits = _mm_shuffle_epi8(digits, _mm_load_si128(SQUEEZE.0.as_ptr().add(point).cast()));
        // Two digits, four, eight in a lane.
        let pairs = _mm_maddubs_epi16(digits, _mm_set1_epi16(0x010a));
        let fours = _mm_madd_epi16(pairs, _mm_set1_epi32(0x0001_0064));
        let eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), _mm_set1_epi32(0x0001_2710));
        (_mm_cvtsi128_si64(eights) as u64, point)
    };
    let integer = (digits & 0xffff_ffff) * 100_000_000 + (digits >> 32);
    let value = integer as i64 as f64 / DIVISORS[point];
    // An integer is one, so there is no -0.
    let sign = u64::from(negative && (integer != 0 || point < 16)) << 63;
    f64::from_bits(value.to_bits() ^ sign)
}
