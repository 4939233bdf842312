//! The simulated fleet: devices with an id, a sequence number and readings that wander, sixteen bytes each.
//!
//! What always holds: what device `d` reports as its event number `s` follows from the seed, `d` and `s` alone, in whatever order
//! devices are asked and however they are divided among connections; each device's `seq` counts 0, 1, 2 … without holes; every
//! device has sent once before any sends again. An event is written straight into the caller's buffer, without serde.

mod device;
mod line;
mod read_back;

#[cfg(test)]
mod tests;

use std::ops::Range;

use device::{Device, Traits};
use line::Line;

pub use device::Status;
pub use read_back::{ReadBack, read_back};

/// Most devices of a fleet: ids have nine digits.
pub const DEVICES_MAX: u32 = 1_000_000_000;
/// Room that one event can need, in bytes; what it needs is about 240.
pub const EVENT_BYTES_MAX: usize = line::LINE_BYTES_MAX;

/// One event as its sender knows it: enough to keep the ledger and to say which filters match it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emitted {
    /// Number of the device; its id is [`device_id`] of it.
    pub device: u32,
    /// The device's sequence number.
    pub seq: u32,
    /// `temp` in hundredths of a degree.
    pub temp_centi: i16,
    /// `status`.
    pub status: Status,
}

/// The devices `range` of a fleet, ready to send.
#[derive(Debug)]
pub struct Fleet {
    seed: u64,
    first: u32,
    devices: Vec<Device>,
    next: usize,
    stride: usize,
    line: Line,
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

/// All that one device will ever report, in order: what a filter should have matched is counted from this.
pub fn readings(seed: u64, device: u32) -> impl Iterator<Item = Emitted> {
    let mut fleet = Fleet::new(seed, device..device + 1);
    std::iter::repeat_with(move || fleet.skip_event())
}

/// Says of each event of each device, asked in order from a device's event 0 on, whether it matches: for
/// [`Ledger::verifier_of`](crate::ledger::Ledger::verifier_of).
pub fn matching(seed: u64, matches: impl Fn(&Emitted) -> bool) -> impl FnMut(u32, u32) -> bool {
    let mut current: Option<(u32, Box<dyn Iterator<Item = Emitted>>)> = None;
    move |device, seq| {
        let readings = match &mut current {
            Some((of, readings)) if *of == device && seq > 0 => readings,
            _ => &mut current.insert((device, Box::new(readings(seed, device)))).1,
        };
        readings.next().is_some_and(|emitted| {
            assert_eq!((emitted.device, emitted.seq), (device, seq), "a device's events are asked for in order");
            matches(&emitted)
        })
    }
}

impl Fleet {
    /// The devices `range` of the fleet that `seed` makes, before their first event.
    pub fn new(seed: u64, range: Range<u32>) -> Self {
        assert!(range.end <= DEVICES_MAX, "a fleet has at most {DEVICES_MAX} devices: ids have nine digits");
        let devices: Vec<Device> = range.clone().map(|device| Device::new(seed, device)).collect();
        let stride = stride(devices.len());
        Self { seed, first: range.start, devices, next: 0, stride, line: Line::new() }
    }

    /// Number of devices.
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// No devices.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// Appends the next event as one JSON object to `out`. Panics on a fleet without devices.
    pub fn write_event(&mut self, ts_us: u64, out: &mut Vec<u8>) -> Emitted {
        let (index, number) = self.turn();
        let traits = Traits::new(self.seed, number);
        let device = &mut self.devices[index];
        let emitted = device.step(self.seed, number, &traits);
        out.extend_from_slice(self.line.write(&emitted, ts_us, device, &traits));
        emitted
    }

    /// Appends the next event as a CloudEvent in JSON (structured mode) to `out`.
    pub fn write_cloud_event(&mut self, ts_us: u64, out: &mut Vec<u8>) -> Emitted {
        let start = out.len();
        out.extend_from_slice(line::CLOUD_EVENT_HEAD);
        let emitted = self.write_event(ts_us, out);
        line::fill_cloud_event(&mut out[start..], emitted.device, emitted.seq);
        out.push(b'}');
        emitted
    }

    /// The next event without its bytes: to go over again what was sent.
    pub fn skip_event(&mut self) -> Emitted {
        let (index, number) = self.turn();
        self.devices[index].step(self.seed, number, &Traits::new(self.seed, number))
    }

    /// Whose turn it is: the device's place in this fleet, and its number.
    fn turn(&mut self) -> (usize, u32) {
        let index = self.next;
        self.next += self.stride;
        if self.next >= self.devices.len() {
            self.next -= self.devices.len();
        }
        (index, self.first + index as u32)
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
