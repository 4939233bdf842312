//! PUBLISH to event.
//!
//! What always holds: an ordinary PUBLISH (QoS 0 or 1, no properties) is a copy of constant bytes and of its topic; nothing is
//! allocated once the buffers have grown, but for CloudEvents and property bags.

use engine::batch::HeaderWriter;
use engine::event::{CONTENT_TYPE, MQTT, put_attribute};
use engine::limits;

use super::EVENT_TYPE;
use super::config::{MappingConfig, PayloadMode};
use super::enrich::Enrichments;
use super::error::MappingError;
use super::events::{self, Names};
use super::iothub::{self, Address};
use super::lifecycle::{self, ClientSession, DisconnectionReason};
use super::stored::Stored;
use crate::cloudevents::{Decoder, is_json_type, write_json_string};
use crate::mqtt::access::Identity;
use crate::mqtt::codec::{Publish, Qos, Version};

/// Media type of bytes of which nothing is known.
const BYTES_TYPE: &str = "application/octet-stream";
/// Media type of text of which nothing else is known.
const TEXT_TYPE: &str = "text/plain; charset=utf-8";

/// Who publishes.
#[derive(Clone, Copy, Debug)]
pub struct Publisher<'p> {
    /// Its client id.
    pub client_id: &'p str,
    /// Who it is.
    pub identity: &'p Identity,
    /// What it speaks.
    pub version: Version,
}

impl<'p> Publisher<'p> {
    /// The partition key of what it publishes: its authentication name, else its client id.
    pub fn key(&self) -> &'p [u8] {
        self.name().as_bytes()
    }

    pub(super) fn name(&self) -> &'p str {
        let name = &*self.identity.name;
        if name.is_empty() { self.client_id } else { name }
    }
}

/// Memory for the events of one core, used again from event to event.
#[derive(Debug, Default)]
pub struct Room {
    headers: HeaderWriter,
    decoder: Decoder,
    names: Names,
    list: Vec<u8>,
    stored: Vec<u8>,
    data: Vec<u8>,
    text: String,
}

/// An event, ready to be pushed into a batch.
#[derive(Clone, Copy, Debug)]
pub struct Mapped<'a> {
    /// Partition key.
    pub key: &'a [u8],
    /// Data.
    pub value: &'a [u8],
    /// Attributes and properties.
    pub headers: &'a HeaderWriter,
}

/// What is the same for all events of a listener.
#[derive(Debug)]
pub struct Mapper {
    payload: PayloadMode,
    structured_311: bool,
    iothub: bool,
    enrichments: Enrichments,
    node_name: Box<str>,
    /// `type`, `source` and fixed enrichments of a mapped event.
    start: HeaderWriter,
    /// As `start`, and all else that an ordinary PUBLISH becomes, up to the name of `subject`. By QoS, and RETAIN above it.
    ready: [Box<[u8]>; 4],
    ready_count: usize,
}

impl Mapper {
    /// For a listener with checked settings on the node of that name.
    pub fn new(settings: &MappingConfig, node_name: &str) -> Self {
        let enrichments = Enrichments::new(&settings.enrichments);
        let mut start = HeaderWriter::default();
        put_attribute(&mut start, "type", EVENT_TYPE);
        put_attribute(&mut start, "source", node_name);
        start.put_encoded(enrichments.fixed().encoded(), enrichments.fixed().count());
        let mut ready_count = 0;
        let ready = [0, 1, 2, 3].map(|index| {
            let mut headers = HeaderWriter::default();
            headers.put_encoded(start.encoded(), start.count());
            if settings.payload == PayloadMode::EventGrid {
                headers.put(CONTENT_TYPE, Some(BYTES_TYPE.as_bytes()));
            }
            let qos = if index & 1 == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce };
            let mut stored = Vec::new();
            Stored::new(qos, index & 2 != 0).write(&mut stored);
            headers.put(MQTT, Some(&stored));
            ready_count = headers.count() + 1;
            [headers.encoded(), &HeaderWriter::encoded_name("ce_subject")].concat().into()
        });
        Self {
            payload: settings.payload,
            structured_311: settings.structured_311,
            iothub: settings.iothub,
            enrichments,
            node_name: node_name.into(),
            start,
            ready,
            ready_count,
        }
    }

    /// The event that a PUBLISH becomes. `topic` is its topic with aliases resolved.
    pub fn event<'a>(
        &self,
        from: &Publisher<'a>,
        publish: &Publish<'a>,
        topic: &'a str,
        room: &'a mut Room,
    ) -> Result<Mapped<'a>, MappingError> {
        let key = from.key();
        let is_ordinary = publish.qos != Qos::ExactlyOnce
            && has_alias_at_most(publish)
            && self.enrichments.is_fixed()
            && !self.structured_311
            && !(self.iothub && topic.starts_with(iothub::TOPIC_START))
            && key == from.client_id.as_bytes();
        if !is_ordinary {
            return self.any(from, publish, topic, room, false);
        }
        let ready = &self.ready[publish.qos as usize | usize::from(publish.retain) << 1];
        room.headers.clear();
        room.headers.put_encoded_and_value(ready, self.ready_count, topic.as_bytes());
        finish(key, publish.payload, &room.headers)
    }

    /// The event of a client that has connected, or has gone (`ended`). `sequence_number` is the connection's.
    pub fn life_cycle<'a>(
        &self,
        of: &Publisher<'a>,
        sequence_number: u64,
        ended: Option<DisconnectionReason>,
        room: &'a mut Room,
    ) -> Mapped<'a> {
        let Room { headers, data, .. } = room;
        let session =
            ClientSession { node: &self.node_name, client: of.name(), session: of.client_id, sequence_number };
        match ended {
            None => lifecycle::connected(&session, headers, data),
            Some(reason) => lifecycle::disconnected(&session, reason, headers, data),
        }
        Mapped { key: of.key(), value: data, headers }
    }

    /// Whether the profile lets a client subscribe to a filter: under IoT Hub's, of the devices' topics only its own.
    pub fn allows_filter(&self, of: &Publisher<'_>, filter: &str) -> bool {
        let of_device = filter.strip_prefix("devices/").filter(|_| self.iothub);
        of_device.is_none_or(|rest| rest.split('/').next() == Some(of.name()))
    }

    /// As [`event`](Self::event) for a will that is published now.
    pub fn will<'a>(
        &self,
        from: &Publisher<'a>,
        will: &Publish<'a>,
        topic: &'a str,
        room: &'a mut Room,
    ) -> Result<Mapped<'a>, MappingError> {
        self.any(from, will, topic, room, true)
    }

    fn any<'a>(
        &self,
        from: &Publisher<'a>,
        publish: &Publish<'a>,
        topic: &'a str,
        room: &'a mut Room,
        is_will: bool,
    ) -> Result<Mapped<'a>, MappingError> {
        room.headers.clear();
        if self.iothub
            && let Some(address) = Address::of(topic)
        {
            return Self::telemetry(&address, from, publish, room, is_will);
        }
        let properties = &publish.properties;
        if from.version == Version::V5 {
            if let Some(content_type) = properties.content_type.filter(|text| events::is_structured(text)) {
                events::check_format(content_type)?;
                return self.structured(from, publish, topic, room);
            }
            if !properties.user.is_empty() && events::has_envelope(properties.user) {
                return self.binary(from, publish, topic, room);
            }
        } else if self.structured_311 && publish.payload.trim_ascii_start().first() == Some(&b'{') {
            // Nothing says that it is an event but that it can be read as one.
            if room.decoder.decode(publish.payload, &mut room.headers).is_ok() {
                return self.structured(from, publish, topic, room);
            }
            room.headers.clear();
        }
        self.mapped(from, publish, topic, room)
    }

    fn mapped<'a>(
        &self,
        from: &Publisher<'a>,
        publish: &Publish<'a>,
        topic: &'a str,
        room: &'a mut Room,
    ) -> Result<Mapped<'a>, MappingError> {
        let Room { headers, names, list, stored, data, text, .. } = room;
        let properties = &publish.properties;
        headers.put_encoded(self.start.encoded(), self.start.count());
        self.enrichments.put_dynamic(from, topic, properties, text, headers);
        let (content_type, is_quoted) = self.content(publish);
        if let Some(content_type) = content_type {
            headers.put(CONTENT_TYPE, Some(content_type.as_bytes()));
        }
        let has_all =
            properties.user.is_empty() || events::put_user_properties(properties.user, false, names, headers)?;
        put_attribute(headers, "subject", topic);
        let (value, payload) = match std::str::from_utf8(publish.payload) {
            Ok(said) if is_quoted => {
                data.clear();
                write_json_string(data, said);
                (data.as_slice(), Some(publish.payload))
            }
            _ => (publish.payload, None),
        };
        events::put_list(properties, !has_all, list);
        let key = from.key();
        let has_properties = has_all && !properties.user.is_empty();
        let kept = Stored { list, has_properties, payload, ..Self::kept(from, key, publish) };
        kept.write(stored);
        headers.put(MQTT, Some(stored));
        finish(key, value, headers)
    }

    /// What content type the event has, and whether its data is the payload as a JSON string.
    fn content<'a>(&self, publish: &Publish<'a>) -> (Option<&'a str>, bool) {
        let content_type = events::media_type(publish.properties.content_type);
        let is_text = publish.properties.payload_format == Some(1);
        let payload = publish.payload;
        match (self.payload, content_type) {
            (PayloadMode::Auto, None) if is_text && !payload.is_empty() && !events::is_json(payload) => {
                (Some(TEXT_TYPE), false)
            }
            (PayloadMode::Auto, content_type) => (content_type, false),
            (PayloadMode::EventGrid, None) if !is_text => (Some(BYTES_TYPE), false),
            (PayloadMode::EventGrid, content_type) => {
                let is_json = content_type.is_none_or(is_json_type);
                (content_type, is_json && !payload.is_empty() && !events::is_json(payload))
            }
        }
    }

    fn structured<'a>(
        &self,
        from: &Publisher<'a>,
        publish: &Publish<'a>,
        topic: &'a str,
        room: &'a mut Room,
    ) -> Result<Mapped<'a>, MappingError> {
        let Room { headers, decoder, names, list, stored, text, .. } = room;
        let value = decoder.decode(publish.payload, headers)?.data;
        let properties = &publish.properties;
        // Attributes are the payload's alone.
        let has_all =
            properties.user.is_empty() || events::put_user_properties(properties.user, false, names, headers)?;
        self.enrich(from, publish, topic, text, headers);
        let own_topic = put_topic(topic, headers);
        events::put_list(properties, !has_all, list);
        let key = from.key();
        let has_properties = has_all && !properties.user.is_empty();
        let payload = Some(publish.payload);
        let kept = Stored { topic: own_topic, list, has_properties, payload, ..Self::kept(from, key, publish) };
        kept.write(stored);
        headers.put(MQTT, Some(stored));
        finish(key, value, headers)
    }

    fn binary<'a>(
        &self,
        from: &Publisher<'a>,
        publish: &Publish<'a>,
        topic: &'a str,
        room: &'a mut Room,
    ) -> Result<Mapped<'a>, MappingError> {
        let Room { headers, names, list, stored, text, .. } = room;
        let properties = &publish.properties;
        let fallback = match self.payload {
            PayloadMode::Auto => None,
            PayloadMode::EventGrid => Some(BYTES_TYPE),
        };
        let content_type = events::media_type(properties.content_type);
        if let Some(content_type) = content_type {
            headers.put(CONTENT_TYPE, Some(content_type.as_bytes()));
        }
        events::put_user_properties(properties.user, true, names, headers)?;
        if let Some(fallback) = fallback.filter(|_| headers.value(CONTENT_TYPE).is_none()) {
            headers.put(CONTENT_TYPE, Some(fallback.as_bytes()));
        }
        self.enrich(from, publish, topic, text, headers);
        let own_topic = put_topic(topic, headers);
        events::put_list(properties, true, list);
        let key = from.key();
        let kept = Stored { topic: own_topic, list, ..Self::kept(from, key, publish) };
        kept.write(stored);
        headers.put(MQTT, Some(stored));
        finish(key, publish.payload, headers)
    }

    fn telemetry<'a>(
        address: &Address<'a>,
        from: &Publisher<'a>,
        publish: &Publish<'a>,
        room: &'a mut Room,
        is_will: bool,
    ) -> Result<Mapped<'a>, MappingError> {
        let Room { headers, stored, .. } = room;
        address.check_own(from.name())?;
        address.put(publish.retain, is_will, headers)?;
        let key = address.device.as_bytes();
        if publish.qos == Qos::ExactlyOnce {
            // Who sends the packet again after a restart must be known as its sender.
            Self::kept(from, key, publish).write(stored);
            headers.put(MQTT, Some(stored));
        }
        finish(key, publish.payload, headers)
    }

    /// What is kept of every PUBLISH.
    fn kept<'a>(from: &Publisher<'a>, key: &[u8], publish: &Publish<'a>) -> Stored<'a> {
        let client = from.client_id.as_bytes();
        Stored {
            client: (client != key).then_some(client),
            packet_id: (publish.qos == Qos::ExactlyOnce).then_some(publish.packet_id),
            expiry_s: publish.properties.expiry_s,
            ..Stored::new(publish.qos, publish.retain)
        }
    }

    /// Adds the enrichments to a CloudEvent, in place of what it may have under their names.
    fn enrich(
        &self,
        from: &Publisher<'_>,
        publish: &Publish<'_>,
        topic: &str,
        text: &mut String,
        headers: &mut HeaderWriter,
    ) {
        if self.enrichments.is_empty() {
            return;
        }
        self.enrichments.clear_place(headers);
        headers.put_encoded(self.enrichments.fixed().encoded(), self.enrichments.fixed().count());
        self.enrichments.put_dynamic(from, topic, &publish.properties, text, headers);
    }
}

/// There is nothing among the properties but perhaps a topic alias.
fn has_alias_at_most(publish: &Publish<'_>) -> bool {
    let properties = &publish.properties;
    properties.user.is_empty()
        && properties.payload_format.is_none()
        && properties.content_type.is_none()
        && properties.expiry_s.is_none()
        && properties.response_topic.is_none()
        && properties.correlation.is_none()
}

/// A CloudEvent without `subject` gets its topic as one, so that routes on topics see it. The topic, if `subject` is another.
fn put_topic<'t>(topic: &'t str, headers: &mut HeaderWriter) -> Option<&'t str> {
    match headers.value("ce_subject") {
        None => {
            put_attribute(headers, "subject", topic);
            None
        }
        Some(subject) => (subject != topic.as_bytes()).then_some(topic),
    }
}

fn finish<'a>(key: &'a [u8], value: &'a [u8], headers: &'a HeaderWriter) -> Result<Mapped<'a>, MappingError> {
    let bytes = key.len() + value.len() + headers.byte_len();
    if bytes > limits::EVENT_BYTES_MAX {
        return Err(MappingError::TooLarge { bytes });
    }
    if headers.count() > limits::EVENT_HEADERS_MAX {
        return Err(MappingError::TooManyProperties);
    }
    if key.len() > limits::KEY_BYTES_MAX {
        return Err(MappingError::KeyTooLong(key.len()));
    }
    Ok(Mapped { key, value, headers })
}
