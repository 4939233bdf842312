//! PUBLISH: the packet that comes by the million. Reading it allocates nothing; writing it appends to the caller's buffer.

use super::frame::{REMAINING_BYTES_MAX, varint_bytes};
use super::property::{self, List};
use super::property_list::{Property, SubscriptionIds, UserProperties, Walk, ids};
use super::reader::Reader;
use super::text::{self, TEXT_BYTES_MAX};
use super::{DecodeError, Frame, Qos, Reason, Side, Version, writer};

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Sent before; never at QoS 0.
    pub dup: bool,
    /// How surely it is to arrive.
    pub qos: Qos,
    /// From a client: keep it as the topic's retained message. From a server: it is one.
    pub retain: bool,
    /// Without wildcards. Empty only with a topic alias.
    pub topic: &'a str,
    /// 0 at QoS 0 and only there.
    pub packet_id: u16,
    /// Empty below MQTT 5.
    pub properties: PublishProperties<'a>,
    /// The message itself.
    pub payload: &'a [u8],
}

/// The properties of a message, or of a will.
#[derive(Clone, Copy, Debug, Default)]
pub struct PublishProperties<'a> {
    /// 0: bytes of any kind. 1: UTF-8; whether it is true is not checked here.
    pub payload_format: Option<u8>,
    /// How many seconds the message is worth something.
    pub expiry_s: Option<u32>,
    /// What the payload is.
    pub content_type: Option<&'a str>,
    /// Where the answer goes: a topic name.
    pub response_topic: Option<&'a str>,
    /// What the answer shall carry.
    pub correlation: Option<&'a [u8]>,
    /// Never 0.
    pub topic_alias: Option<u16>,
    /// Only from a server.
    pub subscription_ids: SubscriptionIds<'a>,
    /// Names and values.
    pub user: UserProperties<'a>,
    /// The list as it came, without its length. In a will it holds the will delay too. Writers do not look at it.
    pub raw: &'a [u8],
}

/// By meaning: the order in `raw` does not count.
impl PartialEq for PublishProperties<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.payload_format == other.payload_format
            && self.expiry_s == other.expiry_s
            && self.content_type == other.content_type
            && self.response_topic == other.response_topic
            && self.correlation == other.correlation
            && self.topic_alias == other.topic_alias
            && self.subscription_ids == other.subscription_ids
            && self.user == other.user
    }
}

impl Eq for PublishProperties<'_> {}

const PUBLISH: u64 = ids(&[
    property::PAYLOAD_FORMAT,
    property::MESSAGE_EXPIRY,
    property::CONTENT_TYPE,
    property::RESPONSE_TOPIC,
    property::CORRELATION_DATA,
    property::SUBSCRIPTION_ID,
    property::TOPIC_ALIAS,
    property::USER,
]);

const WILL: u64 = ids(&[
    property::PAYLOAD_FORMAT,
    property::MESSAGE_EXPIRY,
    property::CONTENT_TYPE,
    property::RESPONSE_TOPIC,
    property::CORRELATION_DATA,
    property::WILL_DELAY,
    property::USER,
]);

impl<'a> PublishProperties<'a> {
    /// The properties of a message from their encoded list without its length, by the rules for a sender of either side.
    pub fn read(list: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(PublishProperties::walk(list, PUBLISH)?.0)
    }

    /// The properties of a will, and its delay.
    pub(super) fn read_will(list: &'a [u8]) -> Result<(Self, u32), DecodeError> {
        PublishProperties::walk(list, WILL)
    }

    fn walk(list: &'a [u8], allowed: u64) -> Result<(Self, u32), DecodeError> {
        let mut properties = PublishProperties { raw: list, ..PublishProperties::default() };
        let mut delay_s = 0;
        if list.is_empty() {
            return Ok((properties, delay_s));
        }
        let mut walk = Walk::new(list, allowed);
        while let Some(property) = walk.next()? {
            match property {
                Property::PayloadFormat(value) => properties.payload_format = Some(value),
                Property::MessageExpiry(value) => properties.expiry_s = Some(value),
                Property::ContentType(value) => properties.content_type = Some(value),
                Property::ResponseTopic(value) => properties.response_topic = Some(value),
                Property::CorrelationData(value) => properties.correlation = Some(value),
                Property::TopicAlias(value) => properties.topic_alias = Some(value),
                Property::WillDelay(value) => delay_s = value,
                // The walk keeps the lists, and lets nothing else through.
                _ => {}
            }
        }
        properties.subscription_ids = walk.subscription_ids();
        properties.user = walk.user();
        Ok((properties, delay_s))
    }

    /// Appends all but `raw`, in the order of their identifiers. False: a value is too long; others may have been appended.
    pub fn put(&self, out: &mut Vec<u8>) -> bool {
        let mut list = List::new(out);
        list.byte(property::PAYLOAD_FORMAT, self.payload_format)
            .four(property::MESSAGE_EXPIRY, self.expiry_s)
            .text(property::CONTENT_TYPE, self.content_type)
            .text(property::RESPONSE_TOPIC, self.response_topic)
            .binary(property::CORRELATION_DATA, self.correlation)
            .two(property::TOPIC_ALIAS, self.topic_alias)
            .user(self.user);
        for id in self.subscription_ids {
            list.varint(property::SUBSCRIPTION_ID, Some(id));
        }
        list.fits()
    }
}

impl<'a> Publish<'a> {
    /// The same message to write, with this encoded property list.
    #[must_use]
    pub fn draft(&self, properties: &'a [u8]) -> PublishDraft<'a> {
        let Publish { dup, qos, retain, topic, packet_id, payload, .. } = *self;
        PublishDraft { dup, qos, retain, topic, packet_id, properties, payload }
    }
}

/// Reads a PUBLISH. What [`super::decode`] does for one, for callers that have looked at the packet type.
#[inline]
pub fn decode_publish<'a>(version: Version, from: Side, frame: &Frame<'a>) -> Result<Publish<'a>, DecodeError> {
    decode_with(version, from, frame, text::topic_or_empty)
}

/// The same for a sender that keeps to one topic: checking the topic is most of the work, and `known`, a topic name that was
/// checked before, is not checked again.
#[inline]
pub fn decode_publish_known<'a>(
    version: Version,
    from: Side,
    frame: &Frame<'a>,
    known: &'a str,
) -> Result<Publish<'a>, DecodeError> {
    decode_with(
        version,
        from,
        frame,
        |bytes| {
            if bytes == known.as_bytes() { Ok(known) } else { text::topic_or_empty(bytes) }
        },
    )
}

#[inline]
fn decode_with<'a>(
    version: Version,
    from: Side,
    frame: &Frame<'a>,
    topic: impl FnOnce(&'a [u8]) -> Result<&'a str, DecodeError>,
) -> Result<Publish<'a>, DecodeError> {
    let flags = frame.first;
    let Some(qos) = Qos::of((flags >> 1) & 3) else {
        return Err(DecodeError::malformed("QoS 3 is not allowed"));
    };
    let dup = flags & 8 != 0;
    if dup && qos == Qos::AtMostOnce {
        return Err(DecodeError::malformed("DUP is not allowed at QoS 0"));
    }
    let mut reader = Reader::new(frame.body);
    let topic = topic(reader.binary()?)?;
    let packet_id = if qos == Qos::AtMostOnce { 0 } else { reader.packet_id()? };
    let mut properties = PublishProperties::default();
    if version == Version::V5 {
        if frame.is_overlong() {
            return Err(super::OVERLONG);
        }
        let list = reader.properties()?;
        if !list.is_empty() {
            properties = PublishProperties::walk(list, PUBLISH)?.0;
            if from == Side::Client && !properties.subscription_ids.is_empty() {
                return Err(DecodeError::protocol("a client's PUBLISH must not hold a subscription identifier"));
            }
        }
        if topic.is_empty() && properties.topic_alias.is_none() {
            return Err(DecodeError::protocol("a PUBLISH has neither topic name nor topic alias"));
        }
    } else if topic.is_empty() {
        return Err(DecodeError::new(Reason::TopicNameInvalid, "the topic name is empty"));
    }
    Ok(Publish { dup, qos, retain: flags & 1 != 0, topic, packet_id, properties, payload: reader.rest() })
}

/// A message to write.
#[derive(Clone, Copy, Debug)]
pub struct PublishDraft<'a> {
    /// Sent before; written as false at QoS 0.
    pub dup: bool,
    /// How surely it is to arrive.
    pub qos: Qos,
    /// See [`Publish::retain`].
    pub retain: bool,
    /// A topic name, or empty where the properties hold a topic alias.
    pub topic: &'a str,
    /// Not 0; ignored at QoS 0.
    pub packet_id: u16,
    /// An encoded property list without its length; ignored below MQTT 5.
    pub properties: &'a [u8],
    /// The message itself.
    pub payload: &'a [u8],
}

impl PublishDraft<'_> {
    /// Bytes of the whole packet: what the receiver's maximum packet size is compared with. None: no packet can hold it.
    #[must_use]
    #[inline]
    pub fn bytes(&self, version: Version) -> Option<usize> {
        self.remaining(version).map(|remaining| 1 + varint_bytes(remaining) + remaining)
    }

    #[inline]
    fn remaining(&self, version: Version) -> Option<usize> {
        let list = if version == Version::V5 { varint_bytes(self.properties.len()) + self.properties.len() } else { 0 };
        let id = if self.qos == Qos::AtMostOnce { 0 } else { 2 };
        let remaining = 2 + self.topic.len() + id + list + self.payload.len();
        (self.topic.len() <= TEXT_BYTES_MAX && remaining <= REMAINING_BYTES_MAX).then_some(remaining)
    }
}

/// Appends a PUBLISH. False: no packet can hold it, and nothing was appended.
#[inline]
pub fn write_publish(out: &mut Vec<u8>, version: Version, draft: &PublishDraft<'_>) -> bool {
    let Some(remaining) = draft.remaining(version) else { return false };
    let dup = u8::from(draft.dup && draft.qos != Qos::AtMostOnce);
    out.reserve(5 + remaining);
    out.push(0x30 | dup << 3 | (draft.qos as u8) << 1 | u8::from(draft.retain));
    writer::varint(out, remaining);
    writer::binary(out, draft.topic.as_bytes());
    if draft.qos != Qos::AtMostOnce {
        out.extend_from_slice(&draft.packet_id.to_be_bytes());
    }
    if version == Version::V5 {
        writer::varint(out, draft.properties.len());
        out.extend_from_slice(draft.properties);
    }
    out.extend_from_slice(draft.payload);
    true
}
