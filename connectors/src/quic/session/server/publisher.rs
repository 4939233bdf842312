//! A publish stream: its bytes become batches where they are to lie, its sequences are held to, its outcomes become ACKs and NACKs.
//!
//! What always holds: records are copied once, behind room for the batch's header; per partition sequences go on without gap, and after
//! a NACK nothing is taken until the sequence that it names comes; an ACK covers outcomes in order. What comes again goes to the log
//! again, which knows that it has it, and is acknowledged again.

use std::collections::HashMap;

use engine::batch::{Batch, HEADER_BYTES, ProducerStamp, seal_records};

use super::{Append, Kept, PublishTicket, Rejected, check, cut_text};
use crate::quic::frame::{
    self, AckEntry, Acks, Code, Control, FrameError, Head, PublishFrame, PublishHead, bounds, head, kind, publish_head,
};
use crate::quic::session::{Fault, body, producer_number};

/// Memory that is taken for records before they have come.
const AHEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes of entries in one ACK: far below the bound of a control frame.
const ACK_BYTES_MAX: usize = 16 * 1024;

/// What a publisher must know of its connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub principal: &'a str,
    pub partitions: u32,
    pub publish_bytes_max: usize,
    pub event_bytes_max: usize,
    /// The node ends the connection.
    pub going: Option<Code>,
}

/// Where the stream is.
#[derive(Debug)]
enum At {
    /// Between frames, or in the numbers before the body.
    Head,
    /// In the records of a PUBLISH, which came in this round of its partition: so many bytes are missing.
    Records(PublishHead, u32, Vec<u8>, usize),
    /// In a frame that is skipped, or of a partition that waits to be set back.
    Skipped(usize),
}

/// The events of one partition.
#[derive(Debug, Default)]
struct Partition {
    /// The sequence that must come next.
    next: u64,
    /// Behind a NACK: what comes is dropped until `next` does.
    is_set_back: bool,
    /// Counts the batches that the log refused, so that outcomes of what followed one are told from those of what was sent again.
    round: u32,
    acked: u64,
    end_offset: u64,
    /// Something is to be acknowledged.
    is_due: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Publisher {
    /// QUIC's number of the stream.
    pub stream: u64,
    /// The client's number, and the producer's in the log, once PRODUCER has come.
    opened: Option<(u32, u64)>,
    head: Vec<u8>,
    at: At,
    partitions: HashMap<u32, Partition>,
    due: Vec<u32>,
    in_flight: usize,
    has_ended: bool,
}

/// What a stream's bytes amount to.
pub(super) enum Event {
    /// The stream says who it is.
    Opened(u32),
    Append(Append),
}

impl Publisher {
    pub fn new(stream: u64) -> Self {
        Self {
            stream,
            opened: None,
            head: Vec::new(),
            at: At::Head,
            partitions: HashMap::new(),
            due: Vec::new(),
            in_flight: 0,
            has_ended: false,
        }
    }

    /// The client's number of the stream.
    pub fn number(&self) -> Option<u32> {
        self.opened.map(|(number, _)| number)
    }

    /// Takes bytes from the front of `input` up to something that has to be done; refusals are written to `out`.
    pub fn take(
        &mut self,
        input: &mut &[u8],
        now_ms: i64,
        rules: &Rules<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event>, Fault> {
        while !input.is_empty() {
            match &mut self.at {
                At::Head => {
                    if let Some(number) = self.take_head(input, rules, out)? {
                        return Ok(Some(Event::Opened(number)));
                    }
                }
                At::Skipped(missing) => {
                    let count = input.len().min(*missing);
                    *missing -= count;
                    *input = &input[count..];
                    if *missing == 0 {
                        self.at = At::Head;
                    }
                }
                At::Records(_, _, bytes, missing) => {
                    let (part, rest) = input.split_at(input.len().min(*missing));
                    bytes.extend_from_slice(part);
                    *missing -= part.len();
                    *input = rest;
                    if *missing > 0 {
                        continue;
                    }
                    let At::Records(head, round, bytes, _) = std::mem::replace(&mut self.at, At::Head) else {
                        continue;
                    };
                    if let Some(append) = self.finish(&head, round, bytes, now_ms, rules, out) {
                        return Ok(Some(Event::Append(append)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Reads on in what stands before a body; the number if it was a PRODUCER.
    fn take_head(&mut self, input: &mut &[u8], rules: &Rules<'_>, out: &mut Vec<u8>) -> Result<Option<u32>, Fault> {
        let before = self.head.len();
        let room_max =
            if self.opened.is_some() { bounds::PUBLISH_HEAD_BYTES_MAX } else { bounds::STREAM_BODY_BYTES_MAX };
        let room = room_max - before;
        let all = *input;
        self.head.extend_from_slice(&all[..all.len().min(room)]);
        *input = &[];
        let bytes_max = if self.opened.is_some() { rules.publish_bytes_max } else { bounds::STREAM_BODY_BYTES_MAX };
        let Some(found) = head(&self.head, bytes_max)? else { return Ok(None) };
        if found.kind == kind::PUBLISH {
            if self.opened.is_none() {
                return Err(Fault::protocol("a publish stream begins without PRODUCER"));
            }
            if let Some(publish) = publish_head(&self.head, &found)? {
                *input = &all[publish.head_bytes - before..];
                self.head.clear();
                self.begin(publish, rules, out);
            }
            return Ok(None);
        }
        if found.kind.is_multiple_of(2) {
            *input = &all[found.head_bytes - before..];
            self.head.clear();
            self.at = if found.body_bytes > 0 { At::Skipped(found.body_bytes) } else { At::Head };
            return Ok(None);
        }
        self.take_producer(&found, before, all, input, rules)
    }

    fn take_producer<'a>(
        &mut self,
        found: &Head,
        before: usize,
        all: &'a [u8],
        input: &mut &'a [u8],
        rules: &Rules<'_>,
    ) -> Result<Option<u32>, Fault> {
        if self.opened.is_some() {
            return Err(match found.kind {
                kind::PRODUCER => Fault::protocol("a second PRODUCER on a publish stream"),
                kind if kind::is_known(kind) => Fault::protocol("a frame that does not belong on a publish stream"),
                kind => FrameError::Unknown { kind }.into(),
            });
        }
        if found.body_bytes > bounds::STREAM_BODY_BYTES_MAX - found.head_bytes {
            let (bytes, bytes_max) = (found.body_bytes as u64, bounds::STREAM_BODY_BYTES_MAX as u64);
            return Err(FrameError::TooLarge { kind: found.kind, bytes, bytes_max }.into());
        }
        let Some(body) = self.head.get(found.head_bytes..found.total()) else { return Ok(None) };
        let Some(PublishFrame::Producer(producer)) = PublishFrame::decode(found.kind, body)? else {
            return Err(Fault::protocol("a frame that does not belong on a publish stream"));
        };
        self.opened = Some((producer.publish, producer_number(rules.principal, &producer.id)));
        *input = &all[found.total() - before..];
        self.head.clear();
        Ok(Some(producer.publish))
    }

    /// A PUBLISH begins: takes room for its records, or skips them.
    fn begin(&mut self, head: PublishHead, rules: &Rules<'_>, out: &mut Vec<u8>) {
        let refusal = self.admit(&head, rules);
        if let Some((code, text)) = refusal {
            self.refuse(head.partition, head.sequence, code, &text, None, out);
        }
        let partition = self.partitions.get(&head.partition);
        let (is_dropped, round) = partition.map_or((true, 0), |partition| (partition.is_set_back, partition.round));
        self.at = if head.records_bytes == 0 {
            At::Head
        } else if is_dropped {
            At::Skipped(head.records_bytes)
        } else {
            let mut bytes = Vec::with_capacity(HEADER_BYTES + head.records_bytes.min(AHEAD_BYTES_MAX));
            bytes.resize(HEADER_BYTES, 0);
            At::Records(head, round, bytes, head.records_bytes)
        };
    }

    /// Whether the frame is the one that must come; why not, if that has to be said.
    fn admit(&mut self, head: &PublishHead, rules: &Rules<'_>) -> Option<(Code, String)> {
        if head.partition >= rules.partitions {
            let text = format!("there is no partition {}: the log has {}", head.partition, rules.partitions);
            return Some((Code::NO_SUCH_PARTITION, text));
        }
        let fresh = || Partition { next: head.sequence, acked: head.sequence, ..Partition::default() };
        let partition = self.partitions.entry(head.partition).or_insert_with(fresh);
        if partition.next == head.sequence {
            partition.is_set_back = false;
        }
        if partition.is_set_back {
            return None;
        }
        if let Some(code) = rules.going {
            return Some((code, "the node ends this connection".to_owned()));
        }
        if partition.next < head.sequence {
            let text = format!("sequence {} came where {} must", head.sequence, partition.next);
            return Some((Code::OUT_OF_ORDER, text));
        }
        if head.records_bytes == 0 {
            return Some((Code::EVENT_INVALID, "a PUBLISH without records".to_owned()));
        }
        partition.next = partition.next.max(head.sequence + u64::from(head.count));
        None
    }

    /// The records of a frame are there.
    fn finish(
        &mut self,
        head: &PublishHead,
        round: u32,
        bytes: Vec<u8>,
        now_ms: i64,
        rules: &Rules<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Append> {
        let (publish, producer) = self.opened?;
        if self.partitions.get(&head.partition).is_none_or(|partition| partition.round != round) {
            // What it follows was refused while its bytes came.
            return None;
        }
        let stamp = ProducerStamp { producer, sequence: head.sequence };
        let sealed = seal_records(head.partition, bytes, head.count, now_ms, Some(stamp));
        let checked = sealed.map_err(|error| (Code::EVENT_INVALID, error.to_string())).and_then(|batch: Batch| {
            check::events(&batch, rules.partitions, rules.event_bytes_max)?;
            Ok(batch)
        });
        match checked {
            Ok(batch) => {
                self.in_flight += 1;
                let ticket = PublishTicket {
                    publish,
                    partition: head.partition,
                    sequence: head.sequence,
                    count: head.count,
                    bytes: batch.bytes().len(),
                    round,
                };
                Some(Append { ticket, batch })
            }
            Err((code, text)) => {
                self.refuse(head.partition, head.sequence, code, &text, None, out);
                None
            }
        }
    }

    /// Nothing of the partition is taken from `sequence` on until it comes again, or `expected` does.
    fn refuse(
        &mut self,
        partition: u32,
        sequence: u64,
        code: Code,
        text: &str,
        expected: Option<u64>,
        out: &mut Vec<u8>,
    ) {
        let Some((publish, _)) = self.opened else { return };
        let state = self.partitions.entry(partition).or_default();
        // A frame that came where another must: that other one is waited for.
        let expected = if code == Code::OUT_OF_ORDER { expected.or(Some(state.next)) } else { None };
        state.next = expected.unwrap_or(sequence);
        state.is_set_back = true;
        let (text, advice) = (cut_text(text), code.advice());
        Control::Nack(frame::Nack { publish, partition, sequence, code, text, advice, expected }).write(out);
    }

    /// What became of a batch.
    pub fn handle_outcome(&mut self, ticket: &PublishTicket, result: Result<Kept, Rejected>, out: &mut Vec<u8>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(state) = self.partitions.get_mut(&ticket.partition) else { return };
        if state.round != ticket.round {
            // It followed one that was refused, and its sequences were given up with that one's.
            return;
        }
        match result {
            Ok(kept) => {
                // What comes again takes nothing back.
                state.acked = state.acked.max(ticket.sequence + u64::from(ticket.count));
                state.end_offset = state.end_offset.max(kept.end_offset);
                if !std::mem::replace(&mut state.is_due, true) {
                    self.due.push(ticket.partition);
                }
            }
            Err(Rejected { code, text, expected }) => {
                state.round = state.round.wrapping_add(1);
                self.refuse(ticket.partition, ticket.sequence, code, &text, expected, out);
            }
        }
    }

    /// Appends the ACKs that are due.
    pub fn write_acks(&mut self, out: &mut Vec<u8>) {
        let Some((publish, _)) = self.opened else { return };
        let mut list = Vec::new();
        while let Some(number) = self.due.pop() {
            let Some(partition) = self.partitions.get_mut(&number) else { continue };
            partition.is_due = false;
            let (next_sequence, end_offset) = (partition.acked, partition.end_offset);
            Acks::encode(&mut list, AckEntry { partition: number, next_sequence, end_offset });
            if self.due.is_empty() || list.len() > ACK_BYTES_MAX {
                if let Ok(entries) = Acks::of(kind::ACK, &list) {
                    Control::Ack(frame::Ack { publish, entries }).write(out);
                }
                list.clear();
            }
        }
    }

    /// No more bytes will come.
    pub fn handle_end(&mut self, is_reset: bool) -> Result<(), Fault> {
        self.has_ended = true;
        let is_between = self.head.is_empty() && matches!(self.at, At::Head);
        if is_reset || is_between { Ok(()) } else { Err(body::cut()) }
    }

    /// Every batch has its outcome, and every outcome its ACK.
    pub fn is_settled(&self) -> bool {
        self.in_flight == 0 && self.due.is_empty()
    }

    /// It has ended, and nothing is left to be said.
    pub fn is_done(&self) -> bool {
        self.has_ended && self.is_settled()
    }

    /// It can still bring something.
    pub fn is_open(&self) -> bool {
        !self.has_ended
    }
}
