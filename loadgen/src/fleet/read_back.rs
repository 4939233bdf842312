//! A fleet's event as it is read back at a far end: who sent it, which one it is, and when.

use std::borrow::Cow;

use serde::Deserialize;

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

#[derive(Deserialize)]
struct Telemetry<'a> {
    #[serde(borrow)]
    device_id: Cow<'a, str>,
    seq: u32,
    ts: u64,
}

/// Reads one event from its JSON object, the data without any envelope; `None` if it is none of a fleet's.
pub fn read_back(json: &[u8]) -> Option<ReadBack> {
    let telemetry: Telemetry<'_> = serde_json::from_slice(json).ok()?;
    Some(ReadBack { device: device_number(&telemetry.device_id)?, seq: telemetry.seq, ts_us: telemetry.ts })
}
