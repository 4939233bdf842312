//! RecordBatch v2: records out of a batch, and the numbers that a record is written with.

use crc_fast::{CrcAlgorithm, checksum};

use super::CodecError;
use super::read::BATCH_HEAD_BYTES;

/// Where the checksum begins.
const CHECKED_FROM: usize = 21;

/// Kafka's partitioner.
pub fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h = 0x9747_b28c ^ key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0, |n, byte| n << 8 | u32::from(*byte));
        h = (h ^ last).wrapping_mul(M);
    }
    h = (h ^ (h >> 13)).wrapping_mul(M);
    h ^ (h >> 15)
}

/// Bytes of a varint that is not negative.
pub fn varint_len(n: u64) -> usize {
    (64 - (n << 1 | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends a varint that is not negative.
pub fn put_varint(out: &mut Vec<u8>, n: u64) {
    let mut n = n << 1;
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// The checksum of a batch is that of its bytes.
pub fn crc_is_right(batch: &[u8]) -> bool {
    batch.len() >= BATCH_HEAD_BYTES && {
        let said = u32::from_be_bytes([batch[17], batch[18], batch[19], batch[20]]);
        checksum(CrcAlgorithm::Crc32Iscsi, &batch[CHECKED_FROM..]) as u32 == said
    }
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub offset: u64,
    /// When it was accepted, in milliseconds since 1970.
    pub time_ms: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

/// The records of a batch, one by one.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    base_offset: u64,
    base_ms: i64,
    left: u32,
    rest: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Reads the head and checks that it fits the bytes.
    pub fn new(bytes: &'a [u8]) -> Result<Self, CodecError> {
        let (head, rest) = bytes.split_at_checked(BATCH_HEAD_BYTES).ok_or(CodecError::Batch("it ends in its head"))?;
        let four = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let eight = |at: usize| u64::from(four(at)) << 32 | u64::from(four(at + 4));
        if four(8) as usize != bytes.len() - 12 {
            return Err(CodecError::Batch("its length is not that of its bytes"));
        }
        if head[16] != 2 || head[21..23] != [0, 0] {
            return Err(CodecError::Batch("it is not of magic 2 without compression"));
        }
        if four(57) == 0 || four(57) > four(23).saturating_add(1) {
            return Err(CodecError::Batch("it has no or too many records"));
        }
        Ok(Self { base_offset: eight(0), base_ms: eight(27) as i64, left: four(57), rest })
    }

    /// Number of records that are still to come.
    pub fn len(&self) -> u32 {
        self.left
    }

    /// The next record.
    pub fn next(&mut self) -> Result<Option<Record<'a>>, CodecError> {
        if self.left == 0 {
            return if self.rest.is_empty() { Ok(None) } else { Err(CodecError::Batch("bytes behind its records")) };
        }
        self.left -= 1;
        let len = varint(&mut self.rest)?;
        let mut record = take(&mut self.rest, len)?.ok_or(CodecError::Batch("a record without a length"))?;
        let record = &mut record;
        take(record, 1)?;
        let time_ms = self.base_ms.wrapping_add(varint(record)?);
        let delta = u64::try_from(varint(record)?).map_err(|_| CodecError::Batch("a record before its batch"))?;
        let len = varint(record)?;
        let key = take(record, len)?;
        let len = varint(record)?;
        let value = take(record, len)?;
        let headers = varint(record)?;
        for _ in 0..headers {
            let len = varint(record)?;
            take(record, len)?.ok_or(CodecError::Batch("a header without a name"))?;
            let len = varint(record)?;
            take(record, len)?;
        }
        if !record.is_empty() {
            return Err(CodecError::Batch("bytes behind a record's headers"));
        }
        Ok(Some(Record { offset: self.base_offset.wrapping_add(delta), time_ms, key, value }))
    }
}

fn take<'a>(bytes: &mut &'a [u8], len: i64) -> Result<Option<&'a [u8]>, CodecError> {
    if len == -1 {
        return Ok(None);
    }
    let len = usize::try_from(len).map_err(|_| CodecError::Batch("a negative length"))?;
    let (front, rest) = bytes.split_at_checked(len).ok_or(CodecError::Batch("it ends inside a record"))?;
    *bytes = rest;
    Ok(Some(front))
}

fn varint(bytes: &mut &[u8]) -> Result<i64, CodecError> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(CodecError::Batch("it ends inside a number"))?;
        *bytes = rest;
        n |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((n >> 1) as i64 ^ -((n & 1) as i64));
        }
    }
    Err(CodecError::Batch("a number of more than ten bytes"))
}
