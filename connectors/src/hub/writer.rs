//! The writer of one shard: takes what waits, writes it in one call, syncs, says so. While one group is on its way to the
//! device the next one gathers in the ring: that is the whole of group commit, and an idle device commits at once.
//!
//! After a failure nothing is pretended: the group is not kept, the file is cut back to its last good end, everything up to the
//! shard's `Restart` is refused, and after a failed sync the segment is finished where it was good, since nobody knows what
//! the device holds of the rest.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime};

use engine::batch::Batch;
use engine::log::{Entry, index};
use engine::mesh::{Append, LogEvent};
use engine::ring::{Bell, Consumer, Producer};

use super::catalog::{Catalog, Finished};
use super::segment::Segment;
use super::{LogOptions, LogStats, files};
use crate::rate_limited::RateLimited;

/// Bytes of one group: what a device writes in a few milliseconds.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Batches of one group: one `writev` takes 1024 pieces.
const GROUP_BATCHES_MAX: usize = 1024;
/// How often an idle writer looks whether retention has something to do.
const RETENTION_INTERVAL: Duration = Duration::from_secs(10);

/// How often a disk that stays full is spoken of.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Active {
    number: u64,
    file: File,
    segment: Arc<Segment>,
    bytes: u64,
    entries: Vec<Entry>,
}

/// See the module.
#[derive(Debug)]
pub struct Writer {
    options: LogOptions,
    dir: PathBuf,
    catalog: Arc<Catalog>,
    stats: Arc<LogStats>,
    appends: Consumer<Append>,
    events: Producer<LogEvent>,
    bell: Bell,
    active: Option<Active>,
    next_number: u64,
    /// Refuse until the shard has started anew.
    failed: bool,
    complaints: RateLimited,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Writer {
    pub fn new(
        shard: u32,
        options: LogOptions,
        catalog: Arc<Catalog>,
        stats: Arc<LogStats>,
        appends: Consumer<Append>,
        events: Producer<LogEvent>,
        bell: Bell,
    ) -> io::Result<Self> {
        let dir = files::shard_dir(&options.dir, shard);
        std::fs::create_dir_all(&dir)?;
        files::sync_dir(&options.dir)?;
        let next_number = files::segment_numbers(&dir)?.last().map_or(0, |last| last + 1);
        Ok(Self {
            options,
            dir,
            catalog,
            stats,
            appends,
            events,
            bell,
            active: None,
            next_number,
            failed: false,
            complaints: RateLimited::new(COMPLAINT_INTERVAL),
        })
    }

    /// Works until the shard drops its end and everything in the ring is done.
    pub fn run(mut self) {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut group: Vec<(u64, Arc<Batch>)> = Vec::new();
        let mut looked_at = Instant::now();
        loop {
            self.bell.register(&waker);
            // Asked before the ring is emptied: what was pushed before the end is still seen.
            let last = self.appends.is_abandoned();
            self.gather(&mut group);
            if !group.is_empty() {
                self.commit(&mut group);
                continue;
            }
            if last {
                break;
            }
            if looked_at.elapsed() >= RETENTION_INTERVAL {
                self.retain();
                looked_at = Instant::now();
            }
            std::thread::park_timeout(RETENTION_INTERVAL);
        }
        self.finish_segment();
    }

    fn gather(&mut self, group: &mut Vec<(u64, Arc<Batch>)>) {
        let mut bytes = 0;
        while bytes < GROUP_BYTES_MAX && group.len() < GROUP_BATCHES_MAX {
            match self.appends.pop() {
                // Nothing of the group before it may be refused with it.
                Some(Append::Restart) => self.failed = false,
                Some(Append::Batch { .. }) if self.failed => {}
                Some(Append::Batch { seq, batch }) => {
                    bytes += batch.bytes().len();
                    group.push((seq, batch));
                }
                None => break,
            }
        }
    }

    fn commit(&mut self, group: &mut Vec<(u64, Arc<Batch>)>) {
        let from_seq = group[0].0;
        let upto_seq = group[group.len() - 1].0;
        match self.write_group(group, upto_seq) {
            Ok(()) => self.say(LogEvent::Synced { upto_seq }),
            Err(error) => {
                self.stats.failures.fetch_add(1, Ordering::Relaxed);
                if let Some(held_back) = self.complaints.allow(Instant::now()) {
                    tracing::error!(
                        dir = %self.dir.display(), %error, held_back,
                        "the log cannot be written: events are refused until it can be (is the disk full?)"
                    );
                }
                self.failed = true;
                self.say(LogEvent::Failed { from_seq });
            }
        }
        group.clear();
    }

    fn write_group(&mut self, group: &[(u64, Arc<Batch>)], upto_seq: u64) -> io::Result<()> {
        if self.active.as_ref().is_some_and(|active| active.bytes >= self.options.segment_bytes_max) {
            self.finish_segment();
            self.retain();
        }
        let active = match &mut self.active {
            Some(active) => active,
            none => {
                let opened = open_segment(&self.dir, &mut self.next_number, self.options.segment_bytes_max)?;
                self.stats.segments.fetch_add(1, Ordering::Relaxed);
                none.insert(opened)
            }
        };
        let mut entries = Vec::with_capacity(group.len());
        let mut position = active.bytes;
        for (_, batch) in group {
            entries.push(Entry::of(batch, position));
            position += batch.bytes().len() as u64;
        }
        if let Err(error) = write_all_at(&active.file, active.bytes, group) {
            // What was written of the group must not be found by a recovery: its offsets will be given again.
            if active.file.set_len(active.bytes).and_then(|()| active.file.sync_all()).is_err() {
                self.give_up_segment();
            }
            return Err(error);
        }
        self.say(LogEvent::Written { upto_seq });
        let Some(active) = &mut self.active else { return Err(io::Error::other("no segment")) };
        let began = Instant::now();
        if let Err(error) = active.file.sync_data() {
            // The kernel may have dropped the pages: a second sync would say yes to nothing.
            let _ = active.file.set_len(active.bytes);
            self.give_up_segment();
            return Err(error);
        }
        self.stats.synced(group.len() as u64, position - active.bytes, began.elapsed());
        active.bytes = position;
        self.catalog.publish(&active.segment, &entries);
        active.entries.append(&mut entries);
        Ok(())
    }

    /// The file is not written any more; what was synced in it stays.
    fn give_up_segment(&mut self) {
        self.finish_segment();
    }

    /// Writes the index beside the active segment and hands it to retention.
    fn finish_segment(&mut self) {
        let Some(active) = self.active.take() else { return };
        if active.entries.is_empty() {
            let _ = std::fs::remove_file(&active.segment.path);
            self.stats.segments.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        // Blocks that were reserved and not used go back.
        let _ = active.file.set_len(active.bytes);
        let encoded = index::encode(&active.entries, active.bytes);
        if let Err(error) = files::write_whole(&files::index_path(&active.segment.path), &encoded) {
            tracing::warn!(segment = %active.segment.path.display(), %error, "no index was written; the next start scans the segment");
        }
        tracing::debug!(segment = active.number, bytes = active.bytes, "segment finished");
        let max_timestamp_ms = active.entries.iter().map(|entry| entry.max_timestamp_ms).max().unwrap_or(i64::MAX);
        self.catalog.finish(Finished { segment: active.segment, bytes: active.bytes, max_timestamp_ms });
    }

    fn retain(&mut self) {
        let (bytes_max, age_s_max) = (self.options.retention_bytes_max, self.options.retention_age_s_max);
        if bytes_max == 0 && age_s_max == 0 {
            return;
        }
        let now_ms =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let oldest_ms = (age_s_max > 0).then(|| now_ms - 1000 * age_s_max as i64);
        // A partition whose last segment goes must still go on where it was after a restart.
        if let Err(error) = files::write_ends(&self.options.dir, &self.catalog.ends()) {
            tracing::warn!(%error, "retention waits: the ends of the partitions cannot be stored");
            return;
        }
        for old in self.catalog.retire(self.stats.bytes.load(Ordering::Relaxed), bytes_max, oldest_ms) {
            let removed = std::fs::remove_file(files::index_path(&old.segment.path))
                .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
                .and_then(|()| std::fs::remove_file(&old.segment.path));
            match removed {
                Ok(()) => {
                    self.stats.bytes.fetch_sub(old.bytes, Ordering::Relaxed);
                    self.stats.segments.fetch_sub(1, Ordering::Relaxed);
                    self.stats.removed_segments.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    tracing::warn!(segment = %old.segment.path.display(), %error, "retention cannot remove a segment");
                }
            }
        }
    }

    fn say(&mut self, event: LogEvent) {
        let mut event = event;
        // The ring has room for two events per append: it is full only if the shard has stopped reading.
        while let Err(back) = self.events.push(event) {
            if self.events.is_abandoned() {
                return;
            }
            event = back;
            std::thread::yield_now();
        }
    }
}

fn open_segment(dir: &std::path::Path, next_number: &mut u64, reserve_bytes: u64) -> io::Result<Active> {
    let number = *next_number;
    let file = files::create_segment(dir, number, reserve_bytes)?;
    *next_number += 1;
    let path = files::segment_path(dir, number);
    let segment = Arc::new(Segment::active(path, file.try_clone()?));
    Ok(Active { number, file, segment, bytes: 0, entries: Vec::new() })
}

/// Writes all batches of the group from `position` on.
fn write_all_at(file: &File, position: u64, group: &[(u64, Arc<Batch>)]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = group.iter().map(|(_, batch)| IoSlice::new(batch.bytes())).collect();
    let mut slices = &mut slices[..];
    let mut position = position;
    while !slices.is_empty() {
        match rustix::io::pwritev(file, slices, position) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                position += written as u64;
                IoSlice::advance_slices(&mut slices, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
