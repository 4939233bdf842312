//! Opening a log: what lies on the disk, and from which offset each partition goes on.
//!
//! A start reads the summaries of finished segments, a few kilobytes each, and scans only segments without an index: those that
//! were being written when the node ended, and those whose index was lost. What always holds: what an index says about the end
//! of its segment is believed, since a segment that failed was settled so; what a scan found good is written and synced again
//! before anybody sees it, since it may have been in the system's memory only; a torn tail is cut off; damage is named and kept.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::catalog::{Catalog, Extent, Finished, Partition};
use super::index::{self, Summaries};
use super::scan::{End, scan};
use super::segment::Segment;
use super::storage::{BLOCK_BYTES, Storage, StorageFile, read_full, read_start, read_whole, write_whole};
use super::{LogStats, names};
use crate::limits;

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Where each partition goes on.
    pub next_offsets: Vec<u64>,
    /// First offset kept of each partition.
    pub start_offsets: Vec<u64>,
    /// Bytes of torn tails that were cut off.
    pub cut_bytes: u64,
    /// Segments that had to be scanned.
    pub scanned_segments: usize,
    /// Their bytes.
    pub scanned_bytes: u64,
    /// What is damaged and will not be served, in words that name the place.
    pub damaged: Vec<String>,
}

/// Why a log cannot be recovered.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {error}")]
pub struct RecoverError {
    /// The file or folder, inside the log's.
    pub name: String,
    /// What the storage says.
    pub error: io::Error,
}

/// How a log is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To go on writing it: torn tails are cut off, missing indexes are written.
    Write,
    /// To look at it, while another process may be writing it: nothing is changed.
    Read,
}

struct Recovery<S: Storage> {
    storage: S,
    access: Access,
    extents: Vec<Vec<Extent<S::File>>>,
    finished: Vec<Finished<S::File>>,
    recovered: Recovered,
    damaged_bytes: u64,
}

/// Finds all segments of a log of `partitions` partitions. Blocks.
pub fn recover<S: Storage>(
    storage: &S,
    partitions: u32,
    access: Access,
    stats: &LogStats,
) -> Result<(Catalog<S::File>, Recovered), RecoverError> {
    let mut recovery = Recovery {
        storage: storage.clone(),
        access,
        extents: (0..partitions).map(|_| Vec::new()).collect(),
        finished: Vec::new(),
        recovered: Recovered::default(),
        damaged_bytes: 0,
    };
    let failed = |name: &str| {
        let name = name.to_owned();
        move |error| RecoverError { name, error }
    };
    let mut dirs: Vec<String> = storage.list("").map_err(failed(""))?;
    dirs.retain(|name| names::is_shard_dir(name));
    dirs.sort();
    for dir in dirs {
        let listed = storage.list(&dir).map_err(failed(&dir))?;
        let mut numbers: Vec<u64> = listed.iter().filter_map(|name| names::segment_number(name)).collect();
        numbers.sort_unstable();
        // Within a folder the offsets of a partition only grow.
        let mut next = BTreeMap::new();
        for number in numbers {
            let name = names::segment(&dir, number);
            match recovery.add_segment(&name, &mut next) {
                // Retention of the process that writes the log was faster.
                Err(error) if access == Access::Read && error.kind() == io::ErrorKind::NotFound => {}
                added => added.map_err(failed(&name))?,
            }
        }
    }
    let ends = read_ends(storage).map_err(failed(names::ENDS))?;
    let scanned = recovery.recovered.scanned_segments;
    let (catalog, recovered) = recovery.finish(stats, &ends);
    if access == Access::Write && scanned > 0 {
        write_ends(storage, &catalog.ends()).map_err(failed(names::ENDS))?;
    }
    Ok((catalog, recovered))
}

impl<S: Storage> Recovery<S> {
    fn add_segment(&mut self, name: &str, next: &mut BTreeMap<u32, u64>) -> io::Result<()> {
        let file = self.storage.open(name)?;
        let length = file.bytes()?;
        let index = read_start(&self.storage, &names::index(name), index::SUMMARY_READ_BYTES)?;
        // With an index, even a damaged one, it was finished: all of it was synced, and nothing of it is cut off.
        let end = if index.is_some() { End::Finish } else { End::Crash };
        let stored = index.and_then(|bytes| index::decode_summaries(name, &bytes).ok());
        let summaries = match stored {
            // What lies behind the end that the index names was refused and is void.
            Some(summaries) if summaries.segment_bytes <= length => {
                if summaries.segment_bytes < length && self.access == Access::Write {
                    file.truncate(summaries.segment_bytes)?;
                }
                summaries
            }
            _ => self.scan_segment(name, &file, length, end, next)?,
        };
        let bytes = summaries.segment_bytes;
        if summaries.partitions.is_empty() {
            // Created and never synced into; nothing is lost with it. What holds damage only is kept for who wants to look.
            if bytes == 0 && self.access == Access::Write && file.bytes()? == 0 {
                self.storage.remove(name)?;
            }
            return Ok(());
        }
        let segment = Arc::new(Segment::finished(name.to_owned(), Arc::new(file), &summaries));
        for summary in &summaries.partitions {
            let Some(extents) = self.extents.get_mut(summary.partition as usize) else {
                let partition = summary.partition;
                let problem = format!("{name}: batches of partition {partition}, which the log does not have");
                self.recovered.damaged.push(problem);
                continue;
            };
            let next = next.entry(summary.partition).or_default();
            *next = summary.end.max(*next);
            extents.push(Extent::of(summary, &segment));
        }
        self.finished.push(Finished { segment, bytes, max_timestamp_ms: summaries.max_timestamp_ms() });
        Ok(())
    }

    fn scan_segment(
        &mut self,
        name: &str,
        file: &S::File,
        length: u64,
        end: End,
        next: &BTreeMap<u32, u64>,
    ) -> io::Result<Summaries> {
        let found = scan(file, length, end, |partition| next.get(&partition).copied().unwrap_or(0)..u64::MAX)?;
        self.recovered.scanned_segments += 1;
        self.recovered.scanned_bytes += length;
        for damage in &found.damaged {
            self.damaged_bytes += damage.bytes;
            self.recovered.damaged.push(format!(
                "{name}: {} bytes at position {} are damaged and not served: {}",
                damage.bytes, damage.position, damage.reason
            ));
        }
        if end == End::Finish && found.is_torn {
            let lost = length - found.good_bytes;
            self.damaged_bytes += lost;
            self.recovered.damaged.push(format!("{name}: the last {lost} bytes are damaged and not served"));
        }
        if self.access == Access::Write && end == End::Crash {
            if found.is_torn {
                self.recovered.cut_bytes += length - found.good_bytes;
            }
            write_tail_again(file, found.good_bytes)?;
            if found.good_bytes < length {
                file.truncate(found.good_bytes)?;
            }
        }
        // What a finished segment has behind its last good batch is damaged, not void.
        let bytes = if end == End::Finish { length } else { found.good_bytes };
        if self.access == Access::Write && !found.entries.is_empty() {
            write_whole(&self.storage, &names::index(name), &index::encode(name, &found.entries, bytes))?;
        }
        Ok(Summaries::of(&found.entries, bytes))
    }

    fn finish(mut self, stats: &LogStats, ends: &[u64]) -> (Catalog<S::File>, Recovered) {
        stats.segments.store(self.finished.len() as u64, Ordering::Relaxed);
        stats.bytes.store(self.finished.iter().map(|finished| finished.bytes).sum(), Ordering::Relaxed);
        stats.damaged_bytes.store(self.damaged_bytes, Ordering::Relaxed);
        let mut partitions = Vec::with_capacity(self.extents.len());
        for (number, mut extents) in self.extents.drain(..).enumerate() {
            extents.sort_by_key(|extent| (extent.first, extent.end));
            for at in 1..extents.len() {
                // Only damage makes them overlap: what a later segment has itself is not looked for in an earlier one.
                extents[at - 1].end = extents[at - 1].end.min(extents[at].first);
            }
            extents.retain(|extent| extent.first < extent.end);
            for pair in extents.windows(2) {
                if pair[0].end != pair[1].first {
                    self.recovered.damaged.push(format!(
                        "partition {number}: {} ends at offset {}, {} begins at {}",
                        pair[0].segment.name, pair[0].end, pair[1].segment.name, pair[1].first
                    ));
                }
            }
            let end = extents.last().map_or(0, |extent| extent.end).max(ends.get(number).copied().unwrap_or(0));
            let start = extents.first().map_or(end, |extent| extent.first);
            self.recovered.start_offsets.push(start);
            self.recovered.next_offsets.push(end);
            partitions.push(Partition::new(start, end, VecDeque::from(extents)));
        }
        (Catalog::new(partitions, self.finished), self.recovered)
    }
}

/// Bytes at the end of a segment that may be in the system's memory only: its last group.
const DOUBTFUL_BYTES_MAX: u64 = (limits::COMMIT_BYTES_MAX + limits::BATCH_BYTES_MAX + BLOCK_BYTES) as u64;

/// Makes sure that the end of a segment that was found good is on the device. A process that was killed may have left it in the
/// system's memory, and if its last act was a sync that failed, another sync would say yes to nothing: so it is written
/// again first. Nothing was written into the segment after a failed sync, so what lies further in front is safe.
fn write_tail_again<F: StorageFile>(file: &F, good_bytes: u64) -> io::Result<()> {
    const PIECE_BYTES: usize = 256 * BLOCK_BYTES;
    let block = BLOCK_BYTES as u64;
    let mut at = good_bytes.saturating_sub(DOUBTFUL_BYTES_MAX) / block * block;
    let mut piece = vec![0; PIECE_BYTES];
    while at < good_bytes {
        let filled = (good_bytes - at).min(PIECE_BYTES as u64) as usize;
        if read_full(file, at, &mut piece[..filled])? < filled {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let whole = filled.next_multiple_of(BLOCK_BYTES);
        piece[filled..whole].fill(0);
        file.write_at(at, &piece[..whole])?;
        at += filled as u64;
    }
    file.sync()
}

/// Stores the end offset of every partition, one per line.
pub(super) fn write_ends<S: Storage>(storage: &S, ends: &[u64]) -> io::Result<()> {
    let lines: String = ends.iter().map(|end| format!("{end}\n")).collect();
    write_whole(storage, names::ENDS, lines.as_bytes())
}

/// The ends as stored last; empty if they never were.
fn read_ends<S: Storage>(storage: &S) -> io::Result<Vec<u64>> {
    let Some(bytes) = read_whole(storage, names::ENDS)? else { return Ok(Vec::new()) };
    let wrong = || io::Error::other("it holds something else than one offset per line");
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong())?;
    text.lines().map(|line| line.parse().map_err(|_| wrong())).collect()
}
