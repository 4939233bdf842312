//! `anabranch/1` over QUIC, written from `docs/quic.md` alone: a fleet that publishes over any number of connections, a subscriber
//! that reads and checks everything, and crowds of subscribers that count.
//!
//! Every publishing connection is a producer of its own: it numbers its events by partition, has up to a window of bytes without an
//! ACK, and sends what waits again after a connection broke; so the node may be killed and restarted under load, and keeps each
//! event once. A subscriber keeps its positions and goes on from them.

mod codec;
mod crowd;
mod dial;
mod lanes;
mod metronome;
mod plan;
mod publish;
mod subscribe;
mod trust;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::control::{Control, Phase};
use super::tls::TlsError;
use super::{Progress, told};
use crate::fleet;
use crate::histogram::Latencies;
use crate::ledger::Ledger;
use crate::report::Figures;
use dial::Dialer;
use publish::Run;

pub use codec::CodecError;
pub use crowd::{Crowd, CrowdPlan, CrowdView, Member};
pub use plan::{Access, Fingerprint, FingerprintError, From, QuicPlan, Target, TargetError, Trust, Wanted};
pub use subscribe::{Event, Seen, SubscribeOutcome, SubscribePlan, subscribe};

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum QuicError {
    /// The target's name leads nowhere.
    #[error("cannot find {target}: {error}")]
    Resolve {
        /// Who.
        target: String,
        /// Why.
        error: String,
    },
    /// No socket.
    #[error("cannot open a UDP socket: {0}")]
    Socket(String),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No connection can be made: another certificate than was asked for, or another protocol.
    #[error("{target} is not the node that was asked for, or does not speak anabranch/1: {why}")]
    Handshake {
        /// Who.
        target: String,
        /// Why.
        why: String,
    },
    /// The node refused a client in a way that asking again cannot change.
    #[error("{target} let nobody in (code {code:#04x}): {reason}")]
    Refused {
        /// Who.
        target: String,
        /// Its code.
        code: u64,
        /// Why.
        reason: String,
    },
    /// The node refused events, and always will.
    #[error("{target} refused events of partition {partition} with code {code:#04x}: {text}; {advice}")]
    Publish {
        /// Who.
        target: String,
        /// Of which partition.
        partition: u32,
        /// Its code.
        code: u64,
        /// Why.
        text: String,
        /// What to do.
        advice: String,
    },
    /// The node refused a subscription or a commit, or ended a subscription.
    #[error("{target} refused or ended {what} with code {code:#04x}: {text}; {advice}")]
    Subscription {
        /// Who.
        target: String,
        /// `subscription 3` or `a commit`.
        what: String,
        /// Its code.
        code: u64,
        /// Why.
        text: String,
        /// What to do.
        advice: String,
    },
    /// What came is not what the specification says.
    #[error("{target} does not keep to the protocol: {what}")]
    Protocol {
        /// Who.
        target: String,
        /// What.
        what: String,
    },
    /// The node could not be reached for as long as was allowed.
    #[error("{target} could not be reached for {after:?}: {why}")]
    Unreachable {
        /// Who.
        target: String,
        /// How long it was tried.
        after: Duration,
        /// What went wrong last.
        why: String,
    },
    /// A connection broke that nobody opens again.
    #[error("a connection to {target} broke: {why}")]
    Broken {
        /// Who.
        target: String,
        /// Why.
        why: String,
    },
    /// A thread or a connection's task died.
    #[error("a connection ended by a fault of the load generator: {0}")]
    Fault(String),
}

/// What a run did.
#[derive(Debug)]
pub struct QuicOutcome {
    /// What was sent and acknowledged, by device.
    pub ledger: Ledger,
    /// From intended send time to ACK, per event.
    pub latencies: Latencies,
    /// From the first byte of opening a connection to WELCOME; one value per connection that stood.
    pub connects: Latencies,
    /// From the start until all connections stood and publishing began.
    pub connecting: Duration,
    /// From there to the last ACK.
    pub elapsed: Duration,
    /// Connections that broke.
    pub reconnects: u64,
    /// Connections given up: their remaining events were never sent.
    pub abandoned: u32,
    /// Frames that the node refused for a while.
    pub refusals: u64,
    /// PUBLISH frames that were acknowledged.
    pub frames: u64,
    /// Attempts to connect, and connections, that failed.
    pub retries: u64,
    /// Bytes written to streams, repeats included.
    pub bytes: u64,
}

impl QuicOutcome {
    /// For a summary.
    pub fn figures(&self) -> Figures<'_> {
        Figures {
            ledger: &self.ledger,
            receipts: true,
            latencies: &self.latencies,
            elapsed: self.elapsed,
            requests: self.frames,
            retries: self.retries,
            bytes: self.bytes,
        }
    }
}

/// Ends the threads when nobody waits for them any more.
struct HaltOnDrop(Arc<Run>);

impl Drop for HaltOnDrop {
    fn drop(&mut self) {
        self.0.control.go_on(Phase::Halted);
    }
}

/// Runs `plan` on threads of its own until its events are acknowledged or `stop` says true; ACKs that are owed are waited for first.
pub async fn run(
    mut plan: QuicPlan,
    progress: Arc<Progress>,
    mut stop: watch::Receiver<bool>,
) -> Result<QuicOutcome, QuicError> {
    plan.connections = plan.connections.clamp(1, plan.devices.max(1));
    let (connections, threads) = (plan.connections, plan.threads.clamp(1, plan.connections));
    let dialer = Dialer::new(plan.access.clone()).await?;
    let began = Instant::now();
    let run = Arc::new(Run { plan, progress: progress.clone(), control: Control::new(connections), dialer, began });
    let halt = HaltOnDrop(run.clone());
    let mut workers = JoinSet::new();
    for thread in 0..threads {
        let run = run.clone();
        let share = fleet::share(connections, thread, threads);
        workers.spawn_blocking(move || publish::work(&run, share));
    }
    let mut phase = run.control.watch();
    let (mut running_since, mut stopping) = (None, false);
    let (mut books, mut failed) = (Vec::new(), None);
    loop {
        tokio::select! {
            ended = workers.join_next() => match ended {
                None => break,
                Some(ended) => match ended.map_err(|error| QuicError::Fault(error.to_string())).and_then(|book| book) {
                    Ok(more) => books.extend(more),
                    Err(error) => {
                        run.control.go_on(Phase::Halted);
                        failed.get_or_insert(error);
                    }
                },
            },
            () = told(&mut stop), if !stopping => {
                stopping = true;
                run.control.go_on(Phase::Stopping);
            }
            _ = phase.changed() => {}
        }
        if let Phase::Running(since) = *phase.borrow_and_update() {
            running_since.get_or_insert(since);
        }
    }
    drop(halt);
    if let Some(error) = failed {
        return Err(error);
    }
    let ended = books.iter().filter_map(|book: &publish::Book| book.ended).max().unwrap_or_else(Instant::now);
    let since = running_since.unwrap_or(ended);
    let mut outcome = QuicOutcome {
        ledger: Ledger::default(),
        latencies: Latencies::default(),
        connects: Latencies::default(),
        connecting: since - began,
        elapsed: ended.saturating_duration_since(since),
        reconnects: 0,
        abandoned: 0,
        refusals: 0,
        frames: 0,
        retries: progress.retries.load(Ordering::Relaxed),
        bytes: progress.sent_bytes.load(Ordering::Relaxed),
    };
    let mut ledgers = Vec::new();
    for book in books {
        outcome.latencies.merge(&book.latencies);
        outcome.connects.merge(&book.connects);
        outcome.reconnects += book.reconnects;
        outcome.abandoned += u32::from(book.is_abandoned);
        outcome.refusals += book.refusals;
        outcome.frames += book.frames;
        ledgers.push(book.ledger);
    }
    outcome.ledger = Ledger::join(ledgers);
    Ok(outcome)
}
