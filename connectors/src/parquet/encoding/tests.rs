//! What a row group holds decides, whatever its first rows look like.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::ColumnChunkMetaData;

use super::*;

/// Rows in which nothing repeats before this many have been seen.
const DEVICES: usize = 10_000;
const ROWS: usize = 60_000;

/// The columns of a file: two whose values come again after [`DEVICES`] rows, two whose values never do.
fn columns() -> Vec<ColumnChunkMetaData> {
    let place = |n: usize| ((n * 7_919) % 3_600_000) as f64 / 10_000.0;
    let doubles = |of: &dyn Fn(usize) -> usize| -> ArrayRef {
        Arc::new((0..ROWS).map(|n| place(of(n))).collect::<Float64Array>())
    };
    let texts = |of: &dyn Fn(usize) -> usize| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..ROWS).map(|n| format!("dev-{:09}", of(n)))))
    };
    let rows = RecordBatch::try_from_iter([
        ("lat", doubles(&|n| n % DEVICES)),
        ("device_id", texts(&|n| n % DEVICES)),
        ("reading", doubles(&|n| n)),
        ("id", texts(&|n| n)),
    ])
    .expect("columns of one length");
    let properties = properties(&ParquetConfig::new("unused"), rows.schema_ref(), Vec::new());
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).expect("a writer");
    writer.write(&rows).expect("encodes");
    let metadata = writer.close().expect("closes");
    assert_eq!(metadata.num_row_groups(), 1);
    metadata.row_group(0).columns().to_vec()
}

#[test]
fn values_that_come_again_late_in_the_row_group_have_a_dictionary() {
    let columns = columns();
    let has = |at: usize, encoding| columns[at].encodings().any(|found| found == encoding);
    assert!(!has(0, Encoding::BYTE_STREAM_SPLIT) && !has(1, Encoding::DELTA_LENGTH_BYTE_ARRAY));
    assert!(has(2, Encoding::BYTE_STREAM_SPLIT) && has(3, Encoding::DELTA_LENGTH_BYTE_ARRAY));
    let bytes = |at: usize| columns[at].compressed_size();
    assert!(bytes(0) < bytes(2) / 2 && bytes(1) < bytes(3), "{:?}", [0, 1, 2, 3].map(bytes));
}
