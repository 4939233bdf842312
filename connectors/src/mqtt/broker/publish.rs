//! PUBLISH from a client to the log: is it allowed, what event is it, and who waits for its acknowledgement (MQTT 5, 3.3, 4.3).

use std::sync::atomic::Ordering;

use engine::batch::PushError;

use super::end::LifeCycle;
use super::{Broker, Ending, Handled};
use crate::intake::Done;
use crate::mqtt::codec::{Publish, Qos, Reason, Receipt, ReceiptKind, Version, write_receipt};
use crate::mqtt::connection::{Connection, Owed};
use crate::mqtt::limits::TOPIC_LEVELS_MAX;
use crate::mqtt::mapping::Publisher;
use crate::mqtt::will::Will;

/// Receipts that a client of before version 5, which cannot be told a bound, may have outstanding before it is not read on.
const OWED_MAX: usize = 4096;

impl Broker {
    /// `known` is the topic that the client was last allowed to publish to.
    pub(super) fn handle_publish(
        &mut self,
        connection: &mut Connection,
        publish: &Publish<'_>,
        known: &str,
    ) -> Handled {
        if connection.owed.len() >= OWED_MAX && !connection.is_v5() {
            // It is read on when receipts go out.
            connection.is_full = true;
            return Handled::Later;
        }
        let settings = &self.node.settings;
        if publish.qos > settings.qos() {
            self.end(connection, Ending::error(Reason::QosNotSupported, "the QoS is above the maximum"));
            return Handled::Done;
        }
        if publish.retain && !settings.retain_available {
            self.end(connection, Ending::error(Reason::RetainNotSupported, "retained messages are not kept here"));
            return Handled::Done;
        }
        let is_repeated = publish.qos == Qos::ExactlyOnce
            && connection.session.as_ref().is_some_and(|s| s.has_taken(publish.packet_id, publish.dup));
        if publish.qos > Qos::AtMostOnce && connection.is_v5() && !is_repeated {
            if connection.received >= settings.receive_max {
                let detail = "more messages under way than the receive maximum";
                self.end(connection, Ending::error(Reason::ReceiveMaximumExceeded, detail));
                return Handled::Done;
            }
            connection.received += 1;
        }
        // The topic is moved out for the call: it may be the connection's own text.
        let alias = publish.properties.topic_alias;
        let resolved = match alias {
            None => None,
            Some(alias) => match resolve(connection, settings.topic_alias_max, alias, publish.topic) {
                Ok(topic) => Some(topic),
                Err(detail) => {
                    self.end(connection, Ending::error(Reason::TopicAliasInvalid, detail));
                    return Handled::Done;
                }
            },
        };
        match resolved {
            Some(at) if publish.topic.is_empty() => {
                let topic = std::mem::take(&mut connection.aliases_in[at]);
                self.publish(connection, publish, &topic, known, is_repeated);
                connection.aliases_in[at] = topic;
            }
            _ => self.publish(connection, publish, publish.topic, known, is_repeated),
        }
        Handled::Done
    }

    fn publish(
        &mut self,
        connection: &mut Connection,
        publish: &Publish<'_>,
        topic: &str,
        known: &str,
        is_repeated: bool,
    ) {
        if is_repeated {
            self.counts.repeated_messages += 1;
            // Its PUBREC goes when the first one's does, or went already.
            let is_owed = connection.owed.iter().any(|owed| owed.packet_id == publish.packet_id);
            if !is_owed {
                self.owe(connection, publish, Reason::Success, None);
            }
            return;
        }
        let Some(identity) = &connection.identity else { return };
        if known != topic {
            if topic.bytes().filter(|byte| *byte == b'/').count() >= TOPIC_LEVELS_MAX {
                let detail = "the topic has too many levels";
                return self.refuse_message(connection, publish, Reason::TopicNameInvalid, detail);
            }
            if !identity.grants.may_publish(topic) {
                self.counts.denied += 1;
                return self.refuse_message(connection, publish, Reason::NotAuthorized, "the topic is not allowed");
            }
            self.new_topic.clear();
            self.new_topic.push_str(topic);
            self.is_new_topic = true;
        }
        let publisher = Publisher { client_id: &connection.client_id, identity, version: connection.version };
        let mapped = match self.node.mapper.event(&publisher, publish, topic, &mut self.room) {
            Ok(mapped) => mapped,
            Err(error) => {
                tracing::debug!(client = %connection.client_id, topic, %error, "a message is no event");
                let reason = error.reason();
                return self.refuse_message(connection, publish, reason, reason.text());
            }
        };
        let pushed = self.batches.push(mapped.key, mapped.value, mapped.headers, self.now.unix_ms);
        let number = match pushed {
            Ok(number) => number,
            Err(error) => {
                let reason = match error {
                    PushError::TooLarge { .. } => Reason::PacketTooLarge,
                    PushError::TooManyHeaders | PushError::Full => Reason::QuotaExceeded,
                };
                return self.refuse_message(connection, publish, reason, "the event is larger than the log takes");
            }
        };
        self.counts.messages_received += 1;
        self.counts.bytes_received += publish.payload.len() as u64;
        if publish.retain {
            self.node.has_retained.store(true, Ordering::Release);
        }
        if publish.qos > Qos::AtMostOnce {
            self.wait_for(number, connection.place.index);
            self.owe(connection, publish, Reason::Success, Some(number));
        }
    }

    fn wait_for(&mut self, number: u32, index: u32) {
        let at = number as usize;
        if self.waiting.len() <= at {
            self.waiting.resize_with(at + 1, Vec::new);
        }
        if self.waiting[at].is_empty() {
            let partition = self.batches.last_partition();
            self.unacked.push((number, partition, self.tap[partition as usize]));
        }
        if self.waiting[at].last() != Some(&index) {
            self.waiting[at].push(index);
        }
    }

    fn owe(&mut self, connection: &mut Connection, publish: &Publish<'_>, reason: Reason, batch: Option<u32>) {
        let kind = if publish.qos == Qos::ExactlyOnce { ReceiptKind::Rec } else { ReceiptKind::Ack };
        if kind == ReceiptKind::Rec
            && !reason.is_error()
            && let Some(session) = &mut connection.session
        {
            match batch {
                Some(_) => session.take(publish.packet_id),
                None => session.keep(publish.packet_id),
            }
        }
        connection.owed.push_back(Owed { kind, packet_id: publish.packet_id, reason, batch });
        if batch.is_none() {
            self.send_owed(connection);
        }
    }

    /// The message is not taken. Who can be told is told; others lose their connection, for silence would be taken for success.
    fn refuse_message(
        &mut self,
        connection: &mut Connection,
        publish: &Publish<'_>,
        reason: Reason,
        detail: &'static str,
    ) {
        self.counts.refused_messages += 1;
        if connection.is_v5() && publish.qos > Qos::AtMostOnce && may_stand_in_receipt(reason) {
            return self.owe(connection, publish, reason, None);
        }
        let ending = match reason {
            Reason::NotAuthorized => Ending::denied(reason, detail),
            _ => Ending::error(reason, detail),
        };
        self.end(connection, ending);
    }

    /// Sends the receipts that can go, oldest first.
    pub(super) fn send_owed(&mut self, connection: &mut Connection) {
        while let Some(owed) = connection.owed.front().copied().filter(|owed| owed.batch.is_none()) {
            connection.owed.pop_front();
            let is_over = owed.kind == ReceiptKind::Ack || owed.reason.is_error();
            if is_over {
                connection.received = connection.received.saturating_sub(1);
            }
            if owed.kind == ReceiptKind::Rec
                && !owed.reason.is_error()
                && let Some(session) = &mut connection.session
            {
                session.keep(owed.packet_id);
            }
            if owed.reason.is_error() {
                if owed.kind == ReceiptKind::Rec
                    && let Some(session) = &mut connection.session
                {
                    session.release(owed.packet_id);
                }
                if !connection.is_v5() {
                    // A receipt would say that the message was kept.
                    return self.end(connection, Ending::silent(LifeCycle::ServerError));
                }
            }
            write_receipt(
                &mut connection.out,
                connection.version,
                owed.kind,
                &Receipt::new(owed.packet_id, owed.reason),
            );
        }
        if connection.owed.len() < OWED_MAX / 2 {
            connection.is_full = false;
        }
        if connection.owed.is_empty() && connection.owed.capacity() > 64 {
            connection.owed = std::collections::VecDeque::new();
        }
        self.touch(connection);
    }

    /// These batches have reached their ack level, or were not kept.
    pub fn acknowledged(&mut self, done: &[Done]) {
        for (number, result) in done {
            let Some(waiting) = self.waiting.get_mut(*number as usize) else { continue };
            let mut waiting = std::mem::take(waiting);
            self.unacked.retain(|(known, ..)| known != number);
            for index in &waiting {
                let Some(mut connection) = self.slots[*index as usize].connection.take() else { continue };
                connection.done(*number, result.is_err().then_some(Reason::ImplementationSpecific));
                self.send_owed(&mut connection);
                self.put(connection);
            }
            if !self.unsettled.is_empty() {
                self.settle(*number, result.is_ok());
            }
            if let Err(refused) = result {
                self.counts.refused_messages += waiting.len() as u64;
                // The log says it loudly, once; here it would be said for every batch.
                tracing::debug!(%refused, "messages were not kept");
            }
            waiting.clear();
            self.waiting[*number as usize] = waiting;
        }
    }

    /// Publishes a will. Nobody waits for its receipt.
    pub(super) fn publish_will(&mut self, will: &Will) {
        let Some(identity) = &will.identity else { return };
        let publish = will.publish();
        let publisher = Publisher { client_id: &will.client_id, identity, version: Version::V5 };
        let pushed = match self.node.mapper.will(&publisher, &publish, publish.topic, &mut self.room) {
            Ok(mapped) => {
                let pushed = self.batches.push(mapped.key, mapped.value, mapped.headers, self.now.unix_ms);
                pushed.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match pushed {
            Ok(_) => self.counts.wills += 1,
            Err(error) => {
                self.counts.refused_messages += 1;
                tracing::warn!(client = %will.client_id, topic = %will.topic, error, "a will is no event");
            }
        }
        if publish.retain {
            self.node.has_retained.store(true, Ordering::Release);
        }
    }

    pub(super) fn publish_connected(&mut self, connection: &Connection) {
        self.life_cycle(connection, None);
    }

    pub(super) fn publish_disconnected(&mut self, connection: &Connection, reason: LifeCycle) {
        self.life_cycle(connection, Some(reason));
    }

    fn life_cycle(&mut self, connection: &Connection, ended: Option<LifeCycle>) {
        let Some(identity) = connection.identity.as_ref().filter(|_| self.node.settings.life_cycle_events) else {
            return;
        };
        let publisher = Publisher { client_id: &connection.client_id, identity, version: connection.version };
        let mapped = self.node.mapper.life_cycle(&publisher, connection.sequence, ended, &mut self.room);
        let pushed = self.batches.push_at_leisure(mapped.key, mapped.value, mapped.headers, self.now.unix_ms);
        if let Err(error) = pushed {
            tracing::warn!(client = %connection.client_id, %error, "a life-cycle event does not fit");
        }
    }
}

/// Which of the client's aliases it is, set anew if there is a topic with it.
fn resolve(connection: &mut Connection, alias_max: u16, alias: u16, topic: &str) -> Result<usize, &'static str> {
    if alias == 0 || alias > alias_max {
        return Err("the topic alias is 0 or above the maximum");
    }
    let at = usize::from(alias) - 1;
    if topic.is_empty() {
        return match connection.aliases_in.get(at) {
            Some(known) if !known.is_empty() => Ok(at),
            _ => Err("the topic alias was not set"),
        };
    }
    if connection.aliases_in.len() <= at {
        connection.aliases_in.resize(at + 1, Box::default());
    }
    if &*connection.aliases_in[at] != topic {
        connection.aliases_in[at] = topic.into();
    }
    Ok(at)
}

/// Reasons that PUBACK and PUBREC know (3.4.2.1).
fn may_stand_in_receipt(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Unspecified
            | Reason::ImplementationSpecific
            | Reason::NotAuthorized
            | Reason::TopicNameInvalid
            | Reason::PacketIdentifierInUse
            | Reason::QuotaExceeded
            | Reason::PayloadFormatInvalid
    )
}
