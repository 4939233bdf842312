//! The benchmarks: ours and what people would pick instead, on the same machine, in the same run, on one core each.
//!
//! `cargo run --release -p bench -- SUITE [--quick] [--json FILE] [--record]`; `docs` turns records into `docs/performance.md`. What always
//! holds: ours and peer take turns on the same core with the same input and are compared by medians; what each of them wrote is
//! counted, and a wrong count fails the run; a peer that is missing is named. `--quick` is small enough for every test run and shows
//! that everything works, not how fast it is.

mod binary;
mod cores;
mod curves;
mod docs;
mod e2e;
mod events;
mod extract;
mod floor;
mod http;
mod log;
mod machine;
mod matching;
mod mqtt;
mod parquet;
mod peers;
mod pipe;
mod process;
mod quic;
mod record;
mod rounds;
mod row;
mod scaling;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use row::Row;

/// Peers allocate for every event; they get the allocator that the node has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Anabranch against its peers.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    /// What to measure.
    suite: Suite,
    /// A few seconds and small inputs: shows that it works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Write the rows as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Keep the rows in `bench/records/DATE-SUITE.json`.
    #[arg(long, conflicts_with = "quick")]
    record: bool,
    /// The commit that a record names, where git cannot be asked.
    #[arg(long, value_name = "HASH", requires = "record")]
    commit: Option<String>,
    /// With `docs`: change nothing, and fail when page or charts are not what the records give.
    #[arg(long)]
    check: bool,
    /// The binary `anabranch` to measure; without it, the release build of this workspace is built and taken.
    #[arg(long, value_name = "FILE")]
    anabranch: Option<PathBuf>,
    /// Folder for what the nodes of `e2e`, `mqtt`, `quic` and `scaling` write: /dev/shm takes the disk out of the figures.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// What `route-probe` builds.
    #[arg(long, hide = true, default_value = "ours")]
    probe_builder: matching::probe::Builder,
    /// Of how many routes.
    #[arg(long, hide = true, default_value = "0")]
    probe_routes: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// NDJSON, a filter, Parquet: `anabranch pipe` and DuckDB, one thread each.
    Pipe,
    /// A fleet's NDJSON to Parquet beside DuckDB, polars, pyarrow and chdb, and how fast DuckDB reads what was written.
    Parquet,
    /// Bulk NDJSON over HTTP with `synced` receipts: events per second of a busy core.
    Http,
    /// The node under load that does not wait: knee, latency from ingest to ack and to push, processor time, memory.
    E2e,
    /// Matching and the whole node by number of shards, as far as the machine has cores.
    Scaling,
    /// Six typed fields out of JSON events, beside simd-json, sonic-rs, serde_json and a bare copy.
    Extract,
    /// From the bytes of a batch to which rows go where, by number of routes, beside quamina.
    Match,
    /// The log beside what the device does alone, replay, cursors, and a thousand endpoints of which ten misbehave.
    Log,
    /// Our node as an MQTT broker beside mosquitto and rumqttd: processor time per message and delivery, idle connections, latency.
    Mqtt,
    /// Our node's QUIC publishers and subscribers beside quinn alone: processor time per delivery, latency, memory.
    Quic,
    /// All of them but `scaling`, which wants a machine with many cores.
    All,
    /// Nothing: writes `docs/performance.md` and its charts from the newest records.
    Docs,
    /// The floor of `http`: a server that reads and forgets. Started by that suite.
    #[value(hide = true)]
    FloorServer,
    /// The stand-in of `e2e`. Started by that suite.
    #[value(hide = true)]
    StandInServer,
    /// The peer of `quic`: quinn and nothing else. Started by that suite.
    #[value(hide = true)]
    QuinnSender,
    /// Builds one table in a process of its own. Started by `match`.
    #[value(hide = true)]
    RouteProbe,
}

/// What every suite is told.
struct Setting {
    quick: bool,
    anabranch: PathBuf,
    /// Folder for what nodes under load write; the system's temporary one if there is none.
    data: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Box<dyn Error>> {
    if cli.suite == Suite::FloorServer {
        return floor::serve();
    }
    if cli.suite == Suite::StandInServer {
        return e2e::stand_in::serve();
    }
    if cli.suite == Suite::QuinnSender {
        return quic::bare::serve(cli.quick);
    }
    if cli.suite == Suite::RouteProbe {
        return matching::probe::serve(cli.probe_builder, cli.probe_routes);
    }
    if cli.suite == Suite::Docs {
        return write_docs(cli.check);
    }
    if cli.check {
        return Err("--check belongs to `docs`".into());
    }
    let anabranch = match &cli.anabranch {
        Some(path) => path.canonicalize().map_err(|error| format!("cannot find {}: {error}", path.display()))?,
        None if matches!(cli.suite, Suite::Extract | Suite::Match) => PathBuf::new(),
        None => binary::build()?,
    };
    let setting = Setting { quick: cli.quick, anabranch, data: cli.data.clone() };
    let mut rows: Vec<Row> = Vec::new();
    if matches!(cli.suite, Suite::Extract | Suite::All) {
        rows.extend(extract::run(&setting)?);
    }
    if matches!(cli.suite, Suite::Match | Suite::All) {
        rows.extend(matching::run(&setting)?);
    }
    if matches!(cli.suite, Suite::Pipe | Suite::All) {
        rows.extend(pipe::run(&setting)?);
    }
    if matches!(cli.suite, Suite::Parquet | Suite::All) {
        rows.extend(parquet::run(&setting)?);
    }
    if matches!(cli.suite, Suite::Http | Suite::All) {
        rows.extend(http::run(&setting)?);
    }
    if matches!(cli.suite, Suite::Log | Suite::All) {
        rows.extend(log::run(&setting)?);
    }
    if matches!(cli.suite, Suite::E2e | Suite::All) {
        rows.extend(e2e::run(&setting)?);
    }
    if matches!(cli.suite, Suite::Mqtt | Suite::All) {
        rows.extend(mqtt::run(&setting)?);
    }
    if matches!(cli.suite, Suite::Quic | Suite::All) {
        rows.extend(quic::run(&setting)?);
    }
    if cli.suite == Suite::Scaling {
        rows.extend(scaling::run(&setting)?);
    }
    println!("{}", row::table(&rows));
    if let Some(path) = &cli.json {
        std::fs::write(path, serde_json::to_string_pretty(&rows)?)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    if cli.record {
        tell(&record::write(&rows, cli.commit.as_deref())?);
    }
    Ok(())
}

fn write_docs(check: bool) -> Result<(), Box<dyn Error>> {
    match check {
        true => docs::check()?,
        false => tell(&docs::write()?),
    }
    Ok(())
}

fn tell(written: &[PathBuf]) {
    for path in written {
        println!("wrote {}", path.display());
    }
}
