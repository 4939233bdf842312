//! Looking up what a filter refers to.

use std::fmt::Write;

use super::super::plan::{Reference, Step, System};
use super::super::value::{Short, Text, Value};
use super::{Interpreter, text};
use crate::event::{Event, Property};
use crate::parse::{self, Kind};

impl<'v> Interpreter<'v> {
    pub(super) fn reference(&self, reference: &'v Reference) -> Value<'v> {
        match reference {
            Reference::Attribute(name) => attribute(self.event, name),
            Reference::Property(name) => property(self.event, name),
            Reference::System(name) => system(self.event, name),
            Reference::SystemOrProperty { system: name, property: own } => match system(self.event, name) {
                Value::Undefined => property(self.event, own),
                value => value,
            },
            Reference::Body(path) => match self.root() {
                None => Value::Undefined,
                Some(root) => walk(root, path).map_or(Value::Missing, |value| self.data_value(value)),
            },
            Reference::NoBody => Value::Undefined,
        }
    }

    fn data_value(&self, value: parse::Value<'v>) -> Value<'v> {
        match value.kind() {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(value),
            Kind::Int(value) => Value::Number(value as f64),
            Kind::Uint(value) => Value::Number(value as f64),
            Kind::Float(value) => Value::number(value),
            Kind::String(found) if self.semantics.azure_date_quirk && text::looks_like_date_time(found) => {
                Value::Undefined
            }
            Kind::String(found) => Value::text(found),
            Kind::Array(len) => Value::Array(len),
            Kind::Object(len) => Value::Object(len),
        }
    }
}

/// Follows a path. Members compare exactly; an index outside leads nowhere.
pub(super) fn walk<'v>(root: parse::Value<'v>, path: &[Step]) -> Option<parse::Value<'v>> {
    path.iter().try_fold(root, |value, step| match step {
        Step::Member(name) => value.get(name),
        Step::Element(index) => value.at(*index as usize),
    })
}

/// It is there, whatever its value.
pub(in super::super) fn exists(interpreter: &Interpreter<'_>, reference: &Reference) -> bool {
    let event = interpreter.event;
    match reference {
        Reference::Property(name) => event.property(name) != Property::Absent,
        Reference::Body(path) => interpreter.root().is_some_and(|root| walk(root, path).is_some()),
        Reference::Attribute(name) => attribute(event, name) != Value::Undefined,
        Reference::System(name) => system(event, name) != Value::Undefined,
        Reference::SystemOrProperty { system: name, property } => {
            system(event, name) != Value::Undefined || event.property(property) != Property::Absent
        }
        Reference::NoBody => false,
    }
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
