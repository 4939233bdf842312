//! Small text work of the codec: JSON strings out, percent-encoded header values in.

/// Appends `text` as a JSON string.
pub fn write_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = next_escaped(rest) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control @ 0..0x20 => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(control >> 4)], HEX[usize::from(control & 15)]]);
            }
            quote_or_backslash => out.extend_from_slice(&[b'\\', quote_or_backslash]),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// The first byte that does not stand for itself in a JSON string. Most texts have none, so sixteen are looked at together.
#[inline]
fn next_escaped(text: &[u8]) -> Option<usize> {
    let is_escaped = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    let (blocks, _) = text.as_chunks::<16>();
    let some = |block: &[u8; 16]| block.iter().fold(false, |some, byte| some | is_escaped(byte));
    let from = 16 * blocks.iter().position(some).unwrap_or(blocks.len());
    text[from..].iter().position(is_escaped).map(|at| from + at)
}

/// Decodes an attribute's header value (HTTP binding 3.1.3.2): a quoted string is unquoted, then percent-encoding is undone once.
pub fn decode_header_value(value: &[u8], into: &mut String) -> Result<(), HeaderValueError> {
    let mut bytes = Vec::with_capacity(value.len());
    let inner = match value {
        [b'"', inner @ .., b'"'] => inner,
        plain => plain,
    };
    let quoted = inner.len() != value.len();
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' if quoted => bytes.push(rest.next().ok_or(HeaderValueError::Quoting)?),
            byte => bytes.push(byte),
        }
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16)).map(|digit| digit as u8);
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    into.clear();
    into.push_str(std::str::from_utf8(&decoded).map_err(|_| HeaderValueError::Utf8)?);
    Ok(())
}

/// Why a header value is not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderValueError {
    /// A quoted string ends in the middle of an escape.
    #[error("ends with a lone backslash")]
    Quoting,
    /// Not UTF-8 after percent-decoding.
    #[error("is not UTF-8")]
    Utf8,
}
