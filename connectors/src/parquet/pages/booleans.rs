//! Columns of booleans: a bit for each value.

use std::ops::Range;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use parquet::basic::Encoding;
use parquet::bloom_filter::Sbbf;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::kind::{Bounds, Facts, Kind};

/// See the module.
pub struct Booleans {
    bits: BooleanBufferBuilder,
    /// Those that are true.
    trues: usize,
}

impl Default for Booleans {
    fn default() -> Self {
        Self { bits: BooleanBufferBuilder::new(0), trues: 0 }
    }
}

/// A dictionary would be larger than the values: nothing is ever looked up.
impl Kind for Booleans {
    type Bound = bool;
    type Source = BooleanBuffer;

    fn source(array: &dyn Array) -> Option<BooleanBuffer> {
        array.as_boolean_opt().map(|array| array.values().clone())
    }

    fn fit(_: &BooleanBuffer, range: Range<usize>, _: usize) -> usize {
        range.len()
    }

    fn gather(&mut self, source: &BooleanBuffer, rows: Range<usize>) {
        let bits = source.slice(rows.start, rows.len());
        self.trues += bits.count_set_bits();
        self.bits.append_buffer(&bits);
    }

    fn gathered(&self) -> usize {
        self.bits.len()
    }

    fn gathered_bytes(&self) -> usize {
        self.bits.as_slice().len()
    }

    fn text_bytes(&self) -> Option<u64> {
        None
    }

    fn bounds(&mut self, _: bool) -> Option<Bounds<bool>> {
        let count = self.bits.len();
        (count > 0).then_some(Bounds { min: self.trues == count, max: self.trues > 0, nans: None })
    }

    fn bloom(&self, filter: &mut Sbbf) {
        let has = [self.trues < self.bits.len(), self.trues > 0];
        for value in [false, true].into_iter().filter(|value| has[usize::from(*value)]) {
            filter.insert(&value);
        }
    }

    fn encode(&mut self, out: &mut Vec<u8>) -> Encoding {
        out.extend_from_slice(self.bits.as_slice());
        Encoding::PLAIN
    }

    fn clear(&mut self) {
        self.bits.truncate(0);
        self.trues = 0;
    }

    fn tries_dictionary(&mut self) -> bool {
        false
    }

    fn look_up(&mut self) -> bool {
        false
    }

    fn entries(&self) -> usize {
        0
    }

    fn places(&self) -> &[u16] {
        &[]
    }

    fn pays(&self, _: bool) -> bool {
        false
    }

    fn dictionary(&self, _: &mut Vec<u8>) {}

    fn bloom_dictionary(&self, _: &mut Sbbf) {}

    fn encode_places(&mut self, _: Range<usize>, _: &mut Vec<u8>) -> Encoding {
        Encoding::PLAIN
    }

    fn forget(&mut self) {}

    fn release(&mut self) {
        *self = Self::default();
    }

    fn held_bytes(&self) -> usize {
        self.gathered_bytes()
    }

    fn memory_bytes(&self) -> usize {
        self.bits.capacity() / 8
    }

    fn is_greater(one: &bool, other: &bool) -> bool {
        one > other
    }

    fn index_bytes(bounds: &Bounds<bool>, _: bool) -> (Vec<u8>, Vec<u8>) {
        (vec![bounds.min.into()], vec![bounds.max.into()])
    }

    fn statistics(facts: Facts<bool>) -> Statistics {
        let (min, max) = facts.bounds.map(|bounds| (bounds.min, bounds.max)).unzip();
        Statistics::Boolean(
            ValueStatistics::new(min, max, None, Some(facts.nulls), false)
                .with_backwards_compatible_min_max(facts.is_signed),
        )
    }
}
