//! Fills one batch row by row. Copies every payload once, from the read buffer into its final place; says `Full`, never grows
//! past [`limits::BATCH_BYTES_MAX`], and can take the last row back while it is being written.

use std::ops::Range;

use super::{
    AT_ATTRIBUTES, AT_BASE_TIMESTAMP, AT_COUNT, AT_CRC, AT_LAST_DELTA, AT_LENGTH, AT_MAGIC, AT_MAX_TIMESTAMP,
    AT_PRODUCER, Batch, HEADER_BYTES, Row, Span, varint,
};
use crate::limits;

/// Why a row was not taken. The builder is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The batch has reached its size: seal it and push the row into the next one.
    #[error("the batch is full")]
    Full,
    /// The event can never fit: its parts are larger than [`limits::EVENT_BYTES_MAX`].
    #[error("the event has {bytes} bytes, more than {}", limits::EVENT_BYTES_MAX)]
    TooLarge {
        /// Size of key, value and headers together.
        bytes: usize,
    },
    /// More than [`limits::EVENT_HEADERS_MAX`] headers.
    #[error("the event has more than {} attributes and properties", limits::EVENT_HEADERS_MAX)]
    TooManyHeaders,
}

/// Encoded headers of one event, filled before the row is pushed so that their length is known. Reused from row to row.
#[derive(Debug, Default)]
pub struct HeaderWriter {
    bytes: Vec<u8>,
    count: usize,
}

impl HeaderWriter {
    /// Forgets all headers and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// Appends a header; `None` is Kafka's null value. The caller keeps names unique.
    pub fn put(&mut self, name: &str, value: Option<&[u8]>) {
        self.put_parts(&[name], value);
    }

    /// As [`put`](Self::put), with the name given in pieces so that a prefix needs no joined string.
    pub fn put_parts(&mut self, name: &[&str], value: Option<&[u8]>) {
        varint::put(&mut self.bytes, name.iter().map(|part| part.len() as i64).sum());
        for part in name {
            self.bytes.extend_from_slice(part.as_bytes());
        }
        match value {
            Some(value) => {
                varint::put(&mut self.bytes, value.len() as i64);
                self.bytes.extend_from_slice(value);
            }
            None => varint::put(&mut self.bytes, -1),
        }
        self.count += 1;
    }

    /// Appends `count` headers as they are [`encoded`](Self::encoded).
    #[inline]
    pub fn put_encoded(&mut self, encoded: &[u8], count: usize) {
        self.bytes.extend_from_slice(encoded);
        self.count += count;
    }

    /// As [`put_encoded`](Self::put_encoded), where the last of the headers lacks its value and ends with its name, and then
    /// that value: for headers that are the same from event to event but for one value.
    #[inline]
    pub fn put_encoded_and_value(&mut self, encoded: &[u8], count: usize, value: &[u8]) {
        self.bytes.reserve(encoded.len() + value.len() + 5);
        self.bytes.extend_from_slice(encoded);
        varint::put(&mut self.bytes, value.len() as i64);
        self.bytes.extend_from_slice(value);
        self.count += count;
    }

    /// All headers so far, to be put again with [`put_encoded`](Self::put_encoded).
    pub fn encoded(&self) -> &[u8] {
        &self.bytes
    }

    /// The name of a header as it is encoded, without a value.
    pub fn encoded_name(name: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(name.len() + 2);
        varint::put(&mut bytes, name.len() as i64);
        bytes.extend_from_slice(name.as_bytes());
        bytes
    }

    /// The value of the first header of that name, if it has one.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.find(name)?;
        self.bytes.get(value?)
    }

    /// Takes the first header of that name out; `false` if there is none.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some((whole, _)) = self.find(name) else { return false };
        self.bytes.drain(whole);
        self.count -= 1;
        true
    }

    /// Where the first header of that name lies, and where its value.
    fn find(&self, name: &str) -> Option<(Range<usize>, Option<Range<usize>>)> {
        let mut at = 0;
        while at < self.bytes.len() {
            let start = at;
            let len = usize::try_from(varint::get(&self.bytes, &mut at)?).ok()?;
            let is_it = self.bytes.get(at..at + len)? == name.as_bytes();
            at += len;
            let value = usize::try_from(varint::get(&self.bytes, &mut at)?).ok().map(|len| at..at + len);
            at = value.as_ref().map_or(at, |value| value.end);
            if is_it {
                return Some((start..at, value));
            }
        }
        None
    }

    /// Number of headers so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Encoded size so far.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Builds the batch of one partition. See [`Batch`] for the layout.
#[derive(Debug)]
pub struct BatchBuilder {
    partition: u32,
    bytes: Vec<u8>,
    rows: Vec<Row>,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
    /// Size of the batch before, in bytes and rows: the next one is likely to have about as much, and memory that grows by doubling is
    /// copied and comes from other pages each time.
    last_bytes: usize,
    last_rows: usize,
}

impl BatchBuilder {
    /// An empty builder; memory is taken with the first row.
    pub fn new(partition: u32) -> Self {
        Self {
            partition,
            bytes: Vec::new(),
            rows: Vec::new(),
            base_timestamp_ms: 0,
            max_timestamp_ms: 0,
            last_bytes: 0,
            last_rows: 0,
        }
    }

    /// The partition given at the start.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// No row yet.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes so far.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The batch has its size and wants to be sealed.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= limits::BATCH_BYTES_SEAL || self.rows.len() >= limits::BATCH_ROWS_MAX
    }

    /// Appends one event. `key` is the partition key, `timestamp_ms` the time of acceptance.
    pub fn push(
        &mut self,
        key: Option<&[u8]>,
        value: &[u8],
        headers: &HeaderWriter,
        timestamp_ms: i64,
    ) -> Result<(), PushError> {
        let key_len = key.map_or(0, <[u8]>::len);
        let payload = key_len + value.len() + headers.bytes.len();
        if payload > limits::EVENT_BYTES_MAX {
            return Err(PushError::TooLarge { bytes: payload });
        }
        if headers.count > limits::EVENT_HEADERS_MAX {
            return Err(PushError::TooManyHeaders);
        }
        if self.is_full() {
            return Err(PushError::Full);
        }
        if self.rows.is_empty() {
            self.base_timestamp_ms = timestamp_ms;
            self.max_timestamp_ms = timestamp_ms;
            self.bytes.reserve((HEADER_BYTES + payload + 64).max(self.last_bytes + self.last_bytes / 8));
            self.rows.reserve(self.last_rows + self.last_rows / 8);
            self.bytes.resize(HEADER_BYTES, 0);
        }
        self.max_timestamp_ms = self.max_timestamp_ms.max(timestamp_ms);
        let timestamp_delta = timestamp_ms - self.base_timestamp_ms;
        let offset_delta = self.rows.len() as i64;
        let key_code = key.map_or(-1, |key| key.len() as i64);
        let length = 1
            + varint::len(timestamp_delta)
            + varint::len(offset_delta)
            + varint::len(key_code)
            + varint::len(value.len() as i64)
            + varint::len(headers.count as i64)
            + payload;
        let out = &mut self.bytes;
        varint::put(out, length as i64);
        let record_at = out.len();
        out.push(0);
        varint::put(out, timestamp_delta);
        varint::put(out, offset_delta);
        varint::put(out, key_code);
        let key_span = match key {
            Some(key) => append(out, key),
            None => Span::NULL,
        };
        varint::put(out, value.len() as i64);
        let value_span = append(out, value);
        varint::put(out, headers.count as i64);
        let headers_span = append(out, &headers.bytes);
        debug_assert_eq!(out.len() - record_at, length);
        self.rows.push(Row {
            key: key_span,
            value: value_span,
            headers: headers_span,
            header_count: headers.count as u32,
            timestamp_ms,
        });
        Ok(())
    }

    /// Writes the batch header and its checksum and leaves the builder empty. `None` if there is no row.
    pub fn seal(&mut self) -> Option<Batch> {
        if self.rows.is_empty() {
            return None;
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        let mut rows = std::mem::take(&mut self.rows);
        (self.last_bytes, self.last_rows) = (bytes.len(), rows.len());
        // A batch is kept for a while: one that stayed small must not hold what a large one would need.
        if bytes.capacity() / 2 > bytes.len() {
            bytes.shrink_to_fit();
            rows.shrink_to_fit();
        }
        let length = (bytes.len() - AT_LENGTH - 4) as i32;
        bytes[AT_LENGTH..AT_LENGTH + 4].copy_from_slice(&length.to_be_bytes());
        bytes[AT_MAGIC] = 2;
        bytes[AT_LAST_DELTA..AT_BASE_TIMESTAMP].copy_from_slice(&(rows.len() as i32 - 1).to_be_bytes());
        bytes[AT_BASE_TIMESTAMP..AT_MAX_TIMESTAMP].copy_from_slice(&self.base_timestamp_ms.to_be_bytes());
        bytes[AT_MAX_TIMESTAMP..AT_PRODUCER].copy_from_slice(&self.max_timestamp_ms.to_be_bytes());
        // No idempotent producer: id -1, epoch -1, sequence -1.
        bytes[AT_PRODUCER..AT_COUNT].fill(0xff);
        bytes[AT_COUNT..HEADER_BYTES].copy_from_slice(&(rows.len() as i32).to_be_bytes());
        let crc = crc32c(&bytes[AT_ATTRIBUTES..]);
        bytes[AT_CRC..AT_ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
        let mut batch = Batch::from_parts(self.partition, bytes, rows);
        batch.set_base_offset(0);
        Some(batch)
    }
}

#[inline]
fn append(out: &mut Vec<u8>, part: &[u8]) -> Span {
    let start = out.len() as u32;
    out.extend_from_slice(part);
    Span { start, len: part.len() as u32 }
}

/// CRC-32C (Castagnoli), as Kafka uses it.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}
