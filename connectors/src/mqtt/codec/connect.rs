//! CONNECT: who a client is, what it wants kept, and its will. The one packet that says its own version.

use super::property::{self, List};
use super::property_list::{Property, UserProperties, Walk, ids};
use super::publish::PublishProperties;
use super::reader::Reader;
use super::text;
use super::writer::Writer;
use super::{DecodeError, Frame, Qos, Reason, Version};

/// A client's first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// What the rest of the connection speaks.
    pub version: Version,
    /// Forget the session there was. Below MQTT 5 (clean session): and keep none after.
    pub clean_start: bool,
    /// Longest silence of the client in seconds; 0: none is too long.
    pub keep_alive_s: u16,
    /// Empty: the server is to choose one.
    pub client_id: &'a str,
    /// What to publish when the client is lost.
    pub will: Option<Will<'a>>,
    /// User name.
    pub username: Option<&'a str>,
    /// Password; below MQTT 5 only with a user name.
    pub password: Option<&'a [u8]>,
    /// Empty below MQTT 5.
    pub properties: ConnectProperties<'a>,
}

/// Properties of CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectProperties<'a> {
    /// How many seconds the session outlives the connection; absent as 0.
    pub session_expiry_s: Option<u32>,
    /// Messages of QoS 1 and 2 that the client takes at once; never 0, absent as 65,535.
    pub receive_max: Option<u16>,
    /// Largest packet that the client takes; never 0.
    pub packet_bytes_max: Option<u32>,
    /// Highest topic alias that the client takes; absent as 0.
    pub topic_alias_max: Option<u16>,
    /// The client would like response information in CONNACK.
    pub request_response_information: bool,
    /// The client wants reason strings and user properties in all packets that may hold them; true when absent.
    pub request_problem_information: bool,
    /// Name of the extended authentication.
    pub auth_method: Option<&'a str>,
    /// Its data; only with a method.
    pub auth_data: Option<&'a [u8]>,
    /// Names and values.
    pub user: UserProperties<'a>,
}

impl Default for ConnectProperties<'_> {
    fn default() -> Self {
        ConnectProperties {
            session_expiry_s: None,
            receive_max: None,
            packet_bytes_max: None,
            topic_alias_max: None,
            request_response_information: false,
            request_problem_information: true,
            auth_method: None,
            auth_data: None,
            user: UserProperties::NONE,
        }
    }
}

/// The message that the server publishes when the client is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Will<'a> {
    /// How surely it is to arrive.
    pub qos: Qos,
    /// Whether it is retained.
    pub retain: bool,
    /// A topic name.
    pub topic: &'a str,
    /// The message itself.
    pub payload: &'a [u8],
    /// Seconds between the loss and the message; 0 below MQTT 5.
    pub delay_s: u32,
    /// Without topic alias and subscription identifiers.
    pub properties: PublishProperties<'a>,
}

const ALLOWED: u64 = ids(&[
    property::SESSION_EXPIRY,
    property::AUTH_METHOD,
    property::AUTH_DATA,
    property::REQUEST_PROBLEM_INFORMATION,
    property::REQUEST_RESPONSE_INFORMATION,
    property::RECEIVE_MAX,
    property::TOPIC_ALIAS_MAX,
    property::USER,
    property::PACKET_BYTES_MAX,
]);

const CLEAN: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USERNAME: u8 = 0x80;

pub(super) fn decode<'a>(frame: &Frame<'a>) -> Result<Connect<'a>, DecodeError> {
    let mut reader = Reader::new(frame.body);
    let version = version(&mut reader)?;
    // From here on the sender is known to understand a CONNACK of its version.
    after_version(version, frame, reader).map_err(|error| DecodeError { answer: Some(version), ..error })
}

fn version(reader: &mut Reader<'_>) -> Result<Version, DecodeError> {
    let name = reader.binary()?;
    let unsupported = |detail, answer| DecodeError { reason: Reason::UnsupportedProtocolVersion, detail, answer };
    if name != b"MQTT" && name != b"MQIsdp" {
        return Err(unsupported("the protocol name is neither MQTT nor MQIsdp", None));
    }
    let level = reader.byte()?;
    match (name, level) {
        (b"MQIsdp", 3) => Ok(Version::V31),
        (b"MQTT", 4) => Ok(Version::V311),
        (b"MQTT", 5) => Ok(Version::V5),
        // Bridges of some brokers set the highest bit and try again without it.
        (b"MQTT", level) if level & 0x7F >= 5 => {
            Err(unsupported("the protocol level is none of 3, 4 and 5", Some(Version::V5)))
        }
        _ => Err(unsupported("the protocol level is none of 3, 4 and 5", Some(Version::V311))),
    }
}

fn after_version<'a>(version: Version, frame: &Frame<'a>, mut reader: Reader<'a>) -> Result<Connect<'a>, DecodeError> {
    if version == Version::V5 && frame.is_overlong() {
        return Err(super::OVERLONG);
    }
    let flags = reader.byte()?;
    // Version 3.1 left this bit, and those of a will that is not there, to chance.
    if version != Version::V31 {
        if flags & 1 != 0 {
            return Err(DecodeError::malformed("the reserved flag of CONNECT is set"));
        }
        if flags & WILL == 0 && flags & (WILL_RETAIN | 0x18) != 0 {
            return Err(DecodeError::malformed("QoS or retain of a will is set without a will"));
        }
    }
    if version != Version::V5 && flags & PASSWORD != 0 && flags & USERNAME == 0 {
        return Err(DecodeError::malformed("a password without a user name is not allowed before MQTT 5"));
    }
    let keep_alive_s = reader.two()?;
    let properties = match version {
        Version::V5 => ConnectProperties::read(reader.properties()?)?,
        _ => ConnectProperties::default(),
    };
    let client_id = reader.text()?;
    let will = if flags & WILL != 0 { Some(will(version, flags, &mut reader)?) } else { None };
    // In version 3.1 the length of the packet takes precedence over these two flags.
    let has = |flag, reader: &Reader<'_>| flags & flag != 0 && (version != Version::V31 || !reader.is_empty());
    let username = if has(USERNAME, &reader) { Some(reader.text()?) } else { None };
    let password = if has(PASSWORD, &reader) { Some(reader.binary()?) } else { None };
    reader.end()?;
    Ok(Connect {
        version,
        clean_start: flags & CLEAN != 0,
        keep_alive_s,
        client_id,
        will,
        username,
        password,
        properties,
    })
}

fn will<'a>(version: Version, flags: u8, reader: &mut Reader<'a>) -> Result<Will<'a>, DecodeError> {
    let qos = Qos::of((flags >> 3) & 3).ok_or(DecodeError::malformed("QoS 3 of a will is not allowed"))?;
    let (properties, delay_s) = match version {
        Version::V5 => PublishProperties::read_will(reader.properties()?)?,
        _ => Default::default(),
    };
    let topic = text::topic_or_empty(reader.binary()?)?;
    if topic.is_empty() {
        return Err(DecodeError::new(Reason::TopicNameInvalid, "the topic of the will is empty"));
    }
    let payload = reader.binary()?;
    Ok(Will { qos, retain: flags & WILL_RETAIN != 0, topic, payload, delay_s, properties })
}

impl<'a> ConnectProperties<'a> {
    fn read(list: &'a [u8]) -> Result<Self, DecodeError> {
        let mut properties = ConnectProperties::default();
        let mut walk = Walk::new(list, ALLOWED);
        while let Some(property) = walk.next()? {
            match property {
                Property::SessionExpiry(value) => properties.session_expiry_s = Some(value),
                Property::AuthMethod(value) => properties.auth_method = Some(value),
                Property::AuthData(value) => properties.auth_data = Some(value),
                Property::RequestProblemInformation(value) => properties.request_problem_information = value,
                Property::RequestResponseInformation(value) => properties.request_response_information = value,
                Property::ReceiveMax(value) => properties.receive_max = Some(value),
                Property::TopicAliasMax(value) => properties.topic_alias_max = Some(value),
                Property::PacketBytesMax(value) => properties.packet_bytes_max = Some(value),
                // The walk keeps the user properties, and lets nothing else through.
                _ => {}
            }
        }
        properties.user = walk.user();
        if properties.auth_data.is_some() && properties.auth_method.is_none() {
            return Err(DecodeError::protocol("authentication data without an authentication method"));
        }
        Ok(properties)
    }

    fn put(&self, out: &mut Vec<u8>) -> bool {
        List::new(out)
            .four(property::SESSION_EXPIRY, self.session_expiry_s)
            .text(property::AUTH_METHOD, self.auth_method)
            .binary(property::AUTH_DATA, self.auth_data)
            .yes(property::REQUEST_PROBLEM_INFORMATION, self.request_problem_information, true)
            .yes(property::REQUEST_RESPONSE_INFORMATION, self.request_response_information, false)
            .two(property::RECEIVE_MAX, self.receive_max)
            .two(property::TOPIC_ALIAS_MAX, self.topic_alias_max)
            .user(self.user)
            .four(property::PACKET_BYTES_MAX, self.packet_bytes_max)
            .fits()
    }
}

/// Appends a CONNECT of the version it names. False: no packet of that version can hold it, and nothing was appended.
pub fn write_connect(out: &mut Vec<u8>, connect: &Connect<'_>) -> bool {
    let mut writer = Writer::new(out, 0x10);
    let (name, level) = match connect.version {
        Version::V31 => ("MQIsdp", 3),
        Version::V311 => ("MQTT", 4),
        Version::V5 => ("MQTT", 5),
    };
    writer.text(name);
    writer.byte(level);
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    let will = connect.will.map_or(0, |will| WILL | ((will.qos as u8) << 3) | flag(will.retain, WILL_RETAIN));
    let password = flag(connect.password.is_some(), PASSWORD);
    writer.byte(will | password | flag(connect.clean_start, CLEAN) | flag(connect.username.is_some(), USERNAME));
    writer.two(connect.keep_alive_s);
    if connect.version == Version::V5 {
        writer.properties(|out| connect.properties.put(out));
    } else if connect.password.is_some() && connect.username.is_none() {
        writer.refuse();
    }
    writer.text(connect.client_id);
    if let Some(will) = &connect.will {
        if will.properties.topic_alias.is_some() || !will.properties.subscription_ids.is_empty() {
            writer.refuse();
        }
        if connect.version == Version::V5 {
            writer.properties(|out| {
                let delay = (will.delay_s > 0).then_some(will.delay_s);
                List::new(out).four(property::WILL_DELAY, delay).fits() && will.properties.put(out)
            });
        }
        writer.text(will.topic);
        writer.binary(will.payload);
    }
    if let Some(username) = connect.username {
        writer.text(username);
    }
    if let Some(password) = connect.password {
        writer.binary(password);
    }
    writer.finish()
}
