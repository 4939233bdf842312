//! A crash at every single operation of a store, and stores that fail all the time: each offset is in the files exactly once.

use std::collections::BTreeMap;

use bytes::Bytes;
use engine::lane::Rows;
use object_store::memory::InMemory;

use super::*;
use crate::parquet::delta::Delta;
use crate::parquet::names::{Lake, Name};
use crate::parquet::sink::run_in;
use crate::parquet::store::faults::{FaultyObjects, FaultyStore, Plan, Trouble};
use crate::parquet::store::{Again, Local, ObjectSettings, Objects, Store};
use crate::parquet::{ParquetConfig, manifest};
use crate::sink::{Cursors, SinkStats, feed};

const PARTITIONS: usize = 2;

/// Something to write into that outlives a crash.
enum Ground {
    Disk(tempfile::TempDir),
    Memory { inner: Arc<InMemory>, part_bytes: usize },
}

/// Seeds of logs and settings: without and with manifests, flat and in folders, all with compaction; and whether the operation at which
/// the crash comes takes effect.
const CASES: [(u64, bool); 4] = [(1, true), (2, false), (3, false), (6, true)];

/// Part sizes of which one makes every file a large one, and one every file a small one.
const PART_BYTES: [usize; 2] = [3_000, 1_000_000];

impl Ground {
    fn open(&self, plan: Arc<Plan>, again: &Again) -> Box<dyn Store> {
        match self {
            Self::Disk(dir) => {
                Box::new(FaultyStore { inner: Box::new(Local::take(dir.path()).expect("a folder")), plan })
            }
            Self::Memory { inner, part_bytes } => {
                let backend = Arc::new(FaultyObjects { inner: inner.clone(), plan });
                let settings = ObjectSettings { part_bytes: *part_bytes, parts_max: 2, has_conditional_put: true };
                Box::new(Objects::new(backend, "memory://lake", "fleet/lake", settings, again.clone()))
            }
        }
    }

    async fn calm(&self) -> Box<dyn Store> {
        self.open(Plan::new(Trouble::Never), &Again::new("lake", Arc::default()).hasty())
    }
}

/// A folder, in memory where the system has such: hundreds of syncs of a real disk would prove no more here.
fn disk() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// What a log holds for the endpoint: batches of every partition, some of their rows wanted.
fn log(random: &mut fastrand::Rng, batches: usize) -> Vec<Delivery> {
    let mut next = [0u64; PARTITIONS];
    (0..batches)
        .map(|_| {
            let partition = random.usize(0..PARTITIONS);
            let bodies: Vec<String> = (0..random.u64(1..9))
                .map(|row| {
                    let noise: String = (0..random.usize(0..400)).map(|_| random.alphanumeric()).collect();
                    format!("{{\"n\":{},\"site\":\"s{}\",\"t\":\"{noise}\"}}", next[partition] + row, random.u8(0..3))
                })
                .collect();
            let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
            let mut made = delivery(partition as u32, next[partition], &bodies);
            next[partition] += bodies.len() as u64 + random.u64(0..2);
            let wanted: Vec<u16> = (0..bodies.len() as u16).filter(|row| *row == 0 || random.bool()).collect();
            made.rows = Rows::Some(wanted.into());
            made
        })
        .collect()
}

/// Runs the endpoint over the log from what the node stored, until all is written (`true`) or the plan's crash comes. What was settled
/// is stored, or a part of it.
async fn life(
    ground: &Ground,
    config: &ParquetConfig,
    log: &[Delivery],
    stored: &mut [u64],
    plan: Arc<Plan>,
    random: &mut fastrand::Rng,
) -> bool {
    let stats = Arc::new(SinkStats::default());
    let again = Again::new("lake", stats.clone()).hasty();
    let cursors = Arc::new(Cursors::new(stored));
    let (sender, feed) = feed(1, cursors.clone());
    let store = ground.open(plan.clone(), &again);
    let left: Vec<Delivery> =
        log.iter().filter_map(|made| made.clone().from_offset(stored[made.batch.partition() as usize])).collect();
    let feeding = async {
        for made in left {
            sender.send(made).await.expect("the sink runs");
        }
        drop(sender);
    };
    let is_whole = {
        let sink = run_in("lake", config.clone(), feed, stats, store, again);
        let whole = async { tokio::join!(sink, feeding).0 };
        tokio::select! {
            result = whole => { result.expect("no error stops it"); true }
            () = plan.crashed() => false,
        }
    };
    for (stored, settled) in stored.iter_mut().zip(cursors.all()) {
        *stored = random.u64(*stored..=settled.max(*stored));
    }
    is_whole
}

/// By what somebody tells which files to read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Names,
    Manifests,
    Delta,
}

impl By {
    fn all(config: &ParquetConfig) -> Vec<Self> {
        let mut all = vec![Self::Names];
        all.extend(config.manifest.then_some(Self::Manifests));
        all.extend(config.delta.then_some(Self::Delta));
        all
    }
}

/// The paths that count.
async fn paths(store: &dyn Store, by: By) -> Vec<String> {
    let entries = store.list().await.expect("lists");
    match by {
        By::Names => return Lake::of(entries).files.into_iter().map(|file| file.entry.path).collect(),
        By::Delta => {
            let again = Again::new("lake", Arc::default());
            let delta = Delta::open("lake", store, &again, &entries).await.expect("a log");
            return delta.live().cloned().collect();
        }
        By::Manifests => {}
    }
    let all: Vec<Name> = entries.iter().filter_map(|entry| manifest::parse(&entry.path)).collect();
    let mut paths = Vec::new();
    for name in all.iter().filter(|name| !all.iter().any(|other| other != *name && other.contains(name))) {
        let content = store.read(&manifest::path(*name)).await.expect("reads").expect("is there");
        let read: manifest::Manifest = serde_json::from_slice(&content).expect("a manifest");
        assert_eq!(read.name(), *name);
        assert_eq!(read.rows, read.files.iter().map(|file| file.rows).sum::<u64>());
        let offset = |bound: &Option<Json>| bound.as_ref().and_then(Json::as_u64).expect("an offset");
        let offsets = || read.files.iter().map(|file| &file.columns["_offset"]);
        assert!(offsets().all(|bounds| offset(&bounds.min) >= read.first_offset));
        assert_eq!(offsets().map(|bounds| offset(&bounds.max)).max(), Some(read.last_offset));
        for file in read.files {
            let there = entries.iter().find(|entry| entry.path == file.path).expect("what a manifest names is there");
            assert_eq!(there.bytes, file.bytes);
            paths.push(file.path);
        }
    }
    paths
}

/// Every row that counts, with how often it is there.
async fn found(ground: &Ground, by: By) -> BTreeMap<(i64, i64), usize> {
    let store = ground.calm().await;
    let mut found = BTreeMap::new();
    for path in paths(&*store, by).await {
        let name = Name::parse(path.rsplit('/').next().expect("a name")).expect("a name of ours");
        let content: Bytes = store.read(&path).await.expect("reads").expect("is there");
        for row in batches_of(content).iter().flat_map(to_rows) {
            let number = |name: &str| row[name].as_i64().expect("a number");
            assert_eq!(number("n"), number("_offset"), "the right body");
            assert!((name.first..=name.last).contains(&(number("_offset") as u64)), "its name covers it");
            *found.entry((number("_partition"), number("_offset"))).or_insert(0) += 1;
        }
    }
    found
}

fn expected(log: &[Delivery]) -> BTreeMap<(i64, i64), usize> {
    let place = |event: engine::event::Event<'_>| ((i64::from(event.partition()), event.offset() as i64), 1);
    log.iter().flat_map(Delivery::events).map(place).collect()
}

fn config(seed: u64, random: &mut fastrand::Rng) -> ParquetConfig {
    let mut config = ParquetConfig::new("unused");
    (config.rows_max, config.learn_events) = (random.u64(4..9), 3);
    // Of several bytes' memory: row groups are written out before their file is whole.
    config.memory_bytes_max = 20_000;
    config.manifest = seed.is_multiple_of(2);
    config.delta = seed % 3 != 2;
    if !seed.is_multiple_of(5) {
        (config.compact_commits, config.compact_keep_ms) = (Some(3), 0);
    }
    if seed.is_multiple_of(7) {
        config.sort_by = vec!["t".to_owned()];
    }
    if !seed.is_multiple_of(3) {
        config.partition_by = vec!["site".to_owned(), "hour".to_owned()];
    }
    config
}

/// A first life ends at each operation in turn, before it or after it, a second one somewhere, the third one goes through.
async fn crashes_everywhere(grounds: impl Fn() -> Ground, step: usize) {
    for (seed, is_after) in CASES {
        let mut at = 0;
        loop {
            let mut random = fastrand::Rng::with_seed(seed);
            let log = log(&mut random, 18);
            let mut config = config(seed, &mut random);
            let ground = grounds();
            if let Ground::Disk(dir) = &ground {
                config.dir = dir.path().to_owned();
            } else {
                config.url = Some("s3://unused/lake".to_owned());
            }
            let mut random = fastrand::Rng::with_seed(at as u64);
            let mut stored = [0; PARTITIONS];
            let first = Plan::new(Trouble::Crash { at, is_after });
            let is_whole = life(&ground, &config, &log, &mut stored, first, &mut random).await;
            for by in By::all(&config) {
                let there = found(&ground, by).await;
                assert!(there.values().all(|times| *times == 1), "twice after a crash at {at}: {there:?}");
                let is_settled = |place: &(i64, i64)| (place.1 as u64) < stored[place.0 as usize];
                let lost = expected(&log).into_keys().find(|place| is_settled(place) && !there.contains_key(place));
                assert_eq!(lost, None, "settled and not there by {by:?} after a crash at {at}");
            }
            if is_whole {
                assert!(at > 10, "{at} operations are no test");
                break;
            }
            let second = Plan::new(Trouble::Crash { at: random.usize(0..60), is_after: random.bool() });
            if !life(&ground, &config, &log, &mut stored, second, &mut random).await {
                assert!(life(&ground, &config, &log, &mut stored, Plan::new(Trouble::Never), &mut random).await);
            }
            for by in By::all(&config) {
                assert_eq!(found(&ground, by).await, expected(&log), "seed {seed}, crash at {at}, by {by:?}");
            }
            let store = ground.calm().await;
            let lake = Lake::of(store.list().await.expect("lists"));
            assert!(lake.temporary.is_empty() && lake.incomplete.is_empty(), "{lake:?}");
            at += step;
        }
    }
}

#[tokio::test]
async fn a_crash_at_any_operation_of_the_disk_loses_and_doubles_nothing() {
    crashes_everywhere(|| Ground::Disk(disk()), 3).await;
}

#[tokio::test]
async fn a_crash_at_any_operation_of_an_object_store_loses_and_doubles_nothing() {
    let turn = std::cell::Cell::new(0);
    let ground = || {
        turn.set(turn.get() + 1);
        Ground::Memory { inner: Arc::new(InMemory::new()), part_bytes: PART_BYTES[turn.get() % 2] }
    };
    crashes_everywhere(ground, 1).await;
}

#[tokio::test]
async fn a_store_that_fails_all_the_time_gets_everything_once() {
    for seed in 0..10 {
        let mut random = fastrand::Rng::with_seed(seed);
        let log = log(&mut random, 40);
        let mut config = config(seed, &mut random);
        let ground = if seed % 5 == 0 {
            let dir = disk();
            config.dir = dir.path().to_owned();
            Ground::Disk(dir)
        } else {
            config.url = Some("s3://unused/lake".to_owned());
            Ground::Memory { inner: Arc::new(InMemory::new()), part_bytes: PART_BYTES[seed as usize % 2] }
        };
        let plan = Plan::new(Trouble::Errors { of_256: 100, random: random.fork() });
        let mut stored = [0; PARTITIONS];
        assert!(life(&ground, &config, &log, &mut stored, plan, &mut random).await, "it goes through in the end");
        assert_eq!(found(&ground, *By::all(&config).last().expect("names")).await, expected(&log), "seed {seed}");
    }
}
