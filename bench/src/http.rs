//! Suite `http`: the real node on one core, a fleet on another, receipts after fdatasync; events per second of a busy core.
//!
//! Busy is what the system's books say of the server's threads, so neither the disk's nor the client's pace matters. The peer is the
//! floor: a bare server that reads and forgets, which shows what of our time is the HTTP stack and the socket.

use std::error::Error;
use std::process::Command;
use std::sync::Arc;

use loadgen::client::Progress;
use loadgen::client::http::{self, Format, HttpPlan};
use tokio::sync::watch;

use crate::process::{Server, busy_ns};
use crate::row::{Peer, Row};
use crate::{Setting, cores};

const DEVICES: u32 = 10_000;

struct Case {
    name: &'static str,
    format: Format,
    batch: usize,
}

const CASES: [Case; 3] = [
    Case { name: "NDJSON, 1000 a request, synced", format: Format::Ndjson, batch: 1_000 },
    Case { name: "NDJSON, 100 a request, synced", format: Format::Ndjson, batch: 100 },
    Case { name: "CloudEvents, 100 a request, synced", format: Format::CloudEventsBatch, batch: 100 },
];

struct Measured {
    per_busy_s: f64,
    cpu_ns: f64,
}

/// Measures all cases.
pub fn run(setting: &Setting) -> Result<Vec<Row>, Box<dyn Error>> {
    let allowed = cores::allowed()?;
    let (&server_core, &client_core) =
        (allowed.first().ok_or("no core is allowed")?, allowed.last().ok_or("no core is allowed")?);
    let (events, rounds) = if setting.quick { (20_000, 2) } else { (1_000_000, 5) };
    let mut rows = Vec::new();
    for case in &CASES {
        let folder = tempfile::tempdir()?;
        let mut ours_command = Command::new(&setting.anabranch);
        ours_command.args(["run", "--http-listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path().join("data"));
        let mut floor_command = Command::new(std::env::current_exe()?);
        floor_command.arg("floor-server");
        let ours = cores::on(server_core, || Server::start(&mut ours_command))??;
        let floor = cores::on(server_core, || Server::start(&mut floor_command))??;
        let (mut of_ours, mut of_floor) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            // The first round warms up and does not count.
            let events = if round == 0 { events / 10 } else { events };
            for (server, into) in [(&ours, &mut of_ours), (&floor, &mut of_floor)] {
                let measured = cores::on(client_core, || measure(server, case, events))??;
                if round > 0 {
                    into.push(measured);
                }
            }
        }
        let values = |of: &[Measured]| of.iter().map(|measured| measured.per_busy_s).collect::<Vec<_>>();
        let cpu = |of: &[Measured]| of.iter().map(|measured| measured.cpu_ns).collect::<Vec<_>>();
        let peer = Peer {
            name: "floor: hyper, reads and forgets".into(),
            version: "1".into(),
            values: values(&of_floor),
            cpu_ns: cpu(&of_floor),
        };
        rows.push(Row::new(
            "http",
            case.name,
            "per busy core-second",
            &values(&of_ours),
            &cpu(&of_ours),
            peer,
            setting.quick,
        ));
    }
    Ok(rows)
}

fn measure(server: &Server, case: &Case, events: u64) -> Result<Measured, Box<dyn Error>> {
    let mut plan = HttpPlan::new(format!("{}/events", server.address).parse()?, DEVICES);
    plan.events = events;
    plan.format = case.format;
    plan.batch = case.batch;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (_go_on, stop) = watch::channel(false);
    let before = busy_ns(server.pid())?;
    let outcome = runtime.block_on(http::run(plan, Arc::new(Progress::default()), stop, None))?;
    let busy = busy_ns(server.pid())?.saturating_sub(before).max(1);
    let acknowledged = outcome.ledger.acknowledged_events();
    if acknowledged != events {
        return Err(format!("{} of {events} events were acknowledged by {}", acknowledged, server.address).into());
    }
    Ok(Measured { per_busy_s: acknowledged as f64 * 1e9 / busy as f64, cpu_ns: busy as f64 / acknowledged as f64 })
}
