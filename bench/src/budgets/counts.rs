//! Reads what gungraun has counted: one JSON object per line and case.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::size::EVENTS;

/// Instructions per event by `function/input`.
pub type PerEvent = BTreeMap<String, f64>;

/// Why there are no counts.
#[derive(Debug, thiserror::Error)]
pub enum CountsError {
    /// The file is not there.
    #[error("{0}: {1}: bench/instructions.sh writes it")]
    Read(String, std::io::Error),
    /// Another version of gungraun, or a run that was cut off.
    #[error("line {0} of the counts is not what gungraun 0.20 writes: {1}")]
    Line(usize, String),
    /// The run counted nothing.
    #[error("nothing was counted: look at what valgrind says above")]
    Empty,
}

#[derive(Deserialize)]
struct Line {
    function_name: String,
    id: String,
    profiles: Vec<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    tool: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    total: Total,
}

#[derive(Deserialize)]
struct Total {
    metrics: Metrics,
}

#[derive(Deserialize)]
struct Metrics {
    #[serde(rename = "Ir")]
    instructions: Metric,
}

#[derive(Deserialize)]
struct Metric {
    values: Values,
}

#[derive(Deserialize)]
struct Values {
    new: u64,
}

/// Reads a file of counts.
pub fn read(path: &Path) -> Result<PerEvent, CountsError> {
    let text = std::fs::read_to_string(path).map_err(|error| CountsError::Read(path.display().to_string(), error))?;
    parse(&text)
}

/// Reads the lines; every case has done [`EVENTS`] events, which it checked itself.
pub fn parse(text: &str) -> Result<PerEvent, CountsError> {
    let mut counts = PerEvent::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line: Line = serde_json::from_str(line).map_err(|error| CountsError::Line(number, error.to_string()))?;
        let of_callgrind = line.profiles.iter().find(|profile| profile.tool == "Callgrind");
        let profile = of_callgrind.ok_or_else(|| CountsError::Line(number, "no profile by Callgrind".into()))?;
        let name = format!("{}/{}", line.function_name, line.id);
        let per_event = profile.data.total.metrics.instructions.values.new as f64 / EVENTS as f64;
        if counts.insert(name, per_event).is_some() {
            return Err(CountsError::Line(number, "the case was counted twice".into()));
        }
    }
    if counts.is_empty() { Err(CountsError::Empty) } else { Ok(counts) }
}
