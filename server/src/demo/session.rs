//! The demo from start to end: receiver, node and fleet, the view while they run, the drain, and the counting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use loadgen::client::Progress;
use loadgen::client::http::{self, HttpError, HttpOutcome, HttpPlan, TargetError};
use loadgen::fleet::FilterError;
use loadgen::histogram::Quantiles;
use loadgen::pace::Pace;
use loadgen::receiver::{Mode, Receiver};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};

use super::DemoArgs;
use super::adapter::{ALERTS, DemoNode, LIVE, Look, StartError, TELEMETRY};
use super::expected::{ALERT_FILTER, ALL_FILTER, CRITICAL_FILTER, Expected};
use super::folder::{Folder, FolderError};
use super::frame::{DemoFrame, EndpointFigures, IntakeFigures, Meter, Phase};
use super::parquet_rows::{self, CountError, Counted};
use super::screen::Screen;
use super::tail::Tail;
use super::verdict::{EndpointTally, Tally};

/// How long endpoints may take to deliver what is left after the fleet has stopped.
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// How often the drain is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(20);
/// How long a batch without a receipt is tried again: nobody restarts the demo's node.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

/// Figures whose rates are shown: acknowledged events, and what each of three endpoints matched.
const FIGURES: usize = 4;

/// Why a demo could not be carried through.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Its folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The webhook receiver.
    #[error("cannot start the webhook receiver: {0}")]
    Receiver(std::io::Error),
    /// A runtime, a thread or a signal handler.
    #[error("cannot start a thread or listen for Ctrl-C: {0}")]
    Runtime(std::io::Error),
    /// The node.
    #[error(transparent)]
    Node(#[from] StartError),
    /// The node's address.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The fleet's client.
    #[error("the fleet stopped: {0}")]
    Fleet(#[from] HttpError),
    /// The demo's filters.
    #[error("the load generator does not understand the demo's filter: {0}")]
    Filter(#[from] FilterError),
    /// The fleet's thread.
    #[error("the fleet's thread ended without a result")]
    FleetGone,
    /// The file of the live tail.
    #[error("cannot follow {path}: {error}")]
    Tail {
        /// Which.
        path: std::path::PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The Parquet files.
    #[error(transparent)]
    Parquet(#[from] CountError),
}

/// What is told when all is over.
#[derive(Debug)]
pub struct Ended {
    /// All counts.
    pub tally: Tally,
    /// Seconds from the first batch to the last receipt.
    pub seconds: f64,
    /// Acknowledged events per second.
    pub events_per_s: f64,
    /// From the intended time of a batch to its receipt.
    pub ack_latency: Quantiles,
    /// From a device's clock to the webhook receiver.
    pub push_latency: Quantiles,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// The Parquet files.
    pub parquet: Counted,
}

/// A demo at work.
pub struct Session<'a> {
    args: &'a DemoArgs,
    folder: &'a Folder,
    receiver: Receiver,
    node: DemoNode,
    screen: Screen,
    tail: Tail,
    expected: Arc<Expected>,
    progress: Arc<Progress>,
    started: Instant,
    looked: Instant,
    meter: Meter,
    interrupts: Signal,
}

impl<'a> Session<'a> {
    /// Starts the receiver and the node.
    pub fn start(args: &'a DemoArgs, folder: &'a Folder) -> Result<Self, DemoError> {
        let receiver = Receiver::start(Mode::Healthy).map_err(DemoError::Receiver)?;
        let node = DemoNode::start(folder.places(), &receiver.url())?;
        println!("node on http://{}, webhook receiver on {}", node.http_addr(), receiver.url());
        println!("data in {}\n", folder.path().display());
        Ok(Self {
            args,
            folder,
            receiver,
            node,
            screen: Screen::open(),
            tail: Tail::new(folder.places().live.clone()),
            expected: Arc::new(Expected::new(args.seed)?),
            progress: Arc::default(),
            started: Instant::now(),
            looked: Instant::now(),
            meter: Meter::new(FIGURES),
            interrupts: signal(SignalKind::interrupt()).map_err(DemoError::Runtime)?,
        })
    }

    /// Sends, shows, drains, counts.
    pub async fn run(mut self) -> Result<Ended, DemoError> {
        let outcome = self.send().await?;
        self.drain().await?;
        let look = self.look();
        self.show(Phase::Draining)?;
        self.screen.close();
        self.node.stop().await;
        self.tail.follow().map_err(|error| self.tail.error(error))?;
        let parquet = parquet_rows::count(&self.folder.places().parquet)?;
        let received = self.receiver.received();
        let seconds = outcome.elapsed.as_secs_f64();
        Ok(Ended {
            tally: tally(&outcome, &self.expected, &look, received.events, parquet, self.tail.lines()),
            seconds,
            events_per_s: outcome.ledger.acknowledged_events() as f64 / seconds.max(1e-9),
            ack_latency: outcome.latencies.quantiles(),
            push_latency: received.latency,
            log_bytes: look.log_bytes,
            parquet,
        })
    }

    /// Lets the fleet send until its time is over or somebody presses Ctrl-C.
    async fn send(&mut self) -> Result<HttpOutcome, DemoError> {
        let (stop, stopped) = watch::channel(false);
        let mut outcome = self.start_fleet(stopped)?;
        let mut ticks = tokio::time::interval(self.screen.interval());
        ticks.tick().await;
        let mut end = std::pin::pin!(tokio::time::sleep(Duration::from_secs_f64(self.args.seconds)));
        loop {
            tokio::select! {
                outcome = &mut outcome => return Ok(outcome.map_err(|_| DemoError::FleetGone)??),
                () = &mut end, if !*stop.borrow() => { stop.send_replace(true); }
                Some(()) = self.interrupts.recv() => { stop.send_replace(true); }
                _ = ticks.tick() => self.show(Phase::Sending)?,
            }
        }
    }

    /// The fleet has a thread of its own, so that the view never waits for it.
    fn start_fleet(
        &mut self,
        stopped: watch::Receiver<bool>,
    ) -> Result<oneshot::Receiver<Result<HttpOutcome, HttpError>>, DemoError> {
        let mut plan = HttpPlan::new(self.node.ingest_url().parse()?, self.args.devices);
        plan.seed = self.args.seed;
        plan.give_up_after = GIVE_UP_AFTER;
        plan.pace = match self.args.rate {
            Some(0.0) => Pace::Closed,
            rate => Pace::Constant(rate.unwrap_or(f64::from(self.args.devices))),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DemoError::Runtime)?;
        let (sender, outcome) = oneshot::channel();
        let (progress, observer) = (self.progress.clone(), self.expected.observer());
        self.started = Instant::now();
        self.looked = self.started;
        let fleet = move || {
            // Whoever waited for it is gone only if the demo failed elsewhere, which it says itself.
            let _ = sender.send(runtime.block_on(http::run(plan, progress, stopped, Some(observer))));
        };
        std::thread::Builder::new().name("fleet".into()).spawn(fleet).map_err(DemoError::Runtime)?;
        Ok(outcome)
    }

    /// Waits until everything has matched and the endpoints that deliver as they go have delivered, or Ctrl-C.
    async fn drain(&mut self) -> Result<(), DemoError> {
        let began = Instant::now();
        let mut ticks = tokio::time::interval(DRAIN_LOOK);
        let mut shown = Instant::now();
        while !self.is_settled()? && began.elapsed() < DRAIN_MAX {
            tokio::select! {
                _ = ticks.tick() => {}
                Some(()) = self.interrupts.recv() => return Ok(()),
            }
            if shown.elapsed() >= self.screen.interval() {
                shown = Instant::now();
                self.show(Phase::Draining)?;
            }
        }
        Ok(())
    }

    fn is_settled(&mut self) -> Result<bool, DemoError> {
        self.tail.follow().map_err(|error| self.tail.error(error))?;
        let look = self.look();
        let [alerts, telemetry, live] = &look.endpoints[..] else { return Ok(false) };
        Ok(alerts.matched >= self.expected.alerts()
            && telemetry.matched >= self.expected.all()
            && live.matched >= self.expected.critical()
            && self.receiver.received().events + alerts.dead_lettered >= alerts.matched
            && self.tail.lines() >= live.matched)
    }

    fn look(&self) -> Look {
        self.node.look(&[ALERTS, TELEMETRY, LIVE])
    }

    fn show(&mut self, phase: Phase) -> Result<(), DemoError> {
        self.tail.follow().map_err(|error| self.tail.error(error))?;
        let (look, fleet) = (self.look(), self.progress.look());
        let since = self.looked.elapsed().as_secs_f64();
        self.looked = Instant::now();
        let counts: Vec<u64> = [fleet.acknowledged_events]
            .into_iter()
            .chain(look.endpoints.iter().map(|endpoint| endpoint.matched))
            .collect();
        let rates = self.meter.rates(&counts, since);
        let words =
            [(ALERTS, "webhook", ALERT_FILTER), (TELEMETRY, "parquet", ALL_FILTER), (LIVE, "tail", CRITICAL_FILTER)];
        let endpoints = words.into_iter().zip(&look.endpoints).zip(&rates[1..]);
        self.screen.show(&DemoFrame {
            phase,
            elapsed_s: self.started.elapsed().as_secs_f64(),
            seconds: self.args.seconds,
            devices: self.args.devices,
            intake: IntakeFigures {
                sent: fleet.sent_events,
                acknowledged: fleet.acknowledged_events,
                per_s: rates[0],
                p50_us: fleet.recent.p50_us,
                p99_us: fleet.recent.p99_us,
                retries: fleet.retries,
                trouble: fleet.trouble,
            },
            log_bytes: look.log_bytes,
            endpoints: endpoints
                .map(|(((name, kind, filter), endpoint), &matched_per_s)| EndpointFigures {
                    name: name.to_owned(),
                    kind,
                    filter,
                    matched: endpoint.matched,
                    matched_per_s,
                    delivered: endpoint.delivered,
                    lag_events: endpoint.lag_events,
                    dead_lettered: endpoint.dead_lettered,
                })
                .collect(),
            critical: self.tail.last(),
        });
        Ok(())
    }
}

fn tally(
    outcome: &HttpOutcome,
    expected: &Expected,
    look: &Look,
    received: u64,
    parquet: Counted,
    tailed: u64,
) -> Tally {
    let row = |at: usize, name: &str, far_end, expected, arrived| {
        let endpoint = look.endpoints.get(at).cloned().unwrap_or_default();
        EndpointTally {
            name: name.to_owned(),
            far_end,
            expected,
            matched: endpoint.matched,
            arrived,
            dead_lettered: endpoint.dead_lettered,
        }
    };
    Tally {
        sent: outcome.ledger.sent_events(),
        acknowledged: outcome.ledger.acknowledged_events(),
        repeated: outcome.ledger.repeated_events(),
        retries: outcome.retries,
        in_log: look.events_in,
        endpoints: vec![
            row(0, ALERTS, "by the webhook receiver", expected.alerts(), received),
            row(1, TELEMETRY, "in the footers of the Parquet files", expected.all(), parquet.rows),
            row(2, LIVE, "in the file of the live tail", expected.critical(), tailed),
        ],
    }
}
