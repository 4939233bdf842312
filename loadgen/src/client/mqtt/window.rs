//! The messages of one connection that wait for receipts, oldest first, with their bytes for the case that they are sent again.
//!
//! Packet ids are given out in turn, so a receipt finds its message by subtraction. What always holds: as many messages as the
//! limit says wait at most; messages leave from the front, so they are sent again in the order in which they were sent; an idle
//! window keeps next to no memory.

use std::collections::VecDeque;

use super::codec::{ReceiptKind, set_dup, write_receipt};
use crate::fleet::Emitted;

/// Most messages from the oldest without a receipt to the newest, as a multiple of the limit: how far a broker may run ahead of one
/// receipt that it owes.
const SPAN_PER_LIMIT: usize = 8;
/// Packet ids run from 1 to this.
const IDS: u64 = 65_535;
/// An idle window gives memory back from here on.
const IDLE_BYTES_MAX: usize = 2_048;

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// PUBLISH is to be sent again.
    Again,
    /// PUBREL is to be sent again.
    ReleaseAgain,
    /// PUBLISH is out.
    Published,
    /// PUBREL is out.
    Released,
    /// The last receipt came; waits for its elders.
    Done,
}

#[derive(Debug)]
struct Slot {
    waiting: Waiting,
    /// Last attempt, in microseconds of the run.
    sent_us: u64,
    bytes: u32,
    state: State,
}

/// A message without its last receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// What it carries.
    pub emitted: Emitted,
    /// When it should have gone out, in microseconds of the run.
    pub intended_us: u64,
}

/// See above.
#[derive(Debug)]
pub(super) struct Window {
    slots: VecDeque<Slot>,
    /// The packets of `slots` one after the other, from `bytes_at` on.
    bytes: Vec<u8>,
    bytes_at: usize,
    /// Messages that have left.
    left: u64,
    /// Sent and not done.
    open: usize,
    /// Slots at the front that have been looked at since the connection was made anew, and where the next one's bytes are.
    resumed: usize,
    resumed_bytes: usize,
    limit: usize,
}

impl Window {
    /// For so many messages at most.
    pub(super) fn new(limit: u16) -> Self {
        Self {
            slots: VecDeque::new(),
            bytes: Vec::new(),
            bytes_at: 0,
            left: 0,
            open: 0,
            resumed: 0,
            resumed_bytes: 0,
            limit: usize::from(limit).max(1),
        }
    }

    /// Nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Another message may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.open < self.limit
            && self.slots.len() < (self.limit * SPAN_PER_LIMIT).min(IDS as usize)
            && self.resumed == self.slots.len()
    }

    /// The packet id of the next message.
    pub(super) fn next_packet_id(&self) -> u16 {
        id_of(self.left + self.slots.len() as u64)
    }

    /// A message goes out for the first time; `packet` is its PUBLISH with [`next_packet_id`](Self::next_packet_id).
    pub(super) fn push(&mut self, waiting: Waiting, now_us: u64, packet: &[u8]) {
        self.bytes.extend_from_slice(packet);
        self.slots.push_back(Slot { waiting, sent_us: now_us, bytes: packet.len() as u32, state: State::Published });
        self.open += 1;
        self.resumed = self.slots.len();
        self.resumed_bytes = self.bytes.len();
    }

    /// PUBACK or PUBCOMP came: the message, if it waited for that.
    pub(super) fn done(&mut self, packet_id: u16) -> Option<Waiting> {
        let slot = self.find(packet_id)?;
        if !matches!(slot.state, State::Published | State::Released) {
            return None;
        }
        slot.state = State::Done;
        let waiting = slot.waiting;
        self.open -= 1;
        self.pop_done();
        Some(waiting)
    }

    /// PUBREC came: true if PUBREL is the answer.
    pub(super) fn received(&mut self, packet_id: u16, now_us: u64) -> bool {
        match self.find(packet_id) {
            Some(slot) if matches!(slot.state, State::Published | State::Released) => {
                slot.state = State::Released;
                slot.sent_us = now_us;
                true
            }
            _ => false,
        }
    }

    /// A new connection stands. Everything that waits is to be sent again, within the limit; what was released is only released
    /// again if the broker still has the session.
    pub(super) fn resume(&mut self, session_present: bool, limit: u16) {
        self.limit = usize::from(limit).max(1);
        for slot in &mut self.slots {
            slot.state = match slot.state {
                State::Done => State::Done,
                State::Released | State::ReleaseAgain if session_present => State::ReleaseAgain,
                _ => State::Again,
            };
        }
        self.open = 0;
        self.resumed = 0;
        self.resumed_bytes = self.bytes_at;
    }

    /// Appends the next message that is to be sent again: what it carries if it is a PUBLISH, `Some(None)` for a PUBREL.
    pub(super) fn send_again(&mut self, now_us: u64, out: &mut Vec<u8>) -> Option<Option<Emitted>> {
        while self.open < self.limit {
            let id = id_of(self.left + self.resumed as u64);
            let slot = self.slots.get_mut(self.resumed)?;
            let at = self.resumed_bytes;
            self.resumed += 1;
            self.resumed_bytes += slot.bytes as usize;
            let sent = match slot.state {
                State::Again => {
                    let packet = &mut self.bytes[at..self.resumed_bytes];
                    set_dup(packet);
                    out.extend_from_slice(packet);
                    slot.state = State::Published;
                    Some(slot.waiting.emitted)
                }
                State::ReleaseAgain => {
                    write_receipt(ReceiptKind::Rel, id, out);
                    slot.state = State::Released;
                    None
                }
                State::Published | State::Released | State::Done => continue,
            };
            slot.sent_us = now_us;
            self.open += 1;
            return Some(sent);
        }
        None
    }

    /// When the oldest message that waits was sent last.
    pub(super) fn oldest_sent_us(&self) -> Option<u64> {
        (self.resumed > 0).then(|| self.slots.front()).flatten().map(|slot| slot.sent_us)
    }

    /// Takes all that waits away.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = Waiting> + '_ {
        self.left += self.slots.len() as u64;
        self.open = 0;
        self.resumed = 0;
        self.bytes = Vec::new();
        (self.bytes_at, self.resumed_bytes) = (0, 0);
        self.slots.drain(..).filter(|slot| slot.state != State::Done).map(|slot| slot.waiting)
    }

    fn find(&mut self, packet_id: u16) -> Option<&mut Slot> {
        let first = self.left % IDS;
        let place = (u64::from(packet_id).checked_sub(1)? + IDS - first) % IDS;
        self.slots.get_mut(place as usize)
    }

    fn pop_done(&mut self) {
        while let Some(slot) = self.slots.front()
            && slot.state == State::Done
        {
            self.bytes_at += slot.bytes as usize;
            self.slots.pop_front();
            self.left += 1;
            if self.resumed > 0 {
                self.resumed -= 1;
            } else {
                self.resumed_bytes = self.bytes_at;
            }
        }
        if self.slots.is_empty() {
            self.bytes.clear();
            self.bytes.shrink_to(IDLE_BYTES_MAX);
            self.slots.shrink_to(IDLE_BYTES_MAX / size_of::<Slot>());
            (self.bytes_at, self.resumed_bytes) = (0, 0);
        } else if self.bytes_at > self.bytes.len() / 2 {
            // At least as much has come in since the last time as is moved now.
            self.bytes.drain(..self.bytes_at);
            self.resumed_bytes -= self.bytes_at;
            self.bytes_at = 0;
        }
    }
}

fn id_of(number: u64) -> u16 {
    (number % IDS) as u16 + 1
}

#[cfg(test)]
mod tests;
