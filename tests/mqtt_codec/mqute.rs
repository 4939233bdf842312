//! The codec `mqute-codec`: three separate families of packets. Its passwords are texts and follow a user name, and its topic
//! names are never empty.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use connectors::mqtt::codec::{self as ours, Packet, Qos, Reason, Version};
use mqute_codec::codec::PacketCodec;
use mqute_codec::protocol::v5::{self, ReasonCode};
use mqute_codec::protocol::{Credentials, Flags, QoS, v3, v4};

use crate::Peer;

/// See the header of this file.
pub struct Mqute;

/// A packet as it holds them.
#[derive(Debug, PartialEq)]
pub enum Theirs {
    V3(v3::Packet),
    V4(v4::Packet),
    V5(Box<v5::Packet>),
}

impl Peer for Mqute {
    type Packet = Theirs;
    const NAME: &'static str = "mqute-codec";

    fn read(version: Version, bytes: &[u8]) -> Option<Theirs> {
        let raw = PacketCodec::new(None, None).try_decode(&mut BytesMut::from(bytes)).ok()?;
        Some(match version {
            Version::V31 => Theirs::V3(v3::Packet::decode(raw).ok()?),
            Version::V311 => Theirs::V4(v4::Packet::decode(raw).ok()?),
            Version::V5 => Theirs::V5(Box::new(v5::Packet::decode(raw).ok()?)),
        })
    }

    fn write(packet: Theirs) -> Option<Vec<u8>> {
        let mut bytes = BytesMut::new();
        match packet {
            Theirs::V3(packet) => packet.encode(&mut bytes).ok()?,
            Theirs::V4(packet) => packet.encode(&mut bytes).ok()?,
            Theirs::V5(packet) => packet.encode(&mut bytes).ok()?,
        }
        Some(bytes.to_vec())
    }

    fn of(version: Version, packet: &Packet<'_>) -> Option<Theirs> {
        Some(match version {
            Version::V31 => Theirs::V3(of_3(packet)?),
            Version::V311 => Theirs::V4(of_4(packet)?),
            Version::V5 => Theirs::V5(Box::new(of_5(packet)?)),
        })
    }
}

fn qos(qos: Qos) -> QoS {
    QoS::try_from(qos as u8).expect("the same three levels")
}

fn binary(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn text(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

fn seconds(seconds: Option<u32>) -> Option<Duration> {
    seconds.map(|seconds| Duration::from_secs(seconds.into()))
}

fn user(user: ours::UserProperties<'_>) -> Vec<(String, String)> {
    user.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn reason(reason: Reason) -> ReasonCode {
    ReasonCode::try_from(reason as u8).expect("all reasons are known")
}

/// Properties, or None where all are absent: a list without properties is none to them.
fn some<T: Default + PartialEq>(properties: T) -> Option<T> {
    (properties != T::default()).then_some(properties)
}

/// None inside: there are none. None outside: they cannot be said.
fn credentials(connect: &ours::Connect<'_>) -> Option<Option<Credentials>> {
    match (connect.username, connect.password) {
        (None, None) => Some(None),
        (Some(username), None) => Some(Some(Credentials::with_name(username))),
        (Some(username), Some(password)) => Some(Some(Credentials::full(username, str::from_utf8(password).ok()?))),
        (None, Some(_)) => None,
    }
}

fn flags(publish: &ours::Publish<'_>) -> Flags {
    Flags { dup: publish.dup, qos: qos(publish.qos), retain: publish.retain }
}

fn will_4(connect: &ours::Connect<'_>) -> Option<v4::Will> {
    connect.will.map(|will| v4::Will::new(will.topic, binary(will.payload), qos(will.qos), will.retain))
}

/// The packets that 3.1 and 3.1.1 share.
macro_rules! shared {
    ($packet:expr, $family:ident) => {
        match $packet {
            Packet::Connect(connect) => {
                let keep_alive = Duration::from_secs(connect.keep_alive_s.into());
                let (credentials, will) = (credentials(connect)?, will_4(connect));
                let clean = connect.clean_start;
                $family::Packet::Connect($family::Connect::new(connect.client_id, credentials, will, keep_alive, clean))
            }
            Packet::Publish(publish) => $family::Packet::Publish(v4::Publish::new(
                publish.topic,
                publish.packet_id,
                binary(publish.payload),
                flags(publish),
            )),
            Packet::PubAck(receipt) => $family::Packet::PubAck(v4::PubAck::new(receipt.packet_id)),
            Packet::PubRec(receipt) => $family::Packet::PubRec(v4::PubRec::new(receipt.packet_id)),
            Packet::PubRel(receipt) => $family::Packet::PubRel(v4::PubRel::new(receipt.packet_id)),
            Packet::PubComp(receipt) => $family::Packet::PubComp(v4::PubComp::new(receipt.packet_id)),
            Packet::Subscribe(subscribe) => $family::Packet::Subscribe(v4::Subscribe::new(
                subscribe.packet_id,
                subscribe.filters.map(|(filter, options)| v4::TopicQosFilter::new(filter, qos(options.qos))),
            )),
            Packet::Unsubscribe(unsubscribe) => {
                $family::Packet::Unsubscribe(v4::Unsubscribe::new(unsubscribe.packet_id, unsubscribe.filters))
            }
            Packet::UnsubAck(ack) => $family::Packet::UnsubAck(v4::UnsubAck::new(ack.packet_id)),
            Packet::PingReq => $family::Packet::PingReq(v4::PingReq {}),
            Packet::PingResp => $family::Packet::PingResp(v4::PingResp {}),
            Packet::Disconnect(_) => $family::Packet::Disconnect(v4::Disconnect {}),
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::Auth(_) => return None,
        }
    };
}

fn of_3(packet: &Packet<'_>) -> Option<v3::Packet> {
    Some(match packet {
        Packet::ConnAck(connack) => {
            let code = connack.reason.connect_return_code().try_into().expect("one of six");
            v3::Packet::ConnAck(v3::ConnAck::new(code))
        }
        Packet::SubAck(ack) => {
            // There is no failure in 3.1, and their type has none.
            let codes: Option<Vec<v3::ReturnCode>> =
                ack.reasons.map(|reason| v3::ReturnCode::try_from(reason as u8).ok()).collect();
            v3::Packet::SubAck(v3::SubAck::new(ack.packet_id, codes?))
        }
        packet => shared!(packet, v3),
    })
}

fn of_4(packet: &Packet<'_>) -> Option<v4::Packet> {
    Some(match packet {
        Packet::ConnAck(connack) => {
            let code = connack.reason.connect_return_code().try_into().expect("one of six");
            v4::Packet::ConnAck(v4::ConnAck::new(code, connack.session_present))
        }
        Packet::SubAck(ack) => {
            let codes = ack.reasons.map(|reason| v4::ReturnCode::try_from(reason as u8).expect("one of four"));
            v4::Packet::SubAck(v4::SubAck::new(ack.packet_id, codes))
        }
        packet => shared!(packet, v4),
    })
}

/// A receipt of MQTT 5; the four have types of their own with the same fields.
macro_rules! receipt {
    ($receipt:expr, $packet:ident, $properties:ident) => {
        v5::Packet::$packet(v5::$packet::new(
            $receipt.packet_id,
            reason($receipt.reason),
            some(v5::$properties { reason_string: text($receipt.reason_string), user_properties: user($receipt.user) }),
        ))
    };
}

fn of_5(packet: &Packet<'_>) -> Option<v5::Packet> {
    Some(match packet {
        Packet::Connect(connect) => v5::Packet::Connect(connect_5(connect)?),
        Packet::ConnAck(connack) => v5::Packet::ConnAck(connack_5(connack)),
        Packet::Publish(publish) if publish.topic.is_empty() => return None,
        Packet::Publish(publish) => v5::Packet::Publish(publish_5(publish)),
        Packet::PubAck(receipt) => receipt!(receipt, PubAck, PubAckProperties),
        Packet::PubRec(receipt) => receipt!(receipt, PubRec, PubRecProperties),
        Packet::PubRel(receipt) => receipt!(receipt, PubRel, PubRelProperties),
        Packet::PubComp(receipt) => receipt!(receipt, PubComp, PubCompProperties),
        Packet::Subscribe(subscribe) => v5::Packet::Subscribe(v5::Subscribe::new(
            subscribe.packet_id,
            (subscribe.subscription_id.is_some() || !subscribe.user.is_empty()).then(|| v5::SubscribeProperties {
                subscription_id: subscribe.subscription_id,
                user_properties: user(subscribe.user),
            }),
            subscribe.filters.map(|(filter, options)| {
                let handling = options.retain_handling.try_into().expect("at most 2");
                let (no_local, as_published) = (options.no_local, options.retain_as_published);
                v5::TopicOptionFilter::new(filter, qos(options.qos), no_local, as_published, handling)
            }),
        )),
        Packet::SubAck(ack) => v5::Packet::SubAck(v5::SubAck::new(
            ack.packet_id,
            some(v5::SubAckProperties { reason_string: text(ack.reason_string), user_properties: user(ack.user) }),
            ack.reasons.map(|code| match code {
                Reason::Success => ReasonCode::GrantedQos0,
                code => reason(code),
            }),
        )),
        Packet::Unsubscribe(unsubscribe) => v5::Packet::Unsubscribe(v5::Unsubscribe::new(
            unsubscribe.packet_id,
            (!unsubscribe.user.is_empty())
                .then(|| v5::UnsubscribeProperties { user_properties: user(unsubscribe.user) }),
            unsubscribe.filters,
        )),
        Packet::UnsubAck(ack) => v5::Packet::UnsubAck(v5::UnsubAck::new(
            ack.packet_id,
            some(v5::UnsubAckProperties { reason_string: text(ack.reason_string), user_properties: user(ack.user) }),
            ack.reasons.map(reason),
        )),
        Packet::PingReq => v5::Packet::PingReq(v5::PingReq {}),
        Packet::PingResp => v5::Packet::PingResp(v5::PingResp {}),
        Packet::Disconnect(disconnect) => v5::Packet::Disconnect(v5::Disconnect::new(
            match disconnect.reason {
                Reason::Success => ReasonCode::NormalDisconnection,
                code => reason(code),
            },
            some(v5::DisconnectProperties {
                session_expiry_interval: seconds(disconnect.session_expiry_s),
                reason_string: text(disconnect.reason_string),
                user_properties: user(disconnect.user),
                server_reference: text(disconnect.server_reference),
            }),
        )),
        Packet::Auth(auth) => v5::Packet::Auth(v5::Auth::new(
            reason(auth.reason),
            some(v5::AuthProperties {
                auth_method: text(auth.method),
                auth_data: auth.data.map(binary),
                reason_string: text(auth.reason_string),
                user_properties: user(auth.user),
            }),
        )),
    })
}

fn publish_5(publish: &ours::Publish<'_>) -> v5::Publish {
    let properties = publish.properties;
    let theirs = v5::PublishProperties {
        payload_format_indicator: properties.payload_format,
        message_expiry_interval: seconds(properties.expiry_s),
        topic_alias: properties.topic_alias,
        response_topic: text(properties.response_topic),
        correlation_data: properties.correlation.map(binary),
        user_properties: user(properties.user),
        subscription_id: properties.subscription_ids.collect(),
        content_type: text(properties.content_type),
    };
    v5::Publish::new(publish.topic, publish.packet_id, some(theirs), binary(publish.payload), flags(publish))
}

fn connect_5(connect: &ours::Connect<'_>) -> Option<v5::Connect> {
    let properties = connect.properties;
    let theirs = v5::ConnectProperties {
        session_expiry_interval: seconds(properties.session_expiry_s),
        receive_maximum: properties.receive_max,
        maximum_packet_size: properties.packet_bytes_max,
        topic_alias_maximum: properties.topic_alias_max,
        request_response_info: properties.request_response_information.then_some(true),
        request_problem_info: (!properties.request_problem_information).then_some(false),
        user_properties: user(properties.user),
        auth_method: text(properties.auth_method),
        auth_data: properties.auth_data.map(binary),
    };
    let will = connect.will.map(|will| {
        let theirs = v5::WillProperties {
            delay_interval: seconds((will.delay_s > 0).then_some(will.delay_s)),
            payload_format_indicator: will.properties.payload_format,
            message_expiry_interval: seconds(will.properties.expiry_s),
            content_type: text(will.properties.content_type),
            response_topic: text(will.properties.response_topic),
            correlation_data: will.properties.correlation.map(binary),
            user_properties: user(will.properties.user),
        };
        v5::Will::new(some(theirs), will.topic, binary(will.payload), qos(will.qos), will.retain)
    });
    let keep_alive = Duration::from_secs(connect.keep_alive_s.into());
    let credentials = credentials(connect)?;
    let (id, clean) = (connect.client_id, connect.clean_start);
    Some(match some(theirs) {
        Some(theirs) => v5::Connect::with_properties(id, credentials, will, theirs, keep_alive, clean),
        None => v5::Connect::new(id, credentials, will, keep_alive, clean),
    })
}

fn connack_5(connack: &ours::ConnAck<'_>) -> v5::ConnAck {
    let properties = connack.properties;
    // What says the same as its absence is absent.
    let no = |available: bool| (!available).then_some(false);
    let theirs = v5::ConnAckProperties {
        session_expiry_interval: seconds(properties.session_expiry_s),
        receive_maximum: properties.receive_max,
        maximum_qos: (properties.qos_max != Qos::ExactlyOnce).then(|| qos(properties.qos_max)),
        retain_available: no(properties.retain_available),
        maximum_packet_size: properties.packet_bytes_max,
        assigned_client_id: text(properties.assigned_client_id),
        topic_alias_maximum: properties.topic_alias_max,
        reason: text(properties.reason_string),
        user_properties: user(properties.user),
        wildcard_subscription_available: no(properties.wildcard_available),
        subscription_id_available: no(properties.subscription_ids_available),
        shared_subscription_available: no(properties.shared_available),
        server_keep_alive: properties.server_keep_alive_s,
        response_info: text(properties.response_information),
        server_reference: text(properties.server_reference),
        auth_method: text(properties.auth_method),
        auth_data: properties.auth_data.map(binary),
    };
    v5::ConnAck::new(reason(connack.reason), connack.session_present, some(theirs))
}
