//! What all runs have in common: their end, a line a second, the watched process, and the files that are left behind.

use std::error::Error;
use std::future::Future;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use loadgen::client::{Progress, ProgressView};
use loadgen::fleet::Model;
use loadgen::ledger::LedgerFile;
use loadgen::pace::Pace;
use loadgen::report::{Figures, Summary, grouped, html, knee, ms};
use loadgen::series::Series;
use loadgen::watch::Watch;
use serde::Serialize;
use tokio::sync::watch;

use super::Ended;

/// A load generator this busy is no measure of anybody else.
const BUSY_MAX: f64 = 0.9;

#[derive(Args)]
pub struct DriveArgs {
    /// Events to send; without it, until `--seconds` are over or Ctrl-C.
    #[arg(long)]
    pub events: Option<u64>,
    /// Stop after so many seconds.
    #[arg(long)]
    pub seconds: Option<f64>,
    /// Events per second of the whole fleet (open loop); without it, as fast as receipts come (closed loop).
    #[arg(long)]
    pub rate: Option<f64>,
    /// How the rate goes: constant, poisson, bursts[,factor=10,for_s=1,every_s=10], diurnal[,low=0.1,period_s=60], ramp,to=RATE[,over_s=60].
    #[arg(long, default_value = "constant", requires = "rate")]
    pub pace: String,
    /// Write the summary, the latencies and every second as JSON to this file (`-`: standard output).
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with charts to this file.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write down what was sent and acknowledged, for `loadgen verify`.
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Watch processor time and memory of this process: that of the server under load.
    #[arg(long, value_name = "PID")]
    pub watch_pid: Option<u32>,
}

/// A run as it was watched.
pub struct Watched<T> {
    pub outcome: T,
    pub series: Series,
    pub warnings: Vec<String>,
}

/// What a run was, for those who read of it.
pub struct About {
    /// Such as `HTTP`.
    pub protocol: &'static str,
    pub target: String,
    pub model: Arc<Model>,
    pub seed: u64,
    pub started: jiff::Timestamp,
    /// More for the table.
    pub facts: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Written<'a> {
    protocol: &'a str,
    target: &'a str,
    command: String,
    started: String,
    summary: &'a Summary,
    /// Events per second at the knee of a ramp.
    knee_events_per_s: Option<f64>,
    warnings: &'a [String],
    seconds: &'a Series,
}

impl DriveArgs {
    pub fn pace(&self) -> Result<Pace, Box<dyn Error>> {
        Ok(match self.rate {
            None => Pace::Closed,
            Some(rate) => Pace::parse(&self.pace, rate)?,
        })
    }

    /// Lets `run` go until it is done, its time is over or somebody presses Ctrl-C; `threads` is how many cores it may use.
    pub async fn drive<T, E: Error + 'static>(
        &self,
        progress: &Progress,
        stop: &watch::Sender<bool>,
        threads: u32,
        run: impl Future<Output = Result<T, E>>,
    ) -> Result<Watched<T>, Box<dyn Error>> {
        let seconds = self.seconds.map(Duration::try_from_secs_f64).transpose()?;
        let mut watched = match self.watch_pid {
            Some(pid) => Some(Watch::start(pid).ok_or(format!("there is no process {pid} to watch"))?),
            None => None,
        };
        let mut own = Watch::start(std::process::id());
        let mut run = std::pin::pin!(run);
        let mut ends = std::pin::pin!(async {
            match seconds {
                Some(seconds) => tokio::select! {
                    () = tokio::time::sleep(seconds) => {}
                    _ = tokio::signal::ctrl_c() => {}
                },
                // Where signals cannot be had, the default of the system ends the process.
                None => drop(tokio::signal::ctrl_c().await),
            }
        });
        let (mut lines, mut series) = (ProgressLines::new(), Series::starting(Instant::now()));
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + TICK, TICK);
        let outcome = loop {
            tokio::select! {
                outcome = &mut run => break outcome?,
                () = &mut ends, if !*stop.borrow() => { stop.send_replace(true); }
                _ = ticks.tick() => {
                    let view = progress.look();
                    series.push(&view, watched.as_mut().and_then(Watch::sample));
                    lines.show(view);
                }
            }
        };
        lines.end();
        series.push(&progress.look(), watched.as_mut().and_then(Watch::sample));
        let pace = self.pace()?;
        if pace != Pace::Closed {
            series
                .intend(|at_s| pace.events_until(at_s).unwrap_or(0.0).min(self.events.map_or(f64::MAX, |n| n as f64)));
        }
        let mut warnings = Vec::new();
        // The watch counts from the start of the run when it is read only once.
        if let Some(usage) = own.as_mut().and_then(Watch::sample)
            && usage.cpu_cores > BUSY_MAX * f64::from(threads)
        {
            warnings.push(format!(
                "the load generator itself kept {:.2} of {threads} core(s) busy: it may be the bottleneck, not the target. \
                 Give it more threads, or start several with different --seed",
                usage.cpu_cores
            ));
        }
        Ok(Watched { outcome, series, warnings })
    }

    /// Prints the table and writes the files that were asked for.
    pub fn finish(&self, about: &About, figures: &Figures<'_>, series: &Series, warnings: &[String]) -> Ended {
        let summary = Summary::of(figures);
        let knee = knee::knee(series);
        let mut facts = summary.facts();
        facts.extend(about.facts.iter().cloned());
        if let Some(knee) = knee {
            facts.push(("knee, events/s".to_owned(), grouped(knee as u64)));
        }
        let to_stdout = self.json.as_deref().is_some_and(|path| path.as_os_str() == "-");
        if !to_stdout {
            println!("{summary}");
            for (name, value) in &facts[summary.facts().len()..] {
                println!("  {name:<18}{value:>16}");
            }
        }
        for warning in warnings {
            eprintln!("loadgen: warning: {warning}");
        }
        let command = std::env::args().collect::<Vec<_>>().join(" ");
        let started = format!("{:.0}", about.started);
        if let Some(path) = &self.json {
            let written = Written {
                protocol: about.protocol,
                target: &about.target,
                command: command.clone(),
                started: started.clone(),
                summary: &summary,
                knee_events_per_s: knee,
                warnings,
                seconds: series,
            };
            let text = serde_json::to_string_pretty(&written)?;
            if to_stdout {
                println!("{text}");
            } else {
                write(path, &text)?;
            }
        }
        if let Some(path) = &self.report {
            let report = html::Report {
                title: format!("{} events over {}", grouped(summary.sent_events), about.protocol),
                target: about.target.clone(),
                command,
                started,
                facts,
                latency: summary.percentiles.clone(),
                series,
                warnings: warnings.to_vec(),
            };
            write(path, &html::page(&report))?;
        }
        if let Some(path) = &self.ledger {
            let kept = LedgerFile {
                model: about.model.clone(),
                seed: about.seed,
                receipts: figures.receipts,
                ledger: figures.ledger.clone(),
            };
            kept.write(path)?;
        }
        Ok(if summary.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

const TICK: Duration = Duration::from_secs(1);

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// A line a second on standard error; on a terminal always the same one.
struct ProgressLines {
    began: Instant,
    before: ProgressView,
    rewrites: bool,
}

impl ProgressLines {
    fn new() -> Self {
        Self { began: Instant::now(), before: ProgressView::default(), rewrites: io::stderr().is_terminal() }
    }

    fn show(&mut self, view: ProgressView) {
        let (start, end) = if self.rewrites { ("\r\x1b[K", "") } else { ("", "\n") };
        let trouble = view.trouble.as_ref().map_or(String::new(), |trouble| format!("  retrying: {trouble}"));
        let rate = |now: u64, before: u64| grouped(now.saturating_sub(before));
        eprint!(
            "{start}{:>4} s  {:>13} sent  {:>11}/s  {:>13} acknowledged  {:>11}/s  p50 {}  p99 {}  retries {}{trouble}{end}",
            self.began.elapsed().as_secs(),
            grouped(view.sent_events),
            rate(view.sent_events, self.before.sent_events),
            grouped(view.acknowledged_events),
            rate(view.acknowledged_events, self.before.acknowledged_events),
            ms(view.recent.p50_us),
            ms(view.recent.p99_us),
            grouped(view.retries),
        );
        self.before = view;
    }

    fn end(&self) {
        if self.rewrites {
            eprintln!();
        }
    }
}
