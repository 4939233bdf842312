//! Numbers four at a time for the AVX-512 kernel: one token in each quarter of a register.
//!
//! What always holds: it is reached only through a caller that was compiled for AVX-512 (F, BW, DQ, VL) and found it available;
//! loads are of sixteen bytes that lie in the bytes given; its results are those of [`sse::value`], its twin.
#![allow(unsafe_code, reason = "vector instructions; each block says why it holds")]

use std::arch::x86_64::{
    _CMP_NEQ_OQ, _mm_loadu_si128, _mm256_cmp_pd_mask, _mm256_cvtepi64_pd, _mm256_div_pd, _mm256_mask_xor_pd,
    _mm256_set1_pd, _mm256_setr_pd, _mm256_setzero_pd, _mm256_storeu_pd, _mm512_mask_cmpeq_epi8_mask,
    _mm512_maskz_sub_epi8, _mm512_set1_epi8, _mm512_shuffle_epi8,
};

use super::fours::{Fours, integers, quarters};
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
        let fours = Fours::load(bytes, four.each_ref().map(|number| (number.start, number.end)));
        let (text, token) = (fours.text, fours.token);
        let points = _mm512_mask_cmpeq_epi8_mask(token, text, _mm512_set1_epi8(b'.' as i8));
        let point = |index: u32| ((points >> (16 * index)) as u32 & 0xffff | 1 << 16).trailing_zeros() as usize;
        let point = [point(0), point(1), point(2), point(3)];
        let digits = _mm512_maskz_sub_epi8(token, text, _mm512_set1_epi8(b'0' as i8));
        let rows = point.map(|point| _mm_loadu_si128(SQUEEZE.0.as_ptr().add(point).cast()));
        let digits = _mm512_shuffle_epi8(digits, quarters(rows));
        let integers = integers(digits);
        let divisor = |index: usize| *DIVISORS.get_unchecked(point[index]);
        let divisors = _mm256_setr_pd(divisor(0), divisor(1), divisor(2), divisor(3));
        let values = _mm256_div_pd(_mm256_cvtepi64_pd(integers), divisors);
        // An integer is one, so there is no -0.
        let with_point = |index: usize| u8::from(point[index] < 16) << index;
        let with_point = with_point(0) | with_point(1) | with_point(2) | with_point(3);
        let not_zero = _mm256_cmp_pd_mask::<_CMP_NEQ_OQ>(values, _mm256_setzero_pd());
        let minus = fours.negative() & (not_zero | with_point);
        let values = _mm256_mask_xor_pd(values, minus, values, _mm256_set1_pd(-0.0));
        let mut out = [0.0; 4];
        _mm256_storeu_pd(out.as_mut_ptr(), values);
        out
    }
}
