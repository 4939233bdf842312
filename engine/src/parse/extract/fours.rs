//! Four tokens at a time for AVX-512, one in each quarter of a register: where their digits are, and the integers that these are.
//!
//! What always holds: it is reached only through a caller that was compiled for AVX-512 (F, BW, DQ, VL) and found it available; loads
//! are of sixteen bytes that lie in the bytes given.
#![allow(unsafe_code, reason = "vector instructions; each block says why it holds")]

use std::arch::x86_64::{
    __m128i, __m256i, __m512i, __mmask64, _mm_loadu_si128, _mm_setr_epi32, _mm512_add_epi64, _mm512_castsi128_si512,
    _mm512_castsi512_si256, _mm512_cmpgt_epi8_mask, _mm512_inserti32x4, _mm512_madd_epi16, _mm512_maddubs_epi16,
    _mm512_mul_epu32, _mm512_packus_epi32, _mm512_permutexvar_epi32, _mm512_permutexvar_epi64, _mm512_set1_epi16,
    _mm512_set1_epi32, _mm512_set1_epi64, _mm512_set4_epi32, _mm512_setr_epi32, _mm512_setr_epi64, _mm512_srli_epi64,
};

/// Four tokens, each with the sixteen bytes up to its end.
pub(in super::super) struct Fours {
    /// Those bytes.
    pub text: __m512i,
    /// Which of them are the token, but its sign.
    pub token: __mmask64,
    /// 1 where the token begins with a minus.
    pub negative: [u32; 4],
}

/// Four registers as the quarters of one.
///
/// # Safety
/// AVX-512 (F) is available.
#[inline(always)]
pub(in super::super) unsafe fn quarters(of: [__m128i; 4]) -> __m512i {
    // SAFETY: as the caller says.
    unsafe {
        let first = _mm512_castsi128_si512(of[0]);
        let second = _mm512_inserti32x4::<1>(first, of[1]);
        let third = _mm512_inserti32x4::<2>(second, of[2]);
        _mm512_inserti32x4::<3>(third, of[3])
    }
}

impl Fours {
    /// Loads the tokens that begin and end there.
    ///
    /// # Safety
    /// AVX-512 (F, BW) is available; each token has 1 to 16 bytes, and there are 16 bytes up to its end.
    #[inline(always)]
    pub(in super::super) unsafe fn load(bytes: &[u8], tokens: [(u32, u32); 4]) -> Self {
        // SAFETY: as the caller says.
        unsafe {
            let text = quarters(tokens.map(|(_, end)| _mm_loadu_si128(bytes.as_ptr().add(end as usize - 16).cast())));
            let negative = tokens.map(|(start, _)| u32::from(*bytes.get_unchecked(start as usize) == b'-'));
            // The last place before the digits, in every byte of a quarter.
            let before = |index: usize| {
                let (start, end) = tokens[index];
                (u32::from((15i32 - (end - start - negative[index]) as i32) as u8) * 0x0101_0101) as i32
            };
            let before = _mm_setr_epi32(before(0), before(1), before(2), before(3));
            let spread = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
            let before = _mm512_permutexvar_epi32(spread, _mm512_castsi128_si512(before));
            let places = _mm512_set4_epi32(0x0f0e_0d0c, 0x0b0a_0908, 0x0706_0504, 0x0302_0100);
            Self { text, token: _mm512_cmpgt_epi8_mask(places, before), negative }
        }
    }

    /// A bit for each token that begins with a minus.
    #[inline(always)]
    pub(in super::super) fn negative(&self) -> u8 {
        let bit = |index: usize| (self.negative[index] << index) as u8;
        bit(0) | bit(1) | bit(2) | bit(3)
    }
}

/// The integers of sixteen digits each, 0 to 9 in every byte and the last digit on top.
///
/// # Safety
/// AVX-512 (F, BW) is available.
#[inline(always)]
pub(in super::super) unsafe fn integers(digits: __m512i) -> __m256i {
    // SAFETY: as the caller says.
    unsafe {
        // Two digits, four, eight in a lane.
        let pairs = _mm512_maddubs_epi16(digits, _mm512_set1_epi16(0x010a));
        let fours = _mm512_madd_epi16(pairs, _mm512_set1_epi32(0x0001_0064));
        let eights = _mm512_madd_epi16(_mm512_packus_epi32(fours, fours), _mm512_set1_epi32(0x0001_2710));
        let upper = _mm512_mul_epu32(eights, _mm512_set1_epi64(100_000_000));
        let integers = _mm512_add_epi64(upper, _mm512_srli_epi64::<32>(eights));
        let first_of_each = _mm512_setr_epi64(0, 2, 4, 6, 0, 2, 4, 6);
        _mm512_castsi512_si256(_mm512_permutexvar_epi64(first_of_each, integers))
    }
}
