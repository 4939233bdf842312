//! A fleet's events into a file or a pipe, as NDJSON: the same bytes for the same seed, on any machine.

use std::io::{self, Write};
use std::sync::Arc;

use crate::fleet::{Fleet, Model};

/// First `ts` of a file: 2026-01-01, so that a file does not depend on when it was made.
pub const START_US: u64 = 1_767_225_600_000_000;
/// Bytes per write.
const WRITE_BYTES: usize = 1024 * 1024;

/// What to write.
#[derive(Clone, Debug)]
pub struct GeneratePlan {
    /// What the devices are like.
    pub model: Arc<Model>,
    /// Size of the fleet.
    pub devices: u32,
    /// Number of lines.
    pub events: u64,
    /// The fleet's seed.
    pub seed: u64,
}

impl GeneratePlan {
    /// Of the built-in fleet.
    pub fn new(devices: u32, events: u64, seed: u64) -> Self {
        Self { model: Model::telemetry(), devices, events, seed }
    }
}

/// Writes the events, one JSON object a line, ten microseconds apart; gives the number of bytes.
pub fn generate(plan: &GeneratePlan, out: &mut impl Write) -> io::Result<u64> {
    if plan.devices == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a fleet without devices sends no events"));
    }
    if let Some(profile) = plan.model.multiline_profile() {
        let why = format!(
            "profile `{profile}` has line breaks inside its events (spacing = \"pretty\"), which a file of lines cannot hold"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let mut fleet = Fleet::of(plan.model.clone(), plan.seed, 0..plan.devices);
    let mut buffer = Vec::with_capacity(WRITE_BYTES + fleet.event_bytes_max());
    let mut bytes = 0;
    for n in 0..plan.events {
        fleet.write_event(START_US + n * 10, &mut buffer);
        buffer.push(b'\n');
        if buffer.len() >= WRITE_BYTES {
            out.write_all(&buffer)?;
            bytes += buffer.len() as u64;
            buffer.clear();
        }
    }
    out.write_all(&buffer)?;
    out.flush()?;
    Ok(bytes + buffer.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_lines_and_another_makes_others() {
        let lines = |seed| {
            let mut out = Vec::new();
            let bytes = generate(&GeneratePlan::new(100, 10_000, seed), &mut out).unwrap();
            assert_eq!(bytes, out.len() as u64);
            assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 10_000);
            out
        };
        assert!(lines(1) == lines(1));
        assert!(lines(1) != lines(2));
    }

    #[test]
    fn a_fleet_without_devices_is_refused() {
        let plan = GeneratePlan::new(0, 1, 1);
        assert_eq!(generate(&plan, &mut Vec::new()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
