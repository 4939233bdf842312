//! `loadgen quic`: a fleet's events over `anabranch/1`; and the way in, which `subscribe` and `verify … quic` share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use loadgen::client::Progress;
use loadgen::client::quic::{self, Access, Fingerprint, QuicPlan, Target, Trust};
use loadgen::report::{grouped, ms};
use tokio::sync::watch;

use super::Ended;
use super::drive::{About, DriveArgs};
use super::fleet::FleetArgs;

/// How to get into a node.
#[derive(Args)]
pub struct AccessArgs {
    /// The node: quic://host:port
    #[arg(long)]
    pub target: Target,
    /// The node's certificate is this one, as it prints it when it starts: sha256:…
    #[arg(long)]
    fingerprint: Option<Fingerprint>,
    /// PEM file of certificates to trust beside the system's.
    #[arg(long, value_name = "FILE", conflicts_with = "fingerprint")]
    tls_ca: Option<PathBuf>,
    /// Take any certificate: whoever stands between can read and change everything.
    #[arg(long, conflicts_with_all = ["fingerprint", "tls_ca"])]
    insecure: bool,
    /// Bearer token.
    #[arg(long, env = "LOADGEN_QUIC_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// User.
    #[arg(long)]
    username: Option<String>,
    /// Password.
    #[arg(long, env = "LOADGEN_QUIC_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Seconds without a word after which a connection is dead.
    #[arg(long, default_value_t = 10.0)]
    idle_timeout_s: f64,
    /// Seconds for which a broken connection is tried again before it is given up.
    #[arg(long, default_value_t = 60.0)]
    give_up_after: f64,
}

impl AccessArgs {
    /// As a client takes it.
    pub fn access(&self) -> Result<Access, Box<dyn std::error::Error>> {
        let trust = match self.fingerprint {
            Some(fingerprint) => Trust::Fingerprint(fingerprint),
            None if self.insecure => {
                eprintln!(
                    "loadgen: warning: any certificate is taken: whoever stands between can read and change everything"
                );
                Trust::Insecure
            }
            None => Trust::Authorities(self.tls_ca.clone()),
        };
        let mut access = Access::new(self.target.clone(), trust);
        access.token = self.token.clone();
        access.user = self.username.clone();
        access.password = self.password.clone();
        access.idle_timeout = Duration::try_from_secs_f64(self.idle_timeout_s)?;
        access.give_up_after = Duration::try_from_secs_f64(self.give_up_after)?;
        Ok(access)
    }
}

#[derive(Args)]
pub struct QuicArgs {
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    drive: DriveArgs,
    #[command(flatten)]
    access: AccessArgs,
    /// Connections: gateways that carry many devices each, every one a producer of its own.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Publish streams of a connection; partitions are divided among them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    streams: u32,
    /// Threads that carry the connections.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// Bytes without an ACK of one connection.
    #[arg(long, default_value_t = 2 << 20)]
    window_bytes: usize,
    /// A PUBLISH is filled up to about this, unless there is nothing to wait for.
    #[arg(long, default_value_t = 32 << 10)]
    frame_bytes: usize,
    /// With `--rate`: microseconds for which events that come due wait for others, to leave together
    #[arg(long, default_value_t = 250)]
    linger_us: u64,
}

pub fn run(args: &QuicArgs) -> Ended {
    let model = args.fleet.model()?;
    let mut plan = QuicPlan::new(args.access.access()?, args.fleet.devices);
    plan.model = model.clone();
    plan.events = args.drive.events.unwrap_or(u64::MAX);
    plan.connections = args.connections;
    plan.streams = args.streams;
    plan.threads = args.threads;
    plan.pace = args.drive.pace()?;
    plan.seed = args.fleet.seed;
    plan.window_bytes = args.window_bytes;
    plan.frame_bytes = args.frame_bytes;
    plan.linger = Duration::from_micros(args.linger_us);
    let mut about = About {
        protocol: "QUIC",
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
        args.drive.drive(&progress, &stop, args.threads, quic::run(plan, progress.clone(), stopped)).await
    })?;
    let outcome = &watched.outcome;
    let connects = outcome.connects.quantiles();
    let mut fact = |name: &str, value: String| about.facts.push((name.to_owned(), value));
    fact("connecting", format!("{:.2} s", outcome.connecting.as_secs_f64()));
    fact("connect p50, p99", format!("{}, {}", ms(connects.p50_us), ms(connects.p99_us)));
    fact("reconnects", grouped(outcome.reconnects));
    if outcome.refusals > 0 {
        fact("refused for a while", grouped(outcome.refusals));
    }
    if outcome.abandoned > 0 {
        let lost = format!("{} connections were given up: their remaining events were never sent", outcome.abandoned);
        watched.warnings.push(lost);
    }
    args.drive.finish(&about, &watched.outcome.figures(), &watched.series, &watched.warnings)
}
