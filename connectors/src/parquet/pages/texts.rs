//! Columns of texts and bytes: a dictionary while it pays, else all lengths and then all bytes.

use std::cmp::Ordering;
use std::ops::Range;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::DataType;
use parquet::basic::Encoding;
use parquet::bloom_filter::Sbbf;
use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::delta;
use super::kind::{Bounds, Facts, Kind};
use super::levels::index_width;
use super::text_table::TextTable;
use super::truncate::{truncated_max, truncated_min};

/// What a codec leaves of texts, roughly.
const PACKED: f64 = 0.6;
/// Headers of a dictionary.
const DICTIONARY_BYTES: f64 = 32.0;

/// See the module.
#[derive(Default)]
pub struct Texts {
    bytes: Vec<u8>,
    /// By value: its bytes.
    lengths: Vec<i32>,
    places: Vec<u16>,
    /// Bytes of the texts that are places.
    placed_bytes: usize,
    table: TextTable,
    /// By place: whether the page has it.
    marks: Vec<bool>,
}

/// Offsets and bytes of an array.
pub struct TextSource {
    offsets: OffsetBuffer<i32>,
    bytes: Buffer,
}

/// Texts end to end.
#[derive(Clone)]
struct Walk<'w> {
    bytes: &'w [u8],
    lengths: std::slice::Iter<'w, i32>,
}

impl<'w> Iterator for Walk<'w> {
    type Item = &'w [u8];

    #[inline]
    fn next(&mut self) -> Option<&'w [u8]> {
        let (text, rest) = self.bytes.split_at_checked(*self.lengths.next()? as usize)?;
        self.bytes = rest;
        Some(text)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.lengths.size_hint()
    }
}

impl ExactSizeIterator for Walk<'_> {}

/// The first bytes of a text, as a number that is ordered as they are.
#[inline]
fn order(text: &[u8]) -> u64 {
    match text.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => text.iter().enumerate().fold(0, |all, (at, byte)| all | u64::from(*byte) << (56 - 8 * at)),
    }
}

impl Texts {
    fn walk(&self) -> Walk<'_> {
        Walk { bytes: &self.bytes, lengths: self.lengths.iter() }
    }

    fn bounds_of<'t>(texts: impl Iterator<Item = (u64, &'t [u8])>) -> Option<Bounds<Vec<u8>>> {
        let compare = |one: (u64, &[u8]), other: (u64, &[u8])| one.0.cmp(&other.0).then_with(|| one.1.cmp(other.1));
        let mut found: Option<[(u64, &[u8]); 2]> = None;
        for text in texts {
            let [min, max] = found.get_or_insert([text, text]);
            if compare(text, *min) == Ordering::Less {
                *min = text;
            } else if compare(text, *max) == Ordering::Greater {
                *max = text;
            }
        }
        found.map(|[min, max]| Bounds { min: min.1.to_vec(), max: max.1.to_vec(), nans: None })
    }
}

impl Kind for Texts {
    type Bound = Vec<u8>;
    type Source = TextSource;

    fn source(array: &dyn Array) -> Option<TextSource> {
        let (offsets, bytes) = match array.data_type() {
            DataType::Utf8 => {
                let array = array.as_string::<i32>();
                (array.offsets(), array.values())
            }
            DataType::Binary => {
                let array = array.as_binary::<i32>();
                (array.offsets(), array.values())
            }
            _ => return None,
        };
        Some(TextSource { offsets: offsets.clone(), bytes: bytes.clone() })
    }

    fn fit(source: &TextSource, range: Range<usize>, room: usize) -> usize {
        let offsets = &source.offsets[range.start..=range.end];
        let first = offsets[0] as usize;
        if offsets[range.len()] as usize - first <= room {
            return range.len();
        }
        offsets[1..].partition_point(|end| *end as usize - first <= room)
    }

    fn gather(&mut self, source: &TextSource, rows: Range<usize>) {
        let offsets = &source.offsets[rows.start..=rows.end];
        let (from, to) = (offsets[0] as usize, offsets[rows.len()] as usize);
        self.bytes.extend_from_slice(&source.bytes[from..to]);
        self.lengths.extend(offsets.windows(2).map(|ends| ends[1] - ends[0]));
    }

    fn gathered(&self) -> usize {
        self.lengths.len()
    }

    fn gathered_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn text_bytes(&self) -> Option<u64> {
        Some(self.bytes.len() as u64)
    }

    fn bounds(&mut self, is_looked_up: bool) -> Option<Bounds<Vec<u8>>> {
        if !is_looked_up {
            return Self::bounds_of(self.walk().map(|text| (order(text), text)));
        }
        self.marks.clear();
        self.marks.resize(self.table.len(), false);
        for place in &self.places[self.places.len() - self.lengths.len()..] {
            self.marks[usize::from(*place)] = true;
        }
        let table = &self.table;
        let marked = self.marks.iter().enumerate().filter(|(_, is_there)| **is_there);
        Self::bounds_of(marked.map(|(place, _)| (table.order(place), table.text(place as u16))))
    }

    fn bloom(&self, filter: &mut Sbbf) {
        self.walk().for_each(|text| filter.insert(text));
    }

    fn encode(&mut self, out: &mut Vec<u8>) -> Encoding {
        delta::encode(&self.lengths, out);
        out.extend_from_slice(&self.bytes);
        Encoding::DELTA_LENGTH_BYTE_ARRAY
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.lengths.clear();
    }

    fn tries_dictionary(&mut self) -> bool {
        true
    }

    fn look_up(&mut self) -> bool {
        let fits = self.table.look_up(&self.bytes, &self.lengths, &mut self.places);
        self.placed_bytes += if fits { self.bytes.len() } else { 0 };
        fits
    }

    fn entries(&self) -> usize {
        self.table.len()
    }

    fn places(&self) -> &[u16] {
        &self.places
    }

    fn pays(&self, is_compressed: bool) -> bool {
        let packed = if is_compressed { PACKED } else { 1.0 };
        let places = self.places.len() as f64;
        let with = self.table.bytes().len() as f64 * packed + places * f64::from(index_width(self.entries())) / 8.0;
        with + DICTIONARY_BYTES < (self.placed_bytes as f64 + places) * packed
    }

    fn dictionary(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.table.bytes());
    }

    fn bloom_dictionary(&self, filter: &mut Sbbf) {
        (0..self.table.len()).for_each(|place| filter.insert(self.table.text(place as u16)));
    }

    fn encode_places(&mut self, places: Range<usize>, out: &mut Vec<u8>) -> Encoding {
        let texts = || self.places[places.clone()].iter().map(|place| self.table.text(*place));
        let lengths: Vec<i32> = texts().map(|text| text.len() as i32).collect();
        delta::encode(&lengths, out);
        texts().for_each(|text| out.extend_from_slice(text));
        Encoding::DELTA_LENGTH_BYTE_ARRAY
    }

    fn forget(&mut self) {
        self.table.clear();
        (self.places, self.marks, self.placed_bytes) = (Vec::new(), Vec::new(), 0);
    }

    fn release(&mut self) {
        (self.bytes, self.lengths) = (Vec::new(), Vec::new());
    }

    fn held_bytes(&self) -> usize {
        self.bytes.len() + self.lengths.len() * 4 + self.places.len() * 2 + self.table.memory_bytes()
    }

    fn memory_bytes(&self) -> usize {
        let gathered = self.bytes.capacity() + self.lengths.capacity() * 4;
        gathered + self.places.capacity() * 2 + self.table.memory_bytes() + self.marks.capacity()
    }

    fn is_greater(one: &Vec<u8>, other: &Vec<u8>) -> bool {
        one > other
    }

    fn index_bytes(bounds: &Bounds<Vec<u8>>, is_text: bool) -> (Vec<u8>, Vec<u8>) {
        (truncated_min(&bounds.min, is_text).0, truncated_max(&bounds.max, is_text).0)
    }

    fn statistics(facts: Facts<Vec<u8>>) -> Statistics {
        let (min, max) = facts.bounds.map(|bounds| (bounds.min, bounds.max)).unzip();
        let min = min.map(|min| truncated_min(&min, facts.is_text));
        let max = max.map(|max| truncated_max(&max, facts.is_text));
        let (is_min_exact, is_max_exact) =
            (min.as_ref().is_some_and(|(_, is_cut)| !is_cut), max.as_ref().is_some_and(|(_, is_cut)| !is_cut));
        let bound = |bound: Option<(Vec<u8>, bool)>| bound.map(|(bytes, _)| ByteArray::from(bytes));
        // Old readers compared bytes with a sign: nothing is said to them.
        Statistics::ByteArray(
            ValueStatistics::new(bound(min), bound(max), None, Some(facts.nulls), false)
                .with_backwards_compatible_min_max(facts.is_signed)
                .with_min_is_exact(is_min_exact)
                .with_max_is_exact(is_max_exact),
        )
    }
}
