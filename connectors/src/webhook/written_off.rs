//! Events that are given up, on their way into the dead letter file; or dropped, where there is none.
//!
//! Lines gather while a write is under way, so that one fsync serves many. Their deliveries are settled by the write that carried
//! them. While the file cannot be written, nothing is settled and the sink takes no more.

use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::config::Full;
use super::dead_letter::{AppendError, DeadLetterFile, Head, one_line};
use super::policy::Reason;
use super::queue::{Open, Shot};
use crate::sink::SinkStats;

/// Bytes of lines that wait for the disk before the sink takes no more.
const LINES_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a failed write waits for the next try.
const REWRITE_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    owed: Vec<(Rc<Open>, usize)>,
    events: u64,
}

impl Lines {
    fn settle(&mut self) {
        for (open, events) in self.owed.drain(..) {
            open.done(events);
        }
        self.bytes.clear();
        self.events = 0;
    }
}

/// A write that has ended.
#[derive(Debug)]
pub(super) struct Written {
    lines: Lines,
    result: Result<(), AppendError>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct WrittenOff {
    endpoint: Arc<str>,
    file: Option<Arc<DeadLetterFile>>,
    full: Full,
    waiting: Lines,
    writing: bool,
    failed_until: Option<Instant>,
    stats: Arc<SinkStats>,
}

impl WrittenOff {
    pub fn new(endpoint: Arc<str>, file: Option<Arc<DeadLetterFile>>, full: Full, stats: Arc<SinkStats>) -> Self {
        Self { endpoint, file, full, waiting: Lines::default(), writing: false, failed_until: None, stats }
    }

    /// Gives up the events of `shot` (not those behind it).
    pub fn push(&mut self, shot: &Shot, reason: Reason) {
        if self.file.is_none() {
            SinkStats::add(&self.stats.dropped_events, shot.len() as u64);
            for span in &shot.spans {
                span.open.done(span.len());
            }
            return;
        }
        let (answer, detail) =
            shot.last.as_ref().map_or((None, None), |(answer, detail)| (Some(answer), detail.as_deref()));
        let time = |ms| jiff::Timestamp::from_millisecond(ms).ok();
        let out = &mut self.waiting;
        for span in &shot.spans {
            for event in span.events() {
                let head = Head {
                    endpoint: &self.endpoint,
                    reason,
                    outcome: answer.map(|answer| answer.outcome()),
                    status: answer.and_then(|answer| answer.code()),
                    detail,
                    attempts: shot.attempts,
                    partition: event.partition(),
                    offset: event.offset(),
                    first_attempt: shot.first.and_then(|(_, ms)| time(ms)),
                    last_attempt: shot.first.and_then(|_| time(shot.last_ms)),
                };
                serde_json::to_writer(&mut out.bytes, &head).expect("texts and numbers, written to memory");
                out.bytes.pop();
                out.bytes.write_all(b",\"event\":").expect("written to memory");
                let start = out.bytes.len();
                crate::cloudevents::write_structured(&event, &[], &mut out.bytes);
                // Data that is JSON is written as it came, line breaks included.
                one_line(&mut out.bytes[start..]);
                out.bytes.extend_from_slice(b"}\n");
            }
            out.owed.push((span.open.clone(), span.len()));
            out.events += span.len() as u64;
        }
    }

    /// Too much waits for the disk, or it cannot be written.
    pub fn is_stuck(&self) -> bool {
        self.failed_until.is_some() || self.waiting.bytes.len() >= LINES_BYTES_MAX
    }

    /// When a failed write is tried again.
    pub fn next_due(&self) -> Option<Instant> {
        self.failed_until.filter(|_| !self.writing)
    }

    /// The next write, if there is one to start now. Give its result to [`finished`](Self::finished).
    pub fn start(&mut self, now: Instant) -> Option<impl Future<Output = Written> + use<>> {
        if self.writing || self.waiting.owed.is_empty() || self.failed_until.is_some_and(|until| until > now) {
            return None;
        }
        let file = self.file.clone()?;
        self.writing = true;
        let mut lines = std::mem::take(&mut self.waiting);
        Some(async move {
            let bytes = std::mem::take(&mut lines.bytes);
            let joined = tokio::task::spawn_blocking(move || (file.append(&bytes), bytes)).await;
            let (result, bytes) = joined.expect("append does not panic, and the runtime outlives its tasks");
            lines.bytes = bytes;
            Written { lines, result }
        })
    }

    /// Settles what was written, or keeps it for the next try.
    pub fn finished(&mut self, written: Written, now: Instant) {
        let Written { mut lines, result } = written;
        self.writing = false;
        let failed_before = self.failed_until.take().is_some();
        match result {
            Ok(()) => {
                SinkStats::add(&self.stats.dead_lettered_events, lines.events);
                lines.settle();
            }
            Err(AppendError::Full { .. }) if self.full == Full::Drop => {
                SinkStats::add(&self.stats.dropped_events, lines.events);
                lines.settle();
            }
            Err(error) => {
                self.stats.failed(&error);
                if !failed_before {
                    tracing::error!(endpoint = &*self.endpoint, %error, "dead letters wait; the endpoint takes no more events");
                }
                self.failed_until = Some(now + REWRITE_WAIT);
                // What came meanwhile goes behind.
                lines.bytes.append(&mut self.waiting.bytes);
                lines.owed.append(&mut self.waiting.owed);
                lines.events += self.waiting.events;
                self.waiting = lines;
            }
        }
    }
}
