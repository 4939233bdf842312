//! Peers that are Python packages: `bench/peers/setup.sh` brings them, and says of those that cannot be had why.
//!
//! What always holds: a peer that is missing has its reason; no caller finds out by a failing import.

use std::path::PathBuf;
use std::process::Command;

/// Where the scripts are.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");

/// A Python environment with peers, and who is not in it.
pub struct Peers {
    python: PathBuf,
    missing: Vec<(String, String)>,
}

impl Peers {
    /// Runs the set-up for the peers named; an error says why there is no environment at all.
    pub fn set_up(names: &[&str]) -> Result<Self, String> {
        let setup = Command::new("sh")
            .arg(format!("{SCRIPTS}/setup.sh"))
            .args(names)
            .output()
            .map_err(|error| format!("cannot run bench/peers/setup.sh: {error}"))?;
        let said = String::from_utf8_lossy(&setup.stderr);
        if !setup.status.success() {
            return Err(said.lines().last().unwrap_or("bench/peers/setup.sh failed").trim().to_owned());
        }
        let folder = String::from_utf8_lossy(&setup.stdout);
        let python = PathBuf::from(folder.lines().last().unwrap_or_default()).join("bin/python");
        Ok(Self { python, missing: missing(&said, names) })
    }

    /// Why the peer is missing; nothing when it is there.
    pub fn why_missing(&self, name: &str) -> Option<&str> {
        self.missing.iter().find(|(missing, _)| missing == name).map(|(_, why)| why.as_str())
    }

    /// One of the drivers in `bench/peers`, to be given its arguments.
    pub fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(format!("{SCRIPTS}/{name}"));
        command
    }

    /// The environment's Python.
    pub fn python(&self) -> Command {
        Command::new(&self.python)
    }
}

/// The lines `PEER: why` of what the set-up said.
fn missing(said: &str, names: &[&str]) -> Vec<(String, String)> {
    said.lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| names.contains(name))
        .map(|(name, why)| (name.to_owned(), why.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_missing_is_read_from_what_the_set_up_says() {
        let said = "WARNING: old pip\nchdb: ERROR: no wheel for this platform\nduckdb: no network\n";
        let peers = Peers { python: PathBuf::new(), missing: missing(said, &["chdb", "polars"]) };
        assert_eq!(peers.why_missing("chdb"), Some("ERROR: no wheel for this platform"));
        assert_eq!([peers.why_missing("polars"), peers.why_missing("duckdb")], [None, None]);
    }
}
