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

use super::catalog::Catalog;
use super::group::Group;
use super::index::Entry;
use super::keeper::{Full, Prepared, SegmentKeeper};
use super::segment::Segment;
use super::storage::{Storage, StorageFile};
use super::{LogStats, Notice, names};

/// What a writer is told.
#[derive(Clone, Debug)]
pub struct WriterSettings {
    /// A segment is full once it has this many bytes.
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

impl<F> From<Prepared<F>> for Active<F>
where
    F: StorageFile,
{
    fn from(Prepared { name, file, .. }: Prepared<F>) -> Self {
        let segment = Arc::new(Segment::active(name, file.clone()));
        Self { file, segment, bytes: 0, tail: Vec::new(), entries: Vec::new() }
    }
}

impl<F> From<Active<F>> for Full<F> {
    fn from(active: Active<F>) -> Self {
        let Active { file, segment, bytes, entries, .. } = active;
        Self { file, segment, bytes, entries }
    }
}

/// See the module.
#[derive(Debug)]
pub struct SegmentWriter<S: Storage> {
    keeper: SegmentKeeper<S>,
    settings: WriterSettings,
    catalog: Arc<Catalog<S::File>>,
    stats: Arc<LogStats>,
    active: Option<Active<S::File>>,
    prepared: Option<Prepared<S::File>>,
    /// A segment that failed and is not settled yet.
    failed: Option<Full<S::File>>,
    full: Vec<Full<S::File>>,
    /// Number of the last segment that was begun.
    last_number: Option<u64>,
    /// Partition and bytes of each recent batch, oldest first.
    recent: VecDeque<(u32, usize)>,
    recent_bytes: usize,
    notices: Vec<Notice>,
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
        let keeper = SegmentKeeper::new(storage, dir, settings.segment_bytes_max, catalog.clone(), stats.clone())?;
        Ok(Self {
            keeper,
            settings,
            catalog,
            stats,
            active: None,
            prepared: None,
            failed: None,
            full: Vec::new(),
            last_number: None,
            recent: VecDeque::new(),
            recent_bytes: 0,
            notices: Vec::new(),
        })
    }

    /// Who does the rest, for another thread.
    pub fn keeper(&self) -> SegmentKeeper<S> {
        self.keeper.clone()
    }

    /// The next segment is not ready, and it is time for it: making one keeps the device busy for milliseconds, so it waits until
    /// the one that is written is half full.
    pub fn wants_segment(&self) -> bool {
        let half = self.settings.segment_bytes_max / 2;
        self.prepared.is_none() && self.active.as_ref().is_none_or(|active| active.bytes >= half)
    }

    /// Takes the next segment; gives it back if it came too late, when a later one is in use.
    pub fn provide(&mut self, prepared: Prepared<S::File>) -> Option<Prepared<S::File>> {
        if self.prepared.is_some() || self.last_number.is_some_and(|last| last > prepared.number) {
            return Some(prepared);
        }
        self.prepared = Some(prepared);
        None
    }

    /// Segments that are full, for the keeper to finish.
    pub fn take_full(&mut self) -> Vec<Full<S::File>> {
        std::mem::take(&mut self.full)
    }

    /// Writes, syncs and publishes `group`; `written` is called once its bytes are in the file. On an error nothing of it is
    /// kept, and nothing of it will be found by a recovery.
    pub fn append(&mut self, group: &mut Group, mut written: impl FnMut()) -> io::Result<()> {
        self.settle_failed()?;
        if self.active.as_ref().is_some_and(|active| active.bytes >= self.settings.segment_bytes_max) {
            self.full.extend(self.active.take().map(Full::from));
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

    fn write_and_sync(&mut self, group: &mut Group, written: &mut impl FnMut()) -> Result<(), Failure> {
        let active = match &self.active {
            Some(active) => active,
            None => {
                let prepared = match self.prepared.take() {
                    Some(prepared) => prepared,
                    None => self.keeper.prepare().map_err(Failure::Write)?,
                };
                self.last_number = Some(prepared.number);
                self.active.insert(prepared.into())
            }
        };
        let position = active.bytes - active.tail.len() as u64;
        active.file.write_at(position, group.blocks(&active.tail)).map_err(Failure::Write)?;
        written();
        active.file.sync().map_err(Failure::Sync)
    }

    fn give_up_segment(&mut self) -> io::Result<()> {
        self.stats.failures.fetch_add(1, Ordering::Relaxed);
        self.failed = self.active.take().map(Full::from);
        self.settle_failed()
    }

    fn settle_failed(&mut self) -> io::Result<()> {
        if let Some(failed) = &self.failed {
            self.keeper.settle(failed)?;
            self.failed = None;
        }
        Ok(())
    }

    /// The end: finishes the segment that is being written and removes the one that is ready. The next group opens another.
    pub fn close(&mut self) {
        self.full.extend(self.active.take().map(Full::from));
        for full in std::mem::take(&mut self.full) {
            self.notices.extend(self.keeper.finish(full));
        }
        if let Some(unused) = self.prepared.take() {
            // Empty, and the next start would remove it.
            let _ = self.keeper.discard(unused);
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
