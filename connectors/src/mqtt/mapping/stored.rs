//! The header `mqtt`: what a PUBLISH had that an event has no place for.
//!
//! | bytes | what | there if |
//! |---|---|---|
//! | 1 | flags: QoS (2 bits), RETAIN, and what follows | always |
//! | 1 | more flags | `MORE` |
//! | 2 + n | the publisher's client id | it is not the key |
//! | 2 | packet id | QoS 2 |
//! | 2 + n | topic | it is not `subject` |
//! | 4 | message expiry in seconds | MQTT 5, sent |
//! | 1 | hops: how often the node has published it again | more than none |
//! | 4 + n | properties as MQTT 5 encodes them, without expiry and alias | there are any |
//! | rest | payload | it is not the event's data |
//!
//! Numbers are big-endian. User properties are application properties of the event (`PROPERTIES`) unless their list could not be
//! told from those, because of repeats or because they are CloudEvents attributes; then they stand among the properties here.
//! The payload is kept for structured CloudEvents: their data is a part of it, and writing the envelope again would not give
//! back the same bytes.

use crate::mqtt::codec::Qos;

const QOS: u8 = 0x03;
const RETAIN: u8 = 0x04;
const CLIENT: u8 = 0x08;
const PACKET_ID: u8 = 0x10;
const LIST: u8 = 0x20;
const PROPERTIES: u8 = 0x40;
const MORE: u8 = 0x80;

const TOPIC: u8 = 0x01;
const EXPIRY: u8 = 0x02;
const HOPS: u8 = 0x04;
const PAYLOAD: u8 = 0x08;

/// What a PUBLISH had, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    /// Quality of service.
    pub qos: Qos,
    /// RETAIN.
    pub retain: bool,
    /// Client id of the publisher, if it is not the event's key.
    pub client: Option<&'a [u8]>,
    /// Packet id, at QoS 2.
    pub packet_id: Option<u16>,
    /// Topic, if it is not the event's `subject`.
    pub topic: Option<&'a str>,
    /// Message expiry in seconds.
    pub expiry_s: Option<u32>,
    /// How often the node has published it again.
    pub hops: u8,
    /// Encoded properties, without expiry and alias.
    pub list: &'a [u8],
    /// The event's application properties are the user properties.
    pub has_properties: bool,
    /// Payload, if it is not the event's data.
    pub payload: Option<&'a [u8]>,
}

impl Stored<'_> {
    /// Nothing but QoS and RETAIN.
    pub fn new(qos: Qos, retain: bool) -> Self {
        Self {
            qos,
            retain,
            client: None,
            packet_id: None,
            topic: None,
            expiry_s: None,
            hops: 0,
            list: &[],
            has_properties: false,
            payload: None,
        }
    }

    /// Puts the header's value into `out`, which is cleared.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        let more = flag(self.topic.is_some(), TOPIC)
            | flag(self.expiry_s.is_some(), EXPIRY)
            | flag(self.hops > 0, HOPS)
            | flag(self.payload.is_some(), PAYLOAD);
        let flags = self.qos as u8
            | flag(self.retain, RETAIN)
            | flag(self.client.is_some(), CLIENT)
            | flag(self.packet_id.is_some(), PACKET_ID)
            | flag(!self.list.is_empty(), LIST)
            | flag(self.has_properties, PROPERTIES)
            | flag(more != 0, MORE);
        out.push(flags);
        if more != 0 {
            out.push(more);
        }
        if let Some(client) = self.client {
            put_short(out, client);
        }
        if let Some(packet_id) = self.packet_id {
            out.extend_from_slice(&packet_id.to_be_bytes());
        }
        if let Some(topic) = self.topic {
            put_short(out, topic.as_bytes());
        }
        if let Some(expiry_s) = self.expiry_s {
            out.extend_from_slice(&expiry_s.to_be_bytes());
        }
        if self.hops > 0 {
            out.push(self.hops);
        }
        if !self.list.is_empty() {
            out.extend_from_slice(&(self.list.len() as u32).to_be_bytes());
            out.extend_from_slice(self.list);
        }
        out.extend_from_slice(self.payload.unwrap_or_default());
    }
}

fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= usize::from(u16::MAX), "strings of MQTT are no longer");
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

impl<'a> Stored<'a> {
    /// Reads a header's value; `None` if it is cut off or of no known form.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let flags = take(&mut rest, 1)?[0];
        let more = if flags & MORE != 0 { take(&mut rest, 1)?[0] } else { 0 };
        let client = if flags & CLIENT != 0 { Some(take_short(&mut rest)?) } else { None };
        let packet_id = if flags & PACKET_ID != 0 { Some(take_two(&mut rest)?) } else { None };
        let topic = if more & TOPIC != 0 { Some(std::str::from_utf8(take_short(&mut rest)?).ok()?) } else { None };
        let expiry_s = if more & EXPIRY != 0 { Some(take_four(&mut rest)?) } else { None };
        let hops = if more & HOPS != 0 { take(&mut rest, 1)?[0] } else { 0 };
        let list = if flags & LIST != 0 {
            let len = take_four(&mut rest)? as usize;
            take(&mut rest, len)?
        } else {
            &[]
        };
        Some(Self {
            qos: Qos::of(flags & QOS)?,
            retain: flags & RETAIN != 0,
            client,
            packet_id,
            topic,
            expiry_s,
            hops,
            list,
            has_properties: flags & PROPERTIES != 0,
            payload: (more & PAYLOAD != 0).then_some(rest),
        })
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(taken)
}

fn take_two(rest: &mut &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(take(rest, 2)?.try_into().ok()?))
}

fn take_four(rest: &mut &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(take(rest, 4)?.try_into().ok()?))
}

fn take_short<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::from(take_two(rest)?);
    take(rest, len)
}
