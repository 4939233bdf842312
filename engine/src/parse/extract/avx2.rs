//! The kernel for x86-64 with AVX2: comparisons of 32 bytes at a time; everything else is the common code, compiled for it.
//!
//! What always holds: its functions are reached only through a caller that was compiled for AVX2 and found it available, so the
//! instructions exist; every load is from an array of 64 bytes.
#![allow(unsafe_code, reason = "vector instructions; each block says why it holds")]

use std::arch::x86_64::{
    __m256i, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi8, _mm256_cmpeq_epi8,
    _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_setr_epi8,
    _mm256_shuffle_epi8, _mm256_sub_epi8,
};

use super::{block, scalars, scan};

/// See the module.
pub(super) struct Avx2;

/// A bit for each byte that is all ones.
#[inline(always)]
fn bits(low: __m256i, high: __m256i) -> u64 {
    // SAFETY: AVX2 is available (see the module). The assembly is empty: it only hides from the compiler that the bits come from
    // a comparison, because otherwise it computes with 64 booleans in place of one word, which takes half as long again.
    unsafe {
        let mut bits = u64::from(_mm256_movemask_epi8(low) as u32) | u64::from(_mm256_movemask_epi8(high) as u32) << 32;
        std::arch::asm!("/* {0} */", inout(reg) bits, options(pure, nomem, nostack, preserves_flags));
        bits
    }
}

#[inline(always)]
fn load(bytes: &[u8; 64]) -> [__m256i; 2] {
    // SAFETY: AVX2 is available (see the module); both loads lie inside the 64 bytes and need no alignment.
    unsafe { [_mm256_loadu_si256(bytes.as_ptr().cast()), _mm256_loadu_si256(bytes.as_ptr().add(32).cast())] }
}

#[inline(always)]
fn equal(bytes: [__m256i; 2], byte: u8) -> u64 {
    // SAFETY: AVX2 is available (see the module).
    unsafe {
        let byte = _mm256_set1_epi8(byte as i8);
        bits(_mm256_cmpeq_epi8(bytes[0], byte), _mm256_cmpeq_epi8(bytes[1], byte))
    }
}

/// Prefix xor by a carry-less multiplication with all ones.
#[inline(always)]
pub(super) fn prefix_xor(bits: u64) -> u64 {
    // SAFETY: PCLMULQDQ is available (see the module).
    unsafe {
        let product = _mm_clmulepi64_si128(_mm_set_epi64x(0, bits as i64), _mm_set1_epi8(-1), 0);
        _mm_cvtsi128_si64(product) as u64
    }
}

impl scan::Blocks for Avx2 {
    #[inline(always)]
    fn masks(bytes: &[u8; 64]) -> block::Masks {
        let halves = load(bytes);
        let each = |f: &dyn Fn(__m256i) -> __m256i| bits(f(halves[0]), f(halves[1]));
        // SAFETY: AVX2 is available (see the module).
        unsafe {
            let of = |byte: u8| _mm256_set1_epi8(byte as i8);
            // `[` and `{`, `]` and `}` differ in this bit only.
            let case = of(0x20);
            let end = |v: __m256i| {
                let close = _mm256_cmpeq_epi8(_mm256_or_si256(v, case), of(b'}'));
                _mm256_or_si256(close, _mm256_cmpeq_epi8(v, of(b',')))
            };
            // Each kind of space is looked up by its low four bits; no byte is looked up as -1, because those above 127 give 0.
            #[rustfmt::skip]
            let spaces = _mm256_setr_epi8(
                32, -1, -1, -1, -1, -1, -1, -1, -1, 9, 10, -1, -1, 13, -1, -1,
                32, -1, -1, -1, -1, -1, -1, -1, -1, 9, 10, -1, -1, 13, -1, -1,
            );
            let space = |v: __m256i| _mm256_cmpeq_epi8(_mm256_shuffle_epi8(spaces, v), v);
            let bad = |v: __m256i| {
                let control = _mm256_cmpeq_epi8(_mm256_min_epu8(v, of(0x1f)), v);
                _mm256_or_si256(control, _mm256_cmpeq_epi8(v, of(b'\\')))
            };
            let (quote, colon, array) = (equal(halves, b'"'), equal(halves, b':'), equal(halves, b'['));
            let (end, space) = (each(&end), each(&space));
            let other = !(quote | colon | array | end | space | equal(halves, b'{'));
            block::Masks { quote, colon, array, end, space, bad: each(&bad), other }
        }
    }

    #[inline(always)]
    fn close(bytes: &[u8; 64]) -> u64 {
        equal(load(bytes), b']')
    }

    #[inline(always)]
    fn non_ascii(bytes: &[u8; 64]) -> u64 {
        let halves = load(bytes);
        bits(halves[0], halves[1])
    }

    #[inline(always)]
    fn prefix_xor(bits: u64) -> u64 {
        prefix_xor(bits)
    }
}

impl scalars::Blocks for Avx2 {
    #[inline(always)]
    fn masks(bytes: &[u8; 64]) -> scalars::Masks {
        let halves = load(bytes);
        // SAFETY: AVX2 is available (see the module).
        let digit = unsafe {
            let nine = _mm256_set1_epi8(9);
            let digit = |v: __m256i| {
                let value = _mm256_sub_epi8(v, _mm256_set1_epi8(b'0' as i8));
                _mm256_cmpeq_epi8(_mm256_min_epu8(value, nine), value)
            };
            bits(digit(halves[0]), digit(halves[1]))
        };
        scalars::Masks {
            comma: equal(halves, b','),
            digit,
            zero: equal(halves, b'0'),
            minus: equal(halves, b'-'),
            point: equal(halves, b'.'),
        }
    }
}
