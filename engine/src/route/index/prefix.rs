//! Texts that start (or end) with one of many: sorted, each with the longest other one that it starts with.
//!
//! Of the texts that a given one starts with, the longest is the last one that sorts before it, or is reached from there by
//! going to ever shorter beginnings: whatever lies between a text and its beginning starts with that beginning too. So a
//! visit is one binary search and a walk along the beginnings.

use std::cmp::Ordering;

use super::super::check::Target;

const NONE: u32 = u32::MAX;

/// See the module.
#[derive(Debug)]
pub(super) struct PrefixIndex {
    /// Texts are compared from their ends.
    from_end: bool,
    /// All texts, one after the other.
    text: Vec<u8>,
    entries: Vec<Entry>,
    targets: Vec<Target>,
}

#[derive(Debug)]
struct Entry {
    start: u32,
    len: u32,
    /// The longest other entry that this one starts with.
    parent: u32,
    /// Where its targets start; they end where those of the next one start.
    targets: u32,
}

impl PrefixIndex {
    pub fn new(mut list: Vec<(Box<str>, Target)>, from_end: bool) -> Self {
        let order = |a: &str, b: &str| compare(a.as_bytes(), b.as_bytes(), from_end);
        list.sort_by(|a, b| order(&a.0, &b.0));
        let mut index = Self { from_end, text: Vec::new(), entries: Vec::new(), targets: Vec::new() };
        let mut last: Option<Box<str>> = None;
        // Entries of which the current one may be a continuation.
        let mut open: Vec<u32> = Vec::new();
        for (text, target) in list {
            if last.as_ref() != Some(&text) {
                while let Some(candidate) = open.last() {
                    if begins(text.as_bytes(), index.of(&index.entries[*candidate as usize]), from_end) {
                        break;
                    }
                    open.pop();
                }
                let entry = Entry {
                    start: index.text.len() as u32,
                    len: text.len() as u32,
                    parent: open.last().copied().unwrap_or(NONE),
                    targets: index.targets.len() as u32,
                };
                index.text.extend_from_slice(text.as_bytes());
                open.push(index.entries.len() as u32);
                index.entries.push(entry);
                last = Some(text);
            }
            index.targets.push(target);
        }
        index
    }

    fn of(&self, entry: &Entry) -> &[u8] {
        &self.text[entry.start as usize..(entry.start + entry.len) as usize]
    }

    /// Visits the entries that `text` starts (or ends) with.
    #[inline]
    pub fn visit(&self, text: &str, visit: &mut impl FnMut(&Target)) {
        let text = text.as_bytes();
        let behind =
            self.entries.partition_point(|entry| compare(self.of(entry), text, self.from_end) != Ordering::Greater);
        let mut at = (behind as u32).wrapping_sub(1);
        while at != NONE {
            let entry = &self.entries[at as usize];
            if begins(text, self.of(entry), self.from_end) {
                let end = self.entries.get(at as usize + 1).map_or(self.targets.len(), |next| next.targets as usize);
                self.targets[entry.targets as usize..end].iter().for_each(&mut *visit);
            }
            at = entry.parent;
        }
    }

    pub fn memory_bytes(&self) -> usize {
        self.text.capacity()
            + self.entries.capacity() * size_of::<Entry>()
            + self.targets.capacity() * size_of::<Target>()
    }
}

fn compare(a: &[u8], b: &[u8], from_end: bool) -> Ordering {
    if from_end { a.iter().rev().cmp(b.iter().rev()) } else { a.cmp(b) }
}

fn begins(text: &[u8], part: &[u8], from_end: bool) -> bool {
    if from_end { text.ends_with(part) } else { text.starts_with(part) }
}
