//! Ranges of offsets of a partition: what is covered, what no file covers, what two commits cover.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::parquet::names::Found;

/// Offsets from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Range {
    /// The first.
    pub first_offset: u64,
    /// The last.
    pub last_offset: u64,
}

/// Offsets that two commits cover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// Which.
    pub range: Range,
    /// A file of the one.
    pub one: String,
    /// A file of the other.
    pub other: String,
}

/// A partition of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionReport {
    /// Its number.
    pub partition: u32,
    /// Its files.
    pub files: u64,
    /// Its commits.
    pub commits: u64,
    /// Their rows.
    pub rows: u64,
    /// The first offset that is covered.
    pub first_offset: u64,
    /// The last one.
    pub last_offset: u64,
    /// Offsets between these that no file covers: nothing matched while no file was open, events were lost, or a file is gone.
    pub gaps: Vec<Range>,
    /// Offsets that two commits cover. There must be none.
    pub overlaps: Vec<Overlap>,
}

/// What the names say of each partition. Files that were compacted cover commits of which other files are still there: that is no overlap.
pub fn partitions(files: &[Found]) -> Vec<PartitionReport> {
    let mut by_partition: BTreeMap<u32, Vec<&Found>> = BTreeMap::new();
    for file in files {
        by_partition.entry(file.name.partition).or_default().push(file);
    }
    by_partition.into_iter().map(|(partition, files)| of_partition(partition, &files)).collect()
}

fn of_partition(partition: u32, files: &[&Found]) -> PartitionReport {
    let mut commits: BTreeMap<(u64, u64), &Found> = BTreeMap::new();
    for file in files {
        commits.entry((file.name.first, file.name.last)).or_insert(file);
    }
    let ranges: BTreeSet<(u64, u64)> = commits.keys().copied().collect();
    let (mut gaps, mut overlaps) = (Vec::new(), Vec::new());
    let mut covered: Option<(u64, &Found)> = None;
    for ((first, last), file) in &commits {
        if let Some((end, before)) = covered {
            let is_within = before.name.contains(&file.name) || file.name.contains(&before.name);
            if *first > end + 1 {
                gaps.push(Range { first_offset: end + 1, last_offset: first - 1 });
            } else if *first <= end && !(is_within && is_known(before, file)) {
                overlaps.push(Overlap {
                    range: Range { first_offset: *first, last_offset: end.min(*last) },
                    one: before.entry.path.clone(),
                    other: file.entry.path.clone(),
                });
            }
        }
        if covered.is_none_or(|(end, _)| *last > end) {
            covered = Some((*last, file));
        }
    }
    PartitionReport {
        partition,
        files: files.len() as u64,
        commits: ranges.len() as u64,
        rows: 0,
        first_offset: ranges.first().map_or(0, |range| range.0),
        last_offset: covered.map_or(0, |(end, _)| end),
        gaps,
        overlaps,
    }
}

/// One of them was compacted, from files of another folder.
fn is_known(one: &Found, other: &Found) -> bool {
    use crate::parquet::names::Part;
    one.name.part == Part::Compacted || other.name.part == Part::Compacted
}
