//! Parked partitions: what others get meanwhile, what comes afterwards, and that no order of events makes a difference.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const PARTITIONS: u32 = 4;

/// Two shards with two partitions each, and an owner that has no room for some partitions.
struct Owner {
    follower: Follower,
    senders: Vec<LaneSender>,
    heads: Heads,
    log: Vec<Vec<Arc<Batch>>>,
    /// Handed out, and the head not moved yet: as it is for a moment on the shard's core.
    unmoved: VecDeque<(u32, u64)>,
    table: RouteTable,
    matcher: Matcher,
    /// What is to come of each partition, and what has come.
    wanted: Vec<Vec<u64>>,
    got: Vec<Vec<u64>>,
    told: Vec<u64>,
    full: [bool; PARTITIONS as usize],
    /// It does not have read what it would refuse.
    parks_reads: bool,
    reads: usize,
    /// Batches that one read brings.
    read_batches: usize,
}

impl Owner {
    fn new() -> Self {
        let (senders, lanes) = (0..2)
            .map(|shard| {
                let (sender, receiver) = lane(&Bell::default(), &Bell::default());
                (sender, ShardLane::new(receiver, vec![shard, shard + 2]))
            })
            .unzip();
        let heads = Heads::new(&[0; PARTITIONS as usize]);
        Self {
            follower: Follower::new(0, lanes, heads.clone(), vec![0; PARTITIONS as usize]),
            senders,
            heads,
            log: vec![vec![]; PARTITIONS as usize],
            unmoved: VecDeque::new(),
            table: table(),
            matcher: Matcher::default(),
            wanted: vec![vec![]; PARTITIONS as usize],
            got: vec![vec![]; PARTITIONS as usize],
            told: vec![0; PARTITIONS as usize],
            full: [false; PARTITIONS as usize],
            parks_reads: false,
            reads: 0,
            read_batches: 2,
        }
    }

    /// What a shard does with a synced batch, up to the head.
    fn hand_out(&mut self, partition: u32, values: &[i32]) {
        let log = &mut self.log[partition as usize];
        let base = log.last().map_or(0, |last| last.last_offset() + 1);
        let batch = batch(partition, base, values);
        log.push(batch.clone());
        let rows: Vec<u16> = (0..values.len() as u16).filter(|row| values[usize::from(*row)] > 5).collect();
        self.wanted[partition as usize].extend(rows.iter().map(|row| base + u64::from(*row)));
        let sender = &mut self.senders[partition as usize % 2];
        if !rows.is_empty() && sender.is_live() {
            let rows = Rows::Some(rows.into());
            sender.push(Delivery { batch: batch.clone(), rows, enrichments: Arc::new([]), table_version: 1 });
        }
        self.unmoved.push_back((partition, batch.last_offset() + 1));
    }

    fn move_heads(&mut self) {
        for (partition, head) in self.unmoved.drain(..) {
            self.heads.set(partition, head);
        }
    }

    /// Lanes are answered only between two batches.
    fn answer(&mut self) -> bool {
        let mut any = false;
        for (shard, sender) in self.senders.iter_mut().enumerate() {
            if sender.is_wanted() && self.unmoved.is_empty() {
                let owned = [shard as u32, shard as u32 + 2];
                sender.go_live(owned.map(|partition| (partition, self.heads.get(partition))).into());
                any = true;
            }
        }
        any
    }

    /// Up to so many steps; false: nothing is left to do.
    fn steps(&mut self, most: usize) -> bool {
        for _ in 0..most {
            let answered = self.answer();
            match self.follower.step(&self.table, &mut self.matcher) {
                Step::Deliver(delivery) => {
                    let partition = delivery.batch.partition() as usize;
                    if self.full[partition] {
                        self.follower.refuse(&delivery);
                        continue;
                    }
                    self.got[partition].extend(delivery.events().map(|event| event.offset()));
                    self.told[partition] = delivery.batch.last_offset() + 1;
                }
                Step::Advance { partition, offset } => {
                    let partition = partition as usize;
                    assert!(offset >= self.told[partition], "a position goes back");
                    self.told[partition] = offset;
                    let settled = self.wanted[partition].partition_point(|wanted| *wanted < offset);
                    assert_eq!(self.got[partition].len(), settled, "partition {partition} is told to be at {offset}");
                }
                Step::Lost { .. } => panic!("nothing is lost"),
                Step::Read { partition, .. } if self.full[partition as usize] && self.parks_reads => {
                    self.follower.park(partition);
                }
                Step::Read { partition, from } => {
                    self.reads += 1;
                    let log = &self.log[partition as usize];
                    let at = log.partition_point(|batch| batch.last_offset() < from);
                    let found: Vec<_> = log[at..].iter().take(self.read_batches).cloned().collect();
                    assert!(!found.is_empty(), "only what the log has is read");
                    self.follower.give(found);
                }
                Step::Idle if answered => {}
                Step::Idle => return false,
            }
        }
        true
    }

    fn fill(&mut self, partition: u32) {
        self.full[partition as usize] = true;
    }

    fn drain(&mut self, partition: u32) {
        self.full[partition as usize] = false;
        self.follower.unpark(partition);
    }

    fn run(&mut self) {
        self.move_heads();
        self.follower.pass_over_all();
        while self.steps(usize::MAX) {}
    }

    /// Everything has room again and comes to its end.
    fn finish(&mut self) {
        (0..PARTITIONS).for_each(|partition| self.drain(partition));
        self.run();
        assert_eq!(self.got, self.wanted);
        assert!(self.follower.is_drained() && !self.follower.is_behind() && !self.follower.has_work());
        // And live: nothing is read any more.
        let reads = self.reads;
        (0..PARTITIONS).for_each(|partition| self.hand_out(partition, &[9]));
        self.run();
        assert_eq!((&self.got, self.reads), (&self.wanted, reads));
    }
}

#[test]
fn a_parked_partition_stands_still_and_the_others_stay_live() {
    let mut owner = Owner::new();
    owner.run();
    owner.fill(2);
    // More than a lane holds, of the parked one's own shard too.
    for _ in 0..2 * limits::LANE_DELIVERIES_MAX {
        (0..PARTITIONS).for_each(|partition| owner.hand_out(partition, &[9, 0]));
        owner.run();
    }
    assert_eq!(owner.reads, 0, "the others need no log, and the parked one gets none");
    assert!(owner.follower.is_behind() && !owner.follower.is_drained() && !owner.follower.has_work());
    for partition in [0, 1, 3] {
        assert_eq!(owner.got[partition], owner.wanted[partition]);
    }
    assert_eq!((owner.got[2].len(), owner.told[2]), (0, 0));
    owner.finish();
}

#[test]
fn who_catches_up_gives_way_to_the_lanes_after_each_read() {
    let mut owner = Owner::new();
    owner.run();
    owner.fill(2);
    (0..100).for_each(|_| owner.hand_out(2, &[9]));
    owner.run();
    owner.drain(2);
    let mut reads_before = 0;
    while owner.got[2].len() < 100 {
        owner.hand_out(0, &[9]);
        owner.move_heads();
        let begin = owner.reads;
        while owner.got[0] != owner.wanted[0] {
            assert!(owner.steps(1), "there is something to do");
        }
        assert!(owner.reads <= begin + 1, "{} reads before a delivery of the lane", owner.reads - begin);
        reads_before += owner.reads - begin;
    }
    assert!(reads_before >= 40, "{reads_before} reads of two batches");
    owner.finish();
}

#[test]
fn a_delivery_that_is_refused_before_the_head_has_moved_comes_again() {
    let mut owner = Owner::new();
    owner.run();
    owner.fill(0);
    owner.hand_out(0, &[0, 9, 9]);
    // The second is thrown away: its partition is parked by then.
    owner.hand_out(0, &[9]);
    owner.steps(8);
    assert!(owner.got[0].is_empty() && owner.senders[0].is_live());
    assert_eq!(owner.follower.next[0], 1, "what was not wanted before it stays settled");
    owner.drain(0);
    owner.steps(8);
    owner.run();
    assert_eq!(owner.got[0], [1, 2, 3]);
    owner.finish();
}

#[test]
fn a_partition_is_parked_while_it_is_read_and_the_rest_is_read_without_it() {
    let mut owner = Owner::new();
    (0..20).for_each(|_| (0..PARTITIONS).for_each(|partition| owner.hand_out(partition, &[9, 1])));
    owner.fill(1);
    owner.run();
    for partition in [0, 2, 3] {
        assert_eq!(owner.got[partition], owner.wanted[partition]);
    }
    assert!(owner.got[1].is_empty());
    owner.drain(1);
    owner.steps(3);
    // No room for the second half either.
    owner.fill(1);
    owner.run();
    assert!(owner.got[1].len() < 20, "{:?}", owner.got[1]);
    owner.finish();
}

#[derive(Clone, Debug)]
enum Op {
    HandOut(u32, Vec<i32>),
    Burst(u32, usize),
    MoveHeads,
    Steps(usize),
    Fill(u32),
    Drain(u32),
    ReadBatches(usize),
    ParkReads(bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..PARTITIONS, prop::collection::vec(0..12, 1..4)).prop_map(|(partition, values)| Op::HandOut(partition, values)),
        1 => (0..PARTITIONS, 1..limits::LANE_DELIVERIES_MAX * 3 / 2).prop_map(|(partition, count)| Op::Burst(partition, count)),
        3 => Just(Op::MoveHeads),
        6 => (1usize..30).prop_map(Op::Steps),
        3 => (0..PARTITIONS).prop_map(Op::Fill),
        3 => (0..PARTITIONS).prop_map(Op::Drain),
        1 => (1usize..5).prop_map(Op::ReadBatches),
        1 => any::<bool>().prop_map(Op::ParkReads),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_is_parked_and_when_each_match_comes_once_and_in_order(ops in prop::collection::vec(op(), 1..200)) {
        let mut owner = Owner::new();
        for op in ops {
            match op {
                Op::HandOut(partition, values) => owner.hand_out(partition, &values),
                Op::Burst(partition, count) => (0..count).for_each(|_| {
                    owner.hand_out(partition, &[9]);
                    owner.move_heads();
                }),
                Op::MoveHeads => owner.move_heads(),
                Op::Steps(most) => drop(owner.steps(most)),
                Op::Fill(partition) => owner.fill(partition),
                Op::Drain(partition) => owner.drain(partition),
                Op::ReadBatches(batches) => owner.read_batches = batches,
                Op::ParkReads(parks) => owner.parks_reads = parks,
            }
            for (got, wanted) in owner.got.iter().zip(&owner.wanted) {
                prop_assert!(wanted.starts_with(got), "{got:?} is not the beginning of {wanted:?}");
            }
        }
        owner.finish();
    }
}
