//! Reading the past: every batch of a log in the page cache, decoded, its checksum tested, and matched with one route; one core.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use engine::batch::{BatchBuilder, HeaderWriter};
use engine::filter::{CompileOptions, Dialect, Filter};
use engine::route::{Matcher, Route, RouteTable, Source};

use super::node::{Node, PARTITIONS};
use crate::row::{Peer, Row};
use crate::{Setting, cores};

/// Bytes of one read, as endpoints that are behind read.
const READ_BYTES: usize = 1024 * 1024;

/// Two rows: with matching, and the reading alone.
pub fn run(setting: &Setting, folder: &Path) -> Result<Vec<Row>, Box<dyn Error>> {
    let (bytes, rounds) = if setting.quick { (32 << 20, 2) } else { (1 << 30, 5) };
    let mut node = Node::new(folder, 0)?;
    let (events, hot) = fill(&mut node, bytes)?;
    let reader = node.log.reader();
    let filter = Filter::compile("$body.temp > 30", Dialect::Anabranch, &CompileOptions::default())
        .map_err(|problems| format!("{problems:?}"))?
        .0;
    let route = Route {
        name: "hot".into(),
        source: Source::DeviceMessages,
        filter,
        endpoint: 0,
        enabled: true,
        every_source: false,
    };
    let table = RouteTable::new(1, &[route], None, vec![std::sync::Arc::from([])])?;
    let stored = node.log.stats().appended_bytes.load(std::sync::atomic::Ordering::Relaxed) as f64;
    let core = *cores::allowed()?.last().ok_or("no core is allowed")?;
    let sweep = |is_matched: bool| -> Result<f64, Box<dyn Error>> {
        let mut matcher = Matcher::default();
        let (mut seen, mut matched) = (0, 0);
        let began = Instant::now();
        for partition in 0..PARTITIONS {
            let (mut next, end) = reader.bounds(partition);
            while next < end {
                for batch in reader.read(partition, next, READ_BYTES)? {
                    next = batch.last_offset() + 1;
                    seen += batch.rows().len() as u64;
                    if is_matched {
                        matcher.run(&table, &batch, None);
                        matched += matcher.matched(0) as u64;
                    }
                }
            }
        }
        let took = began.elapsed();
        if seen != events || (is_matched && matched != hot) {
            return Err(format!("{seen} of {events} events, {matched} of {hot} matches").into());
        }
        Ok(stored / took.as_secs_f64())
    };
    let (mut with, mut without) = (Vec::new(), Vec::new());
    // The first sweep brings the log into the page cache.
    for round in 0..=rounds {
        let (matching, reading) =
            cores::on(core, || -> Result<_, Box<dyn Error>> { Ok((sweep(true)?, sweep(false)?)) })??;
        if round > 0 {
            with.push(matching);
            without.push(reading);
        }
    }
    node.close()?;
    std::fs::remove_dir_all(folder.join("log"))?;
    let peer =
        Peer { name: "reading and decoding alone".into(), version: String::new(), values: without, cpu_ns: vec![] };
    let mut row =
        Row::new("log", "replay of 240-byte events with a filter", "one core", &with, &[], peer, setting.quick)
            .unit("B/s");
    row.note = "target: 1 GB/s of log bytes, page cache warm".into();
    Ok(vec![row])
}

/// Telemetry until the log has `bytes`; events, and those hotter than 30.
fn fill(node: &mut Node, bytes: usize) -> Result<(u64, u64), Box<dyn Error>> {
    let mut builders: Vec<BatchBuilder> = (0..PARTITIONS).map(BatchBuilder::new).collect();
    let (mut events, mut hot, mut stored) = (0u64, 0, 0);
    let headers = HeaderWriter::default();
    while stored < bytes {
        let (device, temp) = (events * 7919 % 10_000, events * 31 % 400);
        let key = format!("device-{device:05}");
        let body = format!(
            "{{\"device_id\":\"{key}\",\"ts\":{},\"temp\":{}.{},\"humidity\":{},\"battery\":{},\"status\":\"ok\",\
             \"firmware\":\"4.12.7\",\"location\":{{\"lat\":48.1371,\"lon\":11.5754}},\"rssi\":-67,\"uptime_s\":{events},\
             \"site\":\"plant-7\",\"line\":3,\"ok\":true}}",
            1_795_219_200_000 + events,
            temp / 10,
            temp % 10,
            events % 100,
            events % 101
        );
        hot += u64::from(temp > 300);
        let partition = engine::batch::partition_of(key.as_bytes(), PARTITIONS);
        let builder = &mut builders[partition as usize];
        builder.push(Some(key.as_bytes()), body.as_bytes(), &headers, 1)?;
        events += 1;
        if builder.is_full()
            && let Some(batch) = builder.seal()
        {
            stored += batch.bytes().len();
            node.submit(0, batch)?;
        }
    }
    for mut builder in builders {
        if let Some(batch) = builder.seal() {
            node.submit(0, batch)?;
        }
    }
    node.settle()?;
    Ok((events, hot))
}
