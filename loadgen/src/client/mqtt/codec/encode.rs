//! Packets of a client, appended to a buffer. What cannot be written leaves the buffer as it was.

use super::{CodecError, Qos, REMAINING_BYTES_MAX, ReceiptKind, Version};

/// CONNECT.
#[derive(Clone, Copy, Debug)]
pub struct Connect<'a> {
    /// Client id.
    pub client_id: &'a str,
    /// Seconds without a packet after which the server may cut; 0: never.
    pub keep_alive_s: u16,
    /// Clean start (version 5) or clean session (3.1.1).
    pub clean_start: bool,
    /// User.
    pub username: Option<&'a str>,
    /// Password; 3.1.1 allows one only beside a user.
    pub password: Option<&'a [u8]>,
    /// Version 5: seconds for which the server keeps the session after a connection ends.
    pub session_expiry_s: u32,
    /// Version 5: most QoS 1 and 2 messages that the server may have under way to this client.
    pub receive_maximum: u16,
}

impl Connect<'_> {
    /// Appends it.
    pub fn write(&self, version: Version, out: &mut Vec<u8>) -> Result<(), CodecError> {
        whole(out, 0x10, |out| {
            out.extend_from_slice(&[0, 4, b'M', b'Q', b'T', b'T']);
            out.push(if version == Version::V5 { 5 } else { 4 });
            let mut flags = if self.clean_start { 0x02 } else { 0 };
            if self.username.is_some() {
                flags |= 0x80;
            }
            if self.password.is_some() {
                flags |= 0x40;
            }
            out.push(flags);
            out.extend_from_slice(&self.keep_alive_s.to_be_bytes());
            if version == Version::V5 {
                out.push(8);
                out.push(0x11);
                out.extend_from_slice(&self.session_expiry_s.to_be_bytes());
                out.push(0x21);
                // Zero is forbidden by the protocol.
                out.extend_from_slice(&self.receive_maximum.max(1).to_be_bytes());
            }
            text(out, "the client id", self.client_id.as_bytes())?;
            if let Some(username) = self.username {
                text(out, "the user", username.as_bytes())?;
            }
            if let Some(password) = self.password {
                text(out, "the password", password)?;
            }
            Ok(())
        })
    }
}

/// A PUBLISH that is written in place: [`begin`](Self::begin), append the topic, [`topic_ends`](Self::topic_ends), append the
/// payload, [`finish`](Self::finish).
#[derive(Debug)]
#[must_use]
pub struct Draft {
    start: usize,
    topic_bytes: usize,
}

/// First byte and a length of two bytes, as a packet of 128 to 16,383 bytes has it.
const HEAD_BYTES: usize = 3;

impl Draft {
    /// Appends the head.
    pub fn begin(out: &mut Vec<u8>, qos: Qos, retain: bool) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0x30 | qos.level() << 1 | u8::from(retain), 0, 0, 0, 0]);
        Self { start, topic_bytes: 0 }
    }

    /// Appends what lies between topic and payload. `packet_id` is that of QoS 1 and 2.
    pub fn topic_ends(&mut self, out: &mut Vec<u8>, version: Version, packet_id: Option<u16>) {
        self.topic_bytes = out.len() - self.start - HEAD_BYTES - 2;
        if let Some(packet_id) = packet_id {
            out.extend_from_slice(&packet_id.to_be_bytes());
        }
        if version == Version::V5 {
            out.push(0);
        }
    }

    /// Fills in the lengths.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let remaining = out.len() - self.start - HEAD_BYTES;
        let Ok(topic_bytes) = u16::try_from(self.topic_bytes) else {
            out.truncate(self.start);
            return Err(CodecError::TextTooLong { what: "the topic", bytes: self.topic_bytes });
        };
        if remaining > REMAINING_BYTES_MAX {
            out.truncate(self.start);
            return Err(CodecError::TooLarge { bytes: remaining, bytes_max: REMAINING_BYTES_MAX });
        }
        let topic_at = self.start + HEAD_BYTES;
        out[topic_at..topic_at + 2].copy_from_slice(&topic_bytes.to_be_bytes());
        if (128..16_384).contains(&remaining) {
            out[self.start + 1] = remaining as u8 | 0x80;
            out[self.start + 2] = (remaining >> 7) as u8;
        } else {
            let (length, used) = length_bytes(remaining);
            out.splice(self.start + 1..self.start + HEAD_BYTES, length[..used].iter().copied());
        }
        Ok(())
    }
}

/// Marks a PUBLISH that was written before as one that may have arrived already.
pub(in crate::client::mqtt) fn set_dup(packet: &mut [u8]) {
    packet[0] |= 0x08;
}

/// Appends SUBSCRIBE.
pub fn write_subscribe(
    version: Version,
    packet_id: u16,
    filters: &[String],
    qos: Qos,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    whole(out, 0x82, |out| {
        out.extend_from_slice(&packet_id.to_be_bytes());
        if version == Version::V5 {
            out.push(0);
        }
        for filter in filters {
            text(out, "a topic filter", filter.as_bytes())?;
            out.push(qos.level());
        }
        Ok(())
    })
}

/// Appends PUBACK, PUBREC, PUBREL or PUBCOMP that says all is well: the same bytes in both versions.
pub fn write_receipt(kind: ReceiptKind, packet_id: u16, out: &mut Vec<u8>) {
    let first = match kind {
        ReceiptKind::Ack => 0x40,
        ReceiptKind::Rec => 0x50,
        ReceiptKind::Rel => 0x62,
        ReceiptKind::Comp => 0x70,
    };
    let [high, low] = packet_id.to_be_bytes();
    out.extend_from_slice(&[first, 2, high, low]);
}

/// Appends PINGREQ.
pub fn write_ping(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xC0, 0]);
}

/// Appends DISCONNECT. Version 5 also ends the session if `ends_session`.
pub fn write_disconnect(version: Version, ends_session: bool, out: &mut Vec<u8>) {
    match version {
        Version::V5 if ends_session => out.extend_from_slice(&[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 0]),
        _ => out.extend_from_slice(&[0xE0, 0]),
    }
}

/// A packet whose length is known when its body is written.
fn whole(
    out: &mut Vec<u8>,
    first: u8,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let start = out.len();
    out.push(first);
    let written = body(out).and_then(|()| {
        let bytes = out.len() - start - 1;
        if bytes > REMAINING_BYTES_MAX {
            return Err(CodecError::TooLarge { bytes, bytes_max: REMAINING_BYTES_MAX });
        }
        let (length, used) = length_bytes(bytes);
        out.splice(start + 1..start + 1, length[..used].iter().copied());
        Ok(())
    });
    if written.is_err() {
        out.truncate(start);
    }
    written
}

fn text(out: &mut Vec<u8>, what: &'static str, text: &[u8]) -> Result<(), CodecError> {
    let length = u16::try_from(text.len()).map_err(|_| CodecError::TextTooLong { what, bytes: text.len() })?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text);
    Ok(())
}

/// Seven bits a byte, low ones first.
fn length_bytes(mut length: usize) -> ([u8; 4], usize) {
    let (mut bytes, mut used) = ([0; 4], 0);
    loop {
        let more = length > 127 && used < 3;
        bytes[used] = (length & 0x7F) as u8 | if more { 0x80 } else { 0 };
        used += 1;
        length >>= 7;
        if !more {
            return (bytes, used);
        }
    }
}
