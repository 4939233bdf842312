//! Many publishers at a message a second each, and one subscriber of everything: the time from one end to the other.
//!
//! It counts from the moment at which the publisher made the message, which stands in it, to the one at which the subscriber has read
//! it. What always holds: every message that was sent arrives, or the turn fails. The beginning does not count.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use loadgen::client::Progress;
use loadgen::client::mqtt::{self, MqttPlan, Qos, SubscribePlan};
use loadgen::clock::now_us;
use loadgen::fleet::read_back;
use loadgen::histogram::{Latencies, Quantiles};
use loadgen::pace::Pace;
use loadgen::report::grouped;
use tokio::sync::{oneshot, watch};

use super::Cores;
use super::brokers::{Ask, Broker, Kind};
use super::turns::{Brokers, Metric, rows, take_turns};
use crate::process::{busy_ns, busy_ns_when_quiet};
use crate::row::Row;
use crate::{Setting, cores};

const PUBLISHERS: u32 = 10_000;
/// Messages that are still under way when all are sent have this long.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// `connections_max` is what open files allow.
pub fn run(setting: &Setting, on: Cores, kinds: &[Kind], connections_max: u32) -> Result<Vec<Row>, Box<dyn Error>> {
    let (publishers, seconds, warm_up, rounds) = match setting.quick {
        true => (200, 1, Duration::from_millis(200), 1),
        false => (PUBLISHERS.min(connections_max), 10, Duration::from_secs(1), 3),
    };
    let mut brokers = Brokers::new(setting, Ask::default(), on.server);
    let taken = take_turns(kinds, rounds, |kind, counts| {
        let broker = brokers.get(kind)?;
        if setting.quick && !counts {
            return Ok((broker.version.clone(), Vec::new()));
        }
        let seconds = if counts { seconds } else { 3 };
        let measured = cores::on(on.driver, || measure(broker, publishers, seconds, warm_up))??;
        let Quantiles { p50_us, p99_us, p999_us, .. } = measured.latency;
        Ok((broker.version.clone(), vec![p50_us as f64, p99_us as f64, p999_us as f64, measured.cpu_ns]))
    })?;
    let metrics = [
        Metric::new("end to end, p50", "µs", ""),
        Metric::new("end to end, p99", "µs", "target: less than 5 ms"),
        Metric::new("end to end, p99.9", "µs", ""),
        Metric::new("CPU per message, in and out", "ns", ""),
    ];
    let case =
        format!("{} publishers, a message a second each (QoS 1), one subscriber (QoS 0)", grouped(publishers.into()));
    Ok(rows(&case, &metrics, &taken, setting.quick))
}

/// What one turn measured.
pub struct Measured {
    /// From sending to arrival.
    pub latency: Quantiles,
    /// Processor time of the broker per message.
    pub cpu_ns: f64,
}

/// A message a second of each publisher. What is sent within `warm_up` of the first message has no latency.
pub fn measure(broker: &Broker, publishers: u32, seconds: u32, warm_up: Duration) -> Result<Measured, Box<dyn Error>> {
    let (_go_on, go_on) = watch::channel(false);
    let subscriber = Subscriber::start(broker, warm_up)?;
    let mut plan = MqttPlan::new(broker.target.clone(), publishers);
    plan.qos = Qos::AtLeastOnce;
    plan.connections = publishers;
    plan.pace = Pace::Constant(f64::from(publishers));
    plan.events = u64::from(publishers) * u64::from(seconds);
    plan.client_prefix = "bench".to_owned();
    plan.access.session_expiry_s = 0;
    // The queue of connections that a broker has not accepted yet is short, and one of them takes a thousand a second.
    plan.connects_per_s = 2_000.0;
    let messages = plan.events;
    let progress = Arc::new(Progress::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut before = busy_ns(broker.pid())?;
    let outcome = runtime.block_on(async {
        let mut run = std::pin::pin!(mqtt::run(plan, progress.clone(), go_on));
        let mut looks = tokio::time::interval(Duration::from_millis(1));
        loop {
            tokio::select! {
                outcome = &mut run => break Ok::<_, Box<dyn Error>>(outcome?),
                _ = looks.tick(), if progress.look().sent_events == 0 => before = busy_ns(broker.pid())?,
            }
        }
    })?;
    if outcome.ledger.acknowledged_events() != messages {
        return Err(format!("{} of {messages} messages were acknowledged", outcome.ledger.acknowledged_events()).into());
    }
    let latency = subscriber.end(messages)?;
    let busy = busy_ns_when_quiet(broker.pid())?.saturating_sub(before);
    Ok(Measured { latency, cpu_ns: busy as f64 / messages as f64 })
}

/// A subscriber on a thread of its own.
struct Subscriber {
    arrived: Arc<AtomicU64>,
    stop: watch::Sender<bool>,
    thread: std::thread::JoinHandle<Result<Latencies, String>>,
}

impl Subscriber {
    /// Waits until the subscription stands.
    fn start(broker: &Broker, warm_up: Duration) -> Result<Self, Box<dyn Error>> {
        let mut plan = SubscribePlan::new(broker.target.clone(), "all", vec!["devices/#".to_owned()]);
        plan.qos = Qos::AtMostOnce;
        plan.persistent = false;
        let (stop, stopped) = watch::channel(false);
        let (ready, stands) = oneshot::channel();
        let arrived = Arc::new(AtomicU64::new(0));
        let counted = arrived.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("subscriber".into()).spawn(move || {
            let (mut latencies, mut first_us, mut wrong) = (Latencies::default(), None, 0u64);
            let taken = mqtt::subscribe(plan, stopped, Some(ready), |message| {
                let Ok(event) = read_back(message.payload) else {
                    wrong += 1;
                    return;
                };
                // Of several publishers, the first to be heard need not be the first that sent.
                let since_us = event.ts_us.saturating_sub(*first_us.get_or_insert(event.ts_us));
                if u128::from(since_us) > warm_up.as_micros() {
                    latencies.record_us(now_us().saturating_sub(event.ts_us));
                }
                counted.fetch_add(1, Ordering::Relaxed);
            });
            let seen = runtime.block_on(taken).map_err(|error| error.to_string())?;
            match (wrong, seen.reconnects) {
                (0, 0) => Ok(latencies),
                (0, broken) => Err(format!("the subscriber's connection broke {broken} times")),
                (wrong, _) => Err(format!("{wrong} messages were not as they were sent")),
            }
        })?;
        let subscriber = Self { arrived, stop, thread };
        match stands.blocking_recv() {
            Ok(()) => Ok(subscriber),
            // It ended before: for a reason that it tells.
            Err(_) => Err(subscriber.end(0).err().unwrap_or_else(|| "the subscriber ended early".into())),
        }
    }

    /// Waits for so many messages.
    fn end(self, messages: u64) -> Result<Quantiles, Box<dyn Error>> {
        let began = Instant::now();
        while self.arrived.load(Ordering::Relaxed) < messages && began.elapsed() < DRAIN_MAX {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.stop.send_replace(true);
        let latencies = self.thread.join().map_err(|_| "the subscriber's thread ended by a fault")??;
        let arrived = self.arrived.load(Ordering::Relaxed);
        match arrived == messages {
            true => Ok(latencies.quantiles()),
            false => Err(format!("{arrived} of {messages} messages arrived").into()),
        }
    }
}
