//! `loadgen receive`: the far end of a webhook, well or not, honest or not.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::{Args, ValueEnum};
use loadgen::receiver::{Fault, Keeper, Mode, Receiver};
use loadgen::report::{grouped, ms};

use super::Ended;

#[derive(Args)]
pub struct ReceiveArgs {
    /// Address to listen on; port 0 is chosen by the system and printed.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How to behave.
    #[arg(long, value_enum, default_value_t = ModeArg::Healthy)]
    mode: ModeArg,
    /// Milliseconds before the answer when slow.
    #[arg(long, default_value_t = 1_000)]
    delay_ms: u64,
    /// Status when failing.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(400..=599))]
    status: u16,
    /// Keep what arrives as lines of this file.
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
    /// Be a bad keeper, to see that `loadgen verify` notices: KIND:N does it to every N-th event; KIND is drop, swap, duplicate or flip.
    #[arg(long, value_name = "KIND:N", requires = "keep")]
    fault: Vec<Fault>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ModeArg {
    /// Answer 200.
    Healthy,
    /// Answer with `--status`.
    Fail,
    /// Never answer.
    Hang,
    /// Answer 200 after `--delay-ms`.
    Slow,
}

pub fn run(args: &ReceiveArgs) -> Ended {
    let mode = match args.mode {
        ModeArg::Healthy => Mode::Healthy,
        ModeArg::Fail => Mode::Fail { status: args.status, retry_after_s: None },
        ModeArg::Hang => Mode::Hang,
        ModeArg::Slow => Mode::Slow(Duration::from_millis(args.delay_ms)),
    };
    let keeper = match &args.keep {
        None => None,
        Some(path) => {
            let file = File::create(path).map_err(|error| format!("cannot create {}: {error}", path.display()))?;
            Some(Arc::new(Mutex::new(Keeper::new(BufWriter::new(file), &args.fault))))
        }
    };
    let receiver = match &keeper {
        None => Receiver::listen(args.listen, mode),
        Some(keeper) => {
            let keeper = keeper.clone();
            let taker = move |payload: &[u8], _| keeper.lock().unwrap_or_else(PoisonError::into_inner).take(payload);
            Receiver::listen_for(args.listen, mode, Box::new(taker))
        }
    };
    let receiver = receiver.map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    println!("webhook receiver on {}", receiver.url());
    io::stdout().flush()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        let mut before = 0;
        loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => return,
                _ = ticks.tick() => {
                    let received = receiver.received();
                    if received.requests != before {
                        before = received.requests;
                        eprintln!("{} events in {} requests, {} refused, p99 {}", grouped(received.events),
                            grouped(received.requests), grouped(received.refused_requests), ms(received.latency.p99_us));
                    }
                }
            }
        }
    });
    drop(receiver);
    if let (Some(keeper), Some(path)) = (keeper, &args.keep) {
        let done = keeper.lock().unwrap_or_else(PoisonError::into_inner).finish();
        let faults = done.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        eprintln!("{faults} faults made on purpose");
    }
    Ok(ExitCode::SUCCESS)
}
