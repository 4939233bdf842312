//! Segments cut, flipped and glued in every way, and indexes of foreign bytes.

use proptest::prelude::*;

use super::*;
use crate::batch::{Batch, BatchBuilder, HeaderWriter, group_mark};

fn batch(partition: u32, base: u64, rows: usize, group: u64) -> Batch {
    let mut builder = BatchBuilder::new(partition);
    for row in 0..rows {
        builder
            .push(Some(b"device"), format!("{{\"n\":{row}}}").as_bytes(), &HeaderWriter::default(), 5)
            .expect("fits");
    }
    let mut batch = builder.seal().expect("rows");
    batch.set_place(base, group_mark(group, true));
    batch
}

fn segment() -> (Vec<u8>, Vec<Entry>) {
    let (mut bytes, mut entries) = (Vec::new(), Vec::new());
    for (group, (partition, base, rows)) in (0..).zip([(0, 0, 3), (7, 100, 1), (0, 3, 2), (7, 101, 4)]) {
        let batch = batch(partition, base, rows, group);
        entries.push(Entry::of(&batch, bytes.len() as u64));
        bytes.extend_from_slice(batch.bytes());
    }
    (bytes, entries)
}

#[test]
fn a_whole_segment_gives_all_entries() {
    let (bytes, entries) = segment();
    let found = scan(bytes.as_slice(), bytes.len() as u64, End::Crash, |_| 0..u64::MAX).expect("reads");
    assert_eq!((found.entries, found.good_bytes, found.damaged), (entries, bytes.len() as u64, vec![]));
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_at_the_last_whole_batch() {
    let (bytes, entries) = segment();
    for end in 0..bytes.len() {
        let found = scan(&bytes[..end], end as u64, End::Crash, |_| 0..u64::MAX).expect("reads");
        let whole: Vec<Entry> =
            entries.iter().copied().filter(|entry| entry.position + u64::from(entry.bytes) <= end as u64).collect();
        let good = whole.last().map_or(0, |entry| entry.position + u64::from(entry.bytes));
        assert_eq!((found.entries, found.good_bytes, found.damaged.len()), (whole, good, 0), "cut at {end}");
    }
}

#[test]
fn zeros_behind_the_last_batch_are_a_torn_tail() {
    let (mut bytes, entries) = segment();
    let good = bytes.len() as u64;
    bytes.resize(bytes.len() + 10_000, 0);
    let found = scan(bytes.as_slice(), bytes.len() as u64, End::Crash, |_| 0..u64::MAX).expect("reads");
    assert_eq!((found.entries, found.good_bytes, found.damaged.len()), (entries, good, 0));
}

#[test]
fn a_flipped_bit_in_the_middle_costs_one_batch_and_is_named() {
    let (bytes, entries) = segment();
    let second = entries[1];
    for at in second.position..second.position + u64::from(second.bytes) {
        let mut broken = bytes.clone();
        broken[at as usize] ^= 0x10;
        let found = scan(broken.as_slice(), broken.len() as u64, End::Crash, |_| 0..u64::MAX).expect("reads");
        let expected: Vec<Entry> = entries.iter().copied().filter(|entry| *entry != second).collect();
        assert_eq!(found.entries, expected, "flip at {at}");
        assert_eq!(found.damaged.len(), 1);
        assert_eq!((found.damaged[0].position, found.damaged[0].bytes), (second.position, u64::from(second.bytes)));
    }
}

#[test]
fn an_index_comes_back_and_knows_when_it_was_changed() {
    let (bytes, entries) = segment();
    let encoded = index::encode("a", &entries, bytes.len() as u64);
    assert_eq!(index::decode("a", &encoded), Ok((entries, bytes.len() as u64)));
    for at in 0..encoded.len() {
        let mut broken = encoded.clone();
        broken[at] ^= 1;
        assert!(index::decode("a", &broken).is_err(), "flip at {at}");
        assert!(index::decode("a", &encoded[..at]).is_err(), "cut at {at}");
    }
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(bytes: Vec<u8>) {
        let _ = index::decode("a", &bytes);
        let found = scan(bytes.as_slice(), bytes.len() as u64, End::Crash, |_| 0..u64::MAX).expect("memory reads");
        prop_assert!(found.good_bytes <= bytes.len() as u64);
    }

    #[test]
    fn garbage_between_batches_never_hides_the_next(garbage in proptest::collection::vec(any::<u8>(), 1..200)) {
        let (first, last) = (batch(0, 0, 1, 0), batch(0, 1, 1, 2));
        let bytes = [first.bytes(), &garbage, last.bytes()].concat();
        let found = scan(bytes.as_slice(), bytes.len() as u64, End::Crash, |_| 0..u64::MAX).expect("reads");
        prop_assert_eq!(found.entries.len(), 2);
        prop_assert_eq!(found.damaged.len(), 1);
        // A last group without its head was never synced.
        let mut last = last.clone();
        last.set_place(1, group_mark(1, false));
        let bytes = [first.bytes(), &garbage, last.bytes()].concat();
        let found = scan(bytes.as_slice(), bytes.len() as u64, End::Crash, |_| 0..u64::MAX).expect("reads");
        prop_assert_eq!((found.entries.len(), found.damaged.len()), (1, 0));
    }
}
