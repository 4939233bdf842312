//! The keeper's thread of one shard: has the next segment ready, finishes full ones and removes old ones, so that the writer never
//! waits for that.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use engine::log::{Full, Prepared, SegmentKeeper, SegmentWriter};

use super::LogOptions;
use super::files::{DiskFile, Files};

/// How often it looks whether retention has something to do.
const RETENTION_INTERVAL: Duration = Duration::from_secs(1);

enum Job {
    Prepare,
    Finish(Full<DiskFile>),
}

/// The writer's hold on the thread.
#[derive(Debug)]
pub struct Keeper {
    jobs: Option<Sender<Job>>,
    ready: Receiver<Option<Prepared<DiskFile>>>,
    thread: Option<JoinHandle<()>>,
    is_preparing: bool,
    keeper: SegmentKeeper<Files>,
}

impl Keeper {
    /// Starts the thread. The first segment is made before this returns, if the disk lets it.
    pub fn start(shard: u32, options: &LogOptions, writer: &mut SegmentWriter<Files>) -> std::io::Result<Self> {
        let keeper = writer.keeper();
        if let Ok(first) = keeper.prepare() {
            writer.provide(first);
        }
        let (jobs, received) = channel();
        let (ready_to, ready) = channel();
        let work = Work {
            keeper: keeper.clone(),
            dir: options.dir.display().to_string(),
            bytes_max: options.retention_bytes_max,
            age_s_max: options.retention_age_s_max,
        };
        let thread = std::thread::Builder::new()
            .name(format!("log-keep-{shard}"))
            .spawn(move || work.run(&received, &ready_to))?;
        Ok(Self { jobs: Some(jobs), ready, thread: Some(thread), is_preparing: false, keeper })
    }

    /// Takes what the writer has left, and gives it what is ready. Waits for nothing.
    pub fn look_after(&mut self, writer: &mut SegmentWriter<Files>) {
        let Some(jobs) = &self.jobs else { return };
        for full in writer.take_full() {
            // If the thread is gone the next start scans the segment.
            let _ = jobs.send(Job::Finish(full));
        }
        while let Ok(prepared) = self.ready.try_recv() {
            self.is_preparing = false;
            if let Some(late) = prepared.and_then(|prepared| writer.provide(prepared)) {
                // Empty: the next start removes it if this does not.
                let _ = self.keeper.discard(late);
            }
        }
        if writer.wants_segment() && !self.is_preparing {
            self.is_preparing = jobs.send(Job::Prepare).is_ok();
        }
    }

    /// Lets the thread finish what it has, and waits for it.
    pub fn end(&mut self, writer: &mut SegmentWriter<Files>) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that keeps segments panicked; the next start scans what it left");
        }
        while let Ok(Some(unused)) = self.ready.try_recv() {
            let _ = self.keeper.discard(unused);
        }
        writer.close();
    }
}

struct Work {
    keeper: SegmentKeeper<Files>,
    dir: String,
    bytes_max: u64,
    age_s_max: u64,
}

impl Work {
    fn run(self, jobs: &Receiver<Job>, ready: &Sender<Option<Prepared<DiskFile>>>) {
        loop {
            match jobs.recv_timeout(RETENTION_INTERVAL) {
                Ok(Job::Prepare) => {
                    let prepared = self.keeper.prepare();
                    if let Err(error) = &prepared {
                        // The writer tries by itself when it needs one, and says what is wrong.
                        tracing::debug!(dir = self.dir, %error, "no segment could be made ready");
                    }
                    if ready.send(prepared.ok()).is_err() {
                        return;
                    }
                }
                Ok(Job::Finish(full)) => {
                    self.say(self.keeper.finish(full));
                    self.retain();
                }
                Err(RecvTimeoutError::Timeout) => self.retain(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn retain(&self) {
        let now_ms =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let oldest_ms = (self.age_s_max > 0).then(|| now_ms - 1000 * self.age_s_max as i64);
        self.say(self.keeper.retain(self.bytes_max, oldest_ms));
    }

    fn say(&self, notices: impl IntoIterator<Item = engine::log::Notice>) {
        for notice in notices {
            tracing::warn!(dir = self.dir, "{notice}");
        }
    }
}
