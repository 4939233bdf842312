//! Reads a RecordBatch back: one scan that checks the checksum and every length before it trusts it.
//!
//! Foreign bytes: the largest allocation is [`limits::BATCH_ROWS_MAX`] row entries, and never more than the bytes could hold.

use super::{
    AT_ATTRIBUTES, AT_BASE_TIMESTAMP, AT_COUNT, AT_CRC, AT_LAST_DELTA, AT_LENGTH, AT_MAGIC, AT_PARTITION, Batch,
    HEADER_BYTES, Row, Span, crc32c, varint,
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

/// Decodes the batch at the start of `bytes` as one of the partition that its builder wrote into it.
pub fn decode_stored(bytes: &[u8]) -> Result<Batch, DecodeError> {
    let Some(field) = bytes.get(AT_PARTITION..AT_MAGIC) else {
        return Err(DecodeError::Truncated { have: bytes.len(), need: HEADER_BYTES });
    };
    let partition = u32::from_be_bytes(field.try_into().expect("four bytes"));
    if partition >= limits::PARTITIONS_MAX {
        return Err(DecodeError::Malformed("partition above the limit"));
    }
    decode(partition, bytes)
}

/// Decodes the batch at the start of `bytes` as one of `partition`; what follows it is not looked at.
pub fn decode(partition: u32, bytes: &[u8]) -> Result<Batch, DecodeError> {
    let total = batch_bytes_hint(bytes)?;
    let Some(bytes) = bytes.get(..total) else {
        return Err(DecodeError::Truncated { have: bytes.len(), need: total });
    };
    if bytes[AT_MAGIC] != 2 {
        return Err(DecodeError::Malformed("magic is not 2"));
    }
    let expected = u32::from_be_bytes(bytes[AT_CRC..AT_ATTRIBUTES].try_into().expect("four bytes"));
    let found = crc32c(&bytes[AT_ATTRIBUTES..]);
    if expected != found {
        return Err(DecodeError::Checksum { expected, found });
    }
    if bytes[AT_ATTRIBUTES] != 0 || bytes[AT_ATTRIBUTES + 1] & 0x07 != 0 {
        return Err(DecodeError::Malformed("compressed or control batches are not stored here"));
    }
    let count = i32::from_be_bytes(bytes[AT_COUNT..HEADER_BYTES].try_into().expect("four bytes"));
    let last_delta = i32::from_be_bytes(bytes[AT_LAST_DELTA..AT_BASE_TIMESTAMP].try_into().expect("four bytes"));
    if count < 1 || count as usize > limits::BATCH_ROWS_MAX || last_delta != count - 1 {
        return Err(DecodeError::Malformed("row count"));
    }
    let base_timestamp =
        i64::from_be_bytes(bytes[AT_BASE_TIMESTAMP..AT_BASE_TIMESTAMP + 8].try_into().expect("eight bytes"));
    // A record has at least seven bytes, so a lying count cannot ask for more than the bytes could hold.
    let mut rows = Vec::with_capacity((count as usize).min((total - HEADER_BYTES) / 7));
    let mut at = HEADER_BYTES;
    for index in 0..count as i64 {
        rows.push(row(bytes, &mut at, index, base_timestamp).ok_or(DecodeError::Malformed("record"))?);
    }
    if at != total {
        return Err(DecodeError::Malformed("bytes behind the last record"));
    }
    Ok(Batch::from_parts(partition, bytes.to_vec(), rows))
}

fn row(bytes: &[u8], at: &mut usize, index: i64, base_timestamp: i64) -> Option<Row> {
    let length = varint::get(bytes, at)?;
    let end = at.checked_add(usize::try_from(length).ok()?).filter(|end| *end <= bytes.len())?;
    let _attributes = bytes.get(*at)?;
    *at += 1;
    let timestamp_ms = base_timestamp.checked_add(varint::get(bytes, at)?)?;
    if varint::get(bytes, at)? != index {
        return None;
    }
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
    (*at == end).then_some(Row { key, value, headers, header_count, timestamp_ms })
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
