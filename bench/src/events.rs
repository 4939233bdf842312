//! Events for the suites `extract` and `match`, in the batches that the engine works on; peers get slices of the same bytes.
//!
//! What always holds: the same workload and size give the same bytes on every machine; every event but a hostile one has the six
//! wanted fields; what was put in is kept beside the batches ([`Fact`]), so that a count of matches can be known without matching.

mod hostile;
mod shape;

#[cfg(test)]
mod tests;

use std::error::Error;

use engine::batch::{Batch, BatchBuilder, HeaderWriter, PushError};
use fastrand::Rng;

use shape::Shape;

/// The fields that are extracted: `ts`, `temp`, `humidity` and `battery` are numbers, the others strings.
pub const WANTED: [&str; 6] = ["device_id", "ts", "temp", "humidity", "battery", "status"];

const SEED: u64 = 0x6120_6272_616e_6368;
/// 2026-11-21T00:00:00Z.
const START_MS: u64 = 1_795_219_200_000;

/// What kind of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Compact objects of 15 leaves, one of them an object of two; 247 bytes on average.
    Telemetry,
    /// The same with a space behind colons and commas.
    Spaced,
    /// One string with backslash escapes in every event, a wanted one in every other.
    Escaped,
    /// One field is an array of eight numbers.
    Arrays,
    /// One string is not ASCII.
    NonAscii,
    /// 60 fields, about 1 KB.
    Kilobyte,
    /// This many shapes, interleaved at random: other fields, other order; the wanted ones in all.
    Shapes(usize),
    /// Every event has a field that no other has.
    AllUnseen,
    /// 15 % are broken or odd.
    Hostile,
}

impl Workload {
    /// Its name in rows.
    pub fn name(self) -> String {
        match self {
            Self::Telemetry => "telemetry".into(),
            Self::Spaced => "spaced".into(),
            Self::Escaped => "escaped".into(),
            Self::Arrays => "arrays".into(),
            Self::NonAscii => "non-ASCII".into(),
            Self::Kilobyte => "1 KB, 60 fields".into(),
            Self::Shapes(count) => format!("{count} shapes"),
            Self::AllUnseen => "all shapes unseen".into(),
            Self::Hostile => "hostile mix".into(),
        }
    }
}

/// How many events.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    /// Exactly so many.
    Events(usize),
    /// Until the payloads have so many bytes.
    Bytes(usize),
}

/// What an event says, before anything was done to its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Number of its device.
    pub device: u32,
    /// Its temperature in hundredths.
    pub temp_centi: i32,
}

/// Generated events.
pub struct Events {
    /// The batches, 64 KiB each.
    pub batches: Vec<Batch>,
    /// One fact per event, in order.
    pub facts: Vec<Fact>,
    /// Bytes of all payloads.
    pub payload_bytes: u64,
}

impl Events {
    /// Mean size of a payload.
    pub fn bytes_per_event(&self) -> f64 {
        self.payload_bytes as f64 / self.facts.len().max(1) as f64
    }
}

/// The payloads of a batch.
pub fn payloads(batch: &Batch) -> impl Iterator<Item = &[u8]> {
    batch.rows().iter().map(|row| row.value.of(batch.bytes()).unwrap_or_default())
}

/// Name of a device.
pub fn device_name(device: u32) -> String {
    format!("dev-{device:07}")
}

/// The values of one event.
struct Values {
    number: u64,
    fact: Fact,
    ts_ms: u64,
    humidity_deci: u32,
    battery: u32,
    status: &'static str,
}

impl Values {
    fn new(number: u64, devices: u32, rng: &mut Rng) -> Self {
        let status = match rng.u32(..20) {
            0 => "error",
            1 | 2 => "warning",
            _ => "ok",
        };
        Self {
            number,
            fact: Fact { device: rng.u32(..devices.max(1)), temp_centi: rng.i32(-500..4500) },
            ts_ms: START_MS + number * 7,
            humidity_deci: rng.u32(100..1000),
            battery: rng.u32(0..=100),
            status,
        }
    }
}

/// Generates events of `devices` devices, each event's device chosen at random.
pub fn generate(workload: Workload, devices: u32, amount: Amount) -> Result<Events, Box<dyn Error>> {
    let mut rng = Rng::with_seed(SEED);
    let shapes = match workload {
        Workload::Shapes(count) => (0..count).map(|_| Shape::random(&mut rng)).collect(),
        Workload::Escaped => vec![Shape::escaped()],
        Workload::Arrays => vec![Shape::arrays()],
        Workload::NonAscii => vec![Shape::non_ascii()],
        Workload::Kilobyte => vec![Shape::kilobyte()],
        _ => vec![Shape::telemetry()],
    };
    let spaced = workload == Workload::Spaced;
    let mut events = Events { batches: Vec::new(), facts: Vec::new(), payload_bytes: 0 };
    let mut builder = BatchBuilder::new(0);
    let headers = HeaderWriter::default();
    let mut payload = Vec::new();
    loop {
        let number = events.facts.len() as u64;
        let done = match amount {
            Amount::Events(count) => number >= count as u64,
            Amount::Bytes(bytes) => events.payload_bytes >= bytes as u64,
        };
        if done {
            break;
        }
        let values = Values::new(number, devices, &mut rng);
        let shape = &shapes[rng.usize(..shapes.len())];
        payload.clear();
        let unseen = (workload == Workload::AllUnseen).then(|| (rng.usize(..shape.len()), format!("x{number:08}")));
        shape.write(&values, spaced, unseen.as_ref().map(|(at, name)| (*at, name.as_str())), &mut rng, &mut payload);
        if workload == Workload::Hostile && rng.u32(..100) < 15 {
            hostile::spoil(&mut payload, &mut rng);
        }
        let key = device_name(values.fact.device);
        let push = |builder: &mut BatchBuilder| builder.push(Some(key.as_bytes()), &payload, &headers, START_MS as i64);
        match push(&mut builder) {
            Err(PushError::Full) => {
                events.batches.extend(builder.seal());
                push(&mut builder)?;
            }
            other => other?,
        }
        events.payload_bytes += payload.len() as u64;
        events.facts.push(values.fact);
    }
    events.batches.extend(builder.seal());
    Ok(events)
}
