//! What the columns of one kind of values have of their own: how values are gathered, looked up and encoded.

use std::ops::Range;

use arrow_array::Array;
use arrow_buffer::NullBuffer;
use parquet::basic::Encoding;
use parquet::bloom_filter::Sbbf;
use parquet::file::statistics::Statistics;

/// Least and largest value of a page. NaN is neither, unless there is nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds<B> {
    /// No value is less.
    pub min: B,
    /// No value is larger.
    pub max: B,
    /// Values that are NaN, where there can be any.
    pub nans: Option<u64>,
}

/// What a column chunk's statistics are made of.
pub struct Facts<B> {
    /// Bounds of all values; none where all are null.
    pub bounds: Option<Bounds<B>>,
    /// Rows without a value.
    pub nulls: u64,
    /// Whether their order is the one that readers of old took for granted.
    pub is_signed: bool,
    /// Whether the values are text.
    pub is_text: bool,
}

/// Values of a page that are gathered, and the dictionary of a row group.
///
/// What always holds: the values of a page are gathered before anything is done with them; places in the dictionary are kept until it
/// is known whether it pays.
pub trait Kind: Send {
    /// A bound of its values.
    type Bound: Clone + Send;
    /// An array's values.
    type Source;

    /// The array's values, if it has this kind's type.
    fn source(array: &dyn Array) -> Option<Self::Source>;
    /// How many of the rows `range` still fit into the page, which has `room` bytes.
    fn fit(source: &Self::Source, range: Range<usize>, room: usize) -> usize;
    /// Gathers the values of rows.
    fn gather(&mut self, source: &Self::Source, rows: Range<usize>);

    /// Values that are gathered.
    fn gathered(&self) -> usize;
    /// And their bytes.
    fn gathered_bytes(&self) -> usize;
    /// Their bytes without lengths, where they have lengths.
    fn text_bytes(&self) -> Option<u64>;
    /// Their bounds; none where there are none. They may have been looked up just before.
    fn bounds(&mut self, is_looked_up: bool) -> Option<Bounds<Self::Bound>>;
    /// Puts them into a Bloom filter.
    fn bloom(&self, filter: &mut Sbbf);
    /// Appends them, encoded without a dictionary.
    fn encode(&mut self, out: &mut Vec<u8>) -> Encoding;
    /// Forgets them.
    fn clear(&mut self);

    /// Whether a dictionary should be tried, as far as the first page of a row group tells.
    fn tries_dictionary(&mut self) -> bool;
    /// Turns what is gathered into places; `false` where the dictionary would become too large, and it is as it was.
    fn look_up(&mut self) -> bool;
    /// Entries of the dictionary.
    fn entries(&self) -> usize;
    /// Places of the row group so far.
    fn places(&self) -> &[u16];
    /// Whether dictionary and places are smaller than the values would be without it.
    fn pays(&self, is_compressed: bool) -> bool;
    /// Appends the dictionary.
    fn dictionary(&self, out: &mut Vec<u8>);
    /// Puts the entries of the dictionary into a Bloom filter.
    fn bloom_dictionary(&self, filter: &mut Sbbf);
    /// Appends values that are places now, encoded without a dictionary.
    fn encode_places(&mut self, places: Range<usize>, out: &mut Vec<u8>) -> Encoding;
    /// Forgets dictionary and places, with their memory; what is gathered stays.
    fn forget(&mut self);
    /// Gives the memory of gathered values back.
    fn release(&mut self);
    /// Bytes of what is gathered, of the places and of the dictionary, roughly.
    fn held_bytes(&self) -> usize;
    /// Bytes in memory, those that wait to be filled among them.
    fn memory_bytes(&self) -> usize;

    /// `one > other`, in the order of Parquet's column indices.
    fn is_greater(one: &Self::Bound, other: &Self::Bound) -> bool;
    /// Whether a bound is NaN.
    fn is_nan(_: &Self::Bound) -> bool {
        false
    }
    /// Whether values can be NaN.
    const HAS_NAN: bool = false;
    /// Bounds as a column index has them.
    fn index_bytes(bounds: &Bounds<Self::Bound>, is_text: bool) -> (Vec<u8>, Vec<u8>);
    /// Statistics of a column chunk.
    fn statistics(facts: Facts<Self::Bound>) -> Statistics;
}

/// Calls `take` with each stretch of rows of `rows` that have values.
pub fn valid_runs(nulls: Option<&NullBuffer>, rows: Range<usize>, mut take: impl FnMut(Range<usize>)) {
    match nulls.map(|nulls| nulls.slice(rows.start, rows.len())).filter(|nulls| nulls.null_count() > 0) {
        None => take(rows),
        Some(nulls) if nulls.null_count() == nulls.len() => {}
        Some(nulls) => {
            for (from, to) in nulls.valid_slices() {
                take(rows.start + from..rows.start + to);
            }
        }
    }
}

/// Bounds of the values of both.
pub fn widened<K: Kind>(all: Bounds<K::Bound>, page: &Bounds<K::Bound>) -> Bounds<K::Bound> {
    let is_better = |new: &K::Bound, old: &K::Bound, is_beyond: bool| match (K::is_nan(new), K::is_nan(old)) {
        (true, false) => false,
        (false, true) => true,
        _ => is_beyond,
    };
    let nans = all.nans.zip(page.nans).map(|(all, page)| all + page);
    let is_less = is_better(&page.min, &all.min, K::is_greater(&all.min, &page.min));
    let is_more = is_better(&page.max, &all.max, K::is_greater(&page.max, &all.max));
    Bounds {
        min: if is_less { page.min.clone() } else { all.min },
        max: if is_more { page.max.clone() } else { all.max },
        nans,
    }
}
