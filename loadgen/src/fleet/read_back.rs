//! A fleet's event as it is read back at a far end: who sent it, which one it is, when, and whether it is whole.

use std::borrow::Cow;

use serde::Deserialize;

use super::check::{Check, check};
use super::device_number;

/// What a ledger needs of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadBack {
    /// Number of the device.
    pub device: u32,
    /// The device's sequence number.
    pub seq: u32,
    /// When it was sent, in microseconds since 1970.
    pub ts_us: u64,
}

/// Why an event cannot be read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is none of a fleet's: no check, or no device and sequence number.
    Stranger,
    /// It is no JSON, or its bytes are not those that its check is of.
    Corrupted,
}

#[derive(Deserialize)]
struct Telemetry<'a> {
    #[serde(borrow)]
    device_id: Cow<'a, str>,
    seq: u32,
    ts: u64,
}

/// Reads one event from its JSON object, the data without any envelope.
pub fn read_back(json: &[u8]) -> Result<ReadBack, Unread> {
    match check(json) {
        Check::Wrong => return Err(Unread::Corrupted),
        // A flip in the key `check` itself makes it absent; what else says that it is a fleet's was corrupted.
        Check::Absent if memchr::memmem::find(json, b"\"dev-").is_some() => return Err(Unread::Corrupted),
        Check::Absent => return Err(Unread::Stranger),
        Check::Right => {}
    }
    let telemetry: Telemetry<'_> = serde_json::from_slice(json).map_err(|_| Unread::Stranger)?;
    let device = device_number(&telemetry.device_id).ok_or(Unread::Stranger)?;
    Ok(ReadBack { device, seq: telemetry.seq, ts_us: telemetry.ts })
}
