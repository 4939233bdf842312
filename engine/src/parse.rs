//! JSON bodies. [`Extractor`] fills typed columns with the fields of a whole batch that somebody wants: that is what routes are matched
//! on. [`Parser`] makes a tape of one body, for those who want all of it; it is also the extractor's oracle. Both reuse their memory.
//!
//! The whole body is validated before anything is read from it. Numbers above `u64` become the nearest double. Of duplicate
//! members the last one counts, as in ECMAScript and serde_json. Nesting ends at [`limits::JSON_DEPTH_MAX`].

mod column;
mod digits;
mod element;
mod extract;
mod fields;
mod kernel;
mod number;
mod prefetch;
mod sixteen;
mod step;
mod value;
mod walk;
mod wholes;

#[cfg(test)]
mod tests;

pub use column::{Columns, Span, Tag};
pub use digits::NumberTexts;
pub use element::{Element, elements, flat_elements};
pub use extract::{ExtractStats, Extractor};
pub use fields::{ColumnId, Fields};
pub use kernel::Kernel;
pub use number::{value as number_at, whole as whole_at};
pub use prefetch::prefetch;
pub use step::{Path, Step};
pub use value::{Kind, Value};
pub use wholes::wholes;

use simd_json::{Buffers, Tape};

use crate::limits;

/// Why a body is not JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No bytes, or white space only.
    #[error("the body is empty")]
    Empty,
    /// Not valid JSON.
    #[error("{reason} at byte {at}")]
    Syntax {
        /// What is wrong, in the parser's words.
        reason: String,
        /// Position in the body.
        at: usize,
    },
}

/// A parser with its buffers. One per thread that parses; nothing is shared.
pub struct Parser {
    input: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
}

impl std::fmt::Debug for Parser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parser")
    }
}

impl Default for Parser {
    fn default() -> Self {
        Self { input: Vec::new(), buffers: Buffers::with_max_depth(1024, limits::JSON_DEPTH_MAX), tape: Tape::null() }
    }
}

/// A parsed body. Gives its memory back to the parser when dropped.
#[derive(Debug)]
pub struct Document<'p> {
    tape: Tape<'p>,
    home: &'p mut Tape<'static>,
}

impl Parser {
    /// Parses and validates `json`.
    pub fn parse(&mut self, json: &[u8]) -> Result<Document<'_>, ParseError> {
        // The parser unescapes in place, so it works on a copy with the padding it wants.
        self.input.clear();
        self.input.extend_from_slice(json);
        self.input.resize(json.len() + simd_json::INPUT_PADDING, 0);
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        match simd_json::fill_tape_padded(&mut self.input, json.len(), &mut self.buffers, &mut tape) {
            Ok(()) => Ok(Document { tape, home: &mut self.tape }),
            Err(error) => {
                self.tape = tape.reset();
                Err(explain(json, &error))
            }
        }
    }
}

impl<'p> Document<'p> {
    /// The outermost value.
    #[inline]
    pub fn root(&self) -> Value<'_> {
        Value::new(&self.tape.0)
    }
}

impl Drop for Document<'_> {
    fn drop(&mut self) {
        *self.home = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
    }
}

/// The fast parser only says that something is wrong; the careful one finds the words.
#[cold]
fn explain(json: &[u8], error: &simd_json::Error) -> ParseError {
    if json.iter().all(u8::is_ascii_whitespace) {
        return ParseError::Empty;
    }
    match serde_json::from_slice::<serde::de::IgnoredAny>(json) {
        Err(careful) => {
            let text = careful.to_string();
            let reason = text.split(" at line ").next().unwrap_or(&text).to_owned();
            let before: usize = json
                .split(|byte| *byte == b'\n')
                .take(careful.line().saturating_sub(1))
                .map(|line| line.len() + 1)
                .sum();
            ParseError::Syntax { reason, at: (before + careful.column().saturating_sub(1)).min(json.len()) }
        }
        Ok(_) => ParseError::Syntax {
            reason: format!("nested too deep (limit {}) or malformed", limits::JSON_DEPTH_MAX),
            at: error.index().min(json.len()),
        },
    }
}
