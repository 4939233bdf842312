//! `loadgen mqtt`: a fleet's events to any broker; and the way in, which `verify … mqtt` shares.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use loadgen::client::Progress;
use loadgen::client::mqtt::{self, Access, MqttPlan, Qos, Target, Topic, Version};
use loadgen::report::{grouped, ms};
use tokio::sync::watch;

use super::Ended;
use super::drive::{About, DriveArgs};
use super::fleet::FleetArgs;

/// How to get into a broker.
#[derive(Args)]
pub struct AccessArgs {
    /// The broker: mqtt://host:port, or mqtts://host:port for TLS.
    #[arg(long)]
    pub target: Target,
    /// Version of the protocol.
    #[arg(long = "mqtt-version", value_enum, default_value_t = VersionArg::V5)]
    version: VersionArg,
    /// Quality of service: 0 (no receipts), 1 or 2.
    #[arg(long, value_parser = qos, default_value = "1", value_name = "0|1|2")]
    pub qos: Qos,
    /// User.
    #[arg(long)]
    username: Option<String>,
    /// Password.
    #[arg(long, env = "LOADGEN_MQTT_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// PEM file of certificates to trust beside the system's.
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Seconds without a packet after which a ping goes out; 0: none.
    #[arg(long, default_value_t = 60)]
    keep_alive_s: u16,
}

#[derive(Clone, Copy, ValueEnum)]
enum VersionArg {
    /// MQTT 3.1.1.
    #[value(name = "3.1.1")]
    V311,
    /// MQTT 5.
    #[value(name = "5")]
    V5,
}

fn qos(text: &str) -> Result<Qos, String> {
    match text {
        "0" => Ok(Qos::AtMostOnce),
        "1" => Ok(Qos::AtLeastOnce),
        "2" => Ok(Qos::ExactlyOnce),
        _ => Err("write 0, 1 or 2".to_owned()),
    }
}

impl AccessArgs {
    pub fn access(&self) -> Access {
        let mut access = Access::new(self.target.clone());
        access.version = match self.version {
            VersionArg::V311 => Version::V311,
            VersionArg::V5 => Version::V5,
        };
        access.keep_alive_s = self.keep_alive_s;
        access.username = self.username.clone();
        access.password = self.password.clone();
        access.tls_ca = self.tls_ca.clone();
        access
    }
}

#[derive(Args)]
pub struct MqttArgs {
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    drive: DriveArgs,
    #[command(flatten)]
    access: AccessArgs,
    /// Topic; {device_id} is the device's id.
    #[arg(long, default_value = "devices/{device_id}/messages/events")]
    topic: Topic,
    /// Connections: gateways that carry many devices each.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// A connection per device.
    #[arg(long, conflicts_with = "connections")]
    connection_per_device: bool,
    /// Threads that carry the connections.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// Messages without a receipt of one connection, at QoS 1 and 2.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    window: u16,
    /// Connections opened a second; 0: all at once, a storm.
    #[arg(long, default_value_t = 0.0)]
    connects_per_s: f64,
    /// Ask the broker to keep every device's last event.
    #[arg(long)]
    retain: bool,
    /// Client ids are this, a hyphen and a number.
    #[arg(long, default_value = "loadgen")]
    client_prefix: String,
    /// Seconds for which a broken connection is tried again before its events are given up.
    #[arg(long, default_value_t = 60.0)]
    give_up_after: f64,
}

pub fn run(args: &MqttArgs) -> Ended {
    let model = args.fleet.model()?;
    let mut plan = MqttPlan::new(args.access.target.clone(), args.fleet.devices);
    plan.access = args.access.access();
    plan.access.give_up_after = Duration::try_from_secs_f64(args.give_up_after)?;
    plan.model = model.clone();
    plan.qos = args.access.qos;
    plan.events = args.drive.events.unwrap_or(u64::MAX);
    plan.connections = if args.connection_per_device { args.fleet.devices } else { args.connections };
    plan.threads = args.threads;
    plan.pace = args.drive.pace()?;
    plan.seed = args.fleet.seed;
    plan.topic = args.topic.clone();
    plan.retain = args.retain;
    plan.client_prefix = args.client_prefix.clone();
    plan.window = args.window;
    plan.connects_per_s = args.connects_per_s;
    let mut about = About {
        protocol: "MQTT",
        target: args.access.target.to_string(),
        model,
        seed: args.fleet.seed,
        started: jiff::Timestamp::now(),
        facts: vec![("connections".to_owned(), grouped(u64::from(plan.connections)))],
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut watched = runtime.block_on(async {
        let progress = Arc::new(Progress::default());
        let (stop, stopped) = watch::channel(false);
        args.drive.drive(&progress, &stop, args.threads, mqtt::run(plan, progress.clone(), stopped)).await
    })?;
    let outcome = &watched.outcome;
    let connects = outcome.connects.quantiles();
    let mut fact = |name: &str, value: String| about.facts.push((name.to_owned(), value));
    fact("connecting", format!("{:.2} s", outcome.connecting.as_secs_f64()));
    fact("connect p50, p99", format!("{}, {}", ms(connects.p50_us), ms(connects.p99_us)));
    fact("reconnects", grouped(outcome.reconnects));
    if outcome.refused > 0 {
        fact("refused", grouped(outcome.refused));
    }
    if outcome.abandoned > 0 {
        let lost = format!("{} connections were given up: their remaining events were never sent", outcome.abandoned);
        watched.warnings.push(lost);
    }
    args.drive.finish(&about, &watched.outcome.figures(), &watched.series, &watched.warnings)
}
