//! Connections that stand and say nothing: memory of each, and how fast they are taken.
//!
//! Every turn has a broker of its own, which has never had a connection. Its memory is what the system's books call resident, before
//! the first connection and when all stand and it has nothing to do any more; both include whatever the broker keeps for later.

use std::error::Error;

use loadgen::client::mqtt::{self, IdlePlan};
use loadgen::report::grouped;

use super::Cores;
use super::brokers::{Ask, Broker, Kind};
use super::turns::{Brokers, Metric, rows, take_turns};
use crate::process::{busy_ns_when_quiet, resident_mib};
use crate::row::Row;
use crate::{Setting, cores};

/// What the issue asks for.
const WANTED: u32 = 100_000;

/// As many as open files allow.
pub fn run(setting: &Setting, on: Cores, kinds: &[Kind], connections_max: u32) -> Result<Vec<Row>, Box<dyn Error>> {
    let (connections, rounds) = if setting.quick { (500, 1) } else { (WANTED.min(connections_max), 3) };
    let brokers = Brokers::new(setting, Ask::default(), on.server);
    let taken = take_turns(kinds, rounds, |kind, counts| {
        let connections = if counts { connections } else { connections / 10 };
        let broker = brokers.start(kind)?;
        let measured = cores::on(on.driver, || measure(&broker, connections))??;
        Ok((broker.version, vec![measured.resident_bytes, measured.per_s, measured.per_busy_s]))
    })?;
    let files = match connections < WANTED && !setting.quick {
        true => format!(
            "; {} connections and not {}, because a process may have {} open files here",
            grouped(connections.into()),
            grouped(WANTED.into()),
            grouped((connections_max + super::FILES_BESIDE).into())
        ),
        false => String::new(),
    };
    let metrics = [
        Metric::new("resident memory of each", "bytes", format!("target: at most 3,072 bytes{files}")),
        Metric::new("connects", "connections/s", "by the wall clock, 64 at once: the driver's core is the limit"),
        Metric::new("connects per busy core-second", "connections/s", "target: at least 20,000"),
    ];
    let case = format!("{} idle connections", grouped(connections.into()));
    Ok(rows(&case, &metrics, &taken, setting.quick))
}

/// What one turn measured.
pub struct Measured {
    /// Memory of one connection.
    pub resident_bytes: f64,
    /// Connections per second.
    pub per_s: f64,
    /// Connections per second of the broker's processor time.
    pub per_busy_s: f64,
}

/// Opens connections to a broker that has none.
pub fn measure(broker: &Broker, connections: u32) -> Result<Measured, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let busy_before = busy_ns_when_quiet(broker.pid())?;
    let resident_before = resident_mib(broker.pid())?;
    let idle = runtime.block_on(mqtt::idle(IdlePlan::new(broker.target.clone(), connections)))?;
    let busy = busy_ns_when_quiet(broker.pid())?.saturating_sub(busy_before).max(1);
    let resident = resident_mib(broker.pid())? - resident_before;
    Ok(Measured {
        resident_bytes: resident.max(0.0) * 1024.0 * 1024.0 / f64::from(connections),
        per_s: idle.connections() as f64 / idle.connecting.as_secs_f64(),
        per_busy_s: idle.connections() as f64 * 1e9 / busy as f64,
    })
}
