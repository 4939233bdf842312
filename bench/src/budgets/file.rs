//! `bench/budgets.toml`: what each function may cost, and what it was counted with.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::counts::PerEvent;
use crate::tools::Tools;

const HEAD: &str = "\
# Instructions per event of the hot path's functions, by function and input: bench/benches/cases.rs says what they are.
# bench/instructions.sh fails when a count is off by more than 3 %, up or down. `bench/instructions.sh --write` writes this
# file; commit it with the change that explains it.

";

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// Budgets hold for these.
    pub counted_with: Tools,
    /// By `function/input`.
    pub instructions_per_event: PerEvent,
}

/// Why the file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum BudgetsError {
    /// By the system.
    #[error("{0}: {1}; `bench/instructions.sh --write` makes the file")]
    File(String, io::Error),
    /// By hand, probably.
    #[error("{0}: {1}")]
    Malformed(String, String),
}

impl BudgetsError {
    /// There is no file yet.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::File(_, error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl Budgets {
    /// What was counted is what is allowed, to a tenth of an instruction.
    pub fn new(counted_with: Tools, counts: PerEvent) -> Self {
        let rounded = counts.into_iter().map(|(name, count)| (name, (count * 10.0).round() / 10.0)).collect();
        Self { counted_with, instructions_per_event: rounded }
    }

    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, BudgetsError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| BudgetsError::File(name.clone(), error))?;
        toml::from_str(&text).map_err(|error| BudgetsError::Malformed(name, error.to_string()))
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> Result<(), BudgetsError> {
        let name = path.display().to_string();
        let text = toml::to_string(self).map_err(|error| BudgetsError::Malformed(name.clone(), error.to_string()))?;
        std::fs::write(path, format!("{HEAD}{text}")).map_err(|error| BudgetsError::File(name, error))
    }
}
