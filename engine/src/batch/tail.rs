//! The last rows of a numbered batch as a batch of their own: what is left when a publisher sends again some that are kept.
//!
//! What always holds: key, value, headers and times stay as they lie; only the offset deltas count from the new first row, which
//! gives its number to the stamp. No builder: it would lose the stamp, and a null value would come out empty.

use super::records::ProducerStamp;
use super::{
    AT_ATTRIBUTES, AT_BASE_TIMESTAMP, AT_COUNT, AT_CRC, AT_LAST_DELTA, AT_LENGTH, AT_PLACE, AT_PRODUCER, Batch,
    HEADER_BYTES, Row, Span, crc32c, varint,
};

/// The rows of `batch` from number `first` on, the first of which has the number that `stamp` says.
///
/// # Panics
/// If the batch has no such row.
pub(crate) fn tail(batch: &Batch, first: usize, stamp: ProducerStamp) -> Batch {
    let (old, rows) = (batch.bytes(), &batch.rows()[first..]);
    let mut at = match first {
        0 => HEADER_BYTES,
        _ => end(&batch.rows()[first - 1]),
    };
    let mut bytes = Vec::with_capacity(HEADER_BYTES + old.len() - at);
    bytes.extend_from_slice(&old[..HEADER_BYTES]);
    let mut kept = Vec::with_capacity(rows.len());
    for (delta, row) in rows.iter().enumerate() {
        let until = end(row);
        let (times, rest) = parts(old, at);
        let length = times.len() + varint::len(delta as i64) + until - rest;
        varint::put(&mut bytes, length as i64);
        bytes.extend_from_slice(times);
        varint::put(&mut bytes, delta as i64);
        let moved = |span: Span| match span {
            Span::NULL => span,
            Span { start, len } => Span { start: (bytes.len() + start as usize - rest) as u32, len },
        };
        kept.push(Row { key: moved(row.key), value: moved(row.value), headers: moved(row.headers), ..*row });
        bytes.extend_from_slice(&old[rest..until]);
        at = until;
    }
    let count = rows.len() as u32;
    let length = (bytes.len() - AT_LENGTH - 4) as u32;
    bytes[AT_LENGTH..AT_PLACE].copy_from_slice(&length.to_be_bytes());
    bytes[AT_LAST_DELTA..AT_BASE_TIMESTAMP].copy_from_slice(&(count - 1).to_be_bytes());
    bytes[AT_PRODUCER..AT_COUNT].copy_from_slice(&stamp.to_bytes());
    bytes[AT_COUNT..HEADER_BYTES].copy_from_slice(&count.to_be_bytes());
    let crc = crc32c(&bytes[AT_ATTRIBUTES..]);
    bytes[AT_CRC..AT_ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
    let mut tail = Batch::from_parts(batch.partition(), bytes, kept);
    tail.set_base_offset(0);
    tail
}

fn end(row: &Row) -> usize {
    (row.headers.start + row.headers.len) as usize
}

/// Attributes and time of the record at `at`, and where its key's length stands.
fn parts(bytes: &[u8], mut at: usize) -> (&[u8], usize) {
    const CHECKED: &str = "a batch's records were read when it was made";
    varint::get(bytes, &mut at).expect(CHECKED);
    let times = at;
    at += 1;
    varint::get(bytes, &mut at).expect(CHECKED);
    let behind_times = at;
    varint::get(bytes, &mut at).expect(CHECKED);
    (&bytes[times..behind_times], at)
}
