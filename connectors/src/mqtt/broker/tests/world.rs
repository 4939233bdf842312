//! The world around the brokers: a log in memory, rings, mail between cores, readers of backlogs, sockets and a store. Everything
//! that takes time outside happens when the test says so, or at once where it does not care.

mod outside;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::task::Waker;

use engine::batch::Batch;
use engine::lane::Heads;
use engine::mesh::{Ack, AckLevel, Placed, Submitted, Ticket};
use engine::ring::{Bell, Consumer, Producer, ring};
use tokio::sync::mpsc::UnboundedReceiver;

use super::super::{Broker, Now, Reading};
use super::client::{Flag, Got, Script};
use crate::intake::{Intake, SharedBatches};
use crate::mqtt::access::{Access, AccessConfig};
use crate::mqtt::codec::{Connect, Reason};
use crate::mqtt::config::MqttConfig;
use crate::mqtt::connection::Phase;
use crate::mqtt::mail::Mail;
use crate::mqtt::node::{Mailboxes, Node, Parts};
use crate::mqtt::registry::Place;
use crate::mqtt::store::{Changes, Commit, Saved};

pub const PARTITIONS: u32 = 4;

/// A task that reads a backlog.
struct Reader {
    core: usize,
    reading: Reading,
    flag: Arc<Flag>,
    /// What it was told to read and has not brought yet.
    asked: Option<(u32, u64)>,
}

struct CoreEnds {
    intake: Intake,
    from: Consumer<Submitted>,
    back: Producer<Ack>,
    mail: UnboundedReceiver<Mail>,
    /// Batches that its tap has seen, per partition.
    seen: Vec<usize>,
}

/// What happens at once.
#[derive(Clone, Copy, Debug)]
pub struct Auto {
    /// The log takes what comes.
    pub writes: bool,
    /// And says so.
    pub acks: bool,
    /// The store takes what comes.
    pub stores: bool,
    /// Backlogs are read.
    pub reads: bool,
    /// Mail arrives.
    pub mails: bool,
}

/// See the module.
pub struct World {
    pub node: Arc<Node>,
    pub brokers: Vec<Broker>,
    pub clients: Vec<Script>,
    pub log: Vec<Vec<Arc<Batch>>>,
    /// Retention has removed everything before these offsets.
    pub removed: Vec<u64>,
    pub unwritten: VecDeque<(usize, Submitted)>,
    pub unacked: VecDeque<(usize, Ticket, Placed)>,
    pub auto: Auto,
    /// These taps see what is in the log at once.
    pub follows: Vec<bool>,
    pub stored: HashMap<Arc<str>, Vec<u8>>,
    pub unstored: Vec<(Place, u16)>,
    retained: HashMap<Box<str>, Arc<Batch>>,
    taps: HashMap<u16, Box<[u64]>>,
    checkpoint: Option<Vec<u64>>,
    pub now: Now,
    acked: Heads,
    store: Receiver<Changes>,
    cores: Vec<CoreEnds>,
    readers: Vec<Reader>,
}

impl World {
    pub fn new(cores: usize) -> Self {
        Self::with(cores, MqttConfig { life_cycle_events: false, ..MqttConfig::default() })
    }

    pub fn with(cores: usize, settings: MqttConfig) -> Self {
        let start = vec![0; PARTITIONS as usize];
        Self::start(cores, settings, &Saved::default(), start.iter().map(|_| Vec::new()).collect())
    }

    /// A node that starts with what was stored and what the log holds.
    pub fn start(cores: usize, settings: MqttConfig, saved: &Saved, log: Vec<Vec<Arc<Batch>>>) -> Self {
        let ends: Vec<u64> = log.iter().map(|of| of.last().map_or(0, |batch| batch.last_offset() + 1)).collect();
        let acked = Heads::new(&ends);
        let now = Now { tick_ms: 1_000, unix_ms: 1_800_000_000_000 };
        let (mailboxes, mails) = Mailboxes::new(cores);
        let access = Access::new(&AccessConfig::default()).expect("no files");
        let parts = Parts { settings, name: "node".into(), access, acked: acked.clone(), mailboxes, is_durable: true };
        let removed = vec![0; PARTITIONS as usize];
        let read = |partition: u32, from| Ok(outside::read(&log, partition, from, usize::MAX));
        let node = Arc::new(Node::with_log(parts, saved, &ends, now.unix_ms, read).expect("the log can be read"));
        let Commit { sessions: stored, checkpoint, .. } = node.first_commit();
        node.restore_shares();
        let (keeper, store) = channel();
        let (mut brokers, mut ends_of_cores) = (Vec::new(), Vec::new());
        for (core, mail) in mails.into_iter().enumerate() {
            let (bell, shard) = (Bell::default(), Bell::default());
            let (to, from) = ring(64, &shard);
            let (back, acks) = ring(1024, &bell);
            let intake = Intake::new(core as u16, PARTITIONS, vec![to], vec![acks], bell);
            let batches = SharedBatches::new(intake.clone(), AckLevel::Synced);
            brokers.push(Broker::new(
                core as u16,
                node.clone(),
                Arc::default(),
                batches,
                ends.clone().into(),
                keeper.clone(),
            ));
            let seen = log.iter().map(Vec::len).collect();
            ends_of_cores.push(CoreEnds { intake, from, back, mail, seen });
        }
        brokers.iter_mut().for_each(|broker| broker.set_now(now));
        Self {
            node,
            brokers,
            clients: Vec::new(),
            log,
            removed,
            unwritten: VecDeque::new(),
            unacked: VecDeque::new(),
            auto: Auto { writes: true, acks: true, stores: true, reads: true, mails: true },
            follows: vec![true; cores],
            stored: stored.into_iter().filter_map(|(id, record)| Some((id, record?))).collect(),
            unstored: Vec::new(),
            retained: HashMap::new(),
            taps: HashMap::new(),
            checkpoint: checkpoint.or(saved.checkpoint.clone()),
            now,
            acked,
            store,
            cores: ends_of_cores,
            readers: Vec::new(),
        }
    }

    /// A client whose connection is open, before CONNECT.
    pub fn dial(&mut self, core: usize) -> usize {
        let place = self.brokers[core].open("tcp", true).expect("the node does not stop");
        self.clients.push(Script::new(core, place));
        self.clients.len() - 1
    }

    /// One that is let in, if nothing is held back.
    pub fn client(&mut self, core: usize, connect: &Connect<'_>) -> usize {
        let client = self.dial(core);
        self.clients[client].connect(connect);
        self.settle();
        client
    }

    /// One that was let in; whether it found a session.
    pub fn join(&mut self, core: usize, connect: &Connect<'_>) -> (usize, bool) {
        let client = self.client(core, connect);
        match self.clients[client].got.pop_front() {
            Some(Got::ConnAck { present, reason: Reason::Success }) => (client, present),
            other => panic!("not let in: {other:?}"),
        }
    }

    pub fn subscribe(&mut self, client: usize, filter: &str, qos: u8) {
        self.clients[client].subscribe(60_000, &[(filter, qos)]);
        self.settle();
        let at = self.clients[client].got.iter().position(|got| matches!(got, Got::SubAck(60_000, _)));
        self.clients[client].got.remove(at.expect("SUBACK has come"));
    }

    /// Publishes and settles.
    pub fn publish(&mut self, client: usize, topic: &str, payload: &str, qos: u8, packet_id: u16) {
        self.clients[client].publish(topic, payload, qos, packet_id);
        self.settle();
    }

    pub fn take(&mut self, client: usize) -> Vec<Got> {
        self.clients[client].take_got()
    }

    pub fn payloads(&mut self, client: usize) -> Vec<String> {
        self.clients[client].payloads()
    }

    /// The connection breaks.
    pub fn lose(&mut self, client: usize) {
        let Script { core, place, .. } = self.clients[client];
        self.brokers[core].lost(place);
        self.clients[client].takes = 0;
        self.clients[client].unread.clear();
        self.settle();
    }

    pub fn pass(&mut self, seconds: u64) {
        self.now.tick_ms += seconds * 1000;
        self.now.unix_ms += seconds as i64 * 1000;
        for broker in &mut self.brokers {
            broker.set_now(self.now);
            broker.tick();
        }
        self.settle();
    }

    /// What the store would be asked to write now.
    pub fn save(&mut self) {
        self.brokers.iter_mut().for_each(Broker::save);
        self.settle();
    }

    fn store(&mut self) {
        while let Ok(changes) = self.store.try_recv() {
            for (client_id, record) in changes.sessions {
                match record {
                    Some(record) => drop(self.stored.insert(client_id, record)),
                    None => drop(self.stored.remove(&client_id)),
                }
            }
            for (topic, message) in changes.retained {
                match message {
                    Some(message) => drop(self.retained.insert(topic, message)),
                    None => drop(self.retained.remove(&topic)),
                }
            }
            self.taps.extend(changes.checkpoint);
            if self.taps.len() == self.brokers.len() {
                let lowest = |at: usize| self.taps.values().map(|tap| tap[at]).min().unwrap_or(0);
                self.checkpoint = Some((0..PARTITIONS as usize).map(lowest).collect());
            }
            self.unstored.extend(changes.subscribers);
        }
    }

    /// The node as it is after a crash: what was stored and what the log has is left.
    pub fn crash(mut self, cores: usize) -> Self {
        self.store();
        let saved = Saved {
            sessions: self.stored.values().cloned().collect(),
            retained: self.retained.iter().map(|(topic, batch)| (topic.to_string(), batch.bytes().to_vec())).collect(),
            checkpoint: self.checkpoint,
        };
        let mut world = Self::start(cores, self.node.settings.clone(), &saved, self.log);
        self.stored.extend(std::mem::take(&mut world.stored));
        world.stored = self.stored;
        world.retained = self.retained;
        world.settle();
        world
    }

    /// The store has, or has not, kept what it was sent.
    pub fn tell_stored(&mut self, is_kept: bool) {
        self.store();
        for (place, packet_id) in std::mem::take(&mut self.unstored) {
            let stored = Mail::Stored { subscribers: vec![(place, packet_id)], is_kept };
            self.node.mailboxes().send(place.core, stored);
        }
    }

    /// What the driver does behind everything that happens.
    pub fn turn(&mut self, core: usize) {
        let mut done = Vec::new();
        let broker = &mut self.brokers[core];
        broker.batches().take_done(Waker::noop(), &mut done);
        broker.acknowledged(&done);
        for (to, mail) in std::mem::take(&mut broker.effects.mails) {
            self.node.mailboxes().send(to, mail);
        }
        broker.flush(Waker::noop());
        assert!(broker.effects.attempts.is_empty(), "there are no passwords here");
        for reading in std::mem::take(&mut broker.effects.readers) {
            let flag = Arc::<Flag>::default();
            Waker::from(flag.clone()).wake();
            self.readers.push(Reader { core, reading, flag, asked: None });
        }
        broker.wake_touched();
        let ends = &mut self.cores[core];
        while let Some(submitted) = ends.from.pop() {
            self.unwritten.push_back((core, submitted));
        }
    }

    pub fn readers(&self) -> usize {
        self.readers.len()
    }

    /// What the task of a connection does when it is woken or its socket has something.
    pub fn poll(&mut self, client: usize) -> bool {
        let script = &mut self.clients[client];
        let (core, place) = (script.core, script.place);
        let mut any = false;
        let is_woken = script.flag.take();
        let broker = &mut self.brokers[core];
        let Some(connection) = broker.connection(place) else { return false };
        connection.waker.get_or_insert_with(|| Waker::from(script.flag.clone()));
        if !is_woken && (script.unread.is_empty() || !connection.takes_packets()) {
            return false;
        }
        for is_read in [false, true] {
            if is_read
                && !script.unread.is_empty()
                && broker.connection(place).is_some_and(|known| known.takes_packets())
            {
                let used = broker.input(place, &script.unread);
                script.unread.drain(..used.min(script.unread.len()));
                any |= used > 0;
            }
            let Some(connection) = broker.connection(place) else { break };
            let bytes = connection.unsent().min(script.takes);
            if bytes == 0 {
                continue;
            }
            script.takes = script.takes.saturating_sub(if script.takes == usize::MAX { 0 } else { bytes });
            script.receive(&connection.out[connection.written..connection.written + bytes]);
            connection.sent(bytes);
            if connection.unsent() == 0 {
                broker.drained(place);
            }
        }
        if broker.connection(place).is_some_and(|connection| connection.phase == Phase::Closed) {
            broker.forget(place);
            script.is_closed = true;
            script.unread.clear();
        }
        self.turn(core);
        any || is_woken
    }

    /// The socket of a client takes so many bytes more.
    pub fn let_through(&mut self, client: usize, bytes: usize) {
        let script = &mut self.clients[client];
        script.takes = if bytes == usize::MAX { bytes } else { script.takes + bytes };
        Waker::from(script.flag.clone()).wake();
    }

    /// Until nothing happens by itself any more.
    pub fn settle(&mut self) {
        (0..self.brokers.len()).for_each(|core| self.turn(core));
        for round in 0.. {
            assert!(round < 100_000, "it does not come to rest");
            let mut any = false;
            for client in 0..self.clients.len() {
                any |= self.poll(client);
            }
            if self.auto.mails {
                (0..self.brokers.len()).for_each(|core| any |= self.mail(core));
            }
            while self.auto.writes && !self.unwritten.is_empty() {
                self.write(0);
                any = true;
            }
            while self.auto.acks && !self.unacked.is_empty() {
                let core = self.unacked[0].0;
                self.ack(0);
                self.turn(core);
                any = true;
            }
            for core in 0..self.brokers.len() {
                any |= self.follows[core] && self.show_all(core);
            }
            if self.auto.reads {
                (0..self.readers.len()).for_each(|at| any |= self.read(at, 2));
            }
            self.store();
            if self.auto.stores && !self.unstored.is_empty() {
                self.tell_stored(true);
                any = true;
            }
            if !any {
                return self.check();
            }
        }
    }

    /// Nobody has bytes to be sent that nobody was woken for.
    fn check(&mut self) {
        for script in &self.clients {
            let Some(connection) = self.brokers[script.core].connection(script.place) else { continue };
            let is_stuck = connection.unsent() > 0 && script.takes > 0 && !script.flag.is_set();
            assert!(!is_stuck, "bytes wait and nobody was woken: {}", connection.client_id);
            assert!(!connection.is_touched, "touched and not woken");
        }
    }
}
