//! Random members of a share on three cores: each message of QoS 2 goes to exactly one of them, each of QoS 1 to one, which may get
//! it again.

use std::collections::{HashMap, HashSet};

use super::*;
use crate::mqtt::broker::tests::client::lasting;
use crate::mqtt::broker::tests::publish::id_in;
use crate::mqtt::codec::{Qos, ReceiptKind};
use crate::mqtt::config::MqttConfig;

const SHARES: [&str; 3] = ["$share/g/#", "$share/h/#", "$share/i/#"];

struct Sharer {
    client: usize,
    received: HashSet<u16>,
    to_answer: Vec<(ReceiptKind, u16)>,
    got: Vec<(u32, Qos, bool)>,
}

struct Run {
    world: World,
    rng: fastrand::Rng,
    publishers: [usize; 2],
    next: u32,
    sharers: Vec<Sharer>,
}

fn id(at: usize) -> String {
    format!("sharer-{at}")
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let settings = MqttConfig { life_cycle_events: false, out_bytes_max: 300, ..MqttConfig::default() };
        let mut world = World::with(3, settings);
        // Of two partitions.
        let publishers = [0, 2].map(|partition| world.join(partition as usize, &v311(&id_in(partition, 0))).0);
        let share = rng.choice(SHARES).expect("some");
        let sharers = (0..3).map(|at| {
            let (client, _) = world.join(at, &lasting(&id(at), 1000));
            world.subscribe(client, share, 2);
            world.clients[client].answers = false;
            Sharer { client, received: HashSet::new(), to_answer: Vec::new(), got: Vec::new() }
        });
        let sharers = sharers.collect();
        world.auto = world::Auto { writes: true, acks: true, stores: true, reads: false, mails: false };
        world.follows = vec![false; 3];
        Self { world, rng, publishers, next: 0, sharers }
    }

    fn step(&mut self) {
        let core = self.rng.usize(..3);
        let at = self.rng.usize(..3);
        match self.rng.u8(..22) {
            0..4 => {
                let publisher = *self.rng.choice(&self.publishers).expect("two");
                for _ in 0..self.rng.u32(1..40) {
                    let (qos, text) = (self.rng.u8(1..3), self.next.to_string());
                    self.world.clients[publisher].publish("t", &text, qos, self.next as u16 % 60_000 + 1);
                    self.next += 1;
                }
                self.world.poll(publisher);
            }
            4 if self.rng.bool() => self.lose(at),
            5 if self.rng.bool() => self.connect(at, core),
            6..9 => self.answer(at),
            9..13 => drop(self.world.show(core, self.rng.usize(..4))),
            13..17 => drop(self.world.mail(core)),
            17..20 => {
                let readers = self.world.readers();
                if readers > 0 {
                    self.world.read(self.rng.usize(..readers), 1);
                }
            }
            _ => {
                let client = self.rng.usize(..self.world.clients.len());
                self.world.poll(client);
                while !self.world.unwritten.is_empty() {
                    self.world.write(0);
                }
            }
        }
        self.look();
    }

    fn lose(&mut self, at: usize) {
        let client = self.sharers[at].client;
        self.world.poll(client);
        self.look();
        let (core, place) = (self.world.clients[client].core, self.world.clients[client].place);
        self.world.brokers[core].lost(place);
        self.world.clients[client].takes = 0;
        self.world.clients[client].unread.clear();
        if self.rng.bool() {
            self.world.turn(core);
        }
        self.sharers[at].to_answer.clear();
    }

    fn connect(&mut self, at: usize, core: usize) {
        let before = self.sharers[at].client;
        self.world.poll(before);
        self.look();
        self.world.clients[before].takes = 0;
        let client = self.world.dial(core);
        let connect_id = id(at);
        let mut connect = lasting(&connect_id, 1000);
        connect.properties.receive_max = Some(*self.rng.choice(&[1, 2, 100]).expect("some"));
        self.world.clients[client].answers = false;
        self.world.clients[client].connect(&connect);
        self.sharers[at].client = client;
        self.sharers[at].to_answer.clear();
        self.world.poll(client);
    }

    fn answer(&mut self, at: usize) {
        let sharer = &mut self.sharers[at];
        for (kind, packet_id) in sharer.to_answer.drain(..) {
            self.world.clients[sharer.client].receipt(kind, packet_id);
        }
        self.world.poll(sharer.client);
    }

    fn look(&mut self) {
        for sharer in &mut self.sharers {
            for got in self.world.clients[sharer.client].take_got() {
                match got {
                    Got::Publish(message) => {
                        let number = message.payload.parse().expect("ours");
                        if message.qos == Qos::ExactlyOnce {
                            if sharer.received.insert(message.packet_id) {
                                sharer.got.push((number, message.qos, false));
                            }
                            sharer.to_answer.push((ReceiptKind::Rec, message.packet_id));
                        } else {
                            sharer.got.push((number, message.qos, message.dup));
                            sharer.to_answer.push((ReceiptKind::Ack, message.packet_id));
                        }
                    }
                    Got::Receipt(ReceiptKind::Rel, packet_id, _) => {
                        sharer.received.remove(&packet_id);
                        sharer.to_answer.push((ReceiptKind::Comp, packet_id));
                    }
                    Got::ConnAck { present, .. } => assert!(present, "its session is lost"),
                    _ => {}
                }
            }
        }
    }

    fn finish(&mut self) {
        self.world.auto = world::Auto { writes: true, acks: true, stores: true, reads: true, mails: true };
        self.world.follows = vec![true; 3];
        self.world.settle();
        self.look();
        for at in 0..3 {
            let core = self.rng.usize(..3);
            self.connect(at, core);
        }
        loop {
            self.world.settle();
            self.look();
            if self.sharers.iter().all(|sharer| sharer.to_answer.is_empty()) {
                break;
            }
            (0..3).for_each(|at| self.answer(at));
        }
        assert_eq!(self.world.readers(), 0, "somebody is still behind");
        let mut all: HashMap<u32, (u32, usize)> = HashMap::new();
        for (at, sharer) in self.sharers.iter().enumerate() {
            for (number, qos, is_dup) in &sharer.got {
                let (count, owner) = all.entry(*number).or_insert((0, at));
                *count += u32::from(!is_dup);
                assert_eq!(*owner, at, "{number} of {qos:?} went to two members");
                assert!(*count <= 1, "{number} of {qos:?} came twice");
            }
        }
        for number in 0..self.next {
            assert!(all.contains_key(&number), "{number} of {} went to nobody", self.next);
        }
    }
}

#[test]
fn random_members_of_a_share_have_each_message_once() {
    for seed in 1..301 {
        let outcome = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            for _ in 0..run.rng.usize(50..400) {
                run.step();
            }
            run.finish();
        });
        assert!(outcome.is_ok(), "seed {seed}");
    }
}
