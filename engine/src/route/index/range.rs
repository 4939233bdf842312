//! Ranges of numbers by their lower bounds: for a number, all ranges that hold it.
//!
//! Ranges are sorted by their lower bound; those that start at or below the number are the first so many, and among them blocks
//! whose greatest upper bound is below the number are skipped, on two levels. So a visit costs a binary search, the ranges
//! that it finds, and about a sixteenth of those that it skips.

use super::super::check::Target;
use super::super::vector::pack;
use crate::parse::Tag;

/// Ranges of a block, and blocks of a block of blocks.
const BLOCK: usize = 16;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct RangeIndex {
    lows: Vec<f64>,
    highs: Vec<f64>,
    targets: Vec<Target>,
    /// Greatest upper bound of each block.
    blocks: Vec<f64>,
    /// Greatest upper bound of each block of blocks.
    tops: Vec<f64>,
}

impl RangeIndex {
    pub fn new(mut ranges: Vec<(f64, f64, Target)>) -> Self {
        ranges.retain(|(low, high, _)| low <= high);
        ranges.sort_by(|a, b| a.0.total_cmp(&b.0));
        let greatest = |highs: &[f64]| highs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let highs: Vec<f64> = ranges.iter().map(|(_, high, _)| *high).collect();
        let blocks: Vec<f64> = highs.chunks(BLOCK).map(greatest).collect();
        Self {
            lows: ranges.iter().map(|(low, ..)| *low).collect(),
            tops: blocks.chunks(BLOCK).map(greatest).collect(),
            targets: ranges.iter().map(|(.., target)| *target).collect(),
            blocks,
            highs,
        }
    }

    /// Visits the ranges that hold `number`.
    #[inline]
    pub fn visit(&self, number: f64, visit: &mut impl FnMut(&Target)) {
        let count = self.lows.partition_point(|low| *low <= number);
        for (top, _) in
            self.tops.iter().enumerate().filter(|(top, high)| top * BLOCK * BLOCK < count && **high >= number)
        {
            let blocks = top * BLOCK..((top + 1) * BLOCK).min(self.blocks.len());
            for block in blocks.filter(|block| block * BLOCK < count && self.blocks[*block] >= number) {
                let end = ((block + 1) * BLOCK).min(count);
                for at in block * BLOCK..end {
                    if self.highs[at] >= number {
                        visit(&self.targets[at]);
                    }
                }
            }
        }
    }

    pub fn memory_bytes(&self) -> usize {
        (self.lows.capacity() + self.highs.capacity() + self.blocks.capacity() + self.tops.capacity()) * 8
            + self.targets.capacity() * size_of::<Target>()
    }
}

/// Which of 64 cells are numbers in a range.
#[inline(always)]
pub(super) fn in_range(tags: &[Tag; 64], values: &[u64; 64], low: f64, high: f64) -> u64 {
    let mut inside = [0u8; 64];
    for (inside, (tag, value)) in inside.iter_mut().zip(tags.iter().zip(values)) {
        let value = f64::from_bits(*value);
        *inside = u8::from(*tag == Tag::Number) & u8::from(low <= value) & u8::from(value <= high);
    }
    pack(&inside)
}
