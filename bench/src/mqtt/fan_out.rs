//! One publisher and many subscribers at QoS 0: processor time per delivery, and what did not arrive.
//!
//! In step, the publisher has so many messages under way that no subscriber is ever far behind, and whatever is lost was lost to a
//! subscriber that reads. Without, it goes as fast as the broker reads, and the broker has to keep, drop or hold back.

use std::error::Error;

use loadgen::client::mqtt::{FanOut, FanOutOutcome, FanOutPlan};
use loadgen::report::grouped;
use tokio::runtime::Runtime;

use super::Cores;
use super::brokers::{Ask, Broker, Kind};
use super::turns::{Brokers, Metric, rows, take_turns};
use crate::process::busy_ns_when_quiet;
use crate::row::Row;
use crate::{Setting, cores};

struct Case {
    subscribers: u32,
    /// In step.
    under_way_max: Option<u64>,
    messages: u64,
}

/// All cases. `connections_max` is what open files allow.
pub fn run(setting: &Setting, on: Cores, kinds: &[Kind], connections_max: u32) -> Result<Vec<Row>, Box<dyn Error>> {
    let many = if setting.quick { 100 } else { 1_000.min(connections_max) };
    let cases = [
        Case { subscribers: 20, under_way_max: Some(512), messages: 50_000 },
        Case { subscribers: many, under_way_max: Some(64), messages: 1_000 },
        Case { subscribers: 20, under_way_max: None, messages: 50_000 },
    ];
    let mut all = Vec::new();
    for case in &cases {
        all.extend(case.run(setting, on, kinds)?);
    }
    Ok(all)
}

impl Case {
    fn name(&self) -> String {
        let how = match self.under_way_max {
            Some(most) => format!("in step ({most} messages under way)"),
            None => "as fast as the broker reads".to_owned(),
        };
        format!("fan-out 1 to {}, QoS 0, {how}", grouped(u64::from(self.subscribers)))
    }

    fn run(&self, setting: &Setting, on: Cores, kinds: &[Kind]) -> Result<Vec<Row>, Box<dyn Error>> {
        let (messages, rounds) = if setting.quick { (self.messages / 50, 1) } else { (self.messages, 3) };
        let mut brokers = Brokers::new(setting, Ask::default(), on.server);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut fans: Vec<(Kind, FanOut)> = Vec::new();
        let taken = take_turns(kinds, rounds, |kind, counts| {
            let broker = brokers.get(kind)?;
            let at = match fans.iter().position(|(whose, _)| *whose == kind) {
                Some(at) => at,
                None => {
                    fans.push((kind, cores::on(on.driver, || self.open(&runtime, broker))??));
                    fans.len() - 1
                }
            };
            let messages = if counts { messages } else { messages / 10 };
            let measured = cores::on(on.driver, || measure(&runtime, broker, &mut fans[at].1, messages))??;
            Ok((broker.version.clone(), vec![measured.cpu_ns, measured.per_s, measured.lost_percent]))
        })?;
        for (_, fan) in fans {
            runtime.block_on(fan.close());
        }
        let metrics = [
            Metric::new("CPU per delivery", "ns", "target: at most 450 ns"),
            Metric::new("rate", "deliveries/s", ""),
            Metric::new("lost deliveries", "%", "target: none"),
        ];
        Ok(rows(&self.name(), &metrics, &taken, setting.quick))
    }

    fn open(&self, runtime: &Runtime, broker: &Broker) -> Result<FanOut, Box<dyn Error>> {
        let mut plan = FanOutPlan::new(broker.target.clone(), self.subscribers);
        plan.under_way_max = self.under_way_max;
        Ok(runtime.block_on(FanOut::open(plan))?)
    }
}

/// What one turn measured.
pub struct Measured {
    /// Processor time of the broker per delivery that arrived.
    pub cpu_ns: f64,
    /// Deliveries per second.
    pub per_s: f64,
    /// Of all deliveries.
    pub lost_percent: f64,
}

/// Publishes so many messages to a fan that stands.
pub fn measure(
    runtime: &Runtime,
    broker: &Broker,
    fan: &mut FanOut,
    messages: u64,
) -> Result<Measured, Box<dyn Error>> {
    let before = busy_ns_when_quiet(broker.pid())?;
    let outcome: FanOutOutcome = runtime.block_on(fan.publish(messages))?;
    let busy = busy_ns_when_quiet(broker.pid())?.saturating_sub(before);
    if outcome.delivered > outcome.expected {
        return Err(format!("{} deliveries for {} that were expected", outcome.delivered, outcome.expected).into());
    }
    let delivered = outcome.delivered.max(1) as f64;
    Ok(Measured {
        cpu_ns: busy as f64 / delivered,
        per_s: outcome.delivered as f64 / outcome.elapsed.as_secs_f64().max(1e-9),
        lost_percent: outcome.lost() as f64 * 100.0 / outcome.expected.max(1) as f64,
    })
}
