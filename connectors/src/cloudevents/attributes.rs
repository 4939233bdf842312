//! What a context attribute may be: names, required ones, and the types of the optional ones.

/// Longest value of an attribute in bytes: far above any sane one, far below the event's limit.
const VALUE_BYTES_MAX: usize = 16 * 1024;
/// Longest name: the specification says 20 should not be exceeded; some producers do.
const NAME_BYTES_MAX: usize = 64;

/// What is wrong with the attributes of an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// A required attribute is absent or empty.
    #[error("the required attribute '{0}' is missing or empty")]
    Missing(&'static str),
    /// A name that CloudEvents does not allow.
    #[error("'{0}' is no attribute name: use lower-case letters a-z and digits only")]
    Name(String),
    /// An attribute is there twice.
    #[error("the attribute '{0}' is there twice")]
    Twice(String),
    /// The value does not have the attribute's type.
    #[error("the attribute '{name}' {expected}, got {got}")]
    Value {
        /// The attribute.
        name: String,
        /// What it must be.
        expected: &'static str,
        /// What it is, shortened.
        got: String,
    },
    /// `specversion` is another one.
    #[error("specversion is '{0}', only '1.0' is understood")]
    Version(String),
}

impl AttributeError {
    pub(super) fn value(name: &str, expected: &'static str, got: &str) -> Self {
        let mut got: String = got.chars().take(40).collect();
        if got.is_empty() {
            got.push_str("nothing");
        }
        Self::Value { name: name.to_owned(), expected, got }
    }
}

/// Checks a name; `data` is no attribute.
pub fn check_name(name: &str) -> Result<(), AttributeError> {
    let legal = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && name != "data";
    if legal { Ok(()) } else { Err(AttributeError::Name(name.chars().take(80).collect())) }
}

/// Checks the value of an attribute by its name; extensions may be any string without control characters.
pub fn check_value(name: &str, value: &str) -> Result<(), AttributeError> {
    let fail = |expected| Err(AttributeError::value(name, expected, value));
    if value.len() > VALUE_BYTES_MAX {
        return fail("must be shorter than 16 KiB");
    }
    if value.chars().any(|c| matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}')) {
        return fail("must not hold control characters");
    }
    match name {
        "specversion" if value != "1.0" => Err(AttributeError::Version(value.chars().take(20).collect())),
        "time" if value.parse::<jiff::Timestamp>().is_err() => {
            fail("must be an RFC 3339 time such as 2026-01-05T10:00:00Z")
        }
        "datacontenttype" if !is_media_type(value) => fail("must be a media type such as application/json"),
        "dataschema" if !value.split_once(':').is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty()) => {
            fail("must be an absolute URI")
        }
        "source" | "dataschema" if value.contains([' ', '<', '>', '"']) => {
            fail("must be a URI without spaces or quotes")
        }
        "subject" if value.is_empty() => fail("must not be empty"),
        _ => Ok(()),
    }
}

/// Follows the attributes of one event: which required ones were there, and what its partition key is.
#[derive(Debug, Default)]
pub struct Envelope {
    seen: [bool; REQUIRED.len()],
    /// 2: `partitionkey`, 1: `subject`, 0: `source`.
    key_rank: Option<u8>,
}

const REQUIRED: [&str; 4] = ["id", "source", "specversion", "type"];

impl Envelope {
    /// Takes the next attribute; `key` holds the best key so far.
    pub fn take(&mut self, name: &str, value: &str, key: &mut Vec<u8>) {
        for (required, seen) in REQUIRED.iter().zip(&mut self.seen) {
            *seen |= *required == name && !value.is_empty();
        }
        let rank = match name {
            "partitionkey" => Some(2),
            "subject" => Some(1),
            "source" => Some(0),
            _ => None,
        };
        if rank.is_some() && rank > self.key_rank {
            self.key_rank = rank;
            key.clear();
            key.extend_from_slice(value.as_bytes());
        }
    }

    /// All attributes were taken.
    pub fn finish(&self) -> Result<(), AttributeError> {
        match REQUIRED.iter().zip(self.seen).find(|(_, seen)| !seen) {
            Some((missing, _)) => Err(AttributeError::Missing(missing)),
            None => Ok(()),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Of the form `type/subtype`, with parameters or without.
pub fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or(text).trim();
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&b));
    essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

/// JSON by its media type: `…/json` or `…/…+json`, parameters ignored.
pub fn is_json_type(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or(media_type).trim();
    essence
        .split_once('/')
        .is_some_and(|(_, subtype)| subtype.rsplit('+').next().unwrap_or(subtype).eq_ignore_ascii_case("json"))
}
