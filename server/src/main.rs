//! The binary `anabranch`: picks the command.

use std::process::ExitCode;

use clap::Parser;
use server::cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The demo draws on the terminal itself: only what is wrong may come between.
    let level = match (&cli.command, cli.log_level.as_str()) {
        (Command::Demo(_), "info") => "warn",
        (_, level) => level,
    };
    if let Err(error) = server::logging::start(level, cli.log_format) {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    match cli.command {
        Command::Run(args) => server::run::run(args),
        Command::Check(args) => server::check::run(&args),
        Command::Demo(args) => server::demo::run(&args),
        Command::Pipe(args) => server::pipe::run(&args),
        Command::Parquet(args) => server::parquet::run(args),
        Command::Explain(args) => server::explain::run(args),
        Command::Tail(args) => server::tail::run(args),
        Command::Replay(args) => server::replay::run(args),
        Command::DeadLetters(args) => server::dead_letters::run(args),
        Command::Subscribe(args) => server::quic::subscribe(&args),
        Command::Publish(args) => server::quic::publish(&args),
        Command::Mqtt(args) => server::mqtt::run(args),
    }
}
