//! Bulk NDJSON: one JSON value per line, decoded chunk by chunk as the body comes. No socket, no clock.
//!
//! Lines are parsed where they lie; only a line that a chunk cuts in two is copied. A bad line is counted, described and passed
//! over. White space around a line and empty lines are allowed.

use engine::batch::{HeaderWriter, PushError};
use engine::parse::{Kind, Parser, Value};

use super::problem::{ERRORS_LISTED_MAX, EventError};
use super::stats::RejectReason;
use crate::intake::Submission;

/// A JSON pointer (RFC 6901) to the partition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPointer(Vec<String>);

impl KeyPointer {
    /// Parses a pointer; the message says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(format!("the key pointer '{text}' does not begin with '/'"));
        };
        Ok(Self(rest.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect()))
    }

    fn find<'d>(&self, root: Value<'d>) -> Option<Value<'d>> {
        self.0.iter().try_fold(root, |value, step| match value.kind() {
            Kind::Array(_) => value.at(step.parse().ok()?),
            _ => value.get(step),
        })
    }

    /// The partition key of a document: a string, or an integer as it is written, for which `room` is. The message says what is wrong.
    pub fn key<'k>(&self, root: Value<'k>, room: &'k mut String) -> Result<&'k [u8], String> {
        use std::fmt::Write;
        let what = match self.find(root).map(Value::kind) {
            Some(Kind::String(text)) if !text.is_empty() && text.len() <= engine::limits::KEY_BYTES_MAX => {
                return Ok(text.as_bytes());
            }
            Some(Kind::Int(number)) => {
                room.clear();
                write!(room, "{number}").expect("writing to a string");
                return Ok(room.as_bytes());
            }
            None => "nothing is there",
            Some(Kind::String("")) => "an empty string is there",
            Some(Kind::String(_)) => "a string longer than 1024 bytes is there",
            Some(_) => "another kind of value is there",
        };
        let pointer = self.0.join("/");
        Err(format!("the partition key must be a string or an integer at /{pointer}: {what}"))
    }
}

/// Decodes the lines of one body into a submission.
#[derive(Debug)]
pub struct LineDecoder {
    parser: Parser,
    /// The beginning of a line that its chunk did not end.
    carry: Vec<u8>,
    /// The line under way is too long: drop it up to its end.
    skipping: bool,
    event_bytes_max: usize,
    key: Option<KeyPointer>,
    key_text: String,
    /// The same for every line of the body.
    headers: HeaderWriter,
    rejects: Rejects,
}

/// The bad lines of a body, and where the decoder is.
#[derive(Debug, Default)]
struct Rejects {
    line: u64,
    counts: [u64; RejectReason::ALL.len()],
    errors: Vec<EventError>,
}

impl Rejects {
    #[cold]
    fn add(&mut self, reason: RejectReason, detail: String) {
        self.counts[reason as usize] += 1;
        if self.errors.len() < ERRORS_LISTED_MAX {
            self.errors.push(EventError { index: None, line: Some(self.line), reason: reason.name(), detail });
        }
    }
}

impl LineDecoder {
    /// A decoder for one body. `headers` are stored with every event.
    pub fn new(key: Option<KeyPointer>, headers: HeaderWriter, event_bytes_max: usize) -> Self {
        Self {
            parser: Parser::default(),
            carry: Vec::new(),
            skipping: false,
            event_bytes_max,
            key,
            key_text: String::new(),
            headers,
            rejects: Rejects::default(),
        }
    }

    /// Takes the next piece of the body.
    pub fn chunk(&mut self, chunk: &[u8], now_ms: i64, into: &mut Submission) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            let piece = &chunk[start..end];
            start = end + 1;
            if self.skipping {
                self.skipping = false;
                self.too_large();
            } else if self.carry.is_empty() {
                self.line(piece, now_ms, into);
            } else {
                let mut line = std::mem::take(&mut self.carry);
                line.extend_from_slice(piece);
                self.line(&line, now_ms, into);
                line.clear();
                self.carry = line;
            }
        }
        self.keep(&chunk[start..]);
    }

    /// The body has ended: what is left is the last line.
    pub fn finish(&mut self, now_ms: i64, into: &mut Submission) {
        if self.skipping {
            self.skipping = false;
            self.too_large();
        } else if !self.carry.is_empty() {
            let line = std::mem::take(&mut self.carry);
            self.line(&line, now_ms, into);
        }
    }

    /// Lines that were refused.
    pub fn rejected(&self) -> u64 {
        self.rejects.counts.iter().sum()
    }

    /// Lines that were refused, by reason.
    pub fn rejected_by_reason(&self) -> impl Iterator<Item = (RejectReason, u64)> + '_ {
        RejectReason::ALL.into_iter().zip(self.rejects.counts).filter(|(_, count)| *count > 0)
    }

    /// The first of them.
    pub fn errors(&self) -> &[EventError] {
        &self.rejects.errors
    }

    fn keep(&mut self, rest: &[u8]) {
        if self.skipping || rest.is_empty() {
            return;
        }
        // A key, white space and a line end may come on top of the event itself.
        if self.carry.len() + rest.len() > self.event_bytes_max + 4096 {
            self.carry = Vec::new();
            self.skipping = true;
        } else {
            self.carry.extend_from_slice(rest);
        }
    }

    fn line(&mut self, line: &[u8], now_ms: i64, into: &mut Submission) {
        self.rejects.line += 1;
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        if line.len() > self.event_bytes_max {
            self.rejects.line -= 1;
            return self.too_large();
        }
        let document = match self.parser.parse(line) {
            Ok(document) => document,
            Err(error) => {
                let detail = format!("not valid JSON: {error}");
                return self.rejects.add(RejectReason::MalformedJson, detail);
            }
        };
        let key = match &self.key {
            None => None,
            Some(pointer) => match pointer.key(document.root(), &mut self.key_text) {
                Ok(key) => Some(key),
                Err(detail) => return self.rejects.add(RejectReason::MissingKey, detail),
            },
        };
        let pushed = into.push(key, line, &self.headers, now_ms);
        if let Err(error) = pushed {
            let reason = match error {
                PushError::TooLarge { .. } => RejectReason::TooLarge,
                PushError::Full | PushError::TooManyHeaders => RejectReason::InvalidEvent,
            };
            self.rejects.add(reason, error.to_string());
        }
    }

    #[cold]
    fn too_large(&mut self) {
        self.rejects.line += 1;
        let detail = format!("the line is longer than event_bytes_max, {} bytes", self.event_bytes_max);
        self.rejects.add(RejectReason::TooLarge, detail);
    }
}
