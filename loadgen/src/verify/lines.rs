//! Lines of JSON: events as they are, or in the envelope of a CloudEvent, as `anabranch tail` and file sinks write them.

use std::io::{self, BufRead, Read};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Told;
use crate::ledger::Verifier;

/// A line is not longer.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// Where an envelope says that it is one.
const ENVELOPE_BYTES: usize = 512;
/// Rows between two words about progress.
const TELL_EVERY: u64 = 65_536;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Shows all lines; their numbers are the positions.
pub fn lines(verifier: &mut Verifier<'_>, input: &mut impl BufRead, told: Told<'_>) -> io::Result<u64> {
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        let count = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if count == 0 {
            return Ok(number);
        }
        number += 1;
        if !line.ends_with(b"\n") && count as u64 == LINE_BYTES_MAX {
            verifier.corrupt(|| format!("line {number} is longer than {LINE_BYTES_MAX} bytes"));
            skip_line(input)?;
            continue;
        }
        see_line(verifier, line.trim_ascii(), number);
        if number.is_multiple_of(TELL_EVERY) {
            told(number);
        }
    }
}

/// Shows one line that is not empty.
pub(super) fn see_line(verifier: &mut Verifier<'_>, line: &[u8], position: u64) {
    if line.is_empty() {
        return;
    }
    match payload(line) {
        Ok(payload) => verifier.see_payload(payload, position),
        Err(why) => verifier.corrupt(|| format!("line {position} begins like a CloudEvent and is none: {why}")),
    }
}

/// The event's own bytes.
fn payload(line: &[u8]) -> Result<&[u8], serde_json::Error> {
    let head = &line[..line.len().min(ENVELOPE_BYTES)];
    if memchr::memmem::find(head, b"\"specversion\"").is_none() {
        return Ok(line);
    }
    let envelope: Envelope<'_> = serde_json::from_slice(line)?;
    Ok(envelope.data.map_or(&b""[..], |data| data.get().as_bytes()))
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = memchr::memchr(b'\n', buffer);
        let length = end.map_or(buffer.len(), |at| at + 1);
        input.consume(length);
        if end.is_some() {
            return Ok(());
        }
    }
}
