//! Ours in the suite `extract`: the engine's extractor, once per kernel that this machine can run.

use engine::batch::Batch;
use engine::parse::{Parser, Value};

use super::Extractor;
use super::checksum::{Checksum, column};
use crate::events::payloads;

/// The engine's extractor with one kernel.
pub struct Ours {
    kernel: &'static str,
    parser: Parser,
}

impl Ours {
    /// The one that the engine chooses itself.
    pub fn best() -> Self {
        Self { kernel: "", parser: Parser::default() }
    }

    /// All others that this machine can run, forced.
    pub fn forced() -> Vec<Self> {
        Vec::new()
    }

    /// Name of the kernel; empty for the one that the engine chose.
    pub fn kernel(&self) -> &'static str {
        self.kernel
    }

    /// Share of the events so far whose shape was known, where the extractor has shapes.
    pub fn hit_rate(&self) -> Option<f64> {
        None
    }
}

impl Extractor for Ours {
    fn run(&mut self, batch: &Batch, sum: &mut Checksum) {
        for payload in payloads(batch) {
            let Ok(document) = self.parser.parse(payload) else { continue };
            sum.valid += 1;
            let root = document.root();
            let text = |name| root.get(name).and_then(Value::as_str);
            let number = |name| root.get(name).and_then(Value::as_f64);
            for (column, name) in [(column::DEVICE_ID, "device_id"), (column::STATUS, "status")] {
                if let Some(text) = text(name) {
                    sum.text(column, text.as_bytes());
                }
            }
            let numbers = [
                (column::TS, "ts"),
                (column::TEMP, "temp"),
                (column::HUMIDITY, "humidity"),
                (column::BATTERY, "battery"),
            ];
            for (column, name) in numbers {
                if let Some(number) = number(name) {
                    sum.number(column, number);
                }
            }
        }
    }
}
