//! `anabranch publish`: lines of standard input into the log of a node, with a receipt for each.

use std::pin::pin;
use std::time::Duration;

use clap::Args;
use connectors::cloudevents::{check_name, check_value};
use connectors::http::KeyPointer;
use connectors::quic::client::{BulkOutcome, BulkReceipt, ClientError, NewEvent, PublishOptions, Publisher};
use loadgen::report::grouped;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::clean;
use super::error::QuicError;
use super::lines::{Events, Lines, Read};
use super::reach::{ReachArgs, seconds};
use crate::progress::Progress;

/// Lines with one receipt.
const CHUNK_LINES: usize = 1000;
/// Lines that are named one by one; the rest is counted.
const NAMED_MAX: u64 = 20;

/// Flags of `anabranch publish`.
#[derive(Args, Debug, Clone)]
#[command(after_help = "\
Examples:
  anabranch publish --fingerprint sha256:9f86… --key-pointer /device_id --type reading < events.ndjson
  zcat *.gz | anabranch publish --url quic://node.example --token-file token

Each line is a JSON value, or a structured CloudEvent, which keeps its attributes and has its partitionkey, subject or source as key.
Events with the same key keep their order. What the node acknowledges is in its log, and stays there; what is not acknowledged is sent
again when the node comes back, and is kept once. Exit status 0: every line is acknowledged. Lines that are refused are named.")]
pub struct PublishArgs {
    /// How the node is reached.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// Where a line has its partition key, as JSON pointer, such as /device_id. Without it lines go to all partitions in turn.
    #[arg(long, value_name = "POINTER", value_parser = KeyPointer::parse)]
    pub key_pointer: Option<KeyPointer>,
    /// CloudEvents attribute `type` of lines that are no CloudEvents.
    #[arg(long = "type", value_name = "TYPE", value_parser = |text: &str| attribute("type", text))]
    pub kind: Option<String>,
    /// CloudEvents attribute `source` of lines that are no CloudEvents.
    #[arg(long, value_name = "SOURCE", value_parser = |text: &str| attribute("source", text))]
    pub source: Option<String>,
    /// CloudEvents attribute `subject` of lines that are no CloudEvents.
    #[arg(long, value_name = "SUBJECT", value_parser = |text: &str| attribute("subject", text))]
    pub subject: Option<String>,
    /// How many milliseconds an event may wait for others to share its frame.
    #[arg(long, default_value = "5", value_name = "MS")]
    pub linger_ms: u64,
    /// Longest wait for the next acknowledgement.
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Duration,
}

fn attribute(name: &str, text: &str) -> Result<String, String> {
    check_name(name).and_then(|()| check_value(name, text)).map_err(|error| error.to_string())?;
    if text.is_empty() { Err("it must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// How far it is.
#[derive(Default)]
struct Tally {
    /// Lines read that are not blank.
    lines: u64,
    acknowledged: u64,
    refused: u64,
}

impl Tally {
    fn refuse(&mut self, progress: &Progress, line: u64, reason: &str) {
        self.refused += 1;
        if self.refused <= NAMED_MAX {
            progress.above(&format!("line {line} was refused: {}", clean(reason)));
        }
    }

    fn settle(&mut self, progress: &Progress, outcome: BulkOutcome, lines: &[u64]) {
        self.acknowledged += outcome.acknowledged;
        for refused in outcome.refused {
            self.refuse(progress, lines.get(refused.index).copied().unwrap_or_default(), &refused.error.to_string());
        }
    }
}

type Outcome = (Result<BulkOutcome, ClientError>, Vec<u64>);

async fn outcome(receipt: BulkReceipt, lines: Vec<u64>) -> Outcome {
    (receipt.await, lines)
}

/// Runs to the end of the input, or until the node says no for good.
pub(super) async fn publish(args: &PublishArgs) -> Result<(), QuicError> {
    let attributes = [("type", &args.kind), ("source", &args.source), ("subject", &args.subject)];
    let attributes = attributes.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    let mut events = Events::new(args.key_pointer.clone(), attributes);
    let options = PublishOptions { linger_ms: args.linger_ms, ..PublishOptions::default() };
    let publisher = Publisher::open(args.reach.connect()?, options).await?;
    let progress = Progress::start();
    let mut tally = Tally::default();
    let sent = send(args, &publisher, &mut events, &progress, &mut tally).await;
    progress.finish();
    if tally.refused > NAMED_MAX {
        eprintln!("… and {} more were refused", grouped(tally.refused - NAMED_MAX));
    }
    let refused = match tally.refused {
        0 => String::new(),
        refused => format!(", {} refused", grouped(refused)),
    };
    let word = if tally.lines == 1 { "event" } else { "events" };
    eprintln!("{} {word}: {} acknowledged{refused}", grouped(tally.lines), grouped(tally.acknowledged));
    sent?;
    publisher.close().await?;
    match tally.refused {
        0 => Ok(()),
        refused => Err(QuicError::NotTaken { refused, all: tally.lines }),
    }
}

async fn send(
    args: &PublishArgs,
    publisher: &Publisher,
    events: &mut Events,
    progress: &Progress,
    tally: &mut Tally,
) -> Result<(), QuicError> {
    let mut stop = pin!(crate::mqtt::told_to_stop());
    let mut input = Lines::new(tokio::io::stdin());
    let mut receipts: JoinSet<Outcome> = JoinSet::new();
    let (mut number, mut is_end) = (0, false);
    let mut deadline = Instant::now() + args.timeout;
    while !is_end {
        let (mut chunk, mut lines) = (Vec::<NewEvent>::new(), Vec::new());
        // What has come already goes together; nothing waits for a line that has not.
        while !is_end && chunk.len() < CHUNK_LINES && (chunk.is_empty() || input.has_more()) {
            let read = tokio::select! {
                biased;
                () = &mut stop => Read::End,
                Some(done) = receipts.join_next() => {
                    deadline = settle(args, progress, tally, done)?;
                    continue;
                }
                read = input.next() => read.map_err(QuicError::Input)?,
                () = sleep_until(deadline), if !receipts.is_empty() => return Err(late(args, tally)),
            };
            if read == Read::End {
                is_end = true;
                continue;
            }
            number += 1;
            let event = match read {
                Read::TooLong => Err("it is longer than an event can be".to_owned()),
                _ => events.of(input.line()),
            };
            tally.lines += u64::from(!matches!(event, Ok(None)));
            match event {
                Ok(None) => {}
                Ok(Some(event)) => {
                    chunk.push(event);
                    lines.push(number);
                }
                Err(reason) => tally.refuse(progress, number, &reason),
            }
        }
        progress.add(input.take_read_bytes(), || told(tally));
        if chunk.is_empty() {
            continue;
        }
        if receipts.is_empty() {
            deadline = Instant::now() + args.timeout;
        }
        let mut published = pin!(publisher.publish_all(&chunk));
        // With much under way this waits for acknowledgements, which are counted meanwhile.
        let receipt = loop {
            tokio::select! {
                receipt = &mut published => break receipt?,
                Some(done) = receipts.join_next() => deadline = settle(args, progress, tally, done)?,
                () = sleep_until(deadline) => return Err(late(args, tally)),
            }
        };
        receipts.spawn(outcome(receipt, lines));
    }
    while !receipts.is_empty() {
        tokio::select! {
            Some(done) = receipts.join_next() => deadline = settle(args, progress, tally, done)?,
            () = sleep_until(deadline) => return Err(late(args, tally)),
        }
    }
    Ok(())
}

/// Counts a receipt; when the next has to be there.
fn settle(
    args: &PublishArgs,
    progress: &Progress,
    tally: &mut Tally,
    done: Result<Outcome, JoinError>,
) -> Result<Instant, QuicError> {
    // It waits for a receipt and does nothing else, and nobody aborts it.
    let (outcome, lines) = done.map_err(|error| QuicError::Output(error.to_string()))?;
    tally.settle(progress, outcome?, &lines);
    progress.add(0, || told(tally));
    Ok(Instant::now() + args.timeout)
}

fn told(tally: &Tally) -> String {
    format!("{} events, {} acknowledged", grouped(tally.lines), grouped(tally.acknowledged))
}

fn late(args: &PublishArgs, tally: &Tally) -> QuicError {
    QuicError::Late { acknowledged: tally.acknowledged, sent: tally.lines, within: args.timeout }
}
