//! A fleet that publishes: processor time of the broker per message, by QoS, window and number of connections.
//!
//! The time counts from the first message that is sent to the moment at which the broker has nothing to do any more. What always holds:
//! every message is acknowledged (QoS 1), and ours has all of them in its log and has matched them against its routes.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use loadgen::client::Progress;
use loadgen::client::mqtt::{self, MqttOutcome, MqttPlan, Qos};
use loadgen::receiver::{Mode, Receiver};
use loadgen::report::grouped;
use tokio::sync::watch;

use super::brokers::{Ask, Broker, Kind, PUSHED_DEVICE};
use super::turns::{Brokers, Metric, rows, take_turns};
use super::{Cores, hub};
use crate::process::{busy_ns, busy_ns_when_quiet};
use crate::row::Row;
use crate::{Setting, cores};

const DEVICES: u32 = 10_000;
const ROUTES: u32 = 1_000;
/// How exactly the first message is noticed.
const LOOK: Duration = Duration::from_millis(1);
/// Pushes arrive within this.
const PUSHED_WITHIN: Duration = Duration::from_secs(20);

struct Case {
    qos: Qos,
    connections: u32,
    window: u16,
    written: bool,
    routes: bool,
    messages: u64,
    target_ns: u32,
}

/// All cases. `connections_max` is what open files allow.
pub fn run(setting: &Setting, on: Cores, kinds: &[Kind], connections_max: u32) -> Result<Vec<Row>, Box<dyn Error>> {
    let many = if setting.quick { 200 } else { 2_000.min(connections_max) };
    let window_64 = |written, target_ns| Case {
        qos: Qos::AtLeastOnce,
        connections: 50,
        window: 64,
        written,
        routes: false,
        messages: 500_000,
        target_ns,
    };
    let cases = [
        Case { qos: Qos::AtMostOnce, routes: true, messages: 1_000_000, ..window_64(false, 500) },
        window_64(true, 600),
        window_64(false, 700),
        Case { connections: many, window: 1, messages: 200_000, ..window_64(false, 7_000) },
    ];
    let mut all = Vec::new();
    for case in &cases {
        all.extend(case.run(setting, on, kinds)?);
    }
    Ok(all)
}

impl Case {
    fn name(&self) -> String {
        let connections = format!("{} connections", grouped(u64::from(self.connections)));
        let ack = if self.written { "written" } else { "synced" };
        match self.qos {
            Qos::AtMostOnce => {
                format!("QoS 0, {connections}, pipelined; ours {ack}, {} routes", grouped(ROUTES.into()))
            }
            qos => format!("QoS {}, {connections}, window {}; ours {ack}", qos.level(), self.window),
        }
    }

    fn run(&self, setting: &Setting, on: Cores, kinds: &[Kind]) -> Result<Vec<Row>, Box<dyn Error>> {
        let (messages, rounds) = if setting.quick { (5_000, 1) } else { (self.messages, 3) };
        let arrived = Arc::new(AtomicU64::new(0));
        let counted = arrived.clone();
        let taker = Box::new(move |_: &[u8], _| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let receiver = cores::on(on.driver, || Receiver::listen_for(listen, Mode::Healthy, taker))??;
        let ask = Ask {
            written: self.written,
            routes: if self.routes { ROUTES } else { 0 },
            push_url: self.routes.then(|| receiver.url()),
        };
        let mut brokers = Brokers::new(setting, ask, on.server);
        let taken = take_turns(kinds, rounds, |kind, counts| {
            let broker = brokers.get(kind)?;
            let messages = if counts { messages } else { messages / 10 };
            let pushed = (kind == Kind::Ours && self.routes).then_some(&*arrived);
            let measured = cores::on(on.driver, || measure(broker, self.plan(broker, messages), pushed))??;
            Ok((broker.version.clone(), vec![measured.cpu_ns, measured.per_s]))
        })?;
        let metrics = [
            Metric::new("CPU per message", "ns", format!("target: at most {} ns", grouped(self.target_ns.into()))),
            Metric::new("rate", "messages/s", ""),
        ];
        Ok(rows(&self.name(), &metrics, &taken, setting.quick))
    }

    fn plan(&self, broker: &Broker, messages: u64) -> MqttPlan {
        let mut plan = MqttPlan::new(broker.target.clone(), DEVICES);
        plan.qos = self.qos;
        plan.connections = self.connections;
        plan.window = self.window;
        plan.events = messages;
        plan.client_prefix = "bench".to_owned();
        plan.access.session_expiry_s = 0;
        // A broker's queue of connections that it has not accepted yet is short.
        plan.connects_per_s = 5_000.0;
        plan
    }
}

/// What one turn measured.
pub struct Measured {
    /// Processor time of the broker per message.
    pub cpu_ns: f64,
    /// Messages per second, as the driver saw it.
    pub per_s: f64,
}

/// Runs a plan to its end. `pushed` counts what came of our first route.
pub fn measure(broker: &Broker, plan: MqttPlan, pushed: Option<&AtomicU64>) -> Result<Measured, Box<dyn Error>> {
    let (messages, connections) = (plan.events, u64::from(plan.connections));
    let hub_before = broker.http.as_deref().map(hub::events).transpose()?;
    let pushed_before = pushed.map_or(0, |pushed| pushed.load(Ordering::Relaxed));
    let progress = Arc::new(Progress::default());
    let (_go_on, stop) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut before = (busy_ns(broker.pid())?, Instant::now());
    let outcome: MqttOutcome = runtime.block_on(async {
        let mut run = std::pin::pin!(mqtt::run(plan, progress.clone(), stop));
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                outcome = &mut run => break Ok::<_, Box<dyn Error>>(outcome?),
                // Once publishing has begun, nobody looks any more.
                _ = looks.tick(), if progress.look().sent_events == 0 => before = (busy_ns(broker.pid())?, Instant::now()),
            }
        }
    })?;
    let elapsed = before.1.elapsed();
    let busy = busy_ns_when_quiet(broker.pid())?.saturating_sub(before.0).max(1);
    let ledger = &outcome.ledger;
    let arrived = if outcome.has_receipts { ledger.acknowledged_events() } else { ledger.sent_events() };
    if arrived != messages || outcome.reconnects > 0 {
        let reconnects = outcome.reconnects;
        return Err(
            format!("{arrived} of {messages} messages got through, with {reconnects} broken connections").into()
        );
    }
    if let (Some(http), Some(before)) = (&broker.http, hub_before) {
        // That a client came and that it went is an event each. They are logged at leisure: who does not wait for them finds them in the
        // next turn.
        hub::await_events(http, before, messages + 2 * connections)?;
    }
    if let Some(pushed) = pushed {
        await_pushes(pushed, pushed_before + u64::from(ledger.sent_by(PUSHED_DEVICE)))?;
    }
    Ok(Measured { cpu_ns: busy as f64 / messages as f64, per_s: messages as f64 / elapsed.as_secs_f64() })
}

fn await_pushes(pushed: &AtomicU64, wanted: u64) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    while pushed.load(Ordering::Relaxed) < wanted {
        if began.elapsed() > PUSHED_WITHIN {
            let found = pushed.load(Ordering::Relaxed);
            return Err(format!("{found} of {wanted} events of the first route were pushed").into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
