//! SUBACK and UNSUBACK: one reason for each filter of the question, in their order.

use super::property_list::UserProperties;
use super::reader::Reader;
use super::receipt::{explanation, put_explanation};
use super::writer::Writer;
use super::{DecodeError, Frame, Reason, Version};

/// The answer to SUBSCRIBE or UNSUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// That of the question.
    pub packet_id: u16,
    /// For people.
    pub reason_string: Option<&'a str>,
    /// Names and values.
    pub user: UserProperties<'a>,
    /// One for each filter, in their order; none in an UNSUBACK before MQTT 5.
    pub reasons: Reasons<'a>,
}

/// The answer to UNSUBSCRIBE: the same fields.
pub type UnsubAck<'a> = SubAck<'a>;

/// Reasons in their order: an iterator.
#[derive(Clone, Copy)]
pub struct Reasons<'a>(&'a [u8]);

impl Iterator for Reasons<'_> {
    type Item = Reason;

    fn next(&mut self) -> Option<Reason> {
        let (&code, rest) = self.0.split_first()?;
        self.0 = rest;
        Reason::of(code)
    }
}

impl PartialEq for Reasons<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Reasons<'_> {}

impl std::fmt::Debug for Reasons<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

pub(super) fn decode_suback<'a>(version: Version, frame: &Frame<'a>) -> Result<SubAck<'a>, DecodeError> {
    decode_ack(version, frame, |reason| match version {
        Version::V5 => matches!(
            reason,
            Reason::Success
                | Reason::GrantedQos1
                | Reason::GrantedQos2
                | Reason::Unspecified
                | Reason::ImplementationSpecific
                | Reason::NotAuthorized
                | Reason::TopicFilterInvalid
                | Reason::PacketIdentifierInUse
                | Reason::QuotaExceeded
                | Reason::SharedSubscriptionsNotSupported
                | Reason::SubscriptionIdentifiersNotSupported
                | Reason::WildcardSubscriptionsNotSupported
        ),
        // Version 3.1 has no failure, but servers that speak it as well as 3.1.1 send it.
        _ => matches!(reason, Reason::Success | Reason::GrantedQos1 | Reason::GrantedQos2 | Reason::Unspecified),
    })
}

pub(super) fn decode_unsuback<'a>(version: Version, frame: &Frame<'a>) -> Result<UnsubAck<'a>, DecodeError> {
    if version != Version::V5 {
        let mut reader = Reader::new(frame.body);
        let packet_id = reader.packet_id()?;
        reader.end()?;
        return Ok(SubAck { packet_id, reason_string: None, user: UserProperties::NONE, reasons: Reasons(&[]) });
    }
    decode_ack(version, frame, |reason| {
        matches!(
            reason,
            Reason::Success
                | Reason::NoSubscriptionExisted
                | Reason::Unspecified
                | Reason::ImplementationSpecific
                | Reason::NotAuthorized
                | Reason::TopicFilterInvalid
                | Reason::PacketIdentifierInUse
        )
    })
}

fn decode_ack<'a>(
    version: Version,
    frame: &Frame<'a>,
    allows: impl Fn(Reason) -> bool,
) -> Result<SubAck<'a>, DecodeError> {
    let mut reader = Reader::new(frame.body);
    let packet_id = reader.packet_id()?;
    let (reason_string, user) = match version {
        Version::V5 => explanation(reader.properties()?)?,
        _ => (None, UserProperties::NONE),
    };
    let codes = reader.rest();
    if codes.is_empty() {
        return Err(DecodeError::protocol("an answer has no reason code"));
    }
    if !codes.iter().all(|code| Reason::of(*code).is_some_and(&allows)) {
        return Err(DecodeError::protocol("an answer has a reason code that its packet does not know"));
    }
    Ok(SubAck { packet_id, reason_string, user, reasons: Reasons(codes) })
}

/// Appends a SUBACK; before MQTT 5 every error is 0x80. False: it does not fit, and nothing was appended.
pub fn write_suback(
    out: &mut Vec<u8>,
    version: Version,
    packet_id: u16,
    reasons: &[Reason],
    reason_string: Option<&str>,
    user: UserProperties<'_>,
) -> bool {
    let mut writer = Writer::new(out, 0x90);
    writer.two(packet_id);
    if version == Version::V5 {
        writer.properties(|out| put_explanation(out, reason_string, user));
    }
    for reason in reasons {
        let plain = if reason.is_error() { Reason::Unspecified } else { *reason };
        writer.byte(if version == Version::V5 { *reason } else { plain } as u8);
    }
    writer.finish()
}

/// Appends an UNSUBACK; before MQTT 5 it says no reasons. False: it does not fit, and nothing was appended.
pub fn write_unsuback(
    out: &mut Vec<u8>,
    version: Version,
    packet_id: u16,
    reasons: &[Reason],
    reason_string: Option<&str>,
    user: UserProperties<'_>,
) -> bool {
    let mut writer = Writer::new(out, 0xB0);
    writer.two(packet_id);
    if version == Version::V5 {
        writer.properties(|out| put_explanation(out, reason_string, user));
        for reason in reasons {
            writer.byte(*reason as u8);
        }
    }
    writer.finish()
}
