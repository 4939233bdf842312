//! The live tail: follows the NDJSON file that the critical events are written to, counts its lines and keeps the last few.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;

use serde_json::Value;

use super::session::DemoError;
use super::view::CRITICAL_LINES;

/// Follows one file. A line counts once its end is there.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    file: Option<File>,
    rest: Vec<u8>,
    lines: u64,
    last: VecDeque<String>,
}

impl Tail {
    /// Follows `path`, which may come into being later.
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None, rest: Vec::new(), lines: 0, last: VecDeque::new() }
    }

    /// Reads what has been added since the last time.
    pub fn follow(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => match File::open(&self.path) {
                Ok(file) => self.file.insert(file),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            },
        };
        file.read_to_end(&mut self.rest)?;
        let Some(end) = self.rest.iter().rposition(|&byte| byte == b'\n') else { return Ok(()) };
        for line in self.rest[..end].split(|&byte| byte == b'\n') {
            self.lines += 1;
            if self.last.len() == CRITICAL_LINES {
                self.last.pop_front();
            }
            self.last.push_back(describe(line));
        }
        self.rest.drain(..=end);
        Ok(())
    }

    /// The error of [`follow`](Self::follow) with the file's name.
    pub fn error(&self, error: io::Error) -> DemoError {
        DemoError::Tail { path: self.path.clone(), error }
    }

    /// Lines so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The last few, newest last.
    pub fn last(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }
}

/// One event as a line for people: a CloudEvent with the telemetry as its data, or the telemetry itself.
fn describe(line: &[u8]) -> String {
    let Ok(event) = serde_json::from_slice::<Value>(line) else { return String::from_utf8_lossy(line).into_owned() };
    let data = event.get("data").unwrap_or(&event);
    let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
    let number = |name: &str| data.get(name).map_or_else(|| "?".to_owned(), Value::to_string);
    format!(
        "{}  {}  {}  temp {:>5} °C  battery {:>3} %  rssi {} dBm  fw {}  event {}",
        text("device_id"),
        text("site"),
        text("status"),
        number("temp"),
        number("battery"),
        number("rssi"),
        text("fw"),
        number("seq"),
    )
}
