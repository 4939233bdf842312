//! Where packets end, and which answer a packet will get; as much of MQTT as several streams of one connection need.
//!
//! What always holds: nothing here judges a packet; what is malformed is for the broker to see.

/// Bytes of a packet's fixed header at most.
const HEADER_BYTES_MAX: usize = 5;

const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const PUBREC: u8 = 5;
const PUBREL: u8 = 6;
const PUBCOMP: u8 = 7;
const SUBSCRIBE: u8 = 8;
const SUBACK: u8 = 9;
const UNSUBSCRIBE: u8 = 10;
const UNSUBACK: u8 = 11;
const PINGREQ: u8 = 12;
const PINGRESP: u8 = 13;

/// What the first bytes of a packet say about its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// Of the packet, with its header.
    Known {
        /// Of the header.
        header: usize,
        /// Of all.
        total: usize,
    },
    /// It takes more bytes.
    Unknown,
    /// There is none.
    Malformed,
}

/// See [`Length`].
pub(super) fn length(bytes: &[u8]) -> Length {
    let mut body = 0;
    for (at, byte) in bytes.iter().skip(1).take(HEADER_BYTES_MAX - 1).enumerate() {
        body |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Length::Known { header: at + 2, total: at + 2 + body };
        }
    }
    if bytes.len() < HEADER_BYTES_MAX { Length::Unknown } else { Length::Malformed }
}

/// Bytes of the whole packets at the start.
pub(super) fn whole(bytes: &[u8], mut on_packet: impl FnMut(&[u8])) -> usize {
    let mut end = 0;
    while let Length::Known { total, .. } = length(&bytes[end..])
        && let Some(packet) = bytes[end..].get(..total)
    {
        on_packet(packet);
        end += total;
    }
    end
}

/// What answers a packet: the type of the answer and the packet identifier in it, 0 where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    kind: u8,
    packet_id: u16,
}

/// What a packet will be answered with, if it will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// By this.
    With(Answer),
    /// Not.
    Never,
    /// Its identifier is not among these bytes.
    Unknown,
}

/// The answer that a client's packet asks for, from its first bytes.
pub(super) fn answered(packet: &[u8]) -> Answered {
    let Length::Known { header, .. } = length(packet) else { return Answered::Unknown };
    let first = packet[0];
    let id_at = |at: usize, kind| match packet.get(at..at + 2) {
        Some(id) => Answered::With(Answer { kind, packet_id: u16::from_be_bytes([id[0], id[1]]) }),
        None => Answered::Unknown,
    };
    match (first >> 4, first >> 1 & 3) {
        (PUBLISH, 0) => Answered::Never,
        (PUBLISH, qos) => match packet.get(header..header + 2) {
            Some(topic) => {
                let topic = usize::from(u16::from_be_bytes([topic[0], topic[1]]));
                id_at(header + 2 + topic, if qos == 1 { PUBACK } else { PUBREC })
            }
            None => Answered::Unknown,
        },
        (PUBREL, _) => id_at(header, PUBCOMP),
        (SUBSCRIBE, _) => id_at(header, SUBACK),
        (UNSUBSCRIBE, _) => id_at(header, UNSUBACK),
        (PINGREQ, _) => Answered::With(Answer { kind: PINGRESP, packet_id: 0 }),
        _ => Answered::Never,
    }
}

/// The answer that a packet of the broker's is.
pub(super) fn answer(packet: &[u8]) -> Option<Answer> {
    let Length::Known { header, .. } = length(packet) else { return None };
    let kind = packet[0] >> 4;
    match kind {
        PUBACK | PUBREC | PUBCOMP | SUBACK | UNSUBACK => {
            let id = packet.get(header..header + 2)?;
            Some(Answer { kind, packet_id: u16::from_be_bytes([id[0], id[1]]) })
        }
        PINGRESP => Some(Answer { kind, packet_id: 0 }),
        _ => None,
    }
}
