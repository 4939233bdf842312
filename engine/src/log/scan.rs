//! Reads a segment batch by batch and finds where it is whole: after a crash, or when its index is missing.
//!
//! A cut-off or wrong end is a torn tail: what is behind the last whole batch was never acknowledged as synced, nor was a last
//! group with a hole in it. A damaged batch with whole ones of a later group behind it is named and passed over: its bytes are
//! kept and never served. A batch that is whole but does not continue its partition (an old one that the disk put there, or one
//! that was refused and written again) is passed over as well.

use std::io;
use std::ops::Range;

use super::Entry;
use super::chain::consistent;
use super::storage::read_full;
use crate::batch::{DecodeError, HEADER_BYTES, batch_bytes_hint, check_stored};
use crate::limits;

/// Where a scan reads from.
pub trait ReadAt {
    /// Reads bytes from `position` on into `into` and says how many; 0 only at the end.
    fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Reads so many bytes from `position` on, fewer only at the end.
    fn read_bytes(&self, position: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut content = vec![0; bytes];
        let filled = read_full(self, position, &mut content)?;
        content.truncate(filled);
        Ok(content)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(position).ok().and_then(|at| self.get(at..)).unwrap_or(&[]);
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// A piece of a segment that is not a whole batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// First byte.
    pub position: u64,
    /// Bytes up to the next whole batch.
    pub bytes: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// What a scan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// All whole batches in the order of the file.
    pub entries: Vec<Entry>,
    /// The segment is whole up to here; what follows is a torn tail.
    pub good_bytes: u64,
    /// Damage before that.
    pub damaged: Vec<Damage>,
    /// Behind the good bytes there is something else than zeros.
    pub is_torn: bool,
}

/// Bytes that are read at once.
const WINDOW_BYTES: usize = 4 * limits::BATCH_BYTES_MAX;

/// How a segment came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was being written: its last group may be there in any part.
    Crash,
    /// It was finished: everything in it was synced.
    Finish,
}

/// Scans the first `bytes` bytes of a segment that ended by `end`. `offsets_of`: what a partition can have here.
pub fn scan<R: ReadAt + ?Sized>(
    source: &R,
    bytes: u64,
    end: End,
    offsets_of: impl Fn(u32) -> Range<u64>,
) -> io::Result<Scanned> {
    let mut window = Window { source, end: bytes, start: 0, bytes: Vec::new() };
    let mut found = Scanned::default();
    let mut at = 0;
    // Where the damage began that the scan is trying to get behind, and what it is.
    let mut lost: Option<(u64, String)> = None;
    let (mut group, mut last_group_at) = (None, 0);
    while at < window.end {
        match check_stored(window.at(at)?) {
            Ok(head) => {
                let entry = Entry::of_head(&head, at);
                let offsets = offsets_of(head.partition);
                if entry.base_offset >= offsets.start && entry.end_offset() <= offsets.end {
                    if let Some((position, reason)) = lost.take() {
                        found.damaged.push(Damage { position, bytes: at - position, reason });
                    }
                    let (is_first, is_odd) = (head.mark & 1 == 1, head.mark & 2 == 2);
                    if is_first {
                        last_group_at = at;
                    } else if group != Some(is_odd) {
                        // The head of its group is missing.
                        last_group_at = found.entries.last().map_or(0, Entry::end_position);
                    }
                    group = Some(is_odd);
                    found.entries.push(entry);
                }
                at += head.bytes as u64;
            }
            Err(error) => {
                if lost.is_none() {
                    lost = Some((at, error.to_string()));
                }
                let here = window.at(at)?;
                let zeros = zeros(here);
                at += if zeros >= MOSTLY_ZEROS { zeros as u64 } else { skip(&error, here) };
            }
        }
    }
    // A hole in the last group is no damage: that group was never synced, its blocks came to the device in any order.
    if end == End::Crash
        && let Some(torn) = found.damaged.iter().find(|damage| damage.position >= last_group_at)
    {
        let torn_at = torn.position;
        found.entries.retain(|entry| entry.position < torn_at);
        found.damaged.retain(|damage| damage.position < torn_at);
    }
    found.entries = consistent(found.entries);
    found.good_bytes = found.entries.last().map_or(0, Entry::end_position);
    found.damaged.retain(|damage| damage.position < found.good_bytes);
    found.is_torn = !window.is_zero_from(found.good_bytes)?;
    Ok(found)
}

/// So many zeros are reserved space and not the inside of a batch: they are passed over at once.
const MOSTLY_ZEROS: usize = 512;

fn zeros(bytes: &[u8]) -> usize {
    bytes.chunks(64).take_while(|chunk| chunk.iter().all(|byte| *byte == 0)).map(<[u8]>::len).sum()
}

/// How far to go on after `error`: over the batch if only its content is wrong and its length leads to another, else byte by
/// byte, past what cannot be the start of a batch.
fn skip(error: &DecodeError, bytes: &[u8]) -> u64 {
    if let DecodeError::Checksum { .. } | DecodeError::Misplaced = error
        && let Ok(length) = batch_bytes_hint(bytes)
        && bytes.get(length..).is_some_and(|next| next.is_empty() || check_stored(next).is_ok())
    {
        return length as u64;
    }
    // A batch has its magic at a fixed place: look for the next byte that could be one.
    const AT_MAGIC: usize = 16;
    let next = bytes.get(AT_MAGIC + 1..).and_then(|rest| memchr::memchr(2, rest));
    match next {
        Some(distance) => distance as u64 + 1,
        None => bytes.len().saturating_sub(AT_MAGIC).max(1) as u64,
    }
}

struct Window<'s, R: ?Sized> {
    source: &'s R,
    end: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<R: ReadAt + ?Sized> Window<'_, R> {
    /// The bytes from `at` on: a whole batch of the largest size, unless the segment ends before.
    fn at(&mut self, at: u64) -> io::Result<&[u8]> {
        let have = (self.start + self.bytes.len() as u64).saturating_sub(at);
        if at < self.start || (have < limits::BATCH_BYTES_MAX as u64 + HEADER_BYTES as u64 && at + have < self.end) {
            let want = (self.end - at).min(WINDOW_BYTES as u64) as usize;
            self.bytes.resize(want, 0);
            let mut filled = 0;
            while filled < want {
                match self.source.read_at(at + filled as u64, &mut self.bytes[filled..])? {
                    0 => break,
                    count => filled += count,
                }
            }
            self.bytes.truncate(filled);
            // The file is shorter than it was said to be: do not ask again.
            if filled < want {
                self.end = at + filled as u64;
            }
            self.start = at;
        }
        Ok(self.bytes.get((at - self.start) as usize..).unwrap_or(&[]))
    }

    /// Nothing but zeros from `at` to the end.
    fn is_zero_from(&mut self, at: u64) -> io::Result<bool> {
        let mut at = at;
        while at < self.end {
            let bytes = self.at(at)?;
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += bytes.len().max(1) as u64;
        }
        Ok(true)
    }
}
