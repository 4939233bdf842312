//! The kernel for x86-64 with AVX-512: the kinds of 64 bytes by one look-up in registers, and the skeleton, the holes and the
//! scalars packed by compress instructions.
//!
//! What always holds: its functions are reached only through a caller that was compiled for AVX-512 (F, BW, VL, VBMI, VBMI2) and
//! found it available; loads are masked to the bytes of the event, so nothing is read behind it; stores are of whole registers
//! into buffers that keep room for one behind what was written.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512i, _mm512_add_epi16, _mm512_castsi512_si256, _mm512_cmpeq_epi8_mask, _mm512_cmple_epu8_mask,
    _mm512_cvtepu8_epi16, _mm512_load_si512, _mm512_loadu_si512, _mm512_mask_mov_epi8, _mm512_maskz_compress_epi8,
    _mm512_maskz_loadu_epi8, _mm512_permutex2var_epi8, _mm512_set1_epi8, _mm512_set1_epi16, _mm512_storeu_si512,
    _mm512_sub_epi8, _mm512_test_epi8_mask,
};

use super::avx2::prefix_xor;
use super::block::{Carry, Masks, step};
use super::portable::{ASCII_KINDS, KIND_BITS};
use super::scan::{HOLES_MAX, Scalars, Scan};
use super::{Aligned, scalars};

/// 0, 1, 2 … 63.
static PLACES: Aligned<[u8; 64]> = Aligned({
    let mut places = [0; 64];
    let mut at = 0;
    while at < 64 {
        places[at] = at as u8;
        at += 1;
    }
    places
});

/// Scans the event in `bytes[start..start + len]`. False: it is none for the fast path. See [`scan`](super::scan::scan), its
/// twin.
#[inline(always)]
pub(super) fn scan(bytes: &[u8], start: usize, len: usize, out: &mut Scan, scalars: &mut Scalars) -> bool {
    let event = &bytes[start..start + len];
    assert!(scalars.bytes.len() >= scalars.len + len + 128 && out.skeleton.len() >= len + 64);
    assert!(out.starts.len() >= HOLES_MAX + 64 && out.ends.len() >= HOLES_MAX + 64);
    // SAFETY: the instructions are available (see the module). The tables are 64-byte aligned. `event` is read through masks
    // that end with it. Each block moves the write positions by 64 bytes at most and stores 64 bytes (32 places) there: the
    // skeleton has room for the event and a block, the scalars for that behind their length, the places for 64 more than are
    // allowed, by the assertions above and the check of each block.
    unsafe {
        let low = _mm512_load_si512(ASCII_KINDS.0.as_ptr().cast());
        let high = _mm512_load_si512(ASCII_KINDS.0.as_ptr().add(64).cast());
        let places = _mm512_load_si512(PLACES.0.as_ptr().cast());
        let comma = _mm512_set1_epi8(b',' as i8);
        let kind = KIND_BITS.map(|bit| _mm512_set1_epi8(bit as i8));
        let mut carry = Carry::default();
        let (mut kept, mut starts, mut ends, mut behind) = (0, 0, 0, scalars.len);
        let (mut flag, mut non_ascii) = (0, 0);
        let mut at = 0;
        while at < len {
            let left = len - at;
            let valid = if left >= 64 { !0 } else { (1u64 << left) - 1 };
            let block = _mm512_maskz_loadu_epi8(valid, event.as_ptr().add(at).cast());
            // The look-up takes seven bits, so a byte above 127 gets the kind of another: it is taken away again.
            let ascii = !std::arch::x86_64::_mm512_movepi8_mask(block) & valid;
            non_ascii |= !ascii & valid;
            let kinds = _mm512_permutex2var_epi8(low, block, high);
            let of = |index: usize| _mm512_test_epi8_mask(kinds, kind[index]) & ascii;
            let masks =
                Masks { quote: of(0), colon: of(1), open: of(2), array: of(3), end: of(4), space: of(5), bad: of(6) };
            let found = step(&masks, prefix_xor(masks.quote), valid, &mut carry);
            flag |= found.flag;
            if starts > HOLES_MAX - 64 || ends > HOLES_MAX - 64 {
                return false;
            }
            store(out.skeleton.as_mut_ptr().add(kept), _mm512_maskz_compress_epi8(found.keep, block));
            kept += found.keep.count_ones() as usize;
            let base = _mm512_set1_epi16(at as i16);
            let wide = |bits: u64| {
                let packed = _mm512_castsi512_si256(_mm512_maskz_compress_epi8(bits, places));
                _mm512_add_epi16(base, _mm512_cvtepu8_epi16(packed))
            };
            // A hole and what parts it from the next one are two bytes at least, so a block has 32 of them at most.
            store(out.starts.as_mut_ptr().add(starts).cast(), wide(found.starts));
            starts += found.starts.count_ones() as usize;
            store(out.ends.as_mut_ptr().add(ends).cast(), wide(found.ends));
            ends += found.ends.count_ones() as usize;
            let with_comma = _mm512_mask_mov_epi8(block, found.scalar_ends, comma);
            let bits = found.scalar | found.scalar_ends;
            store(scalars.bytes.as_mut_ptr().add(behind), _mm512_maskz_compress_epi8(bits, with_comma));
            behind += bits.count_ones() as usize;
            at += 64;
        }
        if flag != 0 || carry.is_open() || starts != ends {
            return false;
        }
        out.skeleton_len = kept;
        out.holes = starts;
        out.non_ascii = non_ascii != 0;
        scalars.len = behind;
    }
    true
}

/// Stores 64 bytes.
///
/// # Safety
/// AVX-512 is available and 64 bytes may be written there.
#[inline(always)]
unsafe fn store(to: *mut u8, value: __m512i) {
    // SAFETY: as the caller says.
    unsafe { _mm512_storeu_si512(to.cast(), value) }
}

/// See the module.
pub(super) struct Avx512;

impl scalars::Blocks for Avx512 {
    #[inline(always)]
    fn masks(bytes: &[u8; 64]) -> scalars::Masks {
        // SAFETY: AVX-512 is available (see the module); the load lies inside the 64 bytes.
        unsafe {
            let block = _mm512_loadu_si512(bytes.as_ptr().cast());
            let equal = |byte: u8| _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8(byte as i8));
            let value = _mm512_sub_epi8(block, _mm512_set1_epi8(b'0' as i8));
            scalars::Masks {
                comma: equal(b','),
                digit: _mm512_cmple_epu8_mask(value, _mm512_set1_epi8(9)),
                zero: equal(b'0'),
                minus: equal(b'-'),
                point: equal(b'.'),
            }
        }
    }
}
