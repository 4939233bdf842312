//! What the process under load uses, by the system's own books in `/proc`: processor time, resident memory, threads.
//!
//! A process is named by its id and the time it was started, so an id that went to somebody else is never mistaken for it. A process
//! that has ended (or is only waiting to be reaped) has no sample; that is an answer, not an error.

use std::fs;
use std::time::{Duration, Instant};

use serde::Serialize;

#[cfg(test)]
mod tests;

/// Ticks per second of the times in `/proc/PID/stat`: `USER_HZ`, which Linux keeps at 100 towards programs however its own timer runs.
const TICKS_PER_S: f64 = 100.0;

/// A process under observation.
#[derive(Debug)]
pub struct Watch {
    pid: u32,
    /// Ticks from boot to the start of the process.
    started_ticks: u64,
    last_at: Instant,
    last_cpu_ticks: u64,
}

/// What a process used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Usage {
    /// Processor time, user and system, of all threads since the last sample, per second of time: 2.0 is two cores kept busy.
    /// The system counts in ticks of 10 ms, so over one second this is right to about 0.01.
    pub cpu_cores: f64,
    /// Memory that is resident (`VmRSS`).
    pub resident_bytes: u64,
    /// Threads.
    pub threads: u64,
}

/// The fields of `/proc/PID/stat` that count here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    /// User and system time of all threads, those that ended included.
    cpu_ticks: u64,
    started_ticks: u64,
}

/// The fields of `/proc/PID/status` that count here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Status {
    resident_bytes: u64,
    threads: u64,
}

impl Watch {
    /// Begins to watch; `None` where no such process runs, or its books may not be read.
    pub fn start(pid: u32) -> Option<Self> {
        let stat = running(pid)?;
        Some(Self { pid, started_ticks: stat.started_ticks, last_at: Instant::now(), last_cpu_ticks: stat.cpu_ticks })
    }

    /// The id of the process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What the process used since the last sample, or since [`start`](Self::start). `None` once it has ended.
    pub fn sample(&mut self) -> Option<Usage> {
        let stat = running(self.pid).filter(|stat| stat.started_ticks == self.started_ticks)?;
        let now = Instant::now();
        let status = status(&fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?)?;
        let cpu_cores = cores(stat.cpu_ticks.saturating_sub(self.last_cpu_ticks), now - self.last_at);
        self.last_at = now;
        self.last_cpu_ticks = stat.cpu_ticks;
        Some(Usage { cpu_cores, resident_bytes: status.resident_bytes, threads: status.threads })
    }
}

/// The books of a process, unless it has ended.
fn running(pid: u32) -> Option<Stat> {
    let stat = stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    (!matches!(stat.state, 'Z' | 'X' | 'x')).then_some(stat)
}

fn cores(ticks: u64, elapsed: Duration) -> f64 {
    let elapsed_s = elapsed.as_secs_f64();
    if elapsed_s > 0.0 { ticks as f64 / TICKS_PER_S / elapsed_s } else { 0.0 }
}

/// Reads `/proc/PID/stat`: the name of the command stands in parentheses and may itself hold spaces and parentheses.
fn stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    // proc_pid_stat(5) counts from 1: state is field 3, user time 14, system time 15, start 22.
    let user: u64 = fields.nth(10)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let started_ticks = fields.nth(6)?.parse().ok()?;
    Some(Stat { state, cpu_ticks: user.saturating_add(system), started_ticks })
}

/// Reads `/proc/PID/status`.
fn status(text: &str) -> Option<Status> {
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let resident_kib: u64 = value("VmRSS")?.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    let threads = value("Threads")?.trim().parse().ok()?;
    Some(Status { resident_bytes: resident_kib.saturating_mul(1_024), threads })
}
