//! `loadgen http`: a fleet's events over HTTP.

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use loadgen::client::Progress;
use loadgen::client::http::{self, Format, HttpPlan, Target};
use tokio::sync::watch;

use super::Ended;
use super::drive::{About, DriveArgs};
use super::fleet::FleetArgs;

#[derive(Args)]
pub struct HttpArgs {
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    drive: DriveArgs,
    /// Where to, with path.
    #[arg(long)]
    target: Target,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Events of one request.
    #[arg(long, default_value_t = 1_000)]
    batch: usize,
    /// How events are put into requests.
    #[arg(long, value_enum, default_value_t = FormatArg::Ndjson)]
    format: FormatArg,
    /// Seconds for which a batch without a receipt is sent again before it is given up.
    #[arg(long, default_value_t = 60.0)]
    give_up_after: f64,
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

pub fn run(args: HttpArgs) -> Ended {
    let model = args.fleet.model()?;
    let mut plan = HttpPlan::new(args.target.clone(), args.fleet.devices);
    plan.model = model.clone();
    plan.seed = args.fleet.seed;
    plan.events = args.drive.events.unwrap_or(u64::MAX);
    plan.connections = args.connections;
    plan.batch = args.batch;
    plan.pace = args.drive.pace()?;
    plan.give_up_after = Duration::try_from_secs_f64(args.give_up_after)?;
    plan.format = match args.format {
        FormatArg::Ndjson => Format::Ndjson,
        FormatArg::CloudeventsBatch => Format::CloudEventsBatch,
        FormatArg::Cloudevents => Format::CloudEvent,
    };
    if let (Format::Ndjson, Some(profile)) = (plan.format, model.multiline_profile()) {
        return Err(format!(
            "profile `{profile}` has line breaks inside its events (spacing = \"pretty\"), which NDJSON cannot carry; \
             take --format cloudevents-batch"
        )
        .into());
    }
    let about = About {
        protocol: "HTTP",
        target: args.target.to_string(),
        model,
        seed: args.fleet.seed,
        started: jiff::Timestamp::now(),
        facts: vec![],
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let watched = runtime.block_on(async {
        let progress = Arc::new(Progress::default());
        let (stop, stopped) = watch::channel(false);
        args.drive.drive(&progress, &stop, 1, http::run(plan, progress.clone(), stopped, None)).await
    })?;
    args.drive.finish(&about, &watched.outcome.figures(), &watched.series, &watched.warnings)
}
