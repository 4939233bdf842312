//! Endpoints: the engine's follower, the connectors' cursors and webhook decisions, and receivers that fail.

use std::collections::VecDeque;
use std::sync::Arc;

use connectors::sink::{Cursors, Handed};
use connectors::webhook::policy::Answer;
use connectors::webhook::{Dispatch, GivenUp, Shot, WebhookConfig};
use engine::cursor::{Follower, Step};
use engine::lane::{Delivery, Rows};
use engine::log::{LogReader, ReadError};
use engine::route::{Matcher, RouteTable};

use crate::disk::SimDisk;
use crate::ledger::{Finding, Ledger, Sent};
use crate::sabotage::Sabotage;

/// Deliveries between follower and sink, as in the node.
const INBOX_MAX: usize = 4;
/// Wall clock at the beginning.
const WALL_MS: i64 = 1_700_000_000_000;

/// What kind of endpoint it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pushes, the order of each key kept.
    Ordered,
    /// Pushes in any order.
    Unordered,
    /// Gathers deliveries and settles them together, as a file sink does.
    Files,
}

/// A configured endpoint.
#[derive(Clone, Debug)]
pub struct Spec {
    pub kind: Kind,
    /// Its route's filter: `$body.t` is at least this, and the key is not `without`.
    pub least: u32,
    pub without: u32,
    /// Its receiver answers 400 to every so manieth event.
    pub poison: Option<u64>,
}

impl Spec {
    /// Any.
    pub fn random(random: &mut fastrand::Rng, keys: u32) -> Self {
        Self {
            kind: random.choice([Kind::Ordered, Kind::Ordered, Kind::Unordered, Kind::Files]).unwrap_or(Kind::Files),
            least: random.choice([0, 0, 30, 90]).unwrap_or(0),
            without: random.u32(..keys * 2),
            poison: random.bool().then(|| random.u64(5..60)),
        }
    }

    /// Its route's filter.
    pub fn filter(&self) -> String {
        format!("$body.t >= {} AND $body.k <> {}", self.least, self.without)
    }

    /// What the filter says, without a filter.
    pub fn wants(&self, sent: &Sent) -> bool {
        sent.value >= self.least && sent.key != self.without
    }
}

/// How a receiver is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Healthy,
    Failing,
    Hanging,
    Slow,
    Flapping,
    /// It takes what it gets and its answer is lost.
    Mute,
}

#[derive(Debug)]
struct UnderWay {
    done_us: u64,
    shot: Shot,
    answer: Answer,
}

#[derive(Debug)]
enum Sink {
    Push { dispatch: Box<Dispatch>, under_way: Vec<UnderWay>, letters: VecDeque<GivenUp> },
    Files { open: Vec<Handed>, close_at: usize },
}

/// One at work.
#[derive(Debug)]
pub struct Endpoint {
    pub number: usize,
    pub spec: Spec,
    pub mood: Mood,
    pub cursors: Arc<Cursors>,
    follower: Follower,
    matcher: Matcher,
    /// Partitions that it has no room for at the moment.
    parked: Vec<u32>,
    inbox: VecDeque<Handed>,
    sink: Sink,
    sabotage: Sabotage,
}

impl Endpoint {
    pub fn new(number: usize, spec: Spec, follower: Follower, start: &[u64], seed: u64, sabotage: Sabotage) -> Self {
        let sink = match spec.kind {
            Kind::Files => Sink::Files { open: Vec::new(), close_at: 1 + seed as usize % 5 },
            kind => {
                let mut config = WebhookConfig::new("http://receiver");
                config.ordered = kind == Kind::Ordered && sabotage != Sabotage::LetKeysOvertake;
                config.concurrency_max = 1 + (seed >> 8) as u32 % 6;
                config.batch_events_max = 1 + (seed >> 16) as u32 % 8;
                config.parked_events_max = 4 + (seed >> 24) as u32 % 60;
                // Only what is refused for good is given up: the ledger knows what that is.
                (config.attempts_max, config.ttl_s_max) = (u32::MAX, 1 << 40);
                (config.backoff_ms_min, config.backoff_ms_max) = (2, 500);
                Sink::Push {
                    dispatch: Box::new(Dispatch::new(&config, seed)),
                    under_way: Vec::new(),
                    letters: VecDeque::new(),
                }
            }
        };
        let cursors = Arc::new(Cursors::new(start));
        Self {
            number,
            spec,
            mood: Mood::Healthy,
            cursors,
            follower,
            matcher: Matcher::default(),
            parked: Vec::new(),
            inbox: VecDeque::new(),
            sink,
            sabotage,
        }
    }

    /// Nothing is left to do.
    pub fn is_at_rest(&self) -> bool {
        self.follower.is_drained()
            && self.inbox.is_empty()
            && match &self.sink {
                Sink::Push { dispatch, .. } => dispatch.held_deliveries() == 0,
                Sink::Files { open, .. } => open.is_empty(),
            }
    }

    /// One turn of follower and sink.
    pub fn turn(
        &mut self,
        world: &mut Surroundings<'_>,
        table: &RouteTable,
        reader: &LogReader<SimDisk>,
    ) -> Result<(), Finding> {
        if world.random.u8(..4) == 0 {
            self.parked.drain(..).for_each(|partition| self.follower.unpark(partition));
        }
        let steps = world.random.usize(1..40);
        for _ in 0..steps {
            if self.inbox.len() >= INBOX_MAX || !self.follow(world, table, reader)? {
                break;
            }
        }
        self.work(world)
    }

    /// `false`: nothing to do.
    fn follow(
        &mut self,
        world: &mut Surroundings<'_>,
        table: &RouteTable,
        reader: &LogReader<SimDisk>,
    ) -> Result<bool, Finding> {
        match self.follower.step(table, &mut self.matcher) {
            Step::Idle => return Ok(false),
            Step::Advance { partition, offset } => self.cursors.advance(partition, offset),
            Step::Lost { partition, from, to } => {
                world.ledger.accounts[self.number].lost.push((partition, (from, to)));
            }
            Step::Deliver(delivery) if world.random.u8(..30) == 0 => {
                self.parked.push(delivery.batch.partition());
                self.follower.refuse(&delivery);
            }
            Step::Deliver(delivery) => self.hand(world, delivery)?,
            Step::Read { partition, .. } if world.random.u8(..30) == 0 => {
                self.parked.push(partition);
                self.follower.park(partition);
            }
            Step::Read { partition, from } => {
                let bytes_max = world.random.usize(1..4000);
                match reader.read(partition, from, bytes_max) {
                    Ok(batches) => self.follower.give(batches),
                    Err(ReadError::FallenOff { first_available: next, .. } | ReadError::Damaged { next, .. }) => {
                        let lost = self.follower.skip(partition, next);
                        world.ledger.accounts[self.number].lost.push((partition, (next - lost, next)));
                    }
                    // The disk failed or is off: another time.
                    Err(ReadError::Io { .. }) => return Ok(false),
                    Err(error) => return Err(error.to_string()),
                }
            }
        }
        Ok(true)
    }

    fn hand(&mut self, world: &mut Surroundings<'_>, delivery: Delivery) -> Result<(), Finding> {
        let mut delivery = delivery;
        let events: Vec<_> = delivery.events().collect();
        world.ledger.handed(self.number, &events)?;
        if self.sabotage == Sabotage::DeliverTwice {
            world.ledger.handed(self.number, &events)?;
        }
        drop(events);
        if self.sabotage == Sabotage::DropLastRow && delivery.len() > 1 {
            let mut rows: Vec<u16> = delivery.row_indexes().map(|row| row as u16).collect();
            rows.pop();
            delivery.rows = Rows::Some(rows.into());
        }
        self.inbox.push_back(Handed::new(delivery, &self.cursors));
        Ok(())
    }

    fn work(&mut self, world: &mut Surroundings<'_>) -> Result<(), Finding> {
        let (number, poison) = (self.number, self.spec.poison);
        match &mut self.sink {
            Sink::Files { open, close_at } => {
                if self.mood != Mood::Healthy && self.mood != Mood::Slow {
                    return Ok(());
                }
                open.extend(self.inbox.pop_front());
                if open.len() >= *close_at || (self.inbox.is_empty() && world.random.u8(..4) == 0) {
                    for handed in open.drain(..) {
                        for event in handed.delivery.events() {
                            world.ledger.received(number, &event, true)?;
                        }
                        handed.ticket.settle();
                    }
                }
            }
            Sink::Push { dispatch, under_way, letters } => {
                let now_ms = world.now_us / 1000;
                while let Some(at) = under_way.iter().position(|request| request.done_us <= world.now_us) {
                    let UnderWay { shot, answer, .. } = under_way.swap_remove(at);
                    dispatch.answered(shot, answer, None, now_ms);
                }
                while dispatch.wants_more()
                    && let Some(handed) = self.inbox.pop_front()
                {
                    dispatch.take(handed);
                }
                while let Some(shot) = dispatch.next_shot(now_ms, WALL_MS + now_ms as i64) {
                    let is_poisoned = |id: u64| poison.is_some_and(|every| id.is_multiple_of(every));
                    let is_refused = shot.events().any(|event| is_poisoned(id_of(event.data().unwrap_or(b""))));
                    let mut answer = match self.mood {
                        // A receiver that refuses a batch refuses all of it; alone, the good ones are taken.
                        _ if is_refused && shot.len() > 1 => Answer::status(413),
                        Mood::Failing => Answer::status(500),
                        Mood::Hanging => Answer::TimedOut,
                        Mood::Flapping if world.random.bool() => Answer::SocketError,
                        _ if is_refused => Answer::status(400),
                        _ => Answer::status(200),
                    };
                    if answer == Answer::status(200) {
                        for event in shot.events() {
                            world.ledger.received(number, &event, self.spec.kind == Kind::Ordered)?;
                        }
                        if self.mood == Mood::Mute && world.random.bool() {
                            answer = Answer::TimedOut;
                        }
                    } else if self.sabotage == Sabotage::SettleFailures {
                        answer = Answer::status(200);
                    }
                    let takes_us = match self.mood {
                        Mood::Hanging => 50_000,
                        Mood::Slow => world.random.u64(..20_000),
                        _ => world.random.u64(..500),
                    };
                    under_way.push(UnderWay { done_us: world.now_us + takes_us, shot, answer });
                }
                letters.extend(dispatch.take_given_up());
                // The file of dead letters takes its time.
                if world.random.bool()
                    && let Some(letter) = letters.pop_front()
                {
                    for event in letter.events() {
                        world.ledger.given_up(number, &event)?;
                    }
                    letter.settle();
                }
                let bound = connectors::webhook::HELD_DELIVERIES_MAX + 8;
                if dispatch.held_deliveries() > bound {
                    return Err(format!("endpoint {number} holds {} deliveries", dispatch.held_deliveries()));
                }
            }
        }
        Ok(())
    }

    /// What is committed as its cursors.
    pub fn committed(&self) -> Vec<u64> {
        let mut cursors = self.cursors.all();
        if self.sabotage == Sabotage::CommitCursorsEarly {
            for handed in &self.inbox {
                let partition = handed.delivery.batch.partition() as usize;
                cursors[partition] = cursors[partition].max(handed.delivery.batch.last_offset() + 1);
            }
        }
        cursors
    }
}

/// What an endpoint acts in.
pub struct Surroundings<'w> {
    pub random: &'w mut fastrand::Rng,
    pub ledger: &'w mut Ledger,
    pub now_us: u64,
}

fn id_of(body: &[u8]) -> u64 {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    body["id"].as_u64().unwrap_or(0)
}
