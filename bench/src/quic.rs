//! Suite `quic`: our node's subscribers and publishers over `anabranch/1`, by the processor time of the node's process.
//!
//! What always holds: the node has one core and the driver another; every delivery is counted, and one that is missing fails the run;
//! the driver looks at as little of a delivery as it can. The peer of the first case is quinn alone: a sender of our own with one stream
//! and writes of 64 KiB on the same core, read by the same driver. TLS 1.3 with AES-256-GCM, over loopback.

pub mod bare;

mod deliver;
mod idle;
mod latency;
mod node;
mod publish;

use std::error::Error;

use loadgen::fleet::Fleet;
use loadgen::report::grouped;

use crate::row::{Peer, Row};
use crate::{Setting, cores};

/// Who runs where.
#[derive(Clone, Copy)]
pub struct Cores {
    server: usize,
    driver: usize,
}

/// Measures all cases.
pub fn run(setting: &Setting) -> Result<Vec<Row>, Box<dyn Error>> {
    let allowed = cores::allowed()?;
    let (&server, &driver) =
        (allowed.first().ok_or("no core is allowed")?, allowed.last().ok_or("no core is allowed")?);
    let on = Cores { server, driver };
    let mut rows = deliver::run(setting, on)?;
    rows.extend(publish::run(setting, on)?);
    rows.extend(latency::run(setting, on)?);
    rows.extend(idle::run(setting, on)?);
    Ok(rows)
}

/// What one turn measured.
#[derive(Clone, Copy, Debug)]
struct Measured {
    /// Events that were delivered, or published.
    count: u64,
    /// Bytes of the BATCH frames, where there are any.
    bytes: u64,
    /// Processor time of the server.
    busy_ns: u64,
    /// Share of its core that the driver was busy.
    driver: f64,
    seconds: f64,
}

impl Measured {
    fn cpu_ns(&self) -> f64 {
        self.busy_ns as f64 / self.count.max(1) as f64
    }

    fn per_busy_s(&self) -> f64 {
        1e9 / self.cpu_ns()
    }

    fn bytes_per_busy_s(&self) -> f64 {
        self.bytes as f64 * 1e9 / self.busy_ns.max(1) as f64
    }

    fn per_s(&self) -> f64 {
        self.count as f64 / self.seconds
    }
}

/// The words of a case's rows.
struct Words<'a> {
    case: &'a str,
    /// `delivery` or `event`.
    cpu: &'static str,
    rate: &'static str,
    unit: &'static str,
    /// The target, and what is included.
    note: &'a str,
}

/// Processor time of each, and rates by busy time and by the clock.
fn rate_rows(words: &Words<'_>, taken: &[Measured], quick: bool) -> Vec<Row> {
    let row = |metric, unit, note: &str, values: Vec<f64>| {
        let mut row = Row::new("quic", words.case, metric, &values, &[], nobody(), quick).unit(unit);
        row.note = note.to_owned();
        row
    };
    let values = |figure: fn(&Measured) -> f64| taken.iter().map(figure).collect::<Vec<_>>();
    let busy = crate::row::median(&values(|measured| measured.driver));
    let driver = match busy > 0.9 {
        true => format!("the driver is the limit: it kept its core {:.0} % busy", busy * 100.0),
        false => format!("the driver kept its core {:.0} % busy", busy * 100.0),
    };
    vec![
        row(words.cpu, "ns", words.note, values(Measured::cpu_ns)),
        row(words.rate, words.unit, "", values(Measured::per_busy_s)),
        row("rate by the clock", words.unit, &driver, values(Measured::per_s)),
    ]
}

fn nobody() -> Peer {
    Peer { name: String::new(), version: String::new(), values: vec![], cpu_ns: vec![] }
}

/// Lets a case take its turns; the first warms up and does not count.
fn turns(
    setting: &Setting,
    mut turn: impl FnMut() -> Result<Measured, Box<dyn Error>>,
) -> Result<Vec<Measured>, Box<dyn Error>> {
    let rounds = if setting.quick { 1 } else { 3 };
    if !setting.quick {
        turn()?;
    }
    (0..rounds).map(|_| turn()).collect()
}

/// Mean size of an event's data.
fn event_bytes() -> u64 {
    let (mut fleet, mut out) = (Fleet::new(1, 0..1_000), Vec::new());
    for _ in 0..1_000 {
        fleet.write_event(1_767_225_600_000_000, &mut out);
    }
    out.len() as u64 / 1_000
}

fn of_events() -> String {
    format!("events of {} B", grouped(event_bytes()))
}
