//! What a row group holds decides, whatever its first rows look like.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::basic::Encoding;
use parquet::file::metadata::ColumnChunkMetaData;

use super::{config, ours, read};
use crate::parquet::Compression;

/// Rows in which nothing repeats before this many have been seen.
const DEVICES: usize = 10_000;
const ROWS: usize = 60_000;

/// The column chunks of a row group with these columns.
fn chunks(columns: Vec<(&str, ArrayRef)>) -> Vec<ColumnChunkMetaData> {
    let rows = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let batches: Vec<RecordBatch> =
        (0..rows.num_rows()).step_by(8192).map(|at| rows.slice(at, 8192.min(rows.num_rows() - at))).collect();
    let (back, metadata) = read(&ours(&config(Compression::Snappy, 1 << 25), &batches, &[]));
    assert!(back.columns() == rows.columns());
    assert_eq!(metadata.num_row_groups(), 1);
    metadata.row_group(0).columns().to_vec()
}

fn has(chunk: &ColumnChunkMetaData, encoding: Encoding) -> bool {
    chunk.encodings().any(|found| found == encoding)
}

fn doubles(rows: usize, of: impl Fn(usize) -> usize) -> ArrayRef {
    // In no order that a codec would find.
    let place = |n: usize| ((n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / 10_000.0;
    Arc::new((0..rows).map(|n| place(of(n))).collect::<Float64Array>())
}

fn texts(rows: usize, of: impl Fn(usize) -> usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..rows).map(|n| format!("dev-{:09}", of(n)))))
}

#[test]
fn values_that_come_again_late_in_the_row_group_have_a_dictionary() {
    let columns = chunks(vec![
        ("lat", doubles(ROWS, |n| n % DEVICES)),
        ("device_id", texts(ROWS, |n| n % DEVICES)),
        ("reading", doubles(ROWS, |n| n)),
        ("id", texts(ROWS, |n| n)),
    ]);
    assert!(!has(&columns[0], Encoding::BYTE_STREAM_SPLIT) && !has(&columns[1], Encoding::DELTA_LENGTH_BYTE_ARRAY));
    assert!(has(&columns[2], Encoding::BYTE_STREAM_SPLIT) && has(&columns[3], Encoding::DELTA_LENGTH_BYTE_ARRAY));
    assert!(!has(&columns[2], Encoding::RLE_DICTIONARY) && !has(&columns[3], Encoding::RLE_DICTIONARY), "in vain");
    let bytes = |at: usize| columns[at].compressed_size();
    assert!(bytes(0) < bytes(2) / 2 && bytes(1) < bytes(3), "{:?}", [0, 1, 2, 3].map(bytes));
}

#[test]
fn whole_numbers_have_a_dictionary_where_it_is_smaller() {
    let whole = |of: &dyn Fn(i64) -> i64| -> ArrayRef { Arc::new((0..ROWS as i64).map(of).collect::<Int64Array>()) };
    let columns = chunks(vec![
        ("gateway", whole(&|n| (n * 7 % 50).wrapping_mul(0x9e37_79b9_7f4a_7c15u64 as i64))),
        ("ts", whole(&|n| 1_767_225_600_000_000 + n * 10)),
        ("seq", whole(&|n| n / 10_000)),
    ]);
    assert!(has(&columns[0], Encoding::RLE_DICTIONARY) && !has(&columns[0], Encoding::DELTA_BINARY_PACKED));
    assert!(columns[0].compressed_size() < ROWS as i64);
    for column in &columns[1..] {
        assert!(has(column, Encoding::DELTA_BINARY_PACKED) && !has(column, Encoding::RLE_DICTIONARY));
        assert!(column.compressed_size() < 4000);
    }
}

/// Places that are written already stay a dictionary's when it paid up to there.
#[test]
fn a_dictionary_that_becomes_too_large_keeps_what_it_had() {
    let repeats_until = |rows: usize| move |n: usize| if n < rows { n % 100 } else { n };
    let columns = chunks(vec![
        ("reading", doubles(130_000, repeats_until(60_000))),
        ("id", texts(130_000, repeats_until(60_000))),
    ]);
    for (column, plain) in columns.iter().zip([Encoding::BYTE_STREAM_SPLIT, Encoding::DELTA_LENGTH_BYTE_ARRAY]) {
        assert!(has(column, plain) && has(column, Encoding::RLE_DICTIONARY), "{column:?}");
    }
}

/// The row group before is remembered, and a later one can be different again.
#[test]
fn what_was_in_vain_is_tried_again_with_a_page() {
    let batch =
        |of: &dyn Fn(usize) -> usize| RecordBatch::try_from_iter([("id", texts(131_072, of))]).expect("a column");
    let batches = [batch(&|n| n), batch(&|n| n + 200_000), batch(&|n| n % 100)];
    let (_, metadata) = read(&ours(&config(Compression::Lz4, 1 << 30), &batches, &[]));
    let groups = metadata.row_groups().iter().map(|group| has(group.column(0), Encoding::RLE_DICTIONARY));
    assert_eq!(groups.collect::<Vec<_>>(), [false, false, true]);
}
