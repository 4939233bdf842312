//! The text of `_rest`: members that have no column, or whose value does not fit it, as one JSON object per row.
//!
//! A nested member keeps its place as a name with dots, like the columns: `{"loc.alt": 112}`. Numbers keep the digits that they were
//! sent with.

use engine::parse::{Kind, NumberTexts, Value};

use crate::cloudevents::write_json_string;

/// The names above a level, kept on the stack: they are only written down where something has no column.
#[derive(Clone, Copy)]
pub struct Above<'p> {
    /// The level above.
    pub outer: Option<&'p Above<'p>>,
    /// Name of the member that holds this level.
    pub name: &'p str,
}

impl Above<'_> {
    fn write(&self, out: &mut String) {
        if let Some(outer) = self.outer {
            outer.write(out);
        }
        out.push_str(self.name);
        out.push('.');
    }
}

/// The text under way.
#[derive(Debug, Default)]
pub struct Rest {
    text: Vec<u8>,
    name: String,
}

impl Rest {
    /// A row begins.
    pub fn clear(&mut self) {
        self.text.clear();
    }

    /// Adds a member.
    #[cold]
    pub fn add(&mut self, above: Option<&Above<'_>>, name: &str, value: Value<'_>, numbers: &mut NumberTexts<'_>) {
        self.begin(above, name);
        write_value(&mut self.text, value, numbers);
    }

    /// Adds a member that is a text.
    #[cold]
    pub fn add_text(&mut self, name: &str, text: &str) {
        self.begin(None, name);
        write_json_string(&mut self.text, text);
    }

    fn begin(&mut self, above: Option<&Above<'_>>, name: &str) {
        self.text.push(if self.text.is_empty() { b'{' } else { b',' });
        self.name.clear();
        if let Some(above) = above {
            above.write(&mut self.name);
        }
        self.name.push_str(name);
        write_json_string(&mut self.text, &self.name);
        self.text.push(b':');
    }

    /// The whole object; `None` without a member.
    pub fn finish(&mut self) -> Option<&[u8]> {
        if self.text.is_empty() {
            return None;
        }
        self.text.push(b'}');
        Some(&self.text)
    }
}

/// Writes a value as JSON without white space.
pub fn write_value(out: &mut Vec<u8>, value: Value<'_>, numbers: &mut NumberTexts<'_>) {
    use std::io::Write;
    const MEMORY: &str = "writing to memory cannot fail";
    match value.kind() {
        Kind::Null => out.extend_from_slice(b"null"),
        Kind::Bool(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
        Kind::Int(number) => write!(out, "{number}").expect(MEMORY),
        Kind::Uint(number) => write!(out, "{number}").expect(MEMORY),
        Kind::Float(number) => match numbers.of(value) {
            Some(digits) => out.extend_from_slice(digits),
            None => write!(out, "{number:?}").expect(MEMORY),
        },
        Kind::String(text) => write_json_string(out, text),
        Kind::Array(_) => {
            out.push(b'[');
            for (at, element) in value.elements().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_value(out, element, numbers);
            }
            out.push(b']');
        }
        Kind::Object(_) => {
            out.push(b'{');
            for (at, (name, member)) in value.members().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_json_string(out, name);
                out.push(b':');
                write_value(out, member, numbers);
            }
            out.push(b'}');
        }
    }
}
