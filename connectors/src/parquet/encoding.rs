//! How each column is encoded, by its type and, row group by row group, by what it holds.
//!
//! Whole numbers are packed without a dictionary: looking every value up costs many times what packing it costs. Doubles and strings
//! begin every row group with one, and leave it for their plain encoding when it has grown so large that the values do not repeat.

use arrow_schema::{DataType, Schema};
use parquet::basic::{Compression as Codec, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::config::{Compression, ParquetConfig};
use super::sorter::footer_columns;

/// Rows of a row group: what readers hand to one thread.
pub(super) const GROUP_ROWS_MAX: usize = 128 * 1024;
/// Bytes of a column's dictionary in a row group: room for the ids of 15,000 devices or 32,000 doubles. Beyond that a dictionary saves
/// little, and what was looked up for it in vain is a quarter of the row group at most.
const DICTIONARY_BYTES_MAX: usize = 256 * 1024;

/// Settings of the writer for a file with these columns.
pub fn properties(config: &ParquetConfig, schema: &Schema, metadata: Vec<KeyValue>) -> WriterProperties {
    let codec = match config.compression {
        Compression::Snappy => Codec::SNAPPY,
        Compression::Lz4 => Codec::LZ4_RAW,
        Compression::Zstd => Codec::ZSTD(ZstdLevel::try_new(config.zstd_level).unwrap_or_default()),
        Compression::None => Codec::UNCOMPRESSED,
    };
    let mut properties = WriterProperties::builder()
        .set_compression(codec)
        .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
        .set_max_row_group_bytes(Some(config.row_group_bytes_max))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(footer_columns(&config.sort_by, schema))
        .set_key_value_metadata(Some(metadata))
        .set_created_by(concat!("anabranch ", env!("CARGO_PKG_VERSION")).to_owned());
    for field in schema.fields() {
        let (plain, has_dictionary) = match field.data_type() {
            DataType::Int64 | DataType::Timestamp(..) => (Encoding::DELTA_BINARY_PACKED, false),
            DataType::Float64 => (Encoding::BYTE_STREAM_SPLIT, true),
            DataType::Utf8 => (Encoding::DELTA_LENGTH_BYTE_ARRAY, true),
            _ => continue,
        };
        // One part, though the name may hold dots.
        let path = ColumnPath::new(vec![field.name().clone()]);
        properties = properties
            .set_column_dictionary_enabled(path.clone(), has_dictionary)
            .set_column_dictionary_page_size_limit(path.clone(), DICTIONARY_BYTES_MAX)
            .set_column_encoding(path, plain);
    }
    for name in config.bloom.iter().filter(|name| schema.field_with_name(name).is_ok()) {
        let path = ColumnPath::new(vec![name.clone()]);
        properties = properties
            .set_column_bloom_filter_enabled(path.clone(), true)
            .set_column_bloom_filter_max_ndv(path, GROUP_ROWS_MAX as u64);
    }
    properties.build()
}

#[cfg(test)]
mod tests;
