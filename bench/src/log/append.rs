//! Groups of 64 KiB batches into the log, and small events from memory to their synced acks, beside what the device does alone.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use connectors::hub::{self, LogOptions};
use engine::batch::{Batch, BatchBuilder, HeaderWriter};
use engine::log::Group;
use engine::mesh::{Append, LogEvent};
use engine::ring::Bell;

use super::device;
use super::node::{Node, PARTITIONS};
use crate::process::busy_ns;
use crate::row::{Peer, Row};
use crate::{Setting, cores};

/// One batch of 64 KiB.
pub fn large_batch(partition: u32) -> Batch {
    let mut builder = BatchBuilder::new(partition);
    let body = vec![b'x'; 4096 - 80];
    while builder.byte_len() + 4096 <= 64 * 1024 {
        builder.push(Some(b"device"), &body, &HeaderWriter::default(), 1).expect("fits");
    }
    builder.seal().expect("rows")
}

/// Bytes per second of `total` bytes in groups of `group_bytes`, and the processor time of one, in nanoseconds.
fn ours(folder: &Path, group_bytes: usize, total: usize) -> Result<(f64, f64), Box<dyn Error>> {
    let (mut log, _) = hub::open(&LogOptions::new(folder.join("log"), 1))?;
    let mut writer = log.shard_writer(0, &Bell::default())?;
    let batch = Arc::new(large_batch(0));
    let mut spare: Vec<Box<Group>> = (0..3).map(|_| Box::new(Group::new(group_bytes))).collect();
    let (mut sent, mut synced, mut seq, mut lead) = (0, 0, 0, 0);
    let (began, busy) = (Instant::now(), busy_ns(std::process::id())?);
    while synced < total {
        if sent < total
            && let Some(mut group) = spare.pop()
        {
            group.clear(lead);
            while group.is_empty() || group.bytes() + batch.bytes().len() <= group_bytes {
                group.push(seq, batch.clone());
                seq += 1;
            }
            (sent, lead) = (sent + group.bytes(), group.next_lead());
            writer.appends.push(Append::Group(group)).map_err(|_| "three groups have room")?;
            continue;
        }
        match writer.events.pop() {
            Some(LogEvent::Synced(group)) => {
                synced += group.bytes();
                spare.push(group);
            }
            Some(LogEvent::Written { .. }) => {}
            Some(_) => return Err("the disk failed".into()),
            None => std::thread::sleep(Duration::from_micros(20)),
        }
    }
    let (wall, busy) = (began.elapsed(), busy_ns(std::process::id())? - busy);
    drop(writer);
    log.close()?;
    std::fs::remove_dir_all(folder.join("log"))?;
    Ok((synced as f64 / wall.as_secs_f64(), busy as f64 / synced as f64))
}

/// Groups of one and of sixteen batches; the device's rate per size as well.
pub fn groups(setting: &Setting, folder: &Path) -> Result<(Vec<Row>, f64), Box<dyn Error>> {
    let (total, rounds) = if setting.quick { (16 << 20, 2) } else { (512 << 20, 5) };
    let (mut rows, mut best) = (Vec::new(), 0.0f64);
    for (name, group_bytes) in [("64 KiB per sync", 64 * 1024), ("1 MiB per sync", 1024 * 1024)] {
        let (mut of_ours, mut cpu, mut of_device, mut device_cpu, mut cached) =
            (vec![], vec![], vec![], vec![], vec![]);
        for _ in 0..rounds {
            let total = if group_bytes > 100_000 { total } else { total / 4 };
            let (per_s, ns) = ours(folder, group_bytes, total)?;
            of_ours.push(per_s);
            cpu.push(ns);
            let busy = busy_ns(std::process::id())?;
            let took = device::write(folder, group_bytes, total / group_bytes, true)?;
            device_cpu.push((busy_ns(std::process::id())? - busy) as f64 / total as f64);
            of_device.push(total as f64 / took.iter().sum::<Duration>().as_secs_f64());
            let total = total / 4;
            let took = device::write(folder, group_bytes, total / group_bytes, false)?;
            cached.push(total as f64 / took.iter().sum::<Duration>().as_secs_f64());
        }
        best = best.max(crate::row::median(&of_device));
        let peer = Peer {
            name: "the device: O_DIRECT write, fdatasync".into(),
            version: String::new(),
            values: of_device,
            cpu_ns: device_cpu,
        };
        let mut row =
            Row::new("log", &format!("append, {name}"), "bytes/s", &of_ours, &cpu, peer, setting.quick).unit("B/s");
        row.note = format!(
            "target: 0.85 of the device; CPU is per byte; through the page cache the device does {:.0} MB/s",
            crate::row::median(&cached) / 1e6
        );
        rows.push(row);
    }
    Ok((rows, best))
}

/// 240-byte events from memory to their synced acks, everything on one core. `device`: bytes per second that the device does.
pub fn small_events(setting: &Setting, folder: &Path, device: f64) -> Result<Row, Box<dyn Error>> {
    let (events, rounds) = if setting.quick { (50_000, 2) } else { (2_000_000, 5) };
    let core = *cores::allowed()?.last().ok_or("no core is allowed")?;
    let (mut per_s, mut cpu, mut stored) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..rounds {
        let (rate, ns, bytes) = cores::on(core, || small_round(folder, events))??;
        per_s.push(rate);
        cpu.push(ns);
        stored = bytes;
    }
    let peer = Peer {
        name: "what the device could take".into(),
        version: String::new(),
        values: vec![device / stored],
        cpu_ns: Vec::new(),
    };
    let mut row =
        Row::new("log", "240-byte events, memory to synced ack", "one core", &per_s, &cpu, peer, setting.quick);
    row.note = format!("target: 2.5 M events/s; {stored:.0} bytes are stored per event");
    Ok(row.bytes_per_event(240.0))
}

fn small_round(folder: &Path, events: u64) -> Result<(f64, f64, f64), Box<dyn Error>> {
    let mut node = Node::new(folder, hub::RECENT_BYTES_DEFAULT)?;
    let keys: Vec<(Vec<u8>, u32)> = (0..10_000)
        .map(|number| format!("device-{number}").into_bytes())
        .map(|key| (key.clone(), engine::batch::partition_of(&key, PARTITIONS)))
        .collect();
    let body = vec![b'x'; 240];
    let headers = HeaderWriter::default();
    let mut builders: Vec<BatchBuilder> = (0..PARTITIONS).map(BatchBuilder::new).collect();
    let (began, busy) = (Instant::now(), busy_ns(std::process::id())?);
    for event in 0..events {
        let (key, partition) = &keys[(event * 7919 % 10_000) as usize];
        let builder = &mut builders[*partition as usize];
        builder.push(Some(key), &body, &headers, 1)?;
        if builder.is_full()
            && let Some(batch) = builder.seal()
        {
            node.submit(0, batch)?;
        }
    }
    for mut builder in builders {
        if let Some(batch) = builder.seal() {
            node.submit(0, batch)?;
        }
    }
    node.settle()?;
    let (wall, busy) = (began.elapsed(), busy_ns(std::process::id())? - busy);
    let stored = node.log.stats().appended_bytes.load(std::sync::atomic::Ordering::Relaxed);
    node.close()?;
    std::fs::remove_dir_all(folder.join("log"))?;
    Ok((events as f64 / wall.as_secs_f64(), busy as f64 / events as f64, stored as f64 / events as f64))
}
