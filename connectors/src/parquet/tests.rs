//! Files there and back: learnt and configured columns, what has none, ranges in names, and restarts that neither lose nor double.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use engine::batch::{BatchBuilder, HeaderWriter};
use engine::event::put_attribute;
use engine::lane::{Delivery, Rows};

use super::*;
use crate::sink::{Cursors, SinkStats, feed};

fn delivery(partition: u32, base: u64, bodies: &[&str]) -> Delivery {
    let mut builder = BatchBuilder::new(partition);
    let mut headers = HeaderWriter::default();
    put_attribute(&mut headers, "type", "t");
    put_attribute(&mut headers, "subject", "s");
    for body in bodies {
        builder.push(Some(b"dev"), body.as_bytes(), &headers, 1_000).expect("fits");
    }
    let mut batch = builder.seal().expect("rows");
    batch.set_base_offset(base);
    Delivery { batch: Arc::new(batch), rows: Rows::All, enrichments: Arc::new([]), table_version: 1 }
}

/// Runs the endpoint over these deliveries; the cursors afterwards.
fn run(config: &ParquetConfig, deliveries: Vec<Delivery>) -> Vec<u64> {
    let cursors = Arc::new(Cursors::new(&[0, 0]));
    let (sender, feed) = feed(64, cursors.clone());
    deliveries.into_iter().for_each(|delivery| sender.blocking_send(delivery).expect("room"));
    drop(sender);
    run_blocking("lake", config.clone(), feed, Arc::new(SinkStats::default())).expect("writes");
    cursors.all()
}

fn files(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('_'));
    names.sort();
    names
}

fn read(dir: &Path) -> Vec<RecordBatch> {
    let mut all = Vec::new();
    for name in files(dir) {
        let file = std::fs::File::open(dir.join(name)).expect("opens");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").build().expect("readable");
        all.extend(reader.map(|rows| rows.expect("readable")));
    }
    all
}

fn texts(rows: &RecordBatch, column: &str) -> Vec<Option<String>> {
    let column = rows.column_by_name(column).expect("the column").as_string::<i32>();
    column.iter().map(|text| text.map(str::to_owned)).collect()
}

fn floats(rows: &RecordBatch, column: &str) -> Vec<Option<f64>> {
    rows.column_by_name(column).expect("the column").as_primitive::<Float64Type>().iter().collect()
}

#[test]
fn columns_are_learnt_and_nothing_is_dropped() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = ParquetConfig::new(dir.path());
    let bodies = [
        r#"{"n":1,"temp":20,"ok":true,"name":"a","loc":{"lat":1.5},"tags":[1,2]}"#,
        r#"{"n":2,"temp":20.5,"ok":null,"name":"ü\n","loc":{"lat":2.5,"new":"x"},"late":{"a":[{}]}}"#,
        r#"{"name":7,"n":"x","n":3,"temp":9007199254740993}"#,
        "[1,2]",
        "no json",
    ];
    assert_eq!(run(&config, vec![delivery(0, 10, &bodies)]), [15, 0]);
    let all = read(dir.path());
    let [rows] = all.as_slice() else { panic!("{all:?}") };
    let offsets: Vec<_> = rows.column_by_name("_offset").expect("there").as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(offsets, [10, 11, 12, 13, 14]);
    assert_eq!(floats(rows, "temp"), [Some(20.0), Some(20.5), None, None, None]);
    assert_eq!(floats(rows, "loc.lat"), [Some(1.5), Some(2.5), None, None, None]);
    let numbers: Vec<_> = rows.column_by_name("n").expect("there").as_primitive::<Int64Type>().iter().collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(3), None, None]);
    assert_eq!(texts(rows, "name"), [Some("a".into()), Some("ü\n".into()), None, None, None]);
    assert_eq!(texts(rows, "_type"), vec![Some("t".to_owned()); 5]);
    assert_eq!(texts(rows, "_attributes")[0].as_deref(), Some(r#"{"subject":"s"}"#));
    let rest: Vec<Option<serde_json::Value>> = texts(rows, "_rest")
        .iter()
        .map(|text| text.as_ref().map(|text| serde_json::from_str(text).expect("JSON")))
        .collect();
    // `loc.new` was seen while learning, so it has a column; a value of another kind than its column's is kept here.
    assert_eq!(rest[0], Some(serde_json::json!({"tags":[1,2]})));
    assert_eq!(rest[1], Some(serde_json::json!({"late":{"a":[{}]}})));
    assert_eq!(rest[2], Some(serde_json::json!({"name":7,"n":"x","temp":9007199254740993i64})));
    let raw = rows.column_by_name("_data").expect("there").as_binary::<i32>();
    assert_eq!((raw.value(3), raw.value(4), raw.is_null(0)), (&b"[1,2]"[..], &b"no json"[..], true));
}

#[test]
fn enrichments_stand_with_the_attributes() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut enriched = delivery(0, 0, &["{\"n\":1}"]);
    let added = engine::lane::Enrichment { key: "site".into(), value: "fra".into() };
    enriched.enrichments = Arc::new([added]);
    run(&ParquetConfig::new(dir.path()), vec![enriched]);
    let all = read(dir.path());
    assert_eq!(texts(&all[0], "_attributes")[0].as_deref(), Some(r#"{"subject":"s","site":"fra"}"#));
}

#[test]
fn configured_columns_read_their_paths() {
    let dir = tempfile::tempdir().expect("a folder");
    let column = |name: &str, path: &str, r#type| ColumnConfig { name: name.into(), path: Some(path.into()), r#type };
    let columns = vec![column("t", "a.b.temp", ColumnType::Float64), column("when", "ts", ColumnType::TimestampMs)];
    let config = ParquetConfig { columns: Some(columns), ..ParquetConfig::new(dir.path()) };
    run(&config, vec![delivery(1, 0, &[r#"{"ts":1763666543000,"a":{"b":{"temp":4}},"x":1}"#])]);
    let all = read(dir.path());
    assert_eq!(floats(&all[0], "t"), [Some(4.0)]);
    assert_eq!(texts(&all[0], "_rest"), [Some(r#"{"x":1}"#.to_owned())]);
    assert!(!dir.path().join("_schema.json").exists());
}

#[test]
fn a_restart_goes_on_behind_the_finished_files() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = ParquetConfig { rows_max: 3, ..ParquetConfig::new(dir.path()) };
    run(
        &config,
        vec![
            delivery(0, 0, &["{\"n\":0}", "{\"n\":1}"]),
            delivery(0, 2, &["{\"n\":2}"]),
            delivery(1, 5, &["{\"n\":5}"]),
        ],
    );
    let expected = [
        "p00000-00000000000000000000-00000000000000000002.parquet",
        "p00001-00000000000000000005-00000000000000000005.parquet",
    ];
    assert_eq!(files(dir.path()), expected);
    assert_eq!(resume_offsets(dir.path()).expect("reads"), [(0, 3), (1, 6)]);
    // A crash left a file open, and the cursor far behind: everything comes again, and a little more.
    std::fs::write(dir.path().join(".tmp-p00000-x"), "torn").expect("writes");
    let again =
        vec![delivery(0, 0, &["{\"n\":0}", "{\"n\":1}", "{\"n\":2}", "{\"n\":3}"]), delivery(1, 5, &["{\"n\":5}"])];
    assert_eq!(run(&config, again), [4, 6]);
    assert_eq!(files(dir.path()).len(), 3);
    let mut seen = BTreeMap::new();
    for rows in read(dir.path()) {
        let column =
            |name: &str| rows.column_by_name(name).expect("there").as_primitive::<Int64Type>().values().to_vec();
        for place in column("_partition").into_iter().zip(column("_offset")) {
            *seen.entry(place).or_insert(0) += 1;
        }
    }
    let places = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 5)];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), places.map(|place| (place, 1)));
    assert_eq!(resume_offsets(&dir.path().join("none")).expect("nothing is no error"), []);
}

#[test]
fn memory_is_bounded_by_finishing_the_largest_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = ParquetConfig { memory_bytes_max: 1024 * 1024, ..ParquetConfig::new(dir.path()) };
    let body = format!("{{\"text\":\"{}\"}}", "x".repeat(1000));
    let many: Vec<&str> = vec![&body; 60];
    let deliveries = (0..40).map(|n| delivery(0, n * 60, &many)).collect();
    assert_eq!(run(&config, deliveries), [2400, 0]);
    assert!(files(dir.path()).len() > 1, "{:?}", files(dir.path()));
    assert_eq!(read(dir.path()).iter().map(RecordBatch::num_rows).sum::<usize>(), 2400);
}
