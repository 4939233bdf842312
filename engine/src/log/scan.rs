//! Reads a segment batch by batch and finds where it is whole: after a crash, or when its index is missing.
//!
//! A cut-off or wrong end is a torn tail: what is behind the last whole batch was never acknowledged as synced. A damaged batch
//! with whole ones behind it is named and passed over: its bytes are kept and never served.

use std::io;

use super::Entry;
use crate::batch::{DecodeError, HEADER_BYTES, batch_bytes_hint, decode_stored};
use crate::limits;

/// Where a scan reads from.
pub trait ReadAt {
    /// Reads bytes from `position` on into `into` and says how many; 0 only at the end.
    fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize>;
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
}

/// Bytes that are read at once.
const WINDOW_BYTES: usize = 4 * limits::BATCH_BYTES_MAX;

/// Scans the first `bytes` bytes of a segment.
pub fn scan<R: ReadAt + ?Sized>(source: &R, bytes: u64) -> io::Result<Scanned> {
    let mut window = Window { source, end: bytes, start: 0, bytes: Vec::new() };
    let mut found = Scanned::default();
    let mut at = 0;
    // Where the damage began that the scan is trying to get behind, and what it is.
    let mut lost: Option<(u64, String)> = None;
    while at < bytes {
        match decode_stored(window.at(at)?) {
            Ok(batch) => {
                if let Some((position, reason)) = lost.take() {
                    found.damaged.push(Damage { position, bytes: at - position, reason });
                }
                found.entries.push(Entry::of(&batch, at));
                at += batch.bytes().len() as u64;
                found.good_bytes = at;
            }
            Err(error) => {
                let reason = lost.take().unwrap_or_else(|| (at, error.to_string()));
                lost = Some(reason);
                at += skip(&error, window.at(at)?);
            }
        }
    }
    Ok(found)
}

/// How far to go on after `error`: over the batch if only its content is wrong and its length leads to another, else byte by
/// byte, past what cannot be the start of a batch.
fn skip(error: &DecodeError, bytes: &[u8]) -> u64 {
    if let DecodeError::Checksum { .. } = error
        && let Ok(length) = batch_bytes_hint(bytes)
        && bytes.get(length..).is_some_and(|next| next.is_empty() || decode_stored(next).is_ok())
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
}
