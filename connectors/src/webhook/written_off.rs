//! Events that are given up, on their way into the dead letter file; or dropped, where there is none.
//!
//! Lines gather while a write is under way, so that one fsync serves many. Their deliveries are settled by the write that carried
//! them. While the file cannot be written, nothing is settled and the sink takes no more.

use std::sync::Arc;

use super::config::Full;
use super::dead_letter::{AppendError, DeadLetterFile, Head, write_line};
use super::policy::Answer;
use super::shot::GivenUp;
use crate::sink::SinkStats;

/// Bytes of lines that wait for the disk before the sink takes no more.
const LINES_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a failed write waits for the next try.
const REWRITE_WAIT_MS: u64 = 1000;

#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    owed: Vec<GivenUp>,
    events: u64,
}

impl Lines {
    fn settle(&mut self) {
        self.owed.drain(..).for_each(GivenUp::settle);
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
    failed_until_ms: Option<u64>,
    stats: Arc<SinkStats>,
}

impl WrittenOff {
    pub fn new(endpoint: Arc<str>, file: Option<Arc<DeadLetterFile>>, full: Full, stats: Arc<SinkStats>) -> Self {
        Self { endpoint, file, full, waiting: Lines::default(), writing: false, failed_until_ms: None, stats }
    }

    /// Takes events that are given up.
    pub fn push(&mut self, given_up: GivenUp) {
        if self.file.is_none() {
            SinkStats::add(&self.stats.dropped_events, given_up.events().count() as u64);
            given_up.settle();
            return;
        }
        let tried = given_up.tried();
        let time = |ms: Option<i64>| ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let out = &mut self.waiting;
        for event in given_up.events() {
            let head = Head {
                endpoint: &self.endpoint,
                reason: given_up.reason().name(),
                outcome: tried.answer.as_ref().map(Answer::outcome),
                status: tried.answer.as_ref().and_then(Answer::code),
                detail: tried.detail.as_deref(),
                attempts: tried.attempts,
                partition: event.partition(),
                offset: event.offset(),
                first_attempt: time(tried.first_wall_ms),
                last_attempt: time(tried.last_wall_ms),
            };
            write_line(&head, &event, &mut out.bytes);
            out.events += 1;
        }
        out.owed.push(given_up);
    }

    /// Too much waits for the disk, or it cannot be written.
    pub fn is_stuck(&self) -> bool {
        self.failed_until_ms.is_some() || self.waiting.bytes.len() >= LINES_BYTES_MAX
    }

    /// When a failed write is tried again.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.failed_until_ms.filter(|_| !self.writing)
    }

    /// The next write, if there is one to start now. Give its result to [`finished`](Self::finished).
    pub fn start(&mut self, now_ms: u64) -> Option<impl Future<Output = Written> + use<>> {
        if self.writing
            || self.waiting.owed.is_empty()
            || self.failed_until_ms.is_some_and(|until_ms| until_ms > now_ms)
        {
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
    pub fn finished(&mut self, written: Written, now_ms: u64) {
        let Written { mut lines, result } = written;
        self.writing = false;
        let failed_before = self.failed_until_ms.take().is_some();
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
                self.failed_until_ms = Some(now_ms + REWRITE_WAIT_MS);
                // What came meanwhile goes behind.
                lines.bytes.append(&mut self.waiting.bytes);
                lines.owed.append(&mut self.waiting.owed);
                lines.events += self.waiting.events;
                self.waiting = lines;
            }
        }
    }
}
