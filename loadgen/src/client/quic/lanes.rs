//! What a producer has to say, by partition: events that become frames, and frames that wait for their ACK.
//!
//! What always holds: events of a partition are numbered without gap in the order in which they were pushed; frames are written in
//! that order, and after a refusal or on a new connection from the first one on that was not acknowledged; a frame's bytes never change.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::codec::{put_varint, varint_len, write_publish_head};
use crate::fleet::Emitted;

/// Most events of a PUBLISH.
const EVENTS_MAX: usize = 16_384;
/// Room for the fields before a frame's records.
const HEAD_BYTES_MAX: usize = 64;
/// First pause after a refusal that does not last, and the longest of the doubling ones.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// An event and when it should have gone out, in microseconds of the run.
pub(super) type Sent = (Emitted, u64);

struct Frame {
    sequence: u64,
    bytes: Bytes,
    records_bytes: usize,
    events: Vec<Sent>,
    was_written: bool,
}

impl Frame {
    fn end(&self) -> u64 {
        self.sequence + self.events.len() as u64
    }
}

#[derive(Default)]
struct Lane {
    next_sequence: u64,
    records: Vec<u8>,
    events: Vec<Sent>,
    frames: VecDeque<Frame>,
    /// Of them, those that were written on this connection.
    written: usize,
    /// Not to be written before this time, in microseconds of the run, and how long the last pause was.
    paused_until_us: u64,
    pause: Duration,
}

/// See the module.
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    frame_bytes: usize,
    window_bytes: usize,
    /// Of records that are not acknowledged.
    waiting_bytes: usize,
    /// Whose turn it is to be written.
    turn: usize,
}

impl Lanes {
    /// For so many partitions; `publish_bytes_max` is the node's bound of a frame, `event_bytes_max` that of an event.
    pub(super) fn new(
        partitions: u32,
        window_bytes: usize,
        frame_bytes: usize,
        publish_bytes_max: u64,
        event_bytes_max: usize,
    ) -> Self {
        let bound = usize::try_from(publish_bytes_max).unwrap_or(usize::MAX);
        let frame_bytes = frame_bytes.min(bound.saturating_sub(event_bytes_max + HEAD_BYTES_MAX));
        let lanes = (0..partitions).map(|_| Lane::default()).collect();
        Self { lanes, frame_bytes, window_bytes, waiting_bytes: 0, turn: 0 }
    }

    pub(super) fn partitions(&self) -> usize {
        self.lanes.len()
    }

    /// Another event may be pushed.
    pub(super) fn has_room(&self) -> bool {
        self.waiting_bytes < self.window_bytes
    }

    /// At least half of the window is free: worth beginning again after it was full.
    pub(super) fn has_much_room(&self) -> bool {
        self.waiting_bytes <= self.window_bytes / 2
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting_bytes == 0
    }

    /// An event of a partition: a record without headers.
    pub(super) fn push(&mut self, partition: usize, key: &[u8], value: &[u8], sent: Sent) {
        let lane = &mut self.lanes[partition];
        let (before, delta) = (lane.records.len(), lane.events.len() as u64);
        let key_len = key.len() as u64;
        let value_len = value.len() as u64;
        // Attributes, time, and no headers have a byte each.
        let body = 3 + varint_len(delta) + varint_len(key_len) + key.len() + varint_len(value_len) + value.len();
        let out = &mut lane.records;
        put_varint(out, body as u64);
        out.extend_from_slice(&[0, 0]);
        put_varint(out, delta);
        put_varint(out, key_len);
        out.extend_from_slice(key);
        put_varint(out, value_len);
        out.extend_from_slice(value);
        out.push(0);
        lane.events.push(sent);
        self.waiting_bytes += lane.records.len() - before;
        if lane.records.len() >= self.frame_bytes || lane.events.len() == EVENTS_MAX {
            lane.seal(partition);
        }
    }

    /// Nothing more is waited for: what there is becomes frames, except where a frame of the partition is under way. So frames grow with
    /// the load, and a node that falls behind gets fewer and larger ones.
    pub(super) fn seal(&mut self) {
        for (partition, lane) in self.lanes.iter_mut().enumerate() {
            if !lane.events.is_empty() && lane.frames.is_empty() {
                lane.seal(partition);
            }
        }
    }

    /// Takes about `bytes_max` bytes of frames that are to be written now, with their partitions. `again` is told of events that
    /// were written before.
    pub(super) fn take(
        &mut self,
        now_us: u64,
        bytes_max: usize,
        out: &mut Vec<(usize, Bytes)>,
        mut again: impl FnMut(Emitted),
    ) {
        let (count, mut taken) = (self.lanes.len(), 0);
        for _ in 0..count {
            let partition = self.turn;
            let lane = &mut self.lanes[partition];
            if lane.paused_until_us <= now_us {
                while taken < bytes_max
                    && let Some(frame) = lane.frames.get_mut(lane.written)
                {
                    if std::mem::replace(&mut frame.was_written, true) {
                        frame.events.iter().for_each(|(emitted, _)| again(*emitted));
                    }
                    taken += frame.bytes.len();
                    out.push((partition, frame.bytes.clone()));
                    lane.written += 1;
                }
            }
            if taken >= bytes_max {
                return;
            }
            self.turn = (self.turn + 1) % count;
        }
    }

    /// When frames that wait out a pause are due, in microseconds of the run.
    pub(super) fn due_us(&self) -> Option<u64> {
        let waits = |lane: &&Lane| lane.written < lane.frames.len();
        self.lanes.iter().filter(waits).map(|lane| lane.paused_until_us).min()
    }

    /// All events of a partition before `next_sequence` are kept. False: they were never sent.
    pub(super) fn acknowledge(&mut self, partition: u32, next_sequence: u64, mut done: impl FnMut(Sent)) -> bool {
        let Some(lane) = self.lanes.get_mut(partition as usize) else { return false };
        let written_end = lane.written.checked_sub(1).and_then(|last| lane.frames.get(last)).map_or(0, Frame::end);
        let first = lane.frames.front().map_or(lane.next_sequence, |frame| frame.sequence);
        if next_sequence > written_end.max(first) {
            return false;
        }
        while let Some(frame) = lane.frames.front().filter(|frame| frame.end() <= next_sequence) {
            frame.events.iter().for_each(|sent| done(*sent));
            self.waiting_bytes -= frame.records_bytes;
            lane.frames.pop_front();
            lane.written = lane.written.saturating_sub(1);
            lane.pause = Duration::ZERO;
        }
        true
    }

    /// Nothing of a partition from `sequence` on is kept, for now: it goes out again after a pause. False: it is not among what waits.
    pub(super) fn send_again(&mut self, partition: u32, sequence: u64, now_us: u64) -> bool {
        let Some(lane) = self.lanes.get_mut(partition as usize) else { return false };
        let Some(at) = lane.frames.iter().position(|frame| frame.sequence == sequence) else { return false };
        lane.written = lane.written.min(at);
        lane.pause = (lane.pause * 2).clamp(PAUSE_FIRST, PAUSE_MAX);
        lane.paused_until_us = now_us + lane.pause.as_micros() as u64;
        true
    }

    /// A new connection stands: everything goes out again.
    pub(super) fn reconnected(&mut self) {
        for lane in &mut self.lanes {
            lane.written = 0;
            lane.paused_until_us = 0;
        }
    }

    /// Everything that was written and is not acknowledged.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = Sent> + '_ {
        self.lanes.iter_mut().flat_map(|lane| {
            let waiting = lane.frames.drain(..).flat_map(|frame| frame.events);
            waiting.chain(lane.events.drain(..))
        })
    }
}

impl Lane {
    fn seal(&mut self, partition: usize) {
        let mut bytes = Vec::with_capacity(self.records.len() + HEAD_BYTES_MAX);
        let events = std::mem::take(&mut self.events);
        write_publish_head(partition as u32, self.next_sequence, events.len() as u32, self.records.len(), &mut bytes);
        bytes.extend_from_slice(&self.records);
        let records_bytes = self.records.len();
        self.records.clear();
        let sequence = self.next_sequence;
        self.next_sequence += events.len() as u64;
        self.frames.push_back(Frame { sequence, bytes: Bytes::from(bytes), records_bytes, events, was_written: false });
    }
}

#[cfg(test)]
mod tests;
