//! Counts against budgets, and the table that shows both.

use std::collections::BTreeSet;
use std::fmt;

use crate::counts::PerEvent;
use crate::tools::Tools;

/// What the counts may differ by. The same binary counts the same to the last instruction; this is room for what a change
/// elsewhere does to inlining.
pub const SAME_TOOLS_PERCENT: f64 = 3.0;
/// With another compiler, valgrind or C library: wide enough for their habits, too narrow for a second pass over the events.
pub const OTHER_TOOLS_PERCENT: f64 = 15.0;

/// How far counts may be from budgets here.
pub struct Tolerance {
    differences: Vec<String>,
}

impl Tolerance {
    /// Of budgets that were counted with `then` for counts made with `now`.
    pub fn of(then: &Tools, now: &Tools) -> Self {
        Self { differences: then.differences(now) }
    }

    /// In percent, up and down.
    pub fn percent(&self) -> f64 {
        if self.differences.is_empty() { SAME_TOOLS_PERCENT } else { OTHER_TOOLS_PERCENT }
    }

    /// Why it is not the narrow one.
    pub fn differences(&self) -> &[String] {
        &self.differences
    }
}

/// What is wrong with a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It costs more than its budget.
    Slower,
    /// It costs less: the budget would hide the way back.
    Faster,
    /// It was not counted.
    NotCounted,
    /// It has no budget.
    NoBudget,
}

/// One line of the table.
#[derive(Debug)]
pub struct Line {
    /// `function/input`
    pub name: String,
    /// What it may cost.
    pub budget: Option<f64>,
    /// What it costs.
    pub counted: Option<f64>,
    /// What is wrong, if something is.
    pub fault: Option<Fault>,
}

impl Line {
    /// How much more than its budget it costs.
    pub fn percent(&self) -> Option<f64> {
        Some((self.counted? / self.budget? - 1.0) * 100.0)
    }
}

/// All lines.
#[derive(Debug)]
pub struct Verdict(pub Vec<Line>);

/// Holds each function's count against its budget.
pub fn judge(budgets: &PerEvent, counts: &PerEvent, tolerance_percent: f64) -> Verdict {
    let names: BTreeSet<&String> = budgets.keys().chain(counts.keys()).collect();
    let line = |name: &String| {
        let (budget, counted) = (budgets.get(name).copied(), counts.get(name).copied());
        let mut line = Line { name: name.clone(), budget, counted, fault: None };
        line.fault = match (budget, line.percent()) {
            (None, _) => Some(Fault::NoBudget),
            (Some(_), None) => Some(Fault::NotCounted),
            (_, Some(percent)) if percent > tolerance_percent => Some(Fault::Slower),
            (_, Some(percent)) if percent < -tolerance_percent => Some(Fault::Faster),
            // A budget of zero or none that is a number: nothing can be within it.
            (_, Some(percent)) if !percent.is_finite() => Some(Fault::NoBudget),
            _ => None,
        };
        line
    };
    Verdict(names.into_iter().map(line).collect())
}

impl Verdict {
    /// Every function is within its budget.
    pub fn is_kept(&self) -> bool {
        self.0.iter().all(|line| line.fault.is_none())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24} {:>10} {:>10} {:>9}", "instructions per event", "budget", "counted", "%")?;
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
        for line in &self.0 {
            let percent = line.percent().map_or("-".to_owned(), |percent| format!("{percent:+.2}"));
            let fault = match line.fault {
                None => "",
                Some(Fault::Slower) => "  SLOWER",
                Some(Fault::Faster) => "  FASTER: the budget is too wide",
                Some(Fault::NotCounted) => "  NOT COUNTED",
                Some(Fault::NoBudget) => "  NO BUDGET",
            };
            let (budget, counted) = (number(line.budget), number(line.counted));
            writeln!(f, "{:<24} {budget:>10} {counted:>10} {percent:>9}{fault}", line.name)?;
        }
        Ok(())
    }
}
