//! Columns that are learnt: from what which ones, and how they evolve from file to file.

use std::sync::atomic::Ordering;

use engine::parse::Parser;
use serde_json::json;

use super::*;
use crate::parquet::{ColumnConfig, ColumnType, Learner, Nested, ParquetConfig, Schema};

#[test]
fn columns_are_learnt_by_the_rule() {
    let cases: &[(Nested, &[&str], &[&str])] = &[
        (Nested::Flatten, &[r#"{"a":1,"b":true,"c":"x","d":null,"e":{},"f":[]}"#], &["a int64", "b bool", "c string"]),
        (Nested::Flatten, &[r#"{"a":1}"#, r#"{"a":1.5}"#, r#"{"a":9007199254740993}"#], &["a float64"]),
        (Nested::Flatten, &[r#"{"a":18446744073709551615}"#, r#"{"a":1}"#], &["a uint64"]),
        (Nested::Flatten, &[r#"{"a":18446744073709551615}"#, r#"{"a":-1}"#], &["a int64"]),
        // The kind that is there most often has the name.
        (
            Nested::Flatten,
            &[r#"{"a":"n/a"}"#, r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":[true]}"#],
            &["a int64", "a:string string", "a:bools list<bool>"],
        ),
        (Nested::Flatten, &[r#"{"a":"x"}"#, r#"{"a":2}"#], &["a int64", "a:string string"]),
        // Objects beside values, and names that are none.
        (
            Nested::Flatten,
            &[r#"{"l":{"x":1,"y":{"z":"t"}}}"#, r#"{"l":"home","_own":1,"a.b":1,"":1}"#],
            &["l string", "l.x int64", "l.y.z string"],
        ),
        (
            Nested::Struct,
            &[r#"{"l":{"x":1,"y":{"z":"t"}}}"#, r#"{"l":"home"}"#],
            &["l:string string", "l.x int64", "l.y.z string"],
        ),
        (
            Nested::Flatten,
            &[r#"{"i":[1,null],"f":[1,2.5],"t":["a"],"m":[1,"a"],"o":[{}],"n":[[1]],"z":[null]}"#],
            &["i list<int64>", "f list<float64>", "t list<string>"],
        ),
        // Times only if the text comes back from the column.
        (
            Nested::Flatten,
            &[
                r#"{"s":"2026-11-21T10:00:00Z","ms":"2026-11-21T10:00:00.120Z","o":"2026-11-21T10:00:00+00:00","m":"2026-11-21T10:00:00Z"}"#,
                r#"{"s":"2026-11-21T10:00:01Z","ms":"2026-11-21T10:00:00.000Z","f":"2026-11-21T10:00:00.5Z","m":"2026-11-21T10:00:00.000Z"}"#,
            ],
            &["s timestamp_s", "ms timestamp_ms", "o string", "m string", "f string"],
        ),
        (Nested::Flatten, &[r#"{"far":"9999-12-31T23:59:59.000000000Z"}"#], &["far string"]),
        (
            Nested::Flatten,
            &[r#"{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":1,"i":{"j":2}}}}}}}}}"#],
            &["a.b.c.d.e.f.g.h int64"],
        ),
        // A name that another member has already.
        (Nested::Flatten, &[r#"{"a:string":1,"a":1}"#, r#"{"a":"x"}"#, r#"{"a":2}"#], &["a:string int64", "a int64"]),
    ];
    for (nested, events, expected) in cases {
        let (mut parser, mut learner) = (Parser::default(), Learner::default());
        for event in *events {
            learner.see(parser.parse(event.as_bytes()).expect("JSON").root());
        }
        assert_eq!(columns(&learner.finish_as(*nested)), *expected, "{events:?}");
    }
}

#[test]
fn later_files_have_columns_for_what_had_none() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    config.learn_events = 1;
    files_of(
        &mut config,
        0,
        &[
            r#"{"n":1,"m":{"k":"v"}}"#,
            r#"{"n":1.5,"late":true,"m":{"k":"v","deep":["a"]}}"#,
            r#"{"n":2.5,"late":false,"m":{"k":7,"deep":["b",null]},"o":{"p":1}}"#,
            r#"{"n":3,"m":{"k":8},"o":{"p":2}}"#,
        ],
    );
    let found: Vec<Json> = rows(dir.path()).iter().map(data).collect();
    let expected = [
        json!({"n":1,"m.k":"v"}),
        json!({"m.k":"v","_rest":r#"{"n":1.5,"late":true,"m.deep":["a"]}"#}),
        json!({"n":2.5,"late":false,"m.deep":["b",null],"_rest":r#"{"m.k":7,"o":{"p":1}}"#}),
        json!({"n":3.0,"m.k:number":8,"o.p":2}),
    ];
    assert_eq!(found, expected);
    let schema = Schema::load(dir.path()).expect("reads").expect("kept");
    assert_eq!(schema.version, 3);
    let history: Vec<_> = schema.history.iter().map(|change| (change.version, change.added.join(" "))).collect();
    assert_eq!(history, [(2, "late m.deep".to_owned()), (3, "o.p m.k:number".to_owned())]);
    let widened = &schema.history[0].widened[0];
    assert_eq!((widened.name.as_str(), widened.from.as_str(), widened.to.as_str()), ("n", "int64", "float64"));
    let versions: Vec<_> = files(dir.path()).iter().map(|file| said(file, "schema_version")).collect();
    assert_eq!(versions, ["1", "1", "2", "3"]);
    // Another run goes on with them.
    files_of(&mut config, 4, &[r#"{"n":"text","o":{"p":3},"new":1}"#]);
    assert_eq!(data(&rows(dir.path())[4]), json!({"o.p":3,"_rest":r#"{"n":"text","new":1}"#}));
    config.evolve = Some(false);
    files_of(&mut config, 5, &[r#"{"x":1}"#, r#"{"x":1}"#]);
    assert_eq!(Schema::load(dir.path()).expect("reads").expect("kept").version, 3);
}

fn said(file: &Path, key: &str) -> String {
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(file).expect("a file")).expect("Parquet");
    let pairs = reader.metadata().file_metadata().key_value_metadata().expect("metadata").clone();
    pairs.into_iter().find(|pair| pair.key == format!("anabranch.{key}")).and_then(|pair| pair.value).expect("said")
}

#[test]
fn times_that_are_learnt_come_back_as_they_were_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    config.learn_events = 1;
    files_of(
        &mut config,
        0,
        &[
            r#"{"t":"2026-11-20T09:00:00.123Z"}"#,
            r#"{"t":"2026-11-20T09:00:00.12Z"}"#,
            r#"{"t":"2026-11-20T10:00:00.123+01:00"}"#,
            r#"{"t":1795165200123}"#,
            r#"{"t":"2026-11-20T09:00:00.124Z"}"#,
        ],
    );
    let found: Vec<Json> = rows(dir.path()).iter().map(data).collect();
    let expected = [
        json!({"t":1_795_165_200_123i64}),
        json!({"_rest":r#"{"t":"2026-11-20T09:00:00.12Z"}"#}),
        json!({"t:string":"2026-11-20T10:00:00.123+01:00"}),
        json!({"_rest":r#"{"t":1795165200123}"#}),
        json!({"t":1_795_165_200_124i64}),
    ];
    assert_eq!(found, expected);
}

#[test]
fn at_most_so_many_columns_are_learnt() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    (config.learn_events, config.columns_max) = (1, 2);
    let stats = files_of(&mut config, 0, &[r#"{"a":1,"b":2,"c":3}"#, r#"{"a":1,"d":{"e":5}}"#, r#"{"a":1,"f":1}"#]);
    let found: Vec<Json> = rows(dir.path()).iter().map(data).collect();
    let expected = [
        json!({"a":1,"b":2,"_rest":r#"{"c":3}"#}),
        json!({"a":1,"_rest":r#"{"d":{"e":5}}"#}),
        json!({"a":1,"_rest":r#"{"f":1}"#}),
    ];
    assert_eq!(found, expected);
    assert_eq!(stats.refused_columns.load(Ordering::Relaxed), 2, "c, and d.e in the end");
    assert_eq!(Schema::load(dir.path()).expect("reads").expect("kept").version, 1);
}

/// What the Parquet files below a folder say, in the order of the offsets; with what the names of their folders say.
fn rows_in_folders(dir: &Path) -> Vec<(String, Json)> {
    let mut found: Vec<(i64, String, Json)> = Vec::new();
    for folder in std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        if folder.is_dir() && !name.starts_with('_') {
            let offset = |row: &Row| row["_offset"].as_i64().expect("a number");
            found.extend(rows(&folder).iter().map(|row| (offset(row), name.clone(), data(row))));
        }
    }
    found.sort_by_key(|(offset, ..)| *offset);
    found.into_iter().map(|(_, folder, data)| (folder, data)).collect()
}

#[test]
fn columns_that_name_folders_are_learnt_only_with_types_that_can() {
    const NOTHING: &str = "site=__HIVE_DEFAULT_PARTITION__";
    // What the first event says of the column, what later ones say, and where they end.
    type Case<'c> = (&'c [&'c str], &'c [(&'c str, Json)]);
    let cases: &[Case<'_>] = &[
        (
            &[r#"{"n":1}"#, r#"{"site":1.5}"#, r#"{"site":2.5}"#, r#"{"site":"ber"}"#, r#"{"site":"ber"}"#],
            &[
                (NOTHING, json!({"n":1})),
                (NOTHING, json!({"_rest":r#"{"site":1.5}"#})),
                (NOTHING, json!({"_rest":r#"{"site":2.5}"#})),
                (NOTHING, json!({"_rest":r#"{"site":"ber"}"#})),
                ("site=ber", json!({})),
            ],
        ),
        (
            &[r#"{"site":1}"#, r#"{"site":1.5}"#, r#"{"site":2.5}"#, r#"{"site":3}"#],
            &[
                ("site=1", json!({})),
                (NOTHING, json!({"_rest":r#"{"site":1.5}"#})),
                (NOTHING, json!({"_rest":r#"{"site":2.5}"#})),
                ("site=3", json!({})),
            ],
        ),
        (
            &[
                r#"{"n":1}"#,
                r#"{"site":18446744073709551615}"#,
                r#"{"site":18446744073709551615}"#,
                r#"{"site":["a"]}"#,
            ],
            &[
                (NOTHING, json!({"n":1})),
                (NOTHING, json!({"_rest":r#"{"site":18446744073709551615}"#})),
                (NOTHING, json!({"_rest":r#"{"site":18446744073709551615}"#})),
                (NOTHING, json!({"_rest":r#"{"site":["a"]}"#})),
            ],
        ),
    ];
    for (bodies, expected) in cases {
        let dir = tempfile::tempdir().expect("a folder");
        let mut config = ParquetConfig::new(dir.path());
        (config.learn_events, config.partition_by) = (1, vec!["site".to_owned()]);
        let stats = files_of(&mut config, 0, bodies);
        let expected: Vec<(String, Json)> =
            expected.iter().map(|(folder, row)| ((*folder).to_owned(), row.clone())).collect();
        assert_eq!(rows_in_folders(dir.path()), expected, "{bodies:?}");
        assert!(stats.refused_columns.load(Ordering::Relaxed) > 0, "{bodies:?}");
    }
}

#[test]
fn an_order_is_not_learnt_away() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    (config.learn_events, config.sort_by) = (1, vec!["s".to_owned()]);
    let stats = files_of(&mut config, 0, &[r#"{"n":1}"#, r#"{"s":[1]}"#, r#"{"s":[2]}"#, r#"{"s":3}"#, r#"{"s":4}"#]);
    let found: Vec<Json> = rows(dir.path()).iter().map(data).collect();
    let rest = |text: &str| json!({"_rest":text});
    assert_eq!(found, [json!({"n":1}), rest(r#"{"s":[1]}"#), rest(r#"{"s":[2]}"#), rest(r#"{"s":3}"#), json!({"s":4})]);
    assert_eq!(stats.refused_columns.load(Ordering::Relaxed), 1);
}

#[test]
fn first_columns_that_cannot_name_folders_stop_the_start_and_can_be_declared_then() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    (config.learn_events, config.partition_by) = (1, vec!["site".to_owned()]);
    let (ended, cursors, _) = run(&config, vec![delivery(0, 0, &[r#"{"site":1.5}"#])]);
    let error = ended.expect_err("no folders").to_string();
    assert!(error.contains("`site` of type Float64") && error.contains("declare it as one of these"), "{error}");
    assert_eq!(cursors[0], 0, "nothing is settled");
    config.columns = Some(vec![ColumnConfig::new("site", ColumnType::Float64)]);
    let found = config.problems();
    assert!(found.len() == 1 && found[0].field == "partition_by" && found[0].message.contains("float64"), "{found:?}");
    config.columns = Some(vec![ColumnConfig::new("site", ColumnType::String)]);
    assert_eq!(config.problems(), []);
    let (ended, cursors, _) = run(&config, vec![delivery(0, 0, &[r#"{"site":"a"}"#])]);
    ended.expect("the way out leads out");
    assert_eq!(cursors[0], 1);
}
