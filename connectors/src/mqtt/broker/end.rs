//! How a connection ends, and what becomes of its session and its will (MQTT 5, 3.14, 4.13; 3.1.2.5 for the will).

use std::sync::Arc;

use super::{Broker, Handled};
use crate::mqtt::codec::{Disconnect, Reason, ReceiptKind, Version};
use crate::mqtt::connection::{Connection, Phase};
use crate::mqtt::mail::Mail;
pub(super) use crate::mqtt::mapping::lifecycle::DisconnectionReason as LifeCycle;
use crate::mqtt::registry::{Due, Parked, Place};
use crate::mqtt::session::{Position, Session};

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// What the client is told, if its version has a word for it.
    reason: Option<Reason>,
    detail: Option<&'static str>,
    publishes_will: bool,
    life_cycle: LifeCycle,
}

impl Ending {
    /// The client has done something wrong.
    pub fn error(reason: Reason, detail: &'static str) -> Self {
        Self { reason: Some(reason), detail: Some(detail), publishes_will: true, life_cycle: LifeCycle::ClientError }
    }

    /// The client may not do what it wants to.
    pub fn denied(reason: Reason, detail: &'static str) -> Self {
        Self { life_cycle: LifeCycle::ClientAuthorizationError, ..Self::error(reason, detail) }
    }

    /// Without a word.
    pub fn silent(life_cycle: LifeCycle) -> Self {
        Self { reason: None, detail: None, publishes_will: true, life_cycle }
    }

    /// By the node's own will.
    pub fn by_server(reason: Reason, life_cycle: LifeCycle) -> Self {
        Self { reason: Some(reason), detail: None, publishes_will: true, life_cycle }
    }
}

/// A connection that went while it awaited its session.
#[derive(Debug)]
pub(super) struct Abandoned {
    pub client_id: Arc<str>,
    pub heir: Option<Place>,
}

/// A session whose client went before the log had its messages of QoS 2. Nobody gets it before it is known which of them are
/// taken: a message that comes again must be neither lost nor kept twice.
#[derive(Debug)]
pub(super) struct Unsettled {
    parked: Box<Parked>,
    heir: Option<Place>,
    /// Packet identifiers and the numbers of their batches.
    messages: Vec<(u16, u32)>,
}

impl Broker {
    /// The socket says that the client is gone.
    pub fn lost(&mut self, place: Place) {
        if let Some(mut connection) = self.take(place) {
            self.end(&mut connection, Ending::silent(LifeCycle::ConnectionLost));
            self.put(connection);
        }
    }

    pub(super) fn handle_disconnect(&mut self, connection: &mut Connection, disconnect: &Disconnect<'_>) -> Handled {
        if let (Some(session), Some(expiry_s)) = (&mut connection.session, disconnect.session_expiry_s) {
            if session.expiry_s == 0 && expiry_s > 0 {
                // What was said not to stay cannot be made to (3.14.2.2.2).
                self.protocol_error(connection, "a session that was to end with its connection cannot be kept");
                return Handled::Done;
            }
            session.expiry_s = expiry_s.min(self.node.settings.session_expiry_s_max);
            // What is stored says otherwise.
            session.is_dirty = true;
        }
        let keeps_will = connection.version == Version::V5 && disconnect.reason != Reason::Success;
        let ending = Ending { publishes_will: keeps_will, ..Ending::silent(LifeCycle::ClientInitiatedDisconnect) };
        self.end(connection, ending);
        Handled::Done
    }

    /// Ends the connection: its task sends what is in the out buffer and lets go.
    pub(super) fn end(&mut self, connection: &mut Connection, ending: Ending) {
        let was = std::mem::replace(&mut connection.phase, Phase::Closed);
        if was == Phase::Closed {
            return;
        }
        let has_connack = !connection.held.iter().any(|(packet_id, _)| *packet_id == 0);
        if let (Some(reason), Phase::Open, true) = (ending.reason, was, has_connack) {
            Self::disconnect(connection, reason, ending.detail);
        }
        self.touch(connection);
        connection.partial = Vec::new();
        if let Some(reader) = connection.reader_waker.take() {
            reader.wake();
        }
        let Some(session) = connection.session.take() else {
            if was == Phase::AwaitsSession {
                let abandoned = Abandoned { client_id: connection.client_id.clone(), heir: connection.heir.take() };
                self.abandoned.insert(connection.place, abandoned);
            }
            return;
        };
        self.counts.connections_closed += 1;
        self.publish_disconnected(connection, ending.life_cycle);
        self.leave(connection, &session);
        let mut session = session;
        let mut messages = Vec::new();
        for owed in std::mem::take(&mut connection.owed).into_iter().filter(|owed| owed.kind == ReceiptKind::Rec) {
            match owed.batch {
                Some(batch) => messages.push((owed.packet_id, batch)),
                None if owed.reason.is_error() => drop(session.release(owed.packet_id)),
                None => {}
            }
        }
        if session.position == Position::Live {
            session.position = Position::At(self.tap.clone());
        }
        let mut will = connection.will.take().filter(|_| ending.publishes_will);
        let waits = session.is_persistent();
        if let Some(will) = will.take_if(|will| will.delay_s == 0 || !waits) {
            self.publish_will(&will);
        }
        let heir = connection.heir.take();
        if session.is_persistent() {
            let parked = Box::new(Parked::new(session, will, self.now.unix_ms));
            if messages.is_empty() {
                self.pass_on(connection.place, heir, parked);
            } else {
                self.unsettled.insert(connection.place, Unsettled { parked, heir, messages });
            }
        } else {
            self.forget_shares(&session);
            if connection.is_stored {
                // At once: a will is not to be published after a crash for a client that went as it should.
                self.store_session(&session.client_id, None);
            }
            match heir {
                Some(heir) => self.mail(heir.core, Mail::Session { to: heir, parked: None }),
                // Claimed meanwhile: who did asks this core, which has nothing any more.
                None => drop(self.node.registry.remove(&session.client_id, connection.place)),
            }
        }
    }

    /// A batch is done: what it says of sessions that have lost their connection.
    pub(super) fn settle(&mut self, batch: u32, is_kept: bool) {
        for unsettled in self.unsettled.values_mut() {
            let Unsettled { parked, messages, .. } = unsettled;
            messages.retain(|(packet_id, of)| {
                if *of == batch && !is_kept {
                    parked.session.release(*packet_id);
                }
                *of != batch
            });
        }
        let settled: Vec<_> = self.unsettled.extract_if(|_, unsettled| unsettled.messages.is_empty()).collect();
        for (place, Unsettled { parked, heir, .. }) in settled {
            self.pass_on(place, heir, parked);
        }
    }

    /// The session that a connection leaves goes to who waits for it, or is nobody's for now.
    fn pass_on(&mut self, place: Place, heir: Option<Place>, parked: Box<Parked>) {
        match heir {
            Some(heir) => self.mail(heir.core, Mail::Session { to: heir, parked: Some(parked) }),
            None => self.park_for(place, parked),
        }
    }

    /// The session stays while its client is away.
    pub(super) fn park_for(&mut self, place: Place, parked: Box<Parked>) {
        self.store_session(&parked.session.client_id, Some(parked.encode()));
        if let Err(parked) = self.node.registry.park(place, parked) {
            self.limbo.insert(place, parked);
        }
    }

    /// Another connection wants the session of `from`.
    pub(super) fn hand_over(&mut self, from: Place, by: Place) {
        if let Some(parked) = self.limbo.remove(&from) {
            return self.mail(by.core, Mail::Session { to: by, parked: Some(parked) });
        }
        if let Some(unsettled) = self.unsettled.get_mut(&from) {
            unsettled.heir = Some(by);
            return;
        }
        if let Some(abandoned) = self.abandoned.get_mut(&from) {
            abandoned.heir = Some(by);
            return;
        }
        let Some(mut connection) = self.take(from) else {
            return self.mail(by.core, Mail::Session { to: by, parked: None });
        };
        match connection.phase {
            Phase::Open => {
                self.counts.taken_over += 1;
                connection.heir = Some(by);
                self.end(&mut connection, Ending::by_server(Reason::SessionTakenOver, LifeCycle::SessionTakenOver));
            }
            // It passes the session on when it gets it.
            Phase::AwaitsSession => connection.heir = Some(by),
            _ => self.mail(by.core, Mail::Session { to: by, parked: None }),
        }
        self.put(connection);
    }

    /// A session is over, by its time or because its client begins anew. A will that waited is published (3.1.3.2.2).
    pub(super) fn session_ended(&mut self, parked: Parked) {
        self.store_session(&parked.session.client_id, None);
        self.forget_session(parked);
    }

    fn forget_session(&mut self, parked: Parked) {
        self.forget_shares(&parked.session);
        if let Some((will, _)) = parked.will {
            self.publish_will(&will);
        }
    }

    /// What has come due for clients that are away. One core does it for all.
    pub(super) fn due(&mut self) {
        // Stored before another core can have the session; a will is not said again after a crash.
        let changed = |client_id: &Arc<str>, parked: Option<&Parked>| {
            self.store_session(client_id, parked.map(Parked::encode));
        };
        for due in self.node.registry.take_due(self.now.unix_ms, changed) {
            match due {
                Due::Will(will) => self.publish_will(&will),
                Due::Ended(parked) => self.forget_session(*parked),
            }
        }
    }

    /// Its subscriptions get nothing more by this connection.
    fn leave(&mut self, connection: &mut Connection, session: &Session) {
        self.return_given(connection);
        let index = connection.place.index;
        for subscription in &session.subscriptions {
            self.retire(index, &session.client_id, subscription);
        }
    }

    /// The node stops: everybody is told, sessions stay.
    pub fn stop(&mut self) {
        self.stopping = true;
        for index in 0..self.slots.len() {
            let Some(mut connection) = self.slots[index].connection.take() else { continue };
            let reason = Reason::ServerShuttingDown;
            self.end(&mut connection, Ending::by_server(reason, LifeCycle::ServerInitiatedDisconnect));
            self.put(connection);
        }
    }

    /// Who may do what was read again: who may no longer be here goes (sheet 4.4).
    pub(super) fn renew(&mut self) {
        for index in 0..self.slots.len() {
            let Some(mut connection) = self.slots[index].connection.take() else { continue };
            connection.allowed_topic.clear();
            match connection.identity.as_ref().map(|identity| self.node.access.renew(identity)) {
                Some(Ok(identity)) => connection.identity = Some(Arc::new(identity)),
                Some(Err(_)) => {
                    self.end(&mut connection, Ending::denied(Reason::NotAuthorized, "not allowed any more"))
                }
                None => {}
            }
            self.put(connection);
        }
    }

    /// Connections that are not forgotten yet, and sessions that are not parked yet.
    pub fn open_connections(&self) -> usize {
        self.slots.len() - self.free.len() + self.unsettled.len()
    }
}
