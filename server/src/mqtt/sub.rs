//! `anabranch mqtt sub`: prints what comes.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use connectors::mqtt::codec::{Qos, Reason};
use tokio::time::{Instant, sleep_until};

use super::client::{Client, Incoming, Session};
use super::error::MqttError;
use super::print::{Format, print};
use super::reach::{MqttVersion, ReachArgs};

/// Subscribe to topics and print their messages.
#[derive(Args, Debug, Clone)]
#[command(after_help = "\
Messages go to stdout, everything else to stderr. A message is acknowledged after it was printed. With --client-id and
--session-expiry the broker keeps what comes while the command is away; --clean-start false goes on with it:
  anabranch mqtt sub 'plant/#' --client-id desk --session-expiry 3600 --clean-start false")]
pub struct SubArgs {
    /// Topic filters: `plant/#`, `+/temp`, `$share/group/plant/#`.
    #[arg(required = true, value_name = "FILTER")]
    pub filters: Vec<String>,
    /// How the broker is reached.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// Highest QoS of deliveries.
    #[arg(long, default_value = "1", value_name = "0|1|2", value_parser = super::qos)]
    pub qos: Qos,
    /// Whether to forget the session there was; `false` needs --client-id.
    #[arg(long, default_value = "true", value_name = "BOOL", action = clap::ArgAction::Set)]
    pub clean_start: bool,
    /// How many seconds the session outlives this command (MQTT 5).
    #[arg(long, value_name = "SECONDS")]
    pub session_expiry: Option<u32>,
    /// End after so many messages.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after so many seconds; it is an error if --count messages have not come by then.
    #[arg(long, value_name = "SECONDS", value_parser = super::seconds)]
    pub timeout: Option<Duration>,
    /// How to print.
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    pub format: Format,
}

impl SubArgs {
    fn session(&self) -> Result<Session, MqttError> {
        let wrong = |text: &str| Err(MqttError::Usage(text.to_owned()));
        if !self.clean_start && self.reach.client_id.is_none() {
            return wrong("--clean-start false goes on with a session that has a name: add --client-id");
        }
        if self.session_expiry.is_some() && self.reach.mqtt_version != MqttVersion::V5 {
            return wrong("--session-expiry needs MQTT 5; before, --clean-start false keeps the session");
        }
        Ok(Session { clean_start: self.clean_start, expiry_s: self.session_expiry })
    }
}

/// Runs until enough has come, the time is over, Ctrl-C, or the broker says no.
pub(super) async fn sub(args: &SubArgs, out: &mut impl Write) -> Result<(), MqttError> {
    let stop = super::told_to_stop();
    tokio::pin!(stop);
    let session = args.session()?;
    let ends = args.timeout.map(|within| Instant::now() + within);
    let mut client = tokio::select! {
        client = Client::connect(&args.reach, session) => client?,
        () = &mut stop => return Ok(()),
    };
    if client.session_present {
        eprintln!("the session of {} goes on", args.reach.client_id.as_deref().unwrap_or_default());
    }
    client.subscribe(&args.filters, args.qos)?;
    let mut printed = 0;
    let wanted = args.count.unwrap_or(u64::MAX);
    loop {
        while printed < wanted
            && let Some(incoming) = client.ready()?
        {
            match incoming {
                Incoming::Subscribed { reasons, text } => {
                    let granted = granted(&args.filters, &reasons, &text);
                    if granted.is_err() {
                        client.disconnect().await;
                        return granted;
                    }
                    eprintln!("subscribed at {}; Ctrl-C ends", args.reach.url);
                }
                Incoming::Message(message) => {
                    // A closed pipe (`| head`) is the usual end, no error.
                    if print(out, &message, args.format).is_err() {
                        client.disconnect().await;
                        return Ok(());
                    }
                    client.acknowledge(&message);
                    printed += 1;
                }
                Incoming::Settled { .. } | Incoming::Pong => {}
            }
        }
        if out.flush().is_err() || printed == wanted {
            client.disconnect().await;
            return Ok(());
        }
        tokio::select! {
            waited = client.wait() => waited?,
            () = &mut stop => break,
            () = sleep_until(ends.unwrap_or_else(Instant::now)), if ends.is_some() => break,
        }
    }
    let is_late = ends.is_some_and(|ends| Instant::now() >= ends);
    client.disconnect().await;
    match (args.count, args.timeout) {
        (Some(wanted), Some(within)) if is_late => Err(MqttError::Few { got: printed, wanted, within }),
        _ => Ok(()),
    }
}

/// One refused filter is an error: what is printed would not be what was asked for.
pub(super) fn granted(filters: &[String], reasons: &[Reason], text: &Option<String>) -> Result<(), MqttError> {
    if reasons.len() != filters.len() {
        return Err(MqttError::Protocol("SUBACK has another number of reasons than SUBSCRIBE has filters"));
    }
    match filters.iter().zip(reasons).find(|(_, reason)| reason.is_error()) {
        Some((filter, reason)) => {
            Err(MqttError::Filter { filter: filter.clone(), reason: *reason, text: text.clone() })
        }
        None => Ok(()),
    }
}
