//! MQTT 3.1.1 and 5: a fleet that publishes over any number of connections, a subscriber that reads back, many that count, and
//! connections that say nothing.
//!
//! A connection carries its devices' events one by one, many in a write, and has up to a window of them without a receipt. When it
//! breaks it is opened again, with its session at QoS 1 and 2, and what waited is sent again; so the broker may be killed and
//! restarted under load. At QoS 0 there are no receipts: events are sent, never acknowledged, and what a broken connection had
//! swallowed is lost without anybody knowing.

mod codec;
mod dial;
mod fan_out;
mod idle;
mod limits;
mod plan;
mod publish;
mod subscribe;
mod topic;
mod window;
mod worker;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::control::{Control, Phase};
use super::{Progress, told};
use crate::fleet;
use crate::histogram::Latencies;
use crate::ledger::Ledger;
use crate::report::Figures;
use dial::Dialer;
use worker::Run;

pub use super::tls::TlsError;
pub use codec::{CodecError, Publish, Qos, Version};
pub use fan_out::{FanOut, FanOutOutcome, FanOutPlan};
pub use idle::{Idle, IdlePlan, idle};
pub use plan::{Access, MqttPlan, Target, TargetError};
pub use subscribe::{SubscribeOutcome, SubscribePlan, subscribe};
pub use topic::{Topic, TopicError};

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    /// The target's name leads nowhere.
    #[error("cannot find {target}: {error}")]
    Resolve {
        /// Who.
        target: String,
        /// Why.
        error: String,
    },
    /// More connections than the system lets a process have files.
    #[error(
        "{connections} connections need {needed} open files, and this process may have {files_max}: raise the limit \
         (`ulimit -n {needed}` as root, LimitNOFILE= of a service), or spread the connections over several machines"
    )]
    Files {
        /// Connections wanted.
        connections: u32,
        /// Files they need.
        needed: u64,
        /// Files that may be had.
        files_max: u64,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The broker refused a client in a way that asking again cannot change.
    #[error("{target} refused client `{client}`: {reason}")]
    Refused {
        /// Who.
        target: String,
        /// Client id.
        client: String,
        /// Why.
        reason: &'static str,
    },
    /// The broker ended a connection in a way that another connection cannot change.
    #[error("{target} cut connection {client} off: {reason}")]
    Disconnected {
        /// Who.
        target: String,
        /// The connection's number.
        client: u32,
        /// Why.
        reason: &'static str,
    },
    /// The broker does not take what the plan asks for.
    #[error("{target} takes QoS {qos_max} at most; choose that or a lower one")]
    Qos {
        /// Who.
        target: String,
        /// Highest that it takes.
        qos_max: u8,
    },
    /// The broker refused a subscription.
    #[error("{target} refused the subscription to `{filter}` with code {code:#04x}")]
    Subscription {
        /// Who.
        target: String,
        /// The topic filter.
        filter: String,
        /// Its code.
        code: u8,
    },
    /// Something that is not MQTT was read, or a packet cannot be written.
    #[error("no MQTT with {target}: {error}")]
    Codec {
        /// Who.
        target: String,
        /// What.
        error: CodecError,
    },
    /// The broker could not be reached for as long as was allowed.
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
pub struct MqttOutcome {
    /// What was sent and acknowledged, by device. At QoS 0 nothing is ever acknowledged.
    pub ledger: Ledger,
    /// False at QoS 0: the ledger says what was sent, and nobody can say what arrived.
    pub has_receipts: bool,
    /// From intended send time to PUBACK (QoS 1) or PUBCOMP (QoS 2), per message.
    pub latencies: Latencies,
    /// From the first byte of opening a connection to CONNACK; one value per connection that stood.
    pub connects: Latencies,
    /// From the start until all connections stood and publishing began.
    pub connecting: Duration,
    /// From there to the last receipt.
    pub elapsed: Duration,
    /// Connections that broke.
    pub reconnects: u64,
    /// Connections given up: their remaining events were never sent.
    pub abandoned: u32,
    /// Messages that the broker refused one by one.
    pub refused: u64,
    /// Attempts to connect, and connections, that failed.
    pub retries: u64,
    /// Bytes written, repeats included.
    pub bytes: u64,
}

impl MqttOutcome {
    /// For a summary.
    pub fn figures(&self) -> Figures<'_> {
        Figures {
            ledger: &self.ledger,
            receipts: self.has_receipts,
            latencies: &self.latencies,
            elapsed: self.elapsed,
            requests: self.ledger.acknowledged_events(),
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

/// Runs `plan` on threads of its own until its events are acknowledged (at QoS 0: written) or `stop` says true; receipts that are
/// owed are waited for first.
pub async fn run(
    mut plan: MqttPlan,
    progress: Arc<Progress>,
    mut stop: watch::Receiver<bool>,
) -> Result<MqttOutcome, MqttError> {
    plan.connections = plan.connections.clamp(1, plan.devices.max(1));
    let (connections, threads) = (plan.connections, plan.threads.clamp(1, plan.connections));
    limits::make_room(u64::from(connections)).map_err(|(needed, files_max)| MqttError::Files {
        connections,
        needed,
        files_max,
    })?;
    let dialer = Dialer::new(plan.access.clone(), plan.sources.clone(), connections).await?;
    let has_receipts = plan.qos > Qos::AtMostOnce;
    let began = Instant::now();
    let run = Arc::new(Run { plan, progress: progress.clone(), control: Control::new(connections), dialer, began });
    let halt = HaltOnDrop(run.clone());
    let mut workers = JoinSet::new();
    for thread in 0..threads {
        let run = run.clone();
        let share = fleet::share(connections, thread, threads);
        workers.spawn_blocking(move || worker::work(run, share));
    }
    let mut phase = run.control.watch();
    let (mut running_since, mut stopping) = (None, false);
    let (mut books, mut failed) = (Vec::new(), None);
    loop {
        tokio::select! {
            ended = workers.join_next() => match ended {
                None => break,
                Some(ended) => match ended.map_err(|error| MqttError::Fault(error.to_string())).and_then(|book| book) {
                    Ok(book) => books.push(book),
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
    let ended = Instant::now();
    let since = running_since.unwrap_or(ended);
    let mut outcome = MqttOutcome {
        ledger: Ledger::default(),
        has_receipts,
        latencies: Latencies::default(),
        connects: Latencies::default(),
        connecting: since - began,
        elapsed: ended - since,
        reconnects: 0,
        abandoned: 0,
        refused: 0,
        retries: progress.retries.load(Ordering::Relaxed),
        bytes: progress.sent_bytes.load(Ordering::Relaxed),
    };
    let mut ledgers = Vec::new();
    for book in books {
        outcome.latencies.merge(&book.latencies);
        outcome.connects.merge(&book.connects);
        outcome.reconnects += book.reconnects;
        outcome.abandoned += book.abandoned;
        outcome.refused += book.refused;
        ledgers.push(book.ledger);
    }
    outcome.ledger = Ledger::join(ledgers);
    Ok(outcome)
}
