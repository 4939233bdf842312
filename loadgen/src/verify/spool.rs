//! What arrives while it is sent: kept in a temporary file, eight bytes an event, until the ledger of the run is there to judge it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::fleet::{ReadBack, Unread, read_back};
use crate::histogram::{Latencies, Quantiles};
use crate::ledger::Verifier;

/// Corrupted payloads that are quoted.
const QUOTED_MAX: usize = 10;
const QUOTE_BYTES_MAX: usize = 120;
/// Numbers of devices end below this bit.
const AGAIN: u32 = 1 << 31;

/// Arrivals in their order.
#[derive(Debug)]
pub struct Spool {
    out: BufWriter<File>,
    rows: u64,
    corrupted: u64,
    strangers: u64,
    quotes: Vec<String>,
    latencies: Latencies,
    last: Instant,
    failed: Option<io::Error>,
}

/// A spool that threads share.
#[derive(Clone, Debug)]
pub struct SharedSpool(Arc<Mutex<Spool>>);

impl Spool {
    /// An empty one.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            out: BufWriter::with_capacity(1 << 20, tempfile::tempfile()?),
            rows: 0,
            corrupted: 0,
            strangers: 0,
            quotes: Vec::new(),
            latencies: Latencies::default(),
            last: Instant::now(),
            failed: None,
        })
    }

    /// An event arrived; `again` if its carrier says that it may have come before.
    pub fn take(&mut self, payload: &[u8], arrived_us: u64, again: bool) {
        self.last = Instant::now();
        match read_back(payload) {
            Ok(ReadBack { device, seq, ts_us }) => {
                self.rows += 1;
                self.latencies.record_us(arrived_us.saturating_sub(ts_us));
                let mut record = [0; 8];
                record[..4].copy_from_slice(&(device | if again { AGAIN } else { 0 }).to_le_bytes());
                record[4..].copy_from_slice(&seq.to_le_bytes());
                if let Err(error) = self.out.write_all(&record) {
                    self.failed.get_or_insert(error);
                }
            }
            Err(Unread::Stranger) => self.strangers += 1,
            Err(Unread::Corrupted) => {
                self.corrupted += 1;
                if self.quotes.len() < QUOTED_MAX {
                    let quote = String::from_utf8_lossy(&payload[..payload.len().min(QUOTE_BYTES_MAX)]).into_owned();
                    self.quotes.push(format!("arrival {}: the bytes are not those that were sent: {quote}", self.rows));
                }
            }
        }
    }

    /// Everything that came, whatever it was.
    pub fn rows(&self) -> u64 {
        self.rows + self.corrupted + self.strangers
    }

    /// From sending to arrival.
    pub fn latency(&self) -> Quantiles {
        self.latencies.quantiles()
    }

    /// Since the last arrival.
    pub fn idle(&self) -> Duration {
        self.last.elapsed()
    }

    /// Shows everything in the order of arrival.
    pub fn show(&mut self, verifier: &mut Verifier<'_>) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.out.flush()?;
        let file = self.out.get_mut();
        file.rewind()?;
        let mut input = BufReader::with_capacity(1 << 20, &*file);
        let mut record = [0; 8];
        for position in 0..self.rows {
            input.read_exact(&mut record)?;
            let number = |at: usize| u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
            let (device, seq) = (number(0), number(4));
            match device & AGAIN {
                0 => verifier.see(device, seq, position),
                _ => verifier.see_again(device & !AGAIN, seq, position),
            }
        }
        for n in 0..self.corrupted {
            verifier.corrupt(|| self.quotes.get(n as usize).cloned().unwrap_or_default());
        }
        verifier.strangers(self.strangers);
        Ok(())
    }
}

impl SharedSpool {
    /// An empty one.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Spool::new()?))))
    }

    /// Does something with it.
    pub fn with<T>(&self, run: impl FnOnce(&mut Spool) -> T) -> T {
        run(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
