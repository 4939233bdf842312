//! Whole numbers of a column at once: cells with digits as they are written become 64 bits.
//!
//! What always holds: what comes of a cell is what `whole` makes of it, the twin, whatever the kernel; vectors are used only on a
//! machine that has them, and load nothing but bytes of the batch.
#![allow(unsafe_code, reason = "vector instructions; each block says why it holds")]

use super::column::{Span, Tag};
use super::kernel::Kernel;
use super::number::whole;

/// Turns the cells of a column that asked for [digits](super::Fields::add_digits) into numbers: their tags and values, the bytes of
/// the batch and the columns' own text. A cell that is a whole number of 64 bits has that as its value afterwards, and `found` is 1
/// there; any other one stays as it is, with 0.
pub fn wholes(kernel: Kernel, tags: &[Tag], values: &mut [u64], bytes: &[u8], own: &[u8], found: &mut [u8]) {
    match kernel {
        // SAFETY: it is available.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        Kernel::Avx512 if kernel.is_available() => unsafe { vectors::wholes(tags, values, bytes, own, found) },
        _ => one_by_one(tags, values, bytes, own, found),
    }
}

#[inline(always)]
fn one_by_one(tags: &[Tag], values: &mut [u64], bytes: &[u8], own: &[u8], found: &mut [u8]) {
    for ((tag, value), found) in tags.iter().zip(values).zip(found) {
        let of = |text: &[u8]| {
            let Span { start, len } = Span::unpack(*value);
            whole(text, start as usize, (start + len) as usize)
        };
        let number = match tag {
            Tag::Digits => of(bytes),
            Tag::OwnDigits => of(own),
            _ => None,
        };
        *value = number.map_or(*value, |number| number as u64);
        *found = u8::from(number.is_some());
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod vectors {
    use std::arch::x86_64::{
        _mm256_mask_sub_epi64, _mm256_setzero_si256, _mm256_storeu_si256, _mm512_mask_cmpgt_epu8_mask,
        _mm512_maskz_sub_epi8, _mm512_set1_epi8,
    };

    use super::super::extract::{Fours, integers};
    use super::{Span, Tag, one_by_one};

    /// Four cells at a time, where all are short numbers of the batch.
    ///
    /// # Safety
    /// AVX-512 (F, BW, DQ, VL) is available.
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) unsafe fn wholes(tags: &[Tag], values: &mut [u64], bytes: &[u8], own: &[u8], found: &mut [u8]) {
        let len = tags.len().min(values.len()).min(found.len());
        let (tags, rest_tags) = tags[..len].as_chunks::<4>();
        let (values, rest_values) = values[..len].as_chunks_mut::<4>();
        let (found, rest_found) = found[..len].as_chunks_mut::<4>();
        for ((tags, values), found) in tags.iter().zip(values).zip(found) {
            let spans = values.map(Span::unpack);
            let fits = |span: &Span| {
                let end = u64::from(span.start) + u64::from(span.len);
                (1..=16).contains(&span.len) && (16..=bytes.len() as u64).contains(&end)
            };
            if *tags == [Tag::Digits; 4] && spans.iter().all(fits) {
                // SAFETY: AVX-512 is available, and every span has up to 16 bytes, and 16 bytes of the batch up to its end.
                let (numbers, are_whole) = unsafe { four(bytes, &spans) };
                for at in 0..4 {
                    let is_whole = are_whole >> at & 1 == 1;
                    values[at] = if is_whole { numbers[at] } else { values[at] };
                    found[at] = u8::from(is_whole);
                }
            } else {
                one_by_one(tags, values, bytes, own, found);
            }
        }
        one_by_one(rest_tags, rest_values, bytes, own, rest_found);
    }

    /// Four numbers, and a bit for each one that is nothing but digits behind its sign.
    ///
    /// # Safety
    /// AVX-512 (F, BW, DQ, VL) is available; each span has 1 to 16 bytes, and there are 16 bytes up to its end.
    #[inline(always)]
    unsafe fn four(bytes: &[u8], spans: &[Span; 4]) -> ([u64; 4], u32) {
        // SAFETY: as the caller says.
        unsafe {
            let fours = Fours::load(bytes, spans.map(|span| (span.start, span.start + span.len)));
            let digits = _mm512_maskz_sub_epi8(fours.token, fours.text, _mm512_set1_epi8(b'0' as i8));
            let others = _mm512_mask_cmpgt_epu8_mask(fours.token, digits, _mm512_set1_epi8(9));
            let numbers = integers(digits);
            let numbers = _mm256_mask_sub_epi64(numbers, fours.negative(), _mm256_setzero_si256(), numbers);
            let is_whole = |index: usize| u32::from((others >> (16 * index)) as u16 == 0) << index;
            let mut out = [0; 4];
            _mm256_storeu_si256(out.as_mut_ptr().cast(), numbers);
            (out, is_whole(0) | is_whole(1) | is_whole(2) | is_whole(3))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tokens as the grammar of JSON has them, of every length and with everything that makes one no whole number.
    fn token() -> impl Strategy<Value = String> {
        prop_oneof![
            "-?(0|[1-9][0-9]{0,19})",
            "-?(0|[1-9][0-9]{0,9})\\.[0-9]{1,8}",
            "-?(0|[1-9][0-9]{0,9})[eE][+-]?[0-9]{1,2}",
            Just(i64::MIN.to_string()),
            Just(u64::MAX.to_string()),
            Just("-0".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn every_kernel_has_what_its_twin_has(
            tokens in prop::collection::vec((token(), 0..4u8), 0..40), front in 0..20usize,
        ) {
            let mut texts = [vec![b'"'; front], vec![b','; front]];
            let (mut tags, mut cells) = (Vec::new(), Vec::new());
            for (token, kind) in &tokens {
                // Most lie in the batch.
                let (tag, text) = match kind {
                    0 => (Tag::OwnDigits, &mut texts[1]),
                    _ => (Tag::Digits, &mut texts[0]),
                };
                let tag = if *kind == 1 && token.len() == 3 { Tag::Missing } else { tag };
                tags.push(tag);
                cells.push(Span { start: text.len() as u32, len: token.len() as u32 }.pack());
                text.extend_from_slice(token.as_bytes());
                text.push(b',');
            }
            for kernel in Kernel::ALL {
                let (mut values, mut found) = (cells.clone(), vec![7; cells.len()]);
                wholes(kernel, &tags, &mut values, &texts[0], &texts[1], &mut found);
                for at in 0..cells.len() {
                    let is_number = tags[at] != Tag::Missing;
                    let expected: Option<i64> = tokens[at].0.parse().ok().filter(|_| is_number);
                    prop_assert_eq!(found[at], u8::from(expected.is_some()), "{} {:?}", kernel.name(), tokens[at]);
                    prop_assert_eq!(values[at], expected.map_or(cells[at], |number| number as u64), "{:?}", tokens[at]);
                }
            }
        }
    }
}
