//! Checkpoints: a start from one is held to a start from all versions one by one, after any crash, with others' damage and without.

use super::*;
use crate::parquet::store::faults::{FaultyStore, Plan, Trouble};

/// All that a start learns from a log.
type Known<'d> = (u64, &'d Option<(String, TableSchema)>, &'d BTreeMap<u32, u64>, &'d BTreeSet<String>);

fn known(delta: &Delta) -> Known<'_> {
    (delta.next, &delta.table, &delta.published, &delta.live)
}

fn name(version: u64) -> Name {
    Name { partition: 4, first: version * 10, last: version * 10 + 9, part: Part::Whole }
}

/// A start that knows of no checkpoint.
async fn open_one_by_one(store: &dyn Store, again: &Again) -> Delta {
    let mut entries = store.list().await.expect("lists");
    entries.retain(|entry| checkpoint::version(&entry.path).is_none());
    Delta::open("lake", store, again, &entries).await.expect("reads")
}

/// One more version: a commit of a file, or four files that become one.
async fn write(delta: &mut Delta, store: &dyn Store, again: &Again, random: &mut fastrand::Rng) {
    let version = delta.next;
    let site = ["x", "a%2Fb", "y z"][random.usize(..3)];
    if version < 5 || random.u8(..4) > 0 {
        let path = format!("site={site}/{}", name(version));
        let columns: &[&str] = if version < 7 { &["n"] } else { &["n", "m"] };
        let kept = [committed(version * 10, version * 10 + 9, vec![file(store, again, &path, columns)])];
        delta.publish(store, again, &kept).await.expect("writes");
    } else {
        let gone: Vec<String> = delta.live.iter().take(random.usize(1..4)).cloned().collect();
        let path = format!("site={site}/{}", Name { part: Part::Compacted, ..name(version) });
        let added = [file(store, again, &path, &["n"])];
        delta.replace(store, again, &added, &gone).await.expect("writes");
    }
}

fn remove_versions(dir: &std::path::Path, upto: u64) {
    (0..=upto).for_each(|version| std::fs::remove_file(dir.join(path(version))).expect("removes"));
}

#[tokio::test]
async fn a_start_from_a_checkpoint_knows_what_one_from_all_versions_knows() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, again) = (Local::take(dir.path()).expect("free"), Again::new("lake", Default::default()));
    let mut random = fastrand::Rng::with_seed(7);
    let mut delta = open(&store, &again).await.expect("nothing there");
    for version in 0..45 {
        write(&mut delta, &store, &again, &mut random).await;
        delta.checkpoint(&store).await;
        let there = dir.path().join(checkpoint::path(version)).exists();
        assert_eq!(there, version > 0 && version % 10 == 0, "version {version}");
        let opened = open(&store, &again).await.expect("reads");
        assert_eq!(known(&opened), known(&open_one_by_one(&store, &again).await), "version {version}");
        assert_eq!(known(&opened), known(&delta), "version {version}");
        assert_eq!(opened.checkpoint, (version >= 10).then_some(version / 10 * 10));
        // Another run goes on with the checkpoint of the one before.
        if random.bool() {
            delta = open(&store, &again).await.expect("reads");
        }
    }
    let last = std::fs::read(dir.path().join("_delta_log/_last_checkpoint")).expect("there");
    let last: Value = serde_json::from_slice(&last).expect("JSON");
    let mut actions = Vec::new();
    let content = std::fs::read(dir.path().join(checkpoint::path(40))).expect("there");
    let bytes = content.len();
    checkpoint::read(content.into(), |action| {
        actions.push(action);
        Ok(())
    })
    .expect("reads");
    let files = actions.iter().filter(|action| action.get("add").is_some()).count();
    let expected =
        serde_json::json!({"version": 40, "size": actions.len(), "sizeInBytes": bytes, "numOfAddFiles": files});
    assert_eq!(last, expected);
    assert!(actions.iter().filter_map(|action| action.get("add")).all(|add| add["dataChange"] == false));
    // Nothing of before is needed.
    remove_versions(dir.path(), 40);
    let opened = open(&store, &again).await.expect("reads");
    assert_eq!(known(&opened), known(&delta));
    remove_versions_from(dir.path(), 41);
    assert_eq!(open(&store, &again).await.expect("the checkpoint is the end").next, 41);
}

fn remove_versions_from(dir: &std::path::Path, first: u64) {
    (first..).take_while(|version| std::fs::remove_file(dir.join(path(*version))).is_ok()).for_each(drop);
}

#[tokio::test]
async fn a_crash_anywhere_in_a_checkpoint_leaves_a_table_that_is_whole() {
    let mut random = fastrand::Rng::with_seed(9);
    for (crash, is_after) in (0..40).flat_map(|crash| [(crash, false), (crash, true)]) {
        let dir = tempfile::tempdir().expect("a folder");
        let (store, again) = (Local::take(dir.path()).expect("free"), Again::new("lake", Default::default()));
        let mut delta = open(&store, &again).await.expect("nothing there");
        for _ in 0..21 {
            write(&mut delta, &store, &again, &mut random).await;
            if delta.next < 21 {
                delta.checkpoint(&store).await;
            }
        }
        assert_eq!(delta.checkpoint, Some(10));
        let plan = Plan::new(Trouble::Crash { at: crash, is_after });
        let faulty = FaultyStore { inner: Box::new(store), plan: plan.clone() };
        let has_crashed = tokio::select! {
            biased;
            () = delta.checkpoint(&faulty) => false,
            () = plan.crashed() => true,
        };
        let store = &*faulty.inner;
        let mut opened = open(store, &again).await.expect("reads");
        assert_eq!(known(&opened), known(&open_one_by_one(store, &again).await));
        assert_eq!(opened.next, 21);
        write(&mut opened, store, &again, &mut random).await;
        opened.checkpoint(store).await;
        assert!(opened.checkpoint >= Some(20), "it is tried again with the next version");
        let reopened = open(store, &again).await.expect("reads");
        assert_eq!(known(&reopened), known(&opened));
        if !has_crashed {
            return assert!(crash > 12, "ten versions, a checkpoint, and two files are {crash} operations");
        }
    }
    panic!("a checkpoint has no end");
}

#[tokio::test]
async fn a_checkpoint_that_fails_is_said_and_tried_again_and_fails_nothing_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, again) = (Local::take(dir.path()).expect("free"), Again::new("lake", Default::default()));
    let mut random = fastrand::Rng::with_seed(11);
    let mut delta = open(&store, &again).await.expect("nothing there");
    let failing = Plan::new(Trouble::Errors { of_256: 255, random: fastrand::Rng::with_seed(1) });
    let failing = FaultyStore { inner: Box::new(Local::look(dir.path())), plan: failing };
    for _ in 0..13 {
        write(&mut delta, &store, &again, &mut random).await;
        delta.checkpoint(&failing).await;
    }
    assert_eq!((delta.next, delta.checkpoint), (13, None));
    write(&mut delta, &store, &again, &mut random).await;
    delta.checkpoint(&store).await;
    assert_eq!(delta.checkpoint, Some(13));
    assert_eq!(known(&open(&store, &again).await.expect("reads")), known(&delta));
}

#[tokio::test]
async fn a_damaged_checkpoint_is_passed_over_while_versions_are_there() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, again) = (Local::take(dir.path()).expect("free"), Again::new("lake", Default::default()));
    let mut random = fastrand::Rng::with_seed(13);
    let mut delta = open(&store, &again).await.expect("nothing there");
    for _ in 0..22 {
        write(&mut delta, &store, &again, &mut random).await;
        delta.checkpoint(&store).await;
    }
    let whole = std::fs::read(dir.path().join(checkpoint::path(20))).expect("there");
    for damage in [&b""[..], b"PAR1", &whole[..whole.len() / 2], &whole[1..]] {
        std::fs::write(dir.path().join(checkpoint::path(20)), damage).expect("writes");
        let opened = open(&store, &again).await.expect("reads");
        assert_eq!((known(&opened), opened.checkpoint), (known(&delta), Some(10)));
    }
    // One of a table that nobody knows: it says nothing.
    let rows =
        rows::to_rows(&rows::columns(), &[serde_json::json!({"txn": {"appId": "x", "version": 1}})]).expect("rows");
    let mut content = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut content, rows.schema(), None).expect("a writer");
    writer.write(&rows).expect("encodes");
    writer.close().expect("closes");
    std::fs::write(dir.path().join(checkpoint::path(20)), &content).expect("writes");
    assert_eq!(known(&open(&store, &again).await.expect("reads")), known(&delta));
    remove_versions(dir.path(), 15);
    let error = open(&store, &again).await.expect_err("neither whole nor with a checkpoint").to_string();
    assert!(error.contains("is no version") && error.contains("says nothing of the table"), "{error}");
    std::fs::write(dir.path().join(checkpoint::path(20)), &whole).expect("writes");
    assert_eq!(known(&open(&store, &again).await.expect("reads")), known(&delta));
    // What there is before it would be another history of the table, with the checkpoint of before and without.
    std::fs::write(dir.path().join(checkpoint::path(20)), "PAR1").expect("writes");
    remove_versions_from(dir.path(), 16);
    for _ in 0..2 {
        let error = open(&store, &again).await.expect_err("the end is gone").to_string();
        assert!(error.contains("20.checkpoint.parquet") && error.contains("versions up to it are gone"), "{error}");
        let _ = std::fs::remove_file(dir.path().join(checkpoint::path(10)));
    }
}

#[tokio::test]
async fn files_that_were_taken_out_are_named_for_a_while() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Local::take(dir.path()).expect("free");
    let now_ms = 1_800_000_000_000i64;
    let hour = 3600 * 1000;
    let remove = |path: &str, ago: i64, is_data_change: bool| actions::remove(path, now_ms - ago, is_data_change);
    let lines = [
        actions::protocol(),
        actions::table("id", "{\"fields\":[]}", &[], 0),
        remove("replaced long ago", 2 * hour, false),
        remove("replaced now", hour / 2, false),
        remove("deleted", 2 * hour, true),
        remove("deleted long ago", 200 * hour, true),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::create_dir(dir.path().join(FOLDER)).expect("makes");
    std::fs::write(dir.path().join(path(0)), text).expect("writes");
    checkpoint::write(&store, 0, None, now_ms).await.expect("writes");
    std::fs::write(dir.path().join(path(1)), "{\"commitInfo\":{}}\n").expect("writes");
    checkpoint::write(&store, 1, Some(0), now_ms + hour).await.expect("writes");
    for (version, expected) in [(0, vec!["deleted", "replaced now"]), (1, vec!["deleted"])] {
        let content = std::fs::read(dir.path().join(checkpoint::path(version))).expect("there");
        let mut removed = Vec::new();
        checkpoint::read(content.into(), |action| {
            removed.extend(action["remove"]["path"].as_str().map(actions::decode));
            Ok(())
        })
        .expect("reads");
        assert_eq!(removed, expected, "version {version}");
    }
}
