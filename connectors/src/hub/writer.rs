//! The writer's thread of one shard: takes groups, has them written and synced by the engine's [`SegmentWriter`], says what became of
//! them, and looks after retention.
//!
//! After a failure everything up to the shard's `Restart` is refused: its offsets will be given again.

use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime};

use engine::log::SegmentWriter;
use engine::mesh::{Append, LogEvent};
use engine::ring::{Bell, Consumer, Producer};

use super::files::Files;
use crate::rate_limited::RateLimited;

/// How often the writer looks whether retention has something to do.
const RETENTION_INTERVAL: Duration = Duration::from_secs(1);
/// How often a disk that stays full is spoken of.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    writer: SegmentWriter<Files>,
    retention_bytes_max: u64,
    retention_age_s_max: u64,
    appends: Consumer<Append>,
    events: Producer<LogEvent>,
    bell: Bell,
    /// Refuse until the shard has started anew.
    refusing: bool,
    complaints: RateLimited,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Writer {
    /// `bell` is rung when groups come.
    pub fn new(
        options: &super::LogOptions,
        writer: SegmentWriter<Files>,
        appends: Consumer<Append>,
        events: Producer<LogEvent>,
        bell: Bell,
    ) -> Self {
        Self {
            dir: options.dir.clone(),
            writer,
            retention_bytes_max: options.retention_bytes_max,
            retention_age_s_max: options.retention_age_s_max,
            appends,
            events,
            bell,
            refusing: false,
            complaints: RateLimited::new(COMPLAINT_INTERVAL),
        }
    }

    /// Works until the shard is gone and nothing waits.
    pub fn run(mut self) {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut retained = Instant::now();
        loop {
            self.bell.register(&waker);
            // Before the look: what the shard pushed last is seen by it.
            let is_last = self.appends.is_abandoned();
            let mut worked = false;
            while let Some(append) = self.appends.pop() {
                match append {
                    Append::Restart => self.refusing = false,
                    Append::Group(group) => self.append(group),
                }
                worked = true;
                if self.writer.take_finished() {
                    self.retain();
                }
            }
            if retained.elapsed() >= RETENTION_INTERVAL {
                self.retain();
                retained = Instant::now();
            }
            self.speak();
            if worked {
                continue;
            }
            if is_last {
                break;
            }
            std::thread::park_timeout(RETENTION_INTERVAL);
        }
        self.writer.finish_segment();
        self.speak();
    }

    fn append(&mut self, mut group: Box<engine::log::Group>) {
        if self.refusing {
            return say(&mut self.events, LogEvent::Refused(group));
        }
        let upto_seq = group.last_seq();
        let events = &mut self.events;
        let result = self.writer.append(&mut group, || say(events, LogEvent::Written { upto_seq }));
        match result {
            Ok(()) => say(&mut self.events, LogEvent::Synced(group)),
            Err(error) => {
                if let Some(held_back) = self.complaints.allow(Instant::now()) {
                    tracing::error!(
                        dir = %self.dir.display(), %error, held_back,
                        "the log cannot be written: events are refused until it can be (is the disk full?)"
                    );
                }
                self.refusing = true;
                say(&mut self.events, LogEvent::Failed(group));
            }
        }
    }

    fn retain(&mut self) {
        let now_ms =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let age_s_max = self.retention_age_s_max;
        self.writer.retain(self.retention_bytes_max, (age_s_max > 0).then(|| now_ms - 1000 * age_s_max as i64));
    }

    fn speak(&mut self) {
        for notice in self.writer.take_notices() {
            tracing::warn!(dir = %self.dir.display(), "{notice}");
        }
    }
}

fn say(events: &mut Producer<LogEvent>, event: LogEvent) {
    let mut event = event;
    // There is room for two events of each of a shard's groups: the ring is full only if the shard has stopped reading.
    while let Err(back) = events.push(event) {
        if events.is_abandoned() {
            return;
        }
        event = back;
        std::thread::yield_now();
    }
}
