//! Everything that was accepted in a span of time, segment by segment in the order of the files: for who wants to look at all of it, at
//! the speed of the memory. Order holds within a segment only.

use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::index::Entry;
use super::reader::LogReader;
use super::segment::Segment;
use super::storage::Storage;
use crate::batch::{Batch, decode_stored};

/// Bytes of one read.
const WINDOW_BYTES: usize = 1024 * 1024;

/// See the module.
#[derive(Debug)]
pub struct Sweep<S: Storage> {
    storage: S,
    segments: Vec<Arc<Segment<S::File>>>,
    /// Of the segment that is being read, by position, the last one first.
    entries: Vec<Entry>,
    current: Option<Arc<Segment<S::File>>>,
    span_ms: RangeInclusive<i64>,
    window: Vec<u8>,
    window_at: u64,
    bytes: u64,
    damaged_bytes: u64,
}

impl<S: Storage> LogReader<S> {
    /// Sweeps over what was accepted within `span_ms`. Batches at its edges are given whole.
    pub fn sweep(&self, span_ms: RangeInclusive<i64>) -> Sweep<S> {
        let mut segments = self.catalog.segments();
        // Taken from the end.
        segments.reverse();
        Sweep {
            storage: self.storage.clone(),
            segments,
            entries: Vec::new(),
            current: None,
            span_ms,
            window: Vec::new(),
            window_at: 0,
            bytes: 0,
            damaged_bytes: 0,
        }
    }
}

impl<S: Storage> Sweep<S> {
    /// Bytes of the log that were read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of batches that are damaged and were left out.
    pub fn damaged_bytes(&self) -> u64 {
        self.damaged_bytes
    }

    /// Segments that are still to be read.
    pub fn segments_left(&self) -> usize {
        self.segments.len() + usize::from(self.current.is_some())
    }

    /// The next batch, or why its segment cannot be read: the sweep then goes on with the next segment.
    #[expect(clippy::should_implement_trait, reason = "an iterator would hide that an error is not the end")]
    pub fn next(&mut self) -> Option<io::Result<Batch>> {
        loop {
            let Some(entry) = self.entries.pop() else {
                self.current = None;
                let segment = self.segments.pop()?;
                if let Err(error) = self.begin(segment) {
                    return Some(Err(error));
                }
                continue;
            };
            let read = self.read(&entry);
            match read {
                Ok(Some(batch)) if batch.base_offset() == entry.base_offset => return Some(Ok(batch)),
                Ok(_) => self.damaged_bytes += u64::from(entry.bytes),
                Err(error) => {
                    self.entries.clear();
                    return Some(Err(error));
                }
            }
        }
    }

    fn begin(&mut self, segment: Arc<Segment<S::File>>) -> io::Result<()> {
        let span_ms = self.span_ms.clone();
        let (mut entries, _) = segment.with_entries(&self.storage, |entries| -> Vec<Entry> {
            // The first batch behind the span may begin inside it.
            let wanted = |entries: &[Entry]| -> Vec<Entry> {
                let from = entries.partition_point(|entry| entry.max_timestamp_ms < *span_ms.start());
                let to = entries.partition_point(|entry| entry.max_timestamp_ms <= *span_ms.end());
                entries[from.min(to)..(to + 1).min(entries.len())].to_vec()
            };
            entries.values().flat_map(|entries| wanted(entries)).collect()
        })?;
        entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.position));
        self.entries = entries;
        self.current = Some(segment);
        self.window.clear();
        Ok(())
    }

    /// `None` if it is damaged.
    fn read(&mut self, entry: &Entry) -> io::Result<Option<Batch>> {
        let Some(segment) = &self.current else { return Ok(None) };
        let end = entry.end_position();
        if entry.position < self.window_at || end > self.window_at + self.window.len() as u64 || self.window.is_empty()
        {
            self.window.resize(WINDOW_BYTES.max(entry.bytes as usize), 0);
            let filled = segment.read_piece(entry.position, &mut self.window)?;
            self.window.truncate(filled);
            self.window_at = entry.position;
            self.bytes += filled as u64;
        }
        let at = (entry.position - self.window_at) as usize;
        let stored = self.window.get(at..at + entry.bytes as usize);
        Ok(stored.and_then(|stored| decode_stored(stored).ok()))
    }
}
