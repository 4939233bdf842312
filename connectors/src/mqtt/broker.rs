//! The broker of one core: its connections, its subscriptions, its way into the log and its tap on what comes out.
//!
//! It has no socket, no clock and no task: bytes and ticks go in; bytes in out buffers, and [`Effects`] for whoever drives it, come
//! out. What always holds: a PUBLISH of QoS 1 or 2 is answered after its event has reached the listener's ack level, in the order
//! in which they came; a session is sent what its core's tap shows while it is live and what the log holds while it is not,
//! each once, joined without seam; nothing that one client does disturbs another.

mod backlog;
mod connect;
mod deliver;
mod end;
mod publish;
mod receipts;
mod send;
mod share;
mod subscribe;
mod tick;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::Waker;

use crate::intake::SharedBatches;

use super::access::Attempt;
use super::codec::{
    DecodeError, Disconnect, Packet, Reason, Side, Version, decode, decode_publish_known, frame, write_disconnect,
    write_pingresp,
};
use super::connection::{Connection, Phase};
use super::mail::Mail;
use super::mapping::Room;
use super::node::Node;
use super::registry::{Parked, Place};
use super::stats::{Counts, MqttStats};
use super::store::Changes;
use super::topics::TopicTree;

pub use backlog::{BacklogStep, Reading};
use deliver::Target;
use end::{Abandoned, Ending, LifeCycle, Unsettled};
use send::Scratch;
use share::Group;
pub(super) use share::home_of;
use tick::{Timer, TimerKind};

/// The time, read once per turn by whoever drives the broker.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Milliseconds of a clock that only grows.
    pub tick_ms: u64,
    /// Milliseconds since the Unix epoch.
    pub unix_ms: i64,
}

/// What is to be done by whoever drives the broker.
#[derive(Debug, Default)]
pub struct Effects {
    /// Connections to be polled: there are bytes to send, packets to take, or it is over.
    pub touched: Vec<u32>,
    /// What shares give and take, for any core.
    pub mails: Vec<(u16, Mail)>,
    /// To be authenticated on a thread that may block; answered with [`Broker::authenticated`].
    pub attempts: Vec<(Place, Box<Attempt>)>,
    /// Backlogs that want to be read: [`Broker::backlog_step`] says how.
    pub readers: Vec<Reading>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    connection: Option<Box<Connection>>,
}

/// See the module.
pub struct Broker {
    core: u16,
    node: Arc<Node>,
    stats: Arc<MqttStats>,
    now: Now,
    slots: Vec<Slot>,
    free: Vec<u32>,
    batches: SharedBatches,
    /// When events that nobody waits for go into the log.
    leisure_ends_ms: u64,
    /// By the number of a batch: who waits for it.
    waiting: Vec<Vec<u32>>,
    /// Batches that are not acknowledged: number, partition, and what the tap had shown when the first message came.
    unacked: Vec<(u32, u32, u64)>,
    room: Room,
    /// What the tap has shown, per partition.
    tap: Box<[u64]>,
    subscriptions: TopicTree<Target>,
    /// What the tree says of a topic, until a subscription changes.
    known_topics: HashMap<Box<str>, Rc<[Target]>>,
    scratch: Scratch,
    /// Connections with a SUBSCRIBE that waits for the tap.
    paused: Vec<(Place, Box<[u64]>)>,
    /// Readers of backlogs that wait for the tap.
    tap_waiters: Vec<Reading>,
    groups: Vec<Option<Box<Group>>>,
    group_numbers: HashMap<Box<str>, u32>,
    /// When to look whether who is still heard.
    timers: BinaryHeap<Reverse<Timer>>,
    /// Connections whose session is not stored as it is.
    unsaved: Vec<u32>,
    keeper: Sender<Changes>,
    /// Sessions that have lost their connection and were claimed by another before they could be parked.
    limbo: HashMap<Place, Box<Parked>>,
    /// Sessions that have lost their connection and wait to hear which of their messages the log has kept.
    unsettled: HashMap<Place, Unsettled>,
    /// Connections that went while they awaited their session.
    abandoned: HashMap<Place, Abandoned>,
    /// The topic that a client was just allowed to publish to, if it is not the one it was allowed to before.
    new_topic: String,
    is_new_topic: bool,
    /// No connection is read: the shards have no room.
    is_blocked: bool,
    stopping: bool,
    counts: Counts,
    /// See [`Effects`].
    pub effects: Effects,
}

/// How long events that nobody waits for wait for others to go into the log with, if turns come; the node's ticks bring some.
const LEISURE_MS_MAX: u64 = 10;

/// Packets that one connection may have handled in one pass, before others have their turn.
const PACKETS_PER_PASS_MAX: usize = 4096;

impl Broker {
    /// The broker of a core, whose tap starts at `tap`. What is to be stored goes to `keeper`.
    pub fn new(
        core: u16,
        node: Arc<Node>,
        stats: Arc<MqttStats>,
        batches: SharedBatches,
        tap: Box<[u64]>,
        keeper: Sender<Changes>,
    ) -> Self {
        Self {
            core,
            node,
            stats,
            now: Now::default(),
            slots: Vec::new(),
            free: Vec::new(),
            batches,
            leisure_ends_ms: 0,
            waiting: Vec::new(),
            unacked: Vec::new(),
            room: Room::default(),
            tap,
            subscriptions: TopicTree::default(),
            known_topics: HashMap::new(),
            scratch: Scratch::default(),
            paused: Vec::new(),
            tap_waiters: Vec::new(),
            groups: Vec::new(),
            group_numbers: HashMap::new(),
            timers: BinaryHeap::new(),
            unsaved: Vec::new(),
            keeper,
            limbo: HashMap::new(),
            unsettled: HashMap::new(),
            abandoned: HashMap::new(),
            new_topic: String::new(),
            is_new_topic: false,
            is_blocked: false,
            stopping: false,
            counts: Counts::default(),
            effects: Effects::default(),
        }
    }

    /// Its core.
    pub fn core(&self) -> u16 {
        self.core
    }

    /// The time of what follows.
    pub fn set_now(&mut self, now: Now) {
        self.now = now;
    }

    /// Whether connections are not read just now: a client that is not heard then is not gone.
    pub fn set_blocked(&mut self, is_blocked: bool) {
        self.is_blocked = is_blocked;
    }

    /// What all cores share.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The way into the log, to be flushed at the end of a turn.
    pub fn batches(&mut self) -> &mut SharedBatches {
        &mut self.batches
    }

    /// Sends what was pushed into the log. `false`: see [`SharedBatches::flush`].
    pub fn flush(&mut self, waker: &Waker) -> bool {
        let all = self.stopping || self.now.tick_ms >= self.leisure_ends_ms;
        if all {
            self.leisure_ends_ms = self.now.tick_ms + LEISURE_MS_MAX;
        }
        self.batches.flush(waker, all)
    }

    /// A connection was accepted; `None` while the node stops.
    pub fn open(&mut self, transport: &'static str, is_loopback: bool) -> Option<Place> {
        if self.stopping {
            return None;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        let place = Place { core: self.core, index, generation: slot.generation };
        slot.connection = Some(Box::new(Connection::new(place, transport, is_loopback, self.now.tick_ms)));
        let due = self.now.tick_ms + self.node.settings.connect_timeout_ms;
        self.timers.push(Reverse(Timer { due_ms: due, place, kind: TimerKind::Connect }));
        Some(place)
    }

    /// The connection, if it is still the one.
    pub fn connection(&mut self, place: Place) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(place.index as usize)?;
        slot.connection.as_deref_mut().filter(|connection| connection.place == place)
    }

    /// Bytes have come from the client: how many were used. What is left is a piece of a packet, or waits because the connection
    /// takes none just now.
    pub fn input(&mut self, place: Place, bytes: &[u8]) -> usize {
        let Some(mut connection) = self.take(place) else { return bytes.len() };
        connection.heard_ms = self.now.tick_ms;
        let mut used = 0;
        let mut packets = 0;
        while connection.takes_packets() && packets < PACKETS_PER_PASS_MAX {
            match frame(&bytes[used..], self.node.settings.packet_bytes_max) {
                Ok(Some(frame)) => {
                    let version = connection.version;
                    // Publishers keep to a topic: one that was looked at is not looked at again.
                    let handled = if frame.first >> 4 == 3 && connection.phase == Phase::Open {
                        let mut known = std::mem::take(&mut connection.allowed_topic);
                        let handled = match decode_publish_known(version, Side::Client, &frame, &known) {
                            Ok(publish) => self.handle_publish(&mut connection, &publish, &known),
                            Err(error) => self.refuse(&mut connection, &error),
                        };
                        if std::mem::take(&mut self.is_new_topic) {
                            std::mem::swap(&mut known, &mut self.new_topic);
                        }
                        connection.allowed_topic = known;
                        handled
                    } else {
                        match decode(version, Side::Client, &frame) {
                            Ok(packet) => self.handle(&mut connection, packet),
                            Err(error) => self.refuse(&mut connection, &error),
                        }
                    };
                    if handled == Handled::Later {
                        break;
                    }
                    used += frame.total;
                    packets += 1;
                }
                Ok(None) => break,
                Err(error) => {
                    self.refuse(&mut connection, &error);
                }
            }
        }
        if connection.phase == Phase::Closed {
            used = bytes.len();
        }
        let is_cut_short = packets == PACKETS_PER_PASS_MAX && used < bytes.len();
        connection.has_more = is_cut_short || used < bytes.len() && !connection.takes_packets();
        if is_cut_short {
            self.touch(&mut connection);
        }
        self.counts.packets_received += packets as u64;
        self.put(connection);
        used
    }

    fn handle(&mut self, connection: &mut Connection, packet: Packet<'_>) -> Handled {
        match (connection.phase, packet) {
            (Phase::New, Packet::Connect(connect)) => self.handle_connect(connection, &connect),
            (Phase::New, _) => {
                // The first packet must be CONNECT (3.1.0-1); there is nobody to answer to.
                self.end(connection, Ending::silent(LifeCycle::ClientError));
                Handled::Done
            }
            (Phase::Open, Packet::PubAck(receipt)) => self.handle_puback(connection, &receipt),
            (Phase::Open, Packet::PubRec(receipt)) => self.handle_pubrec(connection, &receipt),
            (Phase::Open, Packet::PubRel(receipt)) => self.handle_pubrel(connection, &receipt),
            (Phase::Open, Packet::PubComp(receipt)) => self.handle_pubcomp(connection, &receipt),
            (Phase::Open, Packet::Subscribe(subscribe)) => self.handle_subscribe(connection, &subscribe),
            (Phase::Open, Packet::Unsubscribe(unsubscribe)) => self.handle_unsubscribe(connection, &unsubscribe),
            (Phase::Open, Packet::PingReq) => {
                write_pingresp(&mut connection.out);
                self.touch(connection);
                Handled::Done
            }
            (Phase::Open, Packet::Disconnect(disconnect)) => self.handle_disconnect(connection, &disconnect),
            (Phase::Open, Packet::Auth(auth)) => self.handle_auth(connection, &auth),
            (_, Packet::Connect(_)) => {
                self.protocol_error(connection, "a second CONNECT");
                Handled::Done
            }
            _ => {
                self.protocol_error(connection, "a packet that only a server sends");
                Handled::Done
            }
        }
    }

    /// The bytes are no packet: the client is told why, if its version can say so, and the connection ends.
    fn refuse(&mut self, connection: &mut Connection, error: &DecodeError) -> Handled {
        self.counts.malformed += 1;
        if connection.phase == Phase::New {
            // Before version 5 a CONNECT that breaks the rules is answered with nothing but the end (3.1.4-1); an unknown version
            // is told so.
            let is_told =
                |version: &Version| *version == Version::V5 || error.reason == Reason::UnsupportedProtocolVersion;
            match error.answer.filter(is_told) {
                Some(version) => {
                    connection.version = version;
                    self.refuse_connect(connection, error.reason, error.detail);
                }
                None => self.end(connection, Ending::silent(LifeCycle::ClientError)),
            }
        } else {
            self.end(connection, Ending::error(error.reason, error.detail));
        }
        Handled::Done
    }

    fn protocol_error(&mut self, connection: &mut Connection, detail: &'static str) {
        self.end(connection, Ending::error(Reason::ProtocolError, detail));
    }

    fn take(&mut self, place: Place) -> Option<Box<Connection>> {
        let slot = self.slots.get_mut(place.index as usize)?;
        slot.connection.take_if(|connection| connection.place == place)
    }

    fn put(&mut self, connection: Box<Connection>) {
        let index = connection.place.index;
        let mut connection = connection;
        if connection.session.as_ref().is_some_and(|session| session.is_dirty && session.is_persistent())
            && !connection.is_listed
        {
            connection.is_listed = true;
            self.unsaved.push(index);
        }
        self.slots[index as usize].connection = Some(connection);
    }

    /// Its task is to be polled at the end of the turn.
    fn touch(&mut self, connection: &mut Connection) {
        if !connection.is_touched {
            connection.is_touched = true;
            self.effects.touched.push(connection.place.index);
        }
    }

    /// Wakes the tasks of connections that have something to do.
    pub fn wake_touched(&mut self) {
        for index in self.effects.touched.drain(..) {
            if let Some(connection) = self.slots[index as usize].connection.as_deref_mut() {
                connection.is_touched = false;
                if let Some(waker) = &connection.waker {
                    waker.wake_by_ref();
                }
            }
        }
    }

    /// The task of a closed connection has sent what it could: its number is free.
    pub fn forget(&mut self, place: Place) {
        if self.take(place).is_some() {
            self.free.push(place.index);
        }
    }

    /// Somebody on another core has said something.
    pub fn handle_mail(&mut self, mail: Mail) {
        match mail {
            Mail::TakeOver { from, by } => self.hand_over(from, by),
            Mail::Session { to, parked } => self.session_came(to, parked),
            Mail::Stored { subscribers, is_kept } => self.stored(&subscribers, is_kept),
            Mail::ShareJoin { share, client_id, place, member, since } => {
                self.share_join(share, client_id, place, member, since);
            }
            Mail::ShareLeave { share, client_id } => self.share_leave(&share, &client_id),
            Mail::ShareGive { to, batch, row, member, group } => self.share_give(to, batch, row, member, group),
            Mail::ShareCredit { group, client_id, credit, unsent } => {
                self.share_credit(group, &client_id, credit, unsent);
            }
            Mail::Renew => self.renew(),
        }
    }

    /// To a core, which may be this one.
    fn mail(&mut self, core: u16, mail: Mail) {
        match mail {
            // One by message: they go at the end of the turn. Nothing else depends on when they come.
            Mail::ShareGive { .. } | Mail::ShareCredit { .. } => self.effects.mails.push((core, mail)),
            // On its way before the session can be seen elsewhere: what the next core says of it comes behind.
            _ => self.node.mailboxes().send(core, mail),
        }
    }

    /// To the store, at once: what another core stores of a session that it gets from here comes behind.
    fn store(&self, changes: Changes) {
        // Its thread ends after all cores.
        let _ = self.keeper.send(changes);
    }

    fn store_session(&self, client_id: &Arc<str>, record: Option<Vec<u8>>) {
        self.store(Changes { sessions: vec![(client_id.clone(), record)], ..Changes::default() });
    }

    fn disconnect(connection: &mut Connection, reason: Reason, detail: Option<&str>) {
        // Before version 5 a server has no word for it but the end of the connection.
        if connection.version == Version::V5 {
            let reason_string = detail.filter(|_| connection.allowed.problem_information);
            let disconnect = Disconnect { reason_string, ..Disconnect::new(reason) };
            let begin = connection.out.len();
            write_disconnect(&mut connection.out, connection.version, &disconnect);
            if connection.out.len() - begin > connection.allowed.packet_bytes_max as usize {
                connection.out.truncate(begin);
            }
        }
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handled {
    /// It is done with.
    Done,
    /// It is to come again when the connection takes packets again.
    Later,
}
