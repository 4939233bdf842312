//! `anabranch tail`: follows the log of a running node and prints each event on a line, until Ctrl-C.
//!
//! All partitions are followed at once, each by long polling of the hub API with the filter on the node. What always holds: events
//! of a partition are printed in offset order, none is left out without a line on stderr saying so, and a node that goes away
//! is waited for.

mod follow;
mod print;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::Args;
use tokio::sync::mpsc;

pub(crate) use follow::words;
use follow::{Follower, Node, NodeError};
use print::Format;
pub(crate) use print::pretty;

/// Lines that wait for a slow terminal before following pauses.
const PAGES_WAITING_MAX: usize = 8;

/// Follow the events of a running node.
#[derive(Args, Debug, Clone)]
pub struct TailArgs {
    /// Address of the node.
    #[arg(long, env = "ANABRANCH_NODE", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub node: String,
    /// Where to start in each partition: `beginning`, `end` or an offset.
    #[arg(long, default_value = "end", value_name = "WHERE")]
    pub from: From,
    /// Print only events that match this filter.
    #[arg(long, value_name = "FILTER")]
    pub filter: Option<String>,
    /// Language of the filter: `anabranch`, `iothub`, `digitaltwins`, `eventgrid` or `mqtt`.
    #[arg(long, value_name = "DIALECT", requires = "filter")]
    pub dialect: Option<String>,
    /// Follow only this partition.
    #[arg(long, value_name = "NUMBER")]
    pub partition: Option<u32>,
    /// How to print: `ndjson` (CloudEvents as they are) or `pretty`.
    #[arg(long, default_value = "ndjson", value_name = "FORMAT")]
    pub format: Format,
    /// End after so many events.
    #[arg(long, value_name = "COUNT")]
    pub max: Option<u64>,
}

/// Where to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the oldest event that is kept.
    Beginning,
    /// With the next new event.
    End,
    /// With this offset.
    Offset(u64),
}

impl std::str::FromStr for From {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "beginning" => Ok(Self::Beginning),
            "end" => Ok(Self::End),
            text => text.parse().map(Self::Offset).map_err(|_| "give `beginning`, `end` or an offset"),
        }
    }
}

/// Runs the command.
pub fn run(args: TailArgs) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut out = std::io::stdout().lock();
    let done = runtime.block_on(async {
        tokio::select! {
            done = follow_all(&args, &mut out) => done,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    });
    // A name look-up may still block a thread: do not wait for it.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Follows until `max` events are printed, the output is closed, or the node refuses.
async fn follow_all(args: &TailArgs, out: &mut impl std::io::Write) -> Result<(), NodeError> {
    let node = Node::new(&args.node)?;
    let bounds = node.partitions().await?;
    let (pages, mut printed) = mpsc::channel(PAGES_WAITING_MAX);
    let mut followers = tokio::task::JoinSet::new();
    let wanted = |partition: &u32| args.partition.is_none_or(|one| one == *partition);
    for partition in bounds.iter().filter(|bounds| wanted(&bounds.partition)) {
        let from = match args.from {
            From::Beginning => partition.first,
            From::End => partition.end,
            From::Offset(offset) => offset,
        };
        let follower = Follower {
            node: node.clone(),
            partition: partition.partition,
            next: from,
            filter: args.filter.clone(),
            dialect: args.dialect.clone(),
        };
        followers.spawn(follower.run(pages.clone()));
    }
    drop(pages);
    if followers.is_empty() {
        return Err(NodeError::NoPartition { partition: args.partition.unwrap_or_default(), of: bounds.len() });
    }
    let mut left = args.max.unwrap_or(u64::MAX);
    loop {
        tokio::select! {
            biased;
            page = printed.recv() => {
                let Some(page) = page else { return Ok(()) };
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(page.events.len());
                // A closed pipe (`| head`) is the usual end, no error.
                if print::print(out, &page, count, args.format).is_err() {
                    return Ok(());
                }
                left -= count as u64;
                if left == 0 {
                    return Ok(());
                }
            }
            Some(ended) = followers.join_next(), if !followers.is_empty() => match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(error),
                Err(error) => return Err(NodeError::Stopped(error.to_string())),
            },
        }
    }
}
