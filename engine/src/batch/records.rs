//! A batch from records that a publisher has encoded, and the number that it gave them.
//!
//! What always holds: the records lie where they were read to, nothing is copied; time is that of acceptance and not the
//! publisher's; the producer's stamp stands in the header fields that Kafka has for it, so it is in the log, under the checksum.

use super::decode::{Head, rows};
use super::{
    AT_ATTRIBUTES, AT_BASE_TIMESTAMP, AT_COUNT, AT_CRC, AT_LAST_DELTA, AT_LENGTH, AT_MAGIC, AT_MAX_TIMESTAMP,
    AT_PRODUCER, Batch, DecodeError, HEADER_BYTES, crc32c,
};
use crate::limits;

/// Producer numbers are below this: Kafka's field is signed, and negative means none.
pub const PRODUCER_IDS: u64 = 1 << 63;
/// Sequences are below this: 15 bits stand in Kafka's producer epoch, 31 in its base sequence.
pub const SEQUENCES: u64 = 1 << 46;

/// Who published a batch, and the number that the publisher gave to its first event; the others follow without gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProducerStamp {
    /// Below [`PRODUCER_IDS`].
    pub producer: u64,
    /// Below [`SEQUENCES`].
    pub sequence: u64,
}

impl ProducerStamp {
    pub(super) fn to_bytes(self) -> [u8; 14] {
        debug_assert!(self.producer < PRODUCER_IDS && self.sequence < SEQUENCES);
        let mut bytes = [0; 14];
        bytes[..8].copy_from_slice(&self.producer.to_be_bytes());
        bytes[8..10].copy_from_slice(&((self.sequence >> 31) as u16 & 0x7fff).to_be_bytes());
        bytes[10..].copy_from_slice(&(self.sequence as u32 & 0x7fff_ffff).to_be_bytes());
        bytes
    }
}

impl Batch {
    /// Who published it, where a publisher numbers its events.
    #[inline]
    pub fn producer(&self) -> Option<ProducerStamp> {
        let bytes = &self.bytes()[AT_PRODUCER..AT_COUNT];
        let producer = u64::from_be_bytes(bytes[..8].try_into().expect("eight bytes"));
        if producer >= PRODUCER_IDS {
            return None;
        }
        let epoch = u16::from_be_bytes(bytes[8..10].try_into().expect("two bytes"));
        let sequence = u32::from_be_bytes(bytes[10..].try_into().expect("four bytes"));
        Some(ProducerStamp { producer, sequence: u64::from(epoch) << 31 | u64::from(sequence & 0x7fff_ffff) })
    }
}

/// Makes a batch of `count` records that lie in `bytes` behind [`HEADER_BYTES`] that are free. Their timestamp deltas are 0 and
/// their offset deltas 0, 1, 2 …; `timestamp_ms` is the time of acceptance.
pub fn seal_records(
    partition: u32,
    mut bytes: Vec<u8>,
    count: u32,
    timestamp_ms: i64,
    stamp: Option<ProducerStamp>,
) -> Result<Batch, DecodeError> {
    if bytes.len() <= HEADER_BYTES || bytes.len() > limits::BATCH_BYTES_MAX {
        return Err(DecodeError::Malformed("no records, or more than a batch holds"));
    }
    if count < 1 || count as usize > limits::BATCH_ROWS_MAX || partition >= limits::PARTITIONS_MAX {
        return Err(DecodeError::Malformed("row count"));
    }
    if stamp.is_some_and(|stamp| stamp.producer >= PRODUCER_IDS || stamp.sequence > SEQUENCES - u64::from(count)) {
        return Err(DecodeError::Malformed("producer or sequence"));
    }
    let head = Head {
        partition,
        mark: 0,
        base_offset: 0,
        rows: count,
        bytes: bytes.len(),
        base_timestamp_ms: timestamp_ms,
        max_timestamp_ms: timestamp_ms,
    };
    let rows = rows(&head, &bytes)?;
    if rows.iter().any(|row| row.timestamp_ms != timestamp_ms) {
        return Err(DecodeError::Malformed("timestamp delta is not 0"));
    }
    let length = (bytes.len() - AT_LENGTH - 4) as u32;
    bytes[..HEADER_BYTES].fill(0);
    bytes[AT_LENGTH..AT_LENGTH + 4].copy_from_slice(&length.to_be_bytes());
    bytes[AT_MAGIC] = 2;
    bytes[AT_LAST_DELTA..AT_BASE_TIMESTAMP].copy_from_slice(&(count - 1).to_be_bytes());
    bytes[AT_BASE_TIMESTAMP..AT_MAX_TIMESTAMP].copy_from_slice(&timestamp_ms.to_be_bytes());
    bytes[AT_MAX_TIMESTAMP..AT_PRODUCER].copy_from_slice(&timestamp_ms.to_be_bytes());
    match stamp {
        Some(stamp) => bytes[AT_PRODUCER..AT_COUNT].copy_from_slice(&stamp.to_bytes()),
        None => bytes[AT_PRODUCER..AT_COUNT].fill(0xff),
    }
    bytes[AT_COUNT..HEADER_BYTES].copy_from_slice(&count.to_be_bytes());
    let crc = crc32c(&bytes[AT_ATTRIBUTES..]);
    bytes[AT_CRC..AT_ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
    let mut batch = Batch::from_parts(partition, bytes, rows);
    batch.set_base_offset(0);
    Ok(batch)
}
