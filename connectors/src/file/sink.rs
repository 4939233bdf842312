//! The endpoint at work: what waits is written in one call, synced once, settled.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::event::Event;
use engine::lane::Enrichment;

use super::config::{LineFormat, NdjsonConfig};
use crate::cloudevents::{write_json_string, write_structured};
use crate::sink::{Feed, SinkStats};

/// Bytes that gather before they are written, while deliveries wait.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why the endpoint stopped. What is not settled comes again.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {error}; is the disk full, or the file not ours to write?")]
pub struct SinkError {
    path: PathBuf,
    error: io::Error,
}

/// Runs the endpoint on this thread until its feed ends.
pub fn run_blocking(config: NdjsonConfig, mut feed: Feed, stats: Arc<SinkStats>) -> Result<(), SinkError> {
    let failed = |error| SinkError { path: config.path.clone(), error };
    let mut file = open_at_end(&config.path).map_err(failed)?;
    let (mut lines, mut tickets) = (Vec::new(), Vec::new());
    while let Some(first) = feed.blocking_next() {
        let (mut next, mut events) = (Some(first), 0);
        while let Some(handed) = next {
            for event in handed.delivery.events() {
                write_line(&mut lines, &event, &handed.delivery.enrichments, config.format);
                events += 1;
            }
            tickets.push(handed.ticket);
            next = if lines.len() < GROUP_BYTES_MAX { feed.try_next() } else { None };
        }
        file.write_all(&lines).and_then(|()| file.sync_data()).map_err(failed)?;
        SinkStats::add(&stats.delivered_events, events);
        SinkStats::add(&stats.delivered_bytes, lines.len() as u64);
        lines.clear();
        tickets.drain(..).for_each(|ticket| ticket.settle());
    }
    Ok(())
}

/// Appends the line of an event. JSON may hold line breaks between its tokens, never inside them: they become spaces.
pub fn write_line(out: &mut Vec<u8>, event: &Event<'_>, enrichments: &[Enrichment], format: LineFormat) {
    let start = out.len();
    match format {
        LineFormat::CloudEvents => write_structured(event, enrichments, out),
        LineFormat::Data => {
            let data = event.data().unwrap_or(b"null");
            match serde_json::from_slice::<serde::de::IgnoredAny>(data) {
                Ok(_) => out.extend_from_slice(data),
                Err(_) => write_json_string(out, &String::from_utf8_lossy(data)),
            }
        }
    }
    for byte in &mut out[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    out.push(b'\n');
}

/// Opens the file at its end, without the line that a crash may have torn; makes its folder.
pub fn open_at_end(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir)?;
    }
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let end = file.seek(SeekFrom::End(0))?;
    let whole = whole_lines(&mut file, end)?;
    if whole < end {
        tracing::warn!(file = %path.display(), bytes = end - whole, "a torn last line is cut off");
        file.set_len(whole)?;
    }
    file.seek(SeekFrom::Start(whole))?;
    Ok(file)
}

/// Bytes up to and with the last line end.
fn whole_lines(file: &mut File, end: u64) -> io::Result<u64> {
    let mut piece = vec![0; 64 * 1024];
    let mut at = end;
    while at > 0 {
        let start = at.saturating_sub(piece.len() as u64);
        let part = &mut piece[..(at - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(found) = memchr::memrchr(b'\n', part) {
            return Ok(start + found as u64 + 1);
        }
        at = start;
    }
    Ok(0)
}
