//! From the chosen kernel to code that was compiled for it: once per batch.
#![allow(unsafe_code, reason = "calls of code compiled for vectors; each block says why it holds")]

use super::super::number;
use super::portable::Portable;
use super::scan::{Scalars, Scan, Scanned};
use super::{Columns, Fields, Kernel, Pending, Span, Work, scalars, scan};
#[cfg(all(target_arch = "x86_64", not(miri)))]
use super::{avx2::Avx2, avx512, avx512::Avx512, numbers, sse};

/// A kernel as the extractor uses it.
pub(super) trait Machine {
    /// See [`scan::scan`].
    fn scan(bytes: &[u8], start: usize, len: usize, out: &mut Scan, scalars: &mut Scalars) -> Option<Scanned>;
    /// See [`scalars::check`].
    fn scalars(scalars: &mut Scalars, from: usize, to: usize) -> bool;
    /// Converts numbers, as [`number::value`] does, and puts them into their cells; the tokens are checked elsewhere.
    fn numbers(bytes: &[u8], pending: &[Pending], columns: &mut Columns);
    /// So many bytes from there on will be read soon, if they are there.
    fn prefetch(bytes: &[u8], from: usize, len: usize);
}

impl Machine for Portable {
    fn scan(bytes: &[u8], start: usize, len: usize, out: &mut Scan, scalars: &mut Scalars) -> Option<Scanned> {
        scan::scan::<Self>(bytes, start, len, out, scalars)
    }

    fn scalars(scalars: &mut Scalars, from: usize, to: usize) -> bool {
        scalars::check::<Self>(scalars, from, to)
    }

    fn numbers(bytes: &[u8], pending: &[Pending], columns: &mut Columns) {
        for pending in pending {
            let value = number::value(bytes, pending.start as usize, pending.end as usize);
            columns.set_value(pending.cell, value.to_bits());
        }
    }

    fn prefetch(_: &[u8], _: usize, _: usize) {}
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
impl Machine for Avx2 {
    #[inline(always)]
    fn scan(bytes: &[u8], start: usize, len: usize, out: &mut Scan, scalars: &mut Scalars) -> Option<Scanned> {
        scan::scan::<Self>(bytes, start, len, out, scalars)
    }

    #[inline(always)]
    fn scalars(scalars: &mut Scalars, from: usize, to: usize) -> bool {
        scalars::check::<Self>(scalars, from, to)
    }

    #[inline(always)]
    fn numbers(bytes: &[u8], pending: &[Pending], columns: &mut Columns) {
        for pending in pending {
            let value = sse::value(bytes, pending.start as usize, pending.end as usize);
            columns.set_value(pending.cell, value.to_bits());
        }
    }

    #[inline(always)]
    fn prefetch(bytes: &[u8], from: usize, len: usize) {
        prefetch(bytes, from, len);
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
impl Machine for Avx512 {
    #[inline(always)]
    fn scan(bytes: &[u8], start: usize, len: usize, out: &mut Scan, scalars: &mut Scalars) -> Option<Scanned> {
        avx512::scan(bytes, start, len, out, scalars)
    }

    #[inline(always)]
    fn scalars(scalars: &mut Scalars, from: usize, to: usize) -> bool {
        scalars::check::<Self>(scalars, from, to)
    }

    #[inline(always)]
    fn numbers(bytes: &[u8], pending: &[Pending], columns: &mut Columns) {
        numbers::convert(bytes, pending, columns);
    }

    #[inline(always)]
    fn prefetch(bytes: &[u8], from: usize, len: usize) {
        prefetch(bytes, from, len);
    }
}

/// Asks for the lines of a piece that lies ahead.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
fn prefetch(bytes: &[u8], from: usize, len: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    let end = (from + len).min(bytes.len());
    let mut at = from;
    while at < end {
        // SAFETY: the address lies inside `bytes`; a prefetch reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().add(at).cast()) };
        at += 64;
    }
}

/// Runs the batch on the kernel.
pub(super) fn run(
    kernel: Kernel,
    work: &mut Work,
    fields: &Fields,
    bytes: &[u8],
    bodies: &[Span],
    columns: &mut Columns,
) {
    match kernel {
        Kernel::Portable => work.run::<Portable>(fields, bytes, bodies, columns),
        // SAFETY: an extractor is made only with a kernel that the machine can run.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        Kernel::Avx2 => unsafe { avx2_run(work, fields, bytes, bodies, columns) },
        // SAFETY: as above.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        Kernel::Avx512 => unsafe { avx512_run(work, fields, bytes, bodies, columns) },
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        Kernel::Avx2 | Kernel::Avx512 => unreachable!("it is never available here"),
    }
}

/// # Safety
/// [`Kernel::Avx2`] is available.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq,popcnt")]
unsafe fn avx2_run(work: &mut Work, fields: &Fields, bytes: &[u8], bodies: &[Span], columns: &mut Columns) {
    work.run::<Avx2>(fields, bytes, bodies, columns);
}

/// # Safety
/// [`Kernel::Avx512`] is available.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2")]
unsafe fn avx512_run(work: &mut Work, fields: &Fields, bytes: &[u8], bodies: &[Span], columns: &mut Columns) {
    work.run::<Avx512>(fields, bytes, bodies, columns);
}
