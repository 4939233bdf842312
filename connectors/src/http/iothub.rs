//! IoT Hub's device path: a message per request, or its JSON batch (sheet `iothub-and-twins.md` 2.3). No socket, no clock.
//!
//! What the hub stamps, a client cannot send: device and module come from the path.

use std::collections::BTreeMap;

use base64::Engine as _;
use engine::batch::HeaderWriter;
use engine::event::put_property;
use http::HeaderMap;
use serde::Deserialize;

use super::problem::Problem;
use super::stats::RejectReason;
use crate::intake::Submission;
use crate::iothub::{is_id, percent_decode, stamp};

/// Content type of a batch.
pub const BATCH_TYPE: &str = "application/vnd.microsoft.iothub.json";

/// Who sends, as the path says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The device, which is the partition key.
    pub device: String,
    /// One of its modules.
    pub module: Option<String>,
}

impl Sender {
    /// From a path `/devices/{id}[/modules/{id}]/messages/events`; `None` for any other path.
    pub fn of_path(path: &str) -> Option<Result<Self, Problem>> {
        let rest = path.strip_prefix("/devices/")?.strip_suffix("/messages/events")?;
        let (device, module) = match rest.split_once("/modules/") {
            Some((device, module)) => (device, Some(module)),
            None => (rest, None),
        };
        if device.contains('/') || module.is_some_and(|module| module.contains('/')) {
            return None;
        }
        let id = |raw: &str| {
            let decoded = percent_decode(raw);
            match decoded {
                Some(id) if is_id(&id) => Ok(id),
                _ => Err(Problem::new(
                    http::StatusCode::BAD_REQUEST,
                    RejectReason::InvalidEvent,
                    format!("'{raw}' is no device or module id"),
                    "use 1 to 128 ASCII letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ '",
                )),
            }
        };
        Some(id(device).and_then(|device| Ok(Self { device, module: module.map(id).transpose()? })))
    }
}

/// Header fields of a message and the names they are stored under.
const SYSTEM_FIELDS: [(&str, &str); 12] = [
    ("iothub-messageid", "message-id"),
    ("iothub-correlationid", "correlation-id"),
    ("iothub-userid", "user-id"),
    ("iothub-to", "iothub-to"),
    ("iothub-expiry", "iothub-expiry"),
    ("iothub-contenttype", "content-type"),
    ("iothub-contentencoding", "content-encoding"),
    ("iothub-creationtimeutc", "iothub-creation-time-utc"),
    ("iothub-messageschema", "iothub-message-schema"),
    ("iothub-operation", "iothub-operation"),
    ("iothub-ack", "iothub-ack"),
    ("dt-subject", "dt-subject"),
];

/// Fields that only the hub may set.
const SPOOFED: [&str; 4] = [
    "iothub-connection-device-id",
    "iothub-connection-module-id",
    "iothub-connection-auth-method",
    "iothub-connection-auth-generation-id",
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BatchMessage {
    body: String,
    #[serde(default)]
    base64_encoded: bool,
    #[serde(default)]
    properties: BTreeMap<String, String>,
}

/// Decodes one message.
pub fn message(
    sender: &Sender,
    fields: &HeaderMap,
    body: &[u8],
    bytes_max: usize,
    now_ms: i64,
    into: &mut Submission,
) -> Result<(), Problem> {
    let mut pairs = Vec::new();
    for (name, value) in fields {
        if name.as_str().starts_with("iothub-") || name.as_str() == "dt-subject" {
            let text = value.to_str().map_err(|_| invalid(None, format!("the header field '{name}' is not ASCII")))?;
            pairs.push((name.as_str(), text));
        }
    }
    push(sender, &pairs, body, None, bytes_max, now_ms, into)
}

/// Decodes a batch, all or nothing.
pub fn batch(
    sender: &Sender,
    body: &[u8],
    bytes_max: usize,
    now_ms: i64,
    into: &mut Submission,
) -> Result<(), Problem> {
    let messages: Vec<BatchMessage> = serde_json::from_slice(body).map_err(|error| {
        Problem::bad_event(RejectReason::MalformedJson, None, format!("not a batch of messages: {error}"))
    })?;
    for (index, message) in messages.iter().enumerate() {
        let index = Some(index as u64);
        let pairs: Vec<(&str, &str)> =
            message.properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if message.base64_encoded {
            let data = base64::engine::general_purpose::STANDARD
                .decode(&message.body)
                .map_err(|_| invalid(index, "its body is not base64".to_owned()))?;
            push(sender, &pairs, &data, index, bytes_max, now_ms, into)?;
        } else {
            push(sender, &pairs, message.body.as_bytes(), index, bytes_max, now_ms, into)?;
        }
    }
    Ok(())
}

fn invalid(index: Option<u64>, detail: String) -> Problem {
    Problem::bad_event(RejectReason::InvalidEvent, index, detail)
}

fn push(
    sender: &Sender,
    fields: &[(&str, &str)],
    data: &[u8],
    index: Option<u64>,
    bytes_max: usize,
    now_ms: i64,
    into: &mut Submission,
) -> Result<(), Problem> {
    let mut headers = HeaderWriter::default();
    let mut bytes = data.len() + stamp(&sender.device, sender.module.as_deref(), &mut headers);
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in fields {
        let name = name.to_ascii_lowercase();
        if SPOOFED.contains(&name.as_str()) {
            return Err(invalid(index, format!("'{name}' is stamped by the node and cannot be sent")));
        }
        if seen.contains(&name) {
            return Err(invalid(index, format!("'{name}' is there twice")));
        }
        if let Some(own) = name.strip_prefix("iothub-app-").filter(|own| !own.is_empty()) {
            // Creation time travels as a property in batches (sheet 1.2).
            if own == "iothub-creation-time-utc" {
                headers.put(own, Some(value.as_bytes()));
            } else {
                put_property(&mut headers, own, Some(value.as_bytes()));
                bytes += own.len();
            }
            bytes += value.len();
        } else if let Some((_, stored)) = SYSTEM_FIELDS.iter().find(|(field, _)| *field == name) {
            headers.put(stored, Some(value.as_bytes()));
            bytes += value.len();
        } else if index.is_some() {
            return Err(invalid(
                index,
                format!("'{name}' is no message property: application properties begin with iothub-app-"),
            ));
        }
        seen.push(name);
    }
    if bytes > bytes_max {
        let detail = format!("the message has {bytes} bytes, more than event_bytes_max, {bytes_max}");
        return Err(Problem::bad_event(RejectReason::TooLarge, index, detail));
    }
    into.push(Some(sender.device.as_bytes()), data, &headers, now_ms).map_err(|error| invalid(index, error.to_string()))
}
