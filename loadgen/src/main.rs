//! The command `loadgen`: drives a target with a simulated fleet, writes a fleet's events to a file, or plays a webhook's far end.
//!
//! Exit status: 0 when everything that was sent is acknowledged, 1 when not or when the run could not go on, 2 for a wrong command line.

use std::error::Error;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand, ValueEnum};
use loadgen::client::http::{self, Format, HttpPlan, Target};
use loadgen::client::{Progress, ProgressView};
use loadgen::fleet::DEVICES_MAX;
use loadgen::generate::{GeneratePlan, generate};
use loadgen::pace::Pace;
use loadgen::receiver::{Mode, Receiver};
use loadgen::report::{Summary, grouped, ms};
use tokio::sync::watch;

/// Simulated device fleets, and the ledger that proves what became of their events.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send a fleet's events over HTTP and wait for the receipts.
    Http(HttpArgs),
    /// Write a fleet's events as NDJSON.
    Generate(GenerateArgs),
    /// Be a webhook's far end: count what arrives, until Ctrl-C.
    Receive(ReceiveArgs),
}

#[derive(Args)]
struct FleetArgs {
    /// Devices of the fleet.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(DEVICES_MAX)))]
    devices: u32,
    /// Seed of the fleet: the same seed makes the same readings.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Args)]
struct HttpArgs {
    #[command(flatten)]
    fleet: FleetArgs,
    /// Where to, with path.
    #[arg(long)]
    target: Target,
    /// Events to send; without it, until `--seconds` are over or Ctrl-C.
    #[arg(long)]
    events: Option<u64>,
    /// Stop after so many seconds.
    #[arg(long)]
    seconds: Option<f64>,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Events of one request.
    #[arg(long, default_value_t = 1_000)]
    batch: usize,
    /// Events per second of the whole fleet; without it, as fast as receipts come.
    #[arg(long)]
    rate: Option<f64>,
    /// How events are put into requests.
    #[arg(long, value_enum, default_value_t = FormatArg::Ndjson)]
    format: FormatArg,
    /// Seconds for which a batch without a receipt is sent again before it is given up.
    #[arg(long, default_value_t = 60.0)]
    give_up_after: f64,
    /// Write the summary as JSON to this file (`-`: standard output).
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatArg {
    /// One JSON object a line.
    Ndjson,
    /// A JSON array of CloudEvents a request.
    CloudeventsBatch,
    /// One CloudEvent a request.
    Cloudevents,
}

#[derive(Args)]
struct GenerateArgs {
    #[command(flatten)]
    fleet: FleetArgs,
    /// Lines to write.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// File to write (`-`: standard output).
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args)]
struct ReceiveArgs {
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

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Http(args) => send(args),
        Command::Generate(args) => write_file(&args),
        Command::Receive(args) => receive(&args),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("loadgen: {error}");
        ExitCode::FAILURE
    })
}

fn send(args: HttpArgs) -> Result<ExitCode, Box<dyn Error>> {
    let mut plan = HttpPlan::new(args.target, args.fleet.devices);
    plan.seed = args.fleet.seed;
    plan.events = args.events.unwrap_or(u64::MAX);
    plan.connections = args.connections;
    plan.batch = args.batch;
    plan.pace = args.rate.map_or(Pace::Closed, Pace::Constant);
    plan.give_up_after = Duration::try_from_secs_f64(args.give_up_after)?;
    plan.format = match args.format {
        FormatArg::Ndjson => Format::Ndjson,
        FormatArg::CloudeventsBatch => Format::CloudEventsBatch,
        FormatArg::Cloudevents => Format::CloudEvent,
    };
    let seconds = args.seconds.map(Duration::try_from_secs_f64).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let progress = Arc::new(Progress::default());
        let (stop, stopped) = watch::channel(false);
        let mut run = std::pin::pin!(http::run(plan, progress.clone(), stopped, None));
        let mut ends = std::pin::pin!(async {
            match seconds {
                Some(seconds) => tokio::select! {
                    () = tokio::time::sleep(seconds) => {}
                    _ = tokio::signal::ctrl_c() => {}
                },
                // Where signals cannot be had, the default of the system ends the process.
                None => drop(tokio::signal::ctrl_c().await),
            }
        });
        let mut lines = ProgressLines::new();
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                outcome = &mut run => break outcome,
                () = &mut ends, if !*stop.borrow() => { stop.send_replace(true); }
                _ = ticks.tick() => lines.show(progress.look()),
            }
        }
    })?;
    let summary = Summary::of(&outcome);
    eprintln!();
    match args.json {
        Some(path) if path.as_os_str() == "-" => println!("{}", serde_json::to_string_pretty(&summary)?),
        Some(path) => {
            std::fs::write(path, serde_json::to_string_pretty(&summary)?)?;
            println!("{summary}");
        }
        None => println!("{summary}"),
    }
    Ok(if summary.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A line a second on standard error; on a terminal always the same one.
struct ProgressLines {
    began: Instant,
    before: u64,
    rewrites: bool,
}

impl ProgressLines {
    fn new() -> Self {
        Self { began: Instant::now(), before: 0, rewrites: io::stderr().is_terminal() }
    }

    fn show(&mut self, view: ProgressView) {
        let rate = view.acknowledged_events - self.before;
        self.before = view.acknowledged_events;
        if self.began.elapsed() < Duration::from_millis(500) {
            return;
        }
        let (start, end) = if self.rewrites { ("\r\x1b[K", "") } else { ("", "\n") };
        let trouble = view.trouble.map_or(String::new(), |trouble| format!("  retrying: {trouble}"));
        eprint!(
            "{start}{:>4} s  {:>13} acknowledged  {:>11}/s  p50 {}  p99 {}  retries {}{trouble}{end}",
            self.began.elapsed().as_secs(),
            grouped(view.acknowledged_events),
            grouped(rate),
            ms(view.recent.p50_us),
            ms(view.recent.p99_us),
            grouped(view.retries),
        );
    }
}

fn write_file(args: &GenerateArgs) -> Result<ExitCode, Box<dyn Error>> {
    let plan = GeneratePlan::new(args.fleet.devices, args.events, args.fleet.seed);
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
    Ok(ExitCode::SUCCESS)
}

fn receive(args: &ReceiveArgs) -> Result<ExitCode, Box<dyn Error>> {
    let mode = match args.mode {
        ModeArg::Healthy => Mode::Healthy,
        ModeArg::Fail => Mode::Fail { status: args.status, retry_after_s: None },
        ModeArg::Hang => Mode::Hang,
        ModeArg::Slow => Mode::Slow(Duration::from_millis(args.delay_ms)),
    };
    let receiver =
        Receiver::listen(args.listen, mode).map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
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
    Ok(ExitCode::SUCCESS)
}
