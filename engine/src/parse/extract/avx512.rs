//! The kernel for x86-64 with AVX-512: the kinds of 64 bytes by one look-up in registers, and the skeleton, the holes and the
//! scalars packed by compress instructions.
//!
//! What always holds: its functions are reached only through a caller that was compiled for AVX-512 (F, BW, VL, VBMI, VBMI2) and
//! found it available; loads are masked to the bytes of the event, so nothing is read behind it; stores are of whole registers
//! into buffers that keep room for one behind what was written.
#![allow(unsafe_code, reason = "vector instructions; each block says why it holds")]

use std::arch::x86_64::{
    __m512i, _mm512_add_epi16, _mm512_castsi512_si256, _mm512_cmpeq_epi8_mask, _mm512_cmple_epu8_mask,
    _mm512_cvtepu8_epi16, _mm512_load_si512, _mm512_loadu_si512, _mm512_mask_mov_epi8, _mm512_maskz_compress_epi8,
    _mm512_maskz_loadu_epi8, _mm512_maskz_permutex2var_epi8, _mm512_movepi8_mask, _mm512_set1_epi8, _mm512_set1_epi16,
    _mm512_storeu_si512, _mm512_sub_epi8, _mm512_test_epi8_mask,
};

use super::avx2::prefix_xor;
use super::block::{Carry, Masks, step};
use super::portable::{ASCII_KINDS, KIND_BITS};
use super::scan::{BLOCK_EDGES_MAX, EDGES_MAX, Scalars, Scan, Scanned};
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

/// Scans the event in `bytes[start..start + len]`. See [`scan`](super::scan::scan), its twin.
#[inline(always)]
pub(super) fn scan(bytes: &[u8], start: usize, len: usize, out: &mut Scan, scalars: &mut Scalars) -> Option<Scanned> {
    let event = &bytes[start..start + len];
    assert!(out.has_room(len) && scalars.bytes.len() >= scalars.len + len + 128);
    let mut carry = Carry::default();
    let mut at = Progress {
        kept: out.skeletons_len,
        edges: out.edges_len,
        scalars: scalars.len,
        flag: 0,
        most: 0,
        non_ascii: 0,
    };
    let edges_max = out.edges_len + EDGES_MAX - 64;
    let places = Buffers {
        skeletons: out.skeletons.as_mut_ptr(),
        edges: out.edges.as_mut_ptr(),
        scalars: scalars.bytes.as_mut_ptr(),
    };
    let (blocks, rest) = event.as_chunks::<64>();
    for (index, bytes) in blocks.iter().enumerate() {
        // SAFETY: the instructions are available (see the module). Each block moves the write positions by 64 bytes (32 edges)
        // at most and stores 64 bytes there: the skeleton has room for the event and two blocks, the scalars for that behind
        // their length, the edges for a block more than are allowed, by the assertion above and the check below.
        unsafe {
            let bytes = _mm512_loadu_si512(bytes.as_ptr().cast());
            block(bytes, !0, index as i16 * 64, &mut carry, &mut at, &places);
        }
        if at.edges > edges_max {
            return None;
        }
    }
    if !rest.is_empty() {
        let valid = (1u64 << rest.len()) - 1;
        // SAFETY: as above; the load is masked to the bytes that are there.
        unsafe {
            let bytes = _mm512_maskz_loadu_epi8(valid, rest.as_ptr().cast());
            block(bytes, valid, blocks.len() as i16 * 64, &mut carry, &mut at, &places);
        }
    }
    if at.flag != 0 || at.most > BLOCK_EDGES_MAX || carry.is_open() || !(at.edges - out.edges_len).is_multiple_of(2) {
        return None;
    }
    scalars.len = at.scalars;
    Some(out.finish(at.kept, at.edges, at.non_ascii != 0, carry.has_arrays()))
}

/// Where the next block writes, and what the blocks so far had.
struct Progress {
    kept: usize,
    edges: usize,
    scalars: usize,
    flag: u64,
    /// All counts of edges in a block, or'ed: at least the greatest, and below 32 if all are.
    most: u32,
    non_ascii: u64,
}

/// Where the buffers start.
struct Buffers {
    skeletons: *mut u8,
    edges: *mut u16,
    scalars: *mut u8,
}

/// One block of an event, of which the bytes in `valid` are there and the others are 0.
///
/// # Safety
/// AVX-512 is available, and 64 bytes may be written at each position.
#[inline(always)]
unsafe fn block(bytes: __m512i, valid: u64, base: i16, carry: &mut Carry, at: &mut Progress, to: &Buffers) {
    // SAFETY: as the caller says; the tables are 64-byte aligned.
    unsafe {
        let low = _mm512_load_si512(ASCII_KINDS.0.as_ptr().cast());
        let high = _mm512_load_si512(ASCII_KINDS.0.as_ptr().add(64).cast());
        // The look-up takes seven bits; bytes above 127 and those that are not there get no kind.
        let non_ascii = _mm512_movepi8_mask(bytes);
        let kinds = _mm512_maskz_permutex2var_epi8(valid & !non_ascii, low, bytes, high);
        let of = |index: usize| _mm512_test_epi8_mask(kinds, _mm512_set1_epi8(KIND_BITS[index] as i8));
        let masks =
            Masks { quote: of(0), colon: of(1), array: of(2), end: of(3), space: of(4), bad: of(5), other: of(6) };
        let close = || _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(b']' as i8));
        let found = step(&masks, prefix_xor(masks.quote), valid, carry, close);
        at.flag |= found.flag;
        at.most |= found.edges.count_ones();
        at.non_ascii |= non_ascii;

        store(to.skeletons.add(at.kept), _mm512_maskz_compress_epi8(found.keep, bytes));
        at.kept += found.keep.count_ones() as usize;
        let places = _mm512_load_si512(PLACES.0.as_ptr().cast());
        let packed = _mm512_castsi512_si256(_mm512_maskz_compress_epi8(found.edges, places));
        let edges = _mm512_add_epi16(_mm512_set1_epi16(base), _mm512_cvtepu8_epi16(packed));
        store(to.edges.add(at.edges).cast(), edges);
        at.edges += found.edges.count_ones() as usize;
        let with_commas = _mm512_mask_mov_epi8(bytes, found.scalar_ends, _mm512_set1_epi8(b',' as i8));
        let bits = found.scalar | found.scalar_ends;
        store(to.scalars.add(at.scalars), _mm512_maskz_compress_epi8(bits, with_commas));
        at.scalars += bits.count_ones() as usize;
    }
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
