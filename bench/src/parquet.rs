//! Suite `parquet`: a fleet's NDJSON to Parquet by ours and by what people would pick instead, how fast DuckDB reads the result, encoding
//! alone beside the parquet crate's own writer, and what a node pays for a Parquet endpoint in time and in memory.
//!
//! What always holds: everybody has one thread on the same core, reads the same file, writes with snappy and takes turns; what each of
//! them wrote is read back, and rows and sums that are not the input's fail the run. Ours is `anabranch pipe` as a process from start to
//! end, its sync to disk included; of a peer only the conversion counts, so what doubt there is works for the peer.

mod content;
mod encode;
mod ingest;
mod memory;
mod read;
mod write;

use std::error::Error;
use std::fs::File;

use loadgen::generate::{GeneratePlan, generate};

use crate::Setting;
use crate::peers::Peers;
use crate::row::Row;

use content::Content;

const DEVICES: u32 = 10_000;
const SEED: u64 = 1;
/// In the order of the table.
const PEERS: [&str; 4] = ["duckdb", "polars", "pyarrow", "chdb"];

/// Measures writing and reading.
pub fn run(setting: &Setting) -> Result<Vec<Row>, Box<dyn Error>> {
    let events: u64 = if setting.quick { 20_000 } else { 2_000_000 };
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("telemetry.ndjson");
    let bytes = generate(&GeneratePlan::new(DEVICES, events, SEED), &mut File::create(&input)?)?;
    let expected = Content::of_ndjson(&input)?;
    if expected.rows != events {
        return Err(format!("{} of {events} events were generated", expected.rows).into());
    }
    let peers = Peers::set_up(&PEERS);
    let input = write::Input { path: input, events, bytes, expected };
    let (mut rows, files) = write::run(setting, &peers, &input, folder.path())?;
    rows.extend(read::run(setting, &peers, &input, &files)?);
    rows.extend(encode::run(setting)?);
    rows.extend(ingest::run(setting)?);
    rows.extend(memory::run(setting)?);
    Ok(rows)
}
