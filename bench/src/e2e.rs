//! Suite `e2e`: the real node over loopback, from a fleet's request to the webhook's receiver, under load that does not wait.
//!
//! For each number of routes and endpoints the knee is found by a ramp; then the node runs at shares of it, in an open loop, where
//! latencies count from the time at which a batch should have gone out. What always holds: the node has one core, senders and
//! receivers the other; every event sent is acknowledged, and every event that should be pushed arrives, or the run fails.
//!
//! The peer is a stand-in, and named so: what an engineer would write in an afternoon with hyper, serde_json and a file, on the same
//! core, with the same promise (an answer comes after fdatasync). Vector and Redpanda Connect are in no package manager that this
//! project installs from.

pub mod stand_in;

mod load;
mod setup;

use std::error::Error;

use crate::Setting;
use crate::row::{Peer, Row, median};

pub use load::{Load, Loaded};
pub use setup::{Contestant, Shape};

/// Shares of the knee.
const SHARES: [f64; 3] = [0.5, 0.8, 0.95];
/// The stand-in has the shape of the first one only: it knows one route.
const SHAPES: [Shape; 5] =
    [Shape::new(1, 1), Shape::new(1_000, 1), Shape::new(100_000, 1), Shape::new(1_000, 10), Shape::new(1_000, 1_000)];

/// Measures all shapes.
pub fn run(setting: &Setting) -> Result<Vec<Row>, Box<dyn Error>> {
    let load = Load::of(setting)?;
    let mut rows = Vec::new();
    let shapes = if setting.quick { &SHAPES[..2] } else { &SHAPES[..] };
    for (at, shape) in shapes.iter().enumerate() {
        let ours = Contestant::ours(setting, *shape, load.server_cores())?;
        let knee = load.knee(&ours)?;
        if at > 0 {
            rows.push(knee_row(shape, &[knee], None, setting));
            let loaded = repeat(setting, || load.run(&ours, knee * 0.8))?;
            rows.extend(load_rows(shape, "80 % of the knee", &loaded, None, setting));
            continue;
        }
        let stand_in = Contestant::stand_in(load.server_cores())?;
        let theirs = load.knee(&stand_in)?;
        rows.push(knee_row(shape, &[knee], Some(&[theirs]), setting));
        // Both at the same rate, in turns: half of what the weaker one can.
        let common = knee.min(theirs) * 0.5;
        let (mut of_ours, mut of_peer) = (Vec::new(), Vec::new());
        for round in 0..=rounds(setting) {
            let pair = [load.run(&ours, common)?, load.run(&stand_in, common)?];
            let [a, b] = pair;
            if round > 0 {
                of_ours.push(a);
                of_peer.push(b);
            }
        }
        let case = format!("{} events/s, half of the stand-in's knee", loadgen::report::grouped(common as u64));
        rows.extend(load_rows(shape, &case, &of_ours, Some(&of_peer), setting));
        drop(stand_in);
        for share in SHARES {
            let loaded = repeat(setting, || load.run(&ours, knee * share))?;
            rows.extend(load_rows(shape, &format!("{:.0} % of the knee", share * 100.0), &loaded, None, setting));
        }
    }
    Ok(rows)
}

fn rounds(setting: &Setting) -> usize {
    if setting.quick { 1 } else { 3 }
}

fn repeat(
    setting: &Setting,
    mut run: impl FnMut() -> Result<Loaded, Box<dyn Error>>,
) -> Result<Vec<Loaded>, Box<dyn Error>> {
    (0..rounds(setting)).map(|_| run()).collect()
}

fn knee_row(shape: &Shape, ours: &[f64], peer: Option<&[f64]>, setting: &Setting) -> Row {
    let mut row = Row::new("e2e", &shape.to_string(), "knee", ours, &[], peer_of(peer.unwrap_or(&[])), setting.quick);
    row.note = "the highest rate of a ramp that is kept up with: 95 % acknowledged, p99 below 100 ms".into();
    row
}

fn load_rows(shape: &Shape, case: &str, ours: &[Loaded], peer: Option<&[Loaded]>, setting: &Setting) -> Vec<Row> {
    type Figure = (&'static str, &'static str, fn(&Loaded) -> f64);
    const FIGURES: [Figure; 7] = [
        ("ingest to ack, p50", "µs", |loaded| loaded.ack.p50_us as f64),
        ("ingest to ack, p99", "µs", |loaded| loaded.ack.p99_us as f64),
        ("ingest to ack, p99.9", "µs", |loaded| loaded.ack.p999_us as f64),
        ("ingest to push, p50", "µs", |loaded| loaded.push.p50_us as f64),
        ("ingest to push, p99", "µs", |loaded| loaded.push.p99_us as f64),
        ("CPU per event", "ns", |loaded| loaded.cpu_ns),
        ("resident memory", "MiB", |loaded| loaded.resident_mib),
    ];
    let name = format!("{shape}, {case}");
    let mut rows = Vec::new();
    for (metric, unit, figure) in FIGURES {
        let values: Vec<f64> = ours.iter().map(figure).collect();
        let theirs: Vec<f64> = peer.unwrap_or(&[]).iter().map(figure).collect();
        let mut row = Row::new("e2e", &name, metric, &values, &[], peer_of(&theirs), setting.quick).unit(unit);
        row.cpu_ns_per_event = median(&ours.iter().map(|loaded| loaded.cpu_ns).collect::<Vec<_>>());
        let busy = median(&ours.iter().map(|loaded| loaded.client_busy).collect::<Vec<_>>());
        row.note = format!("open loop at {} events/s; the other core was busy {:.0} %", rate(ours), busy * 100.0);
        rows.push(row);
    }
    rows
}

fn rate(loaded: &[Loaded]) -> String {
    loadgen::report::grouped(median(&loaded.iter().map(|loaded| loaded.per_s).collect::<Vec<_>>()) as u64)
}

fn peer_of(values: &[f64]) -> Peer {
    match values.is_empty() {
        true => Peer { name: String::new(), version: String::new(), values: vec![], cpu_ns: vec![] },
        false => Peer {
            name: "stand-in: hyper, serde_json, fdatasync".into(),
            version: "1".into(),
            values: values.to_vec(),
            cpu_ns: vec![],
        },
    }
}
