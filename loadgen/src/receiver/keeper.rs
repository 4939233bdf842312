//! A sink that keeps what arrives as lines, and can be told to keep it badly: the proof that the ledger notices.

use std::io::{self, Write};
use std::str::FromStr;

/// What a bad keeper does to every n-th event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    kind: Kind,
    every: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Drop,
    /// With the next one of the same device.
    Swap,
    Duplicate,
    Flip,
}

/// Not of the form `KIND:N`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no fault; write drop:N, swap:N, duplicate:N or flip:N, with N above 0")]
pub struct FaultError(String);

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = || FaultError(text.to_owned());
        let (kind, every) = text.split_once(':').ok_or_else(wrong)?;
        let kind = match kind {
            "drop" => Kind::Drop,
            "swap" => Kind::Swap,
            "duplicate" => Kind::Duplicate,
            "flip" => Kind::Flip,
            _ => return Err(wrong()),
        };
        let every = every.parse().ok().filter(|&every| every > 0).ok_or_else(wrong)?;
        Ok(Self { kind, every })
    }
}

/// Keeps payloads as lines.
#[derive(Debug)]
pub struct Keeper<W> {
    out: W,
    faults: Vec<Fault>,
    /// Events taken.
    taken: u64,
    /// Faults made.
    made: u64,
    /// An event that waits for a later one of its device.
    held: Option<(Vec<u8>, Vec<u8>)>,
    failed: Option<io::Error>,
}

impl<W: Write> Keeper<W> {
    /// Writes to `out`.
    pub fn new(out: W, faults: &[Fault]) -> Self {
        Self { out, faults: faults.to_vec(), taken: 0, made: 0, held: None, failed: None }
    }

    /// Keeps one event, or does what it was told.
    pub fn take(&mut self, payload: &[u8]) {
        self.taken += 1;
        let due = self.faults.iter().find(|fault| self.taken.is_multiple_of(fault.every)).map(|fault| fault.kind);
        let kept = match due {
            Some(Kind::Drop) => Ok(()),
            Some(Kind::Duplicate) => self.line(payload).and_then(|()| self.line(payload)),
            Some(Kind::Flip) => {
                let mut bad = payload.to_vec();
                let at = bad.len() / 2;
                if let Some(byte) = bad.get_mut(at) {
                    *byte ^= 1;
                }
                self.line(&bad)
            }
            Some(Kind::Swap) if self.held.is_none() => {
                self.held = Some((device(payload).to_vec(), payload.to_vec()));
                self.made += 1;
                return;
            }
            Some(Kind::Swap) | None => {
                let written = self.line(payload);
                match self.held.take_if(|(of, _)| of == device(payload)) {
                    Some((_, held)) => written.and_then(|()| self.line(&held)),
                    None => written,
                }
            }
        };
        self.made += u64::from(matches!(due, Some(Kind::Drop | Kind::Duplicate | Kind::Flip)));
        if let Err(error) = kept {
            self.failed.get_or_insert(error);
        }
    }

    fn line(&mut self, payload: &[u8]) -> io::Result<()> {
        self.out.write_all(payload)?;
        self.out.write_all(b"\n")
    }

    /// What it writes to.
    pub fn written(&self) -> &W {
        &self.out
    }

    /// Everything is on its way to the disk; says how many faults were made.
    pub fn finish(&mut self) -> io::Result<u64> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if let Some((_, held)) = self.held.take() {
            // Nothing of its device came after it, so it is where it belongs.
            self.line(&held)?;
            self.made -= 1;
        }
        self.out.flush()?;
        Ok(self.made)
    }
}

/// The text that tells the device, or nothing.
fn device(payload: &[u8]) -> &[u8] {
    let at = memchr::memmem::find(payload, b"\"dev-").unwrap_or(payload.len());
    &payload[at..payload.len().min(at + 14)]
}
