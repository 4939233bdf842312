//! The codec of the broker RMQTT: `rmqtt-codec`. It reads 3.1 and 3.1.1 as one.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::{Bytes, BytesMut};
use connectors::mqtt::codec::{self as ours, Packet, Qos, Reason, Version};
use rmqtt_codec::types::{Protocol, Publish, QoS};
use rmqtt_codec::{v3, v5};
use tokio_util::codec::{Decoder, Encoder};

use crate::Peer;

/// See the header of this file.
pub struct Rmqtt;

/// A packet as it holds them.
#[derive(Debug, PartialEq)]
pub enum Theirs {
    V3(v3::Packet),
    V5(v5::Packet),
}

impl Peer for Rmqtt {
    type Packet = Theirs;
    const NAME: &'static str = "rmqtt-codec";

    fn read(version: Version, bytes: &[u8]) -> Option<Theirs> {
        let mut bytes = BytesMut::from(bytes);
        match version {
            Version::V5 => Some(Theirs::V5(v5::Codec::new(0, 0).decode(&mut bytes).ok()??.0)),
            _ => Some(Theirs::V3(v3::Codec::new(0).decode(&mut bytes).ok()??.0)),
        }
    }

    fn write(packet: Theirs) -> Option<Vec<u8>> {
        let mut bytes = BytesMut::new();
        match packet {
            Theirs::V3(packet) => v3::Codec::new(0).encode(packet, &mut bytes).ok()?,
            Theirs::V5(packet) => v5::Codec::new(0, 0).encode(packet, &mut bytes).ok()?,
        }
        Some(bytes.to_vec())
    }

    fn of(version: Version, packet: &Packet<'_>) -> Option<Theirs> {
        // An expiry of 0 is none to it.
        let expiry_s = match packet {
            Packet::Publish(publish) => publish.properties.expiry_s,
            Packet::Connect(connect) => connect.will.and_then(|will| will.properties.expiry_s),
            _ => None,
        };
        if expiry_s == Some(0) {
            return None;
        }
        match version {
            Version::V5 => of_5(packet).map(Theirs::V5),
            _ => of_3(packet).map(Theirs::V3),
        }
    }
}

fn qos(qos: Qos) -> QoS {
    QoS::try_from(qos as u8).expect("the same three levels")
}

fn id(id: u16) -> NonZeroU16 {
    NonZeroU16::new(id).expect("our packets have no identifier 0")
}

fn binary(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn user(user: ours::UserProperties<'_>) -> v5::UserProperties {
    user.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// Every enumeration of reasons is one of bytes.
fn reason<R: TryFrom<u8>>(reason: Reason) -> R {
    R::try_from(reason as u8).ok().expect("the packet knows the reason")
}

fn of_3(packet: &Packet<'_>) -> Option<v3::Packet> {
    Some(match packet {
        Packet::Connect(connect) => v3::Packet::Connect(Box::new(v3::Connect {
            protocol: Protocol(if connect.version == Version::V31 { 3 } else { 4 }),
            clean_session: connect.clean_start,
            keep_alive: connect.keep_alive_s,
            last_will: connect.will.map(|will| v3::LastWill {
                qos: qos(will.qos),
                retain: will.retain,
                topic: will.topic.into(),
                message: binary(will.payload),
            }),
            client_id: connect.client_id.into(),
            username: connect.username.map(Into::into),
            password: connect.password.map(binary),
            cert: None,
        })),
        Packet::ConnAck(connack) => v3::Packet::ConnectAck(v3::ConnectAck {
            return_code: connack.reason.connect_return_code().try_into().expect("one of six"),
            session_present: connack.session_present,
        }),
        Packet::Publish(publish) => v3::Packet::Publish(Box::new(Publish {
            dup: publish.dup,
            retain: publish.retain,
            qos: qos(publish.qos),
            topic: publish.topic.into(),
            packet_id: NonZeroU16::new(publish.packet_id),
            payload: binary(publish.payload),
            properties: None,
        })),
        Packet::PubAck(receipt) => v3::Packet::PublishAck { packet_id: id(receipt.packet_id) },
        Packet::PubRec(receipt) => v3::Packet::PublishReceived { packet_id: id(receipt.packet_id) },
        Packet::PubRel(receipt) => v3::Packet::PublishRelease { packet_id: id(receipt.packet_id) },
        Packet::PubComp(receipt) => v3::Packet::PublishComplete { packet_id: id(receipt.packet_id) },
        Packet::Subscribe(subscribe) => v3::Packet::Subscribe {
            packet_id: id(subscribe.packet_id),
            topic_filters: subscribe.filters.map(|(filter, options)| (filter.into(), qos(options.qos))).collect(),
        },
        Packet::SubAck(ack) => v3::Packet::SubscribeAck {
            packet_id: id(ack.packet_id),
            status: ack
                .reasons
                .map(|reason| match QoS::try_from(reason as u8) {
                    Ok(qos) => v3::SubscribeReturnCode::Success(qos),
                    Err(_) => v3::SubscribeReturnCode::Failure,
                })
                .collect(),
        },
        Packet::Unsubscribe(unsubscribe) => v3::Packet::Unsubscribe {
            packet_id: id(unsubscribe.packet_id),
            topic_filters: unsubscribe.filters.map(Into::into).collect(),
        },
        Packet::UnsubAck(ack) => v3::Packet::UnsubscribeAck { packet_id: id(ack.packet_id) },
        Packet::PingReq => v3::Packet::PingRequest,
        Packet::PingResp => v3::Packet::PingResponse,
        Packet::Disconnect(_) => v3::Packet::Disconnect,
        Packet::Auth(_) => return None,
    })
}

fn of_5(packet: &Packet<'_>) -> Option<v5::Packet> {
    Some(match packet {
        Packet::Connect(connect) => v5::Packet::Connect(Box::new(connect_5(connect))),
        Packet::ConnAck(connack) => v5::Packet::ConnectAck(Box::new(connack_5(connack))),
        Packet::Publish(publish) => v5::Packet::Publish(Box::new(publish_5(publish))),
        Packet::PubAck(receipt) => v5::Packet::PublishAck(arrived(receipt)),
        Packet::PubRec(receipt) => v5::Packet::PublishReceived(arrived(receipt)),
        Packet::PubRel(receipt) => v5::Packet::PublishRelease(released(receipt)),
        Packet::PubComp(receipt) => v5::Packet::PublishComplete(released(receipt)),
        Packet::Subscribe(subscribe) => v5::Packet::Subscribe(v5::Subscribe {
            packet_id: id(subscribe.packet_id),
            id: subscribe.subscription_id.and_then(NonZeroU32::new),
            user_properties: user(subscribe.user),
            topic_filters: subscribe
                .filters
                .map(|(filter, options)| {
                    let theirs = v5::SubscriptionOptions {
                        qos: qos(options.qos),
                        no_local: options.no_local,
                        retain_as_published: options.retain_as_published,
                        retain_handling: options.retain_handling.try_into().expect("at most 2"),
                    };
                    (filter.into(), theirs)
                })
                .collect(),
        }),
        Packet::SubAck(ack) => v5::Packet::SubscribeAck(v5::SubscribeAck {
            packet_id: id(ack.packet_id),
            properties: user(ack.user),
            reason_string: ack.reason_string.map(Into::into),
            status: ack.reasons.map(reason).collect(),
        }),
        Packet::Unsubscribe(unsubscribe) => v5::Packet::Unsubscribe(v5::Unsubscribe {
            packet_id: id(unsubscribe.packet_id),
            user_properties: user(unsubscribe.user),
            topic_filters: unsubscribe.filters.map(Into::into).collect(),
        }),
        Packet::UnsubAck(ack) => v5::Packet::UnsubscribeAck(v5::UnsubscribeAck {
            packet_id: id(ack.packet_id),
            properties: user(ack.user),
            reason_string: ack.reason_string.map(Into::into),
            status: ack.reasons.map(reason).collect(),
        }),
        Packet::PingReq => v5::Packet::PingRequest,
        Packet::PingResp => v5::Packet::PingResponse,
        Packet::Disconnect(disconnect) => v5::Packet::Disconnect(v5::Disconnect {
            reason_code: reason(disconnect.reason),
            session_expiry_interval_secs: disconnect.session_expiry_s,
            server_reference: disconnect.server_reference.map(Into::into),
            reason_string: disconnect.reason_string.map(Into::into),
            user_properties: user(disconnect.user),
        }),
        Packet::Auth(auth) => v5::Packet::Auth(v5::Auth {
            reason_code: reason(auth.reason),
            auth_method: auth.method.map(Into::into),
            auth_data: auth.data.map(binary),
            reason_string: auth.reason_string.map(Into::into),
            user_properties: user(auth.user),
        }),
    })
}

fn arrived(receipt: &ours::Receipt<'_>) -> v5::PublishAck {
    v5::PublishAck {
        packet_id: id(receipt.packet_id),
        reason_code: reason(receipt.reason),
        properties: user(receipt.user),
        reason_string: receipt.reason_string.map(Into::into),
    }
}

fn released(receipt: &ours::Receipt<'_>) -> v5::PublishAck2 {
    v5::PublishAck2 {
        packet_id: id(receipt.packet_id),
        reason_code: reason(receipt.reason),
        properties: user(receipt.user),
        reason_string: receipt.reason_string.map(Into::into),
    }
}

fn publish_5(publish: &ours::Publish<'_>) -> Publish {
    let properties = publish.properties;
    Publish {
        dup: publish.dup,
        retain: publish.retain,
        qos: qos(publish.qos),
        topic: publish.topic.into(),
        packet_id: NonZeroU16::new(publish.packet_id),
        payload: binary(publish.payload),
        properties: Some(v5::PublishProperties {
            topic_alias: properties.topic_alias.and_then(NonZeroU16::new),
            correlation_data: properties.correlation.map(binary),
            message_expiry_interval: properties.expiry_s.and_then(NonZeroU32::new),
            content_type: properties.content_type.map(Into::into),
            user_properties: user(properties.user),
            is_utf8_payload: properties.payload_format == Some(1),
            response_topic: properties.response_topic.map(Into::into),
            subscription_ids: properties.subscription_ids.filter_map(NonZeroU32::new).collect(),
        }),
    }
}

fn connect_5(connect: &ours::Connect<'_>) -> v5::Connect {
    let properties = connect.properties;
    v5::Connect {
        clean_start: connect.clean_start,
        keep_alive: connect.keep_alive_s,
        session_expiry_interval_secs: properties.session_expiry_s.unwrap_or(0),
        auth_method: properties.auth_method.map(Into::into),
        auth_data: properties.auth_data.map(binary),
        request_problem_info: properties.request_problem_information,
        request_response_info: properties.request_response_information,
        receive_max: properties.receive_max.and_then(NonZeroU16::new),
        topic_alias_max: properties.topic_alias_max.unwrap_or(0),
        user_properties: user(properties.user),
        max_packet_size: properties.packet_bytes_max.and_then(NonZeroU32::new),
        last_will: connect.will.map(|will| v5::LastWill {
            qos: qos(will.qos),
            retain: will.retain,
            topic: will.topic.into(),
            message: binary(will.payload),
            will_delay_interval_sec: (will.delay_s > 0).then_some(will.delay_s),
            correlation_data: will.properties.correlation.map(binary),
            message_expiry_interval: will.properties.expiry_s.and_then(NonZeroU32::new),
            content_type: will.properties.content_type.map(Into::into),
            user_properties: user(will.properties.user),
            is_utf8_payload: will.properties.payload_format.map(|format| format == 1),
            response_topic: will.properties.response_topic.map(Into::into),
        }),
        client_id: connect.client_id.into(),
        username: connect.username.map(Into::into),
        password: connect.password.map(binary),
        cert: None,
    }
}

fn connack_5(connack: &ours::ConnAck<'_>) -> v5::ConnectAck {
    let properties = connack.properties;
    v5::ConnectAck {
        session_present: connack.session_present,
        reason_code: reason(connack.reason),
        session_expiry_interval_secs: properties.session_expiry_s,
        receive_max: id(properties.receive_max.unwrap_or(u16::MAX)),
        max_qos: qos(properties.qos_max),
        max_packet_size: properties.packet_bytes_max,
        assigned_client_id: properties.assigned_client_id.map(Into::into),
        topic_alias_max: properties.topic_alias_max.unwrap_or(0),
        retain_available: properties.retain_available,
        wildcard_subscription_available: properties.wildcard_available,
        subscription_identifiers_available: properties.subscription_ids_available,
        shared_subscription_available: properties.shared_available,
        server_keepalive_sec: properties.server_keep_alive_s,
        response_info: properties.response_information.map(Into::into),
        server_reference: properties.server_reference.map(Into::into),
        auth_method: properties.auth_method.map(Into::into),
        auth_data: properties.auth_data.map(binary),
        reason_string: properties.reason_string.map(Into::into),
        user_properties: user(properties.user),
    }
}
