//! What was sent, what was acknowledged, what may lie in the log twice: kept per device, and held against what is read back.
//!
//! Four words. An event is *sent* when its first attempt began, *acknowledged* when a receipt came, *unknown* when its sender gave
//! up without a receipt, and *repeated* when it was sent again because an attempt ended without an answer: only unknown and
//! repeated events may legally be missing or be there twice. What always holds: memory is eight bytes per device, plus one entry
//! per event that is out of the ordinary; nothing is acknowledged that was not sent.

mod file;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Range;

pub use file::{LedgerFile, LedgerFileError};
pub use verify::{Fault, Finding, Verdict, Verifier};

/// Sequence numbers from 0 on for the devices of one range.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    first: u32,
    /// Per device: events sent are those with `seq` below this.
    sent: Vec<u32>,
    /// Per device: all events below this are acknowledged.
    acknowledged_below: Vec<u32>,
    /// Acknowledged above `acknowledged_below`: an earlier event of the device is still open or unknown.
    acknowledged_above: BTreeSet<(u32, u32)>,
    repeated: BTreeSet<(u32, u32)>,
    unknown: BTreeSet<(u32, u32)>,
    sent_events: u64,
    acknowledged_events: u64,
}

impl Ledger {
    /// An empty page for these devices.
    pub fn new(devices: Range<u32>) -> Self {
        Self {
            first: devices.start,
            sent: vec![0; devices.len()],
            acknowledged_below: vec![0; devices.len()],
            ..Self::default()
        }
    }

    /// One ledger of several whose ranges follow one another. Panics if they do not.
    pub fn join(mut parts: Vec<Self>) -> Self {
        parts.sort_by_key(|part| (part.first, part.sent.len()));
        let mut parts = parts.into_iter();
        let mut whole = parts.next().unwrap_or_default();
        for part in parts {
            assert_eq!(
                whole.first + whole.sent.len() as u32,
                part.first,
                "the ranges of joined ledgers follow one another"
            );
            whole.sent.extend(part.sent);
            whole.acknowledged_below.extend(part.acknowledged_below);
            whole.acknowledged_above.extend(part.acknowledged_above);
            whole.repeated.extend(part.repeated);
            whole.unknown.extend(part.unknown);
            whole.sent_events += part.sent_events;
            whole.acknowledged_events += part.acknowledged_events;
        }
        whole
    }

    /// The devices it is about.
    pub fn devices(&self) -> Range<u32> {
        self.first..self.first + self.sent.len() as u32
    }

    /// A device's next event goes out for the first time.
    pub fn send(&mut self, device: u32, seq: u32) {
        let sent = &mut self.sent[(device - self.first) as usize];
        assert_eq!(*sent, seq, "device {device} sends its events in order");
        *sent += 1;
        self.sent_events += 1;
    }

    /// An event goes out again although an earlier attempt may have arrived.
    pub fn repeat(&mut self, device: u32, seq: u32) {
        self.repeated.insert((device, seq));
    }

    /// A receipt came.
    pub fn acknowledge(&mut self, device: u32, seq: u32) {
        let index = (device - self.first) as usize;
        assert!(seq < self.sent[index], "device {device} never sent event {seq}, which was acknowledged");
        let below = &mut self.acknowledged_below[index];
        if seq == *below {
            *below += 1;
            while !self.acknowledged_above.is_empty() && self.acknowledged_above.remove(&(device, *below)) {
                *below += 1;
            }
        } else if seq < *below || !self.acknowledged_above.insert((device, seq)) {
            return;
        }
        self.acknowledged_events += 1;
    }

    /// The sender gives up on an event without a receipt.
    pub fn give_up(&mut self, device: u32, seq: u32) {
        self.unknown.insert((device, seq));
    }

    /// The event was acknowledged.
    pub fn is_acknowledged(&self, device: u32, seq: u32) -> bool {
        self.index(device).is_some_and(|index| seq < self.acknowledged_below[index])
            || self.acknowledged_above.contains(&(device, seq))
    }

    /// The event may legally be there more than once, or late.
    pub fn is_uncertain(&self, device: u32, seq: u32) -> bool {
        self.repeated.contains(&(device, seq)) || self.unknown.contains(&(device, seq))
    }

    /// Number of events a device has sent.
    pub fn sent_by(&self, device: u32) -> u32 {
        self.index(device).map_or(0, |index| self.sent[index])
    }

    /// Number of events sent.
    pub fn sent_events(&self) -> u64 {
        self.sent_events
    }

    /// Number of events acknowledged.
    pub fn acknowledged_events(&self) -> u64 {
        self.acknowledged_events
    }

    /// Number of events that went out more than once.
    pub fn repeated_events(&self) -> u64 {
        self.repeated.len() as u64
    }

    /// Number of events given up without a receipt.
    pub fn unknown_events(&self) -> u64 {
        self.unknown.len() as u64
    }

    /// Starts to hold what is read back against all that was acknowledged.
    pub fn verifier(&self) -> Verifier<'_> {
        Verifier::new(self, None)
    }

    /// As [`verifier`](Self::verifier) for a place that should hold only the events that `wanted` says yes to: asked once per
    /// event sent, by (device, seq), device by device, each from its event 0 on.
    pub fn verifier_of(&self, wanted: impl FnMut(u32, u32) -> bool) -> Verifier<'_> {
        Verifier::new(self, Some(Box::new(wanted)))
    }

    fn index(&self, device: u32) -> Option<usize> {
        let index = device.checked_sub(self.first)? as usize;
        (index < self.sent.len()).then_some(index)
    }
}
