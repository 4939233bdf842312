//! How a connection ends, and what becomes of its session and its will (MQTT 5, 3.14, 4.13; 3.1.2.5 for the will).

use std::sync::Arc;

use super::{Broker, Handled};
use crate::mqtt::codec::{Disconnect, Reason, Version};
use crate::mqtt::connection::{Connection, Phase};
use crate::mqtt::mail::Mail;
pub(super) use crate::mqtt::mapping::lifecycle::DisconnectionReason as LifeCycle;
use crate::mqtt::registry::{Due, Parked, Place};
use crate::mqtt::session::{Position, Session};
use crate::mqtt::store;

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
        if let (Some(reason), Phase::Open) = (ending.reason, was) {
            Self::disconnect(connection, reason, ending.detail);
        }
        self.touch(connection);
        connection.partial = Vec::new();
        if let Some(reader) = connection.reader_waker.take() {
            reader.wake();
        }
        connection.owed.clear();
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
        if session.position == Position::Live {
            session.position = Position::At(self.tap.clone());
        }
        let mut will = connection.will.take().filter(|_| ending.publishes_will);
        let is_due = will.as_ref().is_some_and(|will| will.delay_s == 0) || !session.is_persistent();
        if let Some(will) = will.take_if(|_| is_due) {
            self.publish_will(&will);
        }
        let heir = connection.heir.take();
        if session.is_persistent() {
            let parked = Box::new(Parked::new(session, will, self.now.unix_ms));
            match heir {
                Some(heir) => self.mail(heir.core, Mail::Session { to: heir, parked: Some(parked) }),
                None => self.park_for(connection.place, parked),
            }
        } else {
            self.forget_shares(&session);
            match heir {
                Some(heir) => self.mail(heir.core, Mail::Session { to: heir, parked: None }),
                // Claimed meanwhile: who did asks this core, which has nothing any more.
                None => drop(self.node.registry.remove(&session.client_id, connection.place)),
            }
            if session.is_dirty {
                // It was to stay at first, so it may be stored.
                self.effects.changes.sessions.push((session.client_id.clone(), None));
            }
        }
    }

    /// The session stays while its client is away.
    pub(super) fn park_for(&mut self, place: Place, parked: Box<Parked>) {
        let record = store::encode(&parked.session, parked.expires_at_ms);
        self.effects.changes.sessions.push((parked.session.client_id.clone(), Some(record)));
        // Soon: another core may have the session next, and what it stores must come later than this.
        self.effects.changes.is_urgent = true;
        if let Err(parked) = self.node.registry.park(place, parked) {
            self.limbo.insert(place, parked);
        }
    }

    /// Another connection wants the session of `from`.
    pub(super) fn hand_over(&mut self, from: Place, by: Place) {
        if let Some(parked) = self.limbo.remove(&from) {
            return self.mail(by.core, Mail::Session { to: by, parked: Some(parked) });
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
        self.forget_shares(&parked.session);
        if let Some((will, _)) = parked.will {
            self.publish_will(&will);
        }
        self.effects.changes.sessions.push((parked.session.client_id.clone(), None));
    }

    /// What has come due for clients that are away. One core does it for all.
    pub(super) fn due(&mut self) {
        for due in self.node.registry.take_due(self.now.unix_ms) {
            match due {
                Due::Will(will) => self.publish_will(&will),
                Due::Ended(parked) => self.session_ended(*parked),
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
                Some(Err(_)) => self.end(&mut connection, Ending::denied(Reason::NotAuthorized, "not allowed any more")),
                None => {}
            }
            self.put(connection);
        }
    }

    /// Connections that are not forgotten yet.
    pub fn open_connections(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}
