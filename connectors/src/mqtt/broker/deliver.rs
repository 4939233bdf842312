//! The tap: every synced batch, from the log to the sessions that are live (MQTT 5, 3.3.4, 4.7).

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::batch::Batch;
use engine::event::Event;

use super::Broker;
use super::send::{Manner, Sent};
use crate::mqtt::codec::Qos;
use crate::mqtt::limits::KNOWN_TOPICS_MAX;
use crate::mqtt::mapping::{self, Message};
use crate::mqtt::session::{Origin, Position};

/// Who subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A client of this core.
    Client(ClientTarget),
    /// A share whose home is this core.
    Group(u32),
}

/// One subscription of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientTarget {
    pub index: u32,
    pub id: u32,
    pub qos: Qos,
    pub no_local: bool,
    pub retain_as_published: bool,
}

/// How a client gets a message that some of its subscriptions take: once, at the highest QoS, with the identifiers of all of
/// them; `None`: it is its own and no subscription wants that. Identifiers go into `ids`.
pub(super) fn manner(
    subscriptions: impl Iterator<Item = ClientTarget>,
    message: &Message<'_>,
    client_id: &str,
    ids: &mut Vec<u32>,
) -> Option<Manner> {
    ids.clear();
    let mut found: Option<Manner> = None;
    let is_own = message.publisher == client_id.as_bytes();
    for subscription in subscriptions.filter(|subscription| !(is_own && subscription.no_local)) {
        if subscription.id > 0 && !ids.contains(&subscription.id) {
            ids.push(subscription.id);
        }
        let retain = message.retain && subscription.retain_as_published;
        let before = found.unwrap_or(Manner { qos: Qos::AtMostOnce, retain: false });
        found = Some(Manner { qos: before.qos.max(subscription.qos), retain: before.retain || retain });
    }
    found.map(|manner| Manner { qos: manner.qos.min(message.qos), ..manner })
}

impl Broker {
    /// A batch is synced.
    pub fn deliver(&mut self, batch: &Arc<Batch>) {
        let partition = batch.partition() as usize;
        // Without subscribers and retained messages there is nothing to look for.
        if !self.subscriptions.is_empty() || self.node.has_retained.load(Ordering::Acquire) {
            for row in 0..batch.rows().len() {
                let event = Event::new(batch, row);
                if event.offset() < self.tap[partition] {
                    continue;
                }
                self.tap[partition] = event.offset();
                if let Some(message) = mapping::message(&event) {
                    self.deliver_message(batch, row, &event, &message);
                }
            }
        }
        self.advance(batch.partition(), batch.last_offset() + 1);
    }

    /// Everything of a partition before `offset` was shown, or is lost.
    pub fn advance(&mut self, partition: u32, offset: u64) {
        let tap = &mut self.tap[partition as usize];
        *tap = offset.max(*tap);
        if !self.paused.is_empty() {
            self.resume_paused();
        }
        for reading in std::mem::take(&mut self.tap_waiters) {
            self.wake_reader(reading);
        }
    }

    fn deliver_message(&mut self, batch: &Arc<Batch>, row: usize, event: &Event<'_>, message: &Message<'_>) {
        if message.retain && self.node.settings.retain_available {
            self.node.retained.update(message.topic, event, message.payload.is_empty());
        }
        if self.subscriptions.is_empty() {
            return;
        }
        let targets = self.targets(message.topic);
        self.scratch.next_message();
        let mut rest = &targets[..];
        while let Some(first) = rest.first() {
            match first {
                Target::Group(number) => {
                    self.deliver_to_group(*number, batch, row, event, message);
                    rest = &rest[1..];
                }
                Target::Client(client) => {
                    let index = client.index;
                    let same = |target: &Target| matches!(target, Target::Client(other) if other.index == index);
                    let count = rest.iter().take_while(|target| same(target)).count();
                    self.deliver_to(index, &rest[..count], event, message);
                    rest = &rest[count..];
                }
            }
        }
    }

    fn deliver_to(&mut self, index: u32, targets: &[Target], event: &Event<'_>, message: &Message<'_>) {
        let (mut sender, slots) = self.sender();
        let Some(connection) = slots[index as usize].connection.as_deref_mut() else { return };
        let Some(session) = &connection.session else { return };
        if session.position != Position::Live {
            return;
        }
        let subscriptions = targets.iter().filter_map(|target| match target {
            Target::Client(client) => Some(*client),
            Target::Group(_) => None,
        });
        let Some(manner) = manner(subscriptions, message, &connection.client_id, &mut sender.scratch.ids) else {
            return;
        };
        let sent = sender.send(connection, message, manner, || Origin::of(event));
        let is_unsaved = manner.qos > Qos::AtMostOnce
            && !connection.is_listed
            && connection.session.as_ref().is_some_and(|session| session.is_persistent());
        let was_touched = std::mem::replace(&mut connection.is_touched, true);
        if is_unsaved {
            connection.is_listed = true;
            self.unsaved.push(index);
        }
        if !was_touched {
            self.effects.touched.push(index);
        }
        if sent == Sent::NoRoom {
            self.fall_behind(index);
        }
    }

    /// From this event on the session gets what it wants from the log.
    fn fall_behind(&mut self, index: u32) {
        let Some(mut connection) = self.slots[index as usize].connection.take() else { return };
        if let Some(session) = &mut connection.session {
            session.position = Position::At(self.tap.clone());
            // As it is stored it follows its core: after a crash it would miss what it is behind with.
            session.is_dirty = true;
        }
        self.read_backlog(&mut connection);
        self.put(connection);
    }

    /// Who takes the topic: clients with their subscriptions side by side, then groups.
    fn targets(&mut self, topic: &str) -> Rc<[Target]> {
        if let Some(known) = self.known_topics.get(topic) {
            return known.clone();
        }
        let mut found = Vec::new();
        self.subscriptions.matches(topic, &mut |target| found.push(*target));
        found.sort_by_key(|target| match target {
            Target::Client(client) => (false, client.index),
            Target::Group(number) => (true, *number),
        });
        let found: Rc<[Target]> = found.into();
        if self.known_topics.len() >= KNOWN_TOPICS_MAX {
            self.known_topics.clear();
        }
        self.known_topics.insert(topic.into(), found.clone());
        found
    }
}
