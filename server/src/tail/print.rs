//! Events on the terminal.

use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::{Map, Value};

use super::follow::Page;

/// How events are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One CloudEvent per line, as the node wrote it.
    Ndjson,
    /// Partition, offset, time, type and source in columns, then the data.
    Pretty,
}

/// Prints the first `count` events of the page and flushes.
pub(super) fn print(out: &mut impl Write, page: &Page, count: usize, format: Format) -> io::Result<()> {
    for (event, offset) in page.events.iter().zip(&page.offsets).take(count) {
        match format {
            // Data that is JSON stands in the event as it came, line breaks included; between tokens they mean nothing.
            Format::Ndjson => out.write_all(event.get().replace(['\n', '\r'], " ").as_bytes())?,
            Format::Pretty => pretty(out, page.partition, *offset, event.get())?,
        }
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// One structured CloudEvent in columns: partition and offset, time, type, source, subject, data. Without a line end.
pub(crate) fn pretty(out: &mut impl Write, partition: u32, offset: u64, event: &str) -> io::Result<()> {
    let event: Map<String, Value> = serde_json::from_str(event).unwrap_or_default();
    let text = |name| event.get(name).and_then(Value::as_str).unwrap_or("-");
    let place = format!("{partition}:{offset}");
    let (time, kind, source) = (text("time"), text("type"), text("source"));
    write!(out, "{place:<12} {} {} {}", clean(time), clean(kind), clean(source))?;
    if let Some(subject) = event.get("subject").and_then(Value::as_str) {
        write!(out, " {}", clean(subject))?;
    }
    if let Some(data) = event.get("data").or_else(|| event.get("data_base64")) {
        write!(out, " {data}")?;
    }
    Ok(())
}

/// Attributes come from outside: none of their control characters reaches the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
