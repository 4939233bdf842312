//! SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK. Filters are well-formed strings here; whether they are good filters is answered
//! one by one by the session.

use super::property::{self, List};
use super::property_list::{Property, UserProperties, Walk};
use super::reader::Reader;
use super::receipt::{explanation, put_explanation};
use super::writer::Writer;
use super::{DecodeError, Frame, Qos, Reason, Version};

/// A client wants messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// Never 0.
    pub packet_id: u16,
    /// Comes back with every message that matches; never 0.
    pub subscription_id: Option<u32>,
    /// Names and values.
    pub user: UserProperties<'a>,
    /// At least one.
    pub filters: Filters<'a>,
}

/// How the messages of one filter are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// Highest QoS of deliveries.
    pub qos: Qos,
    /// Not those that the subscriber published itself.
    pub no_local: bool,
    /// Deliveries keep the publisher's retain flag.
    pub retain_as_published: bool,
    /// Retained messages at subscribing: 0 always, 1 if the subscription is new, 2 never.
    pub retain_handling: u8,
}

impl SubscribeOptions {
    /// What a subscription of 3.1 and 3.1.1 is: only a QoS.
    #[must_use]
    pub fn new(qos: Qos) -> Self {
        SubscribeOptions { qos, no_local: false, retain_as_published: false, retain_handling: 0 }
    }

    fn read(version: Version, byte: u8) -> Result<Self, DecodeError> {
        let reserved = if version == Version::V5 { 0xC0 } else { 0xFC };
        // Version 3.1 does not use the upper six bits, and says nothing about them.
        if byte & reserved != 0 && version != Version::V31 {
            return Err(DecodeError::malformed("a reserved bit of the subscription options is set"));
        }
        let Some(qos) = Qos::of(byte & 3) else {
            let detail = "QoS 3 of a subscription is not allowed";
            return Err(match version {
                Version::V5 => DecodeError::protocol(detail),
                _ => DecodeError::malformed(detail),
            });
        };
        if version != Version::V5 {
            return Ok(SubscribeOptions::new(qos));
        }
        let retain_handling = byte >> 4;
        if retain_handling == 3 {
            return Err(DecodeError::protocol("retain handling 3 is not allowed"));
        }
        Ok(SubscribeOptions { qos, no_local: byte & 4 != 0, retain_as_published: byte & 8 != 0, retain_handling })
    }

    fn byte(self, version: Version) -> u8 {
        if version != Version::V5 {
            return self.qos as u8;
        }
        self.qos as u8
            | u8::from(self.no_local) << 2
            | u8::from(self.retain_as_published) << 3
            | (self.retain_handling & 3) << 4
    }
}

/// The filters of a SUBSCRIBE with their options, in their order: an iterator.
#[derive(Clone, Copy)]
pub struct Filters<'a> {
    version: Version,
    rest: &'a [u8],
}

impl<'a> Filters<'a> {
    fn read(version: Version, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let filters = Filters { version, rest: reader.rest() };
        if reader.is_empty() {
            return Err(DecodeError::protocol("a SUBSCRIBE has no topic filter"));
        }
        while !reader.is_empty() {
            let filter = reader.text()?;
            let options = SubscribeOptions::read(version, reader.byte()?)?;
            if options.no_local && filter.starts_with("$share/") {
                return Err(DecodeError::protocol("a shared subscription must not be no-local"));
            }
        }
        Ok(filters)
    }
}

impl<'a> Iterator for Filters<'a> {
    type Item = (&'a str, SubscribeOptions);

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = Reader::new(self.rest);
        let filter = reader.text().ok()?;
        let options = SubscribeOptions::read(self.version, reader.byte().ok()?).ok()?;
        self.rest = reader.rest();
        Some((filter, options))
    }
}

impl PartialEq for Filters<'_> {
    fn eq(&self, other: &Self) -> bool {
        (*self).eq(*other)
    }
}

impl Eq for Filters<'_> {}

impl std::fmt::Debug for Filters<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

/// A client wants no more messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// Never 0.
    pub packet_id: u16,
    /// Names and values.
    pub user: UserProperties<'a>,
    /// At least one.
    pub filters: UnsubscribeFilters<'a>,
}

/// The filters of an UNSUBSCRIBE in their order: an iterator.
#[derive(Clone, Copy)]
pub struct UnsubscribeFilters<'a>(&'a [u8]);

impl<'a> Iterator for UnsubscribeFilters<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let mut reader = Reader::new(self.0);
        let filter = reader.text().ok()?;
        self.0 = reader.rest();
        Some(filter)
    }
}

impl PartialEq for UnsubscribeFilters<'_> {
    fn eq(&self, other: &Self) -> bool {
        (*self).eq(*other)
    }
}

impl Eq for UnsubscribeFilters<'_> {}

impl std::fmt::Debug for UnsubscribeFilters<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

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

pub(super) fn decode_subscribe<'a>(version: Version, frame: &Frame<'a>) -> Result<Subscribe<'a>, DecodeError> {
    let mut reader = Reader::new(frame.body);
    let packet_id = reader.packet_id()?;
    let mut subscription_id = None;
    let mut user = UserProperties::NONE;
    if version == Version::V5 {
        let mut walk = Walk::new_subscribe(reader.properties()?);
        while let Some(property) = walk.next()? {
            if let Property::SubscriptionId(id) = property {
                subscription_id = Some(id);
            }
        }
        user = walk.user();
    }
    Ok(Subscribe { packet_id, subscription_id, user, filters: Filters::read(version, &mut reader)? })
}

pub(super) fn decode_unsubscribe<'a>(version: Version, frame: &Frame<'a>) -> Result<Unsubscribe<'a>, DecodeError> {
    let mut reader = Reader::new(frame.body);
    let packet_id = reader.packet_id()?;
    let user = match version {
        Version::V5 => UserProperties::read(reader.properties()?)?,
        _ => UserProperties::NONE,
    };
    let filters = UnsubscribeFilters(reader.rest());
    if reader.is_empty() {
        return Err(DecodeError::protocol("an UNSUBSCRIBE has no topic filter"));
    }
    while !reader.is_empty() {
        reader.text()?;
    }
    Ok(Unsubscribe { packet_id, user, filters })
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

/// Appends a SUBSCRIBE. False: it does not fit or has no filter, and nothing was appended.
pub fn write_subscribe<'f>(
    out: &mut Vec<u8>,
    version: Version,
    packet_id: u16,
    subscription_id: Option<u32>,
    user: UserProperties<'_>,
    filters: impl IntoIterator<Item = (&'f str, SubscribeOptions)>,
) -> bool {
    let mut writer = Writer::new(out, 0x82);
    writer.two(packet_id);
    if version == Version::V5 {
        writer.properties(|out| List::new(out).varint(property::SUBSCRIPTION_ID, subscription_id).user(user).fits());
    }
    let mut filters = filters.into_iter().peekable();
    if filters.peek().is_none() {
        writer.refuse();
    }
    for (filter, options) in filters {
        writer.text(filter);
        writer.byte(options.byte(version));
    }
    writer.finish()
}

/// Appends an UNSUBSCRIBE. False: it does not fit or has no filter, and nothing was appended.
pub fn write_unsubscribe<'f>(
    out: &mut Vec<u8>,
    version: Version,
    packet_id: u16,
    user: UserProperties<'_>,
    filters: impl IntoIterator<Item = &'f str>,
) -> bool {
    let mut writer = Writer::new(out, 0xA2);
    writer.two(packet_id);
    if version == Version::V5 {
        writer.properties(|out| List::new(out).user(user).fits());
    }
    let mut filters = filters.into_iter().peekable();
    if filters.peek().is_none() {
        writer.refuse();
    }
    for filter in filters {
        writer.text(filter);
    }
    writer.finish()
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
