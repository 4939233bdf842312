//! A row as structured JSON. The bytes are written directly; JSON data goes in as it lies.
//!
//! Application properties whose names are legal extension names become extensions. All others, and system properties of the
//! IoT Hub profile, travel in the extension [`PROPERTIES_EXTENSION`]: the text of a JSON object, since an extension cannot be one.

use std::fmt::Write as _;

use base64::Engine as _;
use engine::event::{CONTENT_TYPE, Event, MQTT, SystemProperty};
use engine::lane::Enrichment;

use super::attributes::{check_name, is_json_type};
use super::text::write_json_string;

/// Extension that holds the properties which cannot be extensions of their own, as the text of a JSON object.
pub const PROPERTIES_EXTENSION: &str = "anabranchproperties";

/// Appends the event as one structured CloudEvent, without a line end. Its place in the log goes along in the extensions
/// `anabranchpartition` and `anabranchoffset`; the offset is a string, for it can be larger than CloudEvents integers.
pub fn write_structured(event: &Event<'_>, enrichments: &[Enrichment], out: &mut Vec<u8>) {
    let mut room = String::new();
    out.extend_from_slice(b"{\"specversion\":\"1.0\"");
    member(out, "id", event.id(&mut room));
    member(out, "source", event.attribute("source").unwrap_or_default());
    member(out, "type", event.attribute("type").unwrap_or_default());
    let mut has_time = false;
    for (name, value) in event.attributes() {
        // What this node stamps was another node's, or another time's, when it came in as an attribute.
        if !matches!(name, "id" | "source" | "type" | PROPERTIES_EXTENSION | "anabranchpartition" | "anabranchoffset") {
            has_time |= name == "time";
            member(out, name, value);
        }
    }
    if !has_time {
        room.clear();
        // A time beyond what a calendar can say is left out.
        if let Ok(time) = jiff::Timestamp::from_millisecond(event.timestamp_ms()) {
            write!(room, "{time}").expect("writing to a string");
            member(out, "time", &room);
        }
    }
    properties(event, enrichments, out);
    room.clear();
    write!(room, ",\"anabranchpartition\":{},\"anabranchoffset\":\"{}\"", event.partition(), event.offset())
        .expect("writing to a string");
    out.extend_from_slice(room.as_bytes());
    data(event, out);
    out.push(b'}');
}

fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    write_json_string(out, value);
}

fn properties(event: &Event<'_>, enrichments: &[Enrichment], out: &mut Vec<u8>) {
    let taken = |name: &str| {
        matches!(name, "id" | "source" | "type" | "specversion" | "time" | "datacontenttype" | PROPERTIES_EXTENSION)
            || name.starts_with("anabranch")
            || event.attributes().any(|(attribute, _)| attribute == name)
    };
    let is_extension = |name: &str| check_name(name).is_ok() && !taken(name);
    let added = || enrichments.iter().map(|added| (added.key.as_str(), Some(added.value.as_bytes())));
    let overwritten = |name: &str| enrichments.iter().any(|added| added.key.eq_ignore_ascii_case(name));
    let own = || event.properties().filter(|(name, _)| !overwritten(name));
    for (name, value) in own().chain(added()) {
        if let Some(text) = value.and_then(|value| std::str::from_utf8(value).ok()).filter(|_| is_extension(name)) {
            member(out, name, text);
        }
    }
    let stored = |name: &str| name != CONTENT_TYPE && SystemProperty::ALL.iter().any(|system| system.header == name);
    let system = || event.headers().filter(|(name, _)| stored(name));
    let mut rest = own()
        .chain(added())
        .filter(|(name, value)| !is_extension(name) || value.is_none_or(|value| std::str::from_utf8(value).is_err()))
        .chain(system())
        .peekable();
    if rest.peek().is_none() {
        return;
    }
    let mut object = Vec::with_capacity(256);
    for (name, value) in rest {
        object.push(if object.is_empty() { b'{' } else { b',' });
        write_json_string(&mut object, name);
        object.push(b':');
        match value {
            Some(value) => write_json_string(&mut object, &String::from_utf8_lossy(value)),
            None => object.extend_from_slice(b"null"),
        }
    }
    object.push(b'}');
    // Made of strings only, so it is UTF-8.
    member(out, PROPERTIES_EXTENSION, &String::from_utf8_lossy(&object));
}

fn data(event: &Event<'_>, out: &mut Vec<u8>) {
    let stored = event.header(CONTENT_TYPE).is_some();
    let media_type = event.content_type();
    if let Some(media_type) = media_type.filter(|_| stored) {
        member(out, "datacontenttype", media_type);
    }
    let Some(data) = event.data().filter(|data| !data.is_empty()) else { return };
    // Without a stored content type the data was checked to be JSON when it came in, but not what came over MQTT; with one it is
    // what the sender says.
    let is_json = match media_type {
        Some(_) if !stored && event.header(MQTT).is_none() => true,
        Some(media_type) => is_json_type(media_type) && serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok(),
        None => false,
    };
    let is_text = media_type.is_some_and(|media_type| media_type.starts_with("text/"));
    match std::str::from_utf8(data) {
        Ok(_) if is_json => {
            out.extend_from_slice(b",\"data\":");
            out.extend_from_slice(data);
        }
        Ok(text) if is_text => member(out, "data", text),
        _ => member(out, "data_base64", &base64::engine::general_purpose::STANDARD.encode(data)),
    }
}
