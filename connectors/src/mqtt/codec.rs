//! MQTT 3.1, 3.1.1 and 5.0 as bytes: [`frame`] finds a packet, [`decode`] reads it, the `write_` functions write one.
//!
//! What always holds: nothing is copied on the way in, texts, payloads and property lists are borrowed from the frame; what
//! `decode` returns obeys every rule of the standards that needs no session; whatever the bytes, nothing panics, and no more is
//! read than the frame holds. What a session must know is not asked here: whether a filter is good, an alias known, a packet
//! identifier free, a payload the UTF-8 that it claims to be.

mod auth;
mod connack;
mod connect;
mod disconnect;
mod frame;
pub mod property;
mod property_list;
mod publish;
mod reader;
mod reason;
mod receipt;
mod suback;
mod subscribe;
mod text;
mod writer;

pub use auth::{Auth, write_auth};
pub use connack::{ConnAck, ConnAckProperties, write_connack};
pub use connect::{Connect, ConnectProperties, Will, write_connect};
pub use disconnect::{Disconnect, write_disconnect};
pub use frame::{Frame, REMAINING_BYTES_MAX, frame};
pub use property_list::{SubscriptionIds, UserProperties, UserPropertiesIter};
pub use publish::{Publish, PublishDraft, PublishProperties, decode_publish, decode_publish_known, write_publish};
pub use reason::{DecodeError, Reason};
pub use receipt::{Receipt, ReceiptKind, write_receipt};
pub use suback::{Reasons, SubAck, UnsubAck, write_suback, write_unsuback};
pub use subscribe::{
    Filters, Subscribe, SubscribeOptions, Unsubscribe, UnsubscribeFilters, write_subscribe, write_unsubscribe,
};
pub use text::{TEXT_BYTES_MAX, is_topic_filter, is_topic_name};

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// 3.1, protocol name `MQIsdp`, level 3.
    V31,
    /// 3.1.1, level 4.
    V311,
    /// 5.0, level 5.
    V5,
}

/// How surely a message is to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Qos {
    /// QoS 0.
    AtMostOnce = 0,
    /// QoS 1.
    AtLeastOnce = 1,
    /// QoS 2.
    ExactlyOnce = 2,
}

impl Qos {
    /// The QoS of this level.
    #[must_use]
    pub fn of(level: u8) -> Option<Qos> {
        match level {
            0 => Some(Qos::AtMostOnce),
            1 => Some(Qos::AtLeastOnce),
            2 => Some(Qos::ExactlyOnce),
            _ => None,
        }
    }
}

/// Who sent a packet: each side has packets, properties and reasons that the other must not use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that sends CONNECT.
    Client,
    /// The one that answers it.
    Server,
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// CONNECT
    Connect(Connect<'a>),
    /// CONNACK
    ConnAck(ConnAck<'a>),
    /// PUBLISH
    Publish(Publish<'a>),
    /// PUBACK
    PubAck(Receipt<'a>),
    /// PUBREC
    PubRec(Receipt<'a>),
    /// PUBREL
    PubRel(Receipt<'a>),
    /// PUBCOMP
    PubComp(Receipt<'a>),
    /// SUBSCRIBE
    Subscribe(Subscribe<'a>),
    /// SUBACK
    SubAck(SubAck<'a>),
    /// UNSUBSCRIBE
    Unsubscribe(Unsubscribe<'a>),
    /// UNSUBACK
    UnsubAck(UnsubAck<'a>),
    /// PINGREQ
    PingReq,
    /// PINGRESP
    PingResp,
    /// DISCONNECT
    Disconnect(Disconnect<'a>),
    /// AUTH
    Auth(Auth<'a>),
}

const OVERLONG: DecodeError = DecodeError::malformed("the remaining length is longer than it needs to be");

/// Reads a packet. A CONNECT says its own version; all others are read as `version`. `from` is who sent it.
#[inline]
pub fn decode<'a>(version: Version, from: Side, frame: &Frame<'a>) -> Result<Packet<'a>, DecodeError> {
    if frame.first >> 4 == 3 {
        return decode_publish(version, from, frame).map(Packet::Publish);
    }
    decode_other(version, from, frame)
}

fn decode_other<'a>(version: Version, from: Side, frame: &Frame<'a>) -> Result<Packet<'a>, DecodeError> {
    let (kind, flags) = (frame.first >> 4, frame.first & 0x0F);
    let wanted = match kind {
        6 | 8 | 10 => 2,
        _ => 0,
    };
    // In version 3.1 these three could be marked as sent again.
    let ignored = if version == Version::V31 && wanted == 2 { 8 } else { 0 };
    if flags & !ignored != wanted {
        return Err(DecodeError::malformed("the flags of the fixed header are not those of its packet type"));
    }
    if kind == 15 && version != Version::V5 {
        return Err(DecodeError::malformed("packet type 15 is reserved before MQTT 5"));
    }
    let sender = match kind {
        1 | 8 | 10 | 12 => from == Side::Client,
        2 | 9 | 11 | 13 => from == Side::Server,
        _ => true,
    };
    if !sender {
        return Err(DecodeError::protocol("the sender must not send a packet of this type"));
    }
    // A CONNECT checks it itself, when it knows its version.
    if version == Version::V5 && kind != 1 && frame.is_overlong() {
        return Err(OVERLONG);
    }
    Ok(match kind {
        1 => Packet::Connect(connect::decode(frame)?),
        2 => Packet::ConnAck(connack::decode(version, frame)?),
        4 => Packet::PubAck(receipt::decode(version, ReceiptKind::Ack, frame)?),
        5 => Packet::PubRec(receipt::decode(version, ReceiptKind::Rec, frame)?),
        6 => Packet::PubRel(receipt::decode(version, ReceiptKind::Rel, frame)?),
        7 => Packet::PubComp(receipt::decode(version, ReceiptKind::Comp, frame)?),
        8 => Packet::Subscribe(subscribe::decode_subscribe(version, frame)?),
        9 => Packet::SubAck(suback::decode_suback(version, frame)?),
        10 => Packet::Unsubscribe(subscribe::decode_unsubscribe(version, frame)?),
        11 => Packet::UnsubAck(suback::decode_unsuback(version, frame)?),
        12 | 13 if !frame.body.is_empty() => {
            return Err(DecodeError::malformed("PINGREQ and PINGRESP have no body"));
        }
        12 => Packet::PingReq,
        13 => Packet::PingResp,
        14 => Packet::Disconnect(disconnect::decode(version, from, frame)?),
        15 => Packet::Auth(auth::decode(from, frame)?),
        _ => return Err(DecodeError::malformed("the packet type is reserved")),
    })
}

/// Appends any packet, by the function of its kind. False: it does not fit or the version has none, and nothing was appended.
pub fn write(out: &mut Vec<u8>, version: Version, packet: &Packet<'_>) -> bool {
    match packet {
        Packet::Connect(connect) => write_connect(out, connect),
        Packet::ConnAck(connack) => write_connack(out, version, connack),
        Packet::Publish(publish) => {
            let mut properties = Vec::new();
            publish.properties.put(&mut properties) && write_publish(out, version, &publish.draft(&properties))
        }
        Packet::PubAck(receipt) => write_receipt(out, version, ReceiptKind::Ack, receipt),
        Packet::PubRec(receipt) => write_receipt(out, version, ReceiptKind::Rec, receipt),
        Packet::PubRel(receipt) => write_receipt(out, version, ReceiptKind::Rel, receipt),
        Packet::PubComp(receipt) => write_receipt(out, version, ReceiptKind::Comp, receipt),
        Packet::Subscribe(subscribe) => {
            let Subscribe { packet_id, subscription_id, user, filters } = *subscribe;
            write_subscribe(out, version, packet_id, subscription_id, user, filters)
        }
        Packet::SubAck(ack) => {
            let reasons: Vec<Reason> = ack.reasons.collect();
            write_suback(out, version, ack.packet_id, &reasons, ack.reason_string, ack.user)
        }
        Packet::Unsubscribe(unsubscribe) => {
            write_unsubscribe(out, version, unsubscribe.packet_id, unsubscribe.user, unsubscribe.filters)
        }
        Packet::UnsubAck(ack) => {
            let reasons: Vec<Reason> = ack.reasons.collect();
            write_unsuback(out, version, ack.packet_id, &reasons, ack.reason_string, ack.user)
        }
        Packet::PingReq => {
            write_pingreq(out);
            true
        }
        Packet::PingResp => {
            write_pingresp(out);
            true
        }
        Packet::Disconnect(disconnect) => write_disconnect(out, version, disconnect),
        Packet::Auth(auth) => write_auth(out, version, auth),
    }
}

/// Appends a PINGREQ.
pub fn write_pingreq(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xC0, 0]);
}

/// Appends a PINGRESP.
pub fn write_pingresp(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xD0, 0]);
}

#[cfg(test)]
mod tests;
