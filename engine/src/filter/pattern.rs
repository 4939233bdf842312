//! Patterns of `LIKE`: `%` is any run of characters, `_` is any one, compared exactly; compiled once, matched without memory.

use crate::limits;

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    escape: Option<char>,
    /// What lies between the runs `%`; never empty. One piece: there is no `%`.
    pieces: Box<[Piece]>,
}

/// A part of a pattern without `%`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Exactly this text.
    Text(Box<str>),
    /// These characters, `None` for any one.
    Places(Box<[Option<char>]>),
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// An escape character stands before something that needs none, or at the end.
    #[error("the escape character must stand before `%`, `_` or itself")]
    Escape,
    /// Longer than [`limits::FILTER_PATTERN_BYTES_MAX`].
    #[error("the pattern is longer than {} bytes", limits::FILTER_PATTERN_BYTES_MAX)]
    TooLong,
}

impl Pattern {
    /// Compiles `text`; after `escape`, `%`, `_` and the escape character itself are plain.
    pub fn new(text: &str, escape: Option<char>) -> Result<Self, PatternError> {
        if text.len() > limits::FILTER_PATTERN_BYTES_MAX {
            return Err(PatternError::TooLong);
        }
        let mut pieces = Vec::new();
        let mut places: Vec<Option<char>> = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if Some(c) == escape {
                match chars.next() {
                    Some(plain) if matches!(plain, '%' | '_') || Some(plain) == escape => places.push(Some(plain)),
                    _ => return Err(PatternError::Escape),
                }
            } else if c == '%' {
                pieces.push(Piece::new(std::mem::take(&mut places)));
            } else {
                places.push((c != '_').then_some(c));
            }
        }
        pieces.push(Piece::new(places));
        Ok(Self { text: text.into(), escape, pieces: pieces.into() })
    }

    /// As written, and its escape character.
    pub fn source(&self) -> (&str, Option<char>) {
        (&self.text, self.escape)
    }

    /// What lies between the `%`. One piece: the whole text must be like it. More: the first one must start the text, the
    /// last one end it, and those between must follow each other.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// All of `text` is like the pattern.
    pub fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &*self.pieces else {
            return self.pieces[0].prefix_len(text) == Some(text.len());
        };
        let Some(start) = first.prefix_len(text) else { return false };
        let mut rest = &text[start..];
        for piece in middle {
            // The leftmost place is always a right choice: it leaves the most for what follows.
            let Some(end) = piece.find_end(rest) else { return false };
            rest = &rest[end..];
        }
        last.ends(rest)
    }

    pub(super) fn cost(&self) -> u32 {
        let piece = |piece: &Piece| match piece {
            Piece::Text(_) => 8,
            Piece::Places(places) => 8 + places.len() as u32 * 4,
        };
        self.pieces.iter().map(piece).fold(0, u32::saturating_add)
    }
}

impl Piece {
    fn new(places: Vec<Option<char>>) -> Self {
        match places.iter().copied().collect::<Option<String>>() {
            Some(text) => Self::Text(text.into()),
            None => Self::Places(places.into()),
        }
    }

    /// Bytes that the piece takes at the start of `text`.
    fn prefix_len(&self, text: &str) -> Option<usize> {
        match self {
            Self::Text(piece) => text.starts_with(&**piece).then_some(piece.len()),
            Self::Places(places) => {
                let mut chars = text.chars();
                for place in places {
                    let c = chars.next()?;
                    if place.is_some_and(|place| place != c) {
                        return None;
                    }
                }
                Some(text.len() - chars.as_str().len())
            }
        }
    }

    /// Where its leftmost match in `text` ends.
    fn find_end(&self, text: &str) -> Option<usize> {
        match self {
            Self::Text(piece) => text.find(&**piece).map(|at| at + piece.len()),
            Self::Places(_) => text.char_indices().find_map(|(at, _)| self.prefix_len(&text[at..]).map(|len| at + len)),
        }
    }

    fn ends(&self, text: &str) -> bool {
        match self {
            Self::Text(piece) => text.ends_with(&**piece),
            Self::Places(places) => {
                let mut chars = text.chars();
                places.iter().rev().all(|place| chars.next_back().is_some_and(|c| place.is_none_or(|place| place == c)))
            }
        }
    }
}
