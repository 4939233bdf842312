//! Names of headers: which are attributes, which system properties, and how an application property stays what it is.

use crate::batch::HeaderWriter;

/// Prefix of a CloudEvents attribute's header (Kafka binding, binary mode).
pub const CE_PREFIX: &str = "ce_";
/// Prefix of an application property whose own name would read as something else.
pub const APP_PREFIX: &str = "app:";
/// Header of `datacontenttype`.
pub const CONTENT_TYPE: &str = "content-type";
/// Header of the IoT Hub profile's content encoding.
pub const CONTENT_ENCODING: &str = "content-encoding";
/// Stamped by the IoT Hub profile; its presence says that the event came by it.
pub const MESSAGE_SOURCE: &str = "iothub-message-source";
/// Stamped by the IoT Hub profile: the device that sent it.
pub const DEVICE_ID: &str = "iothub-connection-device-id";

/// What a publish over MQTT had beside topic, payload and user properties; its value is bytes, no text. See `connectors::mqtt`.
pub const MQTT: &str = "mqtt";

/// `source` of an event that names none.
pub const DEFAULT_SOURCE: &str = "/anabranch";
/// `type` of an event that names none.
pub const DEFAULT_TYPE: &str = "anabranch.event";

/// A system property of the IoT Hub profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SystemProperty {
    /// What follows `$` in a routing query, as documented; compared without case.
    pub keyword: &'static str,
    /// The header it is stored under: its name on Event Hubs.
    pub header: &'static str,
}

const fn system(keyword: &'static str, header: &'static str) -> SystemProperty {
    SystemProperty { keyword, header }
}

impl SystemProperty {
    /// All of them (sheet `iothub-and-twins.md` 1.2).
    pub const ALL: [Self; 18] = [
        system("messageId", "message-id"),
        system("userId", "user-id"),
        system("correlationId", "correlation-id"),
        system("connectionDeviceId", DEVICE_ID),
        system("connectionModuleId", "iothub-connection-module-id"),
        system("connectionDeviceGenerationId", "iothub-connection-auth-generation-id"),
        system("connectionAuthMethod", "iothub-connection-auth-method"),
        system("contentType", CONTENT_TYPE),
        system("contentEncoding", CONTENT_ENCODING),
        // Never stored: it is the record's timestamp.
        system("enqueuedTime", "iothub-enqueuedtime"),
        system("iothub-enqueuedtime", "iothub-enqueuedtime"),
        system("dt-dataschema", "dt-dataschema"),
        system("dt-subject", "dt-subject"),
        system("to", "iothub-to"),
        system("ack", "iothub-ack"),
        system("creation-time-utc", "iothub-creation-time-utc"),
        system("messageSource", MESSAGE_SOURCE),
        system("iothub-message-source", MESSAGE_SOURCE),
    ];

    /// The property that a routing query calls `$keyword`.
    pub fn by_keyword(keyword: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|property| property.keyword.eq_ignore_ascii_case(keyword))
    }
}

/// The header name means something of its own, so an application property of that name is stored with [`APP_PREFIX`].
pub fn is_reserved(name: &str) -> bool {
    let starts = |prefix: &str| name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    starts(CE_PREFIX)
        || starts(APP_PREFIX)
        || starts("iothub-")
        || name.eq_ignore_ascii_case(MQTT)
        || SystemProperty::ALL.iter().any(|property| property.header.eq_ignore_ascii_case(name))
}

/// Appends a CloudEvents attribute or extension. `name` is lower case; `specversion` is implied and not written.
pub fn put_attribute(headers: &mut HeaderWriter, name: &str, value: &str) {
    match name {
        "specversion" => {}
        "datacontenttype" => headers.put(CONTENT_TYPE, Some(value.as_bytes())),
        _ => headers.put_parts(&[CE_PREFIX, name], Some(value.as_bytes())),
    }
}

/// Appends an application property; null is a property that is there without a value.
pub fn put_property(headers: &mut HeaderWriter, name: &str, value: Option<&[u8]>) {
    if is_reserved(name) {
        headers.put_parts(&[APP_PREFIX, name], value);
    } else {
        headers.put(name, value);
    }
}
