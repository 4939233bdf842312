//! Which commits become one: small neighbours, when there are enough of them and none is larger than the others together.
//!
//! So a row is written again a number of times that grows with the logarithm of how many commits there are, not with their number.

use std::ops::Range;

use super::names::{Found, Name, Part};
use super::store::Entry;

/// A commit with its files, or several that have become one: with those of their files that were left as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What it covers; the part is that of no file.
    pub name: Name,
    /// Its files.
    pub files: Vec<Found>,
    /// It cannot be put together with its neighbours, for its columns differ.
    pub is_barrier: bool,
}

impl Group {
    /// Files, in the order of their names, by commit.
    pub fn of(files: &[Found]) -> Vec<Self> {
        let mut files: Vec<&Found> = files.iter().collect();
        files.sort_by_key(|file| (file.name.partition, file.name.first, std::cmp::Reverse(file.name.last)));
        let mut groups: Vec<Self> = Vec::new();
        for file in files {
            match groups.last_mut() {
                Some(group) if group.name.contains(&file.name) => group.files.push(file.clone()),
                _ => groups.push(Self {
                    name: Name { part: Part::Whole, ..file.name },
                    files: vec![file.clone()],
                    is_barrier: false,
                }),
            }
        }
        groups
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.entry.bytes).sum()
    }

    fn mean_bytes(&self) -> u64 {
        self.bytes() / self.files.len().max(1) as u64
    }
}

/// When commits become one.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Neighbours that become one.
    pub commits: usize,
    /// A commit is small if its files have fewer bytes, on average.
    pub small_bytes: u64,
}

impl Rule {
    /// The oldest commits of a partition that should become one.
    pub fn pick(&self, groups: &[Group]) -> Option<Range<usize>> {
        if self.commits < 2 {
            return None;
        }
        let is_ripe = |window: &[Group]| {
            let all: u64 = window.iter().map(Group::bytes).sum();
            let largest = window.iter().map(Group::bytes).max().unwrap_or(0);
            largest <= all - largest
                && window.iter().all(|group| !group.is_barrier && group.mean_bytes() < self.small_bytes)
                && window.windows(2).all(|pair| pair[0].name.last < pair[1].name.first)
        };
        let found = groups.windows(self.commits).position(is_ripe)?;
        Some(found..found + self.commits)
    }
}

/// What becomes of commits: files that are put together, by folder, and files that stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merge {
    /// Folder and files, at least two.
    pub folders: Vec<(String, Vec<Found>)>,
    /// Alone in their folder.
    pub stay: Vec<Found>,
}

impl Merge {
    /// Of these commits of one partition.
    pub fn of(groups: &[Group]) -> Self {
        let mut by_folder: std::collections::BTreeMap<&str, Vec<&Found>> = std::collections::BTreeMap::new();
        for file in groups.iter().flat_map(|group| &group.files) {
            by_folder.entry(file.folder()).or_default().push(file);
        }
        let mut merge = Self::default();
        for (folder, mut files) in by_folder {
            files.sort_by_key(|file| file.name.first);
            let files = files.into_iter().cloned().collect::<Vec<_>>();
            match files.len() {
                1 => merge.stay.extend(files),
                _ => merge.folders.push((folder.to_owned(), files)),
            }
        }
        merge
    }
}

/// A file that was just written.
pub fn found(path: &str, bytes: u64) -> Option<Found> {
    let name = Name::parse(super::names::split(path).1)?;
    Some(Found { entry: Entry { path: path.to_owned(), bytes }, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(first: u64, bytes: &[u64]) -> Group {
        let (last, count) = (first + 9, bytes.len() as u32);
        let file = |(number, bytes): (u32, &u64)| {
            let part = if count == 1 { Part::Whole } else { Part::Of { number, count } };
            let name = Name { partition: 3, first, last, part };
            Found { entry: Entry { path: format!("site={number}/{name}"), bytes: *bytes }, name }
        };
        let files: Vec<Found> = (1..).zip(bytes).map(file).collect();
        Group { name: Name { part: Part::Whole, ..files[0].name }, files, is_barrier: false }
    }

    #[test]
    fn enough_small_neighbours_become_one() {
        let rule = Rule { commits: 3, small_bytes: 1000 };
        let of = |sizes: &[u64]| -> Vec<Group> {
            (0..).step_by(10).zip(sizes).map(|(at, size)| commit(at, &[*size])).collect()
        };
        assert_eq!(rule.pick(&of(&[10, 10])), None);
        assert_eq!(rule.pick(&of(&[10, 10, 10])), Some(0..3));
        assert_eq!(rule.pick(&of(&[5000, 10, 10, 10, 10])), Some(1..4));
        assert_eq!(rule.pick(&of(&[900, 10, 10])), None, "the large one is not written again for two small ones");
        assert_eq!(rule.pick(&of(&[900, 500, 500])), Some(0..3));
        assert_eq!(rule.pick(&of(&[10, 2000, 10, 10])), None);
        let mut barred = of(&[10, 10, 10, 10, 10]);
        barred[1].is_barrier = true;
        assert_eq!(rule.pick(&barred), Some(2..5));
        assert_eq!(Rule { commits: 0, small_bytes: 1000 }.pick(&of(&[10, 10, 10])), None);
    }

    /// A thousand commits of any sizes: few are left, and no byte was written often.
    #[test]
    fn rows_are_written_again_a_few_times() {
        let rule = Rule { commits: 8, small_bytes: 100_000 };
        let mut random = fastrand::Rng::with_seed(7);
        let (mut groups, mut came, mut written): (Vec<Group>, u64, u64) = (Vec::new(), 0, 0);
        for at in 0..1000 {
            let bytes = if random.u8(..) < 2 { 5_000 } else { random.u64(50..150) };
            came += bytes;
            groups.push(commit(at * 10, &[bytes]));
            while let Some(range) = rule.pick(&groups) {
                let bytes: u64 = groups[range.clone()].iter().map(Group::bytes).sum();
                written += bytes;
                let mut one = commit(groups[range.start].name.first, &[bytes]);
                one.name.last = groups[range.end - 1].name.last;
                groups.splice(range, [one]);
            }
        }
        assert!(groups.len() < 40, "{} are left of 1000", groups.len());
        assert!(written < came * 5, "{written} bytes were written for {came}");
    }

    #[test]
    fn files_go_together_by_folder() {
        let groups = [commit(0, &[1, 2]), commit(10, &[3]), commit(20, &[4, 5, 6])];
        let merge = Merge::of(&groups);
        let sizes = |files: &[Found]| files.iter().map(|file| file.entry.bytes).collect::<Vec<_>>();
        assert_eq!(sizes(&merge.stay), [6]);
        assert_eq!(merge.folders.len(), 2);
        assert_eq!((merge.folders[0].0.as_str(), sizes(&merge.folders[0].1)), ("site=1", vec![1, 3, 4]));
        assert_eq!(sizes(&merge.folders[1].1), [2, 5]);
        // What was put together and what stayed are one commit from then on.
        let compacted = Name { partition: 3, first: 0, last: 29, part: Part::Compacted };
        let file = found(&format!("site=1/{compacted}"), 8).expect("a name");
        let again = Group::of(&[merge.stay[0].clone(), file, commit(30, &[1]).files[0].clone()]);
        assert_eq!(
            again.iter().map(|group| (group.name.first, group.files.len())).collect::<Vec<_>>(),
            [(0, 2), (30, 1)]
        );
    }
}
