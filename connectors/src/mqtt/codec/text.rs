//! Strings of MQTT: UTF-8 without NUL; topic names and topic filters.

use super::{DecodeError, Reason};

/// Longest string that its two length bytes can say.
pub const TEXT_BYTES_MAX: usize = 65_535;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES << 7;

/// Not 0 exactly when one of the eight bytes is 0.
const fn zero(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGH
}

/// Not 0 exactly when one of the eight bytes is NUL, `+` or `#`. The two wildcards differ in one bit, which is masked.
const fn nul_or_wildcard(word: u64) -> u64 {
    zero(word) | zero((word & (ONES * 0xF7)) ^ (ONES * b'#' as u64))
}

/// Eight bytes at a time: topics are short, and a call into a vector search costs more than the search.
#[inline]
fn any(bytes: &[u8], test: impl Fn(u64) -> u64) -> bool {
    let Some(last) = bytes.last_chunk::<8>() else {
        // Spaces fill up: they are neither NUL nor wildcard.
        return bytes.iter().fold(0, |found, byte| found | test(u64::from(*byte) | ((ONES << 8) * 0x20))) != 0;
    };
    let mut found = test(u64::from_ne_bytes(*last));
    for chunk in bytes.as_chunks::<8>().0 {
        found |= test(u64::from_ne_bytes(*chunk));
    }
    found != 0
}

/// A string as every version wants it.
#[inline]
pub(super) fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
    if any(bytes, zero) {
        return Err(DecodeError::malformed("a string holds the character NUL"));
    }
    utf8(bytes)
}

/// A string that is a topic name, which may be empty.
#[inline]
pub(super) fn topic_or_empty(bytes: &[u8]) -> Result<&str, DecodeError> {
    let topic = utf8(bytes)?;
    if any(bytes, nul_or_wildcard) {
        return Err(if bytes.contains(&0) {
            DecodeError::malformed("a string holds the character NUL")
        } else {
            DecodeError::new(Reason::TopicNameInvalid, "a topic name holds a wildcard")
        });
    }
    Ok(topic)
}

#[inline]
fn utf8(bytes: &[u8]) -> Result<&str, DecodeError> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| DecodeError::malformed("a string is not UTF-8"))
}

/// Whether messages can be published to it: not empty, at most 65,535 bytes, without wildcard or NUL.
#[must_use]
pub fn is_topic_name(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= TEXT_BYTES_MAX && !any(topic.as_bytes(), nul_or_wildcard)
}

/// Whether it can be subscribed to: not empty, at most 65,535 bytes, without NUL, `#` only as the whole last level, `+` only as
/// a whole level. Of a shared subscription (`$share/name/filter`) the name is checked too: not empty and without wildcard.
#[must_use]
pub fn is_topic_filter(filter: &str) -> bool {
    if filter.len() > TEXT_BYTES_MAX || filter.as_bytes().contains(&0) {
        return false;
    }
    let filter = match filter.strip_prefix("$share/") {
        Some(shared) => match shared.split_once('/') {
            Some((name, filter)) if !name.is_empty() && !name.contains(['+', '#']) => filter,
            _ => return false,
        },
        None => filter,
    };
    if filter.is_empty() || filter == "$share" {
        return false;
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let right = match level {
            "#" => levels.peek().is_none(),
            "+" => true,
            _ => !level.contains(['+', '#']),
        };
        if !right {
            return false;
        }
    }
    true
}
