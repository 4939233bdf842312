//! Some rows of a batch as a RecordBatch of their own, with the offsets that they had: made by copying, read back by one scan.
//!
//! What always holds: a record is copied as it lies, because its deltas count from a base offset and a base timestamp that
//! stay; so packing allocates nothing and costs a copy and a checksum of what is kept. As in a batch that Kafka compacted, the last
//! offset delta and the latest timestamp stay those of the whole batch. Foreign bytes: as in [`super::decode`].

use super::decode::{check_sparse, row};
use super::{AT_ATTRIBUTES, AT_COUNT, AT_CRC, AT_LENGTH, AT_PLACE, Batch, DecodeError, HEADER_BYTES, Row, crc32c};

/// Where the record of a row ends: its headers are its last part.
fn end(rows: &[Row], index: usize) -> usize {
    let headers = rows[index].headers;
    (headers.start + headers.len) as usize
}

fn start(rows: &[Row], index: usize) -> usize {
    if index == 0 { HEADER_BYTES } else { end(rows, index - 1) }
}

/// Calls `take` with the bytes of each run of neighbours among `wanted`, which ascend.
fn runs<'a>(batch: &'a Batch, wanted: &[u16], mut take: impl FnMut(&'a [u8])) {
    let (rows, bytes) = (batch.rows(), batch.bytes());
    for run in wanted.chunk_by(|one, next| one + 1 == *next) {
        let (first, last) = (usize::from(run[0]), usize::from(run[run.len() - 1]));
        take(&bytes[start(rows, first)..end(rows, last)]);
    }
}

/// Bytes that [`pack`] appends.
pub fn packed_bytes(batch: &Batch, wanted: &[u16]) -> usize {
    let mut bytes = HEADER_BYTES;
    runs(batch, wanted, |run| bytes += run.len());
    bytes
}

/// Appends a RecordBatch of the rows `wanted`, ascending numbers of rows that the batch has.
///
/// # Panics
/// If the batch has no such row.
pub fn pack(batch: &Batch, wanted: &[u16], out: &mut Vec<u8>) {
    let base = out.len();
    out.extend_from_slice(&batch.bytes()[..HEADER_BYTES]);
    runs(batch, wanted, |run| out.extend_from_slice(run));
    let packed = &mut out[base..];
    let length = (packed.len() - AT_LENGTH - 4) as u32;
    packed[AT_LENGTH..AT_PLACE].copy_from_slice(&length.to_be_bytes());
    // It has no place in a log: as a leader epoch, unknown.
    packed[AT_PLACE..AT_PLACE + 4].fill(0xff);
    packed[AT_COUNT..HEADER_BYTES].copy_from_slice(&(wanted.len() as u32).to_be_bytes());
    let crc = crc32c(&packed[AT_ATTRIBUTES..]);
    packed[AT_CRC..AT_ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
}

/// A batch whose offsets may have gaps, for who receives one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparseBatch {
    partition: u32,
    base_offset: u64,
    bytes: Vec<u8>,
    at: usize,
    rows: Vec<Row>,
    /// By how much each row's offset is above the base.
    deltas: Vec<u16>,
}

impl SparseBatch {
    /// Decodes the batch of `partition` that is all of `bytes` from `at` on, with or without gaps. The bytes are kept as they are.
    pub fn decode(partition: u32, bytes: Vec<u8>, at: usize) -> Result<Self, DecodeError> {
        let own = bytes.get(at..).unwrap_or_default();
        let head = check_sparse(partition, own)?;
        let last_delta =
            u32::from_be_bytes(own[super::AT_LAST_DELTA..super::AT_BASE_TIMESTAMP].try_into().expect("four bytes"));
        // A record has at least seven bytes, so a lying count cannot ask for more than the bytes could hold.
        let room = (head.rows as usize).min((head.bytes - HEADER_BYTES) / 7);
        let (mut rows, mut deltas) = (Vec::with_capacity(room), Vec::with_capacity(room));
        let (mut read, mut delta_min) = (HEADER_BYTES, 0);
        for _ in 0..head.rows {
            match row(own, &mut read, head.base_timestamp_ms) {
                Some((delta, row)) if delta >= delta_min && delta <= i64::from(last_delta) => {
                    rows.push(row);
                    deltas.push(delta as u16);
                    delta_min = delta + 1;
                }
                _ => return Err(DecodeError::Malformed("record")),
            }
        }
        if read != head.bytes || head.bytes != own.len() {
            return Err(DecodeError::Malformed("bytes behind the last record"));
        }
        Ok(Self { partition, base_offset: head.base_offset, bytes, at, rows, deltas })
    }

    /// Number of its events.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Never: a batch has at least one event.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The bytes that the rows' spans count in.
    pub(crate) fn own_bytes(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// Its partition, and its rows with their offsets.
    pub(crate) fn places(&self) -> (u32, impl ExactSizeIterator<Item = (&Row, u64)>) {
        let rows = self.rows.iter().zip(&self.deltas);
        (self.partition, rows.map(|(row, delta)| (row, self.base_offset + u64::from(*delta))))
    }
}
