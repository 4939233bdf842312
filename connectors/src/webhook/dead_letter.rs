//! Dead letters: one JSON object per line in a file of the endpoint's own.
//!
//! What always holds:
//! - [`DeadLetterFile::append`] returns when the lines are on the device; only then are their events settled.
//! - A torn last line (a crash while appending) is cut before anything is appended behind it. Its event was not settled and comes
//!   again from the log.
//! - Node and command line share the file through a lock beside it: whole lines are appended and removed, never parts.
//! - The file does not grow past its bound; [`AppendError::Full`] says so and the caller's `dead_letter_full` decides.

use std::path::{Path, PathBuf};

mod file;
mod read;

#[cfg(test)]
mod tests;

use engine::event::Event;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use file::{AppendError, DeadLetterFile, RemoveError, remove};
pub use read::{Line, Lines, ReadError};

use super::policy::Outcome;

/// What a dead letter says about its event; the event itself follows as member `event`.
#[derive(Debug, Serialize)]
pub(crate) struct Head<'a> {
    pub endpoint: &'a str,
    pub reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'a str>,
    pub attempts: u32,
    pub partition: u32,
    pub offset: u64,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc3339")]
    pub first_attempt: Option<jiff::Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc3339")]
    pub last_attempt: Option<jiff::Timestamp>,
}

fn rfc3339<S: serde::Serializer>(time: &Option<jiff::Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&time.unwrap_or_default())
}

/// Writes the line of an event.
pub(crate) fn write_line(head: &Head<'_>, event: &Event<'_>, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, head).expect("texts and numbers, written to memory");
    out.pop();
    out.extend_from_slice(b",\"event\":");
    let start = out.len();
    crate::cloudevents::write_structured(event, &[], out);
    // Data that is JSON is written as it came, line breaks included.
    one_line(&mut out[start..]);
    out.extend_from_slice(b"}\n");
}

/// A dead letter as read back. Names are kept as text so that files of later versions stay readable.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The endpoint that did not take it.
    pub endpoint: String,
    /// Why it was given up: `MaxDeliveryAttemptsExceeded`, `TimeToLiveExceeded`, `NonRetriableStatus` or `SchemaMismatch`.
    pub reason: String,
    /// What the last answer is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Its HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What the receiver or the system said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// Where it lies in the log.
    pub partition: u32,
    /// Where it lies in the partition.
    pub offset: u64,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_attempt: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt: Option<String>,
    /// The event as it came in, a CloudEvent in JSON.
    pub event: Box<RawValue>,
}

/// Makes JSON that was written into memory one line. Between tokens a line break is white space like any other, and inside a
/// JSON string it is always escaped.
pub fn one_line(json: &mut [u8]) {
    let mut rest = json;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        rest[at] = b' ';
        rest = &mut rest[at + 1..];
    }
}

/// The folder of all dead letter files that have no path of their own.
pub fn default_folder(data_dir: &Path) -> PathBuf {
    data_dir.join("dead-letters")
}

/// The default file of endpoint `name`. Whatever is no letter, digit, `-`, `_` or inner `.` is percent-encoded.
pub fn default_path(data_dir: &Path, name: &str) -> PathBuf {
    let mut file = String::with_capacity(name.len() + 7);
    for (index, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => file.push(byte as char),
            b'.' if index > 0 => file.push('.'),
            _ => file.push_str(&format!("%{byte:02X}")),
        }
    }
    default_folder(data_dir).join(file + ".ndjson")
}
