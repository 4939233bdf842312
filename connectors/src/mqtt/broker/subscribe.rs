//! SUBSCRIBE and UNSUBSCRIBE (MQTT 5, 3.8 to 3.11, 4.7, 4.8).
//!
//! A subscription begins behind everything that was acknowledged before its SUBSCRIBE came: the packet waits until the tap has
//! shown that much. So a client that was told that its message is kept, and then subscribes, finds it retained and does not get it
//! as news.

use std::sync::Arc;

use super::deliver::{ClientTarget, Target};
use super::share::home_of;
use super::{Broker, Ending, Handled, LifeCycle, Place};
use crate::mqtt::codec::{
    ConnAck, ConnAckProperties, Qos, Reason, Subscribe, SubscribeOptions, Unsubscribe, UserProperties, Version,
    is_topic_filter, write_connack, write_suback, write_unsuback,
};
use crate::mqtt::connection::Connection;
use crate::mqtt::limits::{TOPIC_LEVELS_MAX, WAITING_MAX};
use crate::mqtt::mail::{Mail, Member};
use crate::mqtt::mapping::Publisher;
use crate::mqtt::session::{Position, Session, Subscription, Waiting, split_share};
use crate::mqtt::store::{self, Changes};

impl Broker {
    /// What was acknowledged before a change of subscriptions is to be shown to those that were there: until the tap has shown it, the
    /// connection is paused. Then the packet comes again.
    fn waits_for_tap(&mut self, connection: &mut Connection) -> bool {
        if std::mem::take(&mut connection.is_resumed) || self.has_seen_acknowledged() {
            return false;
        }
        let partitions = self.tap.len() as u32;
        let acknowledged = (0..partitions).map(|partition| self.node.acked.get(partition)).collect();
        connection.is_paused = true;
        self.paused.push((connection.place, acknowledged));
        true
    }

    pub(super) fn handle_subscribe(&mut self, connection: &mut Connection, subscribe: &Subscribe<'_>) -> Handled {
        if self.waits_for_tap(connection) {
            return Handled::Later;
        }
        if subscribe.subscription_id.is_some() && !self.node.settings.subscription_ids_available {
            let detail = "subscription identifiers are not available";
            self.end(connection, Ending::error(Reason::SubscriptionIdentifiersNotSupported, detail));
            return Handled::Done;
        }
        let id = subscribe.subscription_id.unwrap_or(0);
        let mut reasons = Vec::new();
        let mut changes = false;
        for (filter, options) in subscribe.filters {
            match self.check(connection, filter, &options) {
                Ok(granted) => {
                    self.counts.subscriptions += 1;
                    changes = true;
                    reasons.push(match granted.qos {
                        Qos::AtMostOnce => Reason::Success,
                        Qos::AtLeastOnce => Reason::GrantedQos1,
                        Qos::ExactlyOnce => Reason::GrantedQos2,
                    });
                    self.subscribe(connection, filter, granted, id);
                }
                Err(Refused::Filter(reason)) => {
                    self.counts.refused_subscriptions += 1;
                    reasons.push(reason);
                }
                Err(Refused::Connection(reason, detail)) => {
                    self.counts.refused_subscriptions += 1;
                    self.end(connection, Ending::error(reason, detail));
                    return Handled::Done;
                }
            }
        }
        let mut answer = Vec::new();
        write_suback(&mut answer, connection.version, subscribe.packet_id, &reasons, None, UserProperties::default());
        self.answer_when_stored(connection, subscribe.packet_id, answer, changes);
        self.touch(connection);
        Handled::Done
    }

    /// Sends SUBACK or UNSUBACK: what a client may count on after a crash is on disk before it is told.
    fn answer_when_stored(&mut self, connection: &mut Connection, packet_id: u16, answer: Vec<u8>, changes: bool) {
        match connection.session.as_ref().filter(|session| changes && session.is_persistent()) {
            Some(session) if self.node.is_durable => {
                let record = store::encode(session, connection.will.as_deref(), None);
                connection.held.push((packet_id, answer));
                self.store(Changes {
                    sessions: vec![(session.client_id.clone(), Some(record))],
                    subscribers: vec![(connection.place, packet_id)],
                    ..Changes::default()
                });
            }
            _ => {
                connection.out.extend_from_slice(&answer);
                self.send_waiting(connection);
            }
        }
    }

    fn has_seen_acknowledged(&self) -> bool {
        (0..).zip(&self.tap).all(|(partition, seen)| *seen >= self.node.acked.get(partition))
    }

    /// Lets go on whose SUBSCRIBE the tap has caught up with.
    pub(super) fn resume_paused(&mut self) {
        let mut at = 0;
        while at < self.paused.len() {
            let (place, upto) = &self.paused[at];
            // What was acknowledged in memory alone and then lost is nothing to wait for.
            let is_seen = |(partition, upto): (u32, &u64)| {
                self.tap[partition as usize] >= (*upto).min(self.node.acked.get(partition))
            };
            if !(0..).zip(upto.iter()).all(is_seen) {
                at += 1;
                continue;
            }
            let place = *place;
            self.paused.swap_remove(at);
            if let Some(mut connection) = self.take(place) {
                connection.is_paused = false;
                connection.is_resumed = true;
                self.touch(&mut connection);
                self.put(connection);
            }
        }
    }

    /// What is granted, or why nothing.
    fn check(
        &mut self,
        connection: &Connection,
        filter: &str,
        options: &SubscribeOptions,
    ) -> Result<SubscribeOptions, Refused> {
        let settings = &self.node.settings;
        let share = filter.strip_prefix("$share/");
        let own = match share {
            None if filter == "$share" => "",
            None => filter,
            Some(rest) => match rest.split_once('/') {
                Some((group, own)) if !group.is_empty() && !group.contains(['+', '#']) => own,
                _ => "",
            },
        };
        let levels = own.bytes().filter(|byte| *byte == b'/').count();
        if own.is_empty() || !is_topic_filter(own) {
            return Err(match connection.version {
                Version::V5 => Refused::Filter(Reason::TopicFilterInvalid),
                _ => Refused::Connection(Reason::TopicFilterInvalid, "the topic filter is not well formed"),
            });
        }
        if levels >= TOPIC_LEVELS_MAX {
            return Err(Refused::Filter(Reason::TopicFilterInvalid));
        }
        if share.is_some() {
            if options.no_local && connection.is_v5() {
                // 3.8.3-4
                return Err(Refused::Connection(Reason::ProtocolError, "no local in a shared subscription"));
            }
            if !settings.shared_available {
                let detail = "shared subscriptions are not available";
                return Err(unavailable(connection, Reason::SharedSubscriptionsNotSupported, detail));
            }
        }
        if own.contains(['+', '#']) && !settings.wildcard_available {
            let detail = "wildcards are not available";
            return Err(unavailable(connection, Reason::WildcardSubscriptionsNotSupported, detail));
        }
        let is_allowed = connection.identity.as_ref().is_some_and(|identity| {
            let client = Publisher { client_id: &connection.client_id, identity, version: connection.version };
            identity.grants.may_subscribe(filter) && self.node.mapper.allows_filter(&client, own)
        });
        if !is_allowed {
            self.counts.denied += 1;
            return Err(Refused::Filter(Reason::NotAuthorized));
        }
        if let Some(session) = &connection.session
            && session.subscriptions.len() >= settings.subscriptions_max
            && session.subscription(filter).is_none()
        {
            return Err(Refused::Filter(Reason::QuotaExceeded));
        }
        Ok(SubscribeOptions { qos: options.qos.min(settings.qos()), ..*options })
    }

    fn subscribe(&mut self, connection: &mut Connection, filter: &str, options: SubscribeOptions, id: u32) {
        let Some(mut session) = connection.session.take() else { return };
        let known = session.subscription(filter);
        let since = (session.position != Position::Live).then(|| self.tap.clone());
        let subscription = Subscription { filter: filter.into(), options, id, since };
        let is_shared = split_share(filter).is_some();
        if !is_shared && (options.retain_handling == 0 || options.retain_handling == 1 && known.is_none()) {
            for message in self.node.retained.matching(filter, &self.tap) {
                if session.waiting.len() < WAITING_MAX {
                    session.waiting.push_back(Waiting { message, qos: options.qos, id });
                }
            }
        }
        match known {
            Some(at) => {
                let before = std::mem::replace(&mut session.subscriptions[at], subscription);
                // Older events that the one before wanted are still wanted.
                if session.position != Position::Live {
                    session.subscriptions[at].since = before.since.clone();
                }
                if !is_shared {
                    self.retire(connection.place.index, &session.client_id, &before);
                }
                let subscription = session.subscriptions[at].clone();
                self.enter(connection.place, &connection.client_id, &subscription);
            }
            None => {
                self.enter(connection.place, &connection.client_id, &subscription);
                session.subscriptions.push(subscription);
            }
        }
        session.is_dirty = true;
        connection.session = Some(session);
    }

    pub(super) fn handle_unsubscribe(&mut self, connection: &mut Connection, unsubscribe: &Unsubscribe<'_>) -> Handled {
        if self.waits_for_tap(connection) {
            return Handled::Later;
        }
        let Some(mut session) = connection.session.take() else { return Handled::Done };
        let mut reasons = Vec::new();
        for filter in unsubscribe.filters {
            let reason = match session.subscription(filter) {
                Some(at) => {
                    let gone = session.subscriptions.remove(at);
                    session.is_dirty = true;
                    match split_share(&gone.filter) {
                        Some(_) => self.forget_share(&session.client_id, &gone.filter),
                        None => self.retire(connection.place.index, &session.client_id, &gone),
                    }
                    Reason::Success
                }
                None => Reason::NoSubscriptionExisted,
            };
            reasons.push(reason);
        }
        connection.session = Some(session);
        let mut answer = Vec::new();
        write_unsuback(
            &mut answer,
            connection.version,
            unsubscribe.packet_id,
            &reasons,
            None,
            UserProperties::default(),
        );
        let changes = reasons.contains(&Reason::Success);
        self.answer_when_stored(connection, unsubscribe.packet_id, answer, changes);
        self.touch(connection);
        Handled::Done
    }

    /// The store has kept, or could not keep, what these clients have subscribed to.
    pub(super) fn stored(&mut self, subscribers: &[(Place, u16)], is_kept: bool) {
        for (place, packet_id) in subscribers {
            // 0 stands for CONNACK.
            let is_connack = *packet_id == 0;
            let Some(mut connection) = self.take(*place) else { continue };
            if let Some(at) = connection.held.iter().position(|(held, _)| held == packet_id) {
                let (_, answer) = connection.held.remove(at);
                if is_connack {
                    connection.is_paused = false;
                }
                if is_kept {
                    connection.out.extend_from_slice(&answer);
                    self.send_waiting(&mut connection);
                } else if is_connack {
                    let (reason, properties) = (Reason::ServerUnavailable, ConnAckProperties::default());
                    let refusal = ConnAck { session_present: false, reason, properties };
                    write_connack(&mut connection.out, connection.version, &refusal);
                    self.end(&mut connection, Ending::silent(LifeCycle::ServerError));
                } else {
                    let detail = "the session could not be stored";
                    self.end(&mut connection, Ending::error(Reason::ImplementationSpecific, detail));
                }
            }
            self.touch(&mut connection);
            self.put(connection);
        }
    }

    /// A subscription of a client that is here gets messages from now on.
    pub(super) fn enter(&mut self, place: Place, client_id: &Arc<str>, subscription: &Subscription) {
        let options = &subscription.options;
        let (qos, retain_as_published, id) = (options.qos, options.retain_as_published, subscription.id);
        if let Some(share) = subscription.filter.strip_prefix("$share/") {
            let member = Member { qos, retain_as_published, id };
            let (place, since) = (Some(place), Some(self.tap.clone()));
            let join = Mail::ShareJoin { share: share.into(), client_id: client_id.clone(), place, member, since };
            return self.mail(home_of(share, self.node.cores()), join);
        }
        let target = ClientTarget { index: place.index, id, qos, no_local: options.no_local, retain_as_published };
        self.subscriptions.insert(&subscription.filter, Target::Client(target));
        self.known_topics.clear();
    }

    /// The client is away or no longer subscribed: no more messages.
    pub(super) fn retire(&mut self, index: u32, client_id: &Arc<str>, subscription: &Subscription) {
        if let Some(share) = subscription.filter.strip_prefix("$share/") {
            let options = &subscription.options;
            let (qos, retain_as_published, id) = (options.qos, options.retain_as_published, subscription.id);
            let member = Member { qos, retain_as_published, id };
            let (place, since) = (None, Some(self.tap.clone()));
            let away = Mail::ShareJoin { share: share.into(), client_id: client_id.clone(), place, member, since };
            return self.mail(home_of(share, self.node.cores()), away);
        }
        let is_it = |target: &Target| matches!(target, Target::Client(client) if client.index == index);
        self.subscriptions.remove(&subscription.filter, is_it);
        self.known_topics.clear();
    }

    /// The session ends: it is no member of any share any more.
    pub(super) fn forget_shares(&mut self, session: &Session) {
        for subscription in &session.subscriptions {
            if split_share(&subscription.filter).is_some() {
                self.forget_share(&session.client_id, &subscription.filter);
            }
        }
    }

    fn forget_share(&mut self, client_id: &Arc<str>, filter: &str) {
        if let Some(share) = filter.strip_prefix("$share/") {
            let leave = Mail::ShareLeave { share: share.into(), client_id: client_id.clone() };
            self.mail(home_of(share, self.node.cores()), leave);
        }
    }
}

/// What CONNACK said not to be there must not be asked for (3.2.2.3.11 to 13); earlier versions could not be told.
fn unavailable(connection: &Connection, reason: Reason, detail: &'static str) -> Refused {
    if connection.is_v5() { Refused::Connection(reason, detail) } else { Refused::Filter(reason) }
}

/// Why a subscription is not made.
enum Refused {
    /// It alone.
    Filter(Reason),
    /// The client must not have asked for it.
    Connection(Reason, &'static str),
}
