//! Reads a file in large pieces that end at line ends. Memory is bounded by the longest line.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use engine::batch::HEADER_BYTES;

/// Bytes read at once: they are to be in the second-level cache still when they are parsed.
const CHUNK_BYTES: usize = 256 * 1024;
/// Longest line: larger than any event that a node takes.
const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A file or standard input, line by line. In front of the lines its buffer has room for the header of a batch.
pub struct Lines {
    source: Box<dyn Read>,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were handed out.
    used: usize,
    /// Bytes of the buffer that were read.
    filled: usize,
    line: u64,
    /// Line ends in the bytes that were handed out, where somebody has counted them.
    ends: Option<u64>,
    is_over: bool,
}

/// Whole lines.
pub struct Chunk<'l> {
    /// The bytes, with the line ends.
    pub bytes: &'l [u8],
    /// Number of the first line, from 1.
    pub first_line: u64,
}

impl<'l> Chunk<'l> {
    /// It was all there was to be had at once.
    pub fn is_short(&self) -> bool {
        self.bytes.len() < CHUNK_BYTES / 2
    }

    /// The lines without their ends.
    pub fn lines(&self) -> impl Iterator<Item = &'l [u8]> + use<'l> {
        let mut rest = Some(self.bytes.strip_suffix(b"\n").unwrap_or(self.bytes));
        std::iter::from_fn(move || {
            let bytes = rest?;
            let end = memchr::memchr(b'\n', bytes);
            rest = end.map(|end| &bytes[end + 1..]);
            Some(&bytes[..end.unwrap_or(bytes.len())])
        })
    }
}

impl Lines {
    /// Opens a file; `-` is standard input.
    pub fn open(path: &Path) -> io::Result<Self> {
        let source: Box<dyn Read> =
            if path.as_os_str() == "-" { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
        Ok(Self::new(source))
    }

    /// Reads from `source`.
    pub fn new(source: Box<dyn Read>) -> Self {
        let buffer = vec![0; HEADER_BYTES + CHUNK_BYTES];
        Self { source, buffer, used: HEADER_BYTES, filled: HEADER_BYTES, line: 1, ends: None, is_over: false }
    }

    /// Reads the next lines; `false` at the end.
    pub fn read_chunk(&mut self) -> io::Result<bool> {
        let ends = self.ends.take();
        self.line +=
            ends.unwrap_or_else(|| memchr::memchr_iter(b'\n', &self.buffer[HEADER_BYTES..self.used]).count() as u64);
        self.buffer.copy_within(self.used..self.filled, HEADER_BYTES);
        self.filled -= self.used - HEADER_BYTES;
        self.used = HEADER_BYTES;
        let mut searched = HEADER_BYTES;
        loop {
            if let Some(end) = memchr::memrchr(b'\n', &self.buffer[searched..self.filled]) {
                self.used = searched + end + 1;
                break;
            }
            searched = self.filled;
            if self.is_over {
                self.used = self.filled;
                break;
            }
            if self.filled == self.buffer.len() {
                if self.buffer.len() >= LINE_BYTES_MAX {
                    return Err(io::Error::other(format!("line {} is longer than {LINE_BYTES_MAX} bytes", self.line)));
                }
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
            match self.source.read(&mut self.buffer[self.filled..]) {
                Ok(0) => self.is_over = true,
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.used > HEADER_BYTES)
    }

    /// What was read.
    pub fn chunk(&self) -> Chunk<'_> {
        Chunk { bytes: &self.buffer[HEADER_BYTES..self.used], first_line: self.line }
    }

    /// The memory in which the chunk lies, behind [`HEADER_BYTES`]; to be [given back](Self::give_back).
    pub fn lend(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    /// Ends a loan, in which line ends were counted.
    pub fn give_back(&mut self, buffer: Vec<u8>, ends: u64) {
        self.buffer = buffer;
        self.ends = Some(ends);
    }
}
