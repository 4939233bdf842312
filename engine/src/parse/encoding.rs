//! Bodies that are JSON in another encoding than UTF-8: the routing sheet lets a body say `utf-16` or `utf-32`
//! (`iothub-and-twins.md` 1.7.5, little endian). Rare, so this path may allocate.

use std::borrow::Cow;

/// The text of `data` in UTF-8, or `None` if the encoding is unknown or the bytes are not in it. UTF-8 is handed through
/// unchecked: the parser validates it.
pub fn to_utf8<'d>(data: &'d [u8], encoding: &str) -> Option<Cow<'d, [u8]>> {
    if encoding.eq_ignore_ascii_case("utf-8") {
        return Some(Cow::Borrowed(data));
    }
    let text = if encoding.eq_ignore_ascii_case("utf-16") {
        let units = data.chunks_exact(2);
        if !units.remainder().is_empty() {
            return None;
        }
        char::decode_utf16(units.map(|unit| u16::from_le_bytes([unit[0], unit[1]])))
            .collect::<Result<String, _>>()
            .ok()?
    } else if encoding.eq_ignore_ascii_case("utf-32") {
        let units = data.chunks_exact(4);
        if !units.remainder().is_empty() {
            return None;
        }
        units.map(|unit| char::from_u32(u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]]))).collect::<Option<_>>()?
    } else {
        return None;
    };
    Some(Cow::Owned(text.into_bytes()))
}
