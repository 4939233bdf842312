//! Reads a RecordBatch back: one scan that checks the checksum and every length before it trusts it.
//!
//! Foreign bytes: the largest allocation is [`limits::BATCH_ROWS_MAX`] row entries, and never more than the bytes could hold.

use super::{
    AT_ATTRIBUTES, AT_BASE_TIMESTAMP, AT_COUNT, AT_CRC, AT_LAST_DELTA, AT_LENGTH, AT_MAGIC, AT_MAX_TIMESTAMP, AT_PLACE,
    Batch, HEADER_BYTES, Row, Span, crc32c, place_field, split_place, varint,
};
use crate::limits;

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the batch does: a torn tail, or more has to be read.
    #[error("the batch is cut off: {have} of {need} bytes")]
    Truncated {
        /// Bytes that are there.
        have: usize,
        /// Bytes that the batch says it has.
        need: usize,
    },
    /// A length, count or magic that no valid batch has.
    #[error("not a record batch: {0}")]
    Malformed(&'static str),
    /// The content does not have the checksum that the header names.
    #[error("checksum is {found:08x}, the header says {expected:08x}")]
    Checksum {
        /// From the header.
        expected: u32,
        /// Of the bytes.
        found: u32,
    },
    /// Its partition or its offset is not the one that it was stored with.
    #[error("its partition or its offset was changed")]
    Misplaced,
}

/// Total bytes of the batch that starts here, once its first 12 bytes are present; checks only that the size is possible.
pub fn batch_bytes_hint(bytes: &[u8]) -> Result<usize, DecodeError> {
    let Some(head) = bytes.get(AT_LENGTH..AT_LENGTH + 4) else {
        return Err(DecodeError::Truncated { have: bytes.len(), need: HEADER_BYTES });
    };
    let length = i32::from_be_bytes(head.try_into().expect("four bytes"));
    if length < (HEADER_BYTES - AT_LENGTH - 4) as i32 {
        return Err(DecodeError::Malformed("length below the header's"));
    }
    let total = length as usize + AT_LENGTH + 4;
    if total > limits::BATCH_BYTES_MAX {
        return Err(DecodeError::Malformed("length above the limit"));
    }
    Ok(total)
}

/// A stored batch as its header tells it, with its checksum tested and its records not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The partition that its builder wrote into it.
    pub partition: u32,
    /// Its place in its group commit: see [`group_mark`](super::group_mark).
    pub mark: u8,
    /// Offset of its first event.
    pub base_offset: u64,
    /// Number of its events.
    pub rows: u32,
    /// Number of its bytes.
    pub bytes: usize,
    /// Time of acceptance that the records count from.
    pub base_timestamp_ms: i64,
    /// Latest time of acceptance.
    pub max_timestamp_ms: i64,
}

/// Tests the stored batch at the start of `bytes`: sizes and checksum. At the speed of the checksum.
pub fn check_stored(bytes: &[u8]) -> Result<Head, DecodeError> {
    let Some(field) = bytes.get(AT_PLACE..AT_MAGIC) else {
        return Err(DecodeError::Truncated { have: bytes.len(), need: HEADER_BYTES });
    };
    let place = u32::from_be_bytes(field.try_into().expect("four bytes"));
    let (partition, mark) = split_place(place);
    let head = Head { mark, ..check(partition, bytes)? };
    let crc = bytes[AT_CRC..AT_ATTRIBUTES].try_into().expect("four bytes");
    if place_field(partition, mark, head.base_offset, crc) != place {
        return Err(DecodeError::Misplaced);
    }
    Ok(head)
}

fn check(partition: u32, bytes: &[u8]) -> Result<Head, DecodeError> {
    let head = check_sparse(partition, bytes)?;
    let last_delta = u32::from_be_bytes(bytes[AT_LAST_DELTA..AT_BASE_TIMESTAMP].try_into().expect("four bytes"));
    if last_delta != head.rows - 1 {
        return Err(DecodeError::Malformed("row count"));
    }
    Ok(head)
}

/// Sizes and checksum of a batch whose offsets may have gaps.
pub(super) fn check_sparse(partition: u32, bytes: &[u8]) -> Result<Head, DecodeError> {
    let total = batch_bytes_hint(bytes)?;
    let Some(bytes) = bytes.get(..total) else {
        return Err(DecodeError::Truncated { have: bytes.len(), need: total });
    };
    if bytes[AT_MAGIC] != 2 {
        return Err(DecodeError::Malformed("magic is not 2"));
    }
    let long = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let int = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    if partition >= limits::PARTITIONS_MAX {
        return Err(DecodeError::Malformed("partition above the limit"));
    }
    let (expected, found) = (int(AT_CRC), crc32c(&bytes[AT_ATTRIBUTES..]));
    if expected != found {
        return Err(DecodeError::Checksum { expected, found });
    }
    if bytes[AT_ATTRIBUTES] != 0 || bytes[AT_ATTRIBUTES + 1] & 0x07 != 0 {
        return Err(DecodeError::Malformed("compressed or control batches are not stored here"));
    }
    let rows = int(AT_COUNT);
    let last_delta = int(AT_LAST_DELTA);
    if rows < 1 || last_delta as usize >= limits::BATCH_ROWS_MAX || last_delta < rows - 1 {
        return Err(DecodeError::Malformed("row count"));
    }
    let base_offset = long(0);
    if base_offset.checked_add(u64::from(last_delta) + 1).is_none_or(|end| end > i64::MAX as u64) {
        return Err(DecodeError::Malformed("offset"));
    }
    Ok(Head {
        partition,
        mark: 0,
        base_offset,
        rows,
        bytes: total,
        base_timestamp_ms: long(AT_BASE_TIMESTAMP) as i64,
        max_timestamp_ms: long(AT_MAX_TIMESTAMP) as i64,
    })
}

/// Decodes the batch at the start of `bytes` as one of the partition that its builder wrote into it.
pub fn decode_stored(bytes: &[u8]) -> Result<Batch, DecodeError> {
    let head = check_stored(bytes)?;
    let rows = rows(&head, &bytes[..head.bytes])?;
    Ok(Batch::from_parts(head.partition, bytes[..head.bytes].to_vec(), rows))
}

/// Decodes the batch at the start of `bytes` as one of `partition`, whatever is written in it; what follows is not looked at.
pub fn decode(partition: u32, bytes: &[u8]) -> Result<Batch, DecodeError> {
    let head = check(partition, bytes)?;
    let rows = rows(&head, &bytes[..head.bytes])?;
    Ok(Batch::from_parts(partition, bytes[..head.bytes].to_vec(), rows))
}

/// As [`decode_stored`] of bytes that are the batch and nothing else, which are kept as they are.
pub fn decode_whole(bytes: Vec<u8>) -> Result<Batch, DecodeError> {
    let head = check_stored(&bytes)?;
    if head.bytes != bytes.len() {
        return Err(DecodeError::Malformed("bytes behind the batch"));
    }
    let rows = rows(&head, &bytes)?;
    Ok(Batch::from_parts(head.partition, bytes, rows))
}

/// The rows of a batch whose head was tested and whose offsets have no gaps.
pub(super) fn rows(head: &Head, bytes: &[u8]) -> Result<Vec<Row>, DecodeError> {
    // A record has at least seven bytes, so a lying count cannot ask for more than the bytes could hold.
    let mut rows = Vec::with_capacity((head.rows as usize).min((head.bytes - HEADER_BYTES) / 7));
    let mut at = HEADER_BYTES;
    for index in 0..i64::from(head.rows) {
        match row(bytes, &mut at, head.base_timestamp_ms) {
            Some((delta, row)) if delta == index => rows.push(row),
            _ => return Err(DecodeError::Malformed("record")),
        }
    }
    if at != head.bytes {
        return Err(DecodeError::Malformed("bytes behind the last record"));
    }
    Ok(rows)
}

/// The record at `*at`, and by how much its offset is above the batch's.
#[inline]
pub(super) fn row(bytes: &[u8], at: &mut usize, base_timestamp: i64) -> Option<(i64, Row)> {
    let length = varint::get(bytes, at)?;
    let end = at.checked_add(usize::try_from(length).ok()?).filter(|end| *end <= bytes.len())?;
    let _attributes = bytes.get(*at)?;
    *at += 1;
    let timestamp_ms = base_timestamp.checked_add(varint::get(bytes, at)?)?;
    let delta = varint::get(bytes, at)?;
    let key = span(bytes, at, end)?;
    let value = span(bytes, at, end)?;
    let header_count = u32::try_from(varint::get(bytes, at)?).ok()?;
    if header_count as usize > limits::EVENT_HEADERS_MAX || *at > end {
        return None;
    }
    let headers = Span { start: *at as u32, len: (end - *at) as u32 };
    // Names must be there and text; values may be anything. Checked here, so that views need not.
    for _ in 0..header_count {
        let name = span(bytes, at, end)?;
        std::str::from_utf8(name.of(bytes)?).ok()?;
        span(bytes, at, end)?;
    }
    (*at == end).then_some((delta, Row { key, value, headers, header_count, timestamp_ms }))
}

fn span(bytes: &[u8], at: &mut usize, end: usize) -> Option<Span> {
    let len = varint::get(bytes, at)?;
    if len == -1 {
        return Some(Span::NULL);
    }
    let start = *at;
    let stop = start.checked_add(usize::try_from(len).ok()?).filter(|stop| *stop <= end)?;
    *at = stop;
    Some(Span { start: start as u32, len: len as u32 })
}
