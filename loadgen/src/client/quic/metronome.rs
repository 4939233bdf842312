//! The beat at which open loops send: what has come due between two beats leaves together, as a gateway's linger would have it.
//!
//! The runtime's timers know milliseconds, which is more than the latencies that are measured; so a thread of its own sleeps. What
//! always holds: it ends with the last who listens.

use std::thread;
use std::time::Duration;

use tokio::sync::watch;

/// Beats from now on, every `period`: the number of beats so far.
pub(super) fn start(period: Duration) -> std::io::Result<watch::Receiver<u64>> {
    let (beats, heard) = watch::channel(0);
    thread::Builder::new().name("metronome".to_owned()).spawn(move || {
        while !beats.is_closed() {
            thread::sleep(period);
            beats.send_modify(|beat| *beat += 1);
        }
    })?;
    Ok(heard)
}
