//! A follower with lane, heads and log in the hands of the test: falling behind, coming back, holes, and turns of several lanes.

mod parking;

use super::*;
use crate::batch::{BatchBuilder, HeaderWriter};
use crate::filter::{CompileOptions, Dialect, Filter};
use crate::lane::{LaneSender, Rows, lane};
use crate::ring::Bell;
use crate::route::{Route, Source};

fn table() -> RouteTable {
    let filter = Filter::compile("$body.t > 5", Dialect::Anabranch, &CompileOptions::default()).expect("valid").0;
    let route = Route {
        name: "r".into(),
        source: Source::DeviceMessages,
        filter,
        endpoint: 0,
        enabled: true,
        every_source: false,
    };
    RouteTable::new(1, &[route], None, vec![Arc::new([])]).expect("valid")
}

fn batch(partition: u32, base: u64, values: &[i32]) -> Arc<Batch> {
    let mut builder = BatchBuilder::new(partition);
    for value in values {
        builder.push(None, format!("{{\"t\":{value}}}").as_bytes(), &HeaderWriter::default(), 0).expect("fits");
    }
    let mut batch = builder.seal().expect("rows");
    batch.set_base_offset(base);
    Arc::new(batch)
}

struct World {
    follower: Follower,
    senders: Vec<LaneSender>,
    heads: Heads,
    log: Vec<Arc<Batch>>,
    table: RouteTable,
    matcher: Matcher,
    delivered: Vec<(u32, u64)>,
    advanced: Vec<(u32, u64)>,
    lost: Vec<(u32, u64, u64)>,
}

/// Two shards with one partition each.
fn world(next: [u64; 2]) -> World {
    let (senders, lanes) = (0..2)
        .map(|partition| {
            let (sender, receiver) = lane(&Bell::default(), &Bell::default());
            (sender, ShardLane::new(receiver, vec![partition]))
        })
        .unzip();
    let heads = Heads::new(&[0, 0]);
    let follower = Follower::new(0, lanes, heads.clone(), next.to_vec());
    let table = table();
    let matcher = Matcher::default();
    World { follower, senders, heads, log: vec![], table, matcher, delivered: vec![], advanced: vec![], lost: vec![] }
}

impl World {
    /// What a shard does with a synced batch.
    fn synced(&mut self, batch: Arc<Batch>, wanted: &[u16]) {
        let sender = &mut self.senders[batch.partition() as usize];
        if !wanted.is_empty() && sender.is_live() {
            let rows = Rows::Some(wanted.into());
            sender.push(Delivery { batch: batch.clone(), rows, enrichments: Arc::new([]), table_version: 1 });
        }
        self.heads.set(batch.partition(), batch.last_offset() + 1);
        self.log.push(batch);
    }

    fn run(&mut self) {
        self.follower.pass_over_all();
        self.run_briefly();
    }

    /// As its owner does while something comes all the time.
    fn run_briefly(&mut self) {
        loop {
            for (partition, sender) in self.senders.iter_mut().enumerate() {
                if sender.is_wanted() {
                    sender.go_live([(partition as u32, self.heads.get(partition as u32))].into());
                }
            }
            match self.follower.step(&self.table, &mut self.matcher) {
                Step::Deliver(delivery) => {
                    self.delivered.extend(delivery.events().map(|event| (event.partition(), event.offset())));
                }
                Step::Advance { partition, offset } => self.advanced.push((partition, offset)),
                Step::Lost { partition, from, to } => self.lost.push((partition, from, to)),
                Step::Read { partition, from } => {
                    let mut found: Vec<_> = self.log.iter().filter(|b| b.partition() == partition).cloned().collect();
                    found.retain(|batch| batch.last_offset() >= from);
                    found.truncate(2);
                    self.follower.give(found);
                }
                Step::Idle if self.senders.iter().any(LaneSender::is_wanted) => {}
                Step::Idle => return,
            }
        }
    }
}

#[test]
fn behind_then_live_then_behind_again_gives_every_match_once_and_in_order() {
    let mut world = world([1, 0]);
    world.synced(batch(0, 0, &[9, 9, 1]), &[]);
    world.synced(batch(0, 3, &[1]), &[]);
    world.synced(batch(1, 0, &[7]), &[]);
    world.run();
    world.delivered.sort_unstable();
    assert_eq!(world.delivered, [(0, 1), (1, 0)]);
    assert_eq!(world.advanced, [(0, 4)]);
    assert!(!world.follower.is_behind() && world.follower.is_drained());
    world.synced(batch(0, 4, &[1, 8]), &[1]);
    world.synced(batch(1, 1, &[0]), &[]);
    world.run();
    assert_eq!(world.delivered[2..], [(0, 5)]);
    assert_eq!(world.advanced[1..], [(1, 2)]);
    // More than a lane holds, unread: the rest comes from the log.
    let count = 3 * limits::LANE_DELIVERIES_MAX as u64;
    for base in 6..6 + count {
        world.synced(batch(0, base, &[9]), &[0]);
    }
    assert!(!world.senders[0].is_live() && !world.follower.is_drained());
    world.run();
    let expected: Vec<(u32, u64)> = (6..6 + count).map(|offset| (0, offset)).collect();
    assert_eq!(world.delivered[3..], expected);
    assert!(!world.follower.is_behind() && world.follower.is_drained());
}

#[test]
fn what_was_not_wanted_is_passed_over_when_it_is_quiet_or_when_asked() {
    let mut world = world([0, 0]);
    world.run();
    for round in 0..4 {
        // Whichever lane has its turn first, a delivery comes before there is nothing to do.
        for partition in 0..2 {
            world.synced(batch(partition, 2 * round, &[9]), &[0]);
            world.synced(batch(partition, 2 * round + 1, &[7]), &[]);
        }
        let rounds = round as usize + 1;
        if round % 2 == 0 {
            world.run_briefly();
            assert_eq!((world.delivered.len(), world.advanced.len()), (2 * rounds, 2 * (rounds - 1)));
            assert!(!world.follower.is_drained());
            // Nothing is wanted any more.
            world.run_briefly();
        } else {
            world.run();
        }
        assert_eq!((world.delivered.len(), world.advanced.len()), (2 * rounds, 2 * rounds));
        assert!(world.follower.is_drained());
    }
}

#[test]
fn a_hole_is_named_and_a_skip_moves_on() {
    let mut world = world([0, 0]);
    world.synced(batch(0, 5, &[9]), &[]);
    world.run();
    assert_eq!((world.lost.as_slice(), world.delivered.as_slice()), (&[(0, 0, 5)][..], &[(0, 5)][..]));
    assert_eq!(world.follower.skip(0, 9), 3);
    assert_eq!(world.follower.skip(0, 9), 0);
    world.run();
    assert_eq!(world.advanced, [(0, 9)]);
}

#[test]
fn who_is_behind_when_the_shards_have_ended_reads_up_to_the_heads() {
    let mut world = world([0, 0]);
    for base in 0..5 {
        world.synced(batch(0, base, &[9]), &[]);
    }
    // Nobody answers the wish to be live any more.
    while !world.follower.is_drained() {
        match world.follower.step(&world.table, &mut world.matcher) {
            Step::Deliver(delivery) => {
                world.delivered.extend(delivery.events().map(|event| (event.partition(), event.offset())));
            }
            Step::Read { partition, from } => {
                let rest =
                    world.log.iter().filter(|batch| batch.partition() == partition && batch.last_offset() >= from);
                let rest = rest.cloned().collect();
                world.follower.give(rest);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(world.delivered, (0..5).map(|offset| (0, offset)).collect::<Vec<_>>());
}
