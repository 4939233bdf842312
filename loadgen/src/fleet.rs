//! The simulated fleet: devices with an id, a sequence number and readings that wander, four bytes each.
//!
//! What always holds: what device `d` reports as its event number `s` follows from the model, the seed, `d` and `s` alone, in whatever
//! order devices are asked and however they are divided among connections; each device's `seq` counts 0, 1, 2 … without holes; every
//! device has sent once before any sends again. An event is written straight into the caller's buffer, without serde.

mod check;
mod filter;
mod model;
mod out;
mod random;
mod read_back;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use out::{Line, digits};

pub use check::{Check, check};
pub use filter::{Filter, FilterError};
pub use model::{FieldPlace, Model, ModelError, Value};
pub use read_back::{ReadBack, Unread, read_back};

/// Most devices of a fleet: ids have nine digits.
pub const DEVICES_MAX: u32 = 1_000_000_000;

/// One event as its sender knows it: enough to keep the ledger, and to make everything else again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Emitted {
    /// Number of the device; its id is [`device_id`] of it.
    pub device: u32,
    /// The device's sequence number.
    pub seq: u32,
}

/// The devices `range` of a fleet, ready to send.
#[derive(Debug)]
pub struct Fleet {
    model: Arc<Model>,
    seed: u64,
    first: u32,
    /// Per device: its next sequence number.
    seqs: Vec<u32>,
    next: usize,
    stride: usize,
    line: Line,
    /// By profile.
    cloud_events: Vec<CloudEventHead>,
}

/// The id of a device: `dev-000000123`.
pub fn device_id(device: u32) -> String {
    format!("dev-{device:09}")
}

/// The number of the device that is called `id`.
pub fn device_number(id: &str) -> Option<u32> {
    let digits = id.strip_prefix("dev-")?;
    (digits.len() == 9 && digits.bytes().all(|digit| digit.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// Divides `devices` evenly: the part of connection `part` of `parts`.
pub fn share(devices: u32, part: u32, parts: u32) -> Range<u32> {
    let edge = |part: u32| (u64::from(devices) * u64::from(part) / u64::from(parts.max(1))) as u32;
    edge(part)..edge(part + 1)
}

impl Fleet {
    /// The devices `range` of the built-in fleet that `seed` makes, before their first event.
    pub fn new(seed: u64, range: Range<u32>) -> Self {
        Self::of(Model::telemetry(), seed, range)
    }

    /// The devices `range` of the fleet that `seed` makes of `model`.
    pub fn of(model: Arc<Model>, seed: u64, range: Range<u32>) -> Self {
        assert!(range.end <= DEVICES_MAX, "a fleet has at most {DEVICES_MAX} devices: ids have nine digits");
        let seqs = vec![0; range.len()];
        let stride = stride(seqs.len());
        let cloud_events = model.profile_names().map(CloudEventHead::new).collect();
        Self { seed, first: range.start, seqs, next: 0, stride, line: model.line(), cloud_events, model }
    }

    /// Number of devices.
    pub fn len(&self) -> usize {
        self.seqs.len()
    }

    /// No devices.
    pub fn is_empty(&self) -> bool {
        self.seqs.is_empty()
    }

    /// Room that one event can need, in bytes, in an envelope too.
    pub fn event_bytes_max(&self) -> usize {
        self.model.bytes_max() + self.cloud_events.iter().map(|head| head.bytes.len()).max().unwrap_or(0) + 1
    }

    /// Appends the next event as one JSON object to `out`. Panics on a fleet without devices.
    pub fn write_event(&mut self, ts_us: u64, out: &mut Vec<u8>) -> Emitted {
        let emitted = self.skip_event();
        out.extend_from_slice(self.model.write(self.seed, emitted.device, emitted.seq, ts_us, &mut self.line));
        emitted
    }

    /// Appends the next event of one device, by its place in this fleet's range.
    pub fn write_event_of(&mut self, place: usize, ts_us: u64, out: &mut Vec<u8>) -> Emitted {
        let emitted = self.take(place);
        out.extend_from_slice(self.model.write(self.seed, emitted.device, emitted.seq, ts_us, &mut self.line));
        emitted
    }

    /// Appends the next event as a CloudEvent in JSON (structured mode) to `out`.
    pub fn write_cloud_event(&mut self, ts_us: u64, out: &mut Vec<u8>) -> Emitted {
        let emitted = self.skip_event();
        let profile = self.model.profile_of(self.seed, emitted.device);
        self.cloud_events[profile].write(emitted, out);
        out.extend_from_slice(self.model.write(self.seed, emitted.device, emitted.seq, ts_us, &mut self.line));
        out.push(b'}');
        emitted
    }

    /// The next event without its bytes: to go over again what was sent.
    pub fn skip_event(&mut self) -> Emitted {
        let place = self.next;
        self.next += self.stride;
        if self.next >= self.seqs.len() {
            self.next -= self.seqs.len();
        }
        self.take(place)
    }

    fn take(&mut self, place: usize) -> Emitted {
        let seq = self.seqs[place];
        self.seqs[place] = seq.wrapping_add(1);
        Emitted { device: self.first + place as u32, seq }
    }
}

/// The envelope of a structured CloudEvent up to its data, with the places of what differs from event to event.
#[derive(Debug)]
struct CloudEventHead {
    bytes: Vec<u8>,
    device_at: [usize; 3],
    seq_at: usize,
}

impl CloudEventHead {
    fn new(kind: &str) -> Self {
        let mut bytes = br#"{"specversion":"1.0","id":"dev-"#.to_vec();
        let device = |bytes: &mut Vec<u8>, rest: &str| {
            let at = bytes.len();
            bytes.extend_from_slice(b"000000000");
            bytes.extend_from_slice(rest.as_bytes());
            at
        };
        let id_at = device(&mut bytes, "-");
        let seq_at = bytes.len();
        let kind = serde_json::Value::from(kind);
        let rest = format!("0000000000\",\"source\":\"/fleet\",\"type\":{kind},\"subject\":\"dev-");
        bytes.extend_from_slice(rest.as_bytes());
        let subject_at = device(&mut bytes, r#"","partitionkey":"dev-"#);
        let key_at = device(&mut bytes, r#"","datacontenttype":"application/json","data":"#);
        Self { bytes, device_at: [id_at, subject_at, key_at], seq_at }
    }

    fn write(&self, emitted: Emitted, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let head = &mut out[start..];
        for at in self.device_at {
            digits::<9>(&mut head[at..at + 9], u64::from(emitted.device));
        }
        digits::<10>(&mut head[self.seq_at..self.seq_at + 10], u64::from(emitted.seq));
    }
}

/// A step that visits all of `count` devices in a scattered order: about the golden section of it, and prime to it.
fn stride(count: usize) -> usize {
    fn common_divisor(a: usize, b: usize) -> usize {
        if b == 0 { a } else { common_divisor(b, a % b) }
    }
    if count < 3 {
        return 1;
    }
    let golden = (count as f64 * 0.618_033_988) as usize;
    (golden.max(1)..count).find(|&step| common_divisor(step, count) == 1).unwrap_or(1)
}
