//! Holds what is read back against the ledger: lost, doubled, out of order, unwanted, foreign.
//!
//! Events of one device are shown in the order in which the far end keeps them, with rising positions (an offset, a file and row, a
//! count of arrival); devices may be mixed. Memory: a bit or two per event sent, twelve bytes per device.

use std::fmt;

use serde::Serialize;

use super::Ledger;
use crate::fleet::{Unread, read_back};

/// Findings of each kind that are kept word by word; the rest is only counted.
const FINDINGS_KEPT_MAX: u64 = 10;
/// Bytes of a corrupted payload that are quoted.
const QUOTE_BYTES_MAX: usize = 120;

/// In which way an event is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Acknowledged, wanted here, not there.
    Lost,
    /// There more than once although it was sent once.
    Duplicate,
    /// There for the first time after a later event of the same device.
    Inverted,
    /// Should not have matched.
    Unwanted,
    /// Nobody sent it.
    Foreign,
    /// Shown with a position that is not above the device's one before: the reading itself is wrong.
    Misplaced,
}

/// An event that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// In which way.
    pub fault: Fault,
    /// Its device.
    pub device: u32,
    /// Its sequence number.
    pub seq: u32,
    /// Where it was read; `None` for one that is not there.
    pub position: Option<u64>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dev-{:09} event {}", self.device, self.seq)?;
        if let Some(position) = self.position {
            write!(f, " at {position}")?;
        }
        f.write_str(match self.fault {
            Fault::Lost => " is expected and is not there",
            Fault::Duplicate => " is there again though sent once",
            Fault::Inverted => " comes after a later one of its device",
            Fault::Unwanted => " should not have matched",
            Fault::Foreign => " was never sent",
            Fault::Misplaced => " was not shown in rising order by its reader",
        })
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Events acknowledged and wanted here.
    pub expected: u64,
    /// Rows shown.
    pub rows: u64,
    /// Different events among them.
    pub events: u64,
    /// Acknowledged, wanted, not there.
    pub lost: u64,
    /// There again although sent once.
    pub duplicates: u64,
    /// There again after having been sent again: legal at least-once.
    pub repeats_legal: u64,
    /// Out of order within a device.
    pub inversions: u64,
    /// Should not be here.
    pub unwanted: u64,
    /// Never sent.
    pub foreign: u64,
    /// Shown in the wrong order by the reader.
    pub misplaced: u64,
    /// There, but its bytes or values are not those that were sent.
    pub corrupted: u64,
    /// There, and none of a fleet's.
    pub strangers: u64,
    /// Not acknowledged and yet there: legal, the receipt was lost on its way.
    pub unacknowledged_there: u64,
    /// Sent and wanted, not acknowledged, not there: legal, but what a sender without receipts wants to know.
    pub unacknowledged_missing: u64,
    /// The first corrupted ones, in words.
    pub corruptions: Vec<String>,
    /// The first findings of each kind.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.lost + self.duplicates + self.inversions + self.unwanted + self.foreign + self.misplaced + self.corrupted
            == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} events expected, {} there in {} rows; lost {}, duplicates {}, out of order {}, unwanted {}, foreign {}, \
             corrupted {}, misread {}; legal repeats {}, there without a receipt {}, missing without a receipt {}, of others {}",
            if self.is_clean() { "clean" } else { "WRONG" },
            self.expected,
            self.events,
            self.rows,
            self.lost,
            self.duplicates,
            self.inversions,
            self.unwanted,
            self.foreign,
            self.corrupted,
            self.misplaced,
            self.repeats_legal,
            self.unacknowledged_there,
            self.unacknowledged_missing,
            self.strangers,
        )?;
        for corruption in &self.corruptions {
            write!(f, "\n  {corruption}")?;
        }
        for finding in &self.findings {
            write!(f, "\n  {finding}")?;
        }
        Ok(())
    }
}

/// One bit per event sent.
#[derive(Debug)]
struct Bits(Vec<u64>);

impl Bits {
    fn new(events: u64) -> Self {
        Self(vec![0; (events as usize).div_ceil(64)])
    }

    fn get(&self, at: u64) -> bool {
        self.0[(at / 64) as usize] >> (at % 64) & 1 == 1
    }

    /// Sets the bit and says whether it was set before.
    fn set(&mut self, at: u64) -> bool {
        let word = &mut self.0[(at / 64) as usize];
        let before = *word >> (at % 64) & 1 == 1;
        *word |= 1 << (at % 64);
        before
    }
}

/// Takes rows, gives a [`Verdict`].
#[derive(Debug)]
pub struct Verifier<'a> {
    ledger: &'a Ledger,
    /// Per device: where its bits begin.
    begins: Vec<u64>,
    seen: Bits,
    wanted: Option<Bits>,
    /// Per device: position of the last row, and the highest sequence number so far, both plus one.
    last: Vec<(u64, u32)>,
    expects_sent: bool,
    verdict: Verdict,
}

impl<'a> Verifier<'a> {
    pub(super) fn new(ledger: &'a Ledger, wanted: Option<Box<dyn FnMut(u32, u32) -> bool + '_>>) -> Self {
        let mut total = 0;
        let mut begins = Vec::with_capacity(ledger.sent.len());
        for &sent in &ledger.sent {
            begins.push(total);
            total += u64::from(sent);
        }
        let wanted = wanted.map(|mut wanted| {
            let mut bits = Bits::new(total);
            for (device, (&begin, &sent)) in ledger.devices().zip(begins.iter().zip(&ledger.sent)) {
                for seq in 0..sent {
                    if wanted(device, seq) {
                        bits.set(begin + u64::from(seq));
                    }
                }
            }
            bits
        });
        Self {
            last: vec![(0, 0); begins.len()],
            begins,
            seen: Bits::new(total),
            wanted,
            ledger,
            expects_sent: false,
            verdict: Verdict::default(),
        }
    }

    /// Takes everything that was sent for expected, not only what was acknowledged: for senders that get no receipts.
    pub fn expect_sent(&mut self) {
        self.expects_sent = true;
    }

    /// Shows the bytes of one event as they were read.
    pub fn see_payload(&mut self, payload: &[u8], position: u64) {
        match read_back(payload) {
            Ok(read) => self.see(read.device, read.seq, position),
            Err(Unread::Stranger) => self.verdict.strangers += 1,
            Err(Unread::Corrupted) => {
                let quote = String::from_utf8_lossy(&payload[..payload.len().min(QUOTE_BYTES_MAX)]);
                let dots = if payload.len() > QUOTE_BYTES_MAX { " …" } else { "" };
                self.corrupt(|| format!("at {position}: the bytes are not those that were sent: {quote}{dots}"));
            }
        }
    }

    /// Shows something that is corrupted and cannot be told apart any more, in words.
    pub fn corrupt(&mut self, words: impl FnOnce() -> String) {
        self.verdict.corrupted += 1;
        if self.verdict.corrupted <= FINDINGS_KEPT_MAX {
            self.verdict.corruptions.push(words());
        }
    }

    /// Shows so many things that are none of a fleet's.
    pub fn strangers(&mut self, count: u64) {
        self.verdict.strangers += count;
    }

    /// What it takes, whatever is shown to it.
    pub fn memory_bytes(&self) -> usize {
        let bits = self.seen.0.len() + self.wanted.as_ref().map_or(0, |wanted| wanted.0.len());
        bits * size_of::<u64>() + self.begins.len() * size_of::<u64>() + self.last.len() * size_of::<(u64, u32)>()
    }

    /// Rows shown so far, corrupted ones and strangers too.
    pub fn rows(&self) -> u64 {
        self.verdict.rows + self.verdict.corrupted + self.verdict.strangers
    }

    /// As [`see`](Self::see) for a row that its carrier marked as perhaps delivered before (MQTT's DUP): being there again is legal.
    pub fn see_again(&mut self, device: u32, seq: u32, position: u64) {
        let seen = self.ledger.index(device).filter(|&index| seq < self.ledger.sent[index]);
        match seen.is_some_and(|index| self.seen.get(self.begins[index] + u64::from(seq))) {
            true => {
                self.verdict.rows += 1;
                self.verdict.repeats_legal += 1;
            }
            false => self.see(device, seq, position),
        }
    }

    /// Shows one row. `position` rises from row to row of a device.
    pub fn see(&mut self, device: u32, seq: u32, position: u64) {
        self.verdict.rows += 1;
        let index = match self.ledger.index(device) {
            Some(index) if seq < self.ledger.sent[index] => index,
            _ => return self.found(Fault::Foreign, device, seq, Some(position)),
        };
        let bit = self.begins[index] + u64::from(seq);
        let (last_position, highest) = self.last[index];
        if position < last_position {
            return self.found(Fault::Misplaced, device, seq, Some(position));
        }
        self.last[index] = (position.saturating_add(1), highest.max(seq + 1));
        if self.seen.set(bit) {
            if self.ledger.is_uncertain(device, seq) {
                self.verdict.repeats_legal += 1;
            } else {
                self.found(Fault::Duplicate, device, seq, Some(position));
            }
            return;
        }
        self.verdict.events += 1;
        if self.wanted.as_ref().is_some_and(|wanted| !wanted.get(bit)) {
            return self.found(Fault::Unwanted, device, seq, Some(position));
        }
        // A late attempt of a repeated event may arrive after its successors; everything else keeps its order.
        if seq + 1 < highest && !self.ledger.is_uncertain(device, seq) {
            self.found(Fault::Inverted, device, seq, Some(position));
        }
        if !self.ledger.is_acknowledged(device, seq) {
            self.verdict.unacknowledged_there += 1;
        }
    }

    /// Everything has been shown.
    pub fn finish(mut self) -> Verdict {
        for (index, device) in self.ledger.devices().enumerate() {
            for seq in 0..self.ledger.sent[index] {
                let bit = self.begins[index] + u64::from(seq);
                let wanted = self.wanted.as_ref().is_none_or(|wanted| wanted.get(bit));
                if !wanted {
                    continue;
                }
                if !self.expects_sent && !self.ledger.is_acknowledged(device, seq) {
                    self.verdict.unacknowledged_missing += u64::from(!self.seen.get(bit));
                    continue;
                }
                self.verdict.expected += 1;
                if !self.seen.get(bit) {
                    self.found(Fault::Lost, device, seq, None);
                }
            }
        }
        self.verdict
    }

    fn found(&mut self, fault: Fault, device: u32, seq: u32, position: Option<u64>) {
        let counter = match fault {
            Fault::Lost => &mut self.verdict.lost,
            Fault::Duplicate => &mut self.verdict.duplicates,
            Fault::Inverted => &mut self.verdict.inversions,
            Fault::Unwanted => &mut self.verdict.unwanted,
            Fault::Foreign => &mut self.verdict.foreign,
            Fault::Misplaced => &mut self.verdict.misplaced,
        };
        *counter += 1;
        if *counter <= FINDINGS_KEPT_MAX {
            self.verdict.findings.push(Finding { fault, device, seq, position });
        }
    }
}
