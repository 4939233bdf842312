//! The text of `_rest`: members that have no column, or whose value does not fit it, as one JSON object per row.
//!
//! A nested member keeps its place as a name with dots, like the columns: `{"loc.alt": 112}`.

use engine::parse::{Kind, Value};

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

/// Adds a member to the text.
#[cold]
pub fn add(text: &mut Vec<u8>, above: Option<&Above<'_>>, name: &str, value: Value<'_>) {
    text.push(if text.is_empty() { b'{' } else { b',' });
    let mut full = String::new();
    if let Some(above) = above {
        above.write(&mut full);
    }
    full.push_str(name);
    write_json_string(text, &full);
    text.push(b':');
    write_value(text, value);
}

fn write_value(out: &mut Vec<u8>, value: Value<'_>) {
    use std::io::Write;
    const MEMORY: &str = "writing to memory cannot fail";
    match value.kind() {
        Kind::Null => out.extend_from_slice(b"null"),
        Kind::Bool(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
        Kind::Int(number) => write!(out, "{number}").expect(MEMORY),
        Kind::Uint(number) => write!(out, "{number}").expect(MEMORY),
        Kind::Float(number) => write!(out, "{number:?}").expect(MEMORY),
        Kind::String(text) => write_json_string(out, text),
        Kind::Array(_) => {
            out.push(b'[');
            for (at, element) in value.elements().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_value(out, element);
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
                write_value(out, member);
            }
            out.push(b'}');
        }
    }
}
