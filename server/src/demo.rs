//! `anabranch demo`: the node, a fleet of simulated devices over real HTTP on loopback, three routes, and at the end a proof.
//!
//! A threshold alert goes to a webhook receiver that the demo starts itself, all telemetry to Parquet, critical events to a live
//! tail. What always holds: the demo counts what should match from the readings themselves, what arrived at the far ends, and says
//! PASS (exit status 0) only if both agree with the node's own counters.

mod adapter;
mod expected;
mod folder;
mod frame;
mod parquet_rows;
mod screen;
mod session;
mod tail;
mod verdict;
mod view;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use loadgen::fleet::DEVICES_MAX;
use loadgen::report::{grouped, ms};

use folder::Folder;
use session::{Ended, Session};

/// What the demo is asked to do.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// Seconds for which the fleet sends; Ctrl-C ends it earlier.
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    pub seconds: f64,
    /// Devices of the fleet.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(DEVICES_MAX)))]
    pub devices: u32,
    /// Events per second of the whole fleet; 0 sends as fast as they are acknowledged. Default: one per device.
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,
    /// Folder for everything the demo writes, new or empty; it is kept. Default: a temporary one.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Keep the log too, not only the Parquet files.
    #[arg(long)]
    pub keep: bool,
    /// Seed of the fleet's readings.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is needed".to_owned())?;
    if (0.1..=86_400.0).contains(&seconds) { Ok(seconds) } else { Err("from 0.1 to 86400 seconds".to_owned()) }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "a number of events per second is needed".to_owned())?;
    if (0.0..=1e9).contains(&rate) { Ok(rate) } else { Err("from 0 (as fast as possible) to 1000000000".to_owned()) }
}

/// Runs the demo. Exit status 0 when all counts agree, 1 when not or when it could not run.
pub fn run(args: &DemoArgs) -> ExitCode {
    match demo(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demo(args: &DemoArgs) -> Result<bool, session::DemoError> {
    let folder = Folder::prepare(args.data_dir.as_deref())?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(session::DemoError::Runtime)?;
    let ended = runtime.block_on(async { Session::start(args, &folder)?.run().await })?;
    let passed = ended.tally.discrepancies().is_empty();
    print!("{}", summary(&ended));
    folder.clean(args.keep || !passed);
    println!("{}", next_steps(&ended, &folder, args.keep || !passed));
    Ok(passed)
}

fn summary(ended: &Ended) -> String {
    let (ack, push) = (ended.ack_latency, ended.push_latency);
    format!(
        "\n{}\n\n  {} events/s over {:.1} s   ack p50 {}  p99 {}   device to webhook p50 {}  p99 {}\n  log {}   Parquet {} in {} files\n",
        ended.tally,
        grouped(ended.events_per_s as u64),
        ended.seconds,
        ms(ack.p50_us),
        ms(ack.p99_us),
        ms(push.p50_us),
        ms(push.p99_us),
        view::bytes(ended.log_bytes),
        view::bytes(ended.parquet.bytes),
        ended.parquet.files,
    )
}

fn next_steps(ended: &Ended, folder: &Folder, kept: bool) -> String {
    let mut text = String::new();
    if ended.parquet.files > 0 {
        text.push_str(&format!(
            "\n  Ask DuckDB about the telemetry:\n\n    duckdb -c \"SELECT site, count(*) AS events, round(avg(temp), 1) AS mean_temp, max(temp) AS \
             max_temp FROM '{}/**/*.parquet' GROUP BY site ORDER BY max_temp DESC LIMIT 10\"\n",
            folder.places().parquet.display()
        ));
    }
    let what = if kept { "Log, state and Parquet files" } else { "The Parquet files" };
    text.push_str(&format!("\n  {what} are in {}; remove the folder when you are done.", folder.path().display()));
    text
}
