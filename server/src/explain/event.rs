//! From the file and the flags to one row of a batch, as a listener would have stored it.

use base64::Engine;
use engine::batch::{Batch, BatchBuilder, HeaderWriter};
use engine::event::{SystemProperty, put_attribute, put_property};
use serde_json::{Map, Value};

pub(super) struct Read {
    pub batch: Batch,
    /// What the bytes were taken for.
    pub what: &'static str,
}

/// The event in `bytes`: a CloudEvent where it is a JSON object with `specversion`, otherwise data.
pub(super) fn read(bytes: &[u8], properties: &[String], system: &[String], timestamp_ms: i64) -> Result<Read, String> {
    let mut headers = HeaderWriter::default();
    for flag in system {
        let Some((name, value)) = flag.split_once('=') else {
            return Err(format!("--system {flag}: write NAME=VALUE"));
        };
        put_system(&mut headers, name, value)?;
    }
    for flag in properties {
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.as_bytes())),
            None => (flag.as_str(), None),
        };
        put_property(&mut headers, name, value);
    }
    let cloud_event = match serde_json::from_slice(bytes) {
        Ok(Value::Object(members)) if members.get("specversion").is_some_and(Value::is_string) => Some(members),
        _ => None,
    };
    let (data, key, what) = match cloud_event {
        Some(members) => {
            let key = members.get("partitionkey").and_then(Value::as_str).map(str::to_owned);
            (cloud_event_data(members, &mut headers)?, key, "a CloudEvent")
        }
        None => (bytes.to_vec(), None, "plain data"),
    };
    let mut builder = BatchBuilder::new(0);
    let key = key.as_deref().map(str::as_bytes);
    builder.push(key, &data, &headers, timestamp_ms).map_err(|error| error.to_string())?;
    let batch = builder.seal().ok_or("the event is empty")?;
    Ok(Read { batch, what })
}

fn put_system(headers: &mut HeaderWriter, name: &str, value: &str) -> Result<(), String> {
    let name = name.strip_prefix('$').unwrap_or(name);
    match SystemProperty::by_keyword(name) {
        Some(known) if known.header == "iothub-enqueuedtime" => {
            Err("--system enqueuedTime: it is the time of acceptance, which is now".to_owned())
        }
        Some(known) => {
            headers.put(known.header, Some(value.as_bytes()));
            Ok(())
        }
        None => {
            let known: Vec<&str> = SystemProperty::ALL.iter().map(|property| property.keyword).collect();
            Err(format!("--system {name}: there is no such property; known are {}", known.join(", ")))
        }
    }
}

/// Writes the attributes and gives the data.
fn cloud_event_data(members: Map<String, Value>, headers: &mut HeaderWriter) -> Result<Vec<u8>, String> {
    let json = match members.get("datacontenttype").and_then(Value::as_str) {
        None => true,
        Some(media_type) => {
            let media_type = media_type.split(';').next().unwrap_or(media_type).trim().to_ascii_lowercase();
            media_type.ends_with("/json") || media_type.ends_with("+json")
        }
    };
    let mut data = Vec::new();
    for (name, value) in members {
        match (&*name, value) {
            ("data", Value::String(text)) if !json => data = text.into_bytes(),
            ("data", value) => data = value.to_string().into_bytes(),
            ("data_base64", Value::String(text)) => {
                data = base64::engine::general_purpose::STANDARD
                    .decode(&text)
                    .map_err(|error| format!("`data_base64` of the event is no base64: {error}"))?;
            }
            (_, Value::Null) => {}
            (_, Value::String(text)) => put_attribute(headers, &name, &text),
            (_, value @ (Value::Bool(_) | Value::Number(_))) => put_attribute(headers, &name, &value.to_string()),
            _ => return Err(format!("the attribute `{name}` of the event is neither text, number nor bool")),
        }
    }
    Ok(data)
}
