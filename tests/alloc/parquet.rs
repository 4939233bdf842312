//! What open files say they take in memory is what they take: the bound over all of them is as good as that.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use connectors::parquet::{Compression, Encoder, PageRoom, ParquetConfig};

const FILES: usize = 20;
const BATCHES: usize = 8;
const ROWS: usize = 300;
/// Schema, properties and writers of a file, which nobody counts.
const FIXED_BYTES: i64 = 32 * 1024;
/// The page that is being made, before and after compression, and the codec's own memory: once for all files.
const ROOM_BYTES: i64 = 4 * 1024 * 1024;

/// Numbers and texts that repeat and that do not, some of them null.
fn rows(first: usize) -> RecordBatch {
    let mut random = fastrand::Rng::with_seed(first as u64);
    let rows = first..first + ROWS;
    let notes = rows.clone().map(|_| (0..2000).map(|_| random.alphanumeric()).collect::<String>());
    let columns: [(&str, ArrayRef); 5] = [
        ("note", Arc::new(StringArray::from_iter_values(notes))),
        (
            "site",
            Arc::new(StringArray::from_iter(rows.clone().map(|n| (n % 3 > 0).then(|| format!("site-{}", n % 7))))),
        ),
        ("seq", Arc::new(Int64Array::from_iter_values(rows.clone().map(|n| (n * n) as i64)))),
        ("temp", Arc::new(Float64Array::from_iter(rows.clone().map(|n| (n % 5 > 0).then_some((n % 100) as f64))))),
        ("door", Arc::new(BooleanArray::from_iter(rows.map(|n| (n % 2 > 0).then_some(n % 4 > 1))))),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

#[test]
fn open_files_take_what_they_say() {
    for compression in [Compression::Snappy, Compression::Zstd] {
        let config = ParquetConfig { compression, ..ParquetConfig::new("") };
        let room = PageRoom::default();
        let open = || Encoder::new(Vec::<u8>::new(), Vec::new()).in_room(&room);
        let mut files: Vec<_> = (0..FILES).map(|_| open()).collect();
        let used = allocation_counter::measure(|| {
            for batch in 0..BATCHES {
                for (file, encoder) in files.iter_mut().enumerate() {
                    encoder.write(&config, &rows((batch * FILES + file) * ROWS)).expect("encodes");
                }
            }
        });
        let said: usize = files.iter().map(Encoder::memory_bytes).sum();
        let (said, is) = (said as i64, used.bytes_current);
        println!("{compression:?}: {FILES} open files say {said} bytes and take {is}");
        assert!((is - said).abs() <= ROOM_BYTES + FILES as i64 * FIXED_BYTES, "{said} bytes said, {is} taken");
        // What is in memory at all: the test would hold for files that were written out.
        assert!(said > (FILES * BATCHES * ROWS * 1000) as i64, "{said} bytes");
    }
}
