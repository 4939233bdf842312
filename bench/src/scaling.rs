//! Suite `scaling`: what more shards bring, for matching alone and for the whole node over loopback.
//!
//! `match`: so many cores match side by side, each with its own table and stream, as shards do. `e2e`: a node with so many shards on so
//! many cores, and as many cores for the senders while the machine has them; where it does not, they share, and the row says so.

use std::error::Error;

use crate::e2e::{Contestant, Load, Shape};
use crate::process::processor_time;
use crate::row::{Peer, Row};
use crate::{Setting, cores, matching};

const ROUNDS: usize = 3;

/// Measures 1, 2, 4, 8 and 16 shards, as far as there are cores.
pub fn run(setting: &Setting) -> Result<Vec<Row>, Box<dyn Error>> {
    let allowed = cores::allowed()?;
    let counts: Vec<usize> = [1, 2, 4, 8, 16].into_iter().filter(|&count| count <= allowed.len()).collect();
    let mut rows = Vec::new();
    for &count in &counts {
        let per_s = repeat(|| matching::side_by_side(&allowed[..count], setting))?;
        rows.push(row("match, 100,000 routes", count, &per_s, &[], String::new(), setting));
    }
    for &count in &counts {
        let rest = &allowed[count..];
        let senders = if rest.is_empty() { &allowed[..] } else { &rest[..rest.len().min(count.max(2))] };
        let note = match rest.len() {
            0 => "senders share the node's cores".to_owned(),
            _ => format!("{} cores send", senders.len()),
        };
        let load = Load::on(allowed[..count].to_vec(), senders.to_vec(), setting);
        let shape = Shape::new(1_000, 1);
        let contestant = Contestant::ours(setting, shape, load.server_cores())?;
        let mut cpu = Vec::new();
        let per_s = repeat(|| {
            let before = processor_time(contestant.server.pid())?;
            let (per_s, events) = load.closed(&contestant)?;
            let busy = processor_time(contestant.server.pid())?.saturating_sub(before);
            cpu.push(busy.as_nanos() as f64 / events.max(1) as f64);
            Ok(per_s)
        })?;
        rows.push(row(&format!("e2e, {shape}, synced"), count, &per_s, &cpu, note, setting));
    }
    Ok(rows)
}

fn repeat(mut run: impl FnMut() -> Result<f64, Box<dyn Error>>) -> Result<Vec<f64>, Box<dyn Error>> {
    (0..ROUNDS).map(|_| run()).collect()
}

fn row(case: &str, shards: usize, per_s: &[f64], cpu: &[f64], note: String, setting: &Setting) -> Row {
    let nobody = Peer { name: String::new(), version: String::new(), values: vec![], cpu_ns: vec![] };
    let plural = if shards == 1 { "" } else { "s" };
    let mut row = Row::new("scaling", case, "", per_s, cpu, nobody, setting.quick);
    row.metric = format!("{shards} shard{plural}");
    row.size = Some(shards as u64);
    row.note = note;
    row
}
