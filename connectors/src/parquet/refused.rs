//! Events that cannot be rows, on their way into the endpoint's dead letter file; or dropped, where it has none.
//!
//! What always holds: an event is settled, with the file of its neighbours, only when its line is on the device or it is counted as
//! dropped. Lines gather until a file is finished or they are many, so that one sync serves them all. After a crash in between an
//! event may be there twice, never not at all.

use std::sync::Arc;

use engine::event::Event;

use super::config::ParquetConfig;
use super::spread::Refused;
use crate::sink::SinkStats;
use crate::webhook::Full;
use crate::webhook::dead_letter::{AppendError, DeadLetterFile, Head, write_line};

/// Why, as written in dead letters.
const REASON: &str = "SchemaMismatch";
/// Bytes of lines that are written without waiting for the end of a file.
const LINES_BYTES_MAX: usize = 1024 * 1024;

/// Dead letters cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum RefusedError {
    /// The file says no.
    #[error("{0}; nothing is settled that it does not hold")]
    Append(#[from] AppendError),
    /// Columns ask for dead letters, and there is no place for them.
    #[error("a column has on_mismatch = \"dead_letter\": name a file as `dead_letter`, or write \"drop\" there")]
    NoFile,
}

/// See the module.
#[derive(Debug, Default)]
pub struct DeadLetters {
    endpoint: String,
    file: Option<DeadLetterFile>,
    full: Full,
    lines: Vec<u8>,
    events: u64,
    stats: Arc<SinkStats>,
}

impl DeadLetters {
    /// Makes the file ready, if the endpoint may need it.
    pub fn open(endpoint: &str, config: &ParquetConfig, stats: Arc<SinkStats>) -> Result<Self, RefusedError> {
        let file = match config.dead_letter.as_deref() {
            _ if !config.has_dead_letters() => None,
            Some("drop") => None,
            Some(path) => Some(DeadLetterFile::open(path.into(), config.dead_letter_bytes_max)?),
            None => return Err(RefusedError::NoFile),
        };
        let full = config.dead_letter_full;
        Ok(Self { endpoint: endpoint.to_owned(), file, full, lines: Vec::new(), events: 0, stats })
    }

    /// Takes an event that was refused.
    pub fn add(&mut self, event: &Event<'_>, refused: &Refused) -> Result<(), RefusedError> {
        self.events += 1;
        if self.file.is_none() {
            return Ok(());
        }
        let head = Head {
            endpoint: &self.endpoint,
            reason: REASON,
            outcome: None,
            status: None,
            detail: Some(&refused.to_string()),
            attempts: 1,
            partition: event.partition(),
            offset: event.offset(),
            first_attempt: None,
            last_attempt: None,
        };
        write_line(&head, event, &mut self.lines);
        if self.lines.len() >= LINES_BYTES_MAX { self.write() } else { Ok(()) }
    }

    /// Returns when all that was taken is on the device, or counted as dropped.
    pub fn write(&mut self) -> Result<(), RefusedError> {
        if self.events == 0 {
            return Ok(());
        }
        let counter = match &self.file {
            None => &self.stats.dropped_events,
            Some(file) => match file.append(&self.lines) {
                Ok(()) => &self.stats.dead_lettered_events,
                Err(AppendError::Full { .. }) if self.full == Full::Drop => &self.stats.dropped_events,
                Err(error) => return Err(error.into()),
            },
        };
        SinkStats::add(counter, self.events);
        self.lines.clear();
        self.events = 0;
        Ok(())
    }
}
