//! Which fleet: how many devices, what they are like, from which seed.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use loadgen::fleet::{DEVICES_MAX, Model};

#[derive(Args)]
pub struct FleetArgs {
    /// Devices of the fleet.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(DEVICES_MAX)))]
    pub devices: u32,
    /// Seed of the fleet: the same seed makes the same readings.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Profile file (TOML) that says what the devices are like; `loadgen profile` prints the built-in one.
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
}

impl FleetArgs {
    /// What the devices are like.
    pub fn model(&self) -> Result<Arc<Model>, Box<dyn Error>> {
        self.profile.as_deref().map_or_else(|| Ok(Model::telemetry()), read)
    }
}

/// Reads a profile file.
pub fn read(path: &Path) -> Result<Arc<Model>, Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(Arc::new(Model::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?))
}
