//! The writer of one shard: puts groups into segments, syncs them, makes them readable, and finishes segments that are full.
//!
//! Blocking, on whatever thread its owner chooses. What always holds: a group is readable only after a sync that covered it; a
//! segment in which a write or a sync failed is never written again, and nothing else is accepted until it is settled on the
//! device where its good part ends, so that what was refused cannot come back; after a failed sync the group is written
//! anew into another segment and acknowledged only when *that* is synced.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::catalog::{Catalog, Finished};
use super::group::Group;
use super::index::{self, Entry};
use super::segment::Segment;
use super::storage::{FileUse, Storage, StorageFile, write_whole};
use super::{LogStats, Notice, names};

/// What a writer is told.
#[derive(Clone, Debug)]
pub struct WriterSettings {
    /// A segment is finished once it has this many bytes.
    pub segment_bytes_max: u64,
    /// Bytes of the newest batches that stay in memory for readers.
    pub recent_bytes_max: usize,
}

#[derive(Debug)]
struct Active<F> {
    file: Arc<F>,
    segment: Arc<Segment<F>>,
    /// Synced bytes.
    bytes: u64,
    /// What the last, half full block holds.
    tail: Vec<u8>,
    entries: Vec<Entry>,
}

/// See the module.
#[derive(Debug)]
pub struct SegmentWriter<S: Storage> {
    storage: S,
    dir: String,
    settings: WriterSettings,
    catalog: Arc<Catalog<S::File>>,
    stats: Arc<LogStats>,
    active: Option<Active<S::File>>,
    /// A segment that failed and is not settled yet.
    failed: Option<Active<S::File>>,
    next_number: u64,
    /// Partition and bytes of each recent batch, oldest first.
    recent: VecDeque<(u32, usize)>,
    recent_bytes: usize,
    notices: Vec<Notice>,
    has_finished: bool,
}

impl<S: Storage> SegmentWriter<S> {
    /// The writer of `shard`, which begins with a new segment.
    pub fn new(
        storage: S,
        shard: u32,
        settings: WriterSettings,
        catalog: Arc<Catalog<S::File>>,
        stats: Arc<LogStats>,
    ) -> io::Result<Self> {
        let dir = names::shard_dir(shard);
        storage.create_dir(&dir)?;
        let numbers = storage.list(&dir)?.into_iter().filter_map(|name| names::segment_number(&name));
        let next_number = numbers.max().map_or(0, |last| last + 1);
        Ok(Self {
            storage,
            dir,
            settings,
            catalog,
            stats,
            active: None,
            failed: None,
            next_number,
            recent: VecDeque::new(),
            recent_bytes: 0,
            notices: Vec::new(),
            has_finished: false,
        })
    }

    /// Writes, syncs and publishes `group`; `written` is called once its bytes are in the file. On an error nothing of it is
    /// kept, and nothing of it will be found by a recovery.
    pub fn append(&mut self, group: &mut Group, mut written: impl FnMut()) -> io::Result<()> {
        self.settle_failed()?;
        if self.active.as_ref().is_some_and(|active| active.bytes >= self.settings.segment_bytes_max) {
            self.finish_segment();
        }
        match self.write_and_sync(group, &mut written) {
            Ok(()) => {}
            Err(Failure::Write(error)) => {
                self.give_up_segment()?;
                return Err(error);
            }
            Err(Failure::Sync(error)) => {
                // The kernel may have dropped the pages: a second sync of this file would say yes to nothing.
                self.give_up_segment()?;
                match self.write_and_sync(group, &mut || ()) {
                    Ok(()) => {
                        self.stats.rewritten_groups.fetch_add(1, Ordering::Relaxed);
                        self.notices.push(Notice::Rewritten { bytes: group.bytes() as u64, error });
                    }
                    Err(Failure::Write(again) | Failure::Sync(again)) => {
                        self.give_up_segment()?;
                        return Err(again);
                    }
                }
            }
        }
        let Some(active) = &mut self.active else { return Err(io::Error::other("the segment is gone")) };
        let first_entry = active.entries.len();
        active.entries.extend(group.entries_at(active.bytes));
        active.bytes += group.bytes() as u64;
        active.tail.clear();
        active.tail.extend_from_slice(group.last_block());
        self.stats.committed(group.batches().len() as u64, group.bytes() as u64);
        self.catalog.publish(&active.segment, &active.entries[first_entry..], group.batches());
        self.trim_recent(group);
        Ok(())
    }

    /// Where in its block the next group begins.
    pub fn lead(&self) -> usize {
        self.active.as_ref().map_or(0, |active| active.tail.len())
    }

    fn write_and_sync(&mut self, group: &mut Group, written: &mut impl FnMut()) -> Result<(), Failure> {
        let active = match &self.active {
            Some(active) => active,
            None => {
                let opened = self.open_segment().map_err(Failure::Write)?;
                self.active.insert(opened)
            }
        };
        let position = active.bytes - active.tail.len() as u64;
        active.file.write_at(position, group.blocks(&active.tail)).map_err(Failure::Write)?;
        written();
        active.file.sync().map_err(Failure::Sync)
    }

    fn open_segment(&mut self) -> io::Result<Active<S::File>> {
        let name = names::segment(&self.dir, self.next_number);
        let reserve_bytes = self.settings.segment_bytes_max;
        let file = match self.storage.create(&name, FileUse::Segment { reserve_bytes }) {
            // Left by an attempt that failed half-way.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.storage.remove(&name)?;
                self.storage.create(&name, FileUse::Segment { reserve_bytes })?
            }
            created => created?,
        };
        self.next_number += 1;
        self.stats.segments.fetch_add(1, Ordering::Relaxed);
        let file = Arc::new(file);
        let segment = Arc::new(Segment::active(name, file.clone()));
        Ok(Active { file, segment, bytes: 0, tail: Vec::new(), entries: Vec::new() })
    }

    fn give_up_segment(&mut self) -> io::Result<()> {
        self.stats.failures.fetch_add(1, Ordering::Relaxed);
        self.failed = self.active.take();
        self.settle_failed()
    }

    /// Writes down durably where the good part of a failed segment ends. Only then may anything else be written.
    fn settle_failed(&mut self) -> io::Result<()> {
        let Some(failed) = &self.failed else { return Ok(()) };
        if failed.entries.is_empty() {
            self.storage.remove(&failed.segment.name)?;
            self.stats.segments.fetch_sub(1, Ordering::Relaxed);
        } else {
            // First the space that was reserved: on a full disk the index may need it. Both must be done: the index alone could
            // be damaged later, and the scan would find what was refused.
            failed.file.truncate(failed.bytes)?;
            let encoded = index::encode(&failed.segment.name, &failed.entries, failed.bytes);
            write_whole(&self.storage, &names::index(&failed.segment.name), &encoded)?;
            self.catalog.finish(finished(failed));
        }
        self.failed = None;
        Ok(())
    }

    /// Writes the index beside the active segment and hands it to retention. The next group opens another segment.
    pub fn finish_segment(&mut self) {
        let Some(active) = self.active.take() else { return };
        // Blocks that were reserved and not used go back.
        let truncated = active.file.truncate(active.bytes);
        let encoded = index::encode(&active.segment.name, &active.entries, active.bytes);
        let indexed = write_whole(&self.storage, &names::index(&active.segment.name), &encoded);
        // So that offsets go on where they were even if both the segment and its index are damaged later.
        let ended = super::recover::write_ends(&self.storage, &self.catalog.ends());
        if let Err(error) = truncated.and(indexed).and(ended) {
            self.notices.push(Notice::NoIndex { segment: active.segment.name.clone(), error });
        }
        self.catalog.finish(finished(&active));
        self.has_finished = true;
    }

    /// Whether a segment was finished since the last call: a moment for [`retain`](Self::retain).
    pub fn take_finished(&mut self) -> bool {
        std::mem::take(&mut self.has_finished)
    }

    /// Removes segments that are no longer to be kept: `bytes_max` (0: any number), `oldest_ms` (none: any age).
    pub fn retain(&mut self, bytes_max: u64, oldest_ms: Option<i64>) {
        if bytes_max == 0 && oldest_ms.is_none() {
            return;
        }
        let retired = self.catalog.retire(self.stats.bytes.load(Ordering::Relaxed), bytes_max, oldest_ms);
        if retired.is_empty() {
            return;
        }
        // A partition whose last segment goes must still go on where it was after a restart.
        if let Err(error) = super::recover::write_ends(&self.storage, &self.catalog.ends()) {
            // They are out of the catalog and come back with the next start.
            self.notices.push(Notice::NotRemoved { segment: "the ends of the partitions".to_owned(), error });
            return;
        }
        for old in retired {
            let name = &old.segment.name;
            // The segment first: an index alone is in nobody's way, a segment alone would be scanned by the next start.
            let removed = self.storage.remove(name).and_then(|()| match self.storage.remove(&names::index(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            });
            match removed {
                Ok(()) => {
                    self.stats.bytes.fetch_sub(old.bytes, Ordering::Relaxed);
                    self.stats.segments.fetch_sub(1, Ordering::Relaxed);
                    self.stats.removed_segments.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => self.notices.push(Notice::NotRemoved { segment: name.clone(), error }),
            }
        }
    }

    /// What the owner should log, since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    fn trim_recent(&mut self, group: &Group) {
        for batch in group.batches() {
            self.recent.push_back((batch.partition(), batch.bytes().len()));
            self.recent_bytes += batch.bytes().len();
        }
        while self.recent_bytes > self.settings.recent_bytes_max
            && let Some((partition, bytes)) = self.recent.pop_front()
        {
            self.recent_bytes -= bytes;
            self.catalog.forget_recent(partition);
        }
    }
}

enum Failure {
    Write(io::Error),
    Sync(io::Error),
}

fn finished<F: StorageFile>(active: &Active<F>) -> Finished<F> {
    let max_timestamp_ms = active.entries.iter().map(|entry| entry.max_timestamp_ms).max().unwrap_or(i64::MAX);
    Finished { segment: active.segment.clone(), bytes: active.bytes, max_timestamp_ms }
}
