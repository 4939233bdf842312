//! Cells that are arrays turned into lists: the items of all lists of some rows, one behind the other.
//!
//! What always holds: a list is here only if [`Fit::set`](super::fit::Fit::set) would take the array and make the same items of it. That is
//! known of booleans, whole numbers and doubles; lists of other items are for the twin.

use engine::parse::{Span, Tag, flat_elements, number_at, whole_at};

use super::convert::{MISFIT, VALUE, without};
use super::fit::DOUBLE_WHOLE_MAX;
use super::types::ColumnType;

/// See the module. Its memory is used again.
#[derive(Debug, Default)]
pub struct Lists {
    bits: Vec<u64>,
    /// One for each item: 0 where it is null.
    filled: Vec<u8>,
}

impl Lists {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.bits.clear();
        self.filled.clear();
    }

    /// The items of the list that a cell's value says, as bits of their type, with zeros and ones that say which are there.
    pub fn items(&self, value: u64) -> (&[u64], &[u8]) {
        let Span { start, len } = Span::unpack(value);
        let items = start as usize..(start + len) as usize;
        (&self.bits[items.clone()], &self.filled[items])
    }

    /// Takes the lists of a column with such items: its tags, values and own text, and the bytes of the batch. Says what became of each.
    pub fn convert(
        &mut self,
        item: &ColumnType,
        (tags, values, own): (&[Tag], &mut [u64], &[u8]),
        bytes: &[u8],
        outcomes: &mut [u8],
    ) {
        let is_known = matches!(item, ColumnType::Bool | ColumnType::Int64 | ColumnType::Float64);
        for ((tag, value), outcome) in tags.iter().zip(values).zip(outcomes) {
            let text = match tag {
                Tag::Array if is_known => bytes,
                Tag::OwnArray if is_known => own,
                _ => {
                    *outcome = without(*tag);
                    continue;
                }
            };
            *outcome = match self.add(item, text, Span::unpack(*value)) {
                Some(list) => {
                    *value = list.pack();
                    VALUE
                }
                None => MISFIT,
            };
        }
    }

    fn add(&mut self, r#type: &ColumnType, text: &[u8], array: Span) -> Option<Span> {
        let start = self.bits.len();
        let all_fit = flat_elements(text, array, |from, to| {
            let item = item(r#type, text, from, to);
            if let Some((bits, is_there)) = item {
                self.bits.push(bits);
                self.filled.push(is_there.into());
            }
            item.is_some()
        });
        if !all_fit {
            self.bits.truncate(start);
            self.filled.truncate(start);
            return None;
        }
        Some(Span { start: start as u32, len: (self.bits.len() - start) as u32 })
    }
}

/// The token `text[from..to]` as bits of the type, and whether it is there: null is not. `None` where it does not fit.
#[inline]
fn item(r#type: &ColumnType, text: &[u8], from: usize, to: usize) -> Option<(u64, bool)> {
    let bits = match (text[from], r#type) {
        (b'n', _) => return Some((0, false)),
        (first @ (b't' | b'f'), ColumnType::Bool) => u64::from(first == b't'),
        (b'-' | b'0'..=b'9', ColumnType::Int64) => whole_at(text, from, to)? as u64,
        (b'-' | b'0'..=b'9', ColumnType::Float64) => {
            let number = number_at(text, from, to);
            // Greater ones may have been whole numbers that a double rounds.
            (number.abs() < DOUBLE_WHOLE_MAX as f64).then_some(number.to_bits())?
        }
        _ => return None,
    };
    Some((bits, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(r#type: &ColumnType, array: &str) -> Option<Vec<Option<u64>>> {
        let mut lists = Lists::default();
        let span = lists.add(r#type, array.as_bytes(), Span { start: 0, len: array.len() as u32 })?;
        let (bits, filled) = lists.items(span.pack());
        Some(bits.iter().zip(filled).map(|(bits, filled)| (*filled == 1).then_some(*bits)).collect())
    }

    #[test]
    fn items_fit_or_the_list_does_not() {
        let double = |number: f64| Some(number.to_bits());
        assert_eq!(list(&ColumnType::Float64, "[ 1 ,null,-2.5]"), Some(vec![double(1.0), None, double(-2.5)]));
        assert_eq!(list(&ColumnType::Int64, "[1,-2]"), Some(vec![Some(1), Some(-2i64 as u64)]));
        assert_eq!(list(&ColumnType::Bool, "[true,false]"), Some(vec![Some(1), Some(0)]));
        assert_eq!(list(&ColumnType::Bool, "[\t]"), Some(vec![]));
        for (r#type, array) in [
            (ColumnType::Int64, "[1,2.0]"),
            (ColumnType::Int64, "[9223372036854775808]"),
            (ColumnType::Int64, "[true]"),
            (ColumnType::Float64, "[1,\"2\"]"),
            (ColumnType::Float64, "[9007199254740993]"),
            (ColumnType::Float64, "[[1]]"),
            (ColumnType::Float64, "[{\"a\":1}]"),
            (ColumnType::Bool, "[1]"),
            (ColumnType::String, "[\"a\"]"),
        ] {
            assert_eq!(list(&r#type, array), None, "{array}");
        }
    }
}
