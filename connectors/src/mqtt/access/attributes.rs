//! What is known about a client: names with text, whole numbers or lists of text.

use std::fmt;
use std::sync::Arc;

/// Most bytes of all attributes of a client, names and values, as in Event Grid: they are kept for each connection.
pub(super) const ATTRIBUTES_BYTES_MAX: usize = 4096;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Text.
    Text(Box<str>),
    /// A whole number.
    Integer(i64),
    /// Several texts.
    List(Box<[Box<str>]>),
}

impl fmt::Display for Attribute {
    /// A list is written with commas between, as enrichments want it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => write!(f, "{number}"),
            Self::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { "," })?;
                    f.write_str(item)?;
                }
                Ok(())
            }
        }
    }
}

impl Attribute {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Integer(_) => 8,
            Self::List(items) => items.iter().map(|item| item.len()).sum(),
        }
    }
}

/// A name and its value.
type Pair = (Box<str>, Attribute);

/// The attributes of a client, sorted by name. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(Option<Arc<[Pair]>>);

impl Attributes {
    /// From pairs in any order; of a name that comes twice the later counts.
    pub fn new(pairs: impl IntoIterator<Item = Pair>) -> Self {
        let mut sorted: Vec<Pair> = Vec::new();
        for (name, value) in pairs {
            match sorted.binary_search_by(|(other, _)| other.cmp(&name)) {
                Ok(at) => sorted[at].1 = value,
                Err(at) => sorted.insert(at, (name, value)),
            }
        }
        Self((!sorted.is_empty()).then(|| sorted.into()))
    }

    /// The value of a name; names are compared exactly.
    pub fn get(&self, name: &str) -> Option<&Attribute> {
        let pairs = self.0.as_deref()?;
        let at = pairs.binary_search_by(|(other, _)| (**other).cmp(name)).ok()?;
        Some(&pairs[at].1)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Attribute)> {
        self.0.iter().flat_map(|pairs| pairs.iter()).map(|(name, value)| (&**name, value))
    }

    /// Bytes of names and values.
    pub(super) fn bytes(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.bytes()).sum()
    }

    /// These, but where `other` knows the name, its value.
    pub(super) fn overlaid_by(&self, other: &Self) -> Self {
        match (&self.0, &other.0) {
            (_, None) => self.clone(),
            (None, Some(_)) => other.clone(),
            (Some(mine), Some(theirs)) => Self::new(mine.iter().chain(theirs.iter()).cloned()),
        }
    }
}

/// Whether a name is one that queries and templates can say.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
