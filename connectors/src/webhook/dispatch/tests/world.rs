//! A virtual clock, a feed, a receiver with faults and a disk for dead letters around a [`Dispatch`], and a ledger that checks every
//! step against its own account of what may happen.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use engine::batch::{BatchBuilder, HeaderWriter};
use engine::lane::{Delivery, Rows};

use super::super::*;
use crate::sink::Cursors;

const PARTITIONS: usize = 3;
/// Wall clock at the beginning.
const WALL_MS: i64 = 1_700_000_000_000;
/// Most steps of one run.
const STEPS_MAX: usize = 1_000_000;

/// What is wrong with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Nothing,
    /// The first sends fail with 500.
    FirstSends(u32),
    /// Each send fails with this status.
    Always(u16),
    /// Events of this key fail with 500 until the receiver is healed.
    KeyFails(u16),
}

impl Fault {
    pub fn random(random: &mut fastrand::Rng) -> Self {
        match random.u8(..40) {
            0 => Self::Always(400),
            1 => Self::Always(500),
            2 => Self::Always(413),
            3..=5 => Self::FirstSends(random.u32(1..=4)),
            _ => Self::Nothing,
        }
    }
}

/// An event to be offered.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub key: Option<u16>,
    pub bytes: usize,
    pub is_wanted: bool,
    pub fault: Fault,
}

/// What the ledger knows about an event.
#[derive(Debug)]
struct Entry {
    key: Option<u16>,
    fault: Fault,
    accepted_ms: i64,
    sends: u32,
    /// As the endpoint is to count them: from zero after a cut.
    attempts: u32,
    first_ms: Option<u64>,
    /// Not to be sent before, unless the receiver comes back.
    due_ms: u64,
    last: Option<Answer>,
    is_under_way: bool,
    /// The receiver has it.
    is_taken: bool,
    is_delivered: bool,
    given_up: Option<Reason>,
}

impl Entry {
    fn is_open(&self) -> bool {
        !self.is_delivered && self.given_up.is_none()
    }
}

/// How the receiver fails besides the faults of events; chances in a thousand.
#[derive(Debug, Default)]
pub struct Receiver {
    fails: u16,
    loses_answer: u16,
    asks_for_silence: u16,
    retires: u16,
    /// Takes no more events in one request.
    events_max: Option<usize>,
    /// Down for the second half of each of these spans of time.
    down_ms: Option<u64>,
    latency_ms_max: u64,
    is_healed: bool,
}

impl Receiver {
    pub fn faulty(&mut self, random: &mut fastrand::Rng) {
        let mut chance = |of: u16| if random.bool() { 0 } else { random.u16(..of) };
        (self.fails, self.loses_answer, self.asks_for_silence) = (chance(400), chance(200), chance(50));
        self.retires = if random.u8(..10) == 0 { 10 } else { 0 };
        self.events_max = random.bool().then(|| random.usize(1..8));
        self.down_ms = random.bool().then(|| random.u64(10..20_000));
        self.latency_ms_max = random.u64(0..500);
    }

    /// Keys that failed are taken now.
    pub fn heal(&mut self) {
        self.is_healed = true;
    }
}

#[derive(Debug)]
struct UnderWay {
    done_ms: u64,
    shot: Shot,
    answer: Answer,
}

/// See the module.
pub struct World {
    pub dispatch: Dispatch,
    pub receiver: Receiver,
    pub now_ms: u64,
    /// What happened, and how often.
    pub seen: BTreeMap<&'static str, usize>,
    config: WebhookConfig,
    random: fastrand::Rng,
    feed: VecDeque<Delivery>,
    cursors: Arc<Cursors>,
    /// Per partition and offset.
    ledger: Vec<BTreeMap<u64, Entry>>,
    /// Per partition, where the log ends.
    ends: [u64; PARTITIONS],
    /// Per partition and key: the last offset the receiver got for the first time.
    taken: BTreeMap<(u32, u16), u64>,
    under_way: Vec<UnderWay>,
    /// The receiver asked for silence until then.
    silent_until_ms: u64,
    letters: Vec<(u64, GivenUp)>,
}

impl World {
    pub fn new(config: WebhookConfig, seed: u64) -> Self {
        Self {
            dispatch: Dispatch::new(&config, seed),
            receiver: Receiver::default(),
            now_ms: 0,
            seen: BTreeMap::new(),
            config,
            random: fastrand::Rng::with_seed(!seed),
            feed: VecDeque::new(),
            cursors: Arc::new(Cursors::new(&[0; PARTITIONS])),
            ledger: (0..PARTITIONS).map(|_| BTreeMap::new()).collect(),
            ends: [0; PARTITIONS],
            taken: BTreeMap::new(),
            under_way: Vec::new(),
            silent_until_ms: 0,
            letters: Vec::new(),
        }
    }

    /// Puts events into the feed.
    pub fn offer(&mut self, partition: u32, events: &[Event]) {
        let mut builder = BatchBuilder::new(partition);
        let base = self.ends[partition as usize];
        let mut rows = Vec::new();
        for (row, event) in events.iter().enumerate() {
            let key = event.key.map(|key| format!("device-{key}"));
            let accepted_ms = WALL_MS - self.random.i64(0..30_000);
            let data = vec![b'1'; event.bytes];
            builder
                .push(key.as_deref().map(str::as_bytes), &data, &HeaderWriter::default(), accepted_ms)
                .expect("fits");
            if event.is_wanted {
                rows.push(row as u16);
                let entry = Entry {
                    key: event.key,
                    fault: event.fault,
                    accepted_ms,
                    sends: 0,
                    attempts: 0,
                    first_ms: None,
                    due_ms: 0,
                    last: None,
                    is_under_way: false,
                    is_taken: false,
                    is_delivered: false,
                    given_up: None,
                };
                self.ledger[partition as usize].insert(base + row as u64, entry);
            }
        }
        self.ends[partition as usize] += events.len() as u64;
        if rows.is_empty() {
            return;
        }
        let rows = if rows.len() == events.len() { Rows::All } else { Rows::Some(rows.into()) };
        let mut batch = builder.seal().expect("rows");
        batch.set_base_offset(base);
        self.feed.push_back(Delivery { batch: Arc::new(batch), rows, enrichments: Arc::new([]), table_version: 1 });
    }

    /// Runs until nothing is left to do, the endpoint has stopped, or `is_enough`.
    pub fn run(&mut self, is_enough: impl Fn(&Self) -> bool) {
        for _ in 0..STEPS_MAX {
            self.step();
            self.check_bounds();
            if is_enough(self) {
                return;
            }
            let answers = self.under_way.iter().map(|one| one.done_ms);
            let letters = self.letters.iter().map(|(done_ms, _)| *done_ms);
            let Some(next_ms) = answers.chain(letters).chain(self.dispatch.next_due_ms()).min() else {
                let is_done = self.feed.is_empty() && self.ledger.iter().all(|of| of.values().all(|e| !e.is_open()));
                assert!(is_done || self.dispatch.is_stopped(), "stuck: {:?}", self.dispatch);
                return;
            };
            self.now_ms = self.now_ms.max(next_ms);
            self.deliver_answers();
        }
        panic!("it does not end");
    }

    /// What may be done at once: as long as something is taken, there may be more to send, and the other way round.
    fn step(&mut self) {
        loop {
            let feed_before = self.feed.len();
            while self.dispatch.wants_more()
                && let Some(delivery) = self.feed.pop_front()
            {
                self.dispatch.take(Handed::new(delivery, &self.cursors));
            }
            let wall_ms = self.wall_ms();
            while let Some(shot) = self.dispatch.next_shot(self.now_ms, wall_ms) {
                // What has outlived its time was given up before this request was made.
                self.collect_given_up();
                self.check_request(&shot);
                let (answer, is_taken) = self.answer(&shot);
                self.note_send(&shot, is_taken);
                let done_ms = self.now_ms + self.random.u64(..=self.receiver.latency_ms_max);
                self.under_way.push(UnderWay { done_ms, shot, answer });
            }
            self.collect_given_up();
            if self.feed.len() == feed_before {
                return;
            }
        }
    }

    fn wall_ms(&self) -> i64 {
        WALL_MS + self.now_ms as i64
    }

    fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn entry(&mut self, event: &engine::event::Event<'_>) -> &mut Entry {
        self.ledger[event.partition() as usize].get_mut(&event.offset()).expect("it was offered")
    }

    /// What the receiver answers, and whether it takes the events.
    fn answer(&mut self, shot: &Shot) -> (Answer, bool) {
        let mut dice = |chance: u16| self.random.u16(..1000) < chance;
        let receiver = &self.receiver;
        if receiver.down_ms.is_some_and(|span| self.now_ms % span >= span / 2) {
            return (if dice(500) { Answer::TimedOut } else { Answer::SocketError }, false);
        }
        if dice(receiver.retires) {
            return (Answer::status(410), false);
        }
        if dice(receiver.asks_for_silence) {
            return (Answer::Status { code: 429, retry_after_ms: Some(self.random.u64(1..5000)) }, false);
        }
        if dice(receiver.fails) {
            return (Answer::status(503), false);
        }
        if receiver.events_max.is_some_and(|max| shot.len() > max) {
            return (Answer::status(413), false);
        }
        for event in shot.events() {
            let entry = &self.ledger[event.partition() as usize][&event.offset()];
            match entry.fault {
                Fault::FirstSends(sends) if entry.sends < sends => return (Answer::status(500), false),
                Fault::Always(code) => return (Answer::status(code), false),
                Fault::KeyFails(key) if entry.key == Some(key) && !receiver.is_healed => {
                    return (Answer::status(500), false);
                }
                _ => {}
            }
        }
        if dice(receiver.loses_answer) {
            return (Answer::TimedOut, true);
        }
        (Answer::status(self.random.u16(200..=204)), true)
    }

    fn check_request(&mut self, shot: &Shot) {
        assert!(!self.dispatch.is_stopped() && !shot.is_empty());
        assert!(self.now_ms >= self.silent_until_ms, "{} ms, silent until {}", self.now_ms, self.silent_until_ms);
        assert!(shot.len() <= self.config.batch_events_max as usize);
        let bytes: usize = shot.events().map(|event| event.data().map_or(0, <[u8]>::len)).sum();
        assert!(shot.len() == 1 || bytes <= self.config.batch_bytes_max, "{bytes}");
        let (now_ms, wall_ms, ttl_ms) = (self.now_ms, self.wall_ms(), self.config.ttl_s_max * 1000);
        let mut own = BTreeMap::<(u32, Option<u16>), u64>::new();
        for event in shot.events() {
            let (partition, offset) = (event.partition(), event.offset());
            let entry = self.entry(&event);
            assert!(entry.is_open() && !entry.is_under_way, "sent again: {partition}/{offset} {entry:?}");
            assert_eq!(shot.tried().attempts, entry.attempts + 1, "{partition}/{offset}");
            assert!(now_ms >= entry.due_ms, "{now_ms} ms, {entry:?}");
            let (first_ms, accepted_ms, key) = (entry.first_ms, entry.accepted_ms, entry.key);
            match self.config.ttl_from {
                TtlFrom::FirstAttempt => assert!(first_ms.is_none_or(|first_ms| now_ms - first_ms < ttl_ms)),
                TtlFrom::Acceptance => assert!((wall_ms - accepted_ms) < ttl_ms as i64),
            }
            if key.is_none() || !self.config.ordered {
                continue;
            }
            // All earlier events of the key are done, or stand before it in this request.
            let before = own.insert((partition, key), offset);
            assert!(before < Some(offset), "{partition}/{offset}");
            let mut earlier = self.ledger[partition as usize].range(before.map_or(0, |it| it + 1)..offset);
            let waiting = earlier.find(|(_, earlier)| earlier.key == key && earlier.is_open());
            assert!(waiting.is_none(), "{partition}/{offset} overtakes {waiting:?}");
        }
    }

    fn note_send(&mut self, shot: &Shot, is_taken: bool) {
        let now_ms = self.now_ms;
        for event in shot.events() {
            let entry = self.entry(&event);
            entry.sends += 1;
            entry.attempts += 1;
            entry.first_ms.get_or_insert(now_ms);
            entry.is_under_way = true;
            let is_first = is_taken && !entry.is_taken;
            entry.is_taken |= is_taken;
            let key = entry.key;
            if let (true, true, Some(key)) = (self.config.ordered, is_first, key) {
                let last = self.taken.insert((event.partition(), key), event.offset());
                assert!(last < Some(event.offset()), "the receiver gets {} after {last:?}", event.offset());
            }
        }
    }

    /// Everything that is due now: answers in random order, then dead letters that are on the disk.
    fn deliver_answers(&mut self) {
        let now_ms = self.now_ms;
        self.random.shuffle(&mut self.under_way);
        self.under_way.sort_by_key(|one| Reverse(one.done_ms > now_ms));
        while let Some(UnderWay { shot, answer, .. }) = self.under_way.pop_if(|one| one.done_ms <= now_ms) {
            let was_lost = answer == Answer::TimedOut && self.is_taken(&shot);
            let positions: Vec<_> = shot.events().map(|event| (event.partition(), event.offset())).collect();
            let judged = self.dispatch.answered(shot, answer.clone(), None, now_ms);
            assert_eq!(judged.events, positions.len());
            for (partition, offset) in positions {
                let entry = self.ledger[partition as usize].get_mut(&offset).expect("it was sent");
                entry.is_under_way = false;
                entry.last = Some(answer.clone());
                match judged.verdict {
                    Verdict::Delivered => entry.is_delivered = true,
                    Verdict::Halve => (entry.attempts, entry.first_ms) = (0, None),
                    Verdict::Retry { after_ms, .. } => entry.due_ms = now_ms + after_ms,
                    _ => {}
                }
            }
            self.count(match judged.verdict {
                Verdict::Delivered => "delivered",
                Verdict::Retry { hold_all: true, .. } => "silent",
                Verdict::Retry { .. } if was_lost => "answer lost",
                Verdict::Retry { .. } => "retry",
                Verdict::Halve => "halve",
                Verdict::DeadLetter(_) => "dead letter",
                Verdict::Stop => "stop",
            });
            if judged.back_after.is_some() {
                self.count("back");
                self.ledger.iter_mut().flat_map(BTreeMap::values_mut).for_each(|entry| entry.due_ms = 0);
            }
            if let Verdict::Retry { after_ms, hold_all: true } = judged.verdict {
                self.silent_until_ms = self.silent_until_ms.max(now_ms + after_ms);
            }
            self.collect_given_up();
        }
        let (kept, waiting) =
            std::mem::take(&mut self.letters).into_iter().partition(|(done_ms, _)| *done_ms <= now_ms);
        self.letters = waiting;
        let kept: Vec<(u64, GivenUp)> = kept;
        kept.into_iter().for_each(|(_, letter)| letter.settle());
    }

    fn is_taken(&mut self, shot: &Shot) -> bool {
        shot.events().all(|event| self.entry(&event).is_taken)
    }

    /// Takes what is given up, if for a good reason, and writes it to a slow disk.
    fn collect_given_up(&mut self) {
        let (now_ms, wall_ms) = (self.now_ms, self.wall_ms());
        let (ttl_ms, ttl_from, attempts_max) =
            (self.config.ttl_s_max * 1000, self.config.ttl_from, self.config.attempts_max);
        for given_up in self.dispatch.take_given_up() {
            let (reason, tried) = (given_up.reason(), given_up.tried().clone());
            for event in given_up.events() {
                let entry = self.entry(&event);
                assert!(entry.is_open() && !entry.is_under_way, "{entry:?}");
                assert_eq!(tried.attempts, entry.attempts);
                let is_right = match (reason, ttl_from) {
                    (Reason::MaxDeliveryAttemptsExceeded, _) => entry.attempts == attempts_max,
                    (Reason::TimeToLiveExceeded, TtlFrom::Acceptance) => wall_ms - entry.accepted_ms >= ttl_ms as i64,
                    (Reason::TimeToLiveExceeded, TtlFrom::FirstAttempt) => {
                        entry.first_ms.is_some_and(|first_ms| now_ms - first_ms >= ttl_ms)
                    }
                    (Reason::NonRetriableStatus, _) => {
                        entry.last.as_ref().and_then(Answer::code).is_some_and(|code| matches!(code, 400 | 413))
                    }
                };
                assert!(is_right, "{reason:?} {entry:?}");
                entry.given_up = Some(reason);
            }
            if (reason, ttl_from, tried.attempts) == (Reason::TimeToLiveExceeded, TtlFrom::Acceptance, 0) {
                self.count("too old to be sent");
            }
            self.count(reason.name());
            let done_ms = now_ms + self.random.u64(..=self.receiver.latency_ms_max);
            self.letters.push((done_ms, given_up));
        }
    }

    fn check_bounds(&mut self) {
        let config = &self.config;
        let requests = config.concurrency_max as usize;
        let parked = self.dispatch.parked_events();
        let parked_max = config.parked_events_max as usize;
        assert!(parked < parked_max + requests * config.batch_events_max as usize, "{parked} parked");
        assert!(self.dispatch.held_deliveries() <= HELD_DELIVERIES_MAX + requests);
        assert!(self.under_way.len() <= requests && self.under_way.len() == self.dispatch.under_way());
        if parked >= parked_max {
            assert!(!self.dispatch.wants_more());
            self.count("at the bound");
        }
        for (partition, ledger) in self.ledger.iter().enumerate() {
            let first_open = ledger.iter().find(|(_, entry)| entry.is_open()).map(|(offset, _)| *offset);
            let cursor = self.cursors.get(partition as u32);
            assert!(cursor <= first_open.unwrap_or(u64::MAX), "{partition}: {cursor} is behind {first_open:?}");
        }
    }

    /// Everything was delivered or given up, and is settled; or the receiver has retired.
    pub fn check_end(&mut self) {
        if self.dispatch.is_stopped() {
            return;
        }
        for (partition, ledger) in self.ledger.iter().enumerate() {
            let last = ledger.keys().next_back().copied();
            assert!(ledger.values().all(|entry| entry.is_delivered != entry.given_up.is_some()));
            assert!(Some(self.cursors.get(partition as u32)) > last, "{partition}: {:?}", self.cursors.all());
        }
        let dispatch = &self.dispatch;
        assert_eq!((dispatch.parked_events(), dispatch.held_deliveries(), dispatch.under_way()), (0, 0, 0));
        assert_eq!(self.cursors.open(), 0);
    }

    /// Events of such keys that are neither delivered nor given up.
    pub fn open_of(&self, is_wanted: impl Fn(&Option<u16>) -> bool) -> usize {
        let entries = self.ledger.iter().flat_map(BTreeMap::values);
        entries.filter(|entry| entry.is_open() && is_wanted(&entry.key)).count()
    }

    /// Events delivered.
    pub fn delivered(&self) -> usize {
        self.ledger.iter().flat_map(BTreeMap::values).filter(|entry| entry.is_delivered).count()
    }

    /// Events in requests under way.
    pub fn under_way_events(&self) -> usize {
        self.under_way.iter().map(|one| one.shot.len()).sum()
    }
}
