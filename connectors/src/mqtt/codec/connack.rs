//! CONNACK: the server's answer to CONNECT, and what it allows.

use super::property::{self, List};
use super::property_list::{Property, UserProperties, Walk, ids};
use super::reader::Reader;
use super::writer::Writer;
use super::{DecodeError, Frame, Qos, Reason, Version};

/// The server's first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnAck<'a> {
    /// The server kept a session; never with an error, and never in 3.1.
    pub session_present: bool,
    /// Success, or why not. Before MQTT 5 one of six.
    pub reason: Reason,
    /// Empty below MQTT 5.
    pub properties: ConnAckProperties<'a>,
}

/// Properties of CONNACK. The default is what their absence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnAckProperties<'a> {
    /// The server keeps the session this many seconds instead of what the client asked for.
    pub session_expiry_s: Option<u32>,
    /// Messages of QoS 1 and 2 that the server takes at once; never 0, absent as 65,535.
    pub receive_max: Option<u16>,
    /// Highest QoS of messages that the server takes.
    pub qos_max: Qos,
    /// Whether the server keeps retained messages.
    pub retain_available: bool,
    /// Largest packet that the server takes; never 0.
    pub packet_bytes_max: Option<u32>,
    /// The client identifier that the server chose.
    pub assigned_client_id: Option<&'a str>,
    /// Highest topic alias that the server takes; absent as 0.
    pub topic_alias_max: Option<u16>,
    /// For people.
    pub reason_string: Option<&'a str>,
    /// Names and values.
    pub user: UserProperties<'a>,
    /// Whether filters may hold wildcards.
    pub wildcard_available: bool,
    /// Whether subscriptions may have identifiers.
    pub subscription_ids_available: bool,
    /// Whether subscriptions may be shared.
    pub shared_available: bool,
    /// The keep alive that holds instead of the client's.
    pub server_keep_alive_s: Option<u16>,
    /// Where the client may make its response topics.
    pub response_information: Option<&'a str>,
    /// Which server to use instead.
    pub server_reference: Option<&'a str>,
    /// Name of the extended authentication.
    pub auth_method: Option<&'a str>,
    /// Its data.
    pub auth_data: Option<&'a [u8]>,
}

impl Default for ConnAckProperties<'_> {
    fn default() -> Self {
        ConnAckProperties {
            session_expiry_s: None,
            receive_max: None,
            qos_max: Qos::ExactlyOnce,
            retain_available: true,
            packet_bytes_max: None,
            assigned_client_id: None,
            topic_alias_max: None,
            reason_string: None,
            user: UserProperties::NONE,
            wildcard_available: true,
            subscription_ids_available: true,
            shared_available: true,
            server_keep_alive_s: None,
            response_information: None,
            server_reference: None,
            auth_method: None,
            auth_data: None,
        }
    }
}

const ALLOWED: u64 = ids(&[
    property::SESSION_EXPIRY,
    property::ASSIGNED_CLIENT_ID,
    property::SERVER_KEEP_ALIVE,
    property::AUTH_METHOD,
    property::AUTH_DATA,
    property::RESPONSE_INFORMATION,
    property::SERVER_REFERENCE,
    property::REASON_STRING,
    property::RECEIVE_MAX,
    property::TOPIC_ALIAS_MAX,
    property::QOS_MAX,
    property::RETAIN_AVAILABLE,
    property::USER,
    property::PACKET_BYTES_MAX,
    property::WILDCARD_AVAILABLE,
    property::SUBSCRIPTION_IDS_AVAILABLE,
    property::SHARED_AVAILABLE,
]);

fn allows(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Success
            | Reason::Unspecified
            | Reason::MalformedPacket
            | Reason::ProtocolError
            | Reason::ImplementationSpecific
            | Reason::UnsupportedProtocolVersion
            | Reason::ClientIdentifierNotValid
            | Reason::BadUserNameOrPassword
            | Reason::NotAuthorized
            | Reason::ServerUnavailable
            | Reason::ServerBusy
            | Reason::Banned
            | Reason::BadAuthenticationMethod
            | Reason::TopicNameInvalid
            | Reason::PacketTooLarge
            | Reason::QuotaExceeded
            | Reason::PayloadFormatInvalid
            | Reason::RetainNotSupported
            | Reason::QosNotSupported
            | Reason::UseAnotherServer
            | Reason::ServerMoved
            | Reason::ConnectionRateExceeded
    )
}

pub(super) fn decode<'a>(version: Version, frame: &Frame<'a>) -> Result<ConnAck<'a>, DecodeError> {
    let mut reader = Reader::new(frame.body);
    let flags = reader.byte()?;
    let code = reader.byte()?;
    // Version 3.1 has no flags here and leaves the byte to chance.
    if flags & !1 != 0 && version != Version::V31 {
        return Err(DecodeError::malformed("a reserved flag of CONNACK is set"));
    }
    let session_present = flags & 1 != 0 && version != Version::V31;
    let (reason, properties) = if version == Version::V5 {
        let reason = Reason::of(code).filter(|reason| allows(*reason));
        (reason, ConnAckProperties::read(reader.properties()?)?)
    } else {
        (Reason::of_connect_return_code(code), ConnAckProperties::default())
    };
    let reason = reason.ok_or(DecodeError::protocol("CONNACK has a code that it does not know"))?;
    if session_present && reason.is_error() {
        return Err(DecodeError::protocol("CONNACK says that a session is present, and an error"));
    }
    reader.end()?;
    Ok(ConnAck { session_present, reason, properties })
}

impl<'a> ConnAckProperties<'a> {
    fn read(list: &'a [u8]) -> Result<Self, DecodeError> {
        let mut properties = ConnAckProperties::default();
        let mut walk = Walk::new(list, ALLOWED);
        while let Some(property) = walk.next()? {
            match property {
                Property::SessionExpiry(value) => properties.session_expiry_s = Some(value),
                Property::AssignedClientId(value) => properties.assigned_client_id = Some(value),
                Property::ServerKeepAlive(value) => properties.server_keep_alive_s = Some(value),
                Property::AuthMethod(value) => properties.auth_method = Some(value),
                Property::AuthData(value) => properties.auth_data = Some(value),
                Property::ResponseInformation(value) => properties.response_information = Some(value),
                Property::ServerReference(value) => properties.server_reference = Some(value),
                Property::ReasonString(value) => properties.reason_string = Some(value),
                Property::ReceiveMax(value) => properties.receive_max = Some(value),
                Property::TopicAliasMax(value) => properties.topic_alias_max = Some(value),
                Property::QosMax(value) => properties.qos_max = value,
                Property::RetainAvailable(value) => properties.retain_available = value,
                Property::PacketBytesMax(value) => properties.packet_bytes_max = Some(value),
                Property::WildcardAvailable(value) => properties.wildcard_available = value,
                Property::SubscriptionIdsAvailable(value) => properties.subscription_ids_available = value,
                Property::SharedAvailable(value) => properties.shared_available = value,
                // The walk keeps the user properties, and lets nothing else through.
                _ => {}
            }
        }
        properties.user = walk.user();
        Ok(properties)
    }

    fn put(&self, out: &mut Vec<u8>) -> bool {
        let qos_max = (self.qos_max != Qos::ExactlyOnce).then_some(self.qos_max as u8);
        List::new(out)
            .four(property::SESSION_EXPIRY, self.session_expiry_s)
            .text(property::ASSIGNED_CLIENT_ID, self.assigned_client_id)
            .two(property::SERVER_KEEP_ALIVE, self.server_keep_alive_s)
            .text(property::AUTH_METHOD, self.auth_method)
            .binary(property::AUTH_DATA, self.auth_data)
            .text(property::RESPONSE_INFORMATION, self.response_information)
            .text(property::SERVER_REFERENCE, self.server_reference)
            .text(property::REASON_STRING, self.reason_string)
            .two(property::RECEIVE_MAX, self.receive_max)
            .two(property::TOPIC_ALIAS_MAX, self.topic_alias_max)
            .byte(property::QOS_MAX, qos_max)
            .yes(property::RETAIN_AVAILABLE, self.retain_available, true)
            .user(self.user)
            .four(property::PACKET_BYTES_MAX, self.packet_bytes_max)
            .yes(property::WILDCARD_AVAILABLE, self.wildcard_available, true)
            .yes(property::SUBSCRIPTION_IDS_AVAILABLE, self.subscription_ids_available, true)
            .yes(property::SHARED_AVAILABLE, self.shared_available, true)
            .fits()
    }
}

/// Appends a CONNACK. Before MQTT 5 the reason becomes one of six return codes, and 3.1 does not say whether there is a session.
/// False: it does not fit, and nothing was appended.
pub fn write_connack(out: &mut Vec<u8>, version: Version, connack: &ConnAck<'_>) -> bool {
    let present = u8::from(connack.session_present && !connack.reason.is_error() && version != Version::V31);
    if version != Version::V5 {
        out.extend_from_slice(&[0x20, 2, present, connack.reason.connect_return_code()]);
        return true;
    }
    let mut writer = Writer::new(out, 0x20);
    writer.byte(present);
    writer.byte(connack.reason as u8);
    writer.properties(|out| connack.properties.put(out));
    writer.finish()
}
