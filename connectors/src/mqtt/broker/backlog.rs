//! Sessions and shares that are not live: what they want is read from the log, from their position up to the tap, and from
//! there on they are live again.
//!
//! The broker says what to read; whoever drives it reads and gives. What always holds: messages that were under way on an earlier
//! connection are sent again first, in their order; per partition offsets only grow; nothing behind the tap is given, so
//! that where the log ends the tap begins.

use std::sync::Arc;
use std::task::Waker;

use engine::batch::Batch;
use engine::event::Event;

use super::deliver::{ClientTarget, manner};
use super::send::Sent;
use super::{Broker, Place};
use crate::mqtt::codec::Qos;
use crate::mqtt::connection::Connection;
use crate::mqtt::mapping;
use crate::mqtt::session::{Origin, Position, split_share};
use crate::mqtt::topics::filter_takes;

/// Whose backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Of the session of a connection.
    Session(Place),
    /// Of a share, by its number.
    Share(u32),
}

/// What a reader is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BacklogStep {
    /// Read the log and come with it to [`Broker::backlog_give`], or with what is missing to [`Broker::backlog_skip`].
    Read {
        /// The partition.
        partition: u32,
        /// From this offset.
        from: u64,
    },
    /// Wait to be woken: the client takes no more just now.
    Wait,
    /// All is done.
    End,
}

impl Broker {
    /// What to do for a backlog. `waker` is woken when there is more after [`BacklogStep::Wait`].
    pub fn backlog_step(&mut self, reading: Reading, waker: &Waker) -> BacklogStep {
        match reading {
            Reading::Session(place) => {
                let Some(mut connection) = self.take(place) else { return BacklogStep::End };
                let step = self.session_step(&mut connection, waker);
                connection.asked = match &step {
                    BacklogStep::Read { partition, from } => Some((*partition, *from)),
                    BacklogStep::Wait | BacklogStep::End => None,
                };
                if step == BacklogStep::End {
                    connection.has_reader = false;
                    connection.reader_waker = None;
                }
                self.touch(&mut connection);
                self.put(connection);
                step
            }
            Reading::Share(number) => self.share_step(number, waker),
        }
    }

    fn session_step(&mut self, connection: &mut Connection, waker: &Waker) -> BacklogStep {
        // What was under way before comes first.
        loop {
            let window = usize::from(connection.allowed.receive_max.min(self.node.settings.in_flight_max));
            let Some(session) = &connection.session else { return BacklogStep::End };
            let Some(known) = session.in_flight.get(session.sent) else { break };
            if session.sent >= window || connection.unsent() >= self.node.settings.out_bytes_max {
                connection.reader_waker = Some(waker.clone());
                return BacklogStep::Wait;
            }
            match (&known.origin, known.is_released) {
                (Origin::Log { partition, offset }, false) => {
                    return BacklogStep::Read { partition: *partition, from: *offset };
                }
                (origin, _) => {
                    let batch = origin.retained().cloned();
                    let event = batch.as_ref().map(|batch| Event::new(batch, 0));
                    let message = event.as_ref().and_then(mapping::message);
                    let (mut sender, _) = self.sender();
                    sender.scratch.next_message();
                    sender.scratch.ids.clear();
                    sender.send_again(connection, message.as_ref());
                }
            }
        }
        self.send_waiting(connection);
        let Some(session) = &mut connection.session else { return BacklogStep::End };
        let Position::At(position) = &mut session.position else { return BacklogStep::End };
        // Who lags too far goes on where he may.
        let lag_max = self.node.settings.lag_events_max;
        for (partition, (at, tap)) in position.iter_mut().zip(&self.tap).enumerate() {
            if lag_max > 0 && tap.saturating_sub(*at) > lag_max {
                self.counts.skipped_events += tap - lag_max - *at;
                tracing::warn!(
                    client = %connection.client_id, partition, events = tap - lag_max - *at,
                    "a session lags further behind than lag_events_max: the oldest events are not looked at for it"
                );
                *at = tap - lag_max;
            }
        }
        let next = position.iter().zip(&self.tap).position(|(at, tap)| at < tap);
        if let Some(partition) = next {
            if !has_room(connection, &self.node.settings) {
                connection.reader_waker = Some(waker.clone());
                return BacklogStep::Wait;
            }
            let from = match connection.session.as_ref().map(|session| &session.position) {
                Some(Position::At(position)) => position[partition],
                _ => return BacklogStep::End,
            };
            return BacklogStep::Read { partition: partition as u32, from };
        }
        let is_ahead = |of: &[u64]| of.iter().zip(&self.tap).any(|(at, tap)| at > tap);
        let since = session.subscriptions.iter().filter_map(|known| known.since.as_deref());
        if is_ahead(position) || since.into_iter().any(is_ahead) {
            // It, or a subscription, comes from a core whose tap was further on.
            connection.reader_waker = Some(waker.clone());
            self.tap_waiters.push(Reading::Session(connection.place));
            return BacklogStep::Wait;
        }
        session.position = Position::Live;
        session.is_dirty = true;
        for subscription in &mut session.subscriptions {
            subscription.since = None;
        }
        connection.away_until = None;
        BacklogStep::End
    }

    /// What the log has at the place that [`BacklogStep::Read`] named.
    pub fn backlog_give(&mut self, reading: Reading, partition: u32, batches: &[Arc<Batch>]) {
        match reading {
            Reading::Session(place) => {
                let Some(mut connection) = self.take(place) else { return };
                self.session_give(&mut connection, partition, batches);
                self.touch(&mut connection);
                self.put(connection);
            }
            Reading::Share(number) => self.share_give_backlog(number, partition, batches),
        }
    }

    fn session_give(&mut self, connection: &mut Connection, partition: u32, batches: &[Arc<Batch>]) {
        let Some((_, offset)) = connection.asked.take().filter(|asked| wants(connection, *asked)) else { return };
        let Some(session) = &connection.session else { return };
        if session.sent < session.in_flight.len() {
            let holds = |batch: &&Arc<Batch>| (batch.base_offset()..=batch.last_offset()).contains(&offset);
            let batch = batches.iter().find(holds);
            let event = batch.map(|batch| Event::new(batch, (offset - batch.base_offset()) as usize));
            let message = event.as_ref().and_then(mapping::message);
            let ids: Vec<u32> = message.as_ref().map_or(Vec::new(), |message| {
                let takes =
                    |filter: &str| filter_takes(split_share(filter).map_or(filter, |(_, own)| own), message.topic);
                let found = session.subscriptions.iter().filter(|known| known.id > 0 && takes(&known.filter));
                found.map(|known| known.id).collect()
            });
            let (mut sender, _) = self.sender();
            sender.scratch.next_message();
            sender.scratch.ids = ids;
            sender.send_again(connection, message.as_ref());
            return;
        }
        for batch in batches {
            for row in 0..batch.rows().len() {
                let event = Event::new(batch, row);
                let Some(session) = &mut connection.session else { return };
                let Position::At(position) = &mut session.position else { return };
                let at = &mut position[partition as usize];
                // The tap gives what is behind it.
                if event.offset() >= self.tap[partition as usize] {
                    return;
                }
                if event.offset() < *at {
                    continue;
                }
                *at = event.offset();
                if self.offer(connection, &event) == Sent::NoRoom {
                    return;
                }
                if let Some(Position::At(position)) = connection.session.as_mut().map(|session| &mut session.position) {
                    position[partition as usize] = event.offset() + 1;
                }
            }
        }
    }

    /// Sends an event of the log if the session wants it.
    fn offer(&mut self, connection: &mut Connection, event: &Event<'_>) -> Sent {
        let Some(message) = mapping::message(event) else { return Sent::Done };
        let Some(session) = &connection.session else { return Sent::Done };
        let (partition, offset) = (event.partition() as usize, event.offset());
        let takes = |known: &&crate::mqtt::session::Subscription| {
            known.since.as_ref().is_none_or(|since| offset >= since[partition])
                && split_share(&known.filter).is_none()
                && filter_takes(&known.filter, message.topic)
        };
        let subscriptions = session.subscriptions.iter().filter(takes).map(|known| ClientTarget {
            index: connection.place.index,
            id: known.id,
            qos: known.options.qos,
            no_local: known.options.no_local,
            retain_as_published: known.options.retain_as_published,
        });
        let mut ids = std::mem::take(&mut self.scratch.ids);
        let manner = manner(subscriptions, &message, &connection.client_id, &mut ids);
        let was_away = connection.away_until.as_ref().is_some_and(|until| offset < until[partition]);
        let (mut sender, _) = self.sender();
        sender.scratch.ids = ids;
        let Some(manner) = manner else { return Sent::Done };
        if manner.qos == Qos::AtMostOnce && was_away && !sender.settings.queue_qos0 {
            return Sent::Done;
        }
        sender.scratch.next_message();
        sender.send(connection, &message, manner, || Origin::of(event))
    }

    /// The log has nothing of a partition before `next`: how many events `from` there on are lost.
    pub fn backlog_skip(&mut self, reading: Reading, partition: u32, next: u64) {
        let place = match reading {
            Reading::Session(place) => place,
            Reading::Share(number) => return self.share_skip(number, partition, next),
        };
        let Some(mut connection) = self.take(place) else { return };
        let asked = connection.asked.take().filter(|asked| wants(&connection, *asked));
        if let Some(session) = connection.session.as_mut().filter(|_| asked.is_some()) {
            let resends = session.sent < session.in_flight.len();
            if let (Position::At(position), false) = (&mut session.position, resends) {
                let at = &mut position[partition as usize];
                let lost = next.saturating_sub(*at);
                self.counts.lost_events += lost;
                *at = next.max(*at);
                tracing::warn!(
                    client = %connection.client_id, partition, lost_events = lost,
                    "the log no longer has what a session had still to get"
                );
            }
            if resends {
                let (mut sender, _) = self.sender();
                sender.send_again(&mut connection, None);
            }
        }
        self.put(connection);
    }

    pub(super) fn wake_reader(&mut self, reading: Reading) {
        let waker = match reading {
            Reading::Session(place) => self.connection(place).and_then(|connection| connection.reader_waker.take()),
            Reading::Share(number) => self.group(number).and_then(|group| group.waker.take()),
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// What was asked for is still what is wanted next: the client may have sent receipts while it was read.
fn wants(connection: &Connection, (partition, from): (u32, u64)) -> bool {
    let Some(session) = &connection.session else { return false };
    match (session.in_flight.get(session.sent), &session.position) {
        (Some(known), _) => {
            let is_it = |origin: &Origin| matches!(origin, Origin::Log { partition: of, offset } if (*of, *offset) == (partition, from));
            is_it(&known.origin) && !known.is_released
        }
        (None, Position::At(position)) => position[partition as usize] == from,
        (None, Position::Live) => false,
    }
}

fn has_room(connection: &Connection, settings: &crate::mqtt::config::MqttConfig) -> bool {
    let window = usize::from(connection.allowed.receive_max.min(settings.in_flight_max));
    let under_way = connection.session.as_ref().map_or(0, |session| session.in_flight.len());
    connection.unsent() < settings.out_bytes_max && under_way < window
}
