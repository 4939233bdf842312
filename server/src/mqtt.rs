//! `anabranch mqtt`: MQTT in a shell, against a node or any other broker, and lines for a password file.
//!
//! What always holds: a message is acknowledged after it was printed; what the broker refuses ends with a message that names its
//! reason and with exit status 1; nothing that came from outside controls the terminal.

mod address;
mod client;
mod error;
mod message;
mod passwd;
mod payloads;
mod print;
mod publish;
mod reach;
mod sub;
mod tls;

#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use connectors::mqtt::codec::Qos;

/// Publish, subscribe, and make password lines.
#[derive(Args, Debug, Clone)]
pub struct MqttArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with MQTT.
#[derive(Subcommand, Debug, Clone)]
pub enum Action {
    /// Subscribe and print one message per line, until Ctrl-C.
    Sub(sub::SubArgs),
    /// Publish, wait for the acknowledgement and say what it was.
    Pub(publish::PubArgs),
    /// Print a line for the listener's password file; the password comes from the terminal or stdin.
    Passwd(passwd::PasswdArgs),
}

/// Runs the command.
pub fn run(args: MqttArgs) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let done = runtime.block_on(async {
        match args.action {
            Action::Sub(args) => sub::sub(&args, &mut out).await.map_err(|error| error.to_string()),
            Action::Pub(args) => publish::publish(&args, &mut out).await.map_err(|error| error.to_string()),
            Action::Passwd(args) => passwd::passwd(&args, &mut out).await.map_err(|error| error.to_string()),
        }
    });
    // A read of the terminal or a name look-up may still block a thread: do not wait for it.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C or SIGTERM.
pub(crate) async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        // Without a handler SIGTERM ends the process as it always does.
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

fn qos(text: &str) -> Result<Qos, &'static str> {
    text.parse().ok().and_then(Qos::of).ok_or("use 0, 1 or 2")
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let wrong = "use a number of seconds above 0, such as 5 or 0.5";
    let seconds: f64 = text.parse().map_err(|_| wrong)?;
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero()).ok_or(wrong)
}
