//! Events of the corpus as rows of a batch.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::batch::{Batch, BatchBuilder, HeaderWriter};
use crate::event::{Event, MESSAGE_SOURCE, SystemProperty, put_attribute, put_property};
use crate::filter::{Dialect, body_text};
use crate::parse::{Parser, Value};

pub type Events = BTreeMap<String, Description>;

/// An event as the corpus describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// It came by the IoT Hub profile.
    #[serde(default)]
    iothub: bool,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    properties: BTreeMap<String, Option<String>>,
    #[serde(default)]
    system: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<Box<RawValue>>,
    /// Data that is no JSON.
    #[serde(default)]
    body_text: Option<String>,
    #[serde(default)]
    encode: Option<String>,
    #[serde(default)]
    time_ms: i64,
}

pub struct Case {
    batch: Batch,
}

impl Case {
    /// The event alone in a batch.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    pub fn new(event: &Description) -> Self {
        let mut headers = HeaderWriter::default();
        if event.iothub {
            headers.put(MESSAGE_SOURCE, Some(b"Telemetry"));
        }
        for (name, value) in &event.system {
            let known = SystemProperty::by_keyword(name).map(|known| known.header.to_owned());
            headers.put(&known.unwrap_or_else(|| format!("iothub-{name}")), Some(value.as_bytes()));
        }
        for (name, value) in &event.attributes {
            put_attribute(&mut headers, name, value);
        }
        for (name, value) in &event.properties {
            put_property(&mut headers, name, value.as_ref().map(String::as_bytes));
        }
        let text = event.body.as_ref().map(|body| body.get()).or(event.body_text.as_deref()).unwrap_or_default();
        let data: Vec<u8> = match event.encode.as_deref() {
            Some("utf-16") => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Some("utf-32") => text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
            _ => text.as_bytes().to_vec(),
        };
        let mut builder = BatchBuilder::new(3);
        builder.push(event.key.as_ref().map(String::as_bytes), &data, &headers, event.time_ms).expect("it fits");
        let mut batch = builder.seal().expect("one row");
        batch.set_base_offset(41);
        Self { batch }
    }

    /// Runs `run` with the event and its data as a shard would give them.
    pub fn with<R>(&self, dialect: Dialect, run: impl FnOnce(&Event<'_>, Option<Value<'_>>) -> R) -> R {
        let event = Event::new(&self.batch, 0);
        let mut room = String::new();
        let mut parser = Parser::default();
        let text = if dialect.body_readable(&event) { body_text(&event, &mut room) } else { None };
        let document = text.and_then(|text| parser.parse(text).ok());
        run(&event, document.as_ref().map(|document| document.root()))
    }
}
