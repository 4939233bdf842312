//! IoT Hub's device topics (sheet `iothub-and-twins.md` 2.1, 2.2): who sends, and the property bag at the end of the topic.
//!
//! What always holds: a message is stored as its HTTP twin is; a device is never taken for another, and what the hub stamps is
//! not taken from a client.

use std::borrow::Cow;

use engine::batch::HeaderWriter;
use engine::event::{CONTENT_ENCODING, CONTENT_TYPE, put_property};
use engine::limits;

use super::error::MappingError;
use crate::iothub::{is_id, percent_decode, stamp};

/// How topics of devices begin.
pub(super) const TOPIC_START: &str = "devices/";

/// System properties of a property bag and the headers they are stored under.
const SYSTEM: [(&str, &str); 16] = [
    ("$.mid", "message-id"),
    ("$.cid", "correlation-id"),
    ("$.uid", "user-id"),
    ("$.to", "iothub-to"),
    ("$.on", "iothub-output-name"),
    ("$.sub", "dt-subject"),
    ("$.ct", CONTENT_TYPE),
    ("$.ce", CONTENT_ENCODING),
    ("$.ctime", "iothub-creation-time-utc"),
    ("$.exp", "iothub-expiry"),
    ("$.schema", "iothub-message-schema"),
    ("$.ifid", "iothub-interface-id"),
    ("$.diagid", "iothub-diagnostic-id"),
    ("$.diagctx", "iothub-diagnostic-context"),
    ("iothub-ack", "iothub-ack"),
    ("iothub-operation", "iothub-operation"),
];
/// System properties that the node stamps.
const STAMPED: [&str; 2] = ["$.cdid", "$.cmid"];

/// A topic of telemetry, `devices/{d}[/modules/{m}]/messages/events/{bag}`, in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'t> {
    /// The device, which is the partition key.
    pub device: &'t str,
    /// One of its modules.
    pub module: Option<&'t str>,
    /// The properties as they stand in the topic.
    pub bag: &'t str,
}

impl<'t> Address<'t> {
    /// Of a topic; `None` for any other topic.
    pub fn of(topic: &'t str) -> Option<Self> {
        let (device, rest) = topic.strip_prefix(TOPIC_START)?.split_once('/')?;
        let (module, rest) = match rest.strip_prefix("modules/") {
            Some(rest) => rest.split_once('/').map(|(module, rest)| (Some(module), rest))?,
            None => (None, rest),
        };
        let bag = rest.strip_prefix("messages/events")?;
        let bag = if bag.is_empty() { bag } else { bag.strip_prefix('/')? };
        let bag = bag.strip_suffix('/').unwrap_or(bag);
        let bag = bag.strip_prefix('?').unwrap_or(bag);
        (is_id(device) && module.is_none_or(is_id)).then_some(Self { device, module, bag })
    }

    /// The client of that name may send here. A name is `{device}` or `{device}/{module}`, or a user name of IoT Hub with it.
    pub(super) fn check_own(&self, name: &str) -> Result<(), MappingError> {
        let own = device_of_username(name).unwrap_or_else(|| split(name));
        if own == (self.device, self.module) {
            return Ok(());
        }
        let claimed = match self.module {
            Some(module) => format!("{}/{module}", self.device),
            None => self.device.to_owned(),
        };
        Err(MappingError::NotOwn(claimed))
    }

    /// Puts what the hub stamps, and the properties of the bag. Of several of one name the first counts.
    pub(super) fn put(&self, retain: bool, is_will: bool, headers: &mut HeaderWriter) -> Result<(), MappingError> {
        stamp(self.device, self.module, headers);
        let mut seen: Vec<Cow<'_, str>> = Vec::new();
        for pair in self.bag.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = match pair.split_once('=') {
                Some((name, value)) => (decode(name)?, Some(decode(value)?)),
                None => (decode(pair)?, None),
            };
            if let Some(stamped) = STAMPED.iter().find(|stamped| stamped.eq_ignore_ascii_case(&name)) {
                return Err(MappingError::Stamped(stamped));
            }
            if seen.iter().any(|earlier| earlier.eq_ignore_ascii_case(&name)) {
                continue;
            }
            if seen.len() == limits::EVENT_HEADERS_MAX {
                return Err(MappingError::TooManyProperties);
            }
            let bytes = value.as_ref().map(|value| value.as_bytes());
            match SYSTEM.iter().find(|(wire, _)| wire.eq_ignore_ascii_case(&name)) {
                Some((_, stored)) => headers.put(stored, bytes),
                None => put_property(headers, &name, bytes),
            }
            seen.push(name);
        }
        let is_new = |name: &str| !seen.iter().any(|earlier| earlier.eq_ignore_ascii_case(name));
        if retain && is_new("mqtt-retain") {
            put_property(headers, "mqtt-retain", Some(b"true"));
        }
        if is_will && is_new("iothub-MessageType") {
            put_property(headers, "iothub-MessageType", Some(b"Will"));
        }
        Ok(())
    }
}

fn decode(raw: &str) -> Result<Cow<'_, str>, MappingError> {
    if !raw.contains('%') {
        return Ok(Cow::Borrowed(raw));
    }
    let bad = || MappingError::PropertyBag(raw.chars().take(80).collect());
    percent_decode(raw).map(Cow::Owned).ok_or_else(bad)
}

fn split(name: &str) -> (&str, Option<&str>) {
    match name.split_once('/') {
        Some((device, module)) => (device, Some(module)),
        None => (name, None),
    }
}

/// Device and module that a user name of IoT Hub names: `{host}/{device}[/{module}]/?api-version=…`, with or without the slash
/// before the question mark. `None` for any other user name.
pub fn device_of_username(username: &str) -> Option<(&str, Option<&str>)> {
    let (path, query) = username.split_once('?')?;
    let is_said = query.split('&').any(|pair| pair.split('=').next().is_some_and(|name| name == "api-version"));
    let (_, name) = path.strip_suffix('/').unwrap_or(path).split_once('/')?;
    let (device, module) = split(name);
    (is_said && is_id(device) && module.is_none_or(is_id)).then_some((device, module))
}
