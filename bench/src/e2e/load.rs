//! The load: a fleet over HTTP from the other cores, as a ramp to find the knee or at a rate, and what came of it.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use loadgen::client::Progress;
use loadgen::client::http::{self, HttpOutcome, HttpPlan};
use loadgen::fleet::{Filter, Model};
use loadgen::histogram::{Latencies, Quantiles};
use loadgen::pace::{Pace, Rate};
use loadgen::report::knee;
use loadgen::series::Series;
use tokio::sync::watch;

use super::setup::{Contestant, PUSHED};
use crate::process::{processor_time, resident_mib};
use crate::rounds::thread_cpu;
use crate::{Setting, cores};

const DEVICES: u32 = 100_000;
const CONNECTIONS: u32 = 32;
/// Events of a request: a gateway that gathers for some milliseconds.
const BATCH: usize = 100;
/// How often a ramp is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Pushes that are still under way when all events are acknowledged have this long.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// How long to load whom, and from where.
pub struct Load {
    server_cores: Vec<usize>,
    client_cores: Vec<usize>,
    closed: Duration,
    ramp: Duration,
    steady: Duration,
}

/// What came of one run.
pub struct Loaded {
    /// From intended send time to answer.
    pub ack: Quantiles,
    /// From intended send time to arrival at the receiver.
    pub push: Quantiles,
    /// Acknowledged events per second.
    pub per_s: f64,
    /// Processor time of the server per event.
    pub cpu_ns: f64,
    /// Of the server, at the end.
    pub resident_mib: f64,
    /// Share of their cores that the senders used.
    pub client_busy: f64,
}

struct Sent {
    outcome: HttpOutcome,
    cpu: Duration,
}

impl Load {
    /// One core for the server, the last one for everybody else.
    pub fn of(setting: &Setting) -> Result<Self, Box<dyn Error>> {
        let allowed = cores::allowed()?;
        let (&first, &last) =
            (allowed.first().ok_or("no core is allowed")?, allowed.last().ok_or("no core is allowed")?);
        Ok(Self::on(vec![first], vec![last], setting))
    }

    /// These cores for the server, those for everybody else.
    pub fn on(server_cores: Vec<usize>, client_cores: Vec<usize>, setting: &Setting) -> Self {
        let s = |full: f64, quick: f64| Duration::from_secs_f64(if setting.quick { quick } else { full });
        Self { server_cores, client_cores, closed: s(3.0, 0.5), ramp: s(14.0, 2.0), steady: s(4.0, 0.5) }
    }

    /// Cores of the server, and the one of the receivers.
    pub fn server_cores(&self) -> (&[usize], usize) {
        (&self.server_cores, *self.client_cores.last().expect("there is a client core"))
    }

    /// Acknowledged events per second, and their number, when every connection sends as soon as it has its answer.
    pub fn closed(&self, contestant: &Contestant) -> Result<(f64, u64), Box<dyn Error>> {
        let began = Instant::now();
        let sent = self.send(contestant, Pace::Closed, self.closed, None)?;
        let acknowledged: u64 = sent.iter().map(|sent| sent.outcome.ledger.acknowledged_events()).sum();
        Ok((acknowledged as f64 / began.elapsed().as_secs_f64(), acknowledged))
    }

    /// The highest rate that the contestant keeps up with.
    pub fn knee(&self, contestant: &Contestant) -> Result<f64, Box<dyn Error>> {
        let (most, _) = self.closed(contestant)?;
        let over_s = self.ramp.as_secs_f64();
        let rate = Rate::Ramp { from: most * 0.3, to: most * 1.3, over_s };
        let mut series = Series::default();
        self.send(contestant, Pace::Open { rate, poisson: false }, self.ramp, Some(&mut series))?;
        self.drain(contestant)?;
        series.intend(|at_s| rate.events_until(at_s));
        // A ramp that ends before the knee says that the closed loop was not the most.
        Ok(knee::knee(&series).unwrap_or(most))
    }

    /// Runs at a rate.
    pub fn run(&self, contestant: &Contestant, per_s: f64) -> Result<Loaded, Box<dyn Error>> {
        let pid = contestant.server.pid();
        contestant.receiver.clear_latencies();
        let arrived = contestant.arrived.load(Ordering::Relaxed);
        let (began, busy) = (Instant::now(), processor_time(pid)?);
        let sent = self.send(contestant, Pace::Constant(per_s), self.steady, None)?;
        let elapsed = began.elapsed().as_secs_f64();
        let filter = Filter::parse(PUSHED, &Model::telemetry())?;
        let (mut acknowledged, mut pushes, mut ack) = (0, 0, Latencies::default());
        for (part, sent) in sent.iter().enumerate() {
            let ledger = &sent.outcome.ledger;
            if ledger.acknowledged_events() != ledger.sent_events() {
                return Err(format!(
                    "{} events were not acknowledged",
                    ledger.sent_events() - ledger.acknowledged_events()
                )
                .into());
            }
            acknowledged += ledger.acknowledged_events();
            ack.merge(&sent.outcome.latencies);
            for device in ledger.devices() {
                let matches = (0..ledger.sent_by(device)).filter(|seq| filter.matches(seed(part), device, *seq));
                pushes += matches.count() as u64;
            }
        }
        let wanted = arrived + pushes;
        let waiting = Instant::now();
        while contestant.arrived.load(Ordering::Relaxed) < wanted {
            if waiting.elapsed() > DRAIN_MAX {
                let missing = wanted - contestant.arrived.load(Ordering::Relaxed);
                return Err(format!("{missing} of {pushes} pushes did not arrive within {DRAIN_MAX:?}").into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let client: Duration = sent.iter().map(|sent| sent.cpu).sum();
        Ok(Loaded {
            ack: ack.quantiles(),
            push: contestant.receiver.received().latency,
            per_s: acknowledged as f64 / elapsed,
            cpu_ns: processor_time(pid)?.saturating_sub(busy).as_nanos() as f64 / acknowledged.max(1) as f64,
            resident_mib: resident_mib(pid)?,
            client_busy: client.as_secs_f64() / elapsed / self.client_cores.len() as f64,
        })
    }

    /// Until nothing arrives any more.
    fn drain(&self, contestant: &Contestant) -> Result<(), Box<dyn Error>> {
        let began = Instant::now();
        let mut before = u64::MAX;
        while began.elapsed() < DRAIN_MAX {
            let now = contestant.arrived.load(Ordering::Relaxed);
            if now == before {
                return Ok(());
            }
            before = now;
            std::thread::sleep(Duration::from_millis(300));
        }
        Err(format!("pushes go on {DRAIN_MAX:?} after the load has ended").into())
    }

    /// One sender per client core, each with its own devices and share of the rate.
    fn send(
        &self,
        contestant: &Contestant,
        pace: Pace,
        time: Duration,
        mut series: Option<&mut Series>,
    ) -> Result<Vec<Sent>, Box<dyn Error>> {
        let progress = Arc::new(Progress::default());
        let target: http::Target = format!("{}/events", contestant.server.address).parse()?;
        let parts = self.client_cores.len();
        std::thread::scope(|scope| {
            let senders: Vec<_> = self
                .client_cores
                .iter()
                .enumerate()
                .map(|(part, &core)| {
                    let mut plan = HttpPlan::new(target.clone(), DEVICES / parts as u32);
                    plan.seed = seed(part);
                    plan.connections = (CONNECTIONS / parts as u32).max(8);
                    plan.batch = BATCH;
                    plan.pace = divided(pace, parts);
                    let progress = progress.clone();
                    scope.spawn(move || cores::on(core, || send_part(plan, progress, time)))
                })
                .collect();
            let began = Instant::now();
            if let Some(series) = &mut series {
                while began.elapsed() < time {
                    std::thread::sleep(LOOK);
                    series.push(&progress.look(), None);
                }
            }
            let ended = senders.into_iter().map(|sender| -> Result<Sent, Box<dyn Error>> {
                let sent = sender.join().map_err(|_| "a sender's thread ended early")?;
                Ok(sent.map_err(Box::<dyn Error>::from)?.map_err(|error| error.to_string())?)
            });
            ended.collect()
        })
    }
}

fn seed(part: usize) -> u64 {
    1 + part as u64
}

fn divided(pace: Pace, parts: usize) -> Pace {
    let part = |rate: f64| rate / parts as f64;
    match pace {
        Pace::Constant(rate) => Pace::Constant(part(rate)),
        Pace::Open { rate: Rate::Ramp { from, to, over_s }, poisson } => {
            Pace::Open { rate: Rate::Ramp { from: part(from), to: part(to), over_s }, poisson }
        }
        same => same,
    }
}

fn send_part(plan: HttpPlan, progress: Arc<Progress>, time: Duration) -> Result<Sent, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let before = thread_cpu();
    let outcome = runtime.block_on(async {
        let (stop, stopped) = watch::channel(false);
        let mut run = std::pin::pin!(http::run(plan, progress, stopped, None));
        tokio::select! {
            outcome = &mut run => return outcome,
            () = tokio::time::sleep(time) => { stop.send_replace(true); }
        }
        run.await
    });
    Ok(Sent { outcome: outcome.map_err(|error| error.to_string())?, cpu: thread_cpu() - before })
}
