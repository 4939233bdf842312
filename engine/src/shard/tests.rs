//! A shard with all of its rings in the hands of the test: order, acks, failures, lanes, tables.

mod numbered;

use super::*;
use crate::batch::{BatchBuilder, HeaderWriter};
use crate::filter::{CompileOptions, Dialect, Filter};
use crate::lane::{LaneItem, LaneReceiver, lane};
use crate::log::Group;
use crate::ring::{Bell, ring};
use crate::route::{EndpointId, Route, Source};

struct World {
    shard: Shard,
    mesh: Producer<Submitted>,
    acks: Consumer<Ack>,
    appends: Consumer<Append>,
    /// What the writer has taken and not given back.
    groups: std::collections::VecDeque<Box<Group>>,
    log: Producer<LogEvent>,
    commands: Producer<Command>,
    heads: Heads,
    acked_heads: Heads,
    stats: Arc<ShardStats>,
}

fn table(version: u64, routes: &[(&str, EndpointId)]) -> Arc<RouteTable> {
    let routes: Vec<Route> = routes
        .iter()
        .enumerate()
        .map(|(i, (filter, endpoint))| Route {
            name: format!("r{i}"),
            source: Source::DeviceMessages,
            filter: Filter::compile(filter, Dialect::Anabranch, &CompileOptions::default()).expect("valid").0,
            endpoint: *endpoint,
            enabled: true,
            every_source: false,
        })
        .collect();
    Arc::new(RouteTable::new(version, &routes, None, vec![Arc::new([]), Arc::new([])]).expect("valid"))
}

/// Shard 1 of 2 in a log of four partitions: it owns 1 and 3.
fn world(routes: &[(&str, EndpointId)]) -> World {
    world_with(routes, CommitPolicy::default())
}

fn world_with(routes: &[(&str, EndpointId)], commit: CommitPolicy) -> World {
    world_of(routes, commit, DedupSettings::default())
}

fn world_of(routes: &[(&str, EndpointId)], commit: CommitPolicy, dedup: DedupSettings) -> World {
    world_at(routes, commit, dedup, &[0, 10, 0, 0])
}

fn world_at(routes: &[(&str, EndpointId)], commit: CommitPolicy, dedup: DedupSettings, starts: &[u64]) -> World {
    let bell = Bell::default();
    let (mesh, inlet) = ring(16, &bell);
    let (ack_to, acks) = ring(64, &bell);
    let (append_to, appends) = ring(64, &bell);
    let (log, log_events) = ring(64, &bell);
    let (commands, command_from) = ring(8, &bell);
    let heads = Heads::new(starts);
    let acked_heads = Heads::new(starts);
    let stats = Arc::new(ShardStats::default());
    let wiring = Wiring {
        shard: 1,
        shards: 2,
        inlets: vec![inlet],
        acks: vec![ack_to],
        appends: append_to,
        log_events,
        commands: command_from,
        heads: heads.clone(),
        acked: acked_heads.clone(),
        stats: stats.clone(),
        commit,
        dedup,
        producers: ProducerSettings::default(),
    };
    let shard = Shard::new(wiring, starts, table(1, routes));
    World { shard, mesh, acks, appends, groups: Default::default(), log, commands, heads, acked_heads, stats }
}

fn batch(partition: u32, bodies: &[&str]) -> Batch {
    let mut builder = BatchBuilder::new(partition);
    for body in bodies {
        builder.push(Some(b"k"), body.as_bytes(), &HeaderWriter::default(), 0).expect("fits");
    }
    builder.seal().expect("rows")
}

impl World {
    fn submit(&mut self, slot: u32, level: AckLevel, batch: Batch) {
        self.mesh.push(Submitted { batch, ticket: Ticket { core: 0, slot, generation: 0, level } }).expect("room");
        self.turn();
    }

    fn turn(&mut self) {
        while self.shard.step(0) {}
    }

    fn log_says(&mut self, event: LogEvent) {
        self.log.push(event).expect("room");
        self.turn();
    }

    fn acked(&mut self) -> Vec<(u32, Result<u64, Refused>)> {
        std::iter::from_fn(|| self.acks.pop()).map(|ack| (ack.ticket.slot, ack.result.map(|p| p.base_offset))).collect()
    }

    /// What the writer was given: places of batches, and `None` for a new start.
    fn appended(&mut self) -> Vec<Option<(u32, u64)>> {
        let mut all = Vec::new();
        while let Some(append) = self.appends.pop() {
            match append {
                Append::Group(group) => {
                    all.extend(group.batches().iter().map(|batch| Some((batch.partition(), batch.base_offset()))));
                    self.groups.push_back(group);
                }
                Append::Restart => all.push(None),
            }
        }
        all
    }

    /// The writer syncs the oldest group that it has.
    fn sync(&mut self) {
        self.appended();
        let group = self.groups.pop_front().expect("a group");
        self.log_says(LogEvent::Synced(group));
    }

    fn add_lane(&mut self, endpoint: EndpointId, table: Arc<RouteTable>) -> LaneReceiver {
        let (sender, receiver) = lane(&Bell::default(), &Bell::default());
        self.commands.push(Command::Install { table, lanes: vec![(endpoint, Some(sender))] }).expect("room");
        receiver.want_live();
        self.turn();
        receiver
    }
}

fn offsets(receiver: &mut LaneReceiver) -> Vec<u64> {
    std::iter::from_fn(|| receiver.pop())
        .flat_map(|item| match item {
            LaneItem::Delivery(delivery) => delivery.events().map(|event| event.offset()).collect::<Vec<_>>(),
            LaneItem::Live(_) => Vec::new(),
        })
        .collect()
}

#[test]
fn batches_get_their_offsets_and_each_ack_level_its_moment() {
    let mut world = world(&[]);
    world.submit(1, AckLevel::Memory, batch(1, &["1", "2"]));
    world.submit(2, AckLevel::Written, batch(1, &["3"]));
    world.submit(3, AckLevel::Synced, batch(3, &["4"]));
    // The idle device got the first at once; the others wait for it and go together.
    assert_eq!(world.appended(), [Some((1, 10))]);
    assert_eq!(world.acked(), [(1, Ok(10))]);
    world.log_says(LogEvent::Written { upto_seq: 0 });
    assert_eq!(world.acked(), []);
    world.sync();
    assert_eq!(world.appended(), [Some((1, 12)), Some((3, 0))]);
    assert_eq!(world.heads.all(), [0, 12, 0, 0]);
    world.log_says(LogEvent::Written { upto_seq: 2 });
    assert_eq!(world.acked(), [(2, Ok(12))]);
    world.sync();
    assert_eq!(world.acked(), [(3, Ok(0))]);
    assert_eq!(world.heads.all(), [0, 13, 0, 1]);
    assert!(world.shard.is_idle());
    assert_eq!(world.stats.synced_events.load(std::sync::atomic::Ordering::Relaxed), 4);
}

#[test]
fn a_failed_group_gives_its_offsets_back() {
    let mut world = world(&[]);
    world.submit(1, AckLevel::Synced, batch(1, &["1"]));
    world.submit(2, AckLevel::Memory, batch(1, &["2"]));
    world.submit(3, AckLevel::Synced, batch(3, &["3"]));
    world.sync();
    // The second had been acknowledged at `memory`, which promises no more.
    assert_eq!(world.acked(), [(2, Ok(11)), (1, Ok(10))]);
    world.appended();
    let group = world.groups.pop_front().expect("the group of the second and the third");
    world.submit(4, AckLevel::Synced, batch(1, &["4"]));
    world.log_says(LogEvent::Failed(group));
    // The fourth, which was filling the next group, goes with them.
    assert_eq!(world.acked(), [(3, Err(Refused::LogFailed)), (4, Err(Refused::LogFailed))]);
    world.submit(5, AckLevel::Synced, batch(1, &["5"]));
    assert_eq!(world.appended(), [None, Some((1, 11))]);
    world.sync();
    assert_eq!((world.acked(), world.heads.all()), (vec![(5, Ok(11))], vec![0, 12, 0, 0]));
}

#[test]
fn full_groups_queue_behind_the_one_that_is_written_and_then_the_shard_pushes_back() {
    let mut world = world(&[]);
    let large = "x".repeat(limits::BATCH_BYTES_SEAL - 200);
    let batches = 4 * limits::COMMIT_BYTES_DEFAULT / limits::BATCH_BYTES_SEAL;
    let mut submitted = 0;
    for slot in 0..batches as u32 {
        let ticket = Ticket { core: 0, slot, generation: 0, level: AckLevel::Synced };
        if world.mesh.push(Submitted { batch: batch(1, &[&large]), ticket }).is_err() {
            break;
        }
        submitted += 1;
        world.turn();
    }
    let appended = world.appended();
    assert!(world.groups.len() == 2, "the first batch alone, then a full group; the third group fills");
    assert!(world.mesh.room() == 0 && submitted < batches, "the ring pushes back");
    while !world.groups.is_empty() {
        world.sync();
        world.appended();
    }
    assert_eq!(world.heads.get(1), 10 + submitted as u64);
    assert!(appended.len() < submitted && world.shard.is_idle());
}

#[test]
fn an_idle_device_waits_only_as_long_as_it_is_told() {
    let commit = CommitPolicy { delay_us_max: 500, ..CommitPolicy::default() };
    let mut world = world_with(&[], commit);
    world.submit(1, AckLevel::Synced, batch(1, &["1"]));
    assert_eq!((world.appended(), world.shard.next_due_us()), (vec![], Some(500)));
    world.shard.step(400);
    assert_eq!(world.appended(), []);
    world.shard.step(500);
    assert_eq!(world.appended(), [Some((1, 10))]);
    assert_eq!(world.shard.next_due_us(), None);
}

#[test]
fn a_writer_that_is_gone_refuses_everything() {
    let mut world = world(&[]);
    world.submit(1, AckLevel::Synced, batch(1, &["1"]));
    let (_, nobody) = ring(1, &Bell::default());
    world.appends = nobody;
    world.submit(2, AckLevel::Synced, batch(1, &["2"]));
    assert_eq!(world.acked(), [(1, Err(Refused::LogFailed)), (2, Err(Refused::LogFailed))]);
    assert!(world.shard.is_idle());
}

#[test]
fn only_synced_batches_are_matched_and_each_endpoint_gets_one_copy() {
    let routes = [("$body.t > 5", 0), ("$body.t > 7", 0), ("true", 1)];
    let mut world = world(&routes);
    let mut alerts = world.add_lane(0, table(1, &routes));
    let mut all = world.add_lane(1, table(1, &routes));
    world.submit(1, AckLevel::Memory, batch(1, &[r#"{"t":6}"#, r#"{"t":1}"#, r#"{"t":9}"#, "no json"]));
    assert_eq!(offsets(&mut alerts), Vec::<u64>::new());
    world.sync();
    assert_eq!(offsets(&mut alerts), [10, 12]);
    assert_eq!(offsets(&mut all), [10, 11, 12, 13]);
    assert_eq!((world.stats.matched_events(0), world.stats.matched_events(1)), (2, 4));
}

#[test]
fn a_table_is_swapped_between_two_batches() {
    let mut world = world(&[("$body.t > 5", 0)]);
    let mut lane = world.add_lane(0, table(1, &[("$body.t > 5", 0)]));
    world.submit(1, AckLevel::Synced, batch(1, &[r#"{"t":6}"#]));
    world.sync();
    world.commands.push(Command::Install { table: table(2, &[("$body.t < 5", 0)]), lanes: vec![] }).expect("room");
    world.submit(2, AckLevel::Synced, batch(1, &[r#"{"t":6}"#, r#"{"t":1}"#]));
    world.sync();
    assert_eq!(offsets(&mut lane), [10, 12]);
}

#[test]
fn an_endpoint_that_does_not_read_is_behind_and_costs_nobody() {
    let routes = [("true", 0), ("true", 1)];
    let mut world = world(&routes);
    let (slow, mut fast) = (world.add_lane(0, table(1, &routes)), world.add_lane(1, table(1, &routes)));
    let mut got = Vec::new();
    for _ in 0..2 * limits::LANE_DELIVERIES_MAX {
        world.submit(1, AckLevel::Synced, batch(1, &["{}"]));
        world.sync();
        got.extend(offsets(&mut fast));
        world.appended();
        world.acked();
    }
    assert!(slow.is_behind() && !fast.is_behind());
    let expected: Vec<u64> = (10..10 + 2 * limits::LANE_DELIVERIES_MAX as u64).collect();
    assert_eq!(got, expected);
}

#[test]
fn copies_are_acknowledged_with_what_they_repeat_and_fail_with_it() {
    let dedup = DedupSettings { window_ms: 1000, ids_max: 100, seed: 1 };
    let mut world = world_of(&[], CommitPolicy::default(), dedup);
    let named = |ids: &[&str]| {
        let mut builder = BatchBuilder::new(1);
        let mut headers = HeaderWriter::default();
        for id in ids {
            headers.clear();
            headers.put("ce_id", Some(id.as_bytes()));
            builder.push(Some(b"k"), b"{}", &headers, 0).expect("fits");
        }
        builder.seal().expect("rows")
    };
    world.submit(1, AckLevel::Synced, named(&["a"]));
    world.submit(2, AckLevel::Synced, named(&["a"]));
    world.submit(3, AckLevel::Memory, named(&["a"]));
    assert_eq!(world.acked(), [(3, Ok(0))], "memory promises nothing of the disk");
    world.sync();
    assert_eq!(world.acked(), [(1, Ok(10)), (2, Ok(0))]);
    // Nothing is on its way: what it repeats is on the device.
    world.submit(4, AckLevel::Synced, named(&["a"]));
    assert_eq!(world.acked(), [(4, Ok(0))]);
    world.submit(5, AckLevel::Synced, named(&["b"]));
    world.submit(6, AckLevel::Synced, named(&["b"]));
    world.appended();
    let group = world.groups.pop_front().expect("a group");
    world.log_says(LogEvent::Failed(group));
    assert_eq!(world.acked(), [(5, Err(Refused::LogFailed)), (6, Err(Refused::LogFailed))]);
    // It was not kept, so it is new.
    world.submit(7, AckLevel::Synced, named(&["b", "a"]));
    world.sync();
    assert_eq!(world.acked(), [(7, Ok(11))]);
    assert_eq!((world.heads.get(1), world.stats.duplicate_events.load(std::sync::atomic::Ordering::Relaxed)), (12, 5));
}

#[test]
fn a_tap_gets_every_batch_whatever_the_routes_say() {
    let mut world = world(&[("$body.t > 5", 0)]);
    let (sender, mut tap) = lane(&Bell::default(), &Bell::default());
    world.commands.push(Command::Tap(sender)).expect("room");
    tap.want_live();
    world.submit(1, AckLevel::Memory, batch(1, &["1", "2"]));
    assert_eq!(world.acked_heads.get(1), 12, "an ack in memory moves the acknowledged head");
    assert_eq!(offsets(&mut tap), [0_u64; 0], "not before it is synced");
    world.sync();
    assert_eq!(offsets(&mut tap), [10, 11]);
    drop(tap);
    let (sender, mut second) = lane(&Bell::default(), &Bell::default());
    world.commands.push(Command::Tap(sender)).expect("room");
    second.want_live();
    world.submit(2, AckLevel::Synced, batch(1, &["3"]));
    assert_eq!(world.acked_heads.get(1), 12);
    world.sync();
    assert_eq!((offsets(&mut second), world.acked_heads.get(1)), (vec![12], 13));
}

#[test]
fn what_was_acknowledged_in_memory_and_lost_moves_the_acknowledged_head_back() {
    let mut world = world(&[]);
    world.submit(1, AckLevel::Memory, batch(1, &["1", "2"]));
    world.appended();
    let group = world.groups.pop_front().expect("a group");
    assert_eq!(world.acked_heads.get(1), 12);
    world.log_says(LogEvent::Failed(group));
    assert_eq!(world.acked_heads.get(1), 10);
}
