//! Foreign bytes as an index: no panic, no more entries than the bytes could hold, and what is accepted is what encodes to it.
#![no_main]

use engine::batch::crc32c;
use engine::log::index::{decode, decode_summaries, encode};
use libfuzzer_sys::fuzz_target;

/// Bytes before the summaries, and of one summary.
const HEAD_BYTES: usize = 28;
const SUMMARY_BYTES: usize = 44;

fuzz_target!(|input: &[u8]| {
    let mut bytes = input.to_vec();
    // Make magic, name and checksums right, so that the fuzzer gets past them.
    if bytes.len() > HEAD_BYTES + 8 {
        bytes[..4].copy_from_slice(b"ABLX");
        bytes[4..8].copy_from_slice(&2u32.to_be_bytes());
        bytes[8..12].copy_from_slice(&crc32c(b"a").to_be_bytes());
        let summaries = u32::from_be_bytes(bytes[24..28].try_into().expect("four bytes")) as usize;
        let head = HEAD_BYTES.saturating_add(summaries.saturating_mul(SUMMARY_BYTES));
        if head + 8 <= bytes.len() {
            let crc = crc32c(&bytes[..head]);
            bytes[head..head + 4].copy_from_slice(&crc.to_be_bytes());
            let end = bytes.len() - 4;
            let crc = crc32c(&bytes[head + 4..end]);
            bytes[end..].copy_from_slice(&crc.to_be_bytes());
        }
    }
    let _ = decode_summaries("a", &bytes);
    let Ok((entries, segment_bytes)) = decode("a", &bytes) else { return };
    assert!(entries.len() * 36 <= bytes.len());
    let again = encode("a", &entries, segment_bytes);
    assert_eq!(decode("a", &again), Ok((entries, segment_bytes)));
});
