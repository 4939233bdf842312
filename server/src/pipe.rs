//! `anabranch pipe`: the engine as a filter in a shell, without a node: lines of JSON in, matches out to Parquet, NDJSON or stdout.
//!
//! Lines are handled by the chunk, as a node handles batches (`batches`); what is not for that is parsed line by line (`routes`), the
//! naive twin. A bad line is named with its file and number, and costs only itself: everything good is written, and the exit status says
//! that something was bad.

mod batches;
mod input;
mod output;
mod parquet;
mod routes;

#[cfg(test)]
mod tests;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use connectors::file::LineFormat;
use connectors::parquet::Compression;

use crate::progress::Progress;
use input::Lines;
use routes::Routes;

/// Bad lines that are named one by one; the rest is counted.
const BAD_LINES_NAMED_MAX: u64 = 20;

/// Flags of `anabranch pipe`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
A route is FILTER=>ENDPOINT, with one of these endpoints:
  parquet:DIR    files in a folder, columns learnt from the first matches
  ndjson:FILE    one line per match, appended
  -              standard output

Examples:
  anabranch pipe --route 'temp > 30=>parquet:hot' events.ndjson
  zcat *.gz | anabranch pipe --route \"status = 'alarm'=>-\" --route 'true=>parquet:all'")]
pub struct PipeArgs {
    /// Files of JSON lines, each a JSON value or a structured CloudEvent; `-` or none: standard input.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What goes where; may be given several times.
    #[arg(long, short, required_unless_present = "config", value_name = "FILTER=>ENDPOINT")]
    pub route: Vec<String>,
    /// Take routes and endpoints (parquet and ndjson) from a node's configuration, beside those of --route.
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Language of the filters: anabranch, iothub, digitaltwins, eventgrid or mqtt.
    #[arg(long, default_value = "anabranch", value_name = "DIALECT")]
    pub dialect: String,
    /// Where a line that is no CloudEvent has its key, as JSON pointer, for instance /device_id.
    #[arg(long, value_name = "POINTER")]
    pub key: Option<String>,
    /// Compression of Parquet: snappy, lz4, zstd or none.
    #[arg(long, default_value = "snappy", value_name = "CODEC", value_parser = compression)]
    pub compression: Compression,
    /// What NDJSON and standard output hold: data or cloudevents.
    #[arg(long, default_value = "data", value_name = "FORMAT", value_parser = format)]
    pub format: LineFormat,
    /// Parquet with the node's own columns: partition (0), offset (number of the event in the input), key, times and attributes.
    #[arg(long)]
    pub system_columns: bool,
}

fn compression(text: &str) -> Result<Compression, String> {
    match text {
        "snappy" => Ok(Compression::Snappy),
        "lz4" => Ok(Compression::Lz4),
        "zstd" => Ok(Compression::Zstd),
        "none" => Ok(Compression::None),
        _ => Err("use snappy, lz4, zstd or none".to_owned()),
    }
}

fn format(text: &str) -> Result<LineFormat, String> {
    match text {
        "data" => Ok(LineFormat::Data),
        "cloudevents" => Ok(LineFormat::CloudEvents),
        _ => Err("use data or cloudevents".to_owned()),
    }
}

/// Exit status 0 if every line was good, 1 if some were bad or something could not be read or written, 2 for wrong usage.
pub fn run(args: &PipeArgs) -> ExitCode {
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut routes = match Routes::compile(args, now.as_millis() as i64, color) {
        Ok(routes) => routes,
        Err(message) => {
            eprint!("{message}");
            return ExitCode::from(2);
        }
    };
    let progress = Progress::start();
    let mut bad = 0;
    let mut report = |message: &str| {
        bad += 1;
        if bad <= BAD_LINES_NAMED_MAX {
            progress.above(message);
        }
    };
    let piped = pipe(args, &mut routes, &progress, &mut report);
    progress.finish();
    if bad > BAD_LINES_NAMED_MAX {
        eprintln!("… and {} more bad lines", bad - BAD_LINES_NAMED_MAX);
    }
    // What is good is finished even if reading broke off.
    let finished = routes.finish();
    if let Err(error) = piped.and(finished) {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    if std::io::stderr().is_terminal() {
        eprint!("{}", routes.summary());
    }
    if bad > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Pipes all files; what cannot be read is reported like a bad line and costs only itself. The error is one of an output.
fn pipe(args: &PipeArgs, routes: &mut Routes, progress: &Progress, report: &mut dyn FnMut(&str)) -> Result<(), String> {
    let stdin = [PathBuf::from("-")];
    let files = if args.files.is_empty() { &stdin[..] } else { &args.files[..] };
    for path in files {
        let origin = if path.as_os_str() == "-" { "<stdin>".to_owned() } else { path.display().to_string() };
        let mut lines = match Lines::open(path) {
            Ok(lines) => lines,
            Err(error) => {
                report(&format!("cannot read {origin}: {error}"));
                continue;
            }
        };
        loop {
            match lines.read_chunk() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    report(&format!("cannot read {origin}: {error}"));
                    break;
                }
            }
            let (bytes, is_short) = (lines.chunk().bytes.len() as u64, lines.chunk().is_short());
            routes.chunk(&mut lines, &mut |line, reason| report(&format!("{origin}:{line}: {reason}")))?;
            progress.add(bytes, || format!("{} events, {} matched", routes.seen(), routes.matched()));
            // The source has no more just now: who looks at the other end is not to wait for a full buffer.
            if is_short {
                routes.flush()?;
            }
            if routes.is_closed() {
                return Ok(());
            }
        }
    }
    Ok(())
}
