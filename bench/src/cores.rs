//! Which core does what: children inherit the cores of the thread that starts them, so the starter moves there first.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores that this process may use.
pub fn allowed() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect())
}

/// Keeps the calling thread, and what it starts, on `core` while `work` runs; then gives it back the cores it had.
pub fn on<T>(core: usize, work: impl FnOnce() -> T) -> io::Result<T> {
    on_all(&[core], work)
}

/// As [`on`], on any of `cores`.
pub fn on_all<T>(cores: &[usize], work: impl FnOnce() -> T) -> io::Result<T> {
    let before = sched_getaffinity(None)?;
    let mut only = CpuSet::new();
    cores.iter().for_each(|&core| only.set(core));
    sched_setaffinity(None, &only)?;
    let result = work();
    sched_setaffinity(None, &before)?;
    Ok(result)
}

/// Lets the calling thread go to every core that the system allows, whatever its starter was kept on.
pub fn roam() -> io::Result<()> {
    let mut all = CpuSet::new();
    for core in 0..CpuSet::MAX_CPU {
        all.set(core);
    }
    Ok(sched_setaffinity(None, &all)?)
}
