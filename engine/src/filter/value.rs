//! Values while a filter runs: borrowed wherever they can be, so that an event costs no memory.

use std::fmt;

/// A value of a sub-expression for one event.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'v> {
    /// There is no value, or none that makes sense.
    Undefined,
    /// A path that leads nowhere in data that could be read.
    Missing,
    /// JSON `null`, or the literal.
    Null,
    /// A property that is there without a value.
    NullText,
    /// `true` or `false`.
    Bool(bool),
    /// A number, never NaN.
    Number(f64),
    /// A string.
    Text(Text<'v>),
    /// A JSON array with so many elements.
    Array(usize),
    /// A JSON object with so many members.
    Object(usize),
}

/// Three-valued truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// The event is routed.
    True,
    /// It is not.
    False,
    /// Neither: something needed was absent or of the wrong kind. Not routed.
    Undefined,
}

impl Truth {
    /// The event is routed.
    pub fn is_true(self) -> bool {
        self == Self::True
    }

    /// `true`, `false` or `undefined`.
    pub fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Undefined => "undefined",
        }
    }

    /// Kleene's AND.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            _ => Self::Undefined,
        }
    }

    /// Kleene's OR.
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::False, Self::False) => Self::False,
            _ => Self::Undefined,
        }
    }

    /// Kleene's NOT, where `negate` says so.
    pub fn negated_if(self, negate: bool) -> Self {
        match self {
            Self::True if negate => Self::False,
            Self::False if negate => Self::True,
            same => same,
        }
    }
}

impl From<Option<bool>> for Truth {
    fn from(value: Option<bool>) -> Self {
        match value {
            Some(true) => Self::True,
            Some(false) => Self::False,
            None => Self::Undefined,
        }
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<'v> Value<'v> {
    /// NaN is undefined.
    pub(super) fn number(value: f64) -> Self {
        if value.is_nan() { Self::Undefined } else { Self::Number(value) }
    }

    /// A text that lies somewhere.
    pub fn text(text: &'v str) -> Self {
        Self::Text(Text::Borrowed(text))
    }

    pub(super) fn optional_text(text: Option<&'v str>) -> Self {
        text.map_or(Self::Undefined, Self::text)
    }

    /// A number, for arithmetic.
    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(value) => Some(*value),
            _ => None,
        }
    }

    /// A string, for string functions; null is none.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// A truth, for AND, OR and NOT; anything but a bool is undefined.
    pub(super) fn truth(&self) -> Truth {
        match self {
            Self::Bool(value) => Some(*value).into(),
            _ => Truth::Undefined,
        }
    }

    /// What it is, in messages.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::Missing => "missing",
            Self::Null => "null",
            Self::NullText => "a null property",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

impl From<Truth> for Value<'_> {
    fn from(truth: Truth) -> Self {
        match truth {
            Truth::True => Self::Bool(true),
            Truth::False => Self::Bool(false),
            Truth::Undefined => Self::Undefined,
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined => f.write_str("undefined"),
            Self::Missing => f.write_str("missing"),
            Self::Null | Self::NullText => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) if value.is_infinite() => f.write_str(if *value > 0.0 { "∞" } else { "-∞" }),
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "'{}'", text.as_str()),
            Self::Array(1) => f.write_str("array of 1 element"),
            Self::Array(len) => write!(f, "array of {len} elements"),
            Self::Object(1) => f.write_str("object with 1 member"),
            Self::Object(len) => write!(f, "object with {len} members"),
        }
    }
}

/// Text that is borrowed, put together, or short and made on the spot.
#[derive(Clone, Debug)]
pub enum Text<'v> {
    /// From the filter, the event or its data.
    Borrowed(&'v str),
    /// Result of a string function.
    Owned(String),
    /// A default that depends on the event's place or time.
    Short(Short),
}

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
            Self::Short(text) => text.as_str(),
        }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// Up to 38 bytes of text without an allocation: a time stamp, or partition and offset.
#[derive(Clone, Copy)]
pub struct Short {
    bytes: [u8; 38],
    len: u8,
}

impl Short {
    pub(super) fn new() -> Self {
        Self { bytes: [0; 38], len: 0 }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl fmt::Debug for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let start = usize::from(self.len);
        let room = self.bytes.get_mut(start..start + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len() as u8;
        Ok(())
    }
}
