//! Reading a dead letter file line by line, with the place of each line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::path::Path;

use super::DeadLetter;

/// Longest line: an event of the engine's largest size, with every byte escaped.
const LINE_BYTES_MAX: u64 = 8 * engine::limits::EVENT_BYTES_MAX as u64;

/// Why the file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line that no dead letter can have.
    #[error("line {number} is longer than {LINE_BYTES_MAX} bytes; this is no dead letter file")]
    LineTooLong {
        /// Counted from 1.
        number: u64,
    },
}

/// One line.
#[derive(Debug)]
pub struct Line {
    /// Counted from 1.
    pub number: u64,
    /// Its bytes in the file, line feed included.
    pub range: Range<u64>,
    /// What it says; the error of the JSON where it is no dead letter.
    pub letter: Result<DeadLetter, serde_json::Error>,
}

/// The whole lines of a file. A torn last line is left out.
#[derive(Debug)]
pub struct Lines {
    source: BufReader<File>,
    number: u64,
    at: u64,
}

impl Lines {
    /// Opens the file for reading only.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { source: BufReader::new(File::open(path)?), number: 0, at: 0 })
    }
}

impl Iterator for Lines {
    type Item = Result<Line, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut text = Vec::new();
        if let Err(error) = self.source.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut text) {
            return Some(Err(error.into()));
        }
        self.number += 1;
        if text.last() != Some(&b'\n') {
            let too_long = text.len() as u64 == LINE_BYTES_MAX;
            return too_long.then_some(Err(ReadError::LineTooLong { number: self.number }));
        }
        let start = self.at;
        self.at += text.len() as u64;
        Some(Ok(Line { number: self.number, range: start..self.at, letter: serde_json::from_slice(&text) }))
    }
}
