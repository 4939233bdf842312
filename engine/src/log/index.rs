//! The index of a finished segment: one entry per batch, in the order of the file, under a checksum.
//!
//! Layout, big endian: magic `ABLX`, version 1 (`u32`), bytes of the segment (`u64`), number of entries (`u32`), the entries
//! (36 bytes each), CRC-32C of all before it. Decoding allocates no more than the bytes hold.

use crate::batch::{Batch, crc32c};
use crate::limits;

const MAGIC: [u8; 4] = *b"ABLX";
const VERSION: u32 = 1;
const HEAD_BYTES: usize = 20;
const ENTRY_BYTES: usize = 36;

/// Where a batch lies in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its partition.
    pub partition: u32,
    /// Offset of its first event.
    pub base_offset: u64,
    /// Number of its events.
    pub rows: u32,
    /// First byte in the segment.
    pub position: u64,
    /// Number of bytes.
    pub bytes: u32,
    /// Latest time of acceptance among its events.
    pub max_timestamp_ms: i64,
}

impl Entry {
    /// The entry of `batch` at `position`.
    pub fn of(batch: &Batch, position: u64) -> Self {
        Self {
            partition: batch.partition(),
            base_offset: batch.base_offset(),
            rows: batch.rows().len() as u32,
            position,
            bytes: batch.bytes().len() as u32,
            max_timestamp_ms: batch.max_timestamp_ms(),
        }
    }

    /// Offset behind its last event.
    pub fn end_offset(&self) -> u64 {
        self.base_offset + u64::from(self.rows)
    }
}

/// Why an index cannot be used; the segment is scanned instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Other bytes, another version, or a length that does not fit.
    #[error("not an index of this version")]
    Malformed,
    /// Bytes were changed.
    #[error("the checksum of the index is wrong")]
    Checksum,
}

/// Encodes the index of a segment with `segment_bytes` bytes.
pub fn encode(entries: &[Entry], segment_bytes: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES + entries.len() * ENTRY_BYTES + 4);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&segment_bytes.to_be_bytes());
    out.extend_from_slice(&(entries.len() as u32).to_be_bytes());
    for entry in entries {
        out.extend_from_slice(&entry.partition.to_be_bytes());
        out.extend_from_slice(&entry.base_offset.to_be_bytes());
        out.extend_from_slice(&entry.rows.to_be_bytes());
        out.extend_from_slice(&entry.position.to_be_bytes());
        out.extend_from_slice(&entry.bytes.to_be_bytes());
        out.extend_from_slice(&entry.max_timestamp_ms.to_be_bytes());
    }
    let crc = crc32c(&out);
    out.extend_from_slice(&crc.to_be_bytes());
    out
}

/// Decodes an index: its entries and the bytes of its segment.
pub fn decode(bytes: &[u8]) -> Result<(Vec<Entry>, u64), IndexError> {
    let Some((content, crc)) = bytes.split_last_chunk::<4>() else { return Err(IndexError::Malformed) };
    if content.len() < HEAD_BYTES || content[..4] != MAGIC || content[4..8] != VERSION.to_be_bytes() {
        return Err(IndexError::Malformed);
    }
    if crc32c(content) != u32::from_be_bytes(*crc) {
        return Err(IndexError::Checksum);
    }
    let segment_bytes = u64::from_be_bytes(field(content, 8));
    let count = u32::from_be_bytes(field(content, 16)) as usize;
    if Some(content.len() - HEAD_BYTES) != count.checked_mul(ENTRY_BYTES) {
        return Err(IndexError::Malformed);
    }
    let entries: Vec<Entry> = content[HEAD_BYTES..]
        .chunks_exact(ENTRY_BYTES)
        .map(|entry| Entry {
            partition: u32::from_be_bytes(field(entry, 0)),
            base_offset: u64::from_be_bytes(field(entry, 4)),
            rows: u32::from_be_bytes(field(entry, 12)),
            position: u64::from_be_bytes(field(entry, 16)),
            bytes: u32::from_be_bytes(field(entry, 24)),
            max_timestamp_ms: i64::from_be_bytes(field(entry, 28)),
        })
        .collect();
    let sane = |entry: &Entry| {
        entry.rows > 0
            && entry.partition < limits::PARTITIONS_MAX
            && entry.bytes as usize <= limits::BATCH_BYTES_MAX
            && entry.position.checked_add(u64::from(entry.bytes)).is_some_and(|end| end <= segment_bytes)
            && entry.base_offset.checked_add(u64::from(entry.rows)).is_some()
    };
    if entries.iter().all(sane) { Ok((entries, segment_bytes)) } else { Err(IndexError::Malformed) }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}
