//! DISCONNECT: the last packet of either side, with rules for each.

use super::property::{self, List};
use super::property_list::{Property, UserProperties, Walk, ids};
use super::reader::Reader;
use super::writer::Writer;
use super::{DecodeError, Frame, Reason, Side, Version};

/// The last packet of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// Success is the normal end, which drops the will.
    pub reason: Reason,
    /// Only from a client: how many seconds the session is kept, instead of what CONNECT said.
    pub session_expiry_s: Option<u32>,
    /// For people.
    pub reason_string: Option<&'a str>,
    /// Only from a server: which one to use instead.
    pub server_reference: Option<&'a str>,
    /// Names and values.
    pub user: UserProperties<'a>,
}

impl Disconnect<'_> {
    /// One that says no more than its reason.
    #[must_use]
    pub fn new(reason: Reason) -> Self {
        Disconnect {
            reason,
            session_expiry_s: None,
            reason_string: None,
            server_reference: None,
            user: UserProperties::NONE,
        }
    }

    fn allows(from: Side, reason: Reason) -> bool {
        match reason {
            Reason::Success
            | Reason::Unspecified
            | Reason::MalformedPacket
            | Reason::ProtocolError
            | Reason::ImplementationSpecific
            | Reason::TopicNameInvalid
            | Reason::ReceiveMaximumExceeded
            | Reason::TopicAliasInvalid
            | Reason::PacketTooLarge
            | Reason::MessageRateTooHigh
            | Reason::QuotaExceeded
            | Reason::AdministrativeAction
            | Reason::PayloadFormatInvalid => true,
            Reason::DisconnectWithWill => from == Side::Client,
            Reason::NotAuthorized
            | Reason::ServerBusy
            | Reason::ServerShuttingDown
            | Reason::BadAuthenticationMethod
            | Reason::KeepAliveTimeout
            | Reason::SessionTakenOver
            | Reason::TopicFilterInvalid
            | Reason::RetainNotSupported
            | Reason::QosNotSupported
            | Reason::UseAnotherServer
            | Reason::ServerMoved
            | Reason::SharedSubscriptionsNotSupported
            | Reason::ConnectionRateExceeded
            | Reason::MaximumConnectTime
            | Reason::SubscriptionIdentifiersNotSupported
            | Reason::WildcardSubscriptionsNotSupported => from == Side::Server,
            _ => false,
        }
    }
}

const ALLOWED: u64 =
    ids(&[property::SESSION_EXPIRY, property::SERVER_REFERENCE, property::REASON_STRING, property::USER]);
pub(super) fn decode<'a>(version: Version, from: Side, frame: &Frame<'a>) -> Result<Disconnect<'a>, DecodeError> {
    let mut reader = Reader::new(frame.body);
    let mut disconnect = Disconnect::new(Reason::Success);
    if version != Version::V5 {
        if from == Side::Server {
            return Err(DecodeError::protocol("a server sends no DISCONNECT before MQTT 5"));
        }
        reader.end()?;
        return Ok(disconnect);
    }
    if reader.is_empty() {
        return Ok(disconnect);
    }
    disconnect.reason = Reason::of(reader.byte()?)
        .filter(|reason| Disconnect::allows(from, *reason))
        .ok_or(DecodeError::protocol("DISCONNECT has a reason code that its sender must not use"))?;
    if reader.is_empty() {
        return Ok(disconnect);
    }
    let mut walk = Walk::new(reader.properties()?, ALLOWED);
    while let Some(property) = walk.next()? {
        match property {
            Property::SessionExpiry(value) => disconnect.session_expiry_s = Some(value),
            Property::ServerReference(value) => disconnect.server_reference = Some(value),
            Property::ReasonString(value) => disconnect.reason_string = Some(value),
            // The walk keeps the user properties, and lets nothing else through.
            _ => {}
        }
    }
    disconnect.user = walk.user();
    reader.end()?;
    match from {
        Side::Client if disconnect.server_reference.is_some() => {
            Err(DecodeError::protocol("a client's DISCONNECT must not hold a server reference"))
        }
        Side::Server if disconnect.session_expiry_s.is_some() => {
            Err(DecodeError::protocol("a server's DISCONNECT must not hold a session expiry interval"))
        }
        _ => Ok(disconnect),
    }
}

/// Appends a DISCONNECT in its shortest form; before MQTT 5 it says nothing. False: it does not fit, and nothing was appended.
pub fn write_disconnect(out: &mut Vec<u8>, version: Version, disconnect: &Disconnect<'_>) -> bool {
    let mut writer = Writer::new(out, 0xE0);
    let explained = disconnect.session_expiry_s.is_some()
        || disconnect.reason_string.is_some()
        || disconnect.server_reference.is_some()
        || !disconnect.user.is_empty();
    if version == Version::V5 && (explained || disconnect.reason != Reason::Success) {
        writer.byte(disconnect.reason as u8);
        if explained {
            writer.properties(|out| {
                List::new(out)
                    .four(property::SESSION_EXPIRY, disconnect.session_expiry_s)
                    .text(property::SERVER_REFERENCE, disconnect.server_reference)
                    .text(property::REASON_STRING, disconnect.reason_string)
                    .user(disconnect.user)
                    .fits()
            });
        }
    }
    writer.finish()
}
