//! What `parquet inspect` says of folders that are right, and of those that are not.

use connectors::parquet::{
    ColumnReport, FileReport, Overlap, PartitionReport, Range, Report, SchemaReport, inspect_blocking,
};

use super::*;

fn range(first_offset: u64, last_offset: u64) -> Range {
    Range { first_offset, last_offset }
}

#[test]
fn everything_that_is_wrong_is_said() {
    let file = |path: &str, schema| FileReport {
        path: path.to_owned(),
        partition: 3,
        first_offset: 0,
        last_offset: 9,
        rows: 10,
        bytes: 20_000,
        row_groups: 1,
        schema,
        is_compacted: false,
    };
    let schema = |since: &str, changes: &[&str]| SchemaReport {
        since: since.to_owned(),
        files: 1,
        columns: vec![("n".to_owned(), "Int64".to_owned())],
        changes: changes.iter().map(|change| (*change).to_owned()).collect(),
    };
    let report = Report {
        place: "lake".to_owned(),
        files: vec![file("a.parquet", 0), file("b.parquet", 1)],
        rows: 20,
        bytes: 40_000,
        partitions: vec![PartitionReport {
            partition: 3,
            files: 2,
            commits: 2,
            rows: 20,
            first_offset: 0,
            last_offset: 99,
            gaps: vec![range(40, 49)],
            overlaps: vec![Overlap { range: range(5, 9), one: "a.parquet".to_owned(), other: "b.parquet".to_owned() }],
        }],
        schemas: vec![schema("a.parquet", &[]), schema("b.parquet", &["+ m Float64"])],
        columns: vec![ColumnReport {
            name: "n".to_owned(),
            r#type: "INT64".to_owned(),
            values: 20,
            nulls: 3,
            bytes: 10_000,
            raw_bytes: 25_000,
            encodings: vec!["DELTA_BINARY_PACKED".to_owned()],
            codecs: vec!["SNAPPY".to_owned()],
        }],
        damaged: vec![("c.parquet".to_owned(), "too short".to_owned())],
        ..Report::default()
    };
    let text = show::text(&report, true);
    for line in [
        "lake: 2 files, 20 rows, 40.0 kB",
        "partition  files  commits  rows  first offset  last offset  gaps  overlaps",
        "3              2        2    20             0           99     1         1",
        "  partition 3: no file covers 40 to 49 (10 offsets)",
        "  partition 3: 5 to 9 are covered twice, by a.parquet and b.parquet",
        "  c.parquet: too short",
        "  2: 1 column, 1 file, since b.parquet",
        "     + m Float64",
        "n       INT64          20      3  10.0 kB  25.0 kB    2.5      25.0  SNAPPY, DELTA_BINARY_PACKED",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is not said:\n{text}");
    }
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!(json["partitions"][0]["gaps"][0]["first_offset"], 40);
}

#[test]
fn a_folder_without_files_and_places_that_are_none_are_errors() {
    let dir = tempfile::tempdir().expect("a folder");
    let error = inspect_blocking(&Place::Dir(dir.path().to_owned()), &StoreConfig::default()).expect_err("empty");
    assert!(error.to_string().contains("has no Parquet files of an endpoint"), "{error}");
    let args = |place: &str| InspectArgs {
        place: place.to_owned(),
        json: false,
        files: false,
        endpoint: None,
        region: None,
        account: None,
        allow_http: false,
        ca_file: None,
    };
    for (place, said) in [("gs://bucket/lake", "no store that we write to"), ("/no/such/folder", "there is no folder")]
    {
        let error = inspect(args(place)).expect_err("no place");
        assert!(error.contains(said), "{error}");
    }
}
