//! Random clients on two cores against a naive model: who must get what, in which order, and how often at most.
//!
//! The model knows nothing of taps, cores and backlogs. A publisher's messages for a topic are numbered. A subscriber that was told
//! of its subscription, and whose session has not ended, must in the end have every message that was published behind that;
//! at QoS 2 once, at QoS 0 at most once, and first copies of one publisher in order.

mod check;
mod finish;

use std::collections::{BTreeMap, HashMap, HashSet};

use super::*;
use crate::mqtt::broker::tests::client::lasting;
use crate::mqtt::broker::tests::publish::id_in;
use crate::mqtt::codec::{Connect, Qos, ReceiptKind};
use crate::mqtt::config::MqttConfig;

const TOPICS: [&str; 3] = ["a", "b/c", "b/d"];
const FILTERS: [&str; 4] = ["a", "b/+", "#", "b/d"];

/// A publisher sends again what was not acknowledged, as a client with a session does.
struct Publisher {
    id: String,
    client: usize,
    next: u32,
    next_id: u16,
    /// Topic, number, QoS, packet identifier; `true`: it has PUBREC.
    open: Vec<(usize, u32, u8, u16, bool)>,
    /// Topic and number of what was acknowledged.
    kept: Vec<(usize, u32, u8)>,
    /// Number that messages of QoS 0 had while the connection stayed open: they may be lost otherwise.
    sent: BTreeMap<u32, (usize, u8)>,
}

#[derive(Default)]
struct Subscriber {
    id: String,
    client: Option<usize>,
    /// Filter to the QoS and to what each publisher had sent when SUBACK came: later numbers are owed.
    subscriptions: HashMap<usize, (u8, Vec<u32>)>,
    pending: HashMap<u16, (usize, u8)>,
    /// Every SUBSCRIBE: the filter, and what had been acknowledged when it was sent.
    attempts: Vec<(usize, Vec<HashSet<u32>>)>,
    /// Publisher and number, with the QoS that they came at, in order.
    got: Vec<(usize, u32, Qos, bool)>,
    next_id: u16,
    /// Identifiers of QoS 2 that it has received and not released.
    received: HashSet<u16>,
    /// What it has still to answer.
    to_answer: Vec<(ReceiptKind, u16)>,
}

struct Run {
    world: World,
    rng: fastrand::Rng,
    publishers: Vec<Publisher>,
    subscribers: Vec<Subscriber>,
    /// The log refuses now and then. What is sent again after that comes behind what was sent later.
    refuses: bool,
    /// The node crashes once. Subscribers may get twice what they got since the last commit.
    crashes: bool,
    has_crashed: bool,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let settings = MqttConfig {
            life_cycle_events: false,
            out_bytes_max: if rng.bool() { 4096 } else { 200 },
            in_flight_max: *rng.choice(&[1, 3, 1024]).expect("some"),
            queue_qos0: true,
            ..MqttConfig::default()
        };
        let mut world = World::with(2, settings);
        let publishers = (0..2)
            .map(|at| {
                let id = id_in(at, 1);
                let (client, _) = world.join(at as usize, &lasting(&id, 1000));
                world.clients[client].answers = false;
                Publisher { id, client, next: 0, next_id: 1, open: Vec::new(), kept: Vec::new(), sent: BTreeMap::new() }
            })
            .collect();
        let subscribers =
            (0..3).map(|at| Subscriber { id: format!("sub-{at}"), next_id: 1, ..Subscriber::default() }).collect();
        world.auto.writes = false;
        world.auto.acks = false;
        world.auto.reads = false;
        world.auto.mails = false;
        world.follows = vec![false, false];
        let (refuses, crashes) = (rng.bool(), rng.u8(..3) == 0);
        Self { world, rng, publishers, subscribers, refuses, crashes, has_crashed: false }
    }

    fn step(&mut self) {
        let core = self.rng.usize(..2);
        match self.rng.u8(..24) {
            0..4 => self.publish(),
            4 => self.resend(),
            5..7 => self.connect_or_subscribe(),
            7 if self.rng.u8(..4) == 0 => self.vanish(),
            8 => {
                let at = self.rng.usize(..3);
                self.answer(at);
            }
            9 if self.refuses && self.rng.u8(..8) == 0 => {
                let core = self.world.unwritten.front().map(|(core, _)| *core);
                self.world.refuse(0);
                core.into_iter().for_each(|core| self.world.turn(core));
            }
            9..11 => self.world.write(0),
            11..13 => {
                // In order within a partition.
                let at = self.rng.usize(..self.world.unacked.len().max(1));
                if let Some((core, _, placed)) = self.world.unacked.get(at).copied() {
                    let first = self.world.unacked.iter().position(|(_, _, known)| known.partition == placed.partition);
                    self.world.ack(first.unwrap_or(at));
                    self.world.turn(core);
                }
            }
            13..17 => drop(self.world.show(core, self.rng.usize(..4))),
            17..19 => drop(self.world.mail(core)),
            19..22 => {
                let readers = self.world.readers();
                if readers > 0 {
                    self.world.read(self.rng.usize(..readers), 1);
                }
            }
            22 if self.crashes && !self.has_crashed && self.rng.u8(..4) == 0 => self.crash(),
            22 if self.rng.bool() => self.world.brokers[core].save(),
            22 => self.world.tell_stored(true),
            _ => {
                let client = self.rng.usize(..self.world.clients.len());
                self.world.poll(client);
            }
        }
        self.look();
    }

    fn publish(&mut self) {
        let at = self.rng.usize(..2);
        let (topic, qos) = (self.rng.usize(..TOPICS.len()), self.rng.u8(..3));
        let publisher = &mut self.publishers[at];
        let number = publisher.next;
        publisher.next += 1;
        let packet_id = if qos > 0 { publisher.next_id } else { 0 };
        publisher.next_id += u16::from(qos > 0);
        publisher.sent.insert(number, (topic, qos));
        if qos > 0 {
            publisher.open.push((topic, number, qos, packet_id, false));
        }
        self.world.clients[publisher.client].publish(TOPICS[topic], &format!("{at}:{number}"), qos, packet_id);
        self.world.poll(self.publishers[at].client);
    }

    /// A publisher loses its connection, comes back, and sends again what is open.
    fn resend(&mut self) {
        let at = self.rng.usize(..2);
        let core = self.rng.usize(..2);
        self.drop_client(self.publishers[at].client);
        self.resend_from(at, core);
        self.world.poll(self.publishers[at].client);
    }

    fn drop_client(&mut self, client: usize) {
        let (core, place) = (self.world.clients[client].core, self.world.clients[client].place);
        self.world.poll(client);
        self.look();
        self.world.brokers[core].lost(place);
        self.world.clients[client].takes = 0;
        self.world.clients[client].unread.clear();
        self.world.turn(core);
        self.world.poll(client);
    }

    fn connect_or_subscribe(&mut self) {
        let at = self.rng.usize(..3);
        let is_new = self.rng.u8(..12) == 0;
        match self.subscribers[at].client {
            Some(client) if !is_new => {
                let filter = self.rng.usize(..FILTERS.len());
                let subscriber = &mut self.subscribers[at];
                if subscriber.subscriptions.contains_key(&filter)
                    || subscriber.pending.values().any(|(known, _)| *known == filter)
                {
                    return;
                }
                let qos = self.rng.u8(..3);
                let packet_id = 10_000 + subscriber.next_id;
                subscriber.next_id += 1;
                subscriber.pending.insert(packet_id, (filter, qos));
                let kept = |publisher: &Publisher| publisher.kept.iter().map(|(_, number, _)| *number).collect();
                subscriber.attempts.push((filter, self.publishers.iter().map(kept).collect()));
                self.world.clients[client].subscribe(packet_id, &[(FILTERS[filter], qos)]);
                self.world.poll(client);
            }
            before => {
                // With luck it takes over from itself.
                if self.rng.bool()
                    && let Some(before) = before
                {
                    self.drop_client(before);
                }
                let client = self.world.dial(self.rng.usize(..2));
                let mut connect: Connect<'_> = lasting(&self.subscribers[at].id, 1000);
                connect.properties.receive_max = Some(*self.rng.choice(&[1, 2, 100]).expect("some"));
                self.world.clients[client].answers = false;
                self.world.clients[client].connect(&connect);
                let subscriber = &mut self.subscribers[at];
                subscriber.client = Some(client);
                // What it did not hear of is made or is not.
                subscriber.pending.clear();
                // Some clients answer on the new connection what came on the old one.
                if self.rng.bool() {
                    subscriber.to_answer.clear();
                }
                self.world.poll(client);
            }
        }
    }

    fn crash(&mut self) {
        for client in 0..self.world.clients.len() {
            self.world.poll(client);
        }
        self.look();
        self.has_crashed = true;
        let (auto, follows) = (self.world.auto, self.world.follows.clone());
        let world = std::mem::replace(&mut self.world, World::new(1));
        self.world = world.crash(2);
        (self.world.auto, self.world.follows) = (auto, follows);
        for at in 0..2 {
            self.resend_from(at, at);
        }
        for subscriber in &mut self.subscribers {
            subscriber.client = None;
            subscriber.pending.clear();
            subscriber.to_answer.clear();
        }
    }

    fn vanish(&mut self) {
        let at = self.rng.usize(..3);
        if let Some(client) = self.subscribers[at].client.take() {
            self.drop_client(client);
            self.subscribers[at].pending.clear();
        }
    }

    fn answer(&mut self, at: usize) {
        let subscriber = &mut self.subscribers[at];
        let Some(client) = subscriber.client else { return };
        let count = if subscriber.to_answer.is_empty() { 0 } else { self.rng.usize(1..=subscriber.to_answer.len()) };
        for (kind, packet_id) in subscriber.to_answer.drain(..count) {
            self.world.clients[client].receipt(kind, packet_id);
        }
        self.world.poll(client);
    }

    /// The clients look at what they have got.
    fn look(&mut self) {
        for publisher in &mut self.publishers {
            for got in self.world.clients[publisher.client].take_got() {
                let Got::Receipt(kind, packet_id, reason) = got else { continue };
                if reason == Reason::ImplementationSpecific {
                    // Not kept: it is given up.
                    publisher.open.retain(|open| open.3 != packet_id);
                    continue;
                }
                assert!(!reason.is_error() || kind == ReceiptKind::Comp, "{kind:?} {reason:?}");
                match kind {
                    ReceiptKind::Rec => {
                        for open in publisher.open.iter_mut().filter(|open| open.3 == packet_id) {
                            if !std::mem::replace(&mut open.4, true) {
                                publisher.kept.push((open.0, open.1, open.2));
                            }
                        }
                        self.world.clients[publisher.client].receipt(ReceiptKind::Rel, packet_id);
                    }
                    ReceiptKind::Ack => {
                        let done = publisher.open.iter().find(|open| open.3 == packet_id);
                        publisher.kept.extend(done.map(|open| (open.0, open.1, open.2)));
                        publisher.open.retain(|open| open.3 != packet_id);
                    }
                    ReceiptKind::Comp => publisher.open.retain(|open| open.3 != packet_id),
                    ReceiptKind::Rel => panic!("publishers subscribe to nothing"),
                }
            }
        }
        let sent: Vec<u32> = self.publishers.iter().map(|publisher| publisher.next).collect();
        for subscriber in &mut self.subscribers {
            let Some(client) = subscriber.client else { continue };
            for got in self.world.clients[client].take_got() {
                match got {
                    Got::ConnAck { present, reason } => {
                        assert_eq!(reason, Reason::Success);
                        assert!(present || subscriber.subscriptions.is_empty(), "a session is lost");
                    }
                    Got::SubAck(packet_id, _) => {
                        if let Some((filter, qos)) = subscriber.pending.remove(&packet_id) {
                            subscriber.subscriptions.insert(filter, (qos, sent.clone()));
                        }
                    }
                    Got::Publish(message) => {
                        let (from, number) = message.payload.split_once(':').expect("ours");
                        let (from, number) = (from.parse().expect("ours"), number.parse().expect("ours"));
                        match message.qos {
                            Qos::AtMostOnce => subscriber.got.push((from, number, message.qos, false)),
                            Qos::AtLeastOnce => {
                                subscriber.got.push((from, number, message.qos, message.dup));
                                subscriber.to_answer.push((ReceiptKind::Ack, message.packet_id));
                            }
                            Qos::ExactlyOnce => {
                                if subscriber.received.insert(message.packet_id) {
                                    subscriber.got.push((from, number, message.qos, false));
                                } else {
                                    assert!(message.dup, "an identifier is used for two messages");
                                }
                                subscriber.to_answer.push((ReceiptKind::Rec, message.packet_id));
                            }
                        }
                    }
                    Got::Receipt(ReceiptKind::Rel, packet_id, _) => {
                        subscriber.received.remove(&packet_id);
                        subscriber.to_answer.push((ReceiptKind::Comp, packet_id));
                    }
                    Got::Disconnect(Reason::SessionTakenOver) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

#[test]
fn random_clients_get_what_the_model_says() {
    let first = 1;
    for seed in first..first + 1500 {
        let outcome = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            let steps = run.rng.usize(50..600);
            for _ in 0..steps {
                run.step();
            }
            run.finish();
            run.check();
        });
        assert!(outcome.is_ok(), "seed {seed}");
    }
}
