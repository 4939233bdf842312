//! Numbered producers through a whole shard: acks and failures, and any row of sends, failures and crashes beside a naive model, which
//! is the log itself: each sequence stands in it once, in order, and what was acknowledged stands in it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::shard::producers::tests::numbered;

type Key = (u32, u64);

/// Slot of the ticket, and how many were new and how many known.
type Answer = (u32, Result<(u32, u32), Refused>);

fn results(world: &mut World) -> Vec<Answer> {
    let acks = std::iter::from_fn(|| world.acks.pop());
    acks.map(|ack| (ack.ticket.slot, ack.result.map(|placed| (placed.rows, placed.duplicates)))).collect()
}

#[test]
fn resends_are_acknowledged_with_what_they_repeat_and_fail_with_it() {
    let mut world = world(&[]);
    world.submit(1, AckLevel::Synced, numbered(1, 7, 0..5, 1));
    world.submit(2, AckLevel::Written, numbered(1, 7, 0..5, 1));
    world.submit(3, AckLevel::Synced, numbered(1, 7, 3..8, 1));
    world.submit(4, AckLevel::Synced, numbered(1, 7, 9..10, 1));
    assert_eq!(results(&mut world), [(4, Err(Refused::OutOfOrder { expected: 8 }))]);
    world.appended();
    world.log_says(LogEvent::Written { upto_seq: 0 });
    assert_eq!(results(&mut world), [(2, Ok((0, 5)))]);
    world.sync();
    assert_eq!(results(&mut world), [(1, Ok((5, 0)))]);
    // The second group holds the rest of the third batch; copies of it fail with it.
    world.submit(5, AckLevel::Synced, numbered(1, 7, 6..8, 1));
    world.appended();
    let group = world.groups.pop_front().expect("a group");
    world.log_says(LogEvent::Failed(group));
    assert_eq!(results(&mut world), [(3, Err(Refused::LogFailed)), (5, Err(Refused::LogFailed))]);
    world.submit(6, AckLevel::Synced, numbered(1, 7, 8..9, 1));
    world.submit(7, AckLevel::Synced, numbered(1, 7, 0..5, 1));
    assert_eq!(results(&mut world), [(6, Err(Refused::OutOfOrder { expected: 5 })), (7, Ok((0, 5)))]);
    world.submit(8, AckLevel::Synced, numbered(1, 7, 4..9, 1));
    world.sync();
    assert_eq!(results(&mut world), [(8, Ok((4, 1)))]);
    assert_eq!(world.heads.get(1), 19);
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((count(&world.stats.producers), count(&world.stats.duplicate_events)), (1, 5 + 2 + 2 + 5 + 1));
}

#[test]
fn who_was_told_that_it_is_kept_in_memory_goes_on_behind_it() {
    let mut world = world(&[]);
    world.submit(1, AckLevel::Memory, numbered(1, 7, 0..5, 1));
    world.appended();
    let group = world.groups.pop_front().expect("a group");
    world.log_says(LogEvent::Failed(group));
    world.submit(2, AckLevel::Memory, numbered(1, 7, 5..6, 1));
    assert_eq!(results(&mut world), [(1, Ok((5, 0))), (2, Ok((1, 0)))]);
}

#[test]
fn numbered_batches_keep_their_stamp_though_ids_are_looked_at() {
    let dedup = DedupSettings { window_ms: 1000, ids_max: 100, seed: 1 };
    let mut world = world_of(&[], CommitPolicy::default(), dedup);
    let named = |sequence| {
        let mut builder = BatchBuilder::new(1);
        let mut headers = HeaderWriter::default();
        headers.put("ce_id", Some(b"always the same"));
        builder.push(Some(b"k"), b"{}", &headers, 0).expect("fits");
        let bytes = builder.seal().expect("rows").bytes().to_vec();
        let stamp = crate::batch::ProducerStamp { producer: 7, sequence };
        crate::batch::seal_records(1, bytes, 1, 1, Some(stamp)).expect("valid")
    };
    world.submit(1, AckLevel::Synced, named(0));
    world.submit(2, AckLevel::Synced, named(1));
    world.submit(3, AckLevel::Synced, named(1));
    world.sync();
    world.sync();
    assert_eq!(results(&mut world), [(1, Ok((1, 0))), (2, Ok((1, 0))), (3, Ok((0, 1)))]);
}

#[test]
fn a_report_names_what_is_synced_and_the_heads_of_the_shard() {
    let mut world = world(&[]);
    let ask = |world: &mut World| {
        let (to, mut from) = ring(1, &Bell::default());
        world.commands.push(Command::ReportProducers(to)).expect("room");
        world.turn();
        let report = from.pop().expect("an answer");
        (report.changed.iter().map(|one| (one.producer, one.next)).collect::<Vec<_>>(), report.heads)
    };
    world.submit(1, AckLevel::Memory, numbered(1, 7, 0..5, 1));
    world.submit(2, AckLevel::Memory, numbered(3, 7, 0..2, 1));
    assert_eq!(ask(&mut world), (vec![], Some(vec![(1, 10), (3, 0)])));
    world.sync();
    assert_eq!(ask(&mut world), (vec![(7, 5)], Some(vec![(1, 15), (3, 0)])));
    world.sync();
    assert_eq!(ask(&mut world), (vec![(7, 2)], Some(vec![(1, 15), (3, 2)])));
    assert_eq!(ask(&mut world), (vec![], Some(vec![(1, 15), (3, 2)])));
}

/// A publisher's account of one partition.
#[derive(Default)]
struct Sender {
    /// Everything before it was acknowledged.
    acked: u64,
    /// The next event that was never sent.
    sent: u64,
}

/// One shard after another on the same log, and its publishers.
struct Story {
    world: World,
    log: HashMap<u32, Vec<Arc<Batch>>>,
    stored: BTreeMap<Key, crate::shard::ProducerProgress>,
    stored_heads: HashMap<u32, u64>,
    senders: BTreeMap<Key, Sender>,
    /// What was sent under each slot of a ticket.
    sends: Vec<(Key, u64, u64)>,
    appends: VecDeque<Append>,
    is_refusing: bool,
    now_ms: i64,
}

impl Story {
    fn new() -> Self {
        Self {
            world: world_at(&[], CommitPolicy::default(), DedupSettings::default(), &[0; 4]),
            log: HashMap::new(),
            stored: BTreeMap::new(),
            stored_heads: HashMap::new(),
            senders: BTreeMap::new(),
            sends: Vec::new(),
            appends: VecDeque::new(),
            is_refusing: false,
            now_ms: 1,
        }
    }

    fn step(&mut self, choice: u64) {
        let (what, rest) = (choice % 16, choice / 16);
        match what {
            0..8 => self.send(rest),
            8..12 => self.write(false),
            12 => self.write(true),
            13 => self.report(),
            14 => self.restart(rest.is_multiple_of(2)),
            _ => self.now_ms += (rest % 1000) as i64,
        }
        self.world.turn();
        self.take_acks();
    }

    /// Something anew, something again, cut anyhow.
    fn send(&mut self, choice: u64) {
        let key = ([1, 3][choice as usize % 2], choice / 2 % 3);
        let (back, count) = (choice / 6 % 8, 1 + choice / 48 % 6);
        let sender = self.senders.entry(key).or_default();
        let first = sender.sent.saturating_sub(back);
        sender.sent = sender.sent.max(first + count);
        let slot = self.sends.len() as u32;
        self.sends.push((key, first, first + count));
        let ticket = Ticket { core: 0, slot, generation: 0, level: AckLevel::Synced };
        let batch = numbered(key.0, key.1, first..first + count, self.now_ms);
        // What finds no room is lost on its way, as in a connection that breaks.
        let _ = self.world.mesh.push(Submitted { batch, ticket });
    }

    /// The writer does what it has to do next.
    fn write(&mut self, fails: bool) {
        self.appends.extend(std::iter::from_fn(|| self.world.appends.pop()));
        match self.appends.pop_front() {
            None => {}
            Some(Append::Restart) => self.is_refusing = false,
            Some(Append::Group(group)) if self.is_refusing => self.world.log_says(LogEvent::Refused(group)),
            Some(Append::Group(group)) if fails => {
                self.is_refusing = true;
                self.world.log_says(LogEvent::Failed(group));
            }
            Some(Append::Group(group)) => {
                self.keep(&group);
                self.world.log_says(LogEvent::Synced(group));
            }
        }
    }

    /// The group is on the device.
    fn keep(&mut self, group: &Group) {
        for batch in group.batches() {
            let log = self.log.entry(batch.partition()).or_default();
            assert_eq!(batch.base_offset(), log.last().map_or(0, |last| last.last_offset() + 1));
            log.push(batch.clone());
        }
    }

    fn take_acks(&mut self) {
        while let Some(ack) = self.world.acks.pop() {
            let (key, first, end) = self.sends[ack.ticket.slot as usize];
            let sender = self.senders.entry(key).or_default();
            match ack.result {
                Ok(placed) => {
                    assert_eq!(u64::from(placed.rows + placed.duplicates), end - first);
                    sender.acked = sender.acked.max(end);
                }
                Err(Refused::OutOfOrder { expected }) => {
                    assert!(expected >= sender.acked, "{expected} was acknowledged, up to {}", sender.acked);
                    sender.sent = expected;
                }
                Err(_) => sender.sent = sender.acked,
            }
        }
    }

    /// The keeper stores what the shard says.
    fn report(&mut self) {
        let (to, mut from) = ring(1, &Bell::default());
        self.world.commands.push(Command::ReportProducers(to)).expect("room");
        self.world.turn();
        let report = from.pop().expect("an answer");
        self.stored.extend(report.changed.iter().map(|one| ((one.partition, one.producer), *one)));
        self.stored_heads.extend(report.heads.into_iter().flatten());
    }

    /// The end of the process, and another. `reaches_device`: what was being written was on the device, though nobody was told.
    fn restart(&mut self, reaches_device: bool) {
        self.appends.extend(std::iter::from_fn(|| self.world.appends.pop()));
        if let (Some(Append::Group(group)), true, false) = (self.appends.pop_front(), reaches_device, self.is_refusing)
        {
            self.keep(&group);
        }
        self.appends.clear();
        self.is_refusing = false;
        let end = |partition: u32| {
            self.log.get(&partition).and_then(|log| log.last()).map_or(0, |last| last.last_offset() + 1)
        };
        self.world = world_at(&[], CommitPolicy::default(), DedupSettings::default(), &[0, end(1), 0, end(3)]);
        let mut stored: Vec<_> = self.stored.values().copied().collect();
        stored.sort_by_key(|one| one.seen_ms);
        stored.iter().for_each(|one| self.world.shard.restore_producer(one));
        for (partition, batches) in &self.log {
            let head = self.stored_heads.get(partition).copied().unwrap_or(0);
            let behind = batches.iter().filter(|batch| batch.base_offset() >= head);
            behind.for_each(|batch| self.world.shard.remember_producer(batch));
        }
        // The publishers connect again and send what was not acknowledged, sooner or later.
        self.senders.values_mut().for_each(|sender| sender.sent = sender.acked);
    }

    /// Each sequence once, in order; what was acknowledged is among them.
    fn check(&self) {
        let mut kept: BTreeMap<Key, u64> = BTreeMap::new();
        for batch in self.log.values().flatten() {
            for row in 0..batch.rows().len() {
                let event = crate::event::Event::new(batch, row);
                let sequence: u64 = String::from_utf8_lossy(event.data().unwrap_or(b"")).parse().expect("a number");
                let producer = batch.producer().expect("numbered");
                assert_eq!(producer.sequence + row as u64, sequence, "the stamp tells the truth");
                let next = kept.entry((batch.partition(), producer.producer)).or_default();
                assert_eq!(*next, sequence, "each once, in order");
                *next += 1;
            }
        }
        for (key, sender) in &self.senders {
            let kept = kept.get(key).copied().unwrap_or(0);
            assert!(kept >= sender.acked, "{key:?}: {} acknowledged, {kept} kept", sender.acked);
        }
    }
}

proptest! {
    #[test]
    fn each_sequence_is_kept_once_whatever_happens(choices in prop::collection::vec(any::<u64>(), 1..300)) {
        let mut story = Story::new();
        for choice in choices {
            story.step(choice);
        }
        for _ in 0..10 {
            story.step(8);
        }
        story.check();
    }
}
