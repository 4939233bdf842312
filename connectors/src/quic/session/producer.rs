//! The number under which the log knows a producer.

use aws_lc_rs::digest::{SHA256, digest};

/// The number of the producer `id` of `principal`: the first 63 bits of a SHA-256 over both. Subscribers see it in the batches,
/// so it must not be possible to find an id that gives another one's number: who could, could have that one's events taken for
/// events that came before.
pub fn producer_number(principal: &str, id: &[u8; 16]) -> u64 {
    let hash = digest(&SHA256, &[&id[..], principal.as_bytes()].concat());
    let first = hash.as_ref().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    first >> 1
}
