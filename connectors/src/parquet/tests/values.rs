//! What stands in which column.

use engine::event::{put_attribute, put_property};
use serde_json::json;

use super::*;
use crate::parquet::{ColumnConfig, ColumnType, Compression, ParquetConfig, Unit, run_blocking};
use crate::sink::{Cursors, ROOM, SinkStats, feed};

/// Runs deliveries through an endpoint and reads its files.
fn written(config: &ParquetConfig, deliveries: Vec<Delivery>) -> Vec<Row> {
    let cursors = Arc::new(Cursors::new(&[0; 8]));
    let (sender, feed) = feed(ROOM, cursors.clone());
    deliveries.into_iter().for_each(|delivery| sender.blocking_send(delivery).expect("room"));
    drop(sender);
    run_blocking("lake", config.clone(), feed, Arc::new(SinkStats::default())).expect("writes");
    assert_eq!(cursors.open(), 0, "everything is settled");
    rows(&config.dir)
}

#[test]
fn small_deliveries_are_read_together_and_each_keeps_what_is_added_to_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    config.columns = Some(vec![column("n", None, ColumnType::Int64), column("t", None, ColumnType::String)]);
    let body = |partition: u32, offset: u64| match offset % 7 {
        // Not all by the column.
        0 => format!("{{\"n\":{offset},\"t\":\"{partition}\",\"more\":1}}"),
        _ => format!("{{\"n\":{offset},\"t\":\"{partition}\"}}"),
    };
    let mut deliveries = Vec::new();
    for first in (0..600).step_by(3) {
        for partition in 0..4 {
            let bodies: Vec<String> = (first..first + 3).map(|offset| body(partition, offset)).collect();
            let events: Vec<_> =
                bodies.iter().map(|body| (b"k".as_slice(), body.as_bytes(), HeaderWriter::default())).collect();
            deliveries.push(delivery_of(partition, first, &events, &[("of", &(first / 3).to_string())]));
        }
    }
    let rows = written(&config, deliveries);
    assert_eq!(rows.len(), 2400);
    for row in rows {
        let offset = row["_offset"].as_u64().expect("a number");
        assert_eq!(row["n"], offset);
        assert_eq!(row["t"], row["_partition"].to_string());
        assert_eq!(row["_attributes"], format!("{{\"of\":\"{}\"}}", offset / 3));
        assert_eq!(row.contains_key("_rest"), offset % 7 == 0);
    }
}

fn column(name: &str, path: Option<&str>, r#type: ColumnType) -> ColumnConfig {
    ColumnConfig { path: path.map(str::to_owned), ..ColumnConfig::new(name, r#type) }
}

/// The columns of the data and what has none.
fn data(row: &Row) -> Json {
    let own = |name: &str| name.starts_with('_') && name != "_rest" && name != "_data";
    Json::Object(row.iter().filter(|(name, _)| !own(name)).map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[test]
fn each_value_goes_to_its_column_or_to_the_rest() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    config.columns = Some(vec![
        column("b", None, ColumnType::Bool),
        column("i", None, ColumnType::Int64),
        column("f", None, ColumnType::Float64),
        column("s", None, ColumnType::String),
        column("at", None, ColumnType::Timestamp(Unit::Ms)),
        column("lat", Some("loc.lat"), ColumnType::Float64),
        column("loc_text", Some("loc"), ColumnType::String),
    ]);
    let cases = [
        (
            r#"{"b":true,"i":-1,"f":1.5,"s":"é\n\"","at":7,"loc":{"lat":50.5}}"#,
            json!({"b":true,"i":-1,"f":1.5,"s":"é\n\"","at":7,"lat":50.5}),
        ),
        // Another order, and a member that may be text or object.
        (r#"{"loc":"home","s":"","f":2}"#, json!({"loc_text":"home","s":"","f":2.0})),
        // Of the wrong kind, unknown, or inexact.
        (
            r#"{"b":1,"i":1.0,"f":9007199254740993,"s":false,"at":"x"}"#,
            json!({"_rest":r#"{"b":1,"i":1.0,"f":9007199254740993,"s":false,"at":"x"}"#}),
        ),
        (
            r#"{"x":[1,{"y":null}],"loc":{"lon":8,"lat":1}}"#,
            json!({"lat":1.0,"_rest":r#"{"x":[1,{"y":null}],"loc.lon":8}"#}),
        ),
        (r#"{"i":18446744073709551615,"f":1e300}"#, json!({"f":1e300,"_rest":r#"{"i":18446744073709551615}"#})),
        // Null is null, in whatever column; without a column it is told apart from nothing.
        (r#"{"b":null,"loc":null,"z":null}"#, json!({"_rest":r#"{"z":null}"#})),
        (r#"{"loc":{},"e":{}}"#, json!({"_rest":r#"{"loc":{},"e":{}}"#})),
        // Of duplicates the last one counts.
        (r#"{"s":"first","s":"last","i":1,"i":2,"b":true,"b":false}"#, json!({"s":"last","i":2,"b":false})),
        // No object at all.
        ("[1,2]", json!({"_data":"[1,2]"})),
        ("not json", json!({"_data":"not json"})),
        ("{}", json!({})),
        ("", json!({})),
    ];
    let bodies: Vec<&str> = cases.iter().map(|(body, _)| *body).collect();
    for compression in [Compression::None, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let dir = tempfile::tempdir().expect("a folder");
        let config = ParquetConfig { dir: dir.path().to_owned(), compression, ..config.clone() };
        let found = written(&config, vec![delivery(3, 10, &bodies)]);
        assert_eq!(found.len(), cases.len());
        for ((body, expected), row) in cases.iter().zip(&found) {
            assert_eq!(&data(row), expected, "of {body}");
        }
        assert_eq!(
            files(dir.path())[0].file_name().expect("a name"),
            "p00003-00000000000000000000-00000000000000000021.parquet",
            "from where the endpoint began"
        );
    }
}

#[test]
fn columns_of_the_node_hold_everything_that_came_with_the_event() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut headers = HeaderWriter::default();
    for (name, value) in
        [("id", "a-1"), ("type", "t"), ("source", "/s"), ("time", "2026-11-20T10:00:00.5+01:00"), ("subject", "x\"y")]
    {
        put_attribute(&mut headers, name, value);
    }
    put_attribute(&mut headers, "datacontenttype", "application/json");
    put_property(&mut headers, "Site", Some(b"fra"));
    put_property(&mut headers, "flag", None);
    put_property(&mut headers, "id", Some(b"7"));
    put_property(&mut headers, "bytes", Some(&[0xff, 0]));
    let mut fine = HeaderWriter::default();
    put_attribute(&mut fine, "time", "2026-11-20T09:00:00.123456Z");
    let mut wrong = HeaderWriter::default();
    put_attribute(&mut wrong, "time", "yesterday");
    let events: Vec<(&[u8], &[u8], HeaderWriter)> = vec![
        (b"dev-1", b"{}", headers),
        (&[0xc3, 0x28], b"{}", fine),
        (b"", b"{}", wrong),
        (b"d", b"{}", HeaderWriter::default()),
    ];
    let found = written(&ParquetConfig::new(dir.path()), vec![delivery_of(2, 40, &events, &[("site", "ber")])]);
    let time = 1_795_165_200_000i64;
    let expected = [
        json!({"_partition":2,"_offset":40,"_key":"dev-1","_time":time + 500,"_ingest_time":1000,"_id":"a-1","_type":"t","_source":"/s",
            "_attributes":r#"{"subject":"x\"y","datacontenttype":"application/json","flag":null,"id":"7","bytes":{"base64":"/wA="},"site":"ber"}"#}),
        json!({"_partition":2,"_offset":41,"_time":time + 123,"_ingest_time":1000,
            "_attributes":r#"{"_key":{"base64":"wyg="},"time":"2026-11-20T09:00:00.123456Z","site":"ber"}"#}),
        json!({"_partition":2,"_offset":42,"_key":"","_time":1000,"_ingest_time":1000,"_attributes":r#"{"time":"yesterday","site":"ber"}"#}),
        json!({"_partition":2,"_offset":43,"_key":"d","_time":1000,"_ingest_time":1000,"_attributes":r#"{"site":"ber"}"#}),
    ];
    assert_eq!(found.into_iter().map(Json::Object).collect::<Vec<_>>(), expected);
}

#[test]
fn a_file_says_what_it_covers() {
    let dir = tempfile::tempdir().expect("a folder");
    written(&ParquetConfig::new(dir.path()), vec![delivery(1, 5, &[r#"{"a":1}"#, r#"{"a":2}"#])]);
    let file = std::fs::File::open(&files(dir.path())[0]).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let said = reader.metadata().file_metadata().key_value_metadata().expect("metadata");
    let value = |key: &str| said.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.as_deref());
    for (key, expected) in [
        ("endpoint", "lake"),
        ("partition", "1"),
        ("schema_version", "1"),
        ("first_offset", "5"),
        ("last_offset", "6"),
        ("rows", "2"),
    ] {
        assert_eq!(value(&format!("anabranch.{key}")), Some(expected), "{key}");
    }
}
