//! Structured JSON to a row: attributes to headers, `data` byte for byte as it was sent.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use engine::batch::HeaderWriter;
use engine::event::put_attribute;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::attributes::{AttributeError, Envelope, check_name, check_value, is_json_type};

/// Why an event is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or not an object (for a batch: not an array).
    #[error("{0}")]
    Json(String),
    /// Something is wrong with an attribute.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// Both kinds of data.
    #[error("an event has 'data' or 'data_base64', not both")]
    TwoData,
    /// `data_base64` is not base64 text.
    #[error("data_base64 is not base64 (RFC 4648)")]
    Base64,
    /// The data of a type other than JSON must be a string.
    #[error("with datacontenttype '{0}' the data must be a JSON string; send other bytes as data_base64")]
    DataNotString(String),
}

impl DecodeError {
    fn json(error: &serde_json::Error) -> Self {
        Self::Json(format!("not valid JSON: {error}"))
    }
}

/// Decodes events one after the other and keeps its memory.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The data of the event just decoded.
    data: Vec<u8>,
    key: Vec<u8>,
}

/// A decoded event: its headers are in the writer that was given.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded<'d> {
    /// Partition key.
    pub key: &'d [u8],
    /// Data; empty if there is none.
    pub data: &'d [u8],
}

impl Decoder {
    /// Decodes one structured event.
    pub fn decode(&mut self, json: &[u8], headers: &mut HeaderWriter) -> Result<Decoded<'_>, DecodeError> {
        let members: Members<'_> = serde_json::from_slice(json).map_err(|error| DecodeError::json(&error))?;
        self.members(&members.0, headers)
    }

    /// Calls `each` with the raw JSON of every event of a batch.
    pub fn split_batch<'j>(json: &'j [u8], each: &mut dyn FnMut(&'j [u8])) -> Result<(), DecodeError> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let split = deserializer.deserialize_seq(Events(each)).and_then(|()| deserializer.end());
        split.map_err(|error| DecodeError::json(&error))
    }

    fn members(
        &mut self,
        members: &[(Cow<'_, str>, &RawValue)],
        headers: &mut HeaderWriter,
    ) -> Result<Decoded<'_>, DecodeError> {
        headers.clear();
        self.data.clear();
        self.key.clear();
        let (mut data, mut base64, mut media_type) = (None, None, None);
        let mut envelope = Envelope::default();
        for (at, (name, raw)) in members.iter().enumerate() {
            if members[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(AttributeError::Twice(name.to_string()).into());
            }
            match name.as_ref() {
                "data" => data = Some(*raw),
                "data_base64" => base64 = Some(*raw),
                name => {
                    let Some(value) = attribute_text(name, raw)? else { continue };
                    check_value(name, &value)?;
                    envelope.take(name, &value, &mut self.key);
                    put_attribute(headers, name, &value);
                    if name == "datacontenttype" {
                        media_type = Some(value.into_owned());
                    }
                }
            }
        }
        envelope.finish()?;
        match (data, base64) {
            (Some(_), Some(_)) => return Err(DecodeError::TwoData),
            (Some(raw), None) if media_type.as_deref().is_none_or(is_json_type) => {
                self.data.extend_from_slice(raw.get().as_bytes());
            }
            (Some(raw), None) => match serde_json::from_str::<Text<'_>>(raw.get()) {
                Ok(text) => self.data.extend_from_slice(text.0.as_bytes()),
                Err(_) => return Err(DecodeError::DataNotString(media_type.unwrap_or_default())),
            },
            (None, Some(raw)) => {
                let text = serde_json::from_str::<Text<'_>>(raw.get()).map_err(|_| DecodeError::Base64)?;
                base64::engine::general_purpose::STANDARD
                    .decode_vec(text.0.as_bytes(), &mut self.data)
                    .map_err(|_| DecodeError::Base64)?;
                if media_type.is_none() {
                    // Binary data implies nothing; a record without content type would read as JSON.
                    put_attribute(headers, "datacontenttype", "application/octet-stream");
                }
            }
            (None, None) => {}
        }
        Ok(Decoded { key: &self.key, data: &self.data })
    }
}

/// The canonical text of an attribute's JSON value; `None` for null, which means absent.
fn attribute_text<'r>(name: &str, raw: &'r RawValue) -> Result<Option<Cow<'r, str>>, AttributeError> {
    check_name(name)?;
    let text = raw.get();
    let wrong = |expected| Err(AttributeError::value(name, expected, text));
    let is_core = matches!(
        name,
        "id" | "source"
            | "specversion"
            | "type"
            | "datacontenttype"
            | "dataschema"
            | "subject"
            | "time"
            | "partitionkey"
    );
    match text.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<Text<'r>>(text) {
            Ok(text) => Ok(Some(text.0)),
            Err(_) => wrong("must be a valid string"),
        },
        Some(b'n') => Ok(None),
        _ if is_core => wrong("must be a string"),
        Some(b't' | b'f') => Ok(Some(Cow::Borrowed(text))),
        Some(b'-' | b'0'..=b'9') if text.parse::<i32>().is_ok() => Ok(Some(Cow::Borrowed(text))),
        Some(b'-' | b'0'..=b'9') => wrong("must be an integer of 32 bits"),
        _ => wrong("must be a string, a boolean or an integer"),
    }
}

/// A JSON string, borrowed where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Visit)
    }
}

/// The members of an object, each value as its raw text.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// Members of an event: more is no event.
const MEMBERS_MAX: usize = engine::limits::EVENT_HEADERS_MAX;

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a CloudEvent, which is a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::with_capacity(12);
                while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    if members.len() == MEMBERS_MAX {
                        return Err(serde::de::Error::custom(format_args!("more than {MEMBERS_MAX} attributes")));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

/// Hands out the raw elements of an array.
struct Events<'f, 'j>(&'f mut dyn FnMut(&'j [u8]));

impl<'de> Visitor<'de> for Events<'_, 'de> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a batch of CloudEvents, which is a JSON array")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut events: A) -> Result<(), A::Error> {
        while let Some(event) = events.next_element::<&'de RawValue>()? {
            (self.0)(event.get().as_bytes());
        }
        Ok(())
    }
}
