//! Foreign bytes as a segment: the scan ends, no entry lies outside of the bytes or over another, and those of a partition only grow.
#![no_main]

use std::collections::BTreeMap;

use engine::log::{End, scan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let found = scan(bytes, bytes.len() as u64, End::Crash, |_| 0..u64::MAX).expect("memory reads");
    assert!(found.good_bytes <= bytes.len() as u64);
    let (mut at, mut ends) = (0, BTreeMap::new());
    for entry in &found.entries {
        assert!(entry.position >= at && entry.end_position() <= found.good_bytes);
        at = entry.end_position();
        let end = ends.insert(entry.partition, entry.end_offset());
        assert!(end.is_none_or(|end| end <= entry.base_offset));
    }
    assert!(found.damaged.iter().all(|damage| damage.position + damage.bytes <= found.good_bytes));
});
