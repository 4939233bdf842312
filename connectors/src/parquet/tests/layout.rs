//! Rows in folders, sorted, with filters and pages that readers can skip by; and memory that many open files share.

use engine::batch::HeaderWriter;

use super::*;
use crate::parquet::{ParquetConfig, Place, StoreConfig, inspect_blocking, run_blocking};
use crate::sink::{Cursors, ROOM, SinkStats, feed};

fn write(config: &ParquetConfig, deliveries: Vec<Delivery>) {
    let cursors = Arc::new(Cursors::new(&[0]));
    let (sender, feed) = feed(ROOM, cursors);
    deliveries.into_iter().for_each(|delivery| sender.blocking_send(delivery).expect("room"));
    drop(sender);
    run_blocking("lake", config.clone(), feed, Arc::new(SinkStats::default())).expect("writes");
}

/// A hundred devices in turn, each of a site, each event with some noise.
fn fleet(batches: u64, rows: u64, noise: usize) -> Vec<Delivery> {
    let mut random = fastrand::Rng::with_seed(3);
    let batch = |batch: u64| {
        let events: Vec<(String, String)> = (0..rows)
            .map(|row| {
                let noise: String = (0..noise).map(|_| random.alphanumeric()).collect();
                let device = (batch * rows + row) * 37 % 100;
                (format!("dev-{device:03}"), format!("{{\"site\":\"s{device}\",\"n\":{row},\"t\":\"{noise}\"}}"))
            })
            .collect();
        let events: Vec<_> =
            events.iter().map(|(key, body)| (key.as_bytes(), body.as_bytes(), HeaderWriter::default())).collect();
        delivery_of(0, batch * rows, &events, &[])
    };
    (0..batches).map(batch).collect()
}

#[test]
fn a_row_group_is_sorted_and_has_what_readers_skip_by() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    config.sort_by = vec!["_key".to_owned(), "_time".to_owned()];
    config.bloom = vec!["_key".to_owned()];
    config.row_group_bytes_max = 64 * 1024;
    write(&config, fleet(300, 100, 100));
    let path = &files(dir.path())[0];
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).expect("a file")).expect("Parquet");
    let footer = reader.metadata().clone();
    assert!(footer.num_row_groups() > 2, "row groups end by bytes");
    for group in footer.row_groups() {
        let sorted: Vec<_> = group.sorting_columns().expect("said").iter().map(|column| column.column_idx).collect();
        let names: Vec<_> = sorted.iter().map(|at| group.column(*at as usize).column_path().string()).collect();
        assert_eq!(names, ["_key", "_time"]);
        for column in group.columns() {
            let is_key = column.column_path().string() == "_key";
            assert_eq!(column.bloom_filter_offset().is_some(), is_key, "{}", column.column_path());
            assert!(column.column_index_offset().is_some() && column.offset_index_offset().is_some());
        }
    }
    let mut at = 0;
    let found = rows(dir.path());
    for group in footer.row_groups() {
        let keys: Vec<_> =
            found[at..at + group.num_rows() as usize].iter().map(|row| row["_key"].to_string()).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        at += keys.len();
    }
    let mut offsets: Vec<i64> = found.iter().map(|row| row["_offset"].as_i64().expect("a number")).collect();
    offsets.sort_unstable();
    assert!(offsets.into_iter().eq(0..30_000), "each row once");
}

#[test]
fn a_hundred_open_files_keep_to_their_memory_and_come_out_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    config.partition_by = vec!["site".to_owned()];
    config.manifest = true;
    config.memory_bytes_max = 8 * 1024 * 1024;
    // 40 MB of what cannot be made smaller: the bound is reached again and again.
    write(&config, fleet(1000, 40, 1000));
    let report = inspect_blocking(&Place::Dir(dir.path().to_owned()), &StoreConfig::default()).expect("a lake");
    assert_eq!((report.rows, report.files.len(), report.manifests), (40_000, 100, 1));
    let groups: usize = report.files.iter().map(|file| file.row_groups).sum();
    assert!(groups > 200, "{groups} row groups: nothing was written out early");
    assert!(
        report.partitions[0].gaps.is_empty() && report.partitions[0].overlaps.is_empty() && report.damaged.is_empty()
    );
    assert!(report.columns.iter().any(|column| column.name == "t" && column.values == 40_000));
}

#[test]
fn one_more_folder_than_may_be_open_ends_the_commit() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    config.partition_by = vec!["site".to_owned()];
    config.open_files_max = 50;
    write(&config, fleet(200, 100, 10));
    let report = inspect_blocking(&Place::Dir(dir.path().to_owned()), &StoreConfig::default()).expect("a lake");
    assert_eq!(report.rows, 20_000);
    assert!(report.partitions[0].commits >= 2, "{:?}", report.partitions);
}

#[test]
fn what_nobody_covers_and_what_two_cover_is_reported() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    config.rows_max = 10;
    write(&config, fleet(5, 10, 5));
    let all = files(dir.path());
    assert_eq!(all.len(), 5);
    let place = Place::Dir(dir.path().to_owned());
    let look = || inspect_blocking(&place, &StoreConfig::default()).expect("a lake");
    assert!(look().partitions[0].gaps.is_empty());
    std::fs::remove_file(&all[2]).expect("removes");
    std::fs::copy(&all[3], dir.path().join("p00000-00000000000000000035-00000000000000000044.parquet"))
        .expect("copies");
    std::fs::write(dir.path().join("p00000-00000000000000000050-00000000000000000059.parquet"), "PAR1")
        .expect("writes");
    let report = look();
    let partition = &report.partitions[0];
    assert_eq!(partition.gaps.iter().map(|gap| (gap.first_offset, gap.last_offset)).collect::<Vec<_>>(), [(20, 29)]);
    let overlaps: Vec<_> =
        partition.overlaps.iter().map(|overlap| (overlap.range.first_offset, overlap.range.last_offset)).collect();
    assert_eq!(overlaps, [(35, 39), (40, 44)]);
    assert!(report.damaged.len() == 1 && report.damaged[0].1.contains("too short"), "{:?}", report.damaged);
}
