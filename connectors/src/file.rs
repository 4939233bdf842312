//! The NDJSON endpoint: one line per event, appended to a file.
//!
//! What always holds: deliveries are settled after their lines are on the device; a start cuts off a line that a crash tore; at
//! least once, since a crash between sync and cursor brings lines again.

mod config;
mod sink;

#[cfg(test)]
mod tests;

pub use config::{LineFormat, NdjsonConfig};
pub use sink::{SinkError, open_at_end, run_blocking, write_line};
