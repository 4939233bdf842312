//! What people would pick instead, used as their authors advise: buffers reused, one pass over the members.

use engine::batch::Batch;
use simd_json::prelude::{TypedScalarValue, ValueAsScalar};
use simd_json::{Buffers, Tape};
use sonic_rs::{JsonValueTrait, LazyValue, PointerTree};

use super::Extractor;
use super::checksum::{Checksum, column};
use crate::events::{WANTED, payloads};

/// simd-json's tape. It parses in place, so the copy that it needs belongs to it.
pub struct SimdJson {
    input: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Default for SimdJson {
    fn default() -> Self {
        Self { input: Vec::new(), buffers: Buffers::with_max_depth(1024, 128), tape: Tape::null() }
    }
}

impl Extractor for SimdJson {
    fn run(&mut self, batch: &Batch, sum: &mut Checksum) {
        for payload in payloads(batch) {
            self.input.clear();
            self.input.extend_from_slice(payload);
            self.input.resize(payload.len() + simd_json::INPUT_PADDING, 0);
            let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
            if simd_json::fill_tape_padded(&mut self.input, payload.len(), &mut self.buffers, &mut tape).is_ok() {
                sum.valid += 1;
                look_up(&tape, sum);
            }
            self.tape = tape.reset();
        }
    }
}

/// All six in one walk over the members: quicker than six look-ups, each of which walks too. Of duplicates the last one.
fn look_up(tape: &Tape<'_>, sum: &mut Checksum) {
    let Some(object) = tape.as_value().as_object() else { return };
    let mut found = [None; WANTED.len()];
    for (name, value) in object.iter() {
        let column = match name {
            "device_id" => column::DEVICE_ID,
            "ts" => column::TS,
            "temp" => column::TEMP,
            "humidity" => column::HUMIDITY,
            "battery" => column::BATTERY,
            "status" => column::STATUS,
            _ => continue,
        };
        found[column] = Some(value);
    }
    for column in [column::DEVICE_ID, column::STATUS] {
        if let Some(text) = found[column].as_ref().and_then(|value| value.as_str()) {
            sum.text(column, text.as_bytes());
        }
    }
    for column in [column::TS, column::TEMP, column::HUMIDITY, column::BATTERY] {
        if let Some(number) = found[column].filter(|value| value.is_number()).and_then(|value| value.cast_f64()) {
            sum.number(column, number);
        }
    }
}

/// sonic-rs `get_many` with checks, and its values converted.
pub struct SonicRs {
    wanted: PointerTree,
}

impl Default for SonicRs {
    fn default() -> Self {
        let mut wanted = PointerTree::new();
        for name in WANTED {
            wanted.add_path([name].iter());
        }
        Self { wanted }
    }
}

impl Extractor for SonicRs {
    fn run(&mut self, batch: &Batch, sum: &mut Checksum) {
        for payload in payloads(batch) {
            let Ok(found) = sonic_rs::get_many(payload, &self.wanted) else { continue };
            sum.valid += 1;
            for column in [column::DEVICE_ID, column::STATUS] {
                if let Some(text) = found[column].as_ref().and_then(LazyValue::as_str) {
                    sum.text(column, text.as_bytes());
                }
            }
            for column in [column::TS, column::TEMP, column::HUMIDITY, column::BATTERY] {
                if let Some(number) = found[column].as_ref().and_then(|value| value.as_f64()) {
                    sum.number(column, number);
                }
            }
        }
    }
}

/// serde_json's tree of values. Also the oracle: what it finds, all others have to find.
#[derive(Default)]
pub struct SerdeJson;

impl Extractor for SerdeJson {
    fn run(&mut self, batch: &Batch, sum: &mut Checksum) {
        for payload in payloads(batch) {
            let Ok(value) = serde_json::from_slice::<serde_json::Value>(payload) else { continue };
            sum.valid += 1;
            for column in [column::DEVICE_ID, column::STATUS] {
                if let Some(text) = value.get(WANTED[column]).and_then(serde_json::Value::as_str) {
                    sum.text(column, text.as_bytes());
                }
            }
            for column in [column::TS, column::TEMP, column::HUMIDITY, column::BATTERY] {
                if let Some(number) = value.get(WANTED[column]).and_then(serde_json::Value::as_f64) {
                    sum.number(column, number);
                }
            }
        }
    }
}

/// A copy of as many bytes as the events have, into memory that is there already: what reading them costs at least.
pub struct Memcpy {
    target: Vec<u8>,
    at: usize,
}

impl Memcpy {
    /// With room for all payloads of `batches`.
    pub fn of(batches: &[Batch]) -> Self {
        // Not zero, so that the pages are there.
        Self { target: vec![1; batches.iter().map(payload_bytes).sum()], at: 0 }
    }
}

impl Extractor for Memcpy {
    fn run(&mut self, batch: &Batch, sum: &mut Checksum) {
        let length = payload_bytes(batch);
        if self.at + length > self.target.len() {
            self.at = 0;
        }
        self.target[self.at..self.at + length].copy_from_slice(&batch.bytes()[..length]);
        self.at += length;
        sum.valid += u64::from(self.target[self.at - 1]);
    }
}

fn payload_bytes(batch: &Batch) -> usize {
    payloads(batch).map(<[u8]>::len).sum()
}
