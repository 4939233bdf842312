//! Topics with variables: compiled once, written per event.
//!
//! What always holds: what is written is a topic name if the template's own text is one; a value never adds a level (but that
//! of `${subject}`, which is a topic itself) and never a wildcard: `/`, `+`, `#` and NUL are written `%2F`, `%2B`, `%23`, `%00`.

use engine::event::{Event, Property};
use engine::lane::Enrichment;
use serde_json::Value;

use crate::mqtt::codec::{TEXT_BYTES_MAX, is_topic_name};

/// A compiled template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Box<[Part]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Variable(Variable),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Variable {
    /// The partition key.
    Device,
    Subject,
    Id,
    Attribute(Box<str>),
    Property(Box<str>),
    /// JSON pointer into the data.
    Data(Box<str>),
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Nothing is no topic.
    #[error("is empty")]
    Empty,
    /// More than MQTT's limit.
    #[error("is longer than {TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// A wildcard or NUL in the text.
    #[error("has a `+`, `#` or NUL, and one publishes to one topic")]
    Wildcard,
    /// `${` without `}`.
    #[error("has a `${{` that no `}}` closes")]
    Open,
    /// No such variable.
    #[error("has the variable `${{{0}}}`, which is not known")]
    Unknown(String),
    /// A pointer without its slash.
    #[error("has the JSON pointer `{0}`, which does not begin with `/`")]
    Pointer(String),
}

impl TemplateError {
    /// What to write instead.
    pub fn help(&self) -> String {
        match self {
            Self::Empty | Self::TooLong | Self::Wildcard => "for example \"alerts/${device}/${subject}\"".to_owned(),
            Self::Open => "write the variable as ${NAME}".to_owned(),
            Self::Unknown(_) => "there are ${device}, ${subject}, ${type}, ${source}, ${id}, ${attributes.NAME}, \
                                 ${properties.NAME} and ${data./JSON/POINTER}"
                .to_owned(),
            Self::Pointer(_) => "for example ${data./vehicle/id}".to_owned(),
        }
    }
}

/// Why an event gives no topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTopic {
    /// A variable has no value, or an empty one.
    #[error("it has nothing for `${{{0}}}`")]
    Missing(String),
    /// More than MQTT's limit.
    #[error("its topic would have {0} bytes, more than {TEXT_BYTES_MAX}")]
    TooLong(usize),
}

impl Template {
    /// Compiles a text.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(TemplateError::TooLong);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${") {
            let (name, after) = behind.split_once('}').ok_or(TemplateError::Open)?;
            if !before.is_empty() {
                parts.push(Part::Text(before.into()));
            }
            parts.push(Part::Variable(Variable::parse(name)?));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        let is_plain = |part: &Part| match part {
            Part::Text(text) => !text.contains(['+', '#', '\0']),
            Part::Variable(_) => true,
        };
        if parts.iter().all(is_plain) { Ok(Self(parts.into())) } else { Err(TemplateError::Wildcard) }
    }

    /// Writes the topic of an event into `out`, which is cleared.
    pub fn write(&self, said: &mut Said<'_, '_>, out: &mut String) -> Result<(), NoTopic> {
        out.clear();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Variable(variable) => {
                    let start = out.len();
                    variable.write(said, out);
                    if out.len() == start {
                        return Err(NoTopic::Missing(variable.name()));
                    }
                }
            }
        }
        debug_assert!(out.len() > TEXT_BYTES_MAX || is_topic_name(out));
        if out.len() > TEXT_BYTES_MAX { Err(NoTopic::TooLong(out.len())) } else { Ok(()) }
    }
}

/// What an event says, for the variables; its data is read as JSON once, and only if it is asked for.
pub struct Said<'e, 'b> {
    event: &'e Event<'b>,
    enrichments: &'e [Enrichment],
    data: Option<Value>,
}

impl<'e, 'b> Said<'e, 'b> {
    /// Of an event with what its delivery adds.
    pub fn new(event: &'e Event<'b>, enrichments: &'e [Enrichment]) -> Self {
        Self { event, enrichments, data: None }
    }
}

impl Variable {
    fn parse(name: &str) -> Result<Self, TemplateError> {
        Ok(match (name, name.split_once('.')) {
            ("device", _) => Self::Device,
            ("subject", _) => Self::Subject,
            ("id", _) => Self::Id,
            ("type" | "source", _) => Self::Attribute(name.into()),
            (_, Some(("attributes", own))) if !own.is_empty() => Self::Attribute(own.into()),
            (_, Some(("properties", own))) if !own.is_empty() => Self::Property(own.into()),
            (_, Some(("data", pointer))) if pointer.starts_with('/') => Self::Data(pointer.into()),
            (_, Some(("data", pointer))) => return Err(TemplateError::Pointer(pointer.to_owned())),
            _ => return Err(TemplateError::Unknown(name.to_owned())),
        })
    }

    fn name(&self) -> String {
        match self {
            Self::Device => "device".to_owned(),
            Self::Subject => "subject".to_owned(),
            Self::Id => "id".to_owned(),
            Self::Attribute(name) if matches!(&**name, "type" | "source") => name.to_string(),
            Self::Attribute(name) => format!("attributes.{name}"),
            Self::Property(name) => format!("properties.{name}"),
            Self::Data(pointer) => format!("data.{pointer}"),
        }
    }

    /// Appends the value; nothing if there is none.
    fn write(&self, said: &mut Said<'_, '_>, out: &mut String) {
        let event = said.event;
        match self {
            Self::Device => push(out, event.key().and_then(|key| std::str::from_utf8(key).ok()), false),
            Self::Subject => push(out, event.attribute("subject"), true),
            Self::Id => push(out, Some(event.id(&mut String::new())), false),
            Self::Attribute(name) => push(out, event.attribute(name), false),
            Self::Property(name) => {
                let added = said.enrichments.iter().find(|added| added.key.eq_ignore_ascii_case(name));
                match (added, event.property(name)) {
                    (Some(added), _) => push(out, Some(&added.value), false),
                    (None, Property::Text(text)) => push(out, Some(text), false),
                    (None, _) => {}
                }
            }
            Self::Data(pointer) => {
                let read = || serde_json::from_slice(event.data().unwrap_or_default()).unwrap_or(Value::Null);
                match said.data.get_or_insert_with(read).pointer(pointer) {
                    Some(Value::String(text)) => push(out, Some(text), false),
                    Some(value @ (Value::Number(_) | Value::Bool(_))) => push(out, Some(&value.to_string()), false),
                    _ => {}
                }
            }
        }
    }
}

fn push(out: &mut String, value: Option<&str>, has_levels: bool) {
    for character in value.unwrap_or_default().chars() {
        match character {
            '/' if !has_levels => out.push_str("%2F"),
            '+' => out.push_str("%2B"),
            '#' => out.push_str("%23"),
            '\0' => out.push_str("%00"),
            plain => out.push(plain),
        }
    }
}
