//! `anabranch run`: the node as a process. Configuration in, banner out, signals until the end.

use std::process::ExitCode;

use crate::banner;
use crate::cli::RunArgs;
use crate::config;
use crate::node::{self, RunningNode};
use crate::signals::{Signal, Signals};

/// Runs the node until it is told to stop. Exit status 0 after a drain, 1 if it could not start, 2 for a bad configuration,
/// 130 if it was told twice.
pub fn run(args: RunArgs) -> ExitCode {
    let config = match config::load(&args) {
        Ok(config) => config,
        Err(problems) => {
            eprint!("{problems}");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        // Signals first: one that comes while the node starts must not kill it half-way.
        let mut signals = match Signals::new() {
            Ok(signals) => signals,
            Err(error) => {
                eprintln!("error: cannot listen for signals: {error}");
                return ExitCode::FAILURE;
            }
        };
        let mut node = match node::start(config) {
            Ok(node) => node,
            Err(error) => {
                eprintln!("error: {error}");
                return ExitCode::FAILURE;
            }
        };
        print!("{}", banner::banner(&node.facts()));
        loop {
            match signals.next().await {
                Signal::Reload => reload(&mut node, &args).await,
                Signal::Drain => break,
                Signal::ExitNow => return ExitCode::from(130),
            }
        }
        tracing::info!("draining; a second signal exits at once");
        tokio::select! {
            () = node.drain_and_stop() => {}
            () = exit_now(&mut signals) => std::process::exit(130),
        }
        tracing::info!("stopped");
        ExitCode::SUCCESS
    })
}

async fn exit_now(signals: &mut Signals) {
    while signals.next().await == Signal::Reload {}
}

async fn reload(node: &mut RunningNode, args: &RunArgs) {
    let config = match config::load(args) {
        Ok(config) => config,
        Err(problems) => {
            tracing::error!("the configuration was not reloaded, the old one goes on:\n{problems}");
            return;
        }
    };
    match node.reload(config).await {
        Ok(()) => {
            let config = node.config();
            tracing::info!(endpoints = config.endpoints.len(), routes = config.routes.len(), "configuration reloaded");
        }
        Err(error) => tracing::error!("the configuration was not reloaded, the old one goes on: {error}"),
    }
}
