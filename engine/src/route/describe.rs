//! How the matcher finds a filter's events, for people.

use super::access::{Access, Look, Test, alternatives};
use super::columns::ColumnSet;
use crate::filter::Filter;

/// One alternative of a filter: what leads to it, and what is checked then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// `equality` (with one value or one of many), `range`, `prefix`, `suffix`, `contains`, `topic`, `scan`, or `always`.
    pub by: &'static str,
    /// The parts of the event that it looks at, as they are written in filters; empty for a scan.
    pub on: Vec<String>,
    /// Conditions that are left to check on what it finds.
    pub checks: usize,
    /// What those cost, in units of about one comparison: of a scan for every event, otherwise for what was found.
    pub cost: u32,
}

/// The paths to a filter. None: it is never true.
pub fn paths(filter: &Filter) -> Vec<Path> {
    let mut set = ColumnSet::default();
    let alternatives = alternatives(filter, &mut set);
    alternatives
        .into_iter()
        .map(|alternative| {
            let name = |look: &Look| set.name(look.column);
            let (by, on) = match &alternative.access {
                Access::Scan if alternative.tests.is_empty() => ("always", Vec::new()),
                Access::Scan => ("scan", Vec::new()),
                Access::Equal(equal) => ("equality", equal.iter().map(|(look, _)| name(look)).collect()),
                Access::In(look, _) => ("equality", vec![name(look)]),
                Access::Ranges(look, _) => ("range", vec![name(look)]),
                Access::Prefix(look, _) => ("prefix", vec![name(look)]),
                Access::Suffix(look, _) => ("suffix", vec![name(look)]),
                Access::Contains(look, _) => ("contains", vec![name(look)]),
                Access::Topic(column, _) => ("topic", vec![set.name(*column)]),
            };
            let cost = alternative.tests.iter().map(Test::cost).sum();
            Path { by, on, checks: alternative.tests.len(), cost }
        })
        .collect()
}

/// As in `equality on $body.device_id, 1 check (cost 1)`.
impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.by)?;
        if !self.on.is_empty() {
            write!(f, " on {}", self.on.join(" and "))?;
        }
        match self.checks {
            0 => Ok(()),
            1 => write!(f, ", 1 check (cost {})", self.cost),
            checks => write!(f, ", {checks} checks (cost {})", self.cost),
        }
    }
}
