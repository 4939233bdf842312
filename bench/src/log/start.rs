//! Opening a log: one of 100 GB that was closed, and one whose last segment a crash left without an index.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use connectors::hub::{self, LogOptions};
use engine::log::{Entry, index};

use super::append::large_batch;
use crate::Setting;
use crate::row::{Peer, Row};

const SEGMENT_BYTES: u64 = 256 * 1024 * 1024;
const BATCH_BYTES: u32 = 64 * 1024;
const PARTITIONS: u32 = 32;

fn nobody() -> Peer {
    Peer { name: String::new(), version: String::new(), values: Vec::new(), cpu_ns: Vec::new() }
}

/// Seconds to open, and bytes per second of a scan.
pub fn run(setting: &Setting, folder: &Path) -> Result<Vec<Row>, Box<dyn Error>> {
    Ok(vec![open(setting, folder)?, scan(setting, folder)?])
}

/// A start reads indexes and sizes of segments, never what is in them: holes of the right size do.
fn open(setting: &Setting, folder: &Path) -> Result<Row, Box<dyn Error>> {
    let (segments, rounds) = if setting.quick { (20, 2) } else { (400, 5) };
    let options = LogOptions::new(folder.join("log"), PARTITIONS);
    hub::open(&options)?.0.close()?;
    let dir = folder.join("log/shard-000");
    std::fs::create_dir_all(&dir)?;
    for number in 0..segments {
        let name = format!("shard-000/{number:020}.log");
        let per_segment = SEGMENT_BYTES / u64::from(BATCH_BYTES);
        let entries: Vec<Entry> = (0..per_segment)
            .map(|at| Entry {
                partition: (at % u64::from(PARTITIONS)) as u32,
                base_offset: (number * per_segment + at) / u64::from(PARTITIONS) * 250,
                rows: 250,
                position: at * u64::from(BATCH_BYTES),
                bytes: BATCH_BYTES,
                max_timestamp_ms: 1,
            })
            .collect();
        std::fs::write(dir.join(format!("{number:020}.index")), index::encode(&name, &entries, SEGMENT_BYTES))?;
        std::fs::File::create(dir.join(format!("{number:020}.log")))?.set_len(SEGMENT_BYTES)?;
    }
    let mut took_us = Vec::new();
    for _ in 0..rounds {
        let began = Instant::now();
        let (log, recovered) = hub::open(&options)?;
        took_us.push(began.elapsed().as_secs_f64() * 1e6);
        if recovered.scanned_segments != 0 || recovered.next_offsets[0] == 0 || !recovered.damaged.is_empty() {
            return Err(format!("the log was not found: {recovered:?}").into());
        }
        log.close()?;
    }
    std::fs::remove_dir_all(folder.join("log"))?;
    let case = format!("open a log of {} GB", segments * SEGMENT_BYTES / 1_000_000_000);
    let mut row = Row::new("log", &case, "hot", &took_us, &[], nobody(), setting.quick).unit("µs");
    row.note = "target: less than a second for 100 GB; segments are holes of the right size, indexes are real".into();
    Ok(row)
}

fn scan(setting: &Setting, folder: &Path) -> Result<Row, Box<dyn Error>> {
    let (bytes, rounds) = if setting.quick { (16 << 20, 2) } else { (1 << 30, 5) };
    let options = LogOptions::new(folder.join("log"), 1);
    let (mut log, _) = hub::open(&options)?;
    drop(log.shard_writer(0, &engine::ring::Bell::default())?);
    log.close()?;
    let mut batch = large_batch(0);
    let (mut content, mut offset) = (Vec::with_capacity(bytes), 0);
    while content.len() < bytes {
        batch.set_base_offset(offset);
        offset = batch.last_offset() + 1;
        content.extend_from_slice(batch.bytes());
    }
    let segment = folder.join(format!("log/shard-000/{:020}.log", 0));
    std::fs::write(&segment, &content)?;
    let mut per_s = Vec::new();
    for _ in 0..rounds {
        let began = Instant::now();
        let (log, recovered) = hub::open(&options)?;
        per_s.push(content.len() as f64 / began.elapsed().as_secs_f64());
        if recovered.next_offsets[0] != offset || recovered.scanned_segments != 1 {
            return Err(format!("the segment was not found: {recovered:?}").into());
        }
        log.close()?;
        // As a crash would leave it.
        std::fs::remove_file(segment.with_extension("index"))?;
    }
    std::fs::remove_dir_all(folder.join("log"))?;
    let mut row =
        Row::new("log", "open after a crash", "page cache warm", &per_s, &[], nobody(), setting.quick).unit("B/s");
    row.note = "target: 1 GB/s of a segment without an index".into();
    Ok(row)
}
