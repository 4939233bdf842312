//! The command `loadgen`: drives a target with a simulated fleet, and proves what became of the events.
//!
//! Exit status: 0 when all is well; 1 when something that was sent is not acknowledged, or `verify` found something wrong; 2 for a
//! wrong command line; 3 when the work could not be done.

mod cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    Http(cli::http::HttpArgs),
    /// Publish a fleet's events to an MQTT broker, any broker.
    Mqtt(cli::mqtt::MqttArgs),
    /// Publish a fleet's events over QUIC (protocol anabranch/1).
    Quic(cli::quic::QuicArgs),
    /// Subscribe over QUIC (protocol anabranch/1) and keep what comes, or count what comes to many.
    Subscribe(cli::subscribe::SubscribeArgs),
    /// Write a fleet's events as NDJSON.
    Generate(cli::generate::GenerateArgs),
    /// Be a webhook's far end: count what arrives, until Ctrl-C.
    Receive(cli::receive::ReceiveArgs),
    /// Hold what came out against what was sent: exit status 0 only if nothing is lost, doubled, out of order, corrupted or unwanted.
    Verify(cli::verify::VerifyArgs),
    /// Print the built-in profile file, to start one from, or check one.
    Profile(cli::profile::ProfileArgs),
}

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Http(args) => cli::http::run(args),
        Command::Mqtt(args) => cli::mqtt::run(&args),
        Command::Quic(args) => cli::quic::run(&args),
        Command::Subscribe(args) => cli::subscribe::run(&args),
        Command::Generate(args) => cli::generate::run(&args),
        Command::Receive(args) => cli::receive::run(&args),
        Command::Verify(args) => cli::verify::run(&args),
        Command::Profile(args) => cli::profile::run(&args),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("loadgen: {error}");
        ExitCode::from(3)
    })
}
