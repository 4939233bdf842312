//! Columns of a Delta table: what it cannot have is never learnt, and what it cannot have is said before the first row.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::*;
use crate::parquet::{ColumnConfig, ColumnType, Nested};

fn with_delta(dir: &Path) -> ParquetConfig {
    let mut config = ParquetConfig::new(dir);
    (config.learn_events, config.delta, config.compact_commits) = (1, true, Some(0));
    config
}

/// The newest columns of the table, as `name type`.
fn table(dir: &Path) -> Vec<String> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir(dir.join("_delta_log"))
        .expect("a log")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    versions.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    versions.sort();
    let lines: Vec<Json> = versions
        .iter()
        .flat_map(|path| std::fs::read_to_string(path).expect("reads").lines().map(str::to_owned).collect::<Vec<_>>())
        .map(|line| serde_json::from_str(&line).expect("JSON"))
        .collect();
    let schema = lines.iter().rev().find_map(|line| line["metaData"]["schemaString"].as_str()).expect("columns");
    let schema: Json = serde_json::from_str(schema).expect("JSON");
    let fields = schema["fields"].as_array().expect("fields");
    let own = super::super::schema::system_fields();
    let is_own = |name: &Json| own.iter().any(|field| name == field.name()) || name == "_rest" || name == "_data";
    let kind = |kind: &Json| match kind["elementType"].as_str() {
        Some(element) => format!("{} of {element}", kind["type"].as_str().expect("text")),
        None => kind.as_str().expect("text").to_owned(),
    };
    let shown = |field: &Json| format!("{} {}", field["name"].as_str().expect("text"), kind(&field["type"]));
    fields.iter().filter(|field| !is_own(&field["name"])).map(shown).collect()
}

#[test]
fn learnt_columns_go_on_with_the_table() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = with_delta(dir.path());
    let bodies = [
        r#"{"n":1,"big":18446744073709551615,"a b":1,"l":[1]}"#,
        r#"{"n":1.5,"big":18446744073709551615,"a b":2,"l":[1.5],"ok":true}"#,
        r#"{"n":2.5,"c,d":"x","l":[2.5],"ok":false}"#,
        r#"{"n":3,"u":[18446744073709551615],"ok":true}"#,
        r#"{"n":4,"big":5,"c,d":"y","u":[18446744073709551615]}"#,
    ];
    let stats = files_of(&mut config, 0, &bodies);
    let found: Vec<Json> = rows(dir.path()).iter().map(data).collect();
    let expected = [
        json!({"n":1,"l":[1],"_rest":r#"{"big":18446744073709551615,"a b":1}"#}),
        json!({"_rest":r#"{"n":1.5,"big":18446744073709551615,"a b":2,"l":[1.5],"ok":true}"#}),
        json!({"ok":false,"_rest":r#"{"n":2.5,"c,d":"x","l":[2.5]}"#}),
        json!({"n":3,"ok":true,"_rest":r#"{"u":[18446744073709551615]}"#}),
        json!({"n":4,"_rest":r#"{"big":5,"c,d":"y","u":[18446744073709551615]}"#}),
    ];
    assert_eq!(found, expected);
    let refused = ["big:number", "a b:number", "n:number", "l:numbers", "c,d:string", "u:numbers"];
    assert_eq!(stats.refused_columns.load(Ordering::Relaxed), refused.len() as u64);
    // Another run goes on: the small number has a column now, and nothing has stopped.
    files_of(&mut config, 5, &[r#"{"n":5,"big":6}"#, r#"{"n":6,"big":7}"#]);
    assert_eq!(rows(dir.path()).last().map(data), Some(json!({"n":6,"big":7})));
    assert_eq!(table(dir.path()), ["n long", "l array of long", "ok boolean", "big long"]);
}

#[test]
fn structs_of_a_table_stay_as_they_are() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = with_delta(dir.path());
    config.nested = Nested::Struct;
    let stats = files_of(
        &mut config,
        0,
        &[r#"{"l":{"x":1}}"#, r#"{"l":{"x":2,"y":3},"m":{"z":1,"w":2}}"#, r#"{"l":{"y":4},"m":{"z":2,"w":3,"v":4}}"#],
    );
    let found: Vec<Json> = rows(dir.path()).iter().map(data).collect();
    let expected = [
        json!({"l":{"x":1}}),
        json!({"l":{"x":2},"_rest":r#"{"l.y":3,"m":{"z":1,"w":2}}"#}),
        json!({"m":{"z":2,"w":3},"_rest":r#"{"l.y":4,"m.v":4}"#}),
    ];
    assert_eq!(found, expected);
    assert_eq!(stats.refused_columns.load(Ordering::Relaxed), 1, "l.y; m.v is seen with the next file");
}

#[test]
fn declared_columns_that_no_table_can_have_are_problems_of_the_settings() {
    let mut config = with_delta(Path::new("lake"));
    for (column, said) in [
        (ColumnConfig::new("a b", ColumnType::Int64).at("x"), "its name has ' '"),
        (ColumnConfig::new("u", ColumnType::Uint64), "no type for UInt64"),
        (ColumnConfig::new("u", ColumnType::List(Box::new(ColumnType::Uint64))), "no type for"),
    ] {
        config.columns = Some(vec![column]);
        let found = config.problems();
        assert!(
            found.len() == 1 && found[0].field == "columns" && found[0].message.contains(said),
            "{said}: {found:?}"
        );
        config.delta = false;
        assert_eq!(config.problems(), [], "a matter of the table alone");
        config.delta = true;
    }
    (config.columns, config.partition_by) = (None, vec!["my site".to_owned()]);
    assert_eq!(config.problems()[0].field, "partition_by");
}

#[test]
fn columns_that_the_table_cannot_take_stop_the_start_and_are_not_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = with_delta(dir.path());
    let column = |name: &str, r#type: ColumnType| ColumnConfig::new(name, r#type);
    config.nested = Nested::Struct;
    config.columns = Some(vec![column("l.x", ColumnType::Int64)]);
    files_of(&mut config, 0, &[r#"{"l":{"x":1}}"#]);
    config.columns = Some(vec![column("l.x", ColumnType::Int64), column("l.y", ColumnType::Int64)]);
    let error = run(&config, vec![delivery(0, 1, &[r#"{"l":{"y":1}}"#])]).0.expect_err("another struct").to_string();
    assert!(error.contains("the column `l` cannot be in a Delta table"), "{error}");
    config.columns = Some(vec![column("l.x", ColumnType::Int64)]);
    files_of(&mut config, 1, &[r#"{"l":{"x":2}}"#]);

    // Columns that widened before there was a table.
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = with_delta(dir.path());
    config.delta = false;
    files_of(&mut config, 0, &[r#"{"n":1}"#, r#"{"n":1.5}"#, r#"{"n":2.5}"#]);
    config.delta = true;
    let error = run(&config, Vec::new()).0.expect_err("two types").to_string();
    assert!(error.contains("the column `n` cannot be in a Delta table"), "{error}");
}
