//! What a PUBLISH says about its data: user properties as attributes or properties, CloudEvents in both modes of the MQTT binding.
//!
//! What always holds: the headers of an event have no name twice; of a property that comes twice, under whatever case, the
//! first spelling holds all values with commas between.

use engine::batch::HeaderWriter;
use engine::event::{put_attribute, put_property};
use engine::limits;

use super::error::MappingError;
use crate::cloudevents::{AttributeError, check_name, check_value, is_media_type};
use crate::mqtt::codec::{PublishProperties, UserProperties, property};

/// Attributes that every CloudEvent has.
const REQUIRED: [&str; 4] = ["id", "source", "specversion", "type"];

/// Memory that is used again from PUBLISH to PUBLISH.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// A hash of each user property's name, for finding repeats.
    hashes: Vec<u64>,
    /// Values put together.
    joined: String,
}

/// The payload is a structured CloudEvent, or says so.
pub(super) fn is_structured(content_type: &str) -> bool {
    const START: &str = "application/cloudevents";
    content_type.get(..START.len()).is_some_and(|start| start.eq_ignore_ascii_case(START))
}

/// Refuses what the MQTT binding does not have, and formats that are not JSON.
pub(super) fn check_format(content_type: &str) -> Result<(), MappingError> {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.strip_prefix("application/cloudevents") {
        Some("" | "+json") => Ok(()),
        Some(rest) if rest.starts_with("-batch") => Err(MappingError::Batch),
        _ => Err(MappingError::Format(content_type.chars().take(80).collect())),
    }
}

/// The user properties have all required attributes of a CloudEvent.
pub(super) fn has_envelope(user: UserProperties<'_>) -> bool {
    let mut seen = 0;
    for (name, _) in user.iter() {
        if let Some(at) = REQUIRED.iter().position(|required| *required == name) {
            seen |= 1 << at;
        }
    }
    seen == (1 << REQUIRED.len()) - 1
}

/// The content type as an attribute, if it can be one.
pub(super) fn media_type(content_type: Option<&str>) -> Option<&str> {
    // By far the most frequent one needs no look.
    let is_good = |text: &&str| {
        *text == "application/json" || (is_media_type(text) && check_value("datacontenttype", text).is_ok())
    };
    content_type.filter(is_good)
}

/// Puts the user properties: as attributes those that can be and are to be, all others as application properties. `true` if the
/// application properties, in their order, are the user properties again.
pub(super) fn put_user_properties(
    user: UserProperties<'_>,
    as_attributes: bool,
    names: &mut Names,
    headers: &mut HeaderWriter,
) -> Result<bool, MappingError> {
    let is_attribute = |name: &str| as_attributes && check_name(name).is_ok();
    let are_one = |one: &str, other: &str| {
        one == other || (one.eq_ignore_ascii_case(other) && !is_attribute(one) && !is_attribute(other))
    };
    names.hashes.clear();
    let mut repeats = false;
    for (at, (name, _)) in user.iter().enumerate() {
        if at == limits::EVENT_HEADERS_MAX {
            return Err(MappingError::TooManyProperties);
        }
        let hash = hash_of(name);
        repeats |= names.hashes.contains(&hash) && user.iter().take(at).any(|(earlier, _)| are_one(earlier, name));
        names.hashes.push(hash);
    }
    for (at, (name, value)) in user.iter().enumerate() {
        let is_repeat = repeats
            && names.hashes[..at].contains(&names.hashes[at])
            && user.iter().take(at).any(|(earlier, _)| are_one(earlier, name));
        if is_repeat && is_attribute(name) {
            return Err(AttributeError::Twice(name.to_owned()).into());
        }
        if is_repeat {
            continue;
        }
        if is_attribute(name) {
            // The content type has a property of its own; in its absence this may stand for it.
            check_value(name, value)?;
            if name != "datacontenttype" || headers.value(engine::event::CONTENT_TYPE).is_none() {
                put_attribute(headers, name, value);
            }
        } else if repeats {
            names.joined.clear();
            names.joined.push_str(value);
            for (_, later) in user.iter().skip(at + 1).filter(|(later, _)| are_one(later, name)) {
                names.joined.push(',');
                names.joined.push_str(later);
            }
            put_property(headers, name, Some(names.joined.as_bytes()));
        } else {
            put_property(headers, name, Some(value.as_bytes()));
        }
    }
    Ok(!repeats && !as_attributes)
}

/// FNV-1a over the name in lower case: names that are one have one hash.
fn hash_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Puts the properties as MQTT 5 encodes them, without expiry and alias.
pub(super) fn put_list(properties: &PublishProperties<'_>, with_user: bool, out: &mut Vec<u8>) {
    out.clear();
    if let Some(format) = properties.payload_format {
        property::put_byte(out, property::PAYLOAD_FORMAT, format);
    }
    if let Some(content_type) = properties.content_type {
        property::put_text(out, property::CONTENT_TYPE, content_type);
    }
    if let Some(topic) = properties.response_topic {
        property::put_text(out, property::RESPONSE_TOPIC, topic);
    }
    if let Some(correlation) = properties.correlation {
        property::put_binary(out, property::CORRELATION_DATA, correlation);
    }
    if with_user {
        for (name, value) in properties.user.iter() {
            property::put_pair(out, property::USER, name, value);
        }
    }
}

/// The bytes are a JSON text.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    first.is_some_and(|first| b"{[\"-0123456789tfn".contains(first))
        && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}
