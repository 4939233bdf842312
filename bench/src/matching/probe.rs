//! How long a table takes to build and what it keeps, seen from a process that does nothing else: memory is what the process
//! grew by, as the system counts it.

use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::ours::Ours;
use super::peers::Quamina;
use super::routes::PerDevice;
use crate::process;

/// What to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Builder {
    /// Our table.
    Ours,
    /// quamina's automaton.
    Quamina,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Built {
    /// From the texts of the filters to something that matches.
    pub seconds: f64,
    /// Processor time of the same.
    pub cpu_seconds: f64,
    /// Growth of the resident memory.
    pub bytes: u64,
}

/// Builds in a process of its own, on the cores that this thread may use.
pub fn probe(builder: Builder, routes: u32) -> Result<Built, Box<dyn Error>> {
    let name = match builder {
        Builder::Ours => "ours",
        Builder::Quamina => "quamina",
    };
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["route-probe", "--probe-builder", name, "--probe-routes", &routes.to_string()]);
    Ok(serde_json::from_str(&process::run(&mut command)?.stdout)?)
}

/// The child's side: prints a [`Built`] as JSON.
pub fn serve(builder: Builder, routes: u32) -> Result<(), Box<dyn Error>> {
    let kind = PerDevice::EqualityAndRange;
    let texts = kind.routes(routes);
    // What the first use of the allocator and of the compiler takes is not the table's.
    drop(Ours::build(&texts[..texts.len().min(100)])?);
    let before = resident_bytes()?;
    let (began, cpu_began) = (Instant::now(), crate::rounds::thread_cpu());
    let kept: (Option<Ours>, Option<Quamina>) = match builder {
        Builder::Ours => (Some(Ours::build(&texts)?), None),
        Builder::Quamina => (None, Some(Quamina::build(kind, routes, Duration::from_secs(120))?)),
    };
    let (wall, cpu) = (began.elapsed(), crate::rounds::thread_cpu().saturating_sub(cpu_began));
    let bytes = resident_bytes()?.saturating_sub(before);
    drop(kept);
    let built = Built { seconds: wall.as_secs_f64(), cpu_seconds: cpu.as_secs_f64(), bytes };
    println!("{}", serde_json::to_string(&built)?);
    Ok(())
}

fn resident_bytes() -> Result<u64, Box<dyn Error>> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let resident: u64 = pages.split_whitespace().nth(1).ok_or("/proc/self/statm has seven fields")?.parse()?;
    Ok(resident * rustix::param::page_size() as u64)
}
