//! The chunk of one column of a row group: pages are cut, and for each row group it is decided whether it has a dictionary.
//!
//! The first page of a row group says whether one is tried. Places in it are kept until the row group ends or the dictionary is full;
//! then it is known whether it pays, and pages are made of the places, or of the values again.

use std::ops::Range;

use arrow_array::Array;
use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescPtr;

use super::chunk::{Chunk, PageRows, Shared};
use super::hybrid;
use super::kind::Kind;
use super::levels::{Levels, index_width};
use crate::parquet::encoding::GROUP_ROWS_MAX;

/// Rows of a page: what a reader passes over or reads, by its bounds. A quarter of the largest row group: with 20,000, a fleet of 10,000 that
/// reports in turns takes 5 % more room.
pub const PAGE_ROWS_MAX: usize = 32 * 1024;
/// Bytes of a page's values; one value may be larger.
const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Share of values that a Bloom filter lets pass though they are not there.
const BLOOM_FPP: f64 = 0.05;
const BLOOM_BLOCK_BYTES: usize = 32;

/// A column whatever its values are.
pub trait ColumnEncoder: Send {
    /// Appends rows.
    fn write(&mut self, array: &dyn Array, shared: &mut Shared) -> Result<(), ParquetError>;
    /// Ends the row group: the chunk's bytes, and what the footer says of it.
    fn close(&mut self, shared: &mut Shared) -> Result<(Bytes, ColumnCloseResult), ParquetError>;
    /// Bytes in memory, those that wait to be filled among them.
    fn memory_bytes(&self) -> usize;
    /// Bytes that the chunk would have if it ended here, roughly.
    fn encoded_bytes(&self) -> usize;
}

/// See the module.
pub struct Column<K: Kind> {
    kind: K,
    column: ColumnDescPtr,
    levels: Levels,
    /// Since its first page, or its end.
    chunk: Option<Chunk<K>>,
    /// Pages of places.
    planned: Vec<Planned<K>>,
    planned_levels: Vec<u8>,
    dictionary: Dictionary,
    /// The row group before had none, for its values did not repeat.
    was_in_vain: bool,
    /// Bytes that a row took in the row group before.
    bytes_per_row: Option<f64>,
    has_bloom: bool,
    bloom: Option<Sbbf>,
}

/// Whether a row group has a dictionary.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dictionary {
    /// Its first page will tell.
    Unknown,
    /// So far.
    Grows,
    /// Not for the pages that come.
    Left,
}

/// A page whose values are in the dictionary.
struct Planned<K: Kind> {
    places: Range<usize>,
    levels: Range<usize>,
    rows: PageRows<K::Bound>,
}

impl<K: Kind> Column<K> {
    /// Of this column of the file.
    pub fn new(kind: K, column: ColumnDescPtr, has_bloom: bool) -> Self {
        Self {
            kind,
            levels: Levels::default(),
            chunk: None,
            column,
            planned: Vec::new(),
            planned_levels: Vec::new(),
            dictionary: Dictionary::Unknown,
            was_in_vain: false,
            bytes_per_row: None,
            has_bloom,
            bloom: None,
        }
    }

    fn is_optional(&self) -> bool {
        self.column.max_def_level() > 0
    }

    fn chunk(&mut self) -> &mut Chunk<K> {
        self.chunk.get_or_insert_with(|| Chunk::new(self.column.clone()))
    }

    fn chunk_bytes(&self) -> usize {
        self.chunk.as_ref().map_or(0, Chunk::bytes)
    }

    fn begin_bloom(&mut self) -> Result<(), ParquetError> {
        if self.has_bloom && self.bloom.is_none() {
            self.bloom = Some(Sbbf::new_with_ndv_fpp(GROUP_ROWS_MAX as u64, BLOOM_FPP)?);
        }
        Ok(())
    }

    fn end_page(&mut self, shared: &mut Shared) -> Result<(), ParquetError> {
        let values = self.kind.gathered();
        if self.dictionary == Dictionary::Unknown && values > 0 {
            match self.kind.tries_dictionary() {
                true => self.dictionary = Dictionary::Grows,
                false => self.leave(shared, false)?,
            }
        }
        // Before the first value it is not known, and a dictionary comes before all pages.
        let mut is_looked_up = self.dictionary == Dictionary::Unknown;
        if self.dictionary == Dictionary::Grows {
            let fits = self.kind.look_up();
            // What was in vain once is looked at for one page only.
            let is_in_vain = self.was_in_vain && self.planned.is_empty() && self.kind.entries() * 2 > values;
            is_looked_up = fits && !is_in_vain;
            if !is_looked_up {
                self.leave(shared, true)?;
            }
        }
        let rows = PageRows {
            values,
            nulls: self.levels.nulls(),
            bounds: self.kind.bounds(is_looked_up),
            text_bytes: self.kind.text_bytes(),
        };
        if is_looked_up {
            let (places, levels) = (self.kind.places().len(), self.planned_levels.len());
            if self.is_optional() {
                self.levels.encode(&mut self.planned_levels);
            }
            let levels = levels..self.planned_levels.len();
            self.planned.push(Planned { places: places - values..places, levels, rows });
        } else {
            shared.body.clear();
            if self.is_optional() {
                self.levels.encode(&mut shared.body);
            }
            let encoding = if values == 0 { Encoding::PLAIN } else { self.kind.encode(&mut shared.body) };
            self.begin_bloom()?;
            if let Some(filter) = &mut self.bloom {
                self.kind.bloom(filter);
            }
            self.chunk().page(shared, encoding, rows)?;
        }
        self.kind.clear();
        self.levels.clear();
        Ok(())
    }

    /// Writes the pages that wait for the dictionary, with it or without; those that come have none. `is_in_vain`: it is too large, or
    /// nothing repeats.
    fn leave(&mut self, shared: &mut Shared, is_in_vain: bool) -> Result<(), ParquetError> {
        let planned = std::mem::take(&mut self.planned);
        self.dictionary = Dictionary::Left;
        if !planned.is_empty() {
            self.begin_bloom()?;
            if let Some(filter) = &mut self.bloom {
                self.kind.bloom_dictionary(filter);
            }
        }
        let has_values = planned.iter().any(|page| page.rows.values > 0);
        let pays = has_values && self.kind.pays(shared.codec.name() != Compression::UNCOMPRESSED);
        self.was_in_vain = !pays && (is_in_vain || has_values);
        let width = index_width(self.kind.entries());
        if pays {
            shared.body.clear();
            self.kind.dictionary(&mut shared.body);
            let entries = self.kind.entries();
            self.chunk().dictionary(shared, entries)?;
        }
        for Planned { places, levels, rows } in planned {
            shared.body.clear();
            shared.body.extend_from_slice(&self.planned_levels[levels]);
            let encoding = match rows.values {
                0 => Encoding::PLAIN,
                _ if pays => {
                    shared.body.push(width as u8);
                    hybrid::encode(&self.kind.places()[places], width, &mut shared.body);
                    Encoding::RLE_DICTIONARY
                }
                _ => self.kind.encode_places(places, &mut shared.body),
            };
            self.chunk().page(shared, encoding, rows)?;
        }
        self.planned_levels = Vec::new();
        self.kind.forget();
        Ok(())
    }
}

impl<K: Kind> ColumnEncoder for Column<K> {
    fn write(&mut self, array: &dyn Array, shared: &mut Shared) -> Result<(), ParquetError> {
        let source = K::source(array).ok_or_else(|| {
            let (path, found) = (self.column.path().string(), array.data_type());
            ParquetError::General(format!("column {path} has another type in this batch: {found}"))
        })?;
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        if nulls.is_some() && !self.is_optional() {
            let path = self.column.path().string();
            return Err(ParquetError::General(format!("column {path} is never null, and has nulls in this batch")));
        }
        let mut at = 0;
        while at < array.len() {
            let most = (PAGE_ROWS_MAX - self.levels.rows()).min(array.len() - at);
            let room = PAGE_BYTES_MAX.saturating_sub(self.kind.gathered_bytes());
            let fit = K::fit(&source, at..at + most, room);
            if fit == 0 && self.levels.rows() > 0 {
                self.end_page(shared)?;
                continue;
            }
            let rows = at..at + fit.max(1);
            at = rows.end;
            match nulls {
                None => self.levels.push_valid(rows.len()),
                Some(nulls) => self.levels.push(&nulls.slice(rows.start, rows.len())),
            }
            super::kind::valid_runs(nulls, rows, |rows| self.kind.gather(&source, rows));
            if self.levels.rows() == PAGE_ROWS_MAX {
                self.end_page(shared)?;
            }
        }
        Ok(())
    }

    fn close(&mut self, shared: &mut Shared) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
        if self.levels.rows() > 0 {
            self.end_page(shared)?;
        }
        if self.dictionary != Dictionary::Left {
            self.leave(shared, false)?;
        }
        self.dictionary = Dictionary::Unknown;
        self.levels = Levels::default();
        let bloom = self.bloom.take().map(|mut filter| {
            filter.fold_to_target_fpp(BLOOM_FPP);
            filter
        });
        let chunk = self.chunk.take().unwrap_or_else(|| Chunk::new(self.column.clone()));
        self.bytes_per_row = Some(chunk.bytes() as f64 / chunk.rows().max(1) as f64);
        self.kind.forget();
        self.kind.release();
        chunk.close(&shared.codec, bloom)
    }

    fn memory_bytes(&self) -> usize {
        let chunk = self.chunk.as_ref().map_or(0, Chunk::memory_bytes);
        let bloom = self.bloom.as_ref().map_or(0, |filter| filter.num_blocks() * BLOOM_BLOCK_BYTES);
        chunk + bloom + self.kind.memory_bytes() + self.levels.memory_bytes() + self.planned_levels.capacity()
    }

    fn encoded_bytes(&self) -> usize {
        let rows =
            self.levels.rows() + self.planned.iter().map(|page| page.rows.values + page.rows.nulls).sum::<usize>();
        let pending = match self.bytes_per_row {
            Some(bytes) => (rows as f64 * bytes) as usize,
            None => self.kind.held_bytes(),
        };
        self.chunk_bytes() + pending
    }
}
