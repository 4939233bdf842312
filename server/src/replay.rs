//! `anabranch replay`: asks a running node to send events of the past again to the endpoint of a route, and follows it to its end.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use loadgen::report::grouped;
use reqwest::{Client, Method, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::tail::words;

/// How often the node is asked how far it is.
const ASK_INTERVAL: Duration = Duration::from_millis(200);
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// Send events of the past again to the endpoint of a route.
#[derive(Args, Debug, Clone)]
#[command(after_help = "\
Examples:
  anabranch replay --route hot --from 2h --dry-run                 how many events it would be
  anabranch replay --route hot --from 2026-11-20T08:00:00Z --to 2026-11-20T09:00:00Z

The endpoint gets them beside what it is being sent anyway, in order within each partition. Ctrl-C stops the replay.")]
pub struct ReplayArgs {
    /// Name of the route whose matches are sent.
    #[arg(long, value_name = "NAME")]
    pub route: String,
    /// Events accepted since then: 90s, 15m, 2h or 7d ago, or a time like 2026-11-21T04:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// Events accepted before then.
    #[arg(long, value_name = "TIME", default_value = "now")]
    pub to: String,
    /// Count the events and send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Address of the node.
    #[arg(long, env = "ANABRANCH_NODE", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub node: String,
}

#[derive(Debug, Deserialize)]
struct Shown {
    id: u64,
    endpoint: String,
    state: String,
    total_events: u64,
    scanned_events: u64,
    matched_events: u64,
    delivered_events: u64,
    dead_lettered_events: u64,
    lost_events: u64,
    error: Option<String>,
}

/// Runs the command. Exit status 1 if the replay failed or was stopped.
pub fn run(args: ReplayArgs) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(replay(&args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Node {
    client: Client,
    base: Url,
    address: String,
}

impl Node {
    fn new(address: &str) -> Result<Self, String> {
        let wrong = || format!("`{address}` is no address of a node; write for example http://127.0.0.1:8080");
        let mut base = Url::parse(address).map_err(|_| wrong())?;
        if base.scheme() != "http" || base.cannot_be_a_base() {
            return Err(wrong());
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let client = Client::builder().no_proxy().tls_certs_only([]).timeout(ANSWER_WAIT).build();
        Ok(Self { client: client.map_err(|error| words(&error))?, base, address: address.to_owned() })
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Shown, String> {
        let url = self.base.join(path).map_err(|error| error.to_string())?;
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let unreachable = |error: reqwest::Error| {
            format!("no node answers at {} ({}); name its address with --node", self.address, words(&error))
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let text = response.text().await.map_err(unreachable)?;
        if !status.is_success() {
            let problem: Value = serde_json::from_str(&text).unwrap_or_default();
            return Err(problem["detail"]
                .as_str()
                .map_or_else(|| format!("the node answered {status}"), str::to_owned));
        }
        serde_json::from_str(&text).map_err(|error| format!("{} does not answer as a node does: {error}", self.address))
    }
}

async fn replay(args: &ReplayArgs) -> Result<bool, String> {
    let node = Node::new(&args.node)?;
    let asked = json!({ "route": args.route, "from": args.from, "to": args.to, "dry_run": args.dry_run });
    let mut shown = node.ask(Method::POST, "replays", Some(asked)).await?;
    let bar = ProgressBar::with_draw_target(
        None,
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
    );
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent} % of {len} events, {msg}") {
        bar.set_style(style);
    }
    let path = format!("replays/{}", shown.id);
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    let mut is_stopping = false;
    while shown.state == "running" {
        tokio::select! {
            () = tokio::time::sleep(ASK_INTERVAL) => {}
            _ = &mut stop, if !is_stopping => {
                is_stopping = true;
                node.ask(Method::DELETE, &path, None).await?;
            }
        }
        shown = node.ask(Method::GET, &path, None).await?;
        bar.set_length(shown.total_events);
        bar.set_position(shown.scanned_events);
        bar.set_message(format!(
            "{} match, {} delivered",
            grouped(shown.matched_events),
            grouped(shown.delivered_events)
        ));
    }
    bar.finish_and_clear();
    println!("{}", summary(args, &shown));
    Ok(shown.state == "done")
}

fn summary(args: &ReplayArgs, shown: &Shown) -> String {
    let mut text = format!(
        "{}: {} of {} events match route '{}'",
        shown.state,
        grouped(shown.matched_events),
        grouped(shown.scanned_events),
        args.route
    );
    if args.dry_run {
        text.push_str("; nothing was sent (--dry-run)");
    } else {
        text.push_str(&format!("; {} were sent to '{}'", grouped(shown.delivered_events), shown.endpoint));
        if shown.dead_lettered_events > 0 {
            text.push_str(&format!(", {} became dead letters", grouped(shown.dead_lettered_events)));
        }
    }
    if shown.lost_events > 0 {
        text.push_str(&format!("\n{} events of that time are no longer in the log", grouped(shown.lost_events)));
    }
    if let Some(error) = &shown.error {
        text.push_str(&format!("\nit failed: {error}"));
    }
    text
}
