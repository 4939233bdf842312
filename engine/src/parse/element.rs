//! The elements of an array that lies somewhere as text, one after the other.

use std::borrow::Cow;

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
