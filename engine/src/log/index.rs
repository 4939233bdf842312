//! The index of a finished segment: a summary by partition, which is all that a start reads, and one entry per batch.
//!
//! Layout, big endian: magic `ABLX`, version 2 (`u32`), CRC-32C of the segment's name (`u32`: the index of another segment is
//! none), bytes of the segment (`u64`), number of entries (`u32`), number of summaries (`u32`), the summaries (44 bytes each),
//! CRC-32C of all that; then the entries (36 bytes each) in the order of the file, CRC-32C of them. Decoding allocates no more
//! than the bytes hold. Version 1 had no summaries: a segment that has such an index is scanned once.

use std::collections::BTreeMap;

use crate::batch::{Batch, Head, crc32c};
use crate::limits;

const MAGIC: [u8; 4] = *b"ABLX";
const VERSION: u32 = 2;
const HEAD_BYTES: usize = 28;
const SUMMARY_BYTES: usize = 44;
const ENTRY_BYTES: usize = 36;

/// Bytes at the start of an index that hold every summary, however many partitions there are.
pub const SUMMARY_READ_BYTES: u64 = (HEAD_BYTES + limits::PARTITIONS_MAX as usize * SUMMARY_BYTES + 4) as u64;

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

    /// The entry of a stored batch with this head at `position`.
    pub fn of_head(head: &Head, position: u64) -> Self {
        Self {
            partition: head.partition,
            base_offset: head.base_offset,
            rows: head.rows,
            position,
            bytes: head.bytes as u32,
            max_timestamp_ms: head.max_timestamp_ms,
        }
    }

    /// First byte behind it in the segment.
    pub fn end_position(&self) -> u64 {
        self.position + u64::from(self.bytes)
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
    /// It is the index of another segment.
    #[error("the index is of another segment")]
    OfAnother,
}

/// What a segment holds of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The partition.
    pub partition: u32,
    /// First offset.
    pub first: u64,
    /// Offset behind the last.
    pub end: u64,
    /// Bytes of its batches.
    pub bytes: u64,
    /// Number of its batches.
    pub batches: u64,
    /// Latest time of acceptance.
    pub max_timestamp_ms: i64,
}

/// A segment as a start needs to know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summaries {
    /// Bytes of the segment that are batches; what lies behind is void.
    pub segment_bytes: u64,
    /// By partition, ascending.
    pub partitions: Vec<Summary>,
}

impl Summaries {
    /// Sums up the entries of a segment.
    pub fn of(entries: &[Entry], segment_bytes: u64) -> Self {
        let mut partitions: BTreeMap<u32, Summary> = BTreeMap::new();
        for entry in entries {
            let summary = partitions.entry(entry.partition).or_insert(Summary {
                partition: entry.partition,
                first: entry.base_offset,
                end: entry.end_offset(),
                bytes: 0,
                batches: 0,
                max_timestamp_ms: entry.max_timestamp_ms,
            });
            summary.end = summary.end.max(entry.end_offset());
            summary.bytes += u64::from(entry.bytes);
            summary.batches += 1;
            summary.max_timestamp_ms = summary.max_timestamp_ms.max(entry.max_timestamp_ms);
        }
        Self { segment_bytes, partitions: partitions.into_values().collect() }
    }

    /// The latest time of acceptance of all.
    pub fn max_timestamp_ms(&self) -> i64 {
        self.partitions.iter().map(|summary| summary.max_timestamp_ms).max().unwrap_or(i64::MAX)
    }
}

/// Encodes the index of the segment `name`, which has `segment_bytes` bytes.
pub fn encode(name: &str, entries: &[Entry], segment_bytes: u64) -> Vec<u8> {
    let summaries = Summaries::of(entries, segment_bytes);
    let head_bytes = HEAD_BYTES + summaries.partitions.len() * SUMMARY_BYTES + 4;
    let mut out = Vec::with_capacity(head_bytes + entries.len() * ENTRY_BYTES + 4);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&crc32c(name.as_bytes()).to_be_bytes());
    out.extend_from_slice(&segment_bytes.to_be_bytes());
    out.extend_from_slice(&(entries.len() as u32).to_be_bytes());
    out.extend_from_slice(&(summaries.partitions.len() as u32).to_be_bytes());
    for summary in &summaries.partitions {
        out.extend_from_slice(&summary.partition.to_be_bytes());
        out.extend_from_slice(&summary.first.to_be_bytes());
        out.extend_from_slice(&summary.end.to_be_bytes());
        out.extend_from_slice(&summary.bytes.to_be_bytes());
        out.extend_from_slice(&summary.batches.to_be_bytes());
        out.extend_from_slice(&summary.max_timestamp_ms.to_be_bytes());
    }
    let crc = crc32c(&out);
    out.extend_from_slice(&crc.to_be_bytes());
    for entry in entries {
        out.extend_from_slice(&entry.partition.to_be_bytes());
        out.extend_from_slice(&entry.base_offset.to_be_bytes());
        out.extend_from_slice(&entry.rows.to_be_bytes());
        out.extend_from_slice(&entry.position.to_be_bytes());
        out.extend_from_slice(&entry.bytes.to_be_bytes());
        out.extend_from_slice(&entry.max_timestamp_ms.to_be_bytes());
    }
    let crc = crc32c(&out[head_bytes..]);
    out.extend_from_slice(&crc.to_be_bytes());
    out
}

/// Decodes the summaries at the start of the index of the segment `name`; what follows them need not be there.
pub fn decode_summaries(name: &str, bytes: &[u8]) -> Result<Summaries, IndexError> {
    Ok(head(name, bytes)?.0)
}

/// The summaries, the number of entries, and the bytes of the entries with their checksum.
fn head<'b>(name: &str, bytes: &'b [u8]) -> Result<(Summaries, usize, &'b [u8]), IndexError> {
    if bytes.len() < HEAD_BYTES || bytes[..4] != MAGIC || bytes[4..8] != VERSION.to_be_bytes() {
        return Err(IndexError::Malformed);
    }
    if u32::from_be_bytes(field(bytes, 8)) != crc32c(name.as_bytes()) {
        return Err(IndexError::OfAnother);
    }
    let segment_bytes = u64::from_be_bytes(field(bytes, 12));
    let entries = u32::from_be_bytes(field(bytes, 20)) as usize;
    let partitions = u32::from_be_bytes(field(bytes, 24)) as usize;
    if partitions > limits::PARTITIONS_MAX as usize {
        return Err(IndexError::Malformed);
    }
    let end = HEAD_BYTES + partitions * SUMMARY_BYTES;
    if bytes.len() < end + 4 {
        return Err(IndexError::Malformed);
    }
    if crc32c(&bytes[..end]) != u32::from_be_bytes(field(bytes, end)) {
        return Err(IndexError::Checksum);
    }
    let partitions: Vec<Summary> = bytes[HEAD_BYTES..end]
        .chunks_exact(SUMMARY_BYTES)
        .map(|summary| Summary {
            partition: u32::from_be_bytes(field(summary, 0)),
            first: u64::from_be_bytes(field(summary, 4)),
            end: u64::from_be_bytes(field(summary, 12)),
            bytes: u64::from_be_bytes(field(summary, 20)),
            batches: u64::from_be_bytes(field(summary, 28)),
            max_timestamp_ms: i64::from_be_bytes(field(summary, 36)),
        })
        .collect();
    let sane = |summary: &Summary| summary.partition < limits::PARTITIONS_MAX && summary.first < summary.end;
    if !partitions.iter().all(sane) {
        return Err(IndexError::Malformed);
    }
    Ok((Summaries { segment_bytes, partitions }, entries, &bytes[end + 4..]))
}

/// Decodes the index of the segment `name`: its entries and the bytes of its segment.
pub fn decode(name: &str, bytes: &[u8]) -> Result<(Vec<Entry>, u64), IndexError> {
    let (Summaries { segment_bytes, .. }, count, rest) = head(name, bytes)?;
    let Some((content, crc)) = rest.split_last_chunk::<4>() else { return Err(IndexError::Malformed) };
    if Some(content.len()) != count.checked_mul(ENTRY_BYTES) {
        return Err(IndexError::Malformed);
    }
    if crc32c(content) != u32::from_be_bytes(*crc) {
        return Err(IndexError::Checksum);
    }
    let entries: Vec<Entry> = content
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
