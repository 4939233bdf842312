//! From an event to the event that publishes it again.

use engine::batch::{HeaderWriter, PushError};
use engine::event::{CONTENT_TYPE, Event, MQTT, put_attribute, put_property};
use engine::lane::Enrichment;

use super::config::{MqttFormat, MqttSinkConfig};
use super::template::{NoTopic, Said, Template, TemplateError};
use crate::cloudevents::write_structured;
use crate::intake::Submission;
use crate::mqtt::codec::{PublishProperties, Qos, property};
use crate::mqtt::mapping::{EVENT_TYPE, Stored};

/// Content type of a structured CloudEvent.
const STRUCTURED_TYPE: &str = "application/cloudevents+json";

/// Why an event is not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpublished {
    /// It came around.
    #[error("it was published again {0} times already, as often as hops_max allows")]
    Hops(u8),
    /// It is worth nothing any more.
    #[error("it has expired")]
    Expired,
    /// No topic for it, or for its answers.
    #[error(transparent)]
    NoTopic(#[from] NoTopic),
    /// With its topic and properties it is larger than an event can be.
    #[error(transparent)]
    Push(#[from] PushError),
}

/// Makes what is published; keeps its memory.
pub struct Maker {
    name: String,
    config: MqttSinkConfig,
    qos: Qos,
    topic: Template,
    response_topic: Option<Template>,
    source: String,
    headers: HeaderWriter,
    payload: Vec<u8>,
    list: Vec<u8>,
    stored: Vec<u8>,
    topic_text: String,
    response_text: String,
}

impl Maker {
    /// For the endpoint of that name.
    pub fn new(name: &str, config: MqttSinkConfig) -> Result<Self, TemplateError> {
        Ok(Self {
            name: name.to_owned(),
            qos: Qos::of(config.qos).unwrap_or(Qos::AtLeastOnce),
            topic: Template::parse(&config.topic)?,
            response_topic: config.response_topic.as_deref().map(Template::parse).transpose()?,
            source: format!("/endpoints/{name}"),
            config,
            headers: HeaderWriter::default(),
            payload: Vec::new(),
            list: Vec::new(),
            stored: Vec::new(),
            topic_text: String::new(),
            response_text: String::new(),
        })
    }

    /// The endpoint's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds what the event becomes to the submission.
    pub fn publish(
        &mut self,
        event: &Event<'_>,
        enrichments: &[Enrichment],
        now_ms: i64,
        into: &mut Submission,
    ) -> Result<(), Unpublished> {
        // An event that came another way has published nothing yet.
        let before = event.header(MQTT).flatten().and_then(Stored::read).unwrap_or(Stored::new(self.qos, false));
        if before.hops >= self.config.hops_max {
            return Err(Unpublished::Hops(before.hops));
        }
        let expiry_s = match (self.config.expiry_s, before.expiry_s) {
            (None, Some(expiry_s)) => {
                let waited_s = u32::try_from((now_ms - event.timestamp_ms()).max(0) / 1000).unwrap_or(u32::MAX);
                Some(expiry_s.checked_sub(waited_s).filter(|left| *left > 0).ok_or(Unpublished::Expired)?)
            }
            (set, _) => set,
        };
        let mut said = Said::new(event, enrichments);
        self.topic.write(&mut said, &mut self.topic_text)?;
        if let Some(template) = &self.response_topic {
            template.write(&mut said, &mut self.response_text)?;
        }
        // The list was read from a PUBLISH; nothing else writes it.
        let sent = PublishProperties::read(before.list).unwrap_or_default();
        let response_topic = match self.response_topic {
            Some(_) => Some(self.response_text.as_str()),
            None => sent.response_topic,
        };
        let headers = &mut self.headers;
        headers.clear();
        put_attribute(headers, "type", EVENT_TYPE);
        put_attribute(headers, "source", &self.source);
        put_attribute(headers, "subject", &self.topic_text);
        self.list.clear();
        let mut has_properties = false;
        let value = match self.config.format {
            MqttFormat::CloudEvents => {
                headers.put(CONTENT_TYPE, Some(STRUCTURED_TYPE.as_bytes()));
                property::put_text(&mut self.list, property::CONTENT_TYPE, STRUCTURED_TYPE);
                self.payload.clear();
                write_structured(event, enrichments, &mut self.payload);
                self.payload.as_slice()
            }
            MqttFormat::Data => {
                let stored_type = event.header(CONTENT_TYPE).flatten();
                if stored_type.is_some() {
                    headers.put(CONTENT_TYPE, stored_type);
                }
                if let Some(format) = sent.payload_format {
                    property::put_byte(&mut self.list, property::PAYLOAD_FORMAT, format);
                }
                // Of a CloudEvent that came as its own payload the type of the data, not that of the payload.
                let is_mapped = event.attribute("type") == Some(EVENT_TYPE);
                let content_type = stored_type.and_then(|text| std::str::from_utf8(text).ok());
                if let Some(text) = content_type.or(sent.content_type.filter(|_| is_mapped)) {
                    property::put_text(&mut self.list, property::CONTENT_TYPE, text);
                }
                has_properties = put_properties(event, enrichments, headers);
                before.payload.filter(|_| is_mapped).or(event.data()).unwrap_or_default()
            }
        };
        if let Some(topic) = response_topic {
            property::put_text(&mut self.list, property::RESPONSE_TOPIC, topic);
        }
        if let Some(correlation) = sent.correlation {
            property::put_binary(&mut self.list, property::CORRELATION_DATA, correlation);
        }
        // The node publishes, no client: an empty client id.
        let stored = Stored {
            client: Some(&[]),
            expiry_s,
            hops: before.hops + 1,
            list: &self.list,
            has_properties,
            ..Stored::new(self.qos, self.config.retain)
        };
        stored.write(&mut self.stored);
        headers.put(MQTT, Some(&self.stored));
        Ok(into.push(event.key(), value, headers, now_ms)?)
    }
}

/// Puts the event's properties and what its delivery adds; whether there are any.
fn put_properties(event: &Event<'_>, enrichments: &[Enrichment], headers: &mut HeaderWriter) -> bool {
    let before = headers.count();
    let is_overwritten = |name: &str| enrichments.iter().any(|added| added.key.eq_ignore_ascii_case(name));
    for (name, value) in event.properties().filter(|(name, _)| !is_overwritten(name)) {
        put_property(headers, name, value);
    }
    for added in enrichments {
        put_property(headers, &added.key, Some(added.value.as_bytes()));
    }
    headers.count() > before
}
