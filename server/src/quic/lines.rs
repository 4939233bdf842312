//! Lines of standard input as events: JSON values, or structured CloudEvents.

use std::io;

use connectors::cloudevents::Decoder;
use connectors::http::KeyPointer;
use connectors::quic::client::NewEvent;
use engine::batch::HeaderWriter;
use engine::event::put_attribute;
use engine::limits::EVENT_BYTES_MAX;
use engine::parse::{Kind, Parser};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// An event, and room for the rest of a structured one.
const LINE_BYTES_MAX: usize = 2 * EVENT_BYTES_MAX;
/// Bytes that are read at a time.
const INPUT_BYTES: usize = 256 * 1024;

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A line, without its end: [`Lines::line`].
    Line,
    /// A line that is longer than an event can be; it is passed over.
    TooLong,
    /// That was all.
    End,
}

/// Reads lines, each with a bound.
pub(super) struct Lines<R> {
    from: BufReader<R>,
    line: Vec<u8>,
    /// The line has begun and its end has not come.
    is_open: bool,
    is_too_long: bool,
    read_bytes: u64,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub fn new(from: R) -> Self {
        let from = BufReader::with_capacity(INPUT_BYTES, from);
        Self { from, line: Vec::new(), is_open: false, is_too_long: false, read_bytes: 0 }
    }

    /// The next line. May be dropped while it waits: nothing is lost.
    pub async fn next(&mut self) -> io::Result<Read> {
        loop {
            let chunk = self.from.fill_buf().await?;
            if chunk.is_empty() && !self.is_open {
                return Ok(Read::End);
            }
            if !std::mem::replace(&mut self.is_open, true) {
                self.line.clear();
                self.is_too_long = false;
            }
            let end = memchr::memchr(b'\n', chunk);
            let part = &chunk[..end.unwrap_or(chunk.len())];
            if self.line.len() + part.len() > LINE_BYTES_MAX {
                self.is_too_long = true;
                self.line = Vec::new();
            }
            if !self.is_too_long {
                self.line.extend_from_slice(part);
            }
            let is_last = end.is_some() || chunk.is_empty();
            let taken = end.map_or(chunk.len(), |end| end + 1);
            self.from.consume(taken);
            self.read_bytes += taken as u64;
            if is_last {
                self.is_open = false;
                return Ok(if self.is_too_long { Read::TooLong } else { Read::Line });
            }
        }
    }

    /// The line that was read last.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// Another line is there already.
    pub fn has_more(&self) -> bool {
        self.from.buffer().contains(&b'\n')
    }

    /// Bytes that were read since this was asked last.
    pub fn take_read_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.read_bytes)
    }
}

/// Makes events of lines.
pub(super) struct Events {
    parser: Parser,
    decoder: Decoder,
    key: Option<KeyPointer>,
    key_text: String,
    /// Attributes of lines that are no CloudEvents.
    attributes: Vec<(&'static str, String)>,
}

impl Events {
    pub fn new(key: Option<KeyPointer>, attributes: Vec<(&'static str, String)>) -> Self {
        Self { parser: Parser::default(), decoder: Decoder::default(), key, key_text: String::new(), attributes }
    }

    /// The event of a line; none if it is blank. The message says what is wrong with it.
    pub fn of(&mut self, line: &[u8]) -> Result<Option<NewEvent>, String> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(None);
        }
        let document = self.parser.parse(line).map_err(|error| format!("not valid JSON: {error}"))?;
        let root = document.root();
        let mut headers = HeaderWriter::default();
        if matches!(root.kind(), Kind::Object(_)) && root.get("specversion").is_some() {
            let decoded = self.decoder.decode(line, &mut headers).map_err(|error| error.to_string())?;
            let key = Some(decoded.key).filter(|key| !key.is_empty());
            return Ok(Some(NewEvent::of_parts(key, decoded.data, headers)));
        }
        let key = match &self.key {
            Some(pointer) => Some(pointer.key(root, &mut self.key_text)?),
            None => None,
        };
        self.attributes.iter().for_each(|(name, value)| put_attribute(&mut headers, name, value));
        Ok(Some(NewEvent::of_parts(key, line, headers)))
    }
}
