//! Numbers four at a time for the AVX-512 kernel: one token in each quarter of a register.
//!
//! What always holds: it is reached only through a caller that was compiled for AVX-512 (F, BW, DQ, VL) and found it available;
//! loads are of sixteen bytes that lie in the bytes given; its results are those of [`sse::value`], its twin.
#![allow(unsafe_code, reason = "vector instructions; each block says why it holds")]

use std::arch::x86_64::{
    __m128i, __m512i, _CMP_NEQ_OQ, _mm_loadu_si128, _mm_setr_epi32, _mm256_cmp_pd_mask, _mm256_cvtepi64_pd,
    _mm256_div_pd, _mm256_mask_xor_pd, _mm256_set1_pd, _mm256_setr_pd, _mm256_setzero_pd, _mm256_storeu_pd,
    _mm512_add_epi64, _mm512_castsi128_si512, _mm512_castsi512_si256, _mm512_cmpgt_epi8_mask, _mm512_inserti32x4,
    _mm512_madd_epi16, _mm512_maddubs_epi16, _mm512_mask_cmpeq_epi8_mask, _mm512_maskz_sub_epi8, _mm512_mul_epu32,
    _mm512_packus_epi32, _mm512_permutexvar_epi32, _mm512_permutexvar_epi64, _mm512_set1_epi8, _mm512_set1_epi16,
    _mm512_set1_epi32, _mm512_set1_epi64, _mm512_set4_epi32, _mm512_setr_epi32, _mm512_setr_epi64, _mm512_shuffle_epi8,
    _mm512_srli_epi64,
};

use super::sse::{self, DIVISORS, SQUEEZE};
use super::{Columns, Pending};

/// Converts all, and puts them into their cells.
#[inline(always)]
pub(super) fn convert(bytes: &[u8], pending: &[Pending], columns: &mut Columns) {
    let (fours, rest) = pending.as_chunks::<4>();
    for four in fours {
        let fits = four.iter().all(|number| {
            let len = number.end - number.start;
            number.end >= 16 && len <= 16 && number.end as usize <= bytes.len()
        });
        if fits {
            // SAFETY: AVX-512 is available (see the module), and every token has up to 16 bytes and 16 bytes up to its end.
            let values = unsafe { values(bytes, four) };
            for (number, value) in four.iter().zip(values) {
                columns.set_value(number.cell, value.to_bits());
            }
        } else {
            one_by_one(bytes, four, columns);
        }
    }
    one_by_one(bytes, rest, columns);
}

#[inline(always)]
fn one_by_one(bytes: &[u8], pending: &[Pending], columns: &mut Columns) {
    for number in pending {
        let value = sse::value(bytes, number.start as usize, number.end as usize);
        columns.set_value(number.cell, value.to_bits());
    }
}

/// # Safety
/// AVX-512 (F, BW, DQ, VL) is available; each token has 1 to 16 bytes, and there are 16 bytes up to its end.
#[inline(always)]
unsafe fn values(bytes: &[u8], four: &[Pending; 4]) -> [f64; 4] {
    // SAFETY: as the caller says; `SQUEEZE` has 17 rows of 16 bytes and `DIVISORS` 17 entries, and a place is 16 at most.
    unsafe {
        let quarters = |of: [__m128i; 4]| -> __m512i {
            let first = _mm512_castsi128_si512(of[0]);
            let second = _mm512_inserti32x4::<1>(first, of[1]);
            let third = _mm512_inserti32x4::<2>(second, of[2]);
            _mm512_inserti32x4::<3>(third, of[3])
        };
        let at = |place: usize| _mm_loadu_si128(bytes.as_ptr().add(place).cast());
        let text = quarters(four.map(|number| at(number.end as usize - 16)));
        let negative = four.map(|number| u32::from(*bytes.get_unchecked(number.start as usize) == b'-'));
        // The last place before the digits, in every byte of a quarter.
        let before = |index: usize| {
            let len = four[index].end - four[index].start - negative[index];
            (u32::from((15i32 - len as i32) as u8) * 0x0101_0101) as i32
        };
        let before = _mm_setr_epi32(before(0), before(1), before(2), before(3));
        let spread = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
        let before = _mm512_permutexvar_epi32(spread, _mm512_castsi128_si512(before));
        let places = _mm512_set4_epi32(0x0f0e_0d0c, 0x0b0a_0908, 0x0706_0504, 0x0302_0100);
        let token = _mm512_cmpgt_epi8_mask(places, before);
        let points = _mm512_mask_cmpeq_epi8_mask(token, text, _mm512_set1_epi8(b'.' as i8));
        let point = |index: u32| ((points >> (16 * index)) as u32 & 0xffff | 1 << 16).trailing_zeros() as usize;
        let point = [point(0), point(1), point(2), point(3)];
        let digits = _mm512_maskz_sub_epi8(token, text, _mm512_set1_epi8(b'0' as i8));
        let rows = point.map(|point| _mm_loadu_si128(SQUEEZE.0.as_ptr().add(point).cast()));
        let digits = _mm512_shuffle_epi8(digits, quarters(rows));
        // Two digits, four, eight in a lane.
        let pairs = _mm512_maddubs_epi16(digits, _mm512_set1_epi16(0x010a));
        let fours = _mm512_madd_epi16(pairs, _mm512_set1_epi32(0x0001_0064));
        let eights = _mm512_madd_epi16(_mm512_packus_epi32(fours, fours), _mm512_set1_epi32(0x0001_2710));
        let upper = _mm512_mul_epu32(eights, _mm512_set1_epi64(100_000_000));
        let integers = _mm512_add_epi64(upper, _mm512_srli_epi64::<32>(eights));
        let first_of_each = _mm512_setr_epi64(0, 2, 4, 6, 0, 2, 4, 6);
        let integers = _mm512_castsi512_si256(_mm512_permutexvar_epi64(first_of_each, integers));
        let divisor = |index: usize| *DIVISORS.get_unchecked(point[index]);
        let divisors = _mm256_setr_pd(divisor(0), divisor(1), divisor(2), divisor(3));
        let values = _mm256_div_pd(_mm256_cvtepi64_pd(integers), divisors);
        // An integer is one, so there is no -0.
        let bit = |index: usize| (negative[index] << index) as u8;
        let negative = bit(0) | bit(1) | bit(2) | bit(3);
        let with_point = |index: usize| u8::from(point[index] < 16) << index;
        let with_point = with_point(0) | with_point(1) | with_point(2) | with_point(3);
        let not_zero = _mm256_cmp_pd_mask::<_CMP_NEQ_OQ>(values, _mm256_setzero_pd());
        let minus = negative & (not_zero | with_point);
        let values = _mm256_mask_xor_pd(values, minus, values, _mm256_set1_pd(-0.0));
        let mut out = [0.0; 4];
        _mm256_storeu_pd(out.as_mut_ptr(), values);
        out
    }
}
