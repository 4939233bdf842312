//! What IoT Hub's device paths over HTTP and MQTT share: ids, escapes, and what the hub stamps on a device's message (sheet
//! `iothub-and-twins.md` 1.2). A message is stored in one way, whichever path it came by.

use engine::batch::HeaderWriter;
use engine::event::{DEVICE_ID, MESSAGE_SOURCE};

/// Longest device or module id.
const ID_BYTES_MAX: usize = 128;
/// What the hub says a device's message is.
const TELEMETRY: &str = "Telemetry";
/// Header of the module that sent it.
const MODULE_ID: &str = "iothub-connection-module-id";

/// The text can be the id of a device or of a module.
pub fn is_id(id: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "-:.+%_#*?!(),=@;$'".contains(c);
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.chars().all(is_legal)
}

/// Undoes percent-encoding; `None` if it is cut off or the result is not UTF-8.
pub fn percent_decode(raw: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push((high << 4 | low) as u8);
    }
    String::from_utf8(bytes).ok()
}

/// Puts what the hub stamps on a device's message; the bytes of the values, as the limit on messages counts them.
pub fn stamp(device: &str, module: Option<&str>, headers: &mut HeaderWriter) -> usize {
    headers.put(MESSAGE_SOURCE, Some(TELEMETRY.as_bytes()));
    headers.put(DEVICE_ID, Some(device.as_bytes()));
    if let Some(module) = module {
        headers.put(MODULE_ID, Some(module.as_bytes()));
    }
    TELEMETRY.len() + device.len() + module.map_or(0, str::len)
}
