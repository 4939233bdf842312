//! Names, schemas and settings, and the refusals.

use super::*;
use crate::parquet::file::FileWriter;
use crate::parquet::names::{Lake, Name, Part};
use crate::parquet::store::{Entry, StoreError};
use crate::parquet::{
    ColumnConfig, ColumnType, FileError, ParquetConfig, Pushed, Schema, SchemaError, SinkError, resume_offsets,
    run_blocking,
};
use crate::sink::{Cursors, SinkStats, feed};

fn run_empty(config: &ParquetConfig) -> Result<(), SinkError> {
    let (_, feed) = feed(1, Arc::new(Cursors::new(&[0])));
    run_blocking("lake", config.clone(), feed, Arc::new(SinkStats::default()))
}

fn name(partition: u32, first: u64, last: u64, part: Part) -> Name {
    Name { partition, first, last, part }
}

#[test]
fn names_are_read_as_they_are_written_and_others_are_not() {
    for (partition, first, last) in [(0, 0, 0), (1023, 5, 1 << 40), (99_999, 7, u64::MAX - 1)] {
        for part in
            [Part::Whole, Part::Compacted, Part::Of { number: 2, count: 3 }, Part::Of { number: 9999, count: 9999 }]
        {
            let name = name(partition, first, last, part);
            assert_eq!(Name::parse(&name.to_string()), Some(name));
        }
    }
    for other in [
        "p0-0-0.parquet",
        "p00000-00000000000000000009-00000000000000000008.parquet",
        "p00000-0000000000000000000x-00000000000000000008.parquet",
        "p00000-+0000000000000000001-00000000000000000008.parquet",
        "p00000-00000000000000000001-18446744073709551615.parquet",
        "p00000-00000000000000000001-00000000000000000008-1.parquet",
        "p00000-00000000000000000001-00000000000000000008-1of1.parquet",
        "p00000-00000000000000000001-00000000000000000008-0of2.parquet",
        "p00000-00000000000000000001-00000000000000000008-3of2.parquet",
        "p00000-00000000000000000001-00000000000000000008-01of2.parquet",
        "p00000-00000000000000000001-00000000000000000008-1of10000.parquet",
        "p00000-00000000000000000001-00000000000000000008-c-c.parquet",
        "p00000-00000000000000000001.parquet",
        ".tmp-p00000-00000000000000000001",
        "_schema.json",
    ] {
        assert_eq!(Name::parse(other), None, "{other}");
    }
}

#[test]
fn a_set_counts_when_it_is_whole_or_was() {
    let of = |number, count| Part::Of { number, count };
    let there = [
        ("date=1", name(0, 0, 9, of(1, 2))),
        ("date=2", name(0, 0, 9, of(2, 2))),
        ("date=1", name(0, 10, 19, of(1, 3))),
        ("date=2", name(0, 10, 19, of(2, 3))),
        // The first file of this one is in the compacted one, which is why the rest counts.
        ("date=2", name(1, 5, 9, of(2, 2))),
        ("date=1", name(1, 0, 9, Part::Compacted)),
        ("date=1", name(1, 0, 4, Part::Whole)),
        ("date=1", name(1, 10, 11, Part::Whole)),
        ("", name(2, 3, 7, Part::Whole)),
    ];
    let entry = |(folder, name): &(&str, Name)| Entry {
        path: format!("{folder}{}{name}", if folder.is_empty() { "" } else { "/" }),
        bytes: 1,
    };
    let mut entries: Vec<Entry> = there.iter().map(entry).collect();
    for other in ["_schema.json", "date=1/.tmp-x", "_tmp/p00000-x", "_manifest/x.json"] {
        entries.push(Entry { path: other.to_owned(), bytes: 1 });
    }
    let lake = Lake::of(entries);
    let names = |files: &[crate::parquet::names::Found]| files.iter().map(|file| file.name).collect::<Vec<_>>();
    assert_eq!(names(&lake.incomplete), [there[2].1, there[3].1]);
    assert_eq!(lake.replaced, [format!("date=1/{}", there[6].1)]);
    assert_eq!(names(&lake.files), [0, 1, 5, 4, 7, 8].map(|at: usize| there[at].1));
    assert_eq!(lake.temporary, ["date=1/.tmp-x", "_tmp/p00000-x"]);
    assert_eq!(lake.next().into_iter().collect::<Vec<_>>(), [(0, 10), (1, 12), (2, 8)]);
}

#[test]
fn each_partition_goes_on_behind_its_last_file() {
    let dir = tempfile::tempdir().expect("a folder");
    assert_eq!(resume_offsets(&dir.path().join("none")).expect("nothing there"), []);
    for (partition, first, last) in [(1, 0, 9), (1, 12, 30), (0, 5, 5)] {
        std::fs::write(dir.path().join(name(partition, first, last, Part::Whole).to_string()), "").expect("writes");
    }
    std::fs::write(dir.path().join("p00002-notes.parquet"), "").expect("writes");
    assert_eq!(resume_offsets(dir.path()).expect("reads"), [(0, 6), (1, 31)]);
}

#[test]
fn a_folder_serves_one_endpoint_at_a_time() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = ParquetConfig::new(dir.path());
    let leftover = dir.path().join(".tmp-p00000-00000000000000000000");
    std::fs::write(&leftover, "half").expect("writes");
    let lock = crate::parquet::names::lock(dir.path()).expect("free");
    let error = run_empty(&config).expect_err("taken");
    assert!(matches!(error, SinkError::File(FileError::Store(StoreError::InUse { .. }))), "{error}");
    assert!(leftover.exists(), "what belongs to another is left alone");
    drop(lock);
    run_empty(&config).expect("free again");
    assert!(!leftover.exists(), "leftovers are removed");
}

#[test]
fn columns_do_not_change_under_files_that_are_there() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    let column = |name: &str| ColumnConfig::new(name, ColumnType::Int64);
    config.columns = Some(vec![column("a")]);
    run_empty(&config).expect("new");
    run_empty(&config).expect("the same");
    config.columns = Some(vec![column("b")]);
    let error = run_empty(&config).expect_err("other columns");
    assert!(matches!(error, SinkError::Schema(SchemaError::Differs { .. })), "{error}");
    config.columns = None;
    run_empty(&config).expect("the kept ones");
    for wrong in ["", "{}", r#"{"version":3,"columns":[]}"#] {
        std::fs::write(dir.path().join("_schema.json"), wrong).expect("writes");
        let error = run_empty(&config).expect_err("no schema");
        assert!(matches!(error, SinkError::Schema(SchemaError::Malformed { .. })), "{wrong}: {error}");
    }
}

#[test]
fn large_events_are_encoded_before_a_column_overflows() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = ParquetConfig::new(dir.path());
    let mut writer = FileWriter::create(&config, &Schema::new(Vec::new()), true, "lake", 0, 0).expect("opens");
    let body = vec![b'x'; 300_000];
    let made = delivery_of(0, 0, &[(b"k", &body, HeaderWriter::default())], &[]);
    for _ in 0..64 {
        let event = made.events().next().expect("one");
        assert_eq!(writer.push(&event, &[], None).expect("writes"), Pushed::Row);
    }
    assert!(writer.memory_bytes() < 8 * 300_000, "{} bytes wait", writer.memory_bytes());
    assert_eq!(writer.finish().expect("writes").rows, 64);
    assert_eq!(rows(dir.path()).len(), 64);
}

#[test]
fn what_is_wrong_with_settings_is_said_at_once() {
    let column = |name: &str, path: Option<&str>| ColumnConfig {
        path: path.map(str::to_owned),
        ..ColumnConfig::new(name, ColumnType::Int64)
    };
    assert_eq!(ParquetConfig::new("lake").problems(), []);
    let mut config = ParquetConfig::new("");
    config.columns =
        Some(vec![column("a", None), column("a", Some("b..c")), column("_x", Some("y")), column("z", Some("a"))]);
    (config.rows_max, config.bytes_max, config.age_ms_max) = (0, 1, 1);
    (config.memory_bytes_max, config.learn_events) = (1, 0);
    let found: Vec<&str> = config.problems().iter().map(|problem| problem.field).collect();
    let expected = [
        "dir",
        "learn_events",
        "rows_max",
        "bytes_max",
        "age_ms_max",
        "memory_bytes_max",
        "columns",
        "columns",
        "columns",
        "columns",
    ];
    assert_eq!(found, expected);
}
