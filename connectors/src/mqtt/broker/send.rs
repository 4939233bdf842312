//! A message to a client: PUBLISH in its version, into its out buffer, if it has room (MQTT 5, 3.3, 4.9).
//!
//! What always holds: a client never has more messages of QoS 1 and 2 under way than it allows, nor more bytes in its out
//! buffer than the settings say; what it cannot take because of its size is passed over, as if it were sent.

use std::sync::Arc;

use engine::batch::Batch;
use engine::event::Event;

use super::{Broker, Now};
use crate::mqtt::codec::{
    PublishDraft, Qos, Reason, Receipt, ReceiptKind, Version, property, write_publish, write_receipt,
};
use crate::mqtt::config::MqttConfig;
use crate::mqtt::connection::Connection;
use crate::mqtt::mapping::{self, Message};
use crate::mqtt::session::Origin;
use crate::mqtt::stats::Counts;

/// Memory that is used again from message to message.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// MQTT 5 properties of the message, without what is the subscriber's own.
    shared: Vec<u8>,
    has_shared: bool,
    /// Properties of one PUBLISH.
    own: Vec<u8>,
    /// The message as whole packets of QoS 0: before version 5, version 5, each without and with the retain flag.
    packets: [Vec<u8>; 4],
    /// Identifiers of the subscriptions that took it.
    pub ids: Vec<u32>,
}

impl Scratch {
    /// What follows is about another message.
    pub fn next_message(&mut self) {
        self.has_shared = false;
        self.packets.iter_mut().for_each(Vec::clear);
    }
}

/// How a subscriber is to get a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub qos: Qos,
    pub retain: bool,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It is on its way, or was not to be sent.
    Done,
    /// The client has no room for it now.
    NoRoom,
}

/// What a message is sent with, beside the connection.
pub(super) struct Sender<'s> {
    pub settings: &'s MqttConfig,
    pub scratch: &'s mut Scratch,
    pub counts: &'s mut Counts,
    pub now: Now,
}

/// Bytes of the out buffer are short enough for more.
fn has_bytes(connection: &Connection, settings: &MqttConfig) -> bool {
    connection.unsent() < settings.out_bytes_max
}

/// A message of QoS 1 or 2 may be sent.
fn has_window(connection: &Connection, settings: &MqttConfig) -> bool {
    let window = usize::from(connection.allowed.receive_max.min(settings.in_flight_max));
    connection
        .session
        .as_ref()
        .is_some_and(|session| session.in_flight.len() < window && session.sent == session.in_flight.len())
}

impl Sender<'_> {
    /// Sends a message, with the subscription identifiers in `scratch.ids`.
    pub fn send(
        &mut self,
        connection: &mut Connection,
        message: &Message<'_>,
        manner: Manner,
        origin: impl FnOnce() -> Origin,
    ) -> Sent {
        if !has_bytes(connection, self.settings)
            || manner.qos > Qos::AtMostOnce && !has_window(connection, self.settings)
        {
            return Sent::NoRoom;
        }
        if message.expires_at_ms.is_some_and(|at_ms| at_ms <= self.now.unix_ms) {
            self.counts.expired_messages += 1;
            return Sent::Done;
        }
        let is_plain = manner.qos == Qos::AtMostOnce && self.scratch.ids.is_empty();
        if is_plain && (!connection.is_v5() || connection.allowed.topic_alias_max == 0) {
            self.send_copy(connection, message, manner.retain);
            return Sent::Done;
        }
        let topic = self.properties(connection, message);
        let draft = PublishDraft {
            dup: false,
            qos: manner.qos,
            retain: manner.retain,
            topic,
            packet_id: 1,
            properties: &self.scratch.own,
            payload: message.payload,
        };
        if !fits(connection, &draft) {
            self.counts.oversized_messages += 1;
            if topic.is_empty() {
                return Sent::Done;
            }
            forget_alias(connection, topic);
            return Sent::Done;
        }
        let packet_id = match &mut connection.session {
            Some(session) if manner.qos > Qos::AtMostOnce => session.send(manner.qos, origin()),
            _ => 0,
        };
        write_publish(&mut connection.out, connection.version, &PublishDraft { packet_id, ..draft });
        self.count(message);
        Sent::Done
    }

    /// Sends a message of QoS 1 or 2 again that was under way on an earlier connection, or the PUBREL that was.
    pub fn send_again(&mut self, connection: &mut Connection, message: Option<&Message<'_>>) {
        let Some(session) = &mut connection.session else { return };
        let at = session.sent;
        let Some(known) = session.in_flight.get(at) else { return };
        let (packet_id, qos) = (known.packet_id, known.qos);
        if known.is_released {
            session.sent += 1;
            let receipt = Receipt::new(packet_id, Reason::Success);
            write_receipt(&mut connection.out, connection.version, ReceiptKind::Rel, &receipt);
            return;
        }
        let gone = message.is_none_or(|message| message.expires_at_ms.is_some_and(|at_ms| at_ms <= self.now.unix_ms));
        let Some(message) = message.filter(|_| !gone) else {
            // Removed by retention, or its time is over.
            session.in_flight.remove(at);
            session.is_dirty = true;
            self.counts.expired_messages += 1;
            return;
        };
        session.sent += 1;
        let topic = self.properties(connection, message);
        let draft = PublishDraft {
            dup: true,
            qos,
            retain: false,
            topic,
            packet_id,
            properties: &self.scratch.own,
            payload: message.payload,
        };
        if fits(connection, &draft) {
            write_publish(&mut connection.out, connection.version, &draft);
            self.counts.repeated_sends += 1;
            self.count(message);
        } else if let Some(session) = &mut connection.session {
            self.counts.oversized_messages += 1;
            session.in_flight.remove(at);
            session.sent -= 1;
            session.is_dirty = true;
            if !topic.is_empty() {
                forget_alias(connection, topic);
            }
        }
    }

    /// The bytes are the same for all who get the message at QoS 0 and have no wishes of their own.
    fn send_copy(&mut self, connection: &mut Connection, message: &Message<'_>, retain: bool) {
        let at = usize::from(connection.is_v5()) * 2 + usize::from(retain);
        if self.scratch.packets[at].is_empty() {
            self.fill_shared(message);
            let draft = PublishDraft {
                dup: false,
                qos: Qos::AtMostOnce,
                retain,
                topic: message.topic,
                packet_id: 0,
                properties: &self.scratch.shared,
                payload: message.payload,
            };
            write_publish(&mut self.scratch.packets[at], connection.version, &draft);
        }
        let packet = &self.scratch.packets[at];
        if packet.len() > connection.allowed.packet_bytes_max as usize {
            self.counts.oversized_messages += 1;
            return;
        }
        connection.out.extend_from_slice(packet);
        self.count(message);
    }

    fn fill_shared(&mut self, message: &Message<'_>) {
        if !self.scratch.has_shared {
            self.scratch.has_shared = true;
            self.scratch.shared.clear();
            message.put_properties(self.now.unix_ms, &mut self.scratch.shared);
        }
    }

    /// Fills `scratch.own` and gives the topic as it is to be written: empty where an alias says it.
    fn properties<'m>(&mut self, connection: &mut Connection, message: &Message<'m>) -> &'m str {
        self.scratch.own.clear();
        if connection.version != Version::V5 {
            return message.topic;
        }
        self.fill_shared(message);
        self.scratch.own.extend_from_slice(&self.scratch.shared);
        for id in &self.scratch.ids {
            property::put_varint(&mut self.scratch.own, property::SUBSCRIPTION_ID, *id);
        }
        let aliases_max = usize::from(connection.allowed.topic_alias_max.min(self.settings.topic_alias_out_max));
        if aliases_max == 0 {
            return message.topic;
        }
        let known = connection.aliases_out.iter().position(|topic| &**topic == message.topic);
        let alias = match known {
            Some(at) => at,
            None if connection.aliases_out.len() < aliases_max => {
                connection.aliases_out.push(message.topic.into());
                connection.aliases_out.len() - 1
            }
            None => return message.topic,
        };
        property::put_two(&mut self.scratch.own, property::TOPIC_ALIAS, alias as u16 + 1);
        if known.is_some() { "" } else { message.topic }
    }

    fn count(&mut self, message: &Message<'_>) {
        self.counts.messages_sent += 1;
        self.counts.bytes_sent += message.payload.len() as u64;
    }
}

/// The packet is not larger than the client takes.
fn fits(connection: &Connection, draft: &PublishDraft<'_>) -> bool {
    draft.bytes(connection.version).is_some_and(|bytes| bytes <= connection.allowed.packet_bytes_max as usize)
}

/// The alias was to be set by a packet that is not sent.
fn forget_alias(connection: &mut Connection, topic: &str) {
    if connection.aliases_out.last().is_some_and(|last| &**last == topic) {
        connection.aliases_out.pop();
    }
}

impl Broker {
    /// Everything that sending needs, and the connections beside it.
    pub(super) fn sender(&mut self) -> (Sender<'_>, &mut [super::Slot]) {
        let Self { node, scratch, counts, now, slots, .. } = self;
        (Sender { settings: &node.settings, scratch, counts, now: *now }, slots)
    }

    /// Sends retained messages and those of shares that wait for room.
    pub(super) fn send_waiting(&mut self, connection: &mut Connection) {
        // Not before SUBACK, which waits for the store.
        if !connection.held.is_empty() {
            return;
        }
        while let Some(waiting) = connection.session.as_ref().and_then(|session| session.waiting.front().cloned()) {
            let event = Event::new(&waiting.message, 0);
            let Some(message) = mapping::message(&event) else {
                self.drop_waiting(connection);
                continue;
            };
            if message.is_expired(self.now.unix_ms) {
                self.counts.expired_messages += 1;
                self.node.retained.remove(message.topic, &waiting.message);
                self.drop_waiting(connection);
                continue;
            }
            let (mut sender, _) = self.sender();
            sender.scratch.next_message();
            sender.scratch.ids.clear();
            sender.scratch.ids.extend((waiting.id > 0).then_some(waiting.id));
            let manner = Manner { qos: message.qos.min(waiting.qos), retain: true };
            match sender.send(connection, &message, manner, || Origin::Retained(waiting.message.clone())) {
                Sent::Done => self.drop_waiting(connection),
                Sent::NoRoom => break,
            }
        }
        while let Some(given) = connection.given.pop_front() {
            if self.send_given(connection, &given) == Sent::NoRoom {
                connection.given.push_front(given);
                break;
            }
            let client_id = connection.client_id.clone();
            let (home, group) = given.group;
            let credit = crate::mqtt::mail::Mail::ShareCredit { group, client_id, credit: 1, unsent: Vec::new() };
            self.mail(home, credit);
        }
        self.touch(connection);
    }

    fn drop_waiting(&mut self, connection: &mut Connection) {
        if let Some(session) = &mut connection.session {
            session.waiting.pop_front();
            if session.waiting.is_empty() {
                session.waiting = Default::default();
            }
        }
    }

    fn send_given(&mut self, connection: &mut Connection, given: &crate::mqtt::connection::Given) -> Sent {
        let event = Event::new(&given.batch, usize::from(given.row));
        let Some(message) = mapping::message(&event) else { return Sent::Done };
        let (mut sender, _) = self.sender();
        sender.scratch.next_message();
        sender.scratch.ids.clear();
        sender.scratch.ids.extend((given.id > 0).then_some(given.id));
        let manner = Manner { qos: message.qos.min(given.qos), retain: message.retain && given.retain_as_published };
        sender.send(connection, &message, manner, || Origin::of(&event))
    }
}

impl Origin {
    /// Of an event of the log.
    pub(super) fn of(event: &Event<'_>) -> Self {
        Self::Log { partition: event.partition(), offset: event.offset() }
    }

    /// The one row of a retained message.
    pub(super) fn retained(&self) -> Option<&Arc<Batch>> {
        match self {
            Self::Retained(batch) => Some(batch),
            Self::Log { .. } => None,
        }
    }
}
