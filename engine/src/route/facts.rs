//! Cells as facts for the interpreter: what no index and no vector serves is computed by the oracle's own code.

use super::columns::ColumnSet;
use crate::filter::plan::{Reference, Semantics};
use crate::filter::{Facts, Presence, Text, Value, looks_like_date_time};
use crate::parse::{ColumnId, Columns, Element, Span, Tag, elements};

/// One row of gathered columns.
#[derive(Clone, Copy)]
pub(super) struct CellFacts<'v> {
    pub set: &'v ColumnSet,
    pub columns: &'v Columns,
    /// The batch.
    pub bytes: &'v [u8],
    pub row: usize,
}

impl<'v> CellFacts<'v> {
    fn text(&self, column: ColumnId, tag: Tag, value: u64, semantics: Semantics) -> Value<'v> {
        let text = self.columns.text(tag, value, self.bytes).and_then(|text| std::str::from_utf8(text).ok());
        match text {
            Some(text) if semantics.azure_date_quirk && self.set.is_body(column) && looks_like_date_time(text) => {
                Value::Undefined
            }
            Some(text) => Value::text(text),
            None => Value::Undefined,
        }
    }

    /// The text of an array.
    fn array(&self, tag: Tag, value: u64) -> &'v [u8] {
        let bytes = if tag == Tag::Array { self.bytes } else { self.columns.own_text() };
        Span::unpack(value).of(bytes)
    }
}

impl<'v> Facts<'v> for CellFacts<'v> {
    fn value(&self, reference: &'v Reference, semantics: Semantics) -> Value<'v> {
        let Reference::Column(column) = reference else { return Value::Undefined };
        let (tag, value) = self.columns.cell(*column, self.row);
        match tag {
            // No route asks for digits.
            Tag::Undefined | Tag::Digits | Tag::OwnDigits => Value::Undefined,
            Tag::Missing => Value::Missing,
            Tag::Null => Value::Null,
            Tag::NullText => Value::NullText,
            Tag::False => Value::Bool(false),
            Tag::True => Value::Bool(true),
            Tag::Number => Value::Number(f64::from_bits(value)),
            Tag::Text | Tag::OwnText => self.text(*column, tag, value, semantics),
            Tag::Array | Tag::OwnArray => {
                let mut len = 0;
                elements(self.array(tag, value), &mut |_| len += 1);
                Value::Array(len)
            }
            Tag::Object => Value::Object(value as usize),
        }
    }

    fn presence(&self, reference: &'v Reference, _: Semantics) -> Presence {
        let Reference::Column(column) = reference else { return Presence::Absent };
        match self.columns.cell(*column, self.row).0 {
            // Outside the body there is nothing that cannot be read.
            Tag::Undefined if self.set.is_body(*column) => Presence::Unreadable,
            Tag::Undefined | Tag::Missing => Presence::Absent,
            _ => Presence::Present,
        }
    }

    fn elements(&self, reference: &'v Reference, semantics: Semantics, visit: &mut dyn FnMut(Value<'v>)) {
        let Reference::Column(column) = reference else { return };
        let (tag, value) = self.columns.cell(*column, self.row);
        if !matches!(tag, Tag::Array | Tag::OwnArray) {
            return;
        }
        elements(self.array(tag, value), &mut |element| {
            visit(match element {
                Element::Null => Value::Null,
                Element::Bool(truth) => Value::Bool(truth),
                Element::Number(number) => Value::Number(number),
                Element::Text(text) if semantics.azure_date_quirk && looks_like_date_time(&text) => Value::Undefined,
                Element::Text(std::borrow::Cow::Borrowed(text)) => Value::text(text),
                Element::Text(std::borrow::Cow::Owned(text)) => Value::Text(Text::Owned(text)),
                Element::Array(len) => Value::Array(len),
                Element::Object(len) => Value::Object(len),
            });
        });
    }
}
