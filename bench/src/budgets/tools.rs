//! What decides how many instructions a function has, besides its source: compiler, valgrind (it says which processor there is)
//! and C library (it copies and compares).

use std::process::Command;

use serde::{Deserialize, Serialize};

/// Their versions, in their own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tools {
    /// `rustc --version`
    pub rustc: String,
    /// `valgrind --version`
    pub valgrind: String,
    /// `getconf GNU_LIBC_VERSION`
    pub libc: String,
}

/// A tool did not say its version.
#[derive(Debug, thiserror::Error)]
#[error("`{command}` does not say a version: {reason}")]
pub struct NoVersion {
    command: String,
    reason: String,
}

impl Tools {
    /// Those of this machine.
    pub fn here() -> Result<Self, NoVersion> {
        Ok(Self {
            rustc: said_by("rustc", "--version")?,
            valgrind: said_by("valgrind", "--version")?,
            libc: said_by("getconf", "GNU_LIBC_VERSION")?,
        })
    }

    /// In which of them `other` differs, in words.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let pairs = [
            ("rustc", &self.rustc, &other.rustc),
            ("valgrind", &self.valgrind, &other.valgrind),
            ("the C library", &self.libc, &other.libc),
        ];
        let differing = pairs.into_iter().filter(|(_, one, other)| one != other);
        differing.map(|(what, one, other)| format!("{what} was `{one}` for the budgets and is `{other}`")).collect()
    }
}

fn said_by(program: &str, argument: &str) -> Result<String, NoVersion> {
    let failed = |reason: String| NoVersion { command: format!("{program} {argument}"), reason };
    let output = Command::new(program).arg(argument).output().map_err(|error| failed(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() || said.is_empty() {
        return Err(failed(output.status.to_string()));
    }
    Ok(said)
}
