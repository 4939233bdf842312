//! How each column is encoded, chosen once per file from its type and its first rows.
//!
//! Whole numbers are packed without a dictionary: looking every value up costs many times what packing it costs. Doubles and strings
//! have one only where it pays: where values repeat.

use std::collections::HashSet;
use std::hash::Hash;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use parquet::basic::{Compression as Codec, Encoding};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::config::Compression;

/// Rows of a row group: what readers hand to one thread.
const GROUP_ROWS_MAX: usize = 128 * 1024;
/// Bytes of a row group, which are in memory until it is full.
const GROUP_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Rows that are looked at to see whether the values of a column repeat.
const SAMPLE_ROWS: usize = 2048;

/// Settings of the writer for a file that begins with `first`.
pub fn properties(compression: Compression, first: &RecordBatch, metadata: Vec<KeyValue>) -> WriterProperties {
    let codec = match compression {
        Compression::Snappy => Codec::SNAPPY,
        Compression::Lz4 => Codec::LZ4_RAW,
        Compression::Zstd => Codec::ZSTD(Default::default()),
        Compression::None => Codec::UNCOMPRESSED,
    };
    let mut properties = WriterProperties::builder()
        .set_compression(codec)
        .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
        .set_max_row_group_bytes(Some(GROUP_BYTES_MAX))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_key_value_metadata(Some(metadata))
        .set_created_by(concat!("anabranch ", env!("CARGO_PKG_VERSION")).to_owned());
    for (field, array) in first.schema().fields().iter().zip(first.columns()) {
        let plain = match field.data_type() {
            DataType::Int64 | DataType::Timestamp(..) => Some(Encoding::DELTA_BINARY_PACKED),
            DataType::Float64 if !repeats(doubles(array)) => Some(Encoding::BYTE_STREAM_SPLIT),
            DataType::Utf8 if !repeats(array.as_string::<i32>().iter().flatten()) => {
                Some(Encoding::DELTA_LENGTH_BYTE_ARRAY)
            }
            _ => None,
        };
        if let Some(encoding) = plain {
            // One part, though the name may hold dots.
            let path = ColumnPath::new(vec![field.name().clone()]);
            properties =
                properties.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, encoding);
        }
    }
    properties.build()
}

fn doubles(array: &dyn Array) -> impl Iterator<Item = u64> {
    array.as_primitive::<Float64Type>().iter().flatten().map(f64::to_bits)
}

/// At most half of the first values are different.
fn repeats<T: Eq + Hash>(values: impl Iterator<Item = T>) -> bool {
    let (mut seen, mut rows) = (HashSet::new(), 0);
    for value in values.take(SAMPLE_ROWS) {
        seen.insert(value);
        rows += 1;
    }
    seen.len() <= rows / 2
}
