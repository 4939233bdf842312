//! The client's published events until they are acknowledged, over as many connections as it takes.
//!
//! What always holds: per partition, frames are sent in order and without gap; a frame that is not acknowledged is sent again as
//! it was, or in halves when the node says that an event of it is bad; an event that was taken is acknowledged, or reported as rejected.

use std::collections::VecDeque;

use engine::batch::{Batch, BatchBuilder, HEADER_BYTES, HeaderWriter, PushError, Row, partition_of};

use super::{ClientSettings, Event};
use crate::quic::frame::{Ack, Code, Nack, Producer, PublishFrame, Welcome, write_publish_head};
use crate::quic::session::Fault;

/// First wait before a refused frame is sent again, and the longest.
const RETRY_MS_MIN: u64 = 100;
const RETRY_MS_MAX: u64 = 10_000;

/// Why an event was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The number of partitions is not known yet.
    #[error("the client was never connected: wait for the first WELCOME")]
    NotConnected,
    /// The node does not let this client publish.
    #[error("this client may not publish to the node")]
    Forbidden,
    /// Too much waits to be acknowledged.
    #[error("{bytes} bytes wait to be acknowledged: wait, and publish it again")]
    Full {
        /// What waits.
        bytes: usize,
    },
    /// The event is too large, or has too many headers.
    #[error(transparent)]
    Event(#[from] PushError),
    /// The event does not fit into a frame that the node takes.
    #[error("the event has {bytes} bytes, the node takes frames of {bytes_max}")]
    TooLargeForNode {
        /// The event's.
        bytes: usize,
        /// The node's.
        bytes_max: usize,
    },
}

/// Which event it is: settled when [`settled`](super::Client::settled) of its partition is above its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Published {
    /// Its partition.
    pub partition: u32,
    /// Counts the events of the partition, from 0 on.
    pub number: u64,
}

#[derive(Debug)]
struct Frame {
    /// Of its first event, as the node knows it.
    sequence: u64,
    /// Of its first event, as the owner knows it.
    number: u64,
    batch: Batch,
}

impl Frame {
    fn count(&self) -> u64 {
        self.batch.rows().len() as u64
    }

    fn end(&self) -> u64 {
        self.sequence + self.count()
    }

    fn bytes(&self) -> usize {
        self.batch.bytes().len()
    }

    /// Two with about half of its events each; none if it has one event.
    fn halves(&self) -> Option<[Self; 2]> {
        let rows = self.batch.rows();
        let (first, second) = rows.split_at(rows.len() / 2);
        let half = |rows: &[Row], before: u64| {
            let bytes = self.batch.bytes();
            let mut builder = BatchBuilder::new(self.batch.partition());
            for row in rows {
                let mut headers = HeaderWriter::default();
                headers.put_encoded(row.headers.of(bytes).unwrap_or_default(), row.header_count as usize);
                // All of them were in one batch already.
                builder.push(row.key.of(bytes), row.value.of(bytes).unwrap_or_default(), &headers, 0).ok()?;
            }
            Some(Self { sequence: self.sequence + before, number: self.number + before, batch: builder.seal()? })
        };
        Some([half(first, 0)?, half(second, first.len() as u64)?])
    }
}

#[derive(Debug)]
struct Partition {
    builder: BatchBuilder,
    /// Frames that are not acknowledged; the first `sent` of them were sent on this connection.
    frames: VecDeque<Frame>,
    sent: usize,
    /// Of the first event in the builder.
    next_sequence: u64,
    next_number: u64,
    retry_at_ms: u64,
    retry_ms: u64,
}

impl Partition {
    fn new(partition: u32) -> Self {
        Self {
            builder: BatchBuilder::new(partition),
            frames: VecDeque::new(),
            sent: 0,
            next_sequence: 0,
            next_number: 0,
            retry_at_ms: 0,
            retry_ms: RETRY_MS_MIN,
        }
    }

    fn seal(&mut self) -> usize {
        let Some(batch) = self.builder.seal() else { return 0 };
        let bytes = batch.bytes().len();
        let frame = Frame { sequence: self.next_sequence, number: self.next_number, batch };
        self.next_sequence += frame.count();
        self.next_number += frame.count();
        self.frames.push_back(frame);
        bytes
    }

    /// Numbers the frames from `at` on anew, the first with `sequence`.
    fn renumber(&mut self, at: usize, mut sequence: u64) {
        for frame in self.frames.iter_mut().skip(at) {
            frame.sequence = sequence;
            sequence = frame.end();
        }
        self.next_sequence = sequence;
    }
}

#[derive(Debug)]
pub(super) struct Publisher {
    id: [u8; 16],
    streams_wanted: u32,
    /// Of this connection; 0: the client may not publish, or is not connected.
    streams: u32,
    /// Which streams have sent PRODUCER.
    opened: Vec<bool>,
    partitions: Vec<Partition>,
    frame_bytes_max: usize,
    /// A builder of so many bytes is sealed.
    frame_bytes: usize,
    queue_bytes: usize,
    queue_bytes_max: usize,
    round_robin: u32,
    /// The last WELCOME allowed no publish stream.
    is_forbidden: bool,
}

impl Publisher {
    pub fn new(settings: &ClientSettings) -> Self {
        Self {
            id: settings.producer,
            streams_wanted: settings.publish_streams.max(1),
            streams: 0,
            opened: Vec::new(),
            partitions: Vec::new(),
            frame_bytes_max: 0,
            frame_bytes: settings.publish_frame_bytes,
            queue_bytes: 0,
            queue_bytes_max: settings.publish_queue_bytes_max,
            round_robin: 0,
            is_forbidden: false,
        }
    }

    pub fn streams(&self) -> u32 {
        self.streams
    }

    pub fn handle_disconnected(&mut self) {
        self.streams = 0;
        self.opened.clear();
        for partition in &mut self.partitions {
            partition.sent = 0;
            partition.retry_at_ms = 0;
        }
    }

    pub fn handle_welcome(&mut self, welcome: &Welcome<'_>) -> Result<(), Fault> {
        if self.partitions.is_empty() {
            self.partitions = (0..welcome.partitions).map(Partition::new).collect();
        } else if self.partitions.len() != welcome.partitions as usize {
            let text = format!("the log had {} partitions and has {} now", self.partitions.len(), welcome.partitions);
            return Err(Fault::protocol(text));
        }
        self.streams = self.streams_wanted.min(welcome.publish_streams_max);
        self.is_forbidden = self.streams == 0;
        self.opened = vec![false; self.streams as usize];
        self.frame_bytes_max = welcome.publish_bytes_max as usize;
        Ok(())
    }

    pub fn publish(
        &mut self,
        key: Option<&[u8]>,
        data: &[u8],
        headers: &HeaderWriter,
    ) -> Result<Published, PublishError> {
        let partitions = self.partitions.len() as u32;
        if partitions == 0 {
            return Err(PublishError::NotConnected);
        }
        if self.is_forbidden {
            return Err(PublishError::Forbidden);
        }
        if self.queue_bytes >= self.queue_bytes_max {
            return Err(PublishError::Full { bytes: self.queue_bytes });
        }
        // Around the event: its lengths, and the frame's numbers.
        let bytes = key.map_or(0, <[u8]>::len) + data.len() + headers.byte_len() + 64;
        if bytes > self.frame_bytes_max {
            return Err(PublishError::TooLargeForNode { bytes, bytes_max: self.frame_bytes_max });
        }
        let number = match key {
            Some(key) => partition_of(key, partitions),
            None => {
                // A frame of its own for each event without a key would be dear: they go where the last one went until it is sealed.
                self.round_robin %= partitions;
                self.round_robin
            }
        };
        let partition = &mut self.partitions[number as usize];
        let builder = &partition.builder;
        let is_enough = builder.is_full() || builder.byte_len() >= self.frame_bytes;
        if !builder.is_empty() && (is_enough || builder.byte_len() + bytes > self.frame_bytes_max) {
            self.queue_bytes += partition.seal();
            if key.is_none() {
                self.round_robin = self.round_robin.wrapping_add(1);
            }
        }
        let published = Published { partition: number, number: partition.next_number + partition.builder.len() as u64 };
        partition.builder.push(key, data, headers, 0)?;
        Ok(published)
    }

    pub fn flush(&mut self) {
        for partition in &mut self.partitions {
            self.queue_bytes += partition.seal();
        }
        self.round_robin = self.round_robin.wrapping_add(1);
    }

    pub fn settled(&self, partition: u32) -> u64 {
        let Some(partition) = self.partitions.get(partition as usize) else { return 0 };
        partition.frames.front().map_or(partition.next_number, |frame| frame.number)
    }

    pub fn is_all_settled(&self) -> bool {
        self.partitions.iter().all(|partition| partition.frames.is_empty() && partition.builder.is_empty())
    }

    pub fn next_due_ms(&self, now_ms: u64) -> Option<u64> {
        let waiting = self.partitions.iter().filter(|partition| partition.sent < partition.frames.len());
        waiting.map(|partition| partition.retry_at_ms).filter(|at_ms| *at_ms > now_ms && *at_ms < u64::MAX).min()
    }

    pub fn partitions(&self) -> u32 {
        self.partitions.len() as u32
    }

    pub fn published(&self, partition: u32) -> u64 {
        let Some(partition) = self.partitions.get(partition as usize) else { return 0 };
        partition.next_number + partition.builder.len() as u64
    }

    pub fn queue_bytes(&self) -> usize {
        self.queue_bytes
    }

    /// Appends what is to be sent on stream `index`.
    pub fn poll(&mut self, index: u32, now_ms: u64, out: &mut Vec<u8>, bytes_max: usize) -> bool {
        let before = out.len();
        let Some(opened) = self.opened.get_mut(index as usize) else { return false };
        for partition in self.partitions.iter_mut().skip(index as usize).step_by(self.streams as usize) {
            if partition.retry_at_ms > now_ms {
                continue;
            }
            while let Some(frame) = partition.frames.get(partition.sent) {
                if out.len() - before >= bytes_max {
                    return true;
                }
                if !std::mem::replace(opened, true) {
                    PublishFrame::Producer(Producer { publish: index, id: self.id }).write(out);
                }
                let records = &frame.batch.bytes()[HEADER_BYTES..];
                let (number, count) = (frame.batch.partition(), frame.count() as u32);
                write_publish_head(out, number, frame.sequence, count, records.len());
                out.extend_from_slice(records);
                partition.sent += 1;
            }
        }
        out.len() > before
    }

    pub fn handle_ack(&mut self, ack: &Ack<'_>) -> Result<(), Fault> {
        for entry in ack.entries.iter() {
            let Some(partition) = self.partitions.get_mut(entry.partition as usize) else {
                return Err(Fault::protocol("an ACK of a partition that does not exist"));
            };
            while partition.frames.front().is_some_and(|frame| partition.sent > 0 && frame.end() <= entry.next_sequence)
            {
                let frame = partition.frames.pop_front();
                partition.sent -= 1;
                partition.retry_ms = RETRY_MS_MIN;
                self.queue_bytes -= frame.map_or(0, |frame| frame.batch.bytes().len());
            }
        }
        Ok(())
    }

    pub fn handle_nack(&mut self, nack: &Nack<'_>, now_ms: u64) -> Result<Option<Event>, Fault> {
        let Some(partition) = self.partitions.get_mut(nack.partition as usize) else {
            return Err(Fault::protocol("a NACK of a partition that does not exist"));
        };
        let Some(at) = partition.frames.iter().take(partition.sent).position(|frame| frame.sequence == nack.sequence)
        else {
            return Err(Fault::protocol("a NACK of a frame that was not sent"));
        };
        match nack.code {
            code if !code.drops_events() => {
                let wait_ms = if code.is_of_connection() { u64::MAX } else { partition.retry_ms };
                partition.retry_at_ms = now_ms.saturating_add(wait_ms);
                partition.retry_ms = (2 * partition.retry_ms).min(RETRY_MS_MAX);
                set_back(partition, nack, at)
            }
            code => {
                let Some(frame) = partition.frames.remove(at) else { return Ok(None) };
                self.queue_bytes -= frame.bytes();
                partition.sent = at;
                // One event of many may be the cause: the others are not to share its fate.
                let is_of_one = matches!(code, Code::EVENT_INVALID | Code::EVENT_TOO_LARGE | Code::WRONG_PARTITION);
                if let Some(halves) = frame.halves().filter(|_| is_of_one) {
                    for half in halves.into_iter().rev() {
                        self.queue_bytes += half.bytes();
                        partition.frames.insert(at, half);
                    }
                    return Ok(None);
                }
                partition.renumber(at, frame.sequence);
                Ok(Some(Event::Rejected {
                    partition: nack.partition,
                    number: frame.number,
                    count: frame.count() as u32,
                    code,
                    text: nack.text.to_owned(),
                }))
            }
        }
    }
}

/// Goes on with the frame at `at`, or with the one that the node expects.
fn set_back(partition: &mut Partition, nack: &Nack<'_>, at: usize) -> Result<Option<Event>, Fault> {
    partition.sent = at;
    let expected = nack.expected.filter(|expected| nack.code == Code::OUT_OF_ORDER && *expected != nack.sequence);
    let Some(expected) = expected else { return Ok(None) };
    let first = partition.frames.front().map_or(partition.next_sequence, |frame| frame.sequence);
    if expected < first {
        // What was acknowledged is not there any more: the rest takes its place.
        partition.sent = 0;
        partition.renumber(0, expected);
        return Ok(Some(Event::Forgotten { partition: nack.partition, count: first - expected }));
    }
    match partition.frames.iter().position(|frame| frame.sequence == expected) {
        Some(found) if found < at => {
            partition.sent = found;
            Ok(None)
        }
        _ => Err(Fault::protocol("the node expects a sequence that was never sent: another client uses this producer")),
    }
}
