//! What the process is told by signals.

use tokio::signal::unix::{Signal as Source, SignalKind, signal};

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: read the configuration again.
    Reload,
    /// The first SIGTERM or SIGINT: take no more, hand on what there is, stop.
    Drain,
    /// Another one: stop at once.
    ExitNow,
}

/// The signals of the process, in the order they come.
#[derive(Debug)]
pub struct Signals {
    hangup: Source,
    terminate: Source,
    interrupt: Source,
    is_draining: bool,
}

impl Signals {
    /// Listens from now on; the signals no longer end the process by themselves. Within a runtime.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            is_draining: false,
        })
    }

    /// The next signal. Cancel safe.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hangup.recv() => return Signal::Reload,
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        if std::mem::replace(&mut self.is_draining, true) { Signal::ExitNow } else { Signal::Drain }
    }
}
