//! A column chunk while its pages are written: into memory, with headers by the crate's writer, and what the footer will say of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, EncodingMask, PageType};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::codec::Codec;
use super::index::Index;
use super::kind::{Bounds, Kind};

/// What all columns use one after the other.
#[derive(Default)]
pub struct Shared {
    /// Compresses pages.
    pub codec: Codec,
    /// A page before that.
    pub body: Vec<u8>,
    /// And after it.
    packed: Vec<u8>,
}

impl Shared {
    /// Gives the memory of pages back.
    pub fn release(&mut self) {
        (self.body, self.packed) = (Vec::new(), Vec::new());
    }
}

/// Where files make their pages: all files of an endpoint, one after the other, in the memory of one page.
#[derive(Clone, Default)]
pub struct PageRoom(Arc<Mutex<Shared>>);

impl PageRoom {
    /// The room, for pages with this codec. Nobody waits for it as long as the files are written by one thread.
    pub fn enter(&self, codec: Compression) -> Result<MutexGuard<'_, Shared>, ParquetError> {
        // A panic in it harms no later page: each begins its buffers anew.
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.codec.name() != codec {
            shared.codec = Codec::new(codec)?;
        }
        Ok(shared)
    }
}

/// A page's rows.
pub struct PageRows<B> {
    /// Those with a value.
    pub values: usize,
    /// Those without one.
    pub nulls: usize,
    /// Bounds of the values.
    pub bounds: Option<Bounds<B>>,
    /// Bytes of the values without lengths, where they have lengths.
    pub text_bytes: Option<u64>,
}

/// See the module.
pub struct Chunk<K: Kind> {
    column: ColumnDescPtr,
    sink: TrackedWrite<Vec<u8>>,
    index: Index<K>,
    offsets: OffsetIndexBuilder,
    /// By page type and encoding, in the order of the file.
    pages: Vec<PageEncodingStats>,
    rows: usize,
    raw_bytes: usize,
    dictionary_at: Option<i64>,
    data_at: Option<i64>,
    text_bytes: Option<i64>,
}

impl<K: Kind> Chunk<K> {
    /// Of this column.
    pub fn new(column: ColumnDescPtr) -> Self {
        Self {
            index: Index::new(&column),
            column,
            sink: TrackedWrite::new(Vec::new()),
            offsets: OffsetIndexBuilder::new(),
            pages: Vec::new(),
            rows: 0,
            raw_bytes: 0,
            dictionary_at: None,
            data_at: None,
            text_bytes: None,
        }
    }

    /// Bytes of its pages so far.
    pub fn bytes(&self) -> usize {
        self.sink.bytes_written()
    }

    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.sink.inner().capacity()
    }

    /// Rows of its pages so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Writes the dictionary in `shared.body`; it comes before all pages.
    pub fn dictionary(&mut self, shared: &mut Shared, entries: usize) -> Result<(), ParquetError> {
        debug_assert!(self.pages.is_empty());
        let page =
            |buf| Page::DictionaryPage { buf, num_values: entries as u32, encoding: Encoding::PLAIN, is_sorted: false };
        let (offset, _) = self.write(shared, PageType::DICTIONARY_PAGE, page)?;
        self.dictionary_at = Some(offset);
        Ok(())
    }

    /// Writes the page in `shared.body`.
    pub fn page(
        &mut self,
        shared: &mut Shared,
        encoding: Encoding,
        rows: PageRows<K::Bound>,
    ) -> Result<(), ParquetError> {
        let num_values = (rows.values + rows.nulls) as u32;
        let page = |buf| Page::DataPage {
            buf,
            num_values,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let (offset, bytes) = self.write(shared, PageType::DATA_PAGE, page)?;
        self.data_at.get_or_insert(offset);
        self.offsets.append_offset_and_size(offset, bytes);
        self.offsets.append_row_count(num_values.into());
        self.offsets.append_unencoded_byte_array_data_bytes(rows.text_bytes.map(|bytes| bytes as i64));
        if let Some(bytes) = rows.text_bytes {
            *self.text_bytes.get_or_insert(0) += bytes as i64;
        }
        self.rows += num_values as usize;
        self.index.page(rows.bounds, rows.values, rows.nulls);
        Ok(())
    }

    /// Says where the page begins and how long it is with its header.
    fn write(
        &mut self,
        shared: &mut Shared,
        page_type: PageType,
        page: impl FnOnce(Bytes) -> Page,
    ) -> Result<(i64, i32), ParquetError> {
        shared.codec.compress(&shared.body, &mut shared.packed)?;
        let packed = Bytes::from(std::mem::take(&mut shared.packed));
        let page = CompressedPage::new(page(packed.clone()), shared.body.len());
        let encoding = page.encoding();
        let written = SerializedPageWriter::new(&mut self.sink).write_page(page)?;
        // Nobody else holds it by now: this is its memory, not a copy.
        shared.packed = packed.into();
        self.raw_bytes += written.uncompressed_size;
        match self.pages.last_mut() {
            Some(last) if last.page_type == page_type && last.encoding == encoding => last.count += 1,
            _ => self.pages.push(PageEncodingStats { page_type, encoding, count: 1 }),
        }
        Ok((written.offset as i64, written.compressed_size as i32))
    }

    /// Its bytes, and what the file's footer and indices say of it.
    pub fn close(self, codec: &Codec, bloom: Option<Sbbf>) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
        let levels = self.index.levels();
        let (column_index, statistics) = self.index.close()?;
        let bytes = Bytes::from(self.sink.into_inner()?);
        let mut encodings = vec![Encoding::RLE];
        encodings.extend(self.pages.iter().map(|page| page.encoding));
        let metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(codec.name())
            .set_encodings_mask(EncodingMask::new_from_encodings(encodings.iter()))
            .set_page_encoding_stats(self.pages)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(self.raw_bytes as i64)
            .set_num_values(self.rows as i64)
            .set_data_page_offset(self.data_at.unwrap_or(0))
            .set_dictionary_page_offset(self.dictionary_at)
            .set_statistics(statistics)
            .set_unencoded_byte_array_data_bytes(self.text_bytes)
            .set_definition_level_histogram(levels)
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows as u64,
            metadata,
            bloom_filter: bloom,
            column_index: Some(column_index),
            offset_index: Some(self.offsets.build()),
        };
        Ok((bytes, close))
    }
}
