//! The batch: some events of one partition as the bytes of a Kafka RecordBatch v2, and an index of rows beside them.
//!
//! Layout: Kafka protocol guide, "Record Batch" (magic 2). The checksum (CRC-32C) covers everything from `attributes` on,
//! so the owner of a partition sets the base offset ([`Batch::set_base_offset`]) without touching it.
//! What always holds: the rows of a batch are in offset order, `rows[i]` has offset `base + i`, every span lies inside
//! the bytes, and a decoded batch has passed its checksum and every bound in [`crate::limits`].

mod builder;
mod decode;
mod partition;
mod records;
mod sparse;
mod tail;
mod varint;

#[cfg(test)]
mod tests;

pub use builder::{BatchBuilder, HeaderWriter, PushError, crc32c};
pub use decode::{DecodeError, Head, batch_bytes_hint, check_stored, decode, decode_stored, decode_whole};
pub use partition::{murmur2, partition_of};
pub use records::{PRODUCER_IDS, ProducerStamp, SEQUENCES, seal_records};
pub use sparse::{SparseBatch, pack, packed_bytes};
pub(crate) use tail::tail;
pub(crate) use varint::get as read_varint;

/// Bytes of a RecordBatch before its first record.
pub const HEADER_BYTES: usize = 61;
/// Position of `batchLength`; the length counts what follows it.
pub(crate) const AT_LENGTH: usize = 8;
/// Position of `partitionLeaderEpoch`, where we keep the batch's place ([`place_field`]): one segment holds the batches of several
/// partitions, a record batch does not say which is its own, and the checksum leaves this field to whoever stores the batch.
pub(crate) const AT_PLACE: usize = 12;
pub(crate) const AT_MAGIC: usize = 16;
pub(crate) const AT_CRC: usize = 17;
pub(crate) const AT_ATTRIBUTES: usize = 21;
pub(crate) const AT_LAST_DELTA: usize = 23;
pub(crate) const AT_BASE_TIMESTAMP: usize = 27;
pub(crate) const AT_MAX_TIMESTAMP: usize = 35;
pub(crate) const AT_PRODUCER: usize = 43;
pub(crate) const AT_COUNT: usize = 57;

/// Bits of the place field that name the partition, and above them the mark of the group.
const PARTITION_BITS: u32 = 10;
const MARK_BITS: u32 = 2;
/// Bits of the place field that can be used: a leader epoch is not negative.
const PLACE_MASK: u32 = 0x7fff_ffff;
const _: () = assert!(crate::limits::PARTITIONS_MAX <= 1 << PARTITION_BITS);

/// A batch's place in its group commit: whether it is the first, and whether the group's number is odd.
pub fn group_mark(number: u64, is_first: bool) -> u8 {
    (number as u8 & 1) << 1 | u8::from(is_first)
}

/// What a stored batch has in `partitionLeaderEpoch`: the partition in the low ten bits, its [`group_mark`] in
/// the next two, and above them 19 bits of a checksum over base offset, both, and the batch's own checksum. So a batch
/// whose offset was changed, or that the disk put where another belongs, is told from the right one, and recovery knows which
/// batches were to be synced together.
pub(crate) fn place_field(partition: u32, mark: u8, base_offset: u64, crc: [u8; 4]) -> u32 {
    let low = (u32::from(mark) % (1 << MARK_BITS)) << PARTITION_BITS | partition;
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    bytes[8..12].copy_from_slice(&low.to_be_bytes());
    bytes[12..].copy_from_slice(&crc);
    ((crc32c(&bytes) << (PARTITION_BITS + MARK_BITS)) & PLACE_MASK) | low
}

/// The partition and the mark that a place field names.
pub(crate) fn split_place(place: u32) -> (u32, u8) {
    (place & ((1 << PARTITION_BITS) - 1), (place >> PARTITION_BITS) as u8 & ((1 << MARK_BITS) - 1))
}

/// A piece of a batch's bytes. `len == u32::MAX` says null (Kafka tells a null key or value from an empty one).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte, counted from the start of the batch.
    pub start: u32,
    /// Number of bytes, or `u32::MAX` for null.
    pub len: u32,
}

impl Span {
    /// The null span.
    pub const NULL: Self = Self { start: 0, len: u32::MAX };

    /// The bytes, or `None` for null.
    #[inline]
    pub fn of<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        (self.len != u32::MAX).then(|| &bytes[self.start as usize..(self.start + self.len) as usize])
    }
}

/// Where one event lies in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Partition key; null when the event has none.
    pub key: Span,
    /// The event's data.
    pub value: Span,
    /// All headers as encoded (without their count).
    pub headers: Span,
    /// Number of headers.
    pub header_count: u32,
    /// Milliseconds since the Unix epoch at which the event was accepted.
    pub timestamp_ms: i64,
}

/// A sealed batch. Its bytes never change any more but for the base offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    partition: u32,
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

impl Batch {
    pub(crate) fn from_parts(partition: u32, bytes: Vec<u8>, rows: Vec<Row>) -> Self {
        debug_assert!(!rows.is_empty());
        Self { partition, bytes, rows }
    }

    /// Rows over bytes that hold no RecordBatch, for who reads and matches events in memory: a batch of partition 0 that is never stored
    /// or sent. The first [`HEADER_BYTES`] are the place of its offset; every span lies behind them.
    ///
    /// # Panics
    /// If there is no row, or no room for the header.
    pub fn in_memory(bytes: Vec<u8>, rows: Vec<Row>) -> Self {
        assert!(!rows.is_empty() && bytes.len() >= HEADER_BYTES, "a batch has a header and a row");
        Self { partition: 0, bytes, rows }
    }

    /// The memory of the batch, to be used again.
    pub fn into_parts(self) -> (Vec<u8>, Vec<Row>) {
        (self.bytes, self.rows)
    }

    /// The partition all of its events belong to.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// The RecordBatch as it is stored and sent, but for one that is [only in memory](Self::in_memory).
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// One entry per event, in offset order; never empty.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Offset of the first event.
    pub fn base_offset(&self) -> u64 {
        u64::from_be_bytes(self.bytes[..8].try_into().expect("a batch is longer than its header"))
    }

    /// Offset of the last event.
    pub fn last_offset(&self) -> u64 {
        self.base_offset() + self.rows.len() as u64 - 1
    }

    /// Gives the batch its place in the partition and the mark of the group that it is committed with ([`group_mark`]). The
    /// batch's checksum does not cover these bytes; the place field has one of its own.
    pub fn set_place(&mut self, offset: u64, mark: u8) {
        self.bytes[..8].copy_from_slice(&offset.to_be_bytes());
        let crc = self.bytes[AT_CRC..AT_ATTRIBUTES].try_into().expect("four bytes");
        let place = place_field(self.partition, mark, offset, crc);
        self.bytes[AT_PLACE..AT_MAGIC].copy_from_slice(&place.to_be_bytes());
    }

    /// As [`set_place`](Self::set_place) in a group of its own.
    pub fn set_base_offset(&mut self, offset: u64) {
        self.set_place(offset, group_mark(0, true));
    }

    /// The latest time of acceptance among its events, in milliseconds since the Unix epoch.
    pub fn max_timestamp_ms(&self) -> i64 {
        i64::from_be_bytes(self.bytes[AT_MAX_TIMESTAMP..AT_PRODUCER].try_into().expect("eight bytes"))
    }
}
