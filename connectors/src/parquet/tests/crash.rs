//! Crashes at any point, replays from any cursor: each wanted offset is in the files exactly once.

use std::collections::BTreeMap;

use engine::lane::Rows;

use super::*;
use crate::parquet::sink::run;
use crate::parquet::{ParquetConfig, Schema, resume_offsets};
use crate::sink::{Cursors, ROOM, SinkStats, feed};

const PARTITIONS: u32 = 3;

/// What a log holds for the endpoint: batches of every partition, some of their rows wanted.
fn log(random: &mut fastrand::Rng) -> Vec<Delivery> {
    let mut next = [0u64; PARTITIONS as usize];
    (0..60)
        .map(|_| {
            let partition = random.u32(0..PARTITIONS);
            let bodies: Vec<String> = (0..random.u64(1..9))
                .map(|row| {
                    // Members that come late, of kinds that change: the schema evolves between the crashes.
                    let more = match random.u8(..4) {
                        0 => String::new(),
                        1 => format!(",\"m{}\":{}", random.u8(..9), random.u8(..)),
                        2 => format!(",\"m{}\":\"{}\"", random.u8(..9), random.u8(..)),
                        _ => format!(",\"t\":{}.5", random.u8(..)),
                    };
                    format!("{{\"n\":{},\"t\":\"{}\"{more}}}", next[partition as usize] + row, random.u8(..))
                })
                .collect();
            let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
            let mut made = delivery(partition, next[partition as usize], &bodies);
            next[partition as usize] += bodies.len() as u64;
            if random.bool() {
                let wanted: Vec<u16> = (0..bodies.len() as u16).filter(|row| *row == 0 || random.bool()).collect();
                made.rows = Rows::Some(wanted.into());
            }
            made
        })
        .collect()
}

#[tokio::test]
async fn every_offset_is_there_once_after_any_number_of_crashes() {
    let (mut crashes, mut evolved) = (0, 0);
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let log = log(&mut random);
        let dir = tempfile::tempdir().expect("a folder");
        let mut config = ParquetConfig::new(dir.path());
        (config.rows_max, config.learn_events) = (random.u64(1..30), random.usize(1..20));
        // What the node stored last: it may be behind what is settled, never ahead.
        let mut stored = vec![0; PARTITIONS as usize];
        loop {
            let mut start = stored.clone();
            if random.bool() {
                // The node looks at the names, as it should; the endpoint must not depend on it.
                for (partition, next) in resume_offsets(dir.path()).expect("reads") {
                    start[partition as usize] = next.max(start[partition as usize]);
                }
            }
            let cursors = Arc::new(Cursors::new(&start));
            let (sender, feed) = feed(1, cursors.clone());
            let left: Vec<Delivery> = log
                .iter()
                .filter_map(|made| made.clone().from_offset(start[made.batch.partition() as usize]))
                .collect();
            let crash_after = if random.u8(..) < 160 { random.usize(0..=left.len()) } else { usize::MAX };
            let mut feeding = Some(async {
                for made in left.iter().take(crash_after) {
                    sender.send(made.clone()).await.expect("the sink runs");
                }
                let all_given = crash_after >= left.len();
                drop(sender);
                all_given
            });
            let sink = run("lake", config.clone(), feed, Arc::new(SinkStats::default()));
            let crashed = {
                let feeding = feeding.take().expect("once");
                tokio::pin!(sink, feeding);
                tokio::select! {
                    biased;
                    ended = &mut sink => panic!("the sink ended before its feed: {ended:?}"),
                    all_given = &mut feeding => {
                        let crashed = crash_after != usize::MAX || !all_given;
                        if !crashed {
                            sink.await.expect("writes");
                        }
                        crashed
                    }
                }
            };
            if !crashed {
                break;
            }
            crashes += 1;
            let settled = cursors.all();
            for (stored, settled) in stored.iter_mut().zip(settled) {
                *stored = random.u64(*stored..=settled.max(*stored));
            }
        }
        let kept = Schema::load(dir.path()).expect("reads").expect("kept");
        evolved += usize::from(kept.version > 1);
        for file in files(dir.path()) {
            let schema = batches(&file)[0].schema();
            let names = schema.fields().iter().map(|field| field.name().as_str()).filter(|name| !name.starts_with('_'));
            let known: Vec<&str> = kept.columns.iter().map(|column| column.name.as_str()).collect();
            assert!(known.starts_with(&names.collect::<Vec<_>>()), "a file has columns that are kept, in their order");
        }
        let mut expected = BTreeMap::new();
        for event in log.iter().flat_map(Delivery::events) {
            expected.insert((i64::from(event.partition()), event.offset() as i64), 1);
        }
        let mut found = BTreeMap::new();
        for row in rows(dir.path()) {
            let number = |name: &str| row[name].as_i64().expect("a number");
            assert_eq!(number("n"), number("_offset"), "the right body");
            *found.entry((number("_partition"), number("_offset"))).or_insert(0) += 1;
        }
        assert_eq!(found, expected, "seed {seed}");
        let hidden = std::fs::read_dir(dir.path())
            .expect("a folder")
            .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok());
        assert_eq!(hidden.filter(|name| name.starts_with(".tmp-")).count(), 0, "open files are gone at the end");
    }
    assert!(crashes > 20 && evolved > 20, "{crashes} crashes and {evolved} schemas that evolved are no test");
}

#[tokio::test]
async fn a_file_is_finished_by_age_without_another_event() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    (config.age_ms_max, config.learn_events) = (10, 1);
    let cursors = Arc::new(Cursors::new(&[0]));
    let (sender, feed) = feed(1, cursors.clone());
    let sink = run("lake", config, feed, Arc::new(SinkStats::default()));
    let settled = async {
        sender.send(delivery(0, 0, &["{\"a\":1}", "{\"a\":2}"])).await.expect("the sink runs");
        while cursors.get(0) < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = sink => panic!("the sink ended before its feed: {ended:?}"),
        settled = tokio::time::timeout(std::time::Duration::from_secs(20), settled) => settled.expect("settled by age"),
    }
    assert_eq!(rows(dir.path()).len(), 2);
}

#[test]
fn files_are_finished_by_age_while_the_feed_is_never_empty() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    (config.age_ms_max, config.learn_events) = (10, 1);
    let bodies: Vec<String> = (0..60_000).map(|n| format!("{{\"n\":{n},\"t\":\"{n:060}\"}}")).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let deliveries = (0..).step_by(30).zip(bodies.chunks(30)).map(|(first, some)| delivery(0, first, some)).collect();
    // All of them are there before the first is taken.
    let (ended, cursors, _) = super::run(&config, deliveries);
    ended.expect("writes");
    assert_eq!(cursors[0], 60_000);
    assert!(files(dir.path()).len() > 1, "60,000 rows take longer than 10 ms");
}

#[test]
fn short_memory_writes_out_early_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ParquetConfig::new(dir.path());
    (config.memory_bytes_max, config.learn_events) = (1024 * 1024, 1);
    let long = "x".repeat(2000);
    let cursors = Arc::new(Cursors::new(&[0; 4]));
    let (sender, feed) = feed(ROOM, cursors.clone());
    for part in 0..40u64 {
        let bodies: Vec<String> =
            (0..30).map(|row| format!("{{\"n\":{},\"t\":\"{long}{row}\"}}", part / 4 * 30 + row)).collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        sender.blocking_send(delivery((part % 4) as u32, part / 4 * 30, &bodies)).expect("room");
    }
    drop(sender);
    crate::parquet::run_blocking("lake", config, feed, Arc::new(SinkStats::default())).expect("writes");
    assert_eq!(cursors.all(), [300; 4]);
    let found = files(dir.path());
    assert_eq!(found.len(), 4, "one file per partition");
    let groups: usize = found
        .iter()
        .map(|path| {
            let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).expect("a file"));
            reader.expect("a Parquet file").metadata().num_row_groups()
        })
        .sum();
    assert!(groups > 4, "{groups} row groups: nothing was written out early");
    assert_eq!(
        rows(dir.path()).iter().map(|row| row["n"].as_i64().expect("a number")).sum::<i64>(),
        4 * (0..300).sum::<i64>()
    );
}
