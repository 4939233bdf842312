//! The peer: quamina, an automaton over all patterns. It looks at fields until those that patterns name are found and validates
//! nothing behind them; ours validates all and fills six columns besides.

use std::error::Error;
use std::time::{Duration, Instant};

use engine::batch::Batch;
use quamina::QuaminaBuilder;

use super::routes::{PerDevice, centi, threshold_centi};
use crate::events::{device_name, payloads};

/// More than any set here needs: the default of 10 MB is meant for patterns of strangers.
const ARENA_BYTES_MAX: usize = 1 << 36;

/// quamina with one pattern per device.
pub struct Quamina {
    matcher: quamina::Quamina<u32>,
    kind: PerDevice,
}

impl Quamina {
    /// With a pattern for each of so many devices; gives up after `patience`.
    pub fn build(kind: PerDevice, devices: u32, patience: Duration) -> Result<Self, Box<dyn Error>> {
        let matcher = QuaminaBuilder::new().with_arena_byte_budget(ARENA_BYTES_MAX).build()?;
        let mut quamina = Self { matcher, kind };
        let began = Instant::now();
        for device in 0..devices {
            quamina.add(device)?;
            if device % 64 == 0 && began.elapsed() > patience {
                let seconds = patience.as_secs();
                return Err(format!("quamina took {device} of {devices} patterns in {seconds} s").into());
            }
        }
        Ok(quamina)
    }

    /// Adds the pattern of one device.
    pub fn add(&mut self, device: u32) -> Result<(), Box<dyn Error>> {
        let name = device_name(device);
        let pattern = match self.kind {
            PerDevice::Equality => format!(r#"{{"device_id": ["{name}"]}}"#),
            PerDevice::EqualityAndRange => {
                let above = centi(threshold_centi(device));
                format!(r#"{{"device_id": ["{name}"], "temp": [{{"numeric": [">", {above}]}}]}}"#)
            }
        };
        Ok(self.matcher.add_pattern(device, &pattern)?)
    }

    /// Takes the pattern of one device away.
    pub fn remove(&mut self, device: u32) -> Result<(), Box<dyn Error>> {
        Ok(self.matcher.delete_patterns(&device)?)
    }

    /// Matches all events of a batch; matches in all.
    pub fn run(&self, batch: &Batch) -> Result<u64, Box<dyn Error>> {
        let mut matches = 0;
        for payload in payloads(batch) {
            matches += self.matcher.matches_for_event(payload)?.len() as u64;
        }
        Ok(matches)
    }
}
