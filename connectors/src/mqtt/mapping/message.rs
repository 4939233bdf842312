//! Event to PUBLISH: how an event looks to MQTT subscribers.
//!
//! | event | message |
//! |---|---|
//! | was published over MQTT | as it was sent, its expiry shortened to what is left |
//! | came another way, has a topic name as `subject` | QoS 1, the data, all else as user properties (CloudEvents over MQTT, binary) |
//! | IoT Hub telemetry, life-cycle, no `subject` or one with a wildcard | none |

use engine::event::{CONTENT_TYPE, Event, MESSAGE_SOURCE, MQTT};

use super::stored::Stored;
use crate::mqtt::codec::{Qos, is_topic_name, property};

/// Longest string of MQTT in bytes.
const TEXT_BYTES_MAX: usize = u16::MAX as usize;

/// An event as subscribers get it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Payload.
    pub payload: &'a [u8],
    /// Quality of service as published.
    pub qos: Qos,
    /// RETAIN as published.
    pub retain: bool,
    /// Client id of the publisher; empty if the event did not come over MQTT.
    pub publisher: &'a [u8],
    /// Packet id, at QoS 2.
    pub packet_id: Option<u16>,
    /// When it expires, in milliseconds since the Unix epoch.
    pub expires_at_ms: Option<i64>,
    /// How often the node has published it again.
    pub hops: u8,
    event: Event<'a>,
    form: Form<'a>,
}

/// Where the properties are.
#[derive(Clone, Copy, Debug)]
enum Form<'a> {
    /// Encoded, and then the event's application properties if they are the user properties.
    Published { list: &'a [u8], has_properties: bool },
    /// To be made from the event's attributes.
    Other,
}

/// How an event looks to subscribers; `None` if it is not for MQTT.
pub fn message<'a>(event: &Event<'a>) -> Option<Message<'a>> {
    let (mut subject, mut stored) = (None, None);
    for (name, value) in event.headers() {
        match name {
            "ce_subject" => subject = subject.or(value),
            MQTT => stored = stored.or(value),
            MESSAGE_SOURCE => return None,
            _ => {}
        }
    }
    let subject = subject.and_then(|subject| std::str::from_utf8(subject).ok());
    let data = event.data().unwrap_or_default();
    let Some(stored) = stored else {
        let topic = subject.filter(|subject| is_topic_name(subject))?;
        return Some(Message {
            topic,
            payload: data,
            qos: Qos::AtLeastOnce,
            retain: false,
            publisher: &[],
            packet_id: None,
            expires_at_ms: None,
            hops: 0,
            event: *event,
            form: Form::Other,
        });
    };
    let stored = Stored::read(stored)?;
    let expires_at_ms = stored.expiry_s.map(|seconds| event.timestamp_ms().saturating_add(i64::from(seconds) * 1000));
    Some(Message {
        topic: stored.topic.or(subject)?,
        payload: stored.payload.unwrap_or(data),
        qos: stored.qos,
        retain: stored.retain,
        publisher: stored.client.or(event.key()).unwrap_or_default(),
        packet_id: stored.packet_id,
        expires_at_ms,
        hops: stored.hops,
        event: *event,
        form: Form::Published { list: stored.list, has_properties: stored.has_properties },
    })
}

impl<'a> Message<'a> {
    /// The event.
    pub fn event(&self) -> &Event<'a> {
        &self.event
    }

    /// It has expired.
    pub fn is_expired(&self, now_ms: i64) -> bool {
        self.expires_at_ms.is_some_and(|expires_at_ms| expires_at_ms <= now_ms)
    }

    /// The same for every subscriber at every time: no expiry among its properties.
    pub fn has_constant_properties(&self) -> bool {
        self.expires_at_ms.is_none()
    }

    /// Appends its properties for MQTT 5, without their length, alias and subscription identifiers. The expiry is what is left at
    /// `now_ms`, never less than nothing.
    pub fn put_properties(&self, now_ms: i64, out: &mut Vec<u8>) {
        if let Some(expires_at_ms) = self.expires_at_ms {
            // Rounded up: only whole seconds of waiting are taken off.
            let left_ms = expires_at_ms.saturating_sub(now_ms).max(0);
            let left_s = u32::try_from(left_ms.saturating_add(999) / 1000).unwrap_or(u32::MAX);
            property::put_four(out, property::MESSAGE_EXPIRY, left_s);
        }
        match self.form {
            Form::Published { list, has_properties } => {
                out.extend_from_slice(list);
                if has_properties {
                    self.put_user_properties(out);
                }
            }
            Form::Other => self.put_attributes(out),
        }
    }

    fn put_user_properties(&self, out: &mut Vec<u8>) {
        for (name, value) in self.event.properties() {
            let value = value.unwrap_or_default();
            // What did not come over MQTT can be longer than its strings, or no text.
            if let Some(value) = text(value).filter(|_| text(name.as_bytes()).is_some()) {
                property::put_pair(out, property::USER, name, value);
            }
        }
    }

    fn put_attributes(&self, out: &mut Vec<u8>) {
        if let Some(Some(content_type)) = self.event.header(CONTENT_TYPE)
            && let Some(content_type) = text(content_type)
        {
            property::put_text(out, property::CONTENT_TYPE, content_type);
        }
        let mut pair = |name: &str, value: &str| {
            if let (Some(name), Some(value)) = (text(name.as_bytes()), text(value.as_bytes())) {
                property::put_pair(out, property::USER, name, value);
            }
        };
        pair("specversion", "1.0");
        pair("id", self.event.id(&mut String::new()));
        for name in ["source", "type"] {
            pair(name, self.event.attribute(name).unwrap_or_default());
        }
        for (name, value) in self.event.attributes().filter(|(name, _)| !["id", "source", "type"].contains(name)) {
            pair(name, value);
        }
        self.put_user_properties(out);
    }
}

/// The bytes as a string of MQTT, if they can be one.
fn text(bytes: &[u8]) -> Option<&str> {
    let is_short = bytes.len() <= TEXT_BYTES_MAX;
    std::str::from_utf8(bytes).ok().filter(|_| is_short && !bytes.contains(&0))
}
