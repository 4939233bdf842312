//! Scans, compiled for the vectors of the machine: chosen once per batch.
#![allow(unsafe_code, reason = "calls of code compiled for vectors; each block says why it holds")]

use super::super::hits::Hits;
use super::{Index, Rows, Scratch};
use crate::parse::Kernel;

/// Runs the scans on the kernel.
pub(super) fn scan(kernel: Kernel, index: &Index, rows: &Rows<'_>, scratch: &mut Scratch, hits: &mut Hits<'_>) {
    if !index.has_scans() {
        return;
    }
    match kernel {
        Kernel::Portable => index.scan(rows, scratch, hits),
        // SAFETY: a matcher is made only with a kernel that the machine can run.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        Kernel::Avx2 => unsafe { scan_avx2(index, rows, scratch, hits) },
        // SAFETY: as above.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        Kernel::Avx512 => unsafe { scan_avx512(index, rows, scratch, hits) },
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        Kernel::Avx2 | Kernel::Avx512 => unreachable!("it is never available here"),
    }
}

/// # Safety
/// [`Kernel::Avx2`] is available.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
unsafe fn scan_avx2(index: &Index, rows: &Rows<'_>, scratch: &mut Scratch, hits: &mut Hits<'_>) {
    index.scan(rows, scratch, hits);
}

/// # Safety
/// [`Kernel::Avx512`] is available.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2")]
unsafe fn scan_avx512(index: &Index, rows: &Rows<'_>, scratch: &mut Scratch, hits: &mut Hits<'_>) {
    index.scan(rows, scratch, hits);
}
