//! Data streams: their header, and BATCH, POSITION and LOST.

use super::fields::Reader;
use super::{FrameError, kind, put, unknown, varint};

/// The first frame of a data stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataHeader {
    /// The client's number of the subscription.
    pub subscription: u32,
    /// Which of its groups.
    pub group: u32,
}

/// How the events of a BATCH lie in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding<'a> {
    /// The batch as stored; all of its events are meant.
    Whole,
    /// The batch as stored; the events are meant whose bit is set. Bit `i % 8` of byte `i / 8` is event `i`.
    Masked(&'a [u8]),
    /// A batch of those events alone: offsets have gaps.
    Packed,
}

/// All bits of SUBSCRIBE's encodings: 1 whole, 2 masked, 4 packed.
pub const ENCODINGS_ALL: u64 = 0b111;

impl Encoding<'_> {
    /// Its number.
    pub fn number(&self) -> u64 {
        match self {
            Self::Whole => 0,
            Self::Masked(_) => 1,
            Self::Packed => 2,
        }
    }
}

/// Events of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchFrame<'a> {
    /// The partition.
    pub partition: u32,
    /// Where it goes on behind this frame: all before is settled.
    pub next_offset: u64,
    /// How the events lie in `records`.
    pub encoding: Encoding<'a>,
    /// A RecordBatch v2.
    pub records: &'a [u8],
}

/// Nothing more is wanted before an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The partition.
    pub partition: u32,
    /// Where it goes on.
    pub next_offset: u64,
}

/// Events that nobody can have any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The partition.
    pub partition: u32,
    /// The first of them.
    pub from: u64,
    /// The offset behind the last: where it goes on.
    pub to: u64,
}

/// A frame of a data stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataFrame<'a> {
    /// DATA
    Header(DataHeader),
    /// BATCH
    Batch(BatchFrame<'a>),
    /// POSITION
    Position(Position),
    /// LOST
    Lost(Lost),
}

impl<'a> DataFrame<'a> {
    /// Reads the body of a frame of type `kind`; `None` for one that is to be skipped.
    pub fn decode(kind: u64, body: &'a [u8]) -> Result<Option<Self>, FrameError> {
        let mut reader = Reader::new(kind, body);
        let frame = match kind {
            kind::BATCH => {
                let (partition, next_offset) = (reader.partition()?, reader.varint()?);
                let encoding = match reader.varint()? {
                    0 => Encoding::Whole,
                    1 => Encoding::Masked(reader.bytes(engine::limits::BATCH_ROWS_MAX / 8)?),
                    2 => Encoding::Packed,
                    _ => return reader.fail("the encoding is none that was asked for"),
                };
                return Ok(Some(Self::Batch(BatchFrame { partition, next_offset, encoding, records: reader.rest() })));
            }
            kind::DATA => Self::Header(DataHeader { subscription: reader.int()?, group: reader.int()? }),
            kind::POSITION => {
                Self::Position(Position { partition: reader.partition()?, next_offset: reader.varint()? })
            }
            kind::LOST => {
                let lost = Lost { partition: reader.partition()?, from: reader.varint()?, to: reader.varint()? };
                if lost.from >= lost.to {
                    return reader.fail("nothing is lost");
                }
                Self::Lost(lost)
            }
            _ => return unknown(kind),
        };
        while reader.field(&[])?.is_some() {}
        Ok(Some(frame))
    }

    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Header(DataHeader { subscription, group }) => put(out, kind::DATA, |out| {
                varint::put(out, u64::from(*subscription));
                varint::put(out, u64::from(*group));
            }),
            Self::Batch(BatchFrame { partition, next_offset, encoding, records }) => {
                write_batch_head(out, *partition, *next_offset, *encoding, records.len());
                out.extend_from_slice(records);
            }
            Self::Position(Position { partition, next_offset }) => put(out, kind::POSITION, |out| {
                varint::put(out, u64::from(*partition));
                varint::put(out, *next_offset);
            }),
            Self::Lost(Lost { partition, from, to }) => put(out, kind::LOST, |out| {
                varint::put(out, u64::from(*partition));
                varint::put(out, *from);
                varint::put(out, *to);
            }),
        }
    }
}

/// Appends a BATCH up to its records, which the caller appends: `records_bytes` bytes. Returns the bytes of the whole body.
#[inline]
pub fn write_batch_head(
    out: &mut Vec<u8>,
    partition: u32,
    next_offset: u64,
    encoding: Encoding<'_>,
    records_bytes: usize,
) -> usize {
    let mask = match encoding {
        Encoding::Masked(mask) => mask,
        Encoding::Whole | Encoding::Packed => &[],
    };
    let mask_bytes = if encoding.number() == 1 { varint::len(mask.len() as u64) + mask.len() } else { 0 };
    let numbers = [u64::from(partition), next_offset, encoding.number()];
    let body = numbers.iter().map(|number| varint::len(*number)).sum::<usize>() + mask_bytes + records_bytes;
    varint::put(out, kind::BATCH);
    varint::put(out, body as u64);
    numbers.iter().for_each(|number| varint::put(out, *number));
    if encoding.number() == 1 {
        varint::put(out, mask.len() as u64);
        out.extend_from_slice(mask);
    }
    body
}
