//! The writer's thread of one shard: takes groups, has them written and synced by the engine's [`SegmentWriter`], and says what became
//! of them. What else is to be done about segments it leaves to the keeper's thread.
//!
//! After a failure everything up to the shard's `Restart` is refused: its offsets will be given again.

use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use engine::log::SegmentWriter;
use engine::mesh::{Append, LogEvent};
use engine::ring::{Bell, Consumer, Producer};

use super::files::Files;
use super::keeper::Keeper;
use crate::rate_limited::RateLimited;

/// An idle writer looks around this often.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);
/// Looks that a writer without work takes, giving way in between, before it sleeps: under load the next group is a few microseconds
/// away, and to be woken takes longer than that.
const IDLE_LOOKS_MAX: u32 = 16;
/// How often a disk that stays full is spoken of.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    writer: SegmentWriter<Files>,
    keeper: Keeper,
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
        keeper: Keeper,
        appends: Consumer<Append>,
        events: Producer<LogEvent>,
        bell: Bell,
    ) -> Self {
        Self {
            dir: options.dir.clone(),
            writer,
            keeper,
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
        let mut idle_looks = 0;
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
                self.keeper.look_after(&mut self.writer);
                worked = true;
            }
            self.keeper.look_after(&mut self.writer);
            self.speak();
            if worked {
                idle_looks = 0;
                continue;
            }
            idle_looks += 1;
            if idle_looks <= IDLE_LOOKS_MAX && !is_last {
                std::thread::yield_now();
                continue;
            }
            if is_last {
                break;
            }
            std::thread::park_timeout(IDLE_INTERVAL);
        }
        self.writer.close();
        self.speak();
        self.keeper.end(&mut self.writer);
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
