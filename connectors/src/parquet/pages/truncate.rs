//! Bounds of long texts, cut: they still are bounds, and of texts they still are text.

/// Bytes that a bound has at most, where it can be cut.
const BYTES_MAX: usize = 64;

/// No larger than `min`, and whether it was cut.
pub fn truncated_min(min: &[u8], is_text: bool) -> (Vec<u8>, bool) {
    if min.len() <= BYTES_MAX {
        return (min.to_vec(), false);
    }
    (min[..end(min, is_text)].to_vec(), true)
}

/// No less than `max`, and whether it was cut. There are those that cannot be cut.
pub fn truncated_max(max: &[u8], is_text: bool) -> (Vec<u8>, bool) {
    if max.len() <= BYTES_MAX {
        return (max.to_vec(), false);
    }
    let cut = &max[..end(max, is_text)];
    let more = match std::str::from_utf8(cut) {
        Ok(text) if is_text => next_text(text),
        _ => next_bytes(cut),
    };
    more.map_or_else(|| (max.to_vec(), false), |more| (more, true))
}

/// Where a bound is cut: not within a character.
fn end(bytes: &[u8], is_text: bool) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(text) if is_text => text.floor_char_boundary(BYTES_MAX),
        _ => BYTES_MAX,
    }
}

/// The shortest text that is larger than all that begin with `text`: its last character that has a next one of as many bytes takes it.
fn next_text(text: &str) -> Option<Vec<u8>> {
    text.char_indices().rev().find_map(|(at, character)| {
        let next = char::from_u32(character as u32 + 1).filter(|next| next.len_utf8() == character.len_utf8())?;
        let mut more = text.as_bytes()[..at].to_vec();
        more.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
        Some(more)
    })
}

fn next_bytes(bytes: &[u8]) -> Option<Vec<u8>> {
    let last = bytes.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut more = bytes.to_vec();
    more[last] += 1;
    more[last + 1..].fill(0);
    Some(more)
}
