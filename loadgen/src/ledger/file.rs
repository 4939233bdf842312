//! A ledger as a file, so that what comes out somewhere else or later can be held against what was sent.
//!
//! `LOADGENLEDGER1\n`, the length of a JSON header (u32), the header, then for every device the numbers sent and acknowledged in a
//! row (u32 each), then the pairs (device, event) out of the ordinary, then the CRC-32C of all of it; little endian. Written under
//! another name and renamed, so whoever waits for the file finds it whole.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crc_fast::{CrcAlgorithm, Digest};
use serde::{Deserialize, Serialize};

use super::Ledger;
use crate::fleet::{DEVICES_MAX, Model, ModelError};

const MAGIC: &[u8; 15] = b"LOADGENLEDGER1\n";
const HEADER_BYTES_MAX: u32 = 16 << 20;

/// A ledger with what is needed to make the events again.
#[derive(Clone, Debug)]
pub struct LedgerFile {
    /// What the devices are like.
    pub model: Arc<Model>,
    /// The fleet's seed.
    pub seed: u64,
    /// The sender got receipts; without them nothing counts as acknowledged.
    pub receipts: bool,
    /// What was sent and acknowledged.
    pub ledger: Ledger,
}

/// A ledger that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerFileError {
    /// The disk.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Not a ledger, or not whole.
    #[error("{}: {what}; write a new one with `loadgen http --ledger FILE` or `loadgen mqtt --ledger FILE`", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Its profile file is not understood.
    #[error("the profile in {}: {error}", path.display())]
    Model {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: ModelError,
    },
}

#[derive(Serialize, Deserialize)]
struct Header {
    seed: u64,
    receipts: bool,
    first: u32,
    devices: u32,
    sent_events: u64,
    acknowledged_events: u64,
    acknowledged_above: u64,
    repeated: u64,
    unknown: u64,
    profile: String,
}

impl LedgerFile {
    /// Writes it whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), LedgerFileError> {
        let temporary = path.with_extension("tmp");
        let io = |error| LedgerFileError::Io { path: path.to_owned(), error };
        self.write_to(&temporary).map_err(io)?;
        std::fs::rename(&temporary, path).map_err(io)
    }

    fn write_to(&self, path: &Path) -> io::Result<()> {
        let ledger = &self.ledger;
        let header = Header {
            seed: self.seed,
            receipts: self.receipts,
            first: ledger.first,
            devices: ledger.sent.len() as u32,
            sent_events: ledger.sent_events,
            acknowledged_events: ledger.acknowledged_events,
            acknowledged_above: ledger.acknowledged_above.len() as u64,
            repeated: ledger.repeated.len() as u64,
            unknown: ledger.unknown.len() as u64,
            profile: self.model.source().to_owned(),
        };
        let header = serde_json::to_vec(&header)?;
        let mut out = Summed { inner: BufWriter::new(File::create(path)?), sum: digest() };
        out.write_all(MAGIC)?;
        out.write_all(&(header.len() as u32).to_le_bytes())?;
        out.write_all(&header)?;
        for numbers in [&ledger.sent, &ledger.acknowledged_below] {
            for number in numbers {
                out.write_all(&number.to_le_bytes())?;
            }
        }
        for pairs in [&ledger.acknowledged_above, &ledger.repeated, &ledger.unknown] {
            for (device, seq) in pairs {
                out.write_all(&device.to_le_bytes())?;
                out.write_all(&seq.to_le_bytes())?;
            }
        }
        let sum = out.sum.finalize() as u32;
        out.inner.write_all(&sum.to_le_bytes())?;
        out.inner.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }

    /// Reads it and checks that it is whole.
    pub fn read(path: &Path) -> Result<Self, LedgerFileError> {
        let io = |error| LedgerFileError::Io { path: path.to_owned(), error };
        let wrong = |what: &str| LedgerFileError::Format { path: path.to_owned(), what: what.to_owned() };
        let cut = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => wrong("the file is cut off"),
            _ => io(error),
        };
        let file = File::open(path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        let mut input = Summed { inner: BufReader::new(file), sum: digest() };
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic).map_err(|_| wrong("this is no ledger"))?;
        if magic != *MAGIC {
            return Err(wrong("this is no ledger"));
        }
        let length = input.number().map_err(cut)?;
        if length > HEADER_BYTES_MAX || u64::from(length) > bytes {
            return Err(wrong("its header is longer than any"));
        }
        let mut header = vec![0; length as usize];
        input.read_exact(&mut header).map_err(cut)?;
        let header: Header = serde_json::from_slice(&header).map_err(|error| wrong(&format!("its header: {error}")))?;
        // The counts are believed only as far as the file has bytes for them.
        let pairs = [header.acknowledged_above, header.repeated, header.unknown];
        let wanted = pairs
            .iter()
            .try_fold(u64::from(header.devices), |sum, &pairs| sum.checked_add(pairs))
            .and_then(|entries| entries.checked_mul(8))
            .and_then(|body| body.checked_add(MAGIC.len() as u64 + 4 + u64::from(length) + 4));
        if wanted != Some(bytes) || header.first.checked_add(header.devices).is_none_or(|end| end > DEVICES_MAX) {
            return Err(wrong("its length is not what its header says"));
        }
        let mut numbers = || (0..header.devices).map(|_| input.number()).collect::<io::Result<Vec<u32>>>();
        let (sent, acknowledged_below) = (numbers().map_err(cut)?, numbers().map_err(cut)?);
        let mut sets = pairs
            .iter()
            .map(|&pairs| (0..pairs).map(|_| Ok((input.number()?, input.number()?))).collect::<io::Result<_>>());
        let mut set = || sets.next().expect("three sets").map_err(cut);
        let (acknowledged_above, repeated, unknown) = (set()?, set()?, set()?);
        let sum = input.sum.finalize() as u32;
        let mut kept = [0; 4];
        input.inner.read_exact(&mut kept).map_err(cut)?;
        if u32::from_le_bytes(kept) != sum {
            return Err(wrong("its checksum is wrong"));
        }
        let model =
            Model::parse(&header.profile).map_err(|error| LedgerFileError::Model { path: path.to_owned(), error })?;
        let ledger = Ledger {
            first: header.first,
            sent,
            acknowledged_below,
            acknowledged_above,
            repeated,
            unknown,
            sent_events: header.sent_events,
            acknowledged_events: header.acknowledged_events,
        };
        Ok(Self { model: Arc::new(model), seed: header.seed, receipts: header.receipts, ledger })
    }
}

fn digest() -> Digest {
    Digest::new(CrcAlgorithm::Crc32Iscsi)
}

/// Sums up what passes through.
struct Summed<T> {
    inner: T,
    sum: Digest,
}

impl<T: Write> Summed<T> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<T: Read> Summed<T> {
    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(bytes)?;
        self.sum.update(bytes);
        Ok(())
    }

    fn number(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> LedgerFile {
        let mut ledger = Ledger::new(50..60);
        for seq in 0..7 {
            for device in 50..60 {
                ledger.send(device, seq);
                if (device + seq) % 3 > 0 {
                    ledger.acknowledge(device, seq);
                }
            }
        }
        ledger.repeat(51, 2);
        ledger.give_up(59, 6);
        LedgerFile { model: Model::telemetry(), seed: 77, receipts: true, ledger }
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.ledger");
        let wanted = kept();
        wanted.write(&path).unwrap();
        let read = LedgerFile::read(&path).unwrap();
        assert_eq!((read.seed, read.receipts, read.model.source()), (77, true, wanted.model.source()));
        assert_eq!(format!("{:?}", read.ledger), format!("{:?}", wanted.ledger));
        assert!(!path.with_extension("tmp").exists());
    }

    #[test]
    fn what_is_no_whole_ledger_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.ledger");
        kept().write(&path).unwrap();
        let good = std::fs::read(&path).unwrap();
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            LedgerFile::read(&path).err().map(|error| error.to_string())
        };
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 4;
            assert!(refused(&bad).is_some(), "byte {at} of {}", good.len());
        }
        for length in 0..good.len() {
            assert!(refused(&good[..length]).is_some(), "cut at {length}");
        }
        assert!(refused(b"hello").unwrap().contains("this is no ledger"));
    }
}
