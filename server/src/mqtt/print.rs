//! Messages on the terminal, one line each.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::message::Message;

/// How messages are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Topic and payload; line breaks and the like are escaped, what is no text is in base64.
    Text,
    /// A JSON object: topic, QoS, retain, payload (or payload_base64) and properties.
    Json,
    /// The payload as it is, and a line break.
    Payload,
}

/// Prints the message and ends the line.
pub(super) fn print(out: &mut impl Write, message: &Message, format: Format) -> io::Result<()> {
    match format {
        Format::Text => {
            plain(out, &message.topic)?;
            out.write_all(b" ")?;
            match str::from_utf8(&message.payload) {
                Ok(text) => plain(out, text)?,
                Err(_) => write!(out, "base64:{}", STANDARD.encode(&message.payload))?,
            }
        }
        Format::Json => serde_json::to_writer(&mut *out, &object(message))?,
        Format::Payload => out.write_all(&message.payload)?,
    }
    out.write_all(b"\n")
}

/// Comes from outside: none of its control characters reaches the terminal.
fn plain(out: &mut impl Write, text: &str) -> io::Result<()> {
    for c in text.chars() {
        match c.is_control() {
            true => write!(out, "{}", c.escape_default())?,
            false => write!(out, "{c}")?,
        }
    }
    Ok(())
}

fn object(message: &Message) -> Value {
    let mut object = Map::new();
    object.insert("topic".to_owned(), json!(message.topic));
    object.insert("qos".to_owned(), json!(message.qos as u8));
    object.insert("retain".to_owned(), json!(message.retain));
    put(&mut object, "payload", &message.payload);
    let mut properties = Map::new();
    let from = &message.properties;
    let numbers = [("payload_format", from.payload_format.map(u32::from)), ("expiry_s", from.expiry_s)];
    for (name, value) in numbers {
        properties.extend(value.map(|value| (name.to_owned(), json!(value))));
    }
    for (name, value) in [("content_type", &from.content_type), ("response_topic", &from.response_topic)] {
        properties.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
    }
    if let Some(correlation) = &from.correlation {
        put(&mut properties, "correlation", correlation);
    }
    if !from.user.is_empty() {
        // Pairs, because names may come again and their order counts.
        properties.insert("user".to_owned(), json!(from.user));
    }
    object.insert("properties".to_owned(), properties.into());
    object.into()
}

/// As text under its name, or else in base64.
fn put(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(text) => object.insert(name.to_owned(), json!(text)),
        Err(_) => object.insert(format!("{name}_base64"), json!(STANDARD.encode(bytes))),
    };
}
