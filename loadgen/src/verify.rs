//! What came out, held against what was sent: from files, from the hub, or as it arrives.
//!
//! What always holds: a place is read as it is, by means of its own (HTTP, MQTT, Parquet's own reader), never through the code that
//! wrote it; memory is a bit or two per event sent and some bytes per device, however much is read; what is wrong is counted exactly and the first of each
//! kind is named.

mod hub;
mod lines;
mod parquet;
mod spool;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

use crate::fleet::Filter;
use crate::ledger::{LedgerFile, Verifier};

pub use hub::hub;
pub use lines::lines;
pub use parquet::parquet;
pub use spool::{SharedSpool, Spool};

/// What is to be found where one looks.
#[derive(Debug)]
pub struct Question {
    /// What was sent.
    pub kept: LedgerFile,
    /// The place should hold the matching events only.
    pub filter: Option<Filter>,
    /// All that was sent is expected, acknowledged or not.
    pub expect_sent: bool,
}

impl Question {
    /// A verifier that knows the answer.
    pub fn verifier(&self) -> Verifier<'_> {
        let mut verifier = match &self.filter {
            None => self.kept.ledger.verifier(),
            Some(filter) => self.kept.ledger.verifier_of(|device, seq| filter.matches(self.kept.seed, device, seq)),
        };
        if self.expect_sent {
            verifier.expect_sent();
        }
        verifier
    }
}

/// Why a place could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A Parquet file.
    #[error("{}: {what}", path.display())]
    Parquet {
        /// Which.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// The hub.
    #[error("{url}: {what}")]
    Hub {
        /// What was asked for.
        url: String,
        /// Why.
        what: String,
    },
}

/// Told from time to time how many rows have been read.
pub type Told<'a> = &'a mut dyn FnMut(u64);
