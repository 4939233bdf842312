//! What a file's writer is told: codec, size of row groups, statistics, sorting, Bloom filters. How the values of a column are encoded is
//! `pages`' to decide; only lists, structs and decimals are left to the crate's defaults.

use arrow_schema::Schema;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::config::ParquetConfig;
use super::pages::codec_name;
use super::sorter::footer_columns;

/// Rows of a row group: what readers hand to one thread.
pub(super) const GROUP_ROWS_MAX: usize = 128 * 1024;

/// Settings of the writer for a file with these columns.
pub fn properties(config: &ParquetConfig, schema: &Schema, metadata: Vec<KeyValue>) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(codec_name(config))
        .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
        .set_max_row_group_bytes(Some(config.row_group_bytes_max))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(footer_columns(&config.sort_by, schema))
        .set_key_value_metadata(Some(metadata))
        .set_created_by(concat!("anabranch ", env!("CARGO_PKG_VERSION")).to_owned());
    for name in config.bloom.iter().filter(|name| schema.field_with_name(name).is_ok()) {
        let path = ColumnPath::new(vec![name.clone()]);
        properties = properties
            .set_column_bloom_filter_enabled(path.clone(), true)
            .set_column_bloom_filter_max_ndv(path, GROUP_ROWS_MAX as u64);
    }
    properties.build()
}
