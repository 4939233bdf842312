//! Packets of a server, read from the front of a buffer.

use super::property::{self, Value};
use super::{CodecError, Qos, ReceiptKind, Version};

/// A packet of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Answer to CONNECT.
    ConnAck(ConnAck),
    /// A message.
    Publish(Publish<'a>),
    /// PUBACK, PUBREC, PUBREL or PUBCOMP.
    Receipt(Receipt),
    /// Answer to SUBSCRIBE: a code per filter, from 0x80 on a refusal.
    SubAck {
        /// Of the SUBSCRIBE.
        packet_id: u16,
        /// By filter.
        codes: &'a [u8],
    },
    /// Answer to PINGREQ.
    PingResp,
    /// Version 5: the server ends the connection.
    Disconnect {
        /// Why.
        reason: u8,
    },
}

/// CONNACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnAck {
    /// The server knows this client's session.
    pub session_present: bool,
    /// 0: accepted.
    pub reason: u8,
    /// Most QoS 1 and 2 messages that this client may have under way.
    pub receive_maximum: u16,
    /// Highest QoS that the server takes.
    pub maximum_qos: Qos,
    /// Highest topic alias that the server takes; 0: none.
    pub topic_alias_maximum: u16,
    /// The keep alive that the server wants instead of the client's.
    pub server_keep_alive_s: Option<u16>,
    /// Largest packet that the server takes.
    pub packet_bytes_max: Option<u32>,
}

/// PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// It may have been sent before.
    pub dup: bool,
    /// Quality of service.
    pub qos: Qos,
    /// It was kept by the server for new subscribers.
    pub retain: bool,
    /// Of QoS 1 and 2.
    pub packet_id: Option<u16>,
    /// Topic.
    pub topic: &'a str,
    /// Payload.
    pub payload: &'a [u8],
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which.
    pub kind: ReceiptKind,
    /// Of which message.
    pub packet_id: u16,
    /// Version 5: from 0x80 on an error. Always 0 in 3.1.1.
    pub reason: u8,
}

/// Reads the packet at the front of `bytes`, which is whole only if all its bytes are there: `None` asks for more. Also says how
/// many bytes it has.
pub fn decode(
    version: Version,
    bytes: &[u8],
    packet_bytes_max: usize,
) -> Result<Option<(Packet<'_>, usize)>, CodecError> {
    let Some((&first, after)) = bytes.split_first() else { return Ok(None) };
    // What is not MQTT at all might be waited for in vain.
    match first {
        0x20 | 0x30..=0x40 | 0x50 | 0x62 | 0x70 | 0x90 | 0xD0 => {}
        0xE0 if version == Version::V5 => {}
        _ => return Err(CodecError::Unexpected(first)),
    }
    let (mut remaining, mut used) = (0usize, 0);
    loop {
        let Some(&byte) = after.get(used) else { return Ok(None) };
        remaining |= usize::from(byte & 0x7F) << (7 * used);
        used += 1;
        if byte < 0x80 {
            break;
        }
        if used == 4 {
            return Err(CodecError::Length);
        }
    }
    let total = 1 + used + remaining;
    if total > packet_bytes_max {
        return Err(CodecError::TooLarge { bytes: total, bytes_max: packet_bytes_max });
    }
    let Some(body) = bytes.get(1 + used..total) else { return Ok(None) };
    Ok(Some((packet(version, first, body)?, total)))
}

/// `first` is one of those that [`decode`] lets pass.
fn packet(version: Version, first: u8, body: &[u8]) -> Result<Packet<'_>, CodecError> {
    let read = match first {
        0x20 => (connack(version, body), "CONNACK"),
        0x30..=0x3F => (publish(version, first, body), "PUBLISH"),
        0x40 => (receipt(version, ReceiptKind::Ack, body), "PUBACK"),
        0x50 => (receipt(version, ReceiptKind::Rec, body), "PUBREC"),
        0x62 => (receipt(version, ReceiptKind::Rel, body), "PUBREL"),
        0x70 => (receipt(version, ReceiptKind::Comp, body), "PUBCOMP"),
        0x90 => (suback(version, body), "SUBACK"),
        0xD0 => (body.is_empty().then_some(Packet::PingResp), "PINGRESP"),
        _ => (disconnect(body), "DISCONNECT"),
    };
    read.0.ok_or(CodecError::Malformed(read.1))
}

fn connack(version: Version, body: &[u8]) -> Option<Packet<'_>> {
    let ([flags, reason], rest) = body.split_first_chunk::<2>()?;
    let mut connack = ConnAck {
        session_present: flags & 1 == 1,
        reason: *reason,
        receive_maximum: u16::MAX,
        maximum_qos: Qos::ExactlyOnce,
        topic_alias_maximum: 0,
        server_keep_alive_s: None,
        packet_bytes_max: None,
    };
    // The other flags are reserved.
    if flags > &1 {
        return None;
    }
    match version {
        Version::V311 if rest.is_empty() => return Some(Packet::ConnAck(connack)),
        Version::V311 => return None,
        Version::V5 => {}
    }
    let (mut block, rest) = property::split(rest)?;
    if !rest.is_empty() {
        return None;
    }
    while !block.is_empty() {
        match property::next(&mut block)? {
            (0x21, Value::Two(0)) => return None,
            (0x21, Value::Two(maximum)) => connack.receive_maximum = maximum,
            (0x22, Value::Two(maximum)) => connack.topic_alias_maximum = maximum,
            (0x24, Value::Byte(level)) => connack.maximum_qos = Qos::of(level)?,
            (0x13, Value::Two(seconds)) => connack.server_keep_alive_s = Some(seconds),
            (0x27, Value::Four(bytes)) => connack.packet_bytes_max = Some(bytes),
            _ => {}
        }
    }
    Some(Packet::ConnAck(connack))
}

fn publish(version: Version, first: u8, body: &[u8]) -> Option<Packet<'_>> {
    let qos = Qos::of(first >> 1 & 3)?;
    let (length, rest) = body.split_first_chunk::<2>()?;
    let (topic, mut rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let packet_id = if qos == Qos::AtMostOnce {
        None
    } else {
        let (id, after) = rest.split_first_chunk::<2>()?;
        rest = after;
        Some(nonzero(*id)?)
    };
    if version == Version::V5 {
        let (block, after) = property::split(rest)?;
        if !property::is_valid(block) {
            return None;
        }
        rest = after;
    }
    Some(Packet::Publish(Publish {
        dup: first & 0x08 != 0,
        qos,
        retain: first & 1 == 1,
        packet_id,
        topic: std::str::from_utf8(topic).ok()?,
        payload: rest,
    }))
}

fn receipt(version: Version, kind: ReceiptKind, body: &[u8]) -> Option<Packet<'_>> {
    let (id, rest) = body.split_first_chunk::<2>()?;
    let reason = match (version, rest) {
        (_, []) => 0,
        (Version::V311, _) => return None,
        (Version::V5, [reason]) => *reason,
        (Version::V5, [reason, block @ ..]) => {
            let (block, rest) = property::split(block)?;
            if !rest.is_empty() || !property::is_valid(block) {
                return None;
            }
            *reason
        }
    };
    Some(Packet::Receipt(Receipt { kind, packet_id: nonzero(*id)?, reason }))
}

fn suback(version: Version, body: &[u8]) -> Option<Packet<'_>> {
    let (id, mut codes) = body.split_first_chunk::<2>()?;
    if version == Version::V5 {
        let (block, rest) = property::split(codes)?;
        if !property::is_valid(block) {
            return None;
        }
        codes = rest;
    }
    Some(Packet::SubAck { packet_id: nonzero(*id)?, codes })
}

fn disconnect(body: &[u8]) -> Option<Packet<'_>> {
    let reason = match body {
        [] => 0,
        [reason] => *reason,
        [reason, block @ ..] => {
            let (block, rest) = property::split(block)?;
            if !rest.is_empty() || !property::is_valid(block) {
                return None;
            }
            *reason
        }
    };
    Some(Packet::Disconnect { reason })
}

fn nonzero(id: [u8; 2]) -> Option<u16> {
    let id = u16::from_be_bytes(id);
    (id != 0).then_some(id)
}
