//! Publishing: PRODUCER and PUBLISH on a publish stream, ACK and NACK on the control stream.

use super::fields::{Reader, put_bytes, put_number, put_text};
use super::subscribe::{ADVICE, TEXT};
use super::{Acks, Code, FrameError, Head, bounds, kind, put, unknown, varint};

/// The first frame of a publish stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// The client's number for this stream: above all that it used before on this connection.
    pub publish: u32,
    /// Chosen at random by the client, kept over reconnects.
    pub id: [u8; 16],
}

/// Some events of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The partition.
    pub partition: u32,
    /// Number of the first event among those of its producer and partition.
    pub sequence: u64,
    /// Number of events.
    pub count: u32,
    /// The events, as the records of a RecordBatch v2 without its header.
    pub records: &'a [u8],
}

/// A frame of a publish stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishFrame<'a> {
    /// PRODUCER
    Producer(Producer),
    /// PUBLISH
    Publish(Publish<'a>),
}

impl<'a> PublishFrame<'a> {
    /// Reads the body of a frame of type `kind`; `None` for one that is to be skipped.
    pub fn decode(kind: u64, body: &'a [u8]) -> Result<Option<Self>, FrameError> {
        let mut reader = Reader::new(kind, body);
        Ok(Some(match kind {
            kind::PRODUCER => {
                let publish = reader.int()?;
                let id = reader.take(16)?;
                while reader.field(&[])?.is_some() {}
                let mut producer = Producer { publish, id: [0; 16] };
                producer.id.copy_from_slice(id);
                Self::Producer(producer)
            }
            kind::PUBLISH => {
                let (partition, sequence, count) = numbers(&mut reader)?;
                Self::Publish(Publish { partition, sequence, count, records: reader.rest() })
            }
            _ => return unknown(kind),
        }))
    }

    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Producer(Producer { publish, id }) => put(out, kind::PRODUCER, |out| {
                varint::put(out, u64::from(*publish));
                out.extend_from_slice(id);
            }),
            Self::Publish(Publish { partition, sequence, count, records }) => {
                write_publish_head(out, *partition, *sequence, *count, records.len());
                out.extend_from_slice(records);
            }
        }
    }
}

#[inline]
fn numbers(reader: &mut Reader<'_>) -> Result<(u32, u64, u32), FrameError> {
    let (partition, sequence) = (reader.partition()?, reader.sequence()?);
    let count = reader.varint()?;
    if count == 0 || count > engine::limits::BATCH_ROWS_MAX as u64 {
        return reader.fail("the number of events is not 1 to 16384");
    }
    if sequence + count > bounds::SEQUENCES {
        return reader.fail("a sequence is not below 2^46");
    }
    Ok((partition, sequence, count as u32))
}

/// What stands before the records of a PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishHead {
    /// The partition.
    pub partition: u32,
    /// Sequence of the first event.
    pub sequence: u64,
    /// Number of events.
    pub count: u32,
    /// Bytes of this all, type and length included.
    pub head_bytes: usize,
    /// Bytes of the records that follow.
    pub records_bytes: usize,
}

/// Reads what stands before the records, so that they can be read to where they are to lie; `None` if more bytes are needed.
/// `head` is that of a PUBLISH, read from the same `bytes`.
#[inline]
pub fn publish_head(bytes: &[u8], head: &Head) -> Result<Option<PublishHead>, FrameError> {
    let body = bytes.get(head.head_bytes..).unwrap_or_default();
    let is_cut = body.len() < head.body_bytes;
    let body = &body[..body.len().min(head.body_bytes)];
    let mut reader = Reader::new(kind::PUBLISH, body);
    let numbers_end = (0..3).try_fold(0, |at, _| Some(at + varint::get(&body[at..])?.1));
    if numbers_end.is_none() && is_cut {
        return Ok(None);
    }
    let (partition, sequence, count) = numbers(&mut reader)?;
    let numbers_bytes = body.len() - reader.rest().len();
    Ok(Some(PublishHead {
        partition,
        sequence,
        count,
        head_bytes: head.head_bytes + numbers_bytes,
        records_bytes: head.body_bytes - numbers_bytes,
    }))
}

/// Appends a PUBLISH up to its records, which the caller appends: `records_bytes` bytes.
pub fn write_publish_head(out: &mut Vec<u8>, partition: u32, sequence: u64, count: u32, records_bytes: usize) {
    let numbers = [u64::from(partition), sequence, u64::from(count)];
    varint::put(out, kind::PUBLISH);
    varint::put(out, (numbers.iter().map(|number| varint::len(*number)).sum::<usize>() + records_bytes) as u64);
    numbers.iter().for_each(|number| varint::put(out, *number));
}

/// Published events are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The client's number of the publish stream.
    pub publish: u32,
    /// Per partition up to where.
    pub entries: Acks<'a>,
}

/// Published events are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nack<'a> {
    /// The client's number of the publish stream.
    pub publish: u32,
    /// The partition.
    pub partition: u32,
    /// Nothing of the partition from this sequence on is kept.
    pub sequence: u64,
    /// Why.
    pub code: Code,
    /// Why, for people.
    pub text: &'a str,
    /// What to do.
    pub advice: &'a str,
    /// The sequence that the node goes on with, where it is another one.
    pub expected: Option<u64>,
}

const EXPECTED: u64 = 3;

impl<'a> Ack<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(kind::ACK, body);
        let publish = reader.int()?;
        let entries = Acks::of(kind::ACK, reader.bytes(bounds::CONTROL_BODY_BYTES_MAX)?)?;
        while reader.field(&[])?.is_some() {}
        Ok(Self { publish, entries })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put(out, kind::ACK, |out| {
            varint::put(out, u64::from(self.publish));
            put_bytes(out, self.entries.raw());
        });
    }
}

impl<'a> Nack<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(kind::NACK, body);
        let (publish, partition, sequence) = (reader.int()?, reader.partition()?, reader.sequence()?);
        let code = Code(reader.varint()?);
        let mut this = Self { publish, partition, sequence, code, text: "", advice: "", expected: None };
        while let Some(mut field) = reader.field(&[])? {
            match field.tag {
                TEXT => this.text = field.value.all_text(bounds::TEXT_BYTES_MAX)?,
                ADVICE => this.advice = field.value.all_text(bounds::TEXT_BYTES_MAX)?,
                EXPECTED => this.expected = Some(field.value.only_varint()?),
                _ => {}
            }
        }
        Ok(this)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put(out, kind::NACK, |out| {
            varint::put(out, u64::from(self.publish));
            varint::put(out, u64::from(self.partition));
            varint::put(out, self.sequence);
            varint::put(out, self.code.0);
            put_text(out, TEXT, self.text);
            put_text(out, ADVICE, self.advice);
            put_number(out, EXPECTED, self.expected);
        });
    }
}
