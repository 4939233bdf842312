//! Deliveries: one subscriber beside quinn alone, many of everything, a thousand with a filter each.

use std::error::Error;
use std::process::Command;
use std::time::Duration;

use loadgen::client::quic::{Access, Crowd, CrowdPlan, From, Member, Trust, Wanted};
use loadgen::fleet::device_id;
use loadgen::report::grouped;
use tokio::runtime::Runtime;

use super::node::{Clock, Node, live, publish};
use super::{Cores, Measured, Words, of_events, rate_rows, turns};
use crate::process::Server;
use crate::row::{Peer, Row};
use crate::{Setting, cores};

/// Of quinn as `Cargo.toml` has it.
const QUINN: &str = "0.11";

pub fn run(setting: &Setting, on: Cores) -> Result<Vec<Row>, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows = from_log(setting, on, &runtime)?;
    for (subscribers, events, target) in
        [(1, 1_000_000, ""), (16, 200_000, "target: at most 667 ns; "), (64, 60_000, "target: at most 833 ns; ")]
    {
        rows.extend(everything(setting, on, &runtime, subscribers, events, target)?);
    }
    let connections = if setting.quick { &[20][..] } else { &[20, 1_000] };
    for &connections in connections {
        rows.extend(filtered(setting, on, &runtime, connections)?);
    }
    Ok(rows)
}

/// What the log already has, to one subscriber: delivering alone.
fn from_log(setting: &Setting, on: Cores, runtime: &Runtime) -> Result<Vec<Row>, Box<dyn Error>> {
    let events = if setting.quick { 20_000 } else { 1_500_000 };
    let node = Node::start(setting, on, "written")?;
    cores::on(on.driver, || publish(node.plan(events)).map(drop))??;
    let wanted = Wanted { from: From::Earliest, credit_bytes: 16 << 20, ..Wanted::default() };
    let mut theirs = Vec::new();
    let sender = cores::on(on.server, || {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("quinn-sender").args(setting.quick.then_some("--quick"));
        Server::start_with(&mut command, &["quic://"])
    })??;
    let ours = turns(setting, || {
        let peer = Access::new(sender.address.parse()?, Trust::Insecure);
        let crowd = CrowdPlan { access: peer, ..node.crowd(1, wanted.clone()) };
        let bare = cores::on(on.driver, || read(runtime, sender.pid(), crowd, super::bare::events(setting.quick)))??;
        theirs.push(bare.bytes_per_busy_s());
        cores::on(on.driver, || read(runtime, node.pid(), node.crowd(1, wanted.clone()), events))?
    })?;
    // The turn that warmed up.
    theirs.drain(..theirs.len() - ours.len());
    let case = format!("one subscriber, {}, from the log", of_events());
    let words = Words {
        case: &case,
        cpu: "CPU per delivery",
        rate: "deliveries per busy core-second",
        unit: "deliveries/s",
        note: "target: at most 667 ns; all of it delivering: the events were in the log before",
    };
    let mut rows = rate_rows(&words, &ours, setting.quick);
    let values: Vec<f64> = ours.iter().map(Measured::bytes_per_busy_s).collect();
    let name = "quinn alone, one stream, writes of 64 KiB".to_owned();
    let peer = Peer { name, version: QUINN.to_owned(), values: theirs, cpu_ns: vec![] };
    let mut row = Row::new("quic", &case, "bytes per busy core-second", &values, &[], peer, setting.quick).unit("B/s");
    row.note = "target: at least 80 % of the peer".to_owned();
    rows.push(row);
    Ok(rows)
}

/// Reads so many events from wherever the plan begins.
fn read(runtime: &Runtime, pid: u32, plan: CrowdPlan, events: u64) -> Result<Measured, Box<dyn Error>> {
    let clock = Clock::start(pid)?;
    let view = runtime.block_on(async {
        let mut crowd = Crowd::open(plan).await?;
        let view = crowd.wait(events).await?;
        crowd.close().await;
        Ok::<_, Box<dyn Error>>(view)
    })?;
    if view.delivered() != events || view.losses > 0 {
        return Err(format!("{} of {events} events arrived", view.delivered()).into());
    }
    clock.stop(events, view.bytes, Some(view.elapsed.as_secs_f64()))
}

/// Events as they are published, to subscribers of everything.
fn everything(
    setting: &Setting,
    on: Cores,
    runtime: &Runtime,
    subscribers: u32,
    events: u64,
    target: &str,
) -> Result<Vec<Row>, Box<dyn Error>> {
    let events = if setting.quick { 2_000 } else { events };
    let node = Node::start(setting, on, "written")?;
    let measured = cores::on(on.driver, || {
        let wanted = Wanted { credit_bytes: 8 << 20, ..Wanted::default() };
        let mut crowd = runtime.block_on(Crowd::open(node.crowd(subscribers, wanted)))?;
        let measured =
            turns(setting, || live(runtime, &node, &mut crowd, node.plan(events), events * u64::from(subscribers)))?;
        runtime.block_on(crowd.close());
        Ok::<_, Box<dyn Error>>(measured)
    })??;
    let case = match subscribers {
        1 => format!("one subscriber, {}, as they are published", of_events()),
        _ => format!("{subscribers} subscribers of everything, {}, as they are published", of_events()),
    };
    let note = format!("{target}publishing to the log is included");
    let words = Words {
        case: &case,
        cpu: "CPU per delivery",
        rate: "deliveries per busy core-second",
        unit: "deliveries/s",
        note: &note,
    };
    Ok(rate_rows(&words, &measured, setting.quick))
}

/// A thousand subscribers, each with a filter that one device of a thousand matches.
fn filtered(setting: &Setting, on: Cores, runtime: &Runtime, connections: u32) -> Result<Vec<Row>, Box<dyn Error>> {
    const SUBSCRIBERS: u32 = 1_000;
    let events = if setting.quick { 5_000 } else { 300_000 };
    let node = Node::start(setting, on, "written")?;
    let measured = cores::on(on.driver, || {
        let mut plan = node.crowd(SUBSCRIBERS, Wanted { credit_bytes: 1 << 20, ..Wanted::default() });
        let member =
            |number| Member { filter: Some(format!("device_id = '{}'", device_id(number))), stands_still: false };
        plan.members = (0..SUBSCRIBERS).map(member).collect();
        plan.connections = connections;
        plan.access.request_timeout = Duration::from_secs(60);
        let mut crowd = runtime.block_on(Crowd::open(plan))?;
        let measured = turns(setting, || {
            let mut plan = node.plan(events);
            plan.devices = SUBSCRIBERS;
            live(runtime, &node, &mut crowd, plan, events)
        })?;
        runtime.block_on(crowd.close());
        Ok::<_, Box<dyn Error>>(measured)
    })??;
    let case = format!(
        "1,000 subscribers on {} connections, each 0.1 % by a filter, {}",
        grouped(connections.into()),
        of_events()
    );
    let words = Words {
        case: &case,
        cpu: "CPU per delivery",
        rate: "deliveries per busy core-second",
        unit: "deliveries/s",
        note: "target: at most 1,000 ns; publishing to the log and matching are included",
    };
    Ok(rate_rows(&words, &measured, setting.quick))
}
