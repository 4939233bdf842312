//! What is to be done about segments while others are written: having the next one ready, finishing those that are full, and removing
//! those that are too old. All of it waits for the device several times, so it has a thread of its own.
//!
//! What always holds: numbers of segments grow in the order in which segments are written; a full segment without an index is
//! complete, the next start only scans it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::catalog::{Catalog, Finished};
use super::index::{self, Entry};
use super::recover::write_ends;
use super::segment::Segment;
use super::storage::{FileUse, Storage, StorageFile, write_whole};
use super::{LogStats, Notice, names};

/// A segment that is ready to be written.
#[derive(Debug)]
pub struct Prepared<F> {
    pub(super) number: u64,
    pub(super) name: String,
    pub(super) file: Arc<F>,
}

/// A segment that is not written any more.
#[derive(Debug)]
pub struct Full<F> {
    pub(super) file: Arc<F>,
    pub(super) segment: Arc<Segment<F>>,
    pub(super) bytes: u64,
    pub(super) entries: Vec<Entry>,
}

impl<F: StorageFile> Full<F> {
    pub(super) fn finished(&self) -> Finished<F> {
        let max_timestamp_ms = self.entries.iter().map(|entry| entry.max_timestamp_ms).max().unwrap_or(i64::MAX);
        Finished { segment: self.segment.clone(), bytes: self.bytes, max_timestamp_ms }
    }
}

/// See the module. Clones are for other threads and share the numbers.
#[derive(Debug)]
pub struct SegmentKeeper<S: Storage> {
    storage: S,
    dir: String,
    segment_bytes_max: u64,
    catalog: Arc<Catalog<S::File>>,
    stats: Arc<LogStats>,
    next_number: Arc<AtomicU64>,
}

// Derived, it would ask for a file that can be cloned.
impl<S: Storage> Clone for SegmentKeeper<S> {
    fn clone(&self) -> Self {
        Self {
            storage: self.storage.clone(),
            dir: self.dir.clone(),
            segment_bytes_max: self.segment_bytes_max,
            catalog: self.catalog.clone(),
            stats: self.stats.clone(),
            next_number: self.next_number.clone(),
        }
    }
}

impl<S: Storage> SegmentKeeper<S> {
    pub(super) fn new(
        storage: S,
        dir: String,
        segment_bytes_max: u64,
        catalog: Arc<Catalog<S::File>>,
        stats: Arc<LogStats>,
    ) -> io::Result<Self> {
        storage.create_dir(&dir)?;
        let numbers = storage.list(&dir)?.into_iter().filter_map(|name| names::segment_number(&name));
        let next_number = Arc::new(AtomicU64::new(numbers.max().map_or(0, |last| last + 1)));
        Ok(Self { storage, dir, segment_bytes_max, catalog, stats, next_number })
    }

    /// Makes the next segment.
    pub fn prepare(&self) -> io::Result<Prepared<S::File>> {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let name = names::segment(&self.dir, number);
        let file = self.storage.create(&name, FileUse::Segment { reserve_bytes: self.segment_bytes_max })?;
        self.stats.segments.fetch_add(1, Ordering::Relaxed);
        Ok(Prepared { number, name, file: Arc::new(file) })
    }

    /// Removes a segment that was not used.
    pub fn discard(&self, prepared: Prepared<S::File>) -> io::Result<()> {
        self.remove_empty(&prepared.name)
    }

    pub(super) fn remove_empty(&self, name: &str) -> io::Result<()> {
        self.storage.remove(name)?;
        self.stats.segments.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }

    /// Gives back what is reserved, writes the index and hands the segment to retention. What cannot be done is for the next
    /// start.
    pub fn finish(&self, full: Full<S::File>) -> Option<Notice> {
        let truncated = full.file.truncate(full.bytes);
        let indexed = self.write_index(&full);
        // So that offsets go on where they were even if both the segment and its index are damaged later.
        let ended = write_ends(&self.storage, &self.catalog.ends());
        self.catalog.finish(full.finished());
        let error = truncated.and(indexed).and(ended).err()?;
        Some(Notice::NoIndex { segment: full.segment.name.clone(), error })
    }

    /// Writes down durably where the good part of a failed segment ends. Only then may anything else be written.
    pub(super) fn settle(&self, failed: &Full<S::File>) -> io::Result<()> {
        if failed.entries.is_empty() {
            return self.remove_empty(&failed.segment.name);
        }
        // First the space that was reserved: on a full disk the index may need it. Both must be done: the index alone could
        // be damaged later, and the scan would find what was refused.
        failed.file.truncate(failed.bytes)?;
        self.write_index(failed)?;
        // As in `finish`; what counts is done.
        let _ = write_ends(&self.storage, &self.catalog.ends());
        self.catalog.finish(failed.finished());
        Ok(())
    }

    fn write_index(&self, full: &Full<S::File>) -> io::Result<()> {
        let name = &full.segment.name;
        write_whole(&self.storage, &names::index(name), &index::encode(name, &full.entries, full.bytes))
    }

    /// Removes segments that are no longer to be kept: `bytes_max` (0: any number), `oldest_ms` (none: any age).
    pub fn retain(&self, bytes_max: u64, oldest_ms: Option<i64>) -> Option<Notice> {
        if bytes_max == 0 && oldest_ms.is_none() {
            return None;
        }
        self.catalog.retire(self.stats.bytes.load(Ordering::Relaxed), bytes_max, oldest_ms);
        if !self.catalog.has_retired() {
            return None;
        }
        // A partition whose last segment goes must still go on where it was after a restart.
        if let Err(error) = write_ends(&self.storage, &self.catalog.ends()) {
            return Some(Notice::NotRemoved { segment: "the oldest segments".to_owned(), error });
        }
        let gone = |removed: io::Result<()>| match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let removed = self.catalog.remove_retired(|old| {
            let name = &old.segment.name;
            // The segment first: an index alone is in nobody's way, a segment alone would be scanned by the next start.
            gone(self.storage.remove(name))
                .and_then(|()| gone(self.storage.remove(&names::index(name))))
                .map_err(|error| Notice::NotRemoved { segment: name.clone(), error })?;
            self.stats.bytes.fetch_sub(old.bytes, Ordering::Relaxed);
            self.stats.segments.fetch_sub(1, Ordering::Relaxed);
            self.stats.removed_segments.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        removed.err()
    }
}
