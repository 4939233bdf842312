//! `loadgen generate`: events into a file or a pipe.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use loadgen::generate::{GeneratePlan, generate};
use loadgen::ledger::{Ledger, LedgerFile};
use loadgen::report::grouped;

use super::Ended;
use super::fleet::FleetArgs;

#[derive(Args)]
pub struct GenerateArgs {
    #[command(flatten)]
    fleet: FleetArgs,
    /// Lines to write.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// File to write (`-`: standard output).
    #[arg(long)]
    out: PathBuf,
    /// Write down what was sent, for `loadgen verify`; all of it counts as acknowledged.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
}

pub fn run(args: &GenerateArgs) -> Ended {
    let model = args.fleet.model()?;
    let plan =
        GeneratePlan { model: model.clone(), devices: args.fleet.devices, events: args.events, seed: args.fleet.seed };
    let began = Instant::now();
    let bytes = if args.out.as_os_str() == "-" {
        generate(&plan, &mut io::stdout().lock())?
    } else {
        let mut file =
            File::create(&args.out).map_err(|error| format!("cannot create {}: {error}", args.out.display()))?;
        generate(&plan, &mut file).map_err(|error| format!("cannot write {}: {error}", args.out.display()))?
    };
    let seconds = began.elapsed().as_secs_f64().max(1e-9);
    eprintln!(
        "{} events, {} bytes in {seconds:.3} s: {} events/s",
        grouped(args.events),
        grouped(bytes),
        grouped((args.events as f64 / seconds) as u64)
    );
    if let Some(path) = &args.ledger {
        let mut ledger = Ledger::new(0..args.fleet.devices);
        let mut fleet = loadgen::fleet::Fleet::of(model.clone(), args.fleet.seed, 0..args.fleet.devices);
        for _ in 0..args.events {
            let emitted = fleet.skip_event();
            ledger.send(emitted.device, emitted.seq);
            ledger.acknowledge(emitted.device, emitted.seq);
        }
        LedgerFile { model, seed: args.fleet.seed, receipts: true, ledger }.write(path)?;
    }
    Ok(ExitCode::SUCCESS)
}
