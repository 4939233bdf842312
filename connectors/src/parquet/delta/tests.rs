//! Versions as they are written, and read again: progress by partition, columns that become more, somebody else's versions between.

mod checkpoints;

use super::*;
use crate::parquet::store::Local;
use arrow_schema::Field;

fn log(dir: &std::path::Path, at: u64) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(dir.join(path(at))).expect("a version");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

async fn open(store: &dyn Store, again: &Again) -> Result<Delta, DeltaError> {
    let entries = store.list().await.expect("lists");
    let mut delta = Delta::open("lake", store, again, &entries).await?;
    delta.tell_apart(vec![("site".to_owned(), DataType::Utf8)]);
    Ok(delta)
}

/// A file of three rows with these columns of whole numbers.
fn file(store: &dyn Store, again: &Again, path: &str, columns: &[&str]) -> CommittedFile {
    use std::sync::Arc;
    let array: arrow_array::ArrayRef = Arc::new(arrow_array::Int64Array::from(vec![Some(3), None, Some(-7)]));
    let rows =
        arrow_array::RecordBatch::try_from_iter_with_nullable(columns.iter().map(|name| (*name, array.clone(), true)));
    let rows = rows.expect("columns of one length");
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, rows.schema(), None).expect("a writer");
    writer.write(&rows).expect("encodes");
    let footer = writer.close().expect("closes");
    let size = bytes.len() as u64;
    futures_util::FutureExt::now_or_never(again.run(async || store.replace(path, bytes.clone().into()).await))
        .expect("the disk does not wait")
        .expect("writes");
    CommittedFile { path: path.to_owned(), bytes: size, footer }
}

fn committed(first: u64, last: u64, files: Vec<CommittedFile>) -> Committed {
    Committed {
        name: Name { partition: 4, first, last, part: Part::Whole },
        files,
        rows: 3,
        mismatches: 0,
        tickets: Vec::new(),
    }
}

#[tokio::test]
async fn a_version_says_files_progress_and_columns() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, again) = (Local::take(dir.path()).expect("free"), Again::new("lake", Default::default()));
    let mut delta = open(&store, &again).await.expect("nothing there");
    let name = |first, last| Name { partition: 4, first, last, part: Part::Whole };
    let first = format!("site=a%2Fb c/{}", name(0, 9));
    let kept = [committed(0, 9, vec![file(&store, &again, &first, &["n", "m"])])];
    delta.publish(&store, &again, &kept).await.expect("writes");
    let actions = log(dir.path(), 0);
    let find = |actions: &[serde_json::Value], name: &str| actions.iter().find_map(|action| action.get(name).cloned());
    let add = find(&actions, "add").expect("a file");
    assert_eq!(add["path"], format!("site=a%252Fb%20c/{}", name(0, 9)));
    assert_eq!(add["partitionValues"], serde_json::json!({"site": "a/b c"}));
    let stats: serde_json::Value = serde_json::from_str(add["stats"].as_str().expect("text")).expect("JSON");
    let expected = serde_json::json!({
        "numRecords": 3, "minValues": {"n": -7, "m": -7}, "maxValues": {"n": 3, "m": 3}, "nullCount": {"n": 1, "m": 1},
    });
    assert_eq!(stats, expected);
    let txn = find(&actions, "txn").expect("progress");
    assert_eq!((txn["appId"].as_str(), txn["version"].as_u64()), (Some("anabranch/lake/4"), Some(9)));
    let table = find(&actions, "metaData").expect("a table");
    let id = table["id"].as_str().expect("an id");
    assert!(id.len() == 36 && id.as_bytes()[14] == b'4' && b"89ab".contains(&id.as_bytes()[19]), "{id}");

    // Another run goes on, with one more column.
    let mut delta = open(&store, &again).await.expect("reads");
    let second = format!("site=x/{}", name(10, 19));
    let kept = [committed(10, 19, vec![file(&store, &again, &second, &["n", "m", "new"])])];
    delta.publish(&store, &again, &kept).await.expect("writes");
    let table = find(&log(dir.path(), 1), "metaData").expect("more columns");
    assert_eq!(table["id"], id);
    let columns: serde_json::Value = serde_json::from_str(table["schemaString"].as_str().expect("text")).expect("JSON");
    let names: Vec<_> =
        columns["fields"].as_array().expect("fields").iter().map(|field| field["name"].clone()).collect();
    assert_eq!(names, ["n", "m", "site", "new"]);

    // A file that was taken out stays out; one that a crash kept from the table comes in.
    let mut delta = open(&store, &again).await.expect("reads");
    delta.live.remove(&first);
    let third = format!("site=x/{}", name(20, 29));
    file(&store, &again, &third, &["n"]);
    let lake = Lake::of(store.list().await.expect("lists"));
    delta.adopt(&store, &again, &lake).await.expect("writes");
    let actions = log(dir.path(), 2);
    let added: Vec<_> = actions.iter().filter_map(|action| action["add"]["path"].as_str()).collect();
    assert_eq!(added, [&third]);
    assert!(find(&actions, "metaData").is_none());
    delta.adopt(&store, &again, &lake).await.expect("nothing to do");
    assert!(!dir.path().join(path(3)).exists());
}

#[tokio::test]
async fn what_somebody_else_wrote_is_gone_on_with_unless_it_contradicts() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, again) = (Local::take(dir.path()).expect("free"), Again::new("lake", Default::default()));
    let name = |first, last| Name { partition: 4, first, last, part: Part::Whole };
    let commit = |first: u64, last: u64| {
        let path = format!("site=x/{}", name(first, last));
        [committed(first, last, vec![file(&store, &again, &path, &["n"])])]
    };
    let mut delta = open(&store, &again).await.expect("nothing there");
    delta.publish(&store, &again, &commit(0, 9)).await.expect("writes");
    let others = |at: u64, line: &str| std::fs::write(dir.path().join(path(at)), line).expect("writes");
    others(1, "{\"commitInfo\":{}}\n{\"txn\":{\"appId\":\"spark\",\"version\":7}}\n");
    delta.publish(&store, &again, &commit(10, 19)).await.expect("goes on");
    assert!(dir.path().join(path(2)).exists());
    others(3, "{\"txn\":{\"appId\":\"anabranch/lake/4\",\"version\":70}}\n");
    let error = delta.publish(&store, &again, &commit(20, 29)).await.expect_err("another one of this name");
    assert!(matches!(error, DeltaError::Changed { .. }), "{error}");
    others(3, "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7}}\n");
    let error = open(&store, &again).await.expect_err("too new");
    assert!(error.to_string().contains("newer"), "{error}");
    std::fs::remove_file(dir.path().join(path(0))).expect("removes");
    assert!(matches!(open(&store, &again).await, Err(DeltaError::Malformed { .. })), "a log without its beginning");
}

#[test]
fn columns_that_delta_has_no_words_for_are_named() {
    let add = |field: Field| TableSchema::default().add(&Schema::new(vec![field])).expect_err("refused");
    let (column, reason) = add(Field::new("a b", DataType::Int64, true));
    assert_eq!((column.as_str(), reason.as_str()), ("a b", "its name has ' '"));
    assert!(add(Field::new("d", DataType::Duration(arrow_schema::TimeUnit::Second), true)).1.contains("no type"));
    let mut table = TableSchema::default();
    table.add(&Schema::new(vec![Field::new("n", DataType::Int64, true)])).expect("fits");
    assert!(table.add(&Schema::new(vec![Field::new("n", DataType::Float64, true)])).is_err());
}
