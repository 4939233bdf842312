//! Schemas that are declared or kept: what can change of them, where their columns read, and events that they refuse.

use std::sync::atomic::Ordering;

use engine::event::{put_attribute, put_property};
use serde_json::json;

use super::*;
use crate::parquet::{
    ColumnConfig, ColumnType, Nested, OnMismatch, ParquetConfig, Schema, SchemaError, SinkError, Unit,
};
use crate::webhook::Full;
use crate::webhook::dead_letter::{DeadLetter, Lines};

#[test]
fn format_1_is_still_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let kept = r#"{"version":1,"columns":[{"name":"n","path":["n"],"type":"int64"},{"name":"l.x","path":["l","x"],"type":"timestamp_ms"}]}"#;
    std::fs::write(dir.path().join("_schema.json"), kept).expect("writes");
    let mut config = ParquetConfig::new(dir.path());
    files_of(&mut config, 0, &[r#"{"n":1,"l":{"x":5},"s":"new"}"#, r#"{"n":2,"s":"x"}"#]);
    let found: Vec<Json> = rows(dir.path()).iter().map(data).collect();
    // Instants were numbers then, and are.
    assert_eq!(found, [json!({"n":1,"l.x":5,"_rest":r#"{"s":"new"}"#}), json!({"n":2,"s":"x"})]);
    let text = std::fs::read_to_string(dir.path().join("_schema.json")).expect("reads");
    let kept: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&kept["version"], &kept["schema_version"]), (&json!(2), &json!(2)));
    let again = Schema::load(dir.path()).expect("reads").expect("kept");
    assert_eq!(columns(&again), ["n int64", "l.x timestamp_ms", "s string"]);
}

#[test]
fn what_no_node_kept_is_no_schema() {
    let dir = tempfile::tempdir().expect("a folder");
    for (columns, said) in [
        (r#"[{"name":"a","path":["a"],"type":"int64"},{"name":"a","path":["b"],"type":"int64"}]"#, "two columns `a`"),
        (r#"[{"name":"a","path":["a"],"type":"int64","default":"x"}]"#, "default of the column `a`"),
        (r#"[{"name":"a","path":["a"],"type":"int65"}]"#, "int65"),
    ] {
        let text = format!(r#"{{"version":2,"schema_version":1,"columns":{columns}}}"#);
        std::fs::write(dir.path().join("_schema.json"), text).expect("writes");
        let error = Schema::load(dir.path()).expect_err("no schema");
        assert!(matches!(&error, SchemaError::Malformed { reason, .. } if reason.contains(said)), "{error}");
    }
}

#[test]
fn declared_columns_can_come_and_change_what_no_reader_sees() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    let column = |name: &str, r#type: ColumnType| ColumnConfig::new(name, r#type);
    config.columns = Some(vec![column("a", ColumnType::Int64)]);
    files_of(&mut config, 0, &[r#"{"a":1,"b":2}"#]);
    config.columns = Some(vec![
        column("b", ColumnType::Float64),
        ColumnConfig { unit: Some("°C".to_owned()), default: Some(7.into()), ..column("a", ColumnType::Int64) },
    ]);
    files_of(&mut config, 1, &[r#"{"b":2}"#]);
    let found: Vec<Json> = rows(dir.path()).iter().map(data).collect();
    assert_eq!(found, [json!({"a":1,"_rest":r#"{"b":2}"#}), json!({"a":7,"b":2.0})]);
    let schema = Schema::load(dir.path()).expect("reads").expect("kept");
    assert_eq!((schema.version, columns(&schema).join(", ")), (2, "a int64, b float64".to_owned()));
    assert_eq!(
        (schema.history[0].added.join(""), schema.history[0].declared.join("")),
        ("b".to_owned(), "a".to_owned())
    );
    for (wrong, said) in [
        (vec![column("b", ColumnType::Float64)], "`a` is configured no more"),
        (vec![column("a", ColumnType::String), column("b", ColumnType::Float64)], "`a` was int64 and is string"),
        (vec![column("a", ColumnType::Int64).at("x"), column("b", ColumnType::Float64)], "`a` reads another place"),
    ] {
        config.columns = Some(wrong);
        let (ended, ..) = run(&config, Vec::new());
        let error = ended.expect_err("other columns");
        assert!(matches!(error, SinkError::Schema(SchemaError::Differs { .. })), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
    config.columns = Some(vec![column("a", ColumnType::Int64), column("b", ColumnType::Float64)]);
    config.nested = Nested::Struct;
    assert!(run(&config, Vec::new()).0.expect_err("others").to_string().contains("`nested` is another"));
}

#[test]
fn declared_columns_can_have_learnt_ones_beside_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    config.columns = Some(vec![ColumnConfig::new("temp", ColumnType::Float64)]);
    config.evolve = Some(true);
    files_of(&mut config, 0, &[r#"{"temp":1.5,"x":1}"#, r#"{"temp":"hot","x":2}"#, r#"{"temp":"hot","x":3}"#]);
    let found: Vec<Json> = rows(dir.path()).iter().map(data).collect();
    let expected = [
        json!({"temp":1.5,"_rest":r#"{"x":1}"#}),
        json!({"x":2,"_rest":r#"{"temp":"hot"}"#,"_errors":r#"{"temp":"\"hot\" is no number (float64)"}"#}),
        json!({"x":3,"temp:string":"hot"}),
    ];
    assert_eq!(found, expected);
    files_of(&mut config, 3, &[r#"{"x":4}"#]);
    config.evolve = None;
    assert!(run(&config, Vec::new()).0.is_err(), "columns that were learnt are in the files");
}

#[test]
fn fields_say_where_they_come_from_and_structs_hold_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    config.nested = Nested::Struct;
    let mut required = ColumnConfig {
        nullable: false,
        default: Some("none".into()),
        ..ColumnConfig::new("dev.id", ColumnType::String)
    };
    required.attribute = Some("key".to_owned());
    config.columns = Some(vec![
        ColumnConfig { unit: Some("°".to_owned()), ..ColumnConfig::new("loc.lat", ColumnType::Float64) },
        ColumnConfig::new("at", ColumnType::Timestamp(Unit::Us)).at("meta.at"),
        ColumnConfig::new("loc.alt", ColumnType::Decimal(6, 1)).at("height"),
        ColumnConfig::new("loc.tags", ColumnType::List(Box::new(ColumnType::Json))),
        required,
    ]);
    assert_eq!(config.problems(), []);
    let bodies = [r#"{"loc":{"lat":1.5,"tags":[{"k":1.50}]},"meta":{"at":5}}"#, r#"{"height":2}"#, r#"{"loc":{}}"#];
    let (ended, ..) = run(&config, vec![delivery(0, 0, &bodies)]);
    ended.expect("writes");
    let found: Vec<Json> = rows(dir.path()).iter().map(data).collect();
    let expected = [
        json!({"loc":{"lat":1.5,"tags":["{\"k\":1.50}"]},"at":5,"dev":{"id":"dev"}}),
        json!({"loc":{"alt":"2.0"},"dev":{"id":"dev"}}),
        json!({"dev":{"id":"dev"},"_rest":r#"{"loc":{}}"#}),
    ];
    assert_eq!(found, expected);
    let schema = batches(&files(dir.path())[0])[0].schema();
    let field = |name: &str| schema.field_with_name(name).expect("there").clone();
    let DataType::Struct(fields) = field("loc").data_type().clone() else { panic!("no struct") };
    let names: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
    assert_eq!((names, field("loc").is_nullable()), (vec!["lat", "alt", "tags"], true));
    assert_eq!((fields[0].metadata()["path"].as_str(), fields[0].metadata()["unit"].as_str()), ("loc.lat", "°"));
    assert_eq!(fields[2].metadata()["type"], "list<json>");
    assert_eq!(field("at").metadata()["path"], "meta.at");
    let DataType::Struct(fields) = field("dev").data_type().clone() else { panic!("no struct") };
    assert_eq!((fields[0].metadata()["attribute"].as_str(), fields[0].is_nullable()), ("key", false));
    assert!(!field("dev").is_nullable(), "one of its fields never is");
}

#[test]
fn attributes_come_from_key_headers_enrichments_and_properties() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    let column = |name: &str, attribute: &str, r#type| ColumnConfig {
        attribute: Some(attribute.to_owned()),
        ..ColumnConfig::new(name, r#type)
    };
    config.columns = Some(vec![
        column("key", "key", ColumnType::String),
        column("site", "site", ColumnType::String),
        column("floor", "Floor", ColumnType::Int32),
        column("subject", "subject", ColumnType::String),
        column("kind", "type", ColumnType::String),
        column("sent", "time", ColumnType::Timestamp(Unit::Ns)),
        column("media", "datacontenttype", ColumnType::String),
        column("price", "price", ColumnType::Decimal(5, 2)),
    ]);
    let mut headers = HeaderWriter::default();
    put_attribute(&mut headers, "subject", "s");
    put_attribute(&mut headers, "time", "2026-11-20T09:00:00.000000001Z");
    put_attribute(&mut headers, "datacontenttype", "application/json");
    for (name, value) in [("floor", "12"), ("site", "ber"), ("subject", "mine"), ("price", "1.5")] {
        put_property(&mut headers, name, Some(value.as_bytes()));
    }
    let mut wrong = HeaderWriter::default();
    put_property(&mut wrong, "floor", Some(b"1.0"));
    put_property(&mut wrong, "price", Some(b"1.005"));
    put_property(&mut wrong, "site", Some(&[0xff]));
    let events: Vec<(&[u8], &[u8], HeaderWriter)> = vec![(b"dev", b"{}", headers), (b"\xff", b"{}", wrong)];
    let enriched = run(&config, vec![delivery_of(0, 0, &events[..1], &[("SITE", "fra")])]);
    enriched.0.expect("writes");
    let (ended, _, stats) = run(&config, vec![delivery_of(0, 1, &events[1..], &[])]);
    ended.expect("writes");
    let found: Vec<Json> = rows(dir.path()).iter().map(data).collect();
    let expected = [
        json!({"key":"dev","site":"fra","floor":12,"subject":"s","sent":1_795_165_200_000_000_001i64,"media":"application/json","price":"1.50"}),
        json!({"_errors":"{\"key\":\"\u{fffd} is no text (string)\",\"site\":\"\u{fffd} is no text (string)\",\
            \"floor\":\"1.0 is not written as the type asks (int32)\",\"price\":\"1.005 has more digits than the type holds (decimal(5,2))\"}"}),
    ];
    assert_eq!(found, expected);
    assert_eq!(stats.mismatched_events.load(Ordering::Relaxed), 1);
}

/// Columns that refuse, and where what they refuse goes.
fn strict(dir: &Path) -> ParquetConfig {
    let mut config = ParquetConfig::new(dir.join("lake"));
    config.on_mismatch = OnMismatch::DeadLetter;
    config.columns = Some(vec![
        ColumnConfig { nullable: false, ..ColumnConfig::new("n", ColumnType::Int64) },
        ColumnConfig { on_mismatch: Some(OnMismatch::Null), ..ColumnConfig::new("t", ColumnType::String) },
    ]);
    config.with_dead_letters("lake", dir)
}

fn letters(dir: &Path) -> Vec<DeadLetter> {
    let path = dir.join("dead-letters/lake.ndjson");
    if !path.exists() {
        return Vec::new();
    }
    Lines::open(&path).expect("opens").map(|line| line.expect("reads").letter.expect("a dead letter")).collect()
}

#[test]
fn refused_events_are_dead_letters_and_nowhere_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let bodies = [r#"{"n":"x"}"#, r#"{"n":1,"t":2}"#, r#"{"t":"a"}"#, "[1]", r#"{"n":2}"#, r#"{"n":null}"#];
    let (ended, cursors, stats) =
        run(&strict(dir.path()), vec![delivery(1, 10, &bodies), delivery(2, 0, &[r#"{"n":"y"}"#])]);
    ended.expect("writes");
    assert_eq!((cursors[1], cursors[2]), (16, 1), "refused events are settled too");
    let lake = dir.path().join("lake");
    let found: Vec<_> = rows(&lake).iter().map(|row| (row["_offset"].clone(), data(row))).collect();
    let expected = [
        (json!(11), json!({"n":1,"_rest":r#"{"t":2}"#,"_errors":r#"{"t":"2 is no text (string)"}"#})),
        (json!(14), json!({"n":2})),
    ];
    assert_eq!(found, expected);
    let names: Vec<_> = files(&lake).iter().map(|file| file.file_name().expect("a name").to_owned()).collect();
    assert_eq!(names, ["p00001-00000000000000000000-00000000000000000015.parquet"], "it covers the refused ones too");
    let found = letters(dir.path());
    let places: Vec<_> = found.iter().map(|letter| (letter.partition, letter.offset)).collect();
    assert_eq!(places, [(1, 10), (1, 12), (1, 13), (1, 15), (2, 0)]);
    assert_eq!(found[0].reason, "SchemaMismatch");
    assert_eq!(found[0].detail.as_deref(), Some("the column `n` cannot be filled: \"x\" is no whole number (int64)"));
    assert_eq!(found[1].detail.as_deref(), Some("the column `n` cannot be filled: there is no value"));
    assert!(found[0].event.get().contains(r#""data":{"n":"x"}"#), "{}", found[0].event);
    let counted = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!((counted(&stats.delivered_events), counted(&stats.dead_lettered_events)), (2, 5));
    let left = std::fs::read_dir(&lake)
        .expect("a folder")
        .filter(|entry| entry.as_ref().expect("an entry").file_name().to_string_lossy().starts_with(".tmp-"));
    assert_eq!(left.count(), 0, "no file without rows is left");
}

#[test]
fn what_no_dead_letter_file_takes_is_not_settled_unless_it_may_be_dropped() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = strict(dir.path());
    config.dead_letter_bytes_max = 10;
    let refused = || vec![delivery(0, 0, &[r#"{"n":1}"#, r#"{"n":"x"}"#])];
    let (ended, cursors, _) = run(&config, refused());
    assert!(ended.expect_err("full").to_string().contains("dead_letter_bytes_max"));
    assert_eq!((cursors[0], files(&config.dir).len()), (0, 0));
    config.dead_letter_full = Full::Drop;
    let (ended, cursors, stats) = run(&config, refused());
    ended.expect("drops");
    assert_eq!((cursors[0], stats.dropped_events.load(Ordering::Relaxed), letters(dir.path()).len()), (2, 1, 0));
    config.dead_letter = Some("drop".to_owned());
    let (ended, cursors, stats) = run(&config, vec![delivery(0, 2, &[r#"{"n":"x"}"#])]);
    ended.expect("drops");
    assert_eq!((cursors[0], stats.dropped_events.load(Ordering::Relaxed)), (3, 1));
    config.dead_letter = None;
    assert!(run(&config, Vec::new()).0.expect_err("no file").to_string().contains("dead_letter"));
}

#[test]
fn wrong_columns_are_said_at_once() {
    let column = |name: &str, r#type: ColumnType| ColumnConfig::new(name, r#type);
    let decimal = ColumnType::Decimal(4, 2);
    let good = [
        ColumnConfig { default: Some("12.50".into()), ..column("a", decimal.clone()) },
        ColumnConfig { default: Some(json!([1, null])), ..column("b", ColumnType::List(Box::new(ColumnType::Int32))) },
        ColumnConfig { default: Some("2026-11-21T10:00:00Z".into()), ..column("c", ColumnType::Timestamp(Unit::S)) },
        ColumnConfig {
            default: Some(json!({"$__toml_private_datetime": "2026-11-21T10:00:00Z"})),
            ..column("d", ColumnType::Timestamp(Unit::S))
        },
        ColumnConfig { default: Some(json!({"x": 1})), ..column("e", ColumnType::Json) },
        ColumnConfig { nullable: false, on_mismatch: Some(OnMismatch::DeadLetter), ..column("f", ColumnType::Bool) },
    ];
    let mut config = ParquetConfig::new("lake");
    config.columns = Some(good.to_vec());
    assert_eq!(config.problems(), []);
    for (nested, wrong, expected) in [
        (
            Nested::Flatten,
            ColumnConfig { default: Some(1.005.into()), ..column("a", decimal.clone()) },
            "the default 1.005 of the column `a` has more digits",
        ),
        (
            Nested::Flatten,
            ColumnConfig { default: Some("x".into()), ..column("a", ColumnType::Int64) },
            "is no whole number",
        ),
        (
            Nested::Flatten,
            ColumnConfig { default: Some(300_000_000_000i64.into()), ..column("a", ColumnType::Int32) },
            "is out of range",
        ),
        (Nested::Flatten, ColumnConfig { default: Some(Json::Null), ..column("a", ColumnType::Int64) }, "is null"),
        (
            Nested::Flatten,
            ColumnConfig { nullable: false, ..column("a", ColumnType::Int64) },
            "is never null, has no default",
        ),
        (Nested::Flatten, ColumnConfig { epoch: Some(Unit::S), ..column("a", ColumnType::Int64) }, "has an `epoch`"),
        (
            Nested::Flatten,
            ColumnConfig { attribute: Some("x".into()), path: Some("y".into()), ..column("a", ColumnType::Int64) },
            "a path and an attribute",
        ),
        (
            Nested::Flatten,
            ColumnConfig { attribute: Some(String::new()), ..column("a", ColumnType::Int64) },
            "without a name",
        ),
        (
            Nested::Flatten,
            ColumnConfig { attribute: Some("x".into()), ..column("a", ColumnType::Json) },
            "which is a text",
        ),
        (Nested::Struct, column("good.x", ColumnType::Int64), "is a value and a struct at once"),
        (Nested::Struct, column("a..b", ColumnType::Int64).at("x"), "names no field"),
    ] {
        config.nested = nested;
        config.columns = Some(vec![column("good", ColumnType::Int64), wrong]);
        let found = config.problems();
        assert!(found.len() == 1 && found[0].message.contains(expected), "{expected}: {found:?}");
    }
    (config.nested, config.columns, config.on_mismatch) = (Nested::Flatten, None, OnMismatch::DeadLetter);
    assert_eq!(config.problems()[0].field, "on_mismatch");
}
