//! What all connections of a run are to do now: connect, publish, finish, or drop everything.
//!
//! Publishing begins when every connection has stood once (or has been given up), so that the load is whole from its first second;
//! phases only go forward.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use tokio::sync::watch;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::client) enum Phase {
    /// Connect and wait for the others.
    Connecting,
    /// Publish; since when.
    Running(Instant),
    /// Wait for receipts and end.
    Stopping,
    /// End.
    Halted,
}

impl Phase {
    fn order(self) -> u8 {
        match self {
            Self::Connecting => 0,
            Self::Running(_) => 1,
            Self::Stopping => 2,
            Self::Halted => 3,
        }
    }
}

/// The switch.
#[derive(Debug)]
pub(in crate::client) struct Control {
    phase: watch::Sender<Phase>,
    missing: AtomicU32,
}

impl Control {
    /// For so many connections.
    pub(in crate::client) fn new(connections: u32) -> Self {
        Self { phase: watch::Sender::new(Phase::Connecting), missing: AtomicU32::new(connections) }
    }

    pub(in crate::client) fn watch(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// A connection stands for the first time, or never will. To be called once by each.
    pub(in crate::client) fn arrive(&self) {
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.go_on(Phase::Running(Instant::now()));
        }
    }

    /// Goes on to a later phase.
    pub(in crate::client) fn go_on(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let later = to.order() > phase.order();
            if later {
                *phase = to;
            }
            later
        });
    }
}

/// Until a run is to end.
pub(in crate::client) async fn ending(phase: &mut watch::Receiver<Phase>) {
    reached(phase, &Phase::Stopping).await;
}

/// Until a run is called off, whatever is still owed.
pub(in crate::client) async fn halted(phase: &mut watch::Receiver<Phase>) {
    reached(phase, &Phase::Halted).await;
}

async fn reached(phase: &mut watch::Receiver<Phase>, end: &Phase) {
    // The switch outlives all who watch it.
    let ended = phase.wait_for(|phase| phase.order() >= end.order()).await.is_err();
    debug_assert!(!ended);
}
