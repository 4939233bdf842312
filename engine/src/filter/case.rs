//! Letters without regard to case, one character for one, so that positions and lengths in characters stay.

use std::borrow::Cow;

/// One character for one, as .NET's invariant culture does it: what would become several stays.
pub(super) fn lower(c: char) -> char {
    let mut mapped = c.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(single), None) => single,
        _ => c,
    }
}

pub(super) fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        // The dotless i has an upper case only where there is a Turkish culture.
        _ if c == 'ı' => c,
        (Some(single), None) => single,
        _ => c,
    }
}

/// The character that stands for all those that differ from `c` by case only: two characters have the same one exactly if
/// Unicode's simple case folding (statuses C and S) makes them equal. ASCII letters become small.
pub fn fold_char(c: char) -> char {
    match c {
        c if c.is_ascii() => c.to_ascii_lowercase(),
        // Three pairs that fold to each other, though neither is the other's capital.
        '\u{1fd3}' => '\u{390}',
        '\u{1fe3}' => '\u{3b0}',
        '\u{fb05}' => '\u{fb06}',
        // By way of the capital: `ς` and `σ` have one.
        c => lower(upper(c)),
    }
}

/// The text with every character [folded](fold_char); borrowed where that changes nothing. Folding twice is folding once.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| fold_char(c) == c) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(fold_char).collect())
}
