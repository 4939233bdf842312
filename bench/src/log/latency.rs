//! How long a synced ack takes at half load: single 64 KiB batches on a schedule that does not wait for answers, beside the device's
//! own write and sync of the same size.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use super::append::large_batch;
use super::{device, node::Node};
use crate::Setting;
use crate::row::{Peer, Row, median};

/// The quantiles that are reported.
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

/// A row per quantile.
pub fn run(setting: &Setting, folder: &Path) -> Result<Vec<Row>, Box<dyn Error>> {
    let (count, rounds) = if setting.quick { (100, 2) } else { (3000, 5) };
    let mut quantiles: [(Vec<f64>, Vec<f64>, Vec<f64>); 3] = Default::default();
    for _ in 0..rounds {
        let device = device::write(folder, 64 * 1024, count, true)?;
        let mean = device.iter().sum::<Duration>() / count as u32;
        let ours = open_loop(folder, count, 2 * mean)?;
        let scheduled = device::write_on_schedule(folder, 64 * 1024, count, 2 * mean)?;
        for (at, (_, quantile)) in QUANTILES.iter().enumerate() {
            quantiles[at].0.push(micros(&ours, *quantile));
            quantiles[at].1.push(micros(&device, *quantile));
            quantiles[at].2.push(micros(&scheduled, *quantile));
        }
    }
    let mut rows = Vec::new();
    for ((name, _), (ours, device, scheduled)) in QUANTILES.iter().zip(quantiles) {
        let peer = Peer {
            name: "the device: O_DIRECT write, fdatasync, one by one".into(),
            version: String::new(),
            values: device,
            cpu_ns: Vec::new(),
        };
        let case = format!("synced ack of 64 KiB at half load, {name}");
        let mut row = Row::new("log", &case, "open loop", &ours, &[], peer, setting.quick).unit("µs");
        row.note = format!(
            "target: at most 2 times the device's own time; latency from the scheduled moment, by which the device alone takes {:.0} µs",
            median(&scheduled)
        );
        rows.push(row);
    }
    Ok(rows)
}

fn open_loop(folder: &Path, count: usize, interval: Duration) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut node = Node::new(folder, 0)?;
    let batch = large_batch(0);
    let mut took = vec![Duration::ZERO; count];
    let mut next = 0;
    let mut done = 0;
    let began = Instant::now();
    let due = |at: usize| began + interval * at as u32;
    while done < count {
        if next < count && Instant::now() >= due(next) {
            node.submit_only(next as u32, batch.clone())?;
            next += 1;
        }
        let worked = node.turn(|slot| {
            took[slot as usize] = due(slot as usize).elapsed();
            done += 1;
        })?;
        if !worked {
            std::thread::yield_now();
        }
    }
    node.close()?;
    std::fs::remove_dir_all(folder.join("log"))?;
    Ok(took)
}

fn micros(times: &[Duration], quantile: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = ((sorted.len() as f64 * quantile) as usize).min(sorted.len() - 1);
    sorted[at].as_secs_f64() * 1e6
}
