//! Subscribers that stand and get nothing: memory of each.
//!
//! Every turn has a node of its own, which has never had a connection.

use std::error::Error;
use std::time::Duration;

use loadgen::client::quic::{Crowd, Wanted};
use loadgen::report::grouped;

use super::node::Node;
use super::{Cores, nobody};
use crate::process::{busy_ns_when_quiet, resident_mib};
use crate::row::Row;
use crate::{Setting, cores};

pub fn run(setting: &Setting, on: Cores) -> Result<Vec<Row>, Box<dyn Error>> {
    let (subscribers, rounds) = if setting.quick { (100, 1) } else { (2_000, 3) };
    let mut values = Vec::new();
    for _ in 0..rounds {
        let node = Node::start(setting, on, "written")?;
        values.push(cores::on(on.driver, || measure(&node, subscribers))??);
    }
    let case = format!("{} idle subscribers, each with a connection", grouped(subscribers.into()));
    let mut row =
        Row::new("quic", &case, "resident memory of each", &values, &[], nobody(), setting.quick).unit("bytes");
    row.note = "target: at most 40,000 bytes".to_owned();
    Ok(vec![row])
}

fn measure(node: &Node, subscribers: u32) -> Result<f64, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    busy_ns_when_quiet(node.pid())?;
    let before = resident_mib(node.pid())?;
    let mut plan = node.crowd(subscribers, Wanted::default());
    // Nobody asks whether the other is there while memory is looked at.
    plan.access.idle_timeout = Duration::from_secs(60);
    let mut crowd = runtime.block_on(Crowd::open(plan))?;
    runtime.block_on(crowd.rest(Duration::from_millis(500)))?;
    busy_ns_when_quiet(node.pid())?;
    let grown = resident_mib(node.pid())? - before;
    runtime.block_on(crowd.close());
    Ok(grown.max(0.0) * 1024.0 * 1024.0 / f64::from(subscribers))
}
