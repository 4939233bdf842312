//! Small text work of the codec: JSON strings out, percent-encoded header values in.

/// Appends `text` as a JSON string.
pub fn write_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => {
                out.extend_from_slice(&text.as_bytes()[plain..at]);
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                plain = at + 1;
                continue;
            }
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[plain..at]);
        out.extend_from_slice(escape);
        plain = at + 1;
    }
    out.extend_from_slice(&text.as_bytes()[plain..]);
    out.push(b'"');
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
