//! Looking up what a filter refers to.

use std::fmt::Write;

use super::super::plan::{Reference, Semantics, Step, System};
use super::super::value::{Short, Text, Value};
use super::{Facts, Presence, Whole, text};
use crate::event::{Event, Property};
use crate::parse::{self, Kind};

impl<'v> Facts<'v> for Whole<'v> {
    fn value(&self, reference: &'v Reference, semantics: Semantics) -> Value<'v> {
        match reference {
            Reference::Body(path) => match self.root(semantics) {
                None => Value::Undefined,
                Some(root) => walk(root, path).map_or(Value::Missing, |value| data_value(value, semantics)),
            },
            Reference::NoBody | Reference::Column(_) => Value::Undefined,
            header => header_value(self.event, header),
        }
    }

    fn presence(&self, reference: &'v Reference, semantics: Semantics) -> Presence {
        let event = self.event;
        let present = match reference {
            Reference::Property(name) => event.property(name) != Property::Absent,
            Reference::Body(path) => match self.root(semantics) {
                None => return Presence::Unreadable,
                Some(root) => walk(root, path).is_some(),
            },
            Reference::SystemOrProperty { system: name, property } => {
                system(event, name) != Value::Undefined || event.property(property) != Property::Absent
            }
            Reference::NoBody | Reference::Column(_) => false,
            header => header_value(event, header) != Value::Undefined,
        };
        if present { Presence::Present } else { Presence::Absent }
    }

    fn elements(&self, reference: &'v Reference, semantics: Semantics, visit: &mut dyn FnMut(Value<'v>)) {
        // Everything outside the data is text.
        let Reference::Body(path) = reference else { return };
        let Some(array) = self.root(semantics).and_then(|root| walk(root, path)) else { return };
        array.elements().for_each(|element| visit(data_value(element, semantics)));
    }
}

/// The value of a reference that leads elsewhere than into the data.
pub fn header_value<'v>(event: Event<'v>, reference: &Reference) -> Value<'v> {
    match reference {
        Reference::Attribute(name) => attribute(event, name),
        Reference::Property(name) => property(event, name),
        Reference::System(name) => system(event, name),
        Reference::SystemOrProperty { system: name, property: own } => match system(event, name) {
            Value::Undefined => property(event, own),
            value => value,
        },
        Reference::Body(_) | Reference::NoBody | Reference::Column(_) => Value::Undefined,
    }
}

fn data_value(value: parse::Value<'_>, semantics: Semantics) -> Value<'_> {
    match value.kind() {
        Kind::Null => Value::Null,
        Kind::Bool(value) => Value::Bool(value),
        Kind::Int(value) => Value::Number(value as f64),
        Kind::Uint(value) => Value::Number(value as f64),
        Kind::Float(value) => Value::number(value),
        Kind::String(found) if semantics.azure_date_quirk && text::looks_like_date_time(found) => Value::Undefined,
        Kind::String(found) => Value::text(found),
        Kind::Array(len) => Value::Array(len),
        Kind::Object(len) => Value::Object(len),
    }
}

/// Follows a path. Members compare exactly; an index outside leads nowhere.
pub(super) fn walk<'v>(root: parse::Value<'v>, path: &[Step]) -> Option<parse::Value<'v>> {
    path.iter().try_fold(root, |value, step| match step {
        Step::Member(name) => value.get(name),
        Step::Element(index) => value.at(*index as usize),
    })
}

fn attribute<'v>(event: Event<'v>, name: &str) -> Value<'v> {
    match (event.attribute(name), name) {
        (Some(text), _) => Value::text(text),
        (None, "id") => {
            let mut short = Short::new();
            // It has room for the longest: ten digits, a dash, twenty digits.
            let _ = write!(short, "{}-{}", event.partition(), event.offset());
            Value::Text(Text::Short(short))
        }
        (None, "time") => Value::Text(Text::Short(text::timestamp(event.timestamp_ms(), 3))),
        (None, _) => Value::Undefined,
    }
}

fn property<'v>(event: Event<'v>, name: &str) -> Value<'v> {
    match event.property(name) {
        Property::Absent => Value::Undefined,
        Property::Null => Value::NullText,
        Property::Text(text) => Value::text(text),
    }
}

fn system<'v>(event: Event<'v>, name: &System) -> Value<'v> {
    match name {
        // It is the record's timestamp, in the form in which the hub writes it elsewhere.
        System::Known(known) if known.header == "iothub-enqueuedtime" => {
            Value::Text(Text::Short(text::timestamp(event.timestamp_ms(), 7)))
        }
        System::Known(known) => Value::optional_text(event.system(*known)),
        System::Header(header) => {
            let found = event.headers().find(|(name, _)| name.eq_ignore_ascii_case(header));
            Value::optional_text(found.and_then(|(_, value)| std::str::from_utf8(value?).ok()))
        }
    }
}
