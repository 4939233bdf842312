//! `loadgen profile`: the built-in profile file, or a look at somebody's own.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use loadgen::fleet::{Fleet, Model};

use super::{Ended, fleet};

#[derive(Args)]
pub struct ProfileArgs {
    /// Check this file and print one event of each of the first devices instead.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// How many events to print.
    #[arg(long, default_value_t = 5, requires = "file")]
    events: u32,
}

pub fn run(args: &ProfileArgs) -> Ended {
    let Some(path) = &args.file else {
        print!("{}", Model::telemetry_source());
        return Ok(ExitCode::SUCCESS);
    };
    let model = fleet::read(path)?;
    let mut fleet = Fleet::of(model, 1, 0..args.events.max(1));
    let mut out = Vec::new();
    for _ in 0..args.events {
        out.clear();
        fleet.write_event(loadgen::generate::START_US, &mut out);
        println!("{}", String::from_utf8_lossy(&out));
    }
    Ok(ExitCode::SUCCESS)
}
