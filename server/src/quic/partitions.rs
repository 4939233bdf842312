//! Partitions as people type them: `0,3-5`.

use std::collections::BTreeSet;

/// Most partitions that a log can have.
const PARTITIONS_MAX: u32 = 1024;

/// Some partitions, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partitions(BTreeSet<u32>);

impl std::str::FromStr for Partitions {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write partitions like 0,3-5; they are below 1024";
        let number = |text: &str| text.trim().parse().ok().filter(|number: &u32| *number < PARTITIONS_MAX).ok_or(wrong);
        let mut found = BTreeSet::new();
        for part in text.split(',') {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (from, to) = (number(from)?, number(to)?);
            if from > to {
                return Err(wrong);
            }
            found.extend(from..=to);
        }
        Ok(Self(found))
    }
}

impl Partitions {
    /// Ascending.
    pub(super) fn list(&self) -> Vec<u32> {
        self.0.iter().copied().collect()
    }
}
