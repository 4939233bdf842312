//! Shards on a real log that are killed and started again: what was stored, what the log says behind it, and what is not believed.

use std::path::Path;

use arc_swap::ArcSwap;
use connectors::hub::{self, Log, LogOptions};
use engine::batch::{Batch, BatchBuilder, HeaderWriter, ProducerStamp, seal_records};
use engine::lane::Heads;
use engine::mesh::{Ack, AckLevel, Placed, Refused, Submitted, Ticket};
use engine::ring::Producer;
use engine::route::RouteTable;
use engine::shard::{CommitPolicy, DedupSettings, ProducerProgress, ProducerSettings, ShardStats, Wiring};

use super::*;

const PARTITIONS: u32 = 4;
const SHARDS: usize = 2;
const WINDOW_MS: u64 = 3_600_000;

/// One life.
struct World {
    state: Arc<State>,
    log: Log,
    switchboard: Arc<Switchboard>,
    shards: Vec<Shard>,
    mesh: Vec<Producer<Submitted>>,
    acks: Vec<Consumer<Ack>>,
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

fn events(partition: u32, producer: u64, sequences: std::ops::Range<u64>) -> Batch {
    let mut builder = BatchBuilder::new(partition);
    for sequence in sequences.clone() {
        builder.push(None, sequence.to_string().as_bytes(), &HeaderWriter::default(), 0).expect("fits");
    }
    let bytes = builder.seal().expect("rows").bytes().to_vec();
    let stamp = ProducerStamp { producer, sequence: sequences.start };
    seal_records(partition, bytes, sequences.count() as u32, now_ms(), Some(stamp)).expect("valid")
}

impl World {
    fn start(folder: &Path) -> Self {
        let state = Arc::new(State::open(&folder.join("state.redb")).expect("opens"));
        let (mut log, recovered) = hub::open(&LogOptions::new(folder.join("log"), PARTITIONS)).expect("opens");
        let table = Arc::new(RouteTable::new(1, &[], None, Vec::new()).expect("valid"));
        let bells: Vec<Bell> = (0..SHARDS).map(|_| Bell::default()).collect();
        let (mut shards, mut mesh, mut acks, mut commands) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (number, bell) in bells.iter().enumerate() {
            let writer = log.shard_writer(number as u32, bell).expect("opens");
            let (to, inlet) = ring(64, bell);
            mesh.push(to);
            let (ack_to, from) = ring(64, bell);
            acks.push(from);
            let (to, from) = ring(4, bell);
            commands.push(to);
            let wiring = Wiring {
                shard: number as u32,
                shards: SHARDS as u32,
                inlets: vec![inlet],
                acks: vec![ack_to],
                appends: writer.appends,
                log_events: writer.events,
                commands: from,
                heads: Heads::new(&recovered.next_offsets),
                acked: Heads::new(&recovered.next_offsets),
                stats: Arc::new(ShardStats::default()),
                commit: CommitPolicy::default(),
                dedup: DedupSettings::default(),
                producers: ProducerSettings { window_ms: WINDOW_MS, ..ProducerSettings::default() },
            };
            shards.push(Shard::new(wiring, &recovered.next_offsets, table.clone()));
        }
        restore(&state, &log.reader(), WINDOW_MS, &mut shards).expect("reads");
        let switchboard = Arc::new(Switchboard::new(commands, bells, Arc::new(ArcSwap::new(table)), PARTITIONS));
        Self { state, log, switchboard, shards, mesh, acks }
    }

    /// What becomes of a batch: events that are new, or why not.
    fn send(&mut self, batch: Batch) -> Result<u32, Refused> {
        let shard = batch.partition() as usize % SHARDS;
        let ticket = Ticket { core: 0, slot: 0, generation: 0, level: AckLevel::Synced };
        self.mesh[shard].push(Submitted { batch, ticket }).expect("room");
        loop {
            self.shards[shard].step(0);
            if let Some(ack) = self.acks[shard].pop() {
                return ack.result.map(|Placed { rows, .. }| rows);
            }
            std::thread::yield_now();
        }
    }

    /// The keeper stores what there is.
    fn store(&mut self) {
        let (state, switchboard) = (self.state.clone(), self.switchboard.clone());
        let mut keeper = ProducerKeeper::start(state, switchboard, Duration::from_secs(3600)).expect("a thread");
        std::thread::scope(|scope| {
            let stopping = scope.spawn(move || keeper.stop());
            while !stopping.is_finished() {
                self.shards.iter_mut().for_each(|shard| {
                    shard.step(0);
                });
                std::thread::yield_now();
            }
        });
    }

    /// Its end; what the next life finds is what a kill leaves, because all was synced and nothing else is stored at an end.
    fn end(self) {
        let Self { log, shards, .. } = self;
        drop(shards);
        log.close().expect("ends");
    }

    fn heads(&self) -> Vec<u64> {
        let saved = self.state.producers().expect("reads");
        (0..PARTITIONS).map(|partition| saved.heads.get(&partition).copied().unwrap_or(u64::MAX)).collect()
    }
}

#[test]
fn what_was_sent_before_a_kill_is_known_after_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::start(folder.path());
    assert_eq!(world.send(events(1, 7, 0..10)), Ok(10));
    assert_eq!(world.send(events(2, 7, 100..120)), Ok(20));
    world.store();
    assert_eq!(world.heads(), [0, 10, 20, 0]);
    // Behind what was stored: these stand in the log alone.
    assert_eq!(world.send(events(1, 7, 10..15)), Ok(5));
    assert_eq!(world.send(events(3, 8, 5..6)), Ok(1));
    world.end();
    let mut world = World::start(folder.path());
    assert_eq!(world.send(events(1, 7, 0..15)), Ok(0));
    assert_eq!(world.send(events(1, 7, 14..17)), Ok(2));
    assert_eq!(world.send(events(2, 7, 100..120)), Ok(0));
    assert_eq!(world.send(events(2, 7, 121..122)), Err(Refused::OutOfOrder { expected: 120 }));
    assert_eq!(world.send(events(3, 8, 5..6)), Ok(0));
    world.store();
    assert_eq!(world.heads(), [0, 17, 20, 1]);
    let ends: Vec<u64> = (0..PARTITIONS).map(|partition| world.log.reader().bounds(partition).1).collect();
    assert_eq!(ends, [0, 17, 20, 1]);
}

#[test]
fn without_what_was_stored_the_log_of_the_window_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::start(folder.path());
    assert_eq!(world.send(events(1, 7, 0..10)), Ok(10));
    world.store();
    world.end();
    std::fs::remove_file(folder.path().join("state.redb")).expect("is there");
    let mut world = World::start(folder.path());
    assert_eq!(world.send(events(1, 7, 0..10)), Ok(0));
}

#[test]
fn what_was_stored_of_another_log_is_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::start(folder.path());
    for partition in 0..PARTITIONS {
        assert_eq!(world.send(events(partition, 7, 0..10)), Ok(10));
    }
    world.store();
    world.end();
    std::fs::remove_dir_all(folder.path().join("log")).expect("is there");
    let mut world = World::start(folder.path());
    assert_eq!(world.heads(), [u64::MAX; 4]);
    assert_eq!(world.send(events(1, 7, 5..20)), Ok(15), "the new log has none of them");
    assert!(world.state.producers().expect("reads").progress.is_empty());
}

#[test]
fn rows_are_believed_while_their_window_lasts() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path());
    let row = |producer, seen_ms| ProducerProgress { partition: 1, producer, next: 50, seen_ms };
    let report = ProducerReport {
        changed: vec![row(1, now_ms() - 60_000), row(2, now_ms() - 2 * WINDOW_MS as i64), row(3, now_ms())],
        heads: Some(vec![(1, 0), (3, 0)]),
        kept_since_ms: i64::MIN,
    };
    let reports = [ShardProducers { shard: 1, shards: 2, report }];
    world.state.commit_producers(&reports, &[]).expect("stores");
    world.end();
    let mut world = World::start(folder.path());
    assert_eq!(world.send(events(1, 1, 40..50)), Ok(0));
    assert_eq!(world.send(events(1, 2, 40..50)), Ok(10), "its time is over");
    assert_eq!(world.send(events(1, 3, 60..61)), Err(Refused::OutOfOrder { expected: 50 }));
}

#[test]
fn what_a_shard_has_forgotten_is_removed_and_a_whole_round_of_many_is_stored_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = State::open(&folder.path().join("state.redb")).expect("opens");
    let row = |partition, producer, seen_ms| ProducerProgress { partition, producer, next: 1, seen_ms };
    let report = |shard, changed, kept_since_ms| ShardProducers {
        shard,
        shards: 2,
        report: ProducerReport { changed, heads: None, kept_since_ms },
    };
    let first = report(0, vec![row(0, 1, 10), row(2, 1, 20)], 5);
    let other = report(1, vec![row(1, 1, 10)], 5);
    state.commit_producers(&[first, other], &[0, 1]).expect("stores");
    let pieces = [report(0, vec![row(0, 1, 30)], 15), report(0, vec![row(0, 2, 40)], 25)];
    state.commit_producers(&pieces, &[0]).expect("stores");
    let mut kept = state.producers().expect("reads").progress;
    kept.sort_unstable_by_key(|one| (one.partition, one.producer));
    assert_eq!(kept, [row(0, 1, 30), row(0, 2, 40), row(1, 1, 10)]);
    state.forget_producers(&[0]).expect("stores");
    assert_eq!(state.producers().expect("reads").progress, [row(1, 1, 10)]);
}

#[test]
fn a_shard_that_is_gone_or_slow_does_not_hold_the_keeper_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::start(folder.path());
    assert_eq!(world.send(events(1, 7, 0..10)), Ok(10));
    world.shards.remove(0);
    let mut keeping = Keeping::new(world.state.clone(), world.switchboard.clone());
    // Shard 1 does not take turns, 0 has ended.
    keeping.round().expect("nothing to store");
    assert_eq!(world.heads(), [u64::MAX; 4]);
    world.shards[0].step(0);
    keeping.round().expect("stores");
    assert_eq!(world.heads(), [u64::MAX, 10, u64::MAX, 0]);
}
