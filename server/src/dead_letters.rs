//! `anabranch dead-letters`: looks at what webhooks did not take, and sends it again.
//!
//! Works on the files, so it needs no running node for `list` and for `redrive --url`. A redriven line moves from `FILE` to
//! `FILE.redriven` after its event was taken; a crash in between sends it once more the next time, and loses nothing.

mod files;
mod list;
mod redrive;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Look at events that no endpoint took, and send them again.
#[derive(Args, Debug, Clone)]
pub struct DeadLettersArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with dead letters.
#[derive(Subcommand, Debug, Clone)]
pub enum Action {
    /// Show them.
    List(ListArgs),
    /// Send them again and move them to FILE.redriven.
    Redrive(RedriveArgs),
}

/// Which files.
#[derive(Args, Debug, Clone)]
pub struct Where {
    /// Data folder of the node.
    #[arg(long, env = "ANABRANCH_DATA", default_value = "./data", value_name = "DIR")]
    pub data: PathBuf,
    /// A dead letter file outside the data folder (the endpoint's `dead_letter`).
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub file: Option<PathBuf>,
    /// Only dead letters of this endpoint.
    #[arg(long, value_name = "NAME")]
    pub endpoint: Option<String>,
}

/// `dead-letters list`
#[derive(Args, Debug, Clone)]
pub struct ListArgs {
    /// Which files.
    #[command(flatten)]
    pub at: Where,
    /// Print them as they are, one JSON object per line.
    #[arg(long)]
    pub json: bool,
}

/// `dead-letters redrive`
#[derive(Args, Debug, Clone)]
pub struct RedriveArgs {
    /// Which files.
    #[command(flatten)]
    pub at: Where,
    /// Give the events back to this node, which routes them as new events to all endpoints that want them.
    #[arg(long, env = "ANABRANCH_NODE", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub to: String,
    /// Send the events straight to this address instead, as a webhook would; nobody else gets them.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// A header for --url, for instance `Authorization: Bearer …`. May be given several times.
    #[arg(long = "header", value_name = "NAME: VALUE", requires = "url")]
    pub headers: Vec<String>,
    /// Only the event at this place of the log. May be given several times.
    #[arg(long = "offset", value_name = "PARTITION:OFFSET", value_parser = place, required_unless_present = "all")]
    pub places: Vec<(u32, u64)>,
    /// Every dead letter of the files chosen.
    #[arg(long, conflicts_with = "places")]
    pub all: bool,
}

fn place(text: &str) -> Result<(u32, u64), String> {
    let parsed =
        text.split_once(':').and_then(|(partition, offset)| Some((partition.parse().ok()?, offset.parse().ok()?)));
    parsed.ok_or_else(|| "give partition and offset as `list` shows them, for example 3:1042".to_owned())
}

/// Runs the command.
pub fn run(args: DeadLettersArgs) -> ExitCode {
    let done = match args.action {
        Action::List(args) => list::list(&args, &mut std::io::stdout().lock()),
        Action::Redrive(args) => redrive::redrive(&args, &mut std::io::stdout().lock()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
