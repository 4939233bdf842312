//! CONNECT to CONNACK: who it is, which session it gets, what holds between the two from now on (MQTT 5, 3.1 and 3.2; MQTT 3.1.1).

use std::cmp::Reverse;
use std::sync::Arc;

use super::tick::{Timer, TimerKind};
use super::{Broker, Ending, Handled, LifeCycle};
use crate::mqtt::access::{Attempt, Identity, Refusal};
use crate::mqtt::codec::{Auth, ConnAck, ConnAckProperties, Connect, Reason, Version, write_auth, write_connack};
use crate::mqtt::connection::{Allowed, Connection, Phase, Wish};
use crate::mqtt::mail::Mail;
use crate::mqtt::registry::{Claim, ClaimError, Parked, Place};
use crate::mqtt::session::{NEVER_EXPIRES_S, Position, Session};
use crate::mqtt::store::{self, Changes};
use crate::mqtt::will::Will;

/// Longest client identifier: it may become the key of events.
const CLIENT_ID_BYTES_MAX: usize = engine::limits::KEY_BYTES_MAX;

impl Broker {
    pub(super) fn handle_connect(&mut self, connection: &mut Connection, connect: &Connect<'_>) -> Handled {
        connection.version = connect.version;
        let properties = &connect.properties;
        connection.allowed = Allowed {
            receive_max: properties.receive_max.unwrap_or(u16::MAX),
            packet_bytes_max: properties.packet_bytes_max.unwrap_or(u32::MAX),
            topic_alias_max: properties.topic_alias_max.unwrap_or(0),
            problem_information: properties.request_problem_information,
        };
        let settings = &self.node.settings;
        if connect.client_id.len() > CLIENT_ID_BYTES_MAX {
            self.refuse_connect(connection, Reason::ClientIdentifierNotValid, "the client identifier is too long");
            return Handled::Done;
        }
        let is_assigned = connect.client_id.is_empty();
        // Version 3.1.1 lets a client without a name have no session that stays (3.1.3-8); 3.1 knows none without a name.
        if is_assigned && !(connect.version == Version::V5 || connect.version == Version::V311 && connect.clean_start) {
            self.refuse_connect(
                connection,
                Reason::ClientIdentifierNotValid,
                "a session that stays needs a client identifier",
            );
            return Handled::Done;
        }
        connection.client_id = if is_assigned { assigned_id() } else { Arc::from(connect.client_id) };
        if let Some(will) = &connect.will {
            if will.qos > settings.qos() {
                self.refuse_connect(connection, Reason::QosNotSupported, "the will's QoS is above the maximum");
                return Handled::Done;
            }
            if will.retain && !settings.retain_available {
                self.refuse_connect(connection, Reason::RetainNotSupported, "retained messages are not kept here");
                return Handled::Done;
            }
            connection.will = Some(Box::new(Will::of(&connection.client_id, will)));
        }
        let asked_s = match connect.version {
            Version::V5 => properties.session_expiry_s.unwrap_or(0),
            _ if connect.clean_start => 0,
            _ => NEVER_EXPIRES_S,
        };
        let expiry_s = asked_s.min(settings.session_expiry_s_max);
        let keep_alive_s = settings.keep_alive(connect.keep_alive_s);
        connection.keep_alive_s = keep_alive_s;
        connection.wish = Some(Box::new(Wish {
            clean_start: connect.clean_start,
            expiry_s,
            is_assigned,
            keep_alive_differs: keep_alive_s != connect.keep_alive_s,
            expiry_differs: expiry_s != asked_s,
            auth_method: properties.auth_method.map(Into::into),
        }));
        let attempt = Attempt {
            client_id: connection.client_id.to_string(),
            username: connect.username.map(str::to_owned),
            password: connect.password.map(<[u8]>::to_vec),
            auth_method: properties.auth_method.map(str::to_owned),
            auth_data: properties.auth_data.map(<[u8]>::to_vec),
            certificate: connection.certificate.take(),
            is_loopback: connection.is_loopback,
        };
        connection.phase = Phase::Authenticating;
        if self.node.access.is_slow(&attempt) {
            self.effects.attempts.push((connection.place, Box::new(attempt)));
        } else {
            let result = self.node.access.authenticate(&attempt, self.unix_s());
            self.identified(connection, result);
        }
        Handled::Done
    }

    pub(super) fn unix_s(&self) -> u64 {
        u64::try_from(self.now.unix_ms / 1000).unwrap_or(0)
    }

    /// It is known, from another thread, who the client is.
    pub fn authenticated(&mut self, place: Place, result: Result<Identity, Refusal>) {
        let Some(mut connection) = self.take(place) else { return };
        match connection.phase {
            Phase::Authenticating => self.identified(&mut connection, result),
            Phase::Open => self.authenticated_again(&mut connection, result),
            _ => {}
        }
        self.put(connection);
    }

    fn identified(&mut self, connection: &mut Connection, result: Result<Identity, Refusal>) {
        let identity = match result {
            Ok(identity) => identity,
            Err(refusal) => {
                self.counts.refused_connections += 1;
                tracing::debug!(client = %connection.client_id, %refusal, "a client was not let in");
                let reason = Reason::of(refusal.code()).unwrap_or(Reason::NotAuthorized);
                self.refuse_connect(connection, reason, reason.text());
                return;
            }
        };
        if let Some(will) = &connection.will
            && !identity.grants.may_publish(&will.topic)
        {
            self.counts.denied += 1;
            self.refuse_connect(connection, Reason::NotAuthorized, "the will's topic is not allowed");
            return;
        }
        let name = identity.name.clone();
        let identity = Arc::new(identity);
        if let Some(will) = &mut connection.will {
            will.identity = Some(identity.clone());
        }
        connection.identity = Some(identity);
        match self.node.registry.claim(&connection.client_id, &name, connection.place) {
            Ok(Claim::New) => self.start(connection, None),
            Ok(Claim::Away(parked)) => self.start(connection, Some(parked)),
            Ok(Claim::Online(from)) => {
                connection.phase = Phase::AwaitsSession;
                self.mail(from.core, Mail::TakeOver { from, by: connection.place });
            }
            Err(error) => {
                self.counts.refused_connections += 1;
                let reason = match error {
                    ClaimError::OtherName => Reason::NotAuthorized,
                    ClaimError::TooMany | ClaimError::TooManyOfName => Reason::QuotaExceeded,
                };
                connection.identity = None;
                self.refuse_connect(connection, reason, "the session cannot be had");
            }
        }
    }

    /// The session that a connection waits for has come from where it was.
    pub(super) fn session_came(&mut self, to: Place, parked: Option<Box<Parked>>) {
        if let Some(abandoned) = self.abandoned.remove(&to) {
            // Gone meanwhile: the session goes on to who came after, or is nobody's for now.
            match (abandoned.heir, parked) {
                (Some(heir), parked) => self.mail(heir.core, Mail::Session { to: heir, parked }),
                (None, Some(parked)) => self.park_for(to, parked),
                (None, None) => {
                    self.node.registry.remove(&abandoned.client_id, to);
                }
            }
            return;
        }
        let Some(mut connection) = self.take(to) else {
            debug_assert!(false, "who awaits a session is there or has left word");
            return;
        };
        if let Some(heir) = connection.heir.take() {
            // Somebody newer is waiting already.
            connection.phase = Phase::Closed;
            self.touch(&mut connection);
            self.put(connection);
            self.mail(heir.core, Mail::Session { to: heir, parked });
            return;
        }
        debug_assert_eq!(connection.phase, Phase::AwaitsSession);
        self.start(&mut connection, parked);
        self.put(connection);
    }

    /// The client is let in, with the session that there is.
    fn start(&mut self, connection: &mut Connection, parked: Option<Box<Parked>>) {
        let Some(wish) = connection.wish.take() else { return };
        let name = connection.identity.as_ref().map_or_else(|| Arc::from(""), |identity| identity.name.clone());
        let is_over = |parked: &Parked| parked.expires_at_ms.is_some_and(|at_ms| at_ms <= self.now.unix_ms);
        let was_stored = parked.is_some();
        let (session, is_present) = match parked {
            Some(parked) if wish.clean_start || is_over(&parked) => {
                // It ends now; a will that waited for the client to come back goes with it (3.1.3-9).
                self.session_ended(*parked);
                (Session::new(connection.client_id.clone(), name, wish.expiry_s), false)
            }
            Some(parked) => {
                let mut session = parked.session;
                session.expiry_s = wish.expiry_s;
                session.is_dirty = true;
                (*session, true)
            }
            None => (Session::new(connection.client_id.clone(), name, wish.expiry_s), false),
        };
        let mut session = Box::new(session);
        session.sent = 0;
        connection.phase = Phase::Open;
        connection.sequence = self.node.next_sequence();
        self.counts.connections_opened += 1;
        let is_kept = session.is_persistent() || connection.will.is_some();
        connection.is_stored = is_kept || was_stored;
        self.answer(connection, &wish, is_present);
        // What a client may count on after a crash is on disk before it is told: that there is a session, that there is none any more.
        if self.node.is_durable && !is_present && (is_kept || was_stored) {
            connection.held.push((0, std::mem::take(&mut connection.out)));
            connection.is_paused = true;
            let record = is_kept.then(|| store::encode(&session, connection.will.as_deref(), None));
            self.store(Changes {
                sessions: vec![(session.client_id.clone(), record)],
                subscribers: vec![(connection.place, 0)],
                ..Changes::default()
            });
        }
        connection.auth_method = wish.auth_method;
        if connection.keep_alive_s > 0 {
            let due = connection.heard_ms + u64::from(connection.keep_alive_s) * 1500;
            self.timers.push(Reverse(Timer { due_ms: due, place: connection.place, kind: TimerKind::KeepAlive }));
        }
        if let Some(expires_at_s) = connection.identity.as_ref().and_then(|identity| identity.expires_at_s) {
            let left_s = expires_at_s.saturating_sub(self.unix_s());
            let due = self.now.tick_ms + left_s.saturating_mul(1000).min(u64::from(u32::MAX));
            self.timers.push(Reverse(Timer { due_ms: due, place: connection.place, kind: TimerKind::Token }));
        }
        for subscription in &session.subscriptions {
            self.enter(connection.place, &connection.client_id, subscription);
        }
        if is_present {
            if session.position == Position::Live {
                session.position = Position::At(self.tap.clone());
            }
            connection.away_until = Some(self.tap.clone());
        }
        let wants_reader = session.position != Position::Live || !session.in_flight.is_empty();
        connection.session = Some(session);
        if wants_reader {
            self.read_backlog(connection);
        }
        self.publish_connected(connection);
        self.touch(connection);
    }

    fn answer(&mut self, connection: &mut Connection, wish: &Wish, session_present: bool) {
        let settings = &self.node.settings;
        let client_id = connection.client_id.clone();
        let properties = ConnAckProperties {
            session_expiry_s: wish.expiry_differs.then_some(wish.expiry_s),
            receive_max: (settings.receive_max < u16::MAX).then_some(settings.receive_max),
            qos_max: settings.qos(),
            retain_available: settings.retain_available,
            packet_bytes_max: u32::try_from(settings.packet_bytes_max).ok(),
            assigned_client_id: wish.is_assigned.then_some(&*client_id),
            topic_alias_max: (settings.topic_alias_max > 0).then_some(settings.topic_alias_max),
            wildcard_available: settings.wildcard_available,
            subscription_ids_available: settings.subscription_ids_available,
            shared_available: settings.shared_available,
            server_keep_alive_s: wish.keep_alive_differs.then_some(connection.keep_alive_s),
            auth_method: wish.auth_method.as_deref(),
            ..ConnAckProperties::default()
        };
        let connack = ConnAck { session_present, reason: Reason::Success, properties };
        write_connack(&mut connection.out, connection.version, &connack);
    }

    /// The client is not let in and is told why.
    pub(super) fn refuse_connect(&mut self, connection: &mut Connection, reason: Reason, detail: &str) {
        let reason_string = Some(detail).filter(|_| connection.allowed.problem_information);
        let properties = ConnAckProperties { reason_string, ..ConnAckProperties::default() };
        let connack = ConnAck { session_present: false, reason, properties };
        write_connack(&mut connection.out, connection.version, &connack);
        self.end(connection, Ending::silent(LifeCycle::ClientAuthenticationError));
    }

    /// AUTH: the client proves anew who it is (4.12.1).
    pub(super) fn handle_auth(&mut self, connection: &mut Connection, auth: &Auth<'_>) -> Handled {
        // Only who connected with a method may use it again, and no other (4.12.0-5, 4.12.1-1).
        let method = auth.method.filter(|method| connection.auth_method.as_deref() == Some(*method));
        let (Some(method), Reason::ReAuthenticate) = (method, auth.reason) else {
            self.protocol_error(connection, "AUTH that the connection did not begin with");
            return Handled::Done;
        };
        let attempt = Attempt {
            client_id: connection.client_id.to_string(),
            auth_method: Some(method.to_owned()),
            auth_data: auth.data.map(<[u8]>::to_vec),
            is_loopback: connection.is_loopback,
            ..Attempt::default()
        };
        let result = self.node.access.authenticate(&attempt, self.unix_s());
        self.authenticated_again(connection, result);
        if connection.phase == Phase::Open {
            let user = Default::default();
            let answer = Auth { reason: Reason::Success, method: Some(method), data: None, reason_string: None, user };
            write_auth(&mut connection.out, connection.version, &answer);
            self.touch(connection);
        }
        Handled::Done
    }

    fn authenticated_again(&mut self, connection: &mut Connection, result: Result<Identity, Refusal>) {
        match result {
            Ok(identity) if connection.identity.as_ref().is_some_and(|known| known.name == identity.name) => {
                if let Some(expires_at_s) = identity.expires_at_s {
                    let left_ms =
                        expires_at_s.saturating_sub(self.unix_s()).saturating_mul(1000).min(u64::from(u32::MAX));
                    let due_ms = self.now.tick_ms + left_ms;
                    self.timers.push(Reverse(Timer { due_ms, place: connection.place, kind: TimerKind::Token }));
                }
                connection.allowed_topic.clear();
                connection.identity = Some(Arc::new(identity));
            }
            Ok(_) => self.end(connection, Ending::denied(Reason::NotAuthorized, "another name than before")),
            Err(refusal) => {
                let reason = Reason::of(refusal.code()).unwrap_or(Reason::NotAuthorized);
                self.end(connection, Ending::denied(reason, "the new proof was refused"));
            }
        }
    }
}

/// A name for a client that has none, which no other client has.
fn assigned_id() -> Arc<str> {
    Arc::from(format!("auto-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)))
}
