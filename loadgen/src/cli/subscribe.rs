//! `loadgen subscribe`: one subscriber that keeps what comes, or many that count.
//!
//! With `--journal` events and positions are one file, written batch by batch: whatever kills the subscriber, it goes on behind the last
//! batch that is whole there, and each event is in the file once.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use loadgen::client::quic::{self, Crowd, CrowdPlan, From, Member, Seen, SubscribePlan, Wanted};
use loadgen::journal::Journal;
use loadgen::report::grouped;
use tokio::sync::watch;

use super::Ended;
use super::quic::AccessArgs;

/// What to subscribe to.
#[derive(Args)]
pub struct WantedArgs {
    /// A named route instead of the node's events.
    #[arg(long, conflicts_with = "where")]
    route: Option<String>,
    /// Filter in the node's language.
    #[arg(long, value_name = "FILTER")]
    r#where: Option<String>,
    /// The filter's dialect.
    #[arg(long)]
    dialect: Option<String>,
    /// Where to begin.
    #[arg(long, value_enum, default_value_t = FromArg::Latest)]
    from: FromArg,
    /// Credit in bytes.
    #[arg(long, default_value_t = 4 << 20)]
    credit_bytes: u64,
    /// Data streams.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    groups: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum FromArg {
    /// Behind the last event.
    Latest,
    /// At the first event there is.
    Earliest,
}

impl WantedArgs {
    /// As a client takes it.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            route: self.route.clone(),
            filter: self.r#where.clone(),
            dialect: self.dialect.clone(),
            from: match self.from {
                FromArg::Latest => From::Latest,
                FromArg::Earliest => From::Earliest,
            },
            credit_bytes: self.credit_bytes,
            groups: self.groups,
            ..Wanted::default()
        }
    }
}

#[derive(Args)]
pub struct SubscribeArgs {
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    wanted: WantedArgs,
    /// Go on where this name committed last, and commit under it.
    #[arg(long, value_name = "NAME")]
    subscriber: Option<String>,
    /// Events between two commits.
    #[arg(long, default_value_t = 10_000, requires = "subscriber")]
    commit_every: u64,
    /// Keep the events here, one a line; what is there is kept.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Keep events and positions here, and go on from there.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "subscriber"])]
    journal: Option<PathBuf>,
    /// Stop after so many events.
    #[arg(long)]
    count: Option<u64>,
    /// So many subscribers that only count.
    #[arg(long, conflicts_with_all = ["subscriber", "out", "journal"])]
    subscribers: Option<u32>,
    /// Connections that these share.
    #[arg(long, default_value_t = 1, requires = "subscribers")]
    connections: u32,
    /// Of these, so many give no credit after the first.
    #[arg(long, default_value_t = 0, requires = "subscribers")]
    standing_still: u32,
    /// Stop after so many seconds.
    #[arg(long)]
    seconds: Option<f64>,
}

pub fn run(args: &SubscribeArgs) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match args.subscribers {
        Some(subscribers) => runtime.block_on(count(args, subscribers)),
        None => runtime.block_on(keep(args)),
    }
}

async fn keep(args: &SubscribeArgs) -> Ended {
    let mut wanted = args.wanted.wanted();
    let mut journal = match (&args.out, &args.journal) {
        (Some(path), _) => Some(Journal::append(path)?),
        (None, Some(path)) => {
            let (journal, positions) = Journal::resume(path)?;
            if !positions.is_empty() {
                wanted.from = From::Offsets(positions);
            }
            Some(journal)
        }
        (None, None) => None,
    };
    if let Some(name) = &args.subscriber {
        wanted.from = From::Cursor(name.clone());
    }
    let commit = args.subscriber.clone().map(|name| (name, args.commit_every));
    let plan = SubscribePlan { access: args.access.access()?, wanted, commit, held: None };
    let (stop, stopped) = watch::channel(false);
    let (began, mut events, count) = (Instant::now(), 0u64, args.count.unwrap_or(u64::MAX));
    let mut failed = None;
    let stopping = stop.clone();
    let outcome = {
        let mut taken = std::pin::pin!(quic::subscribe(plan, stopped, None, |seen| {
            let kept = match (&seen, &mut journal) {
                (Seen::Event(event), journal) => {
                    events += 1;
                    if events >= count {
                        stopping.send_replace(true);
                    }
                    journal.as_mut().map_or(Ok(()), |journal| journal.event(event.value.unwrap_or_default()))
                }
                (Seen::Opened(positions), Some(journal)) => {
                    positions.iter().try_for_each(|(partition, offset)| journal.position(*partition, *offset))
                }
                (Seen::Position(partition, offset), Some(journal)) => journal.position(*partition, *offset),
                // Before its commit, and as one write.
                (Seen::BatchEnds, Some(journal)) => journal.flush(),
                _ => Ok(()),
            };
            if let Err(error) = kept {
                failed.get_or_insert(error);
                stopping.send_replace(true);
            }
        }));
        tokio::select! {
            outcome = &mut taken => outcome?,
            () = over(args.seconds) => {
                stop.send_replace(true);
                taken.await?
            }
        }
    };
    if let Some(error) = failed {
        return Err(error.into());
    }
    if let Some(journal) = &mut journal {
        journal.flush()?;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} events in {seconds:.2} s, {} batches ({} masked), {} reconnects, {} commits, {} events lost by the node",
        grouped(outcome.events),
        grouped(outcome.batches),
        grouped(outcome.masked),
        grouped(outcome.reconnects),
        grouped(outcome.commits),
        grouped(outcome.lost)
    );
    Ok(if outcome.lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn count(args: &SubscribeArgs, subscribers: u32) -> Ended {
    let still = args.standing_still.min(subscribers);
    let member = |number| Member { filter: None, stands_still: number < still };
    let plan = CrowdPlan {
        access: args.access.access()?,
        wanted: args.wanted.wanted(),
        members: (0..subscribers).map(member).collect(),
        connections: args.connections,
        patience: Duration::from_secs(1),
    };
    let mut crowd = Crowd::open(plan).await?;
    println!("{} subscriptions stand", grouped(subscribers.into()));
    let wanted = args.count.unwrap_or(u64::MAX);
    let mut end = std::pin::pin!(over(args.seconds));
    let (began, mut before) = (Instant::now(), 0);
    loop {
        let now = crowd.view().delivered();
        eprintln!(
            "{:>6} s  {:>15} deliveries  {:>13} since",
            began.elapsed().as_secs(),
            grouped(now),
            grouped(now - before)
        );
        if now >= wanted {
            break;
        }
        before = now;
        tokio::select! {
            rested = crowd.rest(Duration::from_secs(1)) => rested?,
            () = &mut end => break,
        }
    }
    let view = crowd.view();
    let (least, most) = (view.events.iter().min().copied(), view.events.iter().max().copied());
    println!(
        "{} deliveries in {:.2} s, {} batches, {} bytes; {} to {} per subscriber",
        grouped(view.delivered()),
        began.elapsed().as_secs_f64(),
        grouped(view.batches),
        grouped(view.bytes),
        grouped(least.unwrap_or(0)),
        grouped(most.unwrap_or(0))
    );
    crowd.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Until the time is over or Ctrl-C.
async fn over(seconds: Option<f64>) {
    let time = Duration::try_from_secs_f64(seconds.unwrap_or(f64::MAX)).unwrap_or(Duration::MAX);
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
