//! `anabranch subscribe` and `anabranch publish`: events of a running node over QUIC, in a shell.
//!
//! What always holds: events go to stdout (or a file), everything else to stderr; what cannot be mended by waiting ends with a message
//! that says what to do and with exit status 1, wrong usage with 2; nothing that came from outside controls the terminal.

mod error;
mod from;
mod lines;
mod output;
mod parquet;
mod partitions;
mod publish;
mod reach;
mod subscribe;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

pub use publish::PublishArgs;
pub use subscribe::SubscribeArgs;

use error::QuicError;

/// Runs `anabranch subscribe`.
pub fn subscribe(args: &SubscribeArgs) -> ExitCode {
    run(subscribe::subscribe(args))
}

/// Runs `anabranch publish`.
pub fn publish(args: &PublishArgs) -> ExitCode {
    run(publish::publish(args))
}

fn run(command: impl Future<Output = Result<(), QuicError>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(command);
    // A read of standard input or a name look-up may still block a thread: do not wait for it.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if matches!(error, QuicError::Usage(_)) { 2 } else { 1 })
        }
    }
}

/// Comes from outside: none of its control characters reaches the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
