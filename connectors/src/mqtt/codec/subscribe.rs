//! SUBSCRIBE and UNSUBSCRIBE. Filters are well-formed strings here; whether they are good filters is answered one by one by the
//! session.

use super::property::{self, List};
use super::property_list::{Property, UserProperties, Walk};
use super::reader::Reader;
use super::writer::Writer;
use super::{DecodeError, Frame, Qos, Version};

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
