//! Holds the instructions that were counted against the budgets: `bench/instructions.sh` runs it. What always holds: a function
//! that is off by more than its tolerance fails, in both directions, for a budget that is too wide hides the next slow-down;
//! so does one without a count and one without a budget.

mod counts;
mod file;
mod judge;
mod tools;

#[path = "../../benches/cases/size.rs"]
mod size;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use file::Budgets;
use judge::{Tolerance, judge};
use tools::Tools;

/// Holds counted instructions against the budgets.
#[derive(Parser)]
struct Arguments {
    /// What gungraun has counted: its JSON, one case per line.
    counts: PathBuf,
    /// Where the budgets stand.
    #[arg(long, default_value = "bench/budgets.toml")]
    budgets: PathBuf,
    /// Makes what was counted the new budgets.
    #[arg(long)]
    write: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("budgets: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether every function is within its budget, or has a new one.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn std::error::Error>> {
    let counts = counts::read(&arguments.counts)?;
    let tools = Tools::here()?;
    let old = match Budgets::read(&arguments.budgets) {
        Ok(budgets) => Some(budgets),
        Err(error) if arguments.write && error.is_missing() => None,
        Err(error) => return Err(error.into()),
    };
    let empty = Budgets::new(tools.clone(), Default::default());
    let budgets = old.as_ref().unwrap_or(&empty);
    let tolerance = Tolerance::of(&budgets.counted_with, &tools);
    let verdict = judge(&budgets.instructions_per_event, &counts, tolerance.percent());
    print!("{verdict}");
    for difference in tolerance.differences() {
        eprintln!("!!! {difference}");
    }
    if !tolerance.differences().is_empty() {
        eprintln!(
            "!!! other tools count otherwise: budgets are held to ±{} % only, instead of ±{} %",
            judge::OTHER_TOOLS_PERCENT,
            judge::SAME_TOOLS_PERCENT
        );
    }
    if arguments.write {
        Budgets::new(tools, counts).write(&arguments.budgets)?;
        println!("written: {}", arguments.budgets.display());
        return Ok(true);
    }
    if !verdict.is_kept() {
        eprintln!(
            "budgets: a function is not within ±{} % of its budget.\n\
             If that is meant (faster, or slower for a reason that is worth it), run\n\
             bench/instructions.sh --write\n\
             and commit {} with the change that explains it.",
            tolerance.percent(),
            arguments.budgets.display()
        );
    }
    Ok(verdict.is_kept())
}
