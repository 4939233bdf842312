//! Sends a fleet's events over HTTP/1.1 keep-alive connections: bulk NDJSON, or CloudEvents in structured or batch mode.
//!
//! A connection makes a batch, posts it and waits for the receipt. Anything but a receipt (refused connection, reset, timeout,
//! 429, 5xx) is tried again with the same bytes after a pause that doubles, so the target may be killed and restarted under load;
//! an answer that no repetition can change (400, 404, 413 …) ends the run with the target's own words.

mod link;
mod plan;
mod receipt;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Observer, Progress};
use crate::clock::now_us;
use crate::fleet::{self, Emitted, Fleet};
use crate::histogram::Latencies;
use crate::ledger::Ledger;
use crate::pace::Schedule;
use crate::report::Figures;

use link::{Attempt, Link};

pub use plan::{Format, HttpPlan, Target, TargetError};

/// First pause before a batch is sent again.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
/// Longest pause of the doubling ones.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// Longest pause that a target may ask for with `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

/// Why a run ended early.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The target answered in a way that sending again cannot change.
    #[error("{target} refused a batch with status {status}: {answer}")]
    Refused {
        /// Who.
        target: String,
        /// HTTP status.
        status: u16,
        /// What it said.
        answer: String,
    },
    /// The target kept only a part of a batch of valid events.
    #[error("{target} took {accepted} of a batch of {sent} valid events: {answer}")]
    Partial {
        /// Who.
        target: String,
        /// Events it says it took.
        accepted: u64,
        /// Events of the batch.
        sent: u64,
        /// What it said.
        answer: String,
    },
    /// A connection's task died.
    #[error("a connection ended by a fault of the load generator: {0}")]
    Fault(String),
}

/// What a run did.
#[derive(Debug)]
pub struct HttpOutcome {
    /// What was sent and acknowledged, by device.
    pub ledger: Ledger,
    /// From intended send time to receipt, per batch.
    pub latencies: Latencies,
    /// From the first batch to the last receipt.
    pub elapsed: Duration,
    /// Requests that got a receipt.
    pub requests: u64,
    /// Attempts without a receipt.
    pub retries: u64,
    /// Bytes of bodies, repeats included.
    pub bytes: u64,
}

impl HttpOutcome {
    /// For a summary.
    pub fn figures(&self) -> Figures<'_> {
        Figures {
            ledger: &self.ledger,
            receipts: true,
            latencies: &self.latencies,
            elapsed: self.elapsed,
            requests: self.requests,
            retries: self.retries,
            bytes: self.bytes,
        }
    }
}

/// Runs `plan` until its events are acknowledged or `stop` says true; batches under way are finished first.
pub async fn run(
    plan: HttpPlan,
    progress: Arc<Progress>,
    stop: watch::Receiver<bool>,
    observer: Option<Observer>,
) -> Result<HttpOutcome, HttpError> {
    let started = Instant::now();
    let plan = Arc::new(plan);
    let (halt, halted) = watch::channel(false);
    let connections = plan.connections.clamp(1, plan.devices.max(1));
    let mut tasks = JoinSet::new();
    for part in 0..connections {
        let sender = Sender::new(plan.clone(), part, connections, started, progress.clone(), observer.clone());
        tasks.spawn(sender.run(stop.clone(), halted.clone()));
    }
    let (mut parts, mut latencies, mut requests, mut failed) = (Vec::new(), Latencies::default(), 0, None);
    while let Some(ended) = tasks.join_next().await {
        match ended.map_err(|error| HttpError::Fault(error.to_string())).and_then(|part| part) {
            Ok(part) => {
                latencies.merge(&part.latencies);
                requests += part.requests;
                parts.push(part.ledger);
            }
            Err(error) => {
                // The others stop at their next batch; who sent `false` cannot be gone, this function holds it.
                halt.send_replace(true);
                failed.get_or_insert(error);
            }
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    Ok(HttpOutcome {
        ledger: Ledger::join(parts),
        latencies,
        elapsed: started.elapsed(),
        requests,
        retries: progress.retries.load(Ordering::Relaxed),
        bytes: progress.sent_bytes.load(Ordering::Relaxed),
    })
}

/// One connection: its devices, its page of the ledger.
struct Sender {
    plan: Arc<HttpPlan>,
    progress: Arc<Progress>,
    observer: Option<Observer>,
    fleet: Fleet,
    ledger: Ledger,
    latencies: Latencies,
    schedule: Schedule,
    link: Link,
    quota: u64,
    requests: u64,
    batch: Vec<Emitted>,
    pauses: fastrand::Rng,
}

struct Part {
    ledger: Ledger,
    latencies: Latencies,
    requests: u64,
}

impl Sender {
    fn new(
        plan: Arc<HttpPlan>,
        part: u32,
        parts: u32,
        started: Instant,
        progress: Arc<Progress>,
        observer: Option<Observer>,
    ) -> Self {
        let range = fleet::share(plan.devices, part, parts);
        let edge = |part: u32| (u128::from(plan.events) * u128::from(part) / u128::from(parts)) as u64;
        let quota = edge(part + 1) - edge(part);
        Self {
            progress,
            observer,
            fleet: Fleet::of(plan.model.clone(), plan.seed, range.clone()),
            ledger: Ledger::new(range),
            latencies: Latencies::default(),
            schedule: Schedule::new(plan.pace, started, part, parts, plan.batch_events()),
            link: Link::new(plan.target.clone(), plan.format, plan.request_timeout),
            quota,
            requests: 0,
            batch: Vec::with_capacity(plan.batch_events()),
            pauses: fastrand::Rng::with_seed(plan.seed ^ u64::from(part)),
            plan,
        }
    }

    async fn run(
        mut self,
        mut stop: watch::Receiver<bool>,
        mut halt: watch::Receiver<bool>,
    ) -> Result<Part, HttpError> {
        let mut sent = 0;
        let mut body = Vec::new();
        while sent < self.quota && !self.fleet.is_empty() && !*stop.borrow() && !*halt.borrow() {
            let intended = match self.schedule.due(sent) {
                Some(due) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(due.into()) => {}
                        () = told(&mut stop) => break,
                        () = told(&mut halt) => break,
                    }
                    due
                }
                None => Instant::now(),
            };
            let count = (self.quota - sent).min(self.plan.batch_events() as u64) as usize;
            self.fill(count, intended, &mut body);
            sent += count as u64;
            let bytes = Bytes::from(body);
            if self.deliver(&bytes, &mut stop, &mut halt).await? {
                let latency = intended.elapsed();
                self.latencies.record(latency);
                self.requests += 1;
                for emitted in &self.batch {
                    self.ledger.acknowledge(emitted.device, emitted.seq);
                }
                if let Some(observer) = &self.observer {
                    observer(&self.batch);
                }
                self.progress.acknowledged(count as u64, latency);
            } else {
                for emitted in &self.batch {
                    self.ledger.give_up(emitted.device, emitted.seq);
                }
            }
            // The connection is done with the bytes, so this gives the same memory back.
            body = Vec::from(bytes);
        }
        Ok(Part { ledger: self.ledger, latencies: self.latencies, requests: self.requests })
    }

    fn fill(&mut self, count: usize, intended: Instant, body: &mut Vec<u8>) {
        body.clear();
        self.batch.clear();
        // The time at which they should have gone out, so that what a far end sees of their age is as honest as the latency here.
        let ts_us = now_us().saturating_sub(intended.elapsed().as_micros() as u64);
        for n in 0..count {
            let emitted = match self.plan.format {
                Format::Ndjson => self.fleet.write_event(ts_us, body),
                Format::CloudEventsBatch => {
                    body.push(if n == 0 { b'[' } else { b',' });
                    self.fleet.write_cloud_event(ts_us, body)
                }
                Format::CloudEvent => self.fleet.write_cloud_event(ts_us, body),
            };
            match self.plan.format {
                Format::Ndjson => body.push(b'\n'),
                Format::CloudEventsBatch if n + 1 == count => body.push(b']'),
                _ => {}
            }
            self.ledger.send(emitted.device, emitted.seq);
            self.batch.push(emitted);
        }
        self.progress.sent_events.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// True after a receipt, false when given up.
    async fn deliver(
        &mut self,
        body: &Bytes,
        stop: &mut watch::Receiver<bool>,
        halt: &mut watch::Receiver<bool>,
    ) -> Result<bool, HttpError> {
        let began = Instant::now();
        let (mut pause, mut may_have_arrived) = (PAUSE_FIRST, false);
        loop {
            if may_have_arrived {
                for emitted in &self.batch {
                    self.ledger.repeat(emitted.device, emitted.seq);
                }
            }
            let (why, asked, left) = match self.link.send(body.clone(), self.batch.len() as u64).await {
                Attempt::Receipt => {
                    self.progress.sent_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
                    return Ok(true);
                }
                Attempt::Fatal(error) => return Err(error),
                Attempt::Again { why, after, left } => (why, after, left),
            };
            if left {
                may_have_arrived = true;
                self.progress.sent_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
            }
            self.progress.retried(&why);
            if began.elapsed() >= self.plan.give_up_after || *stop.borrow() || *halt.borrow() {
                return Ok(false);
            }
            let wait = asked.map_or_else(|| pause.mul_f64(0.5 + self.pauses.f64()), |asked| asked.min(RETRY_AFTER_MAX));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // One more attempt, then it is given up.
                () = told(stop) => {}
                () = told(halt) => {}
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Until the flag is true; never again when its sender is gone.
async fn told(flag: &mut watch::Receiver<bool>) {
    if flag.wait_for(|&told| told).await.is_err() {
        std::future::pending::<()>().await;
    }
}
