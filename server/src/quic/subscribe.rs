//! `anabranch subscribe`: prints what a subscription brings, and goes on where it was when the node or this command was away.

use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use connectors::quic::client::{ClientError, Code, CommitError, Incoming, SubscribeOptions, Subscriber};
use engine::filter::{CompileOptions, Dialect, Filter};
use tokio::time::{Instant, MissedTickBehavior};

use super::error::QuicError;
use super::from::{From, Otherwise};
use super::output::{Format, Output, Reader};
use super::partitions::Partitions;
use super::reach::ReachArgs;

/// Longest time between two commits while events come.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// Data streams: a lost packet delays only the partitions of its own.
const GROUPS: u32 = 4;

/// Flags of `anabranch subscribe`.
#[derive(Args, Debug, Clone)]
#[command(after_help = "\
Examples:
  anabranch subscribe --fingerprint sha256:9f86… --filter 'temp > 30'
  anabranch subscribe --url quic://node.example --from beginning --format table --max 10
  anabranch subscribe --from cursor:billing --otherwise beginning --commit | ./bill
  anabranch subscribe --from 2h --filter \"type = 'alarm'\" --format parquet --output alarms.parquet --max 100000

Events go to stdout or to the file of --output, everything else to stderr. When the node is away, the command waits for it and goes on
without gap or repetition. With --commit the position is kept on the node once a second and at the end, after the events were written;
the next run with the same cursor goes on there. kill -9 makes what came since the last commit come again.
A node says its fingerprint when it starts: anabranch run --quic-listen 127.0.0.1:4433")]
pub struct SubscribeArgs {
    /// How the node is reached.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// Only events that match this filter, which the node evaluates.
    #[arg(long, value_name = "FILTER")]
    pub filter: Option<String>,
    /// Language of the filter: `anabranch`, `iothub`, `digitaltwins`, `eventgrid` or `mqtt`.
    #[arg(long, value_name = "DIALECT", default_value = "anabranch", value_parser = dialect, requires = "filter")]
    pub dialect: Dialect,
    /// Only what this route of the node matches, with the properties that it adds.
    #[arg(long, value_name = "NAME", conflicts_with = "filter")]
    pub route: Option<String>,
    /// Only these partitions, such as `0,3-5`.
    #[arg(long, value_name = "LIST")]
    pub partitions: Option<Partitions>,
    /// Where to begin: `latest`, `beginning`, `cursor:NAME`, `PARTITION:OFFSET,…`, or a time (`15m`, `2h` ago, `2026-11-21T04:00:00Z`).
    #[arg(long, default_value = "latest", value_name = "WHERE")]
    pub from: From,
    /// Where to begin in partitions for which the cursor has no position.
    #[arg(long, value_name = "WHERE", default_value = "latest")]
    pub otherwise: Otherwise,
    /// Keep the position under the name of --from cursor:NAME.
    #[arg(long)]
    pub commit: bool,
    /// How to print.
    #[arg(long, default_value = "ndjson", value_name = "FORMAT")]
    pub format: Format,
    /// Write to this file instead of stdout; lines are appended.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// End after so many events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max: Option<u64>,
}

fn dialect(text: &str) -> Result<Dialect, String> {
    Dialect::by_name(text).ok_or_else(|| format!("use {}", Dialect::ALL.map(Dialect::name).join(", ")))
}

impl SubscribeArgs {
    fn wanted(&self) -> Result<SubscribeOptions, QuicError> {
        let partitions = self.partitions.as_ref().map(Partitions::list).unwrap_or_default();
        if matches!(self.from, From::Offsets(_)) && !partitions.is_empty() {
            let text = "--from with offsets names the partitions already; leave --partitions out";
            return Err(QuicError::Usage(text.to_owned()));
        }
        Ok(SubscribeOptions {
            route: self.route.clone().unwrap_or_default(),
            filter: self.filter.clone().unwrap_or_default(),
            dialect: self.dialect,
            partitions,
            start: self.from.start(self.otherwise),
            groups: GROUPS,
            ..SubscribeOptions::default()
        })
    }

    /// The name to commit under.
    fn commits_as(&self) -> Result<Option<&str>, QuicError> {
        match &self.from {
            _ if !self.commit => Ok(None),
            From::Cursor(name) => Ok(Some(name)),
            _ => Err(QuicError::Usage("--commit keeps the position under a name: add --from cursor:NAME".to_owned())),
        }
    }

    /// A filter that is wrong is shown with its place, if we find the same as the node.
    fn explain(&self, error: ClientError) -> QuicError {
        if let ClientError::Refused { code: Code::FILTER_INVALID, .. } = &error
            && let Some(text) = &self.filter
            && let Err(found) = Filter::compile(text, self.dialect, &CompileOptions::default())
        {
            let shown = crate::render::diagnostics("--filter", text, &found, false);
            return QuicError::Usage(format!("the node refused the filter\n{}", shown.trim_end()));
        }
        error.into()
    }
}

/// Runs until enough has come, Ctrl-C, or the node says no for good.
pub(super) async fn subscribe(args: &SubscribeArgs) -> Result<(), QuicError> {
    let (wanted, name) = (args.wanted()?, args.commits_as()?);
    let mut output = Output::open(args.format, args.output.as_deref())?;
    let mut stop = pin!(crate::mqtt::told_to_stop());
    let mut subscriber = tokio::select! {
        opened = Subscriber::open(args.reach.connect()?, wanted) => opened.map_err(|error| args.explain(error))?,
        () = &mut stop => return Ok(()),
    };
    eprintln!("subscribed at {}; Ctrl-C ends", args.reach.url);
    let mut committer = Committer::new(name);
    // Where it began is kept too: a run that ends before the first event is not to leave a gap.
    committer.commit(&subscriber).await?;
    let mut left = args.max.unwrap_or(u64::MAX);
    let mut tick = tokio::time::interval_at(Instant::now() + COMMIT_INTERVAL, COMMIT_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut end: Result<(), ClientError> = Ok(());
    while left > 0 {
        let incoming = match subscriber.try_next() {
            Ok(Some(incoming)) => Ok(incoming),
            Ok(None) => {
                // Nothing more just now: who reads is not to wait for a full buffer.
                if output.flush()? == Reader::Gone {
                    break;
                }
                tokio::select! {
                    incoming = subscriber.next() => incoming,
                    _ = tick.tick(), if output.is_there_when_flushed() => {
                        committer.commit(&subscriber).await?;
                        continue;
                    }
                    () = &mut stop => break,
                }
            }
            Err(error) => Err(error),
        };
        match incoming {
            Ok(Incoming::Batch(batch)) => {
                let count = batch.events().count();
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(count);
                if taken < count
                    && let Some(last) = batch.events().nth(taken.saturating_sub(1))
                {
                    committer.cut = Some((last.partition(), last.offset() + 1));
                }
                left -= taken as u64;
                if output.take(batch, taken)? == Reader::Gone {
                    break;
                }
            }
            Ok(Incoming::Lost { partition, from, to }) => {
                eprintln!("partition {partition}: {from} to {to} are left out: the log does not have them any more");
            }
            Err(error) => {
                end = Err(error);
                break;
            }
        }
        // Many events without a pause: the commit is due all the same, and so is Ctrl-C.
        if committer.is_due() && output.is_there_when_flushed() && output.flush()? == Reader::There {
            committer.commit(&subscriber).await?;
            if futures_are_ready(&mut stop).await {
                break;
            }
        }
    }
    output.finish()?;
    end?;
    committer.commit(&subscriber).await?;
    subscriber.close().await;
    Ok(())
}

/// Whether it is ready now.
async fn futures_are_ready(stop: &mut (impl Future<Output = ()> + Unpin)) -> bool {
    tokio::select! {
        biased;
        () = stop => true,
        () = std::future::ready(()) => false,
    }
}

/// Keeps positions under a name, if there is one.
struct Committer<'n> {
    name: Option<&'n str>,
    last: Instant,
    kept: Vec<(u32, u64)>,
    /// The last batch was not written whole: where its partition goes on.
    cut: Option<(u32, u64)>,
}

impl<'n> Committer<'n> {
    fn new(name: Option<&'n str>) -> Self {
        Self { name, last: Instant::now(), kept: Vec::new(), cut: None }
    }

    fn is_due(&self) -> bool {
        self.last.elapsed() >= COMMIT_INTERVAL
    }

    /// All that was taken has been written.
    async fn commit(&mut self, subscriber: &Subscriber) -> Result<(), CommitError> {
        self.last = Instant::now();
        let Some(name) = self.name else { return Ok(()) };
        let mut positions = subscriber.positions();
        if let Some((partition, offset)) = self.cut {
            positions.iter_mut().filter(|(found, _)| *found == partition).for_each(|found| found.1 = offset);
        }
        if positions != self.kept {
            subscriber.commit_at(name, &positions).await?;
            self.kept = positions;
        }
        Ok(())
    }
}
