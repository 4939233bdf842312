//! Places of events, partition and offset: those of a log that no node has open, and those of Parquet files.
//!
//! What always holds: a log that is damaged or has a hole fails the test, and so does a place that is in two files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use connectors::hub::{self, LogOptions};
use engine::event::Event;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// All files with this extension below a folder.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found
}

/// The places of all rows of Parquet files.
pub fn in_files(files: &[PathBuf]) -> HashSet<(u32, u64)> {
    let mut found = HashSet::new();
    for path in files {
        let file = std::fs::File::open(path).expect("opens");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file").build().expect("readable");
        for rows in reader {
            let rows = rows.expect("readable");
            let column = |name: &str| {
                let column = rows.column_by_name(name).expect("the column");
                column.as_any().downcast_ref::<arrow_array::Int64Array>().expect("whole numbers").clone()
            };
            for (partition, offset) in column("_partition").values().iter().zip(column("_offset").values()) {
                let place = (*partition as u32, *offset as u64);
                assert!(found.insert(place), "{place:?} is in {} and in another file", path.display());
            }
        }
    }
    found
}

/// Shows every event of the log of a data folder, partition by partition.
pub fn each_event(data: &Path, partitions: u32, mut show: impl FnMut(u32, &Event<'_>)) {
    let (log, recovered) = hub::open(&LogOptions::new(data.join("log"), partitions)).expect("opens");
    assert!(recovered.damaged.is_empty(), "{:?}", recovered.damaged);
    let reader = log.reader();
    for partition in 0..partitions {
        let (mut next, end) = reader.bounds(partition);
        assert_eq!(next, 0);
        while next < end {
            for batch in reader.read(partition, next, 1 << 20).expect("readable") {
                assert_eq!(batch.base_offset(), next, "a hole");
                (0..batch.rows().len()).for_each(|row| show(partition, &Event::new(&batch, row)));
                next = batch.last_offset() + 1;
            }
        }
    }
}

/// The places of all events of a log.
pub fn in_log(data: &Path, partitions: u32) -> HashSet<(u32, u64)> {
    let mut found = HashSet::new();
    each_event(data, partitions, |partition, event| {
        found.insert((partition, event.offset()));
    });
    found
}
