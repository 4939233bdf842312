//! Which of the whole batches of a damaged segment belong to it: the longest chain in offset order.
//!
//! A disk may have put a batch of another place over one of this segment. It is whole and its checksums are right, but its offsets do not
//! fit between those around it. As long as most batches lie where they were written, the longest chain is they.

use std::collections::BTreeMap;

use super::index::Entry;

/// The entries, in the order of the file, without those that contradict the others of their partition.
pub fn consistent(entries: Vec<Entry>) -> Vec<Entry> {
    let mut ends: BTreeMap<u32, u64> = BTreeMap::new();
    let mut is_in_order = true;
    for entry in &entries {
        let end = ends.entry(entry.partition).or_default();
        is_in_order &= entry.base_offset >= std::mem::replace(end, entry.end_offset());
    }
    if is_in_order {
        return entries;
    }
    let mut kept: Vec<usize> = Vec::new();
    for partition in ends.keys() {
        let of_partition = entries.iter().enumerate().filter(|(_, entry)| entry.partition == *partition);
        kept.extend(longest(&of_partition.map(|(at, entry)| (at, *entry)).collect::<Vec<_>>()));
    }
    kept.sort_unstable();
    kept.into_iter().map(|at| entries[at]).collect()
}

/// Positions of the longest chain of entries, each beginning at or behind the end of the one before: for every length the chain
/// that ends lowest is kept.
fn longest(entries: &[(usize, Entry)]) -> Vec<usize> {
    // By length less one: the index of the last entry of the chain that ends lowest.
    let mut lowest: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(entries.len());
    for (index, (_, entry)) in entries.iter().enumerate() {
        let length = lowest.partition_point(|last| entries[*last].1.end_offset() <= entry.base_offset);
        before.push(length.checked_sub(1).map(|length| lowest[length]));
        match lowest.get_mut(length) {
            Some(last) if entries[*last].1.end_offset() > entry.end_offset() => *last = index,
            Some(_) => {}
            None => lowest.push(index),
        }
    }
    let mut chain = Vec::with_capacity(lowest.len());
    let mut at = lowest.last().copied();
    while let Some(index) = at {
        chain.push(entries[index].0);
        at = before[index];
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(partition: u32, base_offset: u64, rows: u32) -> Entry {
        Entry { partition, base_offset, rows, position: 0, bytes: 100, max_timestamp_ms: 0 }
    }

    #[test]
    fn strays_from_before_and_behind_are_left_out() {
        let good =
            vec![entry(0, 8, 2), entry(0, 10, 2), entry(1, 5, 1), entry(0, 12, 3), entry(0, 15, 1), entry(1, 6, 4)];
        assert_eq!(consistent(good.clone()), good);
        for stray in [entry(0, 900, 5), entry(0, 0, 5), entry(0, 11, 9)] {
            for at in 2..5 {
                let mut all = good.clone();
                all.insert(at, stray);
                assert_eq!(consistent(all), good, "{stray:?} at {at}");
            }
        }
    }

    #[test]
    fn a_hole_is_no_contradiction() {
        let holed = vec![entry(0, 10, 2), entry(0, 500, 3)];
        assert_eq!(consistent(holed.clone()), holed);
    }
}
