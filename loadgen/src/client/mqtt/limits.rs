//! Open files: every connection is one, and the system's limit is often lower than a fleet.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that a run needs beside its connections.
const BESIDE: u64 = 256;

/// Raises this process's limit so that it has room for so many connections. If that cannot be: what is needed, and the limit.
pub(super) fn make_room(connections: u64) -> Result<(), (u64, u64)> {
    let needed = connections + BESIDE;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    // The hard limit only goes up for those who may.
    let maximum_wanted = maximum.map(|maximum| maximum.max(needed));
    if setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: maximum_wanted }).is_ok() {
        return Ok(());
    }
    Err((needed, maximum.unwrap_or(u64::MAX)))
}
