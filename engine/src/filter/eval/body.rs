//! Which events have data that `$body` can read, and the bytes to parse.

use super::super::Dialect;
use crate::event::{CONTENT_ENCODING, Event, SystemProperty};

fn encoding<'e>(event: &Event<'e>) -> Option<&'e str> {
    event.system(SystemProperty { keyword: "contentEncoding", header: CONTENT_ENCODING })
}

/// Media type without its parameters.
fn media_type<'e>(event: &Event<'e>) -> Option<&'e str> {
    let text = event.content_type()?;
    Some(text.split(';').next().unwrap_or(text).trim())
}

/// A filter of this dialect may look into the data of the event.
///
/// IoT Hub: the content type is `application/json` and the encoding is named (sheet `iothub-and-twins.md` 1.7.5). Otherwise: the
/// content type is JSON or there is none, and the encoding is none or UTF.
pub fn body_readable(event: &Event<'_>, dialect: Dialect) -> bool {
    if event.data().is_none() {
        return false;
    }
    let encoding = encoding(event);
    let utf = |name: &str| ["utf-8", "utf-16", "utf-32"].iter().any(|known| name.eq_ignore_ascii_case(known));
    let Some(media_type) = media_type(event) else { return dialect != Dialect::IotHub && encoding.is_none_or(utf) };
    match dialect {
        Dialect::IotHub => media_type.eq_ignore_ascii_case("application/json") && encoding.is_some_and(utf),
        Dialect::Anabranch | Dialect::DigitalTwins | Dialect::EventGrid | Dialect::Mqtt => {
            is_json(media_type) && encoding.is_none_or(utf)
        }
    }
}

/// `…/json` or `…/…+json`.
fn is_json(media_type: &str) -> bool {
    let Some((_, subtype)) = media_type.split_once('/') else { return false };
    let json = subtype.rsplit('+').next().unwrap_or(subtype);
    json.eq_ignore_ascii_case("json")
}

/// The data of the event as UTF-8, to be parsed: as it lies, or from UTF-16 or UTF-32 (little endian) rewritten into `room`.
/// `None` where there is no data or it is not what its encoding says.
pub fn body_text<'e>(event: &Event<'e>, room: &'e mut String) -> Option<&'e [u8]> {
    let data = event.data()?;
    // What is implied where none is named is UTF-8.
    let unit = match event.header(CONTENT_ENCODING).flatten().map(std::str::from_utf8) {
        Some(Ok(name)) if name.eq_ignore_ascii_case("utf-16") => 2,
        Some(Ok(name)) if name.eq_ignore_ascii_case("utf-32") => 4,
        _ => return Some(data),
    };
    room.clear();
    if !data.len().is_multiple_of(unit) {
        return None;
    }
    if unit == 2 {
        let units = data.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        for c in char::decode_utf16(units) {
            room.push(c.ok()?);
        }
    } else {
        for quad in data.chunks_exact(4) {
            room.push(char::from_u32(u32::from_le_bytes([quad[0], quad[1], quad[2], quad[3]]))?);
        }
    }
    Some(room.strip_prefix('\u{feff}').unwrap_or(room).as_bytes())
}
