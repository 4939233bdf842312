//! The elements of an array that lies somewhere as text, one after the other.

use std::borrow::Cow;

use super::column::Span;
use super::fields::Fields;
use super::walk;

/// One element.
#[derive(Clone, Debug, PartialEq)]
pub enum Element<'j> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number
    Number(f64),
    /// A string, unescaped
    Text(Cow<'j, str>),
    /// An array with so many elements
    Array(usize),
    /// An object with so many members
    Object(usize),
}

/// Calls `visit` for each element of `array`, which is the text of a JSON array that was validated before.
pub fn elements<'j>(array: &'j [u8], visit: &mut dyn FnMut(Element<'j>)) {
    let nothing = Fields::default();
    // A text that is no array after all ends the walk; what came before it was visited.
    let _ = walk::elements(array, &nothing, visit);
}

/// Calls `visit` with where each element of `array` stands, the text of a JSON array that was validated before, until it says `false`.
/// `false` then, and where an element is no number and no literal.
#[inline]
pub fn flat_elements(text: &[u8], array: Span, mut visit: impl FnMut(usize, usize) -> bool) -> bool {
    let (mut at, end) = (array.start as usize + 1, (array.start + array.len) as usize - 1);
    let is_space = |at: usize| matches!(text[at], b' ' | b'\t' | b'\n' | b'\r');
    while at < end && is_space(at) {
        at += 1;
    }
    while at < end {
        if matches!(text[at], b'"' | b'[' | b'{') {
            return false;
        }
        let comma = text[at..end].iter().position(|byte| *byte == b',').map_or(end, |len| at + len);
        let mut behind = comma;
        while behind > at && is_space(behind - 1) {
            behind -= 1;
        }
        if behind == at || !visit(at, behind) {
            return false;
        }
        at = comma + 1;
        while at < end && is_space(at) {
            at += 1;
        }
    }
    true
}
