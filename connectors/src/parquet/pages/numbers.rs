//! Columns of numbers: differences or split bytes, and a dictionary of their bits while it pays.

use std::ops::Range;

use arrow_array::Array;
use arrow_buffer::{ArrowNativeType, ScalarBuffer};
use parquet::basic::Encoding;
use parquet::bloom_filter::Sbbf;
use parquet::file::statistics::Statistics;

use super::kind::{Bounds, Facts, Kind};
use super::levels::index_width;
use super::number::Number;
use super::number_table::NumberTable;

/// Values that say whether whole numbers repeat, and how many of them may differ.
const SAMPLE: usize = 1024;
const SAMPLE_ENTRIES_MAX: usize = SAMPLE / 8;
/// What a codec leaves of doubles, roughly.
const PACKED: f64 = 0.75;
/// Headers of a dictionary.
const DICTIONARY_BYTES: f64 = 32.0;

/// See the module.
pub struct Numbers<T> {
    gathered: Vec<T>,
    places: Vec<u16>,
    table: NumberTable,
    /// Bytes of a value without a dictionary.
    plain_bytes: f64,
}

impl<T: Number> Default for Numbers<T> {
    fn default() -> Self {
        Self { gathered: Vec::new(), places: Vec::new(), table: NumberTable::default(), plain_bytes: T::BYTES as f64 }
    }
}

impl<T: Number> Numbers<T> {
    /// For whole numbers: a dictionary has to be a good deal smaller than differences.
    fn repeats(&mut self) -> bool {
        let sample = &self.gathered[..self.gathered.len().min(SAMPLE)];
        let mut sorted: Vec<u64> = sample.iter().map(|value| value.bits()).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut encoded = Vec::new();
        T::encode(sample, &mut encoded);
        self.plain_bytes = encoded.len() as f64 / sample.len().max(1) as f64;
        let width = f64::from(index_width(sorted.len()) + 1);
        sorted.len() <= SAMPLE_ENTRIES_MAX.min(sample.len() / 8) && width < self.plain_bytes * 8.0 * PACKED
    }
}

impl<T: Number + ArrowNativeType> Kind for Numbers<T> {
    type Bound = T;
    type Source = ScalarBuffer<T>;
    const HAS_NAN: bool = !T::IS_WHOLE;

    fn source(array: &dyn Array) -> Option<Self::Source> {
        T::source(array)
    }

    fn fit(_: &Self::Source, range: Range<usize>, _: usize) -> usize {
        range.len()
    }

    fn gather(&mut self, source: &Self::Source, rows: Range<usize>) {
        self.gathered.extend_from_slice(&source[rows]);
    }

    fn gathered(&self) -> usize {
        self.gathered.len()
    }

    fn gathered_bytes(&self) -> usize {
        self.gathered.len() * T::BYTES
    }

    fn text_bytes(&self) -> Option<u64> {
        None
    }

    fn bounds(&mut self, _: bool) -> Option<Bounds<T>> {
        (!self.gathered.is_empty()).then(|| T::bounds(&self.gathered))
    }

    fn bloom(&self, filter: &mut Sbbf) {
        for value in &self.gathered {
            filter.insert(&value.bits().to_le_bytes()[..T::BYTES]);
        }
    }

    fn encode(&mut self, out: &mut Vec<u8>) -> Encoding {
        T::encode(&self.gathered, out)
    }

    fn clear(&mut self) {
        self.gathered.clear();
    }

    fn tries_dictionary(&mut self) -> bool {
        !T::IS_WHOLE || self.repeats()
    }

    fn look_up(&mut self) -> bool {
        self.table.look_up(self.gathered.iter().map(|value| value.bits()), &mut self.places)
    }

    fn entries(&self) -> usize {
        self.table.keys().len()
    }

    fn places(&self) -> &[u16] {
        &self.places
    }

    fn pays(&self, is_compressed: bool) -> bool {
        let (values, entries) = (self.places.len() as f64, self.entries());
        let plain = if is_compressed && !T::IS_WHOLE { self.plain_bytes * PACKED } else { self.plain_bytes };
        let with = (entries * T::BYTES) as f64 + values * f64::from(index_width(entries)) / 8.0;
        with + DICTIONARY_BYTES < values * plain
    }

    fn dictionary(&self, out: &mut Vec<u8>) {
        for key in self.table.keys() {
            out.extend_from_slice(&key.to_le_bytes()[..T::BYTES]);
        }
    }

    fn bloom_dictionary(&self, filter: &mut Sbbf) {
        for key in self.table.keys() {
            filter.insert(&key.to_le_bytes()[..T::BYTES]);
        }
    }

    fn encode_places(&mut self, places: Range<usize>, out: &mut Vec<u8>) -> Encoding {
        let keys = self.table.keys();
        let values: Vec<T> = self.places[places].iter().map(|place| T::of_bits(keys[usize::from(*place)])).collect();
        T::encode(&values, out)
    }

    fn forget(&mut self) {
        self.places = Vec::new();
        self.table.clear();
    }

    fn release(&mut self) {
        self.gathered = Vec::new();
    }

    fn held_bytes(&self) -> usize {
        self.gathered_bytes() + self.places.len() * 2 + self.table.memory_bytes()
    }

    fn memory_bytes(&self) -> usize {
        self.gathered.capacity() * size_of::<T>() + self.places.capacity() * 2 + self.table.memory_bytes()
    }

    fn is_greater(one: &T, other: &T) -> bool {
        one.is_greater(*other)
    }

    fn is_nan(bound: &T) -> bool {
        bound.is_nan()
    }

    fn index_bytes(bounds: &Bounds<T>, _: bool) -> (Vec<u8>, Vec<u8>) {
        let bytes = |bound: T| bound.bits().to_le_bytes()[..T::BYTES].to_vec();
        (bytes(bounds.min), bytes(bounds.max))
    }

    fn statistics(facts: Facts<T>) -> Statistics {
        T::statistics(facts)
    }
}
