//! What a node's ingest pays for a Parquet endpoint that takes every event: the same node with it and without, at the same rate, in turns.

use std::error::Error;

use crate::Setting;
use crate::e2e::{Contestant, Load, Shape};
use crate::row::{Peer, Row};

/// Measures processor time per event and the tail of the acks.
pub(super) fn run(setting: &Setting) -> Result<Vec<Row>, Box<dyn Error>> {
    let load = Load::of(setting)?;
    let bare = Shape::new(1, 1);
    let shape = Shape { lake: true, ..bare };
    let with = Contestant::ours(setting, shape, load.server_cores())?;
    let without = Contestant::ours(setting, bare, load.server_cores())?;
    let per_s = load.knee(&with)? * 0.5;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let rounds = if setting.quick { 1 } else { 5 };
    // The first round warms up and does not count.
    for round in 0..=rounds {
        let pair = (load.run(&with, per_s)?, load.run(&without, per_s)?);
        if round > 0 {
            ours.push(pair.0);
            theirs.push(pair.1);
        }
    }
    let case = format!("{shape}, {} events/s", loadgen::report::grouped(per_s as u64));
    let row = |metric: &'static str, unit: &'static str, figure: fn(&crate::e2e::Loaded) -> f64| {
        let values = |of: &[crate::e2e::Loaded]| of.iter().map(figure).collect::<Vec<_>>();
        let peer = Peer {
            name: "the same node without the endpoint".into(),
            version: String::new(),
            values: values(&theirs),
            cpu_ns: Vec::new(),
        };
        let mut row = Row::new("parquet", &case, metric, &values(&ours), &[], peer, setting.quick).unit(unit);
        row.note = "half of the knee with the endpoint; in turns".into();
        row
    };
    Ok(vec![
        row("ingest with a Parquet endpoint, CPU per event", "ns", |loaded| loaded.cpu_ns),
        row("ingest with a Parquet endpoint, ack p99", "µs", |loaded| loaded.ack.p99_us as f64),
    ])
}
