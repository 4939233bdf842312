//! PUBACK, PUBREC, PUBREL and PUBCOMP: four packets of one shape.

use super::property::{self, List};
use super::property_list::{Property, UserProperties, Walk, ids};
use super::reader::Reader;
use super::writer::Writer;
use super::{DecodeError, Frame, Reason, Version};

/// Which of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReceiptKind {
    /// PUBACK: a message of QoS 1 has arrived.
    Ack,
    /// PUBREC: a message of QoS 2 has arrived.
    Rec,
    /// PUBREL: the sender of a message of QoS 2 will not send it again.
    Rel,
    /// PUBCOMP: a message of QoS 2 is done with.
    Comp,
}

impl ReceiptKind {
    /// First byte of the fixed header.
    fn first(self) -> u8 {
        match self {
            ReceiptKind::Ack => 0x40,
            ReceiptKind::Rec => 0x50,
            ReceiptKind::Rel => 0x62,
            ReceiptKind::Comp => 0x70,
        }
    }

    fn allows(self, reason: Reason) -> bool {
        match self {
            ReceiptKind::Ack | ReceiptKind::Rec => matches!(
                reason,
                Reason::Success
                    | Reason::NoMatchingSubscribers
                    | Reason::Unspecified
                    | Reason::ImplementationSpecific
                    | Reason::NotAuthorized
                    | Reason::TopicNameInvalid
                    | Reason::PacketIdentifierInUse
                    | Reason::QuotaExceeded
                    | Reason::PayloadFormatInvalid
            ),
            ReceiptKind::Rel | ReceiptKind::Comp => {
                matches!(reason, Reason::Success | Reason::PacketIdentifierNotFound)
            }
        }
    }
}

/// One step of an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt<'a> {
    /// Never 0.
    pub packet_id: u16,
    /// Success below MQTT 5.
    pub reason: Reason,
    /// For people.
    pub reason_string: Option<&'a str>,
    /// Names and values.
    pub user: UserProperties<'a>,
}

impl Receipt<'_> {
    /// A receipt that says no more than its reason.
    #[must_use]
    pub fn new(packet_id: u16, reason: Reason) -> Self {
        Receipt { packet_id, reason, reason_string: None, user: UserProperties::NONE }
    }
}

pub(super) fn decode<'a>(version: Version, kind: ReceiptKind, frame: &Frame<'a>) -> Result<Receipt<'a>, DecodeError> {
    let mut reader = Reader::new(frame.body);
    let mut receipt = Receipt::new(reader.packet_id()?, Reason::Success);
    if version == Version::V5 && !reader.is_empty() {
        receipt.reason = Reason::of(reader.byte()?)
            .filter(|reason| kind.allows(*reason))
            .ok_or(DecodeError::protocol("a receipt has a reason code that its packet does not know"))?;
        if !reader.is_empty() {
            (receipt.reason_string, receipt.user) = explanation(reader.properties()?)?;
        }
    }
    reader.end()?;
    Ok(receipt)
}

/// A property list that holds only a reason string and user properties.
pub(super) fn explanation<'a>(list: &'a [u8]) -> Result<(Option<&'a str>, UserProperties<'a>), DecodeError> {
    let mut walk = Walk::new(list, ids(&[property::REASON_STRING, property::USER]));
    let mut reason_string = None;
    while let Some(property) = walk.next()? {
        if let Property::ReasonString(value) = property {
            reason_string = Some(value);
        }
    }
    Ok((reason_string, walk.user()))
}

/// Appends what [`explanation`] reads.
pub(super) fn put_explanation(out: &mut Vec<u8>, reason_string: Option<&str>, user: UserProperties<'_>) -> bool {
    List::new(out).text(property::REASON_STRING, reason_string).user(user).fits()
}

/// Appends a PUBACK, PUBREC, PUBREL or PUBCOMP in its shortest form. False: it does not fit, and nothing was appended.
#[inline]
pub fn write_receipt(out: &mut Vec<u8>, version: Version, kind: ReceiptKind, receipt: &Receipt<'_>) -> bool {
    let [high, low] = receipt.packet_id.to_be_bytes();
    let explained = receipt.reason_string.is_some() || !receipt.user.is_empty();
    if version != Version::V5 || (receipt.reason == Reason::Success && !explained) {
        out.extend_from_slice(&[kind.first(), 2, high, low]);
        return true;
    }
    if !explained {
        out.extend_from_slice(&[kind.first(), 3, high, low, receipt.reason as u8]);
        return true;
    }
    let mut writer = Writer::new(out, kind.first());
    writer.two(receipt.packet_id);
    writer.byte(receipt.reason as u8);
    writer.properties(|out| put_explanation(out, receipt.reason_string, receipt.user));
    writer.finish()
}
