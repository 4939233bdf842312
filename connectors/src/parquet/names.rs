//! Names of the files: partition and the range of offsets that they cover, in digits that sort; which part of a set they are.
//!
//! A commit is one file, or a set of files with one range: `-1of3` to `-3of3`. What always holds: a set counts only when all of it is
//! there, or when a file that took its rows over (`-c`) proves that it once was.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use super::store::{Entry, Local, TEMPORARY, TEMPORARY_FOLDER};

/// Most files of a commit.
pub const PARTS_MAX: u32 = 9_999;

/// Which of a commit's files one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All of it.
    Whole,
    /// One of several, from 1.
    Of {
        /// Its number.
        number: u32,
        /// How many there are.
        count: u32,
    },
    /// The rows of several commits that had been in one folder.
    Compacted,
}

/// What the name of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Partition of the log.
    pub partition: u32,
    /// The first offset that the commit covers.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// Which of its files.
    pub part: Part,
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "p{:05}-{:020}-{:020}", self.partition, self.first, self.last)?;
        match self.part {
            Part::Whole => {}
            Part::Of { number, count } => write!(out, "-{number}of{count}")?,
            Part::Compacted => out.write_str("-c")?,
        }
        out.write_str(".parquet")
    }
}

impl Name {
    /// What a name without its folder says; `None` for files that are not ours.
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix('p')?.strip_suffix(".parquet")?.split('-');
        let mut number = |digits: usize| -> Option<u64> {
            let text = parts.next()?;
            (text.len() == digits && text.bytes().all(|digit| digit.is_ascii_digit())).then(|| text.parse().ok())?
        };
        let (partition, first, last) = (u32::try_from(number(5)?).ok()?, number(20)?, number(20)?);
        let part = match parts.next() {
            None => Part::Whole,
            Some("c") => Part::Compacted,
            Some(text) => {
                let (number, count) = text.split_once("of")?;
                let small = |text: &str| -> Option<u32> {
                    let number: u32 = text.parse().ok()?;
                    (number.to_string() == text && (1..=PARTS_MAX).contains(&number)).then_some(number)
                };
                let (number, count) = (small(number)?, small(count)?);
                if number > count || count == 1 {
                    return None;
                }
                Part::Of { number, count }
            }
        };
        let is_one = parts.next().is_none() && first <= last && last < u64::MAX;
        is_one.then_some(Self { partition, first, last, part })
    }

    /// Whether all offsets of the other are covered too.
    pub fn contains(&self, other: &Self) -> bool {
        self.partition == other.partition && self.first <= other.first && other.last <= self.last
    }
}

/// A path with folder and name taken apart.
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// A file of ours that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub entry: Entry,
    /// What its name says.
    pub name: Name,
}

impl Found {
    /// The folder it is in.
    pub fn folder(&self) -> &str {
        split(&self.entry.path).0
    }
}

/// What a folder holds, by the names alone.
#[derive(Clone, Debug, Default)]
pub struct Lake {
    /// Files that count, in the order of partition and range.
    pub files: Vec<Found>,
    /// Files of sets that are not complete: their rows come again.
    pub incomplete: Vec<Found>,
    /// Paths of files whose rows a compacted file has, and of what else nobody should read any more.
    pub replaced: Vec<String>,
    /// What an earlier run did not finish writing.
    pub temporary: Vec<String>,
}

impl Lake {
    /// Tells what there is.
    pub fn of(entries: Vec<Entry>) -> Self {
        let mut lake = Self::default();
        let mut found = Vec::new();
        for entry in entries {
            let name = split(&entry.path).1;
            if name.starts_with(TEMPORARY) || entry.path.starts_with(TEMPORARY_FOLDER) {
                lake.temporary.push(entry.path);
            } else if let Some(name) = Name::parse(name) {
                found.push(Found { name, entry });
            }
        }
        found.sort_by(|one, other| (one.name, &one.entry.path).cmp(&(other.name, &other.entry.path)));
        let compacted: Vec<Found> = found.iter().filter(|file| file.name.part == Part::Compacted).cloned().collect();
        let mut parts: BTreeMap<(u32, u64, u64, u32), u32> = BTreeMap::new();
        for file in &found {
            if let Part::Of { count, .. } = file.name.part {
                *parts.entry((file.name.partition, file.name.first, file.name.last, count)).or_default() += 1;
            }
        }
        for file in found {
            let name = file.name;
            let is_replaced = |by: &Found| by.name != name && by.name.contains(&name) && by.folder() == file.folder();
            let is_complete = match name.part {
                Part::Whole | Part::Compacted => true,
                Part::Of { count, .. } => {
                    parts[&(name.partition, name.first, name.last, count)] == count
                        || compacted.iter().any(|by| by.name.contains(&name))
                }
            };
            if !is_complete {
                lake.incomplete.push(file);
            } else if compacted.iter().any(is_replaced) {
                lake.replaced.push(file.entry.path);
            } else {
                lake.files.push(file);
            }
        }
        lake
    }

    /// Where each partition goes on: behind the last offset that is covered.
    pub fn next(&self) -> BTreeMap<u32, u64> {
        let mut next = BTreeMap::new();
        for file in &self.files {
            let offset = next.entry(file.name.partition).or_insert(0);
            *offset = (file.name.last + 1).max(*offset);
        }
        next
    }
}

/// Where each partition goes on in a folder of the disk. Nothing for a folder that is not there.
pub fn resume_offsets(dir: &Path) -> Result<Vec<(u32, u64)>, super::StoreError> {
    Ok(Lake::of(Local::look(dir).entries()?).next().into_iter().collect())
}

/// Takes the folder for one endpoint, as long as the result lives: a second one would remove the first one's open files.
/// The error's kind is `WouldBlock` if somebody has it.
pub fn lock(dir: &Path) -> io::Result<File> {
    // The folder itself is locked: nothing is left in it.
    let file = File::open(dir)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        // A file system that cannot lock a folder: then only the operator watches over it.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}
