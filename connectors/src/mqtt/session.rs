//! The session: what a client and the node remember of each other, whether or not they are connected (MQTT 5, section 4.1).
//!
//! Messages for the client are not kept here: they are in the log, and the session knows how far it has come. What always holds:
//! a packet identifier names at most one message under way in each direction; messages under way are in the order in
//! which they were first sent; a session that is not live has a position for every partition.

use std::collections::VecDeque;
use std::sync::Arc;

use engine::batch::Batch;

use super::codec::{Qos, SubscribeOptions};

#[cfg(test)]
mod tests;

/// Expiry of a session that never ends by itself.
pub const NEVER_EXPIRES_S: u32 = u32::MAX;

/// One subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// As the client wrote it, `$share/GROUP/` included.
    pub filter: Box<str>,
    /// QoS (as granted), no local, retain as published.
    pub options: SubscribeOptions,
    /// Its identifier; 0: none.
    pub id: u32,
    /// It takes nothing before these offsets: set while the session reads older events from the log for its other subscriptions.
    pub since: Option<Box<[u64]>>,
}

/// `$share/GROUP/FILTER` taken apart.
pub fn split_share(filter: &str) -> Option<(&str, &str)> {
    filter.strip_prefix("$share/")?.split_once('/')
}

/// Where a message under way can be had again.
#[derive(Clone, Debug)]
pub enum Origin {
    /// In the log.
    Log {
        /// Its partition.
        partition: u32,
        /// Its offset.
        offset: u64,
    },
    /// It was retained when the client subscribed: one row.
    Retained(Arc<Batch>),
}

/// A message of QoS 1 or 2 on its way to the client.
#[derive(Clone, Debug)]
pub struct InFlight {
    /// Its packet identifier.
    pub packet_id: u16,
    /// Counts the messages of the session; gives the packet identifier.
    sequence: u64,
    /// 1 or 2.
    pub qos: Qos,
    /// QoS 2: PUBREC has come, PUBREL was sent, PUBCOMP is awaited.
    pub is_released: bool,
    /// Where it came from.
    pub origin: Origin,
}

/// A message of QoS 2 that was taken and whose PUBREL has not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Its packet identifier.
    pub packet_id: u16,
    /// It is on its way to the log: it is not stored as taken, for the log may not get it.
    pub is_pending: bool,
    /// Known from the log after a crash: its PUBREL may have come already, and a new message may have the identifier. The DUP flag tells.
    pub is_doubtful: bool,
}

/// How far the session has come in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// With its core: what is synced comes at once.
    Live,
    /// Everything before these offsets, one per partition, is sent or was not wanted.
    At(Box<[u64]>),
}

/// A retained message that waits to be sent to a new subscription.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// One row.
    pub message: Arc<Batch>,
    /// QoS granted.
    pub qos: Qos,
    /// Identifier of the subscription; 0: none.
    pub id: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    /// The client's identifier.
    pub client_id: Arc<str>,
    /// The name by which it was authenticated: nobody else gets this session.
    pub name: Arc<str>,
    /// Seconds that it outlives its connection; [`NEVER_EXPIRES_S`] for ever.
    pub expiry_s: u32,
    /// Few: looked through one by one.
    pub subscriptions: Vec<Subscription>,
    /// See [`InFlight`].
    pub in_flight: VecDeque<InFlight>,
    /// How many of these were sent on the present connection: the first ones. The others are sent again before anything new.
    pub sent: usize,
    /// See [`Incoming`].
    pub incoming: Vec<Incoming>,
    /// See [`Position`].
    pub position: Position,
    /// Retained messages still to be sent.
    pub waiting: VecDeque<Waiting>,
    /// It differs from what is stored.
    pub is_dirty: bool,
    next_sequence: u64,
}

impl Session {
    /// A new one, live.
    pub fn new(client_id: Arc<str>, name: Arc<str>, expiry_s: u32) -> Self {
        Self {
            client_id,
            name,
            expiry_s,
            subscriptions: Vec::new(),
            in_flight: VecDeque::new(),
            sent: 0,
            incoming: Vec::new(),
            position: Position::Live,
            waiting: VecDeque::new(),
            is_dirty: expiry_s > 0,
            next_sequence: 0,
        }
    }

    /// It outlives its connection.
    pub fn is_persistent(&self) -> bool {
        self.expiry_s > 0
    }

    /// The subscription to exactly this filter.
    pub fn subscription(&self, filter: &str) -> Option<usize> {
        self.subscriptions.iter().position(|subscription| &*subscription.filter == filter)
    }

    /// Registers a message that is being sent and gives its packet identifier. The caller keeps fewer than 65,535 under way, and has
    /// sent again what there was before.
    pub fn send(&mut self, qos: Qos, origin: Origin) -> u16 {
        debug_assert_eq!(self.sent, self.in_flight.len());
        let mut sequence = self.next_sequence;
        let oldest = self.in_flight.front().map_or(sequence, |oldest| oldest.sequence);
        // All identifiers were used since the oldest was given: it, or one behind it, may still have the next.
        if sequence - oldest >= u64::from(u16::MAX) {
            while self.in_flight.iter().any(|known| known.packet_id == packet_id_of(sequence)) {
                sequence += 1;
            }
        }
        self.next_sequence = sequence + 1;
        let packet_id = packet_id_of(sequence);
        self.in_flight.push_back(InFlight { packet_id, sequence, qos, is_released: false, origin });
        self.sent += 1;
        self.is_dirty = true;
        packet_id
    }

    /// Registers a message under way as a store remembers it.
    pub fn restore(&mut self, packet_id: u16, qos: Qos, is_released: bool, origin: Origin) {
        // Sequences as they could have been: the order is kept, and the next identifier is behind the last.
        let mut sequence = self.next_sequence;
        while packet_id_of(sequence) != packet_id {
            sequence += 1;
        }
        self.next_sequence = sequence + 1;
        self.in_flight.push_back(InFlight { packet_id, sequence, qos, is_released, origin });
    }

    /// The identifier that the next message is to have.
    pub fn next_packet_id(&self) -> u16 {
        packet_id_of(self.next_sequence)
    }

    /// Goes on half way around from where a store remembers that the next identifier was: those that were given after that, and that the
    /// client may still hold, are not given to other messages soon.
    pub fn skip_from(&mut self, packet_id: u16) {
        let around = u64::from(u16::MAX);
        let behind = (u64::from(packet_id.max(1) - 1) + around - self.next_sequence % around) % around;
        self.next_sequence += behind + around / 2;
    }

    fn find(&self, packet_id: u16) -> Option<usize> {
        self.in_flight.iter().position(|known| known.packet_id == packet_id)
    }

    /// PUBACK: the message of QoS 1 is done. `false` if there is none.
    pub fn acknowledge(&mut self, packet_id: u16) -> bool {
        let found = self.find(packet_id).filter(|at| self.in_flight[*at].qos == Qos::AtLeastOnce);
        self.remove(found)
    }

    /// PUBREC: the client has the message of QoS 2. `false` if there is none. A repeated one is none the worse.
    pub fn receive(&mut self, packet_id: u16) -> bool {
        let Some(at) = self.find(packet_id).filter(|at| self.in_flight[*at].qos == Qos::ExactlyOnce) else {
            return false;
        };
        self.in_flight[at].is_released = true;
        self.is_dirty = true;
        true
    }

    /// PUBREC with an error: the client does not want the message of QoS 2.
    pub fn reject(&mut self, packet_id: u16) -> bool {
        let found = self.find(packet_id).filter(|at| self.in_flight[*at].qos == Qos::ExactlyOnce);
        self.remove(found)
    }

    /// PUBCOMP: the message of QoS 2 is done. `false` if there is none that was released.
    pub fn complete(&mut self, packet_id: u16) -> bool {
        let found = self.find(packet_id).filter(|at| self.in_flight[*at].is_released);
        self.remove(found)
    }

    fn remove(&mut self, at: Option<usize>) -> bool {
        let Some(at) = at else { return false };
        self.in_flight.remove(at);
        if at < self.sent {
            self.sent -= 1;
        }
        self.is_dirty = true;
        if self.in_flight.is_empty() && self.in_flight.capacity() > 64 {
            // A burst's memory is not an idle session's.
            self.in_flight = VecDeque::new();
        }
        true
    }

    /// The message with this identifier was taken before, as far as its DUP flag lets one say.
    pub fn has_taken(&self, packet_id: u16, dup: bool) -> bool {
        self.incoming.iter().any(|known| known.packet_id == packet_id && (dup || !known.is_doubtful))
    }

    /// A message of QoS 2 is taken.
    pub fn take(&mut self, packet_id: u16) {
        self.incoming.retain(|known| known.packet_id != packet_id);
        self.incoming.push(Incoming { packet_id, is_pending: true, is_doubtful: false });
    }

    /// The log has the message.
    pub fn keep(&mut self, packet_id: u16) {
        for known in self.incoming.iter_mut().filter(|known| known.packet_id == packet_id) {
            self.is_dirty |= known.is_pending;
            known.is_pending = false;
            known.is_doubtful = false;
        }
    }

    /// PUBREL, or the message could not be kept: its identifier is free. `false` if it was free already.
    pub fn release(&mut self, packet_id: u16) -> bool {
        let before = self.incoming.len();
        self.incoming.retain(|known| known.packet_id != packet_id);
        self.is_dirty |= self.incoming.len() < before;
        self.incoming.len() < before
    }

    /// The offset up to which all of a partition is done, if everything before `sent` was sent: messages under way hold it back.
    pub fn settled(&self, partition: u32, sent: u64) -> u64 {
        let open = self.in_flight.iter().filter_map(|known| match known.origin {
            Origin::Log { partition: of, offset } if of == partition => Some(offset),
            _ => None,
        });
        open.min().map_or(sent, |first| first.min(sent))
    }
}

/// Identifiers go from 1 to 65,535 and around.
fn packet_id_of(sequence: u64) -> u16 {
    (sequence % u64::from(u16::MAX)) as u16 + 1
}
