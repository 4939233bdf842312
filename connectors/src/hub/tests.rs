//! The log on a real disk: there and back, over restarts, torn tails, other numbers of shards, retention, and a kill -9.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use engine::batch::{Batch, BatchBuilder, HeaderWriter};
use engine::log::Group;

use super::*;

const PARTITIONS: u32 = 4;

fn options(dir: &Path) -> LogOptions {
    LogOptions { segment_bytes_max: 4096, ..LogOptions::new(dir, PARTITIONS) }
}

fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("shard-000/{number:020}.log"))
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(dir.join("shard-000")).expect("lists").map(|entry| entry.expect("lists").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    paths.sort();
    paths
}

fn batch(partition: u32, base: u64, rows: usize, timestamp_ms: i64) -> Arc<Batch> {
    let mut builder = BatchBuilder::new(partition);
    for row in 0..rows as u64 {
        let body = format!("{{\"partition\":{partition},\"offset\":{}}}", base + row);
        builder.push(Some(b"k"), body.as_bytes(), &HeaderWriter::default(), timestamp_ms).expect("fits");
    }
    let mut batch = builder.seal().expect("rows");
    batch.set_base_offset(base);
    Arc::new(batch)
}

/// Appends as one group and waits until it is synced.
fn append(writer: &mut ShardWriter, first_seq: u64, batches: &[Arc<Batch>]) {
    let mut group = Box::new(Group::new(1 << 20));
    for (at, batch) in batches.iter().enumerate() {
        group.push(first_seq + at as u64, batch.clone());
    }
    writer.appends.push(Append::Group(group)).expect("room");
    loop {
        match writer.events.pop() {
            Some(LogEvent::Synced(group)) => return assert_eq!(group.first_seq(), first_seq),
            Some(LogEvent::Failed(_) | LogEvent::Refused(_)) => panic!("the disk failed"),
            Some(LogEvent::Written { .. }) => {}
            None => std::thread::yield_now(),
        }
    }
}

fn bodies(reader: &LogReader, partition: u32, from: u64) -> Vec<u64> {
    let (mut next, mut found) = (from, Vec::new());
    loop {
        let batches = reader.read(partition, next, 1000).expect("readable");
        if batches.is_empty() {
            return found;
        }
        for batch in batches {
            for row in 0..batch.rows().len() {
                let event = engine::event::Event::new(&batch, row);
                let body: serde_json::Value = serde_json::from_slice(event.data().expect("data")).expect("JSON");
                assert_eq!(
                    (body["partition"].as_u64(), body["offset"].as_u64()),
                    (Some(partition.into()), Some(event.offset()))
                );
                if event.offset() >= from {
                    found.push(event.offset());
                }
            }
            next = batch.last_offset() + 1;
        }
    }
}

#[test]
fn what_is_synced_is_read_back_now_and_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    {
        let (mut log, recovered) = open(&options(dir.path())).expect("opens");
        assert_eq!(recovered.next_offsets, [0; PARTITIONS as usize]);
        let mut writer = log.shard_writer(0, &Bell::default()).expect("starts");
        let batches: Vec<_> = (0..60).map(|n| batch((n % 2) as u32, n / 2 * 3, 3, 1)).collect();
        append(&mut writer, 0, &batches);
        let reader = log.reader();
        assert_eq!(reader.bounds(0), (0, 90));
        assert_eq!(bodies(&reader, 0, 0), (0..90).collect::<Vec<_>>());
        assert_eq!(bodies(&reader, 1, 47), (47..90).collect::<Vec<_>>());
        assert!(reader.read(1, 90, 100).expect("readable").is_empty());
        assert!(matches!(reader.read(9, 0, 1), Err(ReadError::UnknownPartition { .. })));
        drop(writer);
        log.close().expect("closes");
    }
    // The partitions change their owner: another number of shards.
    let (mut log, recovered) = open(&options(dir.path())).expect("opens");
    assert_eq!((recovered.next_offsets.as_slice(), recovered.scanned_segments), (&[90, 90, 0, 0][..], 0));
    let mut writer = log.shard_writer(1, &Bell::default()).expect("starts");
    append(&mut writer, 0, &[batch(1, 90, 2, 1)]);
    assert_eq!(bodies(&log.reader(), 1, 0), (0..92).collect::<Vec<_>>());
    drop(writer);
    log.close().expect("closes");
    assert_eq!(open(&options(dir.path())).expect("opens").1.next_offsets, [90, 92, 0, 0]);
}

/// A read that ends inside a segment must not go on in the next one.
#[test]
fn reads_of_every_size_see_every_offset() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut log, _) = open(&options(dir.path())).expect("opens");
    let mut writer = log.shard_writer(0, &Bell::default()).expect("starts");
    let mut next = 0;
    for (seq, rows) in (0..200).zip([1, 9, 2, 30].into_iter().cycle()) {
        append(&mut writer, seq, &[batch(0, next, rows, 1)]);
        next += rows as u64;
    }
    let reader = log.reader();
    for bytes_max in [1, 300, 1000, 3000, 5000, 100_000] {
        let mut at = 0;
        while at < next {
            for batch in reader.read(0, at, bytes_max).expect("readable") {
                assert_eq!(batch.base_offset(), at, "a hole in a read of {bytes_max} bytes");
                at = batch.last_offset() + 1;
            }
        }
        assert_eq!(at, next);
    }
}

#[test]
fn a_torn_tail_is_cut_and_offsets_go_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let segment = {
        let (mut log, _) = open(&options(dir.path())).expect("opens");
        let mut writer = log.shard_writer(0, &Bell::default()).expect("starts");
        append(&mut writer, 0, &[batch(0, 0, 5, 1), batch(2, 0, 1, 1)]);
        drop(writer);
        log.close().expect("closes");
        segment_path(dir.path(), 0)
    };
    std::fs::remove_file(segment.with_extension("index")).expect("removes");
    let torn = batch(0, 5, 3, 1);
    let mut file = std::fs::OpenOptions::new().append(true).open(&segment).expect("opens");
    file.write_all(&torn.bytes()[..torn.bytes().len() - 1]).expect("writes");
    let (log, recovered) = open(&options(dir.path())).expect("opens");
    assert_eq!(recovered.cut_bytes as usize, torn.bytes().len() - 1);
    assert_eq!((recovered.next_offsets[0], recovered.damaged.len()), (5, 0));
    assert_eq!(bodies(&log.reader(), 0, 0), (0..5).collect::<Vec<_>>());
}

#[test]
fn damage_in_the_middle_is_named_and_never_served() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = batch(0, 0, 5, 1);
    {
        let (mut log, _) = open(&options(dir.path())).expect("opens");
        let mut writer = log.shard_writer(0, &Bell::default()).expect("starts");
        append(&mut writer, 0, &[first.clone(), batch(0, 5, 2, 1)]);
        drop(writer);
        log.close().expect("closes");
    }
    let segment = segment_path(dir.path(), 0);
    let mut bytes = std::fs::read(&segment).expect("reads");
    bytes[80] ^= 1;
    std::fs::write(&segment, bytes).expect("writes");
    let (log, _) = open(&options(dir.path())).expect("opens");
    match log.reader().read(0, 0, 1000) {
        Err(ReadError::Damaged { offset: 0, next: 5, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(bodies(&log.reader(), 0, 5), [5, 6]);
    drop(log);
    // Without the index the scan finds it at the start.
    std::fs::remove_file(segment.with_extension("index")).expect("removes");
    let (_, recovered) = open(&options(dir.path())).expect("opens");
    assert_eq!((recovered.damaged.len(), recovered.next_offsets[0]), (1, 7));
}

#[test]
fn a_folder_belongs_to_one_node_and_to_its_number_of_partitions() {
    let dir = tempfile::tempdir().expect("a folder");
    let (log, _) = open(&options(dir.path())).expect("opens");
    let error = open(&options(dir.path())).expect_err("in use").to_string();
    assert!(error.contains("in use by another node") && error.contains(&std::process::id().to_string()), "{error}");
    drop(log);
    let other = LogOptions { partitions: 8, ..options(dir.path()) };
    let error = open(&other).expect_err("another number").to_string();
    assert!(error.contains("set partitions = 4"), "{error}");
}

#[test]
fn retention_removes_the_oldest_and_says_what_is_gone() {
    let dir = tempfile::tempdir().expect("a folder");
    let keep = LogOptions { retention_bytes_max: 10_000, ..options(dir.path()) };
    let (mut log, _) = open(&keep).expect("opens");
    let mut writer = log.shard_writer(0, &Bell::default()).expect("starts");
    for n in 0..40u64 {
        append(&mut writer, n, &[batch(0, n * 10, 10, n as i64)]);
    }
    let (reader, stats) = (log.reader(), log.stats());
    // The keeper removes on a thread of its own: with it at its end nothing moves between two looks.
    drop(writer);
    log.close().expect("closes");
    let (start, end) = reader.bounds(0);
    assert!(start > 0 && end == 400, "{start}..{end}");
    match reader.read(0, 0, 1000) {
        Err(ReadError::FallenOff { first_available, .. }) => assert_eq!(first_available, start),
        other => panic!("{other:?}"),
    }
    assert_eq!(bodies(&reader, 0, start), (start..400).collect::<Vec<_>>());
    assert!(stats.bytes.load(std::sync::atomic::Ordering::Relaxed) <= 10_000 + 2 * 4096 + 1024);
    // Even when nothing is left of a partition it goes on where it was.
    for segment in segments(dir.path()) {
        std::fs::remove_file(segment).expect("removes");
    }
    let (_, recovered) = open(&keep).expect("opens");
    assert!(recovered.next_offsets[0] >= start && recovered.start_offsets == recovered.next_offsets);
}

const CHILD: &str = "ANABRANCH_TEST_LOG_CHILD";

/// The child of the next test: appends for ever and prints each synced end. Does nothing when run as an ordinary test.
#[test]
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a child process is told by its environment and answers on its output"
)]
fn child_that_appends_until_it_is_killed() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let (mut log, recovered) = open(&options(Path::new(&dir))).expect("opens");
    let mut writer = log.shard_writer(0, &Bell::default()).expect("starts");
    let mut next = recovered.next_offsets[3];
    for seq in 0.. {
        append(&mut writer, seq, &[batch(3, next, 7, 1)]);
        next += 7;
        println!("synced {next}");
    }
}

#[test]
fn nothing_synced_is_lost_by_kill_9() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut synced = 0;
    for round in 0..5 {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "hub::tests::child_that_appends_until_it_is_killed", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let ends =
            lines.map_while(Result::ok).filter_map(|line| line.split("synced ").nth(1)?.trim().parse::<u64>().ok());
        for (seen, end) in ends.enumerate() {
            synced = end;
            if seen == 20 + 13 * round {
                child.kill().expect("kills");
            }
        }
        child.wait().expect("ends");
        let (log, recovered) = open(&options(dir.path())).expect("opens");
        assert!(recovered.next_offsets[3] >= synced && recovered.damaged.is_empty(), "{recovered:?}, synced {synced}");
        let all: Vec<u64> = (0..recovered.next_offsets[3]).collect();
        assert_eq!(bodies(&log.reader(), 3, 0), all);
    }
    assert!(synced > 500);
}
