//! Attributes that are added to what is published (sheet `eventgrid-eventhubs-servicebus.md` 4.6): compiled once, written per event.
//!
//! What always holds: every enrichment is there on every event, with an empty text where its source has nothing; what a
//! publisher sends under the name of an enrichment does not stand beside it.

use std::fmt::Write as _;

use base64::Engine as _;
use engine::batch::HeaderWriter;
use engine::event::{CE_PREFIX, put_attribute};

use super::config::EnrichmentConfig;
use super::mapper::Publisher;
use crate::config::Problem;
use crate::mqtt::codec::PublishProperties;

/// Most enrichments, longest name, longest value, each as in the sheet.
const ENRICHMENTS_MAX: usize = 20;
const KEY_BYTES_MAX: usize = 20;
const VALUE_CHARS_MAX: usize = 128;
/// Names that are attributes of every event.
const TAKEN: [&str; 10] =
    ["specversion", "id", "time", "type", "source", "subject", "datacontenttype", "dataschema", "data", "data_base64"];

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    AuthenticationName,
    Attribute(String),
    UserProperty(String),
    TopicName,
    ResponseTopic,
    CorrelationData,
    PayloadFormat,
}

/// All enrichments of a listener.
#[derive(Debug, Default)]
pub(super) struct Enrichments {
    /// Encoded, and how many.
    fixed: HeaderWriter,
    /// Header names and what to put under them.
    dynamic: Vec<(String, Source)>,
    /// The header names of all.
    names: Vec<String>,
}

impl Enrichments {
    /// Compiles checked settings; one that has a problem is left out.
    pub fn new(settings: &[EnrichmentConfig]) -> Self {
        let mut all = Self::default();
        for enrichment in settings {
            match compile(&enrichment.value) {
                Ok(None) => put_attribute(&mut all.fixed, &enrichment.key, &enrichment.value),
                Ok(Some(source)) => all.dynamic.push((format!("{CE_PREFIX}{}", enrichment.key), source)),
                Err(_) => continue,
            }
            all.names.push(format!("{CE_PREFIX}{}", enrichment.key));
        }
        all
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Those that are the same for every event.
    pub fn fixed(&self) -> &HeaderWriter {
        &self.fixed
    }

    /// None depends on the event.
    pub fn is_fixed(&self) -> bool {
        self.dynamic.is_empty()
    }

    /// Takes what the publisher sent under the names of enrichments out of `headers`.
    pub fn clear_place(&self, headers: &mut HeaderWriter) {
        for name in &self.names {
            headers.remove(name);
        }
    }

    /// Puts those that depend on the event.
    pub fn put_dynamic(
        &self,
        from: &Publisher<'_>,
        topic: &str,
        properties: &PublishProperties<'_>,
        text: &mut String,
        headers: &mut HeaderWriter,
    ) {
        for (name, source) in &self.dynamic {
            text.clear();
            source.write(from, topic, properties, text);
            headers.put(name, Some(text.as_bytes()));
        }
    }
}

impl Source {
    fn write(&self, from: &Publisher<'_>, topic: &str, properties: &PublishProperties<'_>, out: &mut String) {
        match self {
            Self::AuthenticationName => out.push_str(&from.identity.name),
            Self::Attribute(name) => {
                if let Some(value) = from.identity.attributes.get(name) {
                    write!(out, "{value}").expect("writing to a string");
                }
            }
            Self::UserProperty(name) => {
                let mut values = properties.user.iter().filter(|(found, _)| found == name).map(|(_, value)| value);
                out.push_str(values.next().unwrap_or_default());
                for value in values {
                    out.push(',');
                    out.push_str(value);
                }
            }
            Self::TopicName => out.push_str(topic),
            Self::ResponseTopic => out.push_str(properties.response_topic.unwrap_or_default()),
            Self::CorrelationData => {
                base64::engine::general_purpose::STANDARD
                    .encode_string(properties.correlation.unwrap_or_default(), out);
            }
            // A message that does not say its format has format 0.
            Self::PayloadFormat => out.push(if properties.payload_format == Some(1) { '1' } else { '0' }),
        }
    }
}

/// The source that a value names, or `None` for a fixed text.
fn compile(value: &str) -> Result<Option<Source>, &'static str> {
    let Some(expression) = value.strip_prefix("${") else {
        return if value.contains("${") { Err("begins with something else than `${`") } else { Ok(None) };
    };
    let expression = expression.strip_suffix('}').ok_or("does not end with `}`")?;
    Ok(Some(match expression {
        "client.authenticationName" => Source::AuthenticationName,
        "mqtt.message.topicName" => Source::TopicName,
        "mqtt.message.responseTopic" => Source::ResponseTopic,
        "mqtt.message.correlationData" => Source::CorrelationData,
        "mqtt.message.pfi" => Source::PayloadFormat,
        other => match (other.strip_prefix("client.attributes."), other.strip_prefix("mqtt.message.userProperties")) {
            (Some(name), _) if is_word(name) => Source::Attribute(name.to_owned()),
            (_, Some(rest)) => Source::UserProperty(user_property(rest)?),
            _ => return Err("names no source"),
        },
    }))
}

/// `.name` or `['name']` with `'` and `\` escaped.
fn user_property(rest: &str) -> Result<String, &'static str> {
    if let Some(name) = rest.strip_prefix('.') {
        return if is_word(name) { Ok(name.to_owned()) } else { Err("needs the form ['name'] for this name") };
    }
    let quoted =
        rest.strip_prefix("['").and_then(|rest| rest.strip_suffix("']")).ok_or("needs `.name` or `['name']`")?;
    let mut name = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' => return Err("has a `'` that is not escaped"),
            '\\' => match characters.next() {
                Some(escaped @ ('\'' | '\\')) => name.push(escaped),
                _ => return Err("has a `\\` that escapes nothing"),
            },
            plain => name.push(plain),
        }
    }
    if name.is_empty() { Err("names no property") } else { Ok(name) }
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// All that is wrong with the settings.
pub(super) fn problems(settings: &[EnrichmentConfig]) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut add = |message: String, help: &str| {
        found.push(Problem { field: "mapping.enrichments", message, help: help.to_owned() });
    };
    if settings.len() > ENRICHMENTS_MAX {
        add(format!("{} enrichments are more than {ENRICHMENTS_MAX}", settings.len()), "keep those that are used");
    }
    for (at, EnrichmentConfig { key, value }) in settings.iter().enumerate() {
        let is_name = (1..=KEY_BYTES_MAX).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if TAKEN.contains(&key.as_str()) || key.starts_with("azsp") || key.starts_with("anabranch") {
            add(format!("the key `{key}` means something else on every event"), "choose another name");
        } else if !is_name {
            add(format!("`{key}` is no key for an enrichment"), "use 1 to 20 lower-case letters a-z and digits");
        }
        if settings[..at].iter().any(|earlier| earlier.key == *key) {
            add(format!("there are two enrichments `{key}`"), "keep one of them");
        }
        if value.chars().count() > VALUE_CHARS_MAX {
            add(
                format!("the value of the enrichment `{key}` is longer than {VALUE_CHARS_MAX} characters"),
                "shorten it",
            );
        } else if value.chars().any(|character| character.is_control()) {
            add(format!("the value of the enrichment `{key}` has a control character"), "leave it out");
        }
        if let Err(problem) = compile(value) {
            add(
                format!("the value `{value}` of the enrichment `{key}` {problem}"),
                "write a fixed text, or one of ${client.authenticationName}, ${client.attributes.NAME}, \
                 ${mqtt.message.userProperties.NAME}, ${mqtt.message.userProperties['NAME']}, ${mqtt.message.topicName}, \
                 ${mqtt.message.responseTopic}, ${mqtt.message.correlationData}, ${mqtt.message.pfi}",
            );
        }
    }
    found
}
