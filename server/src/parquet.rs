//! `anabranch parquet inspect`: what is in a folder of Parquet files, for people and for programs.

mod show;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use connectors::parquet::{Place, StoreConfig, inspect_blocking};

/// Commands about Parquet files.
#[derive(Debug, Args)]
pub struct ParquetArgs {
    #[command(subcommand)]
    command: ParquetCommand,
}

#[derive(Debug, Subcommand)]
enum ParquetCommand {
    /// Show files, offsets, holes, columns and what they cost.
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exits with 0 if all is as it should be, with 1 if two commits cover the same offsets or a file is damaged, with 2 if it cannot look.
Examples:
  anabranch parquet inspect ./lake
  anabranch parquet inspect ./lake --files
  anabranch parquet inspect s3://bucket/fleet/lake --json | jq .partitions")]
struct InspectArgs {
    /// Folder or URL as configured: a path, s3://BUCKET/FOLDER, az://CONTAINER/FOLDER or file:///FOLDER.
    #[arg(value_name = "DIR|URL")]
    place: String,
    /// Everything as one JSON object.
    #[arg(long)]
    json: bool,
    /// List every file.
    #[arg(long)]
    files: bool,
    /// Where the object store is, if it is not the vendor's own.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Region of S3.
    #[arg(long)]
    region: Option<String>,
    /// Account of Azure.
    #[arg(long)]
    account: Option<String>,
    /// Allow requests without TLS.
    #[arg(long)]
    allow_http: bool,
    /// Certificates trusted besides those of the system, PEM.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: ParquetArgs) -> ExitCode {
    let ParquetCommand::Inspect(args) = args.command;
    match inspect(args) {
        Ok(is_right) => ExitCode::from(u8::from(!is_right)),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Prints the report; `true` if nothing is wrong with what it says.
fn inspect(args: InspectArgs) -> Result<bool, String> {
    let place = match args.place.contains("://") {
        true => Place::of_url(&args.place).map_err(|reason| format!("'{}' is no place: {reason}", args.place))?,
        false => Place::Dir(PathBuf::from(&args.place)),
    };
    if let Place::Dir(dir) = &place
        && !dir.is_dir()
    {
        return Err(format!("there is no folder {}", dir.display()));
    }
    let settings = StoreConfig {
        endpoint: args.endpoint,
        region: args.region,
        account: args.account,
        allow_http: args.allow_http,
        ca_file: args.ca_file,
        ..StoreConfig::default()
    };
    let report = inspect_blocking(&place, &settings).map_err(|error| error.to_string())?;
    let text = match args.json {
        true => serde_json::to_string_pretty(&report).map_err(|error| error.to_string())? + "\n",
        false => show::text(&report, args.files),
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // Who reads has had enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        written => written.map_err(|error| format!("cannot write to standard output: {error}"))?,
    }
    Ok(report.damaged.is_empty() && report.partitions.iter().all(|partition| partition.overlaps.is_empty()))
}

#[cfg(test)]
mod tests;
