//! The HTTP listener: CloudEvents in three modes, bulk NDJSON, and IoT Hub's device path, over hyper, one accept loop per core.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /events` | one CloudEvent (binary or structured), a batch, or NDJSON | 200 and a receipt |
//! | `POST /devices/{id}[/modules/{id}]/messages/events` | one message, or IoT Hub's JSON batch | 204 |
//!
//! Everything else goes to the node's API. What always holds: an answer of success comes after the listener's ack level; one bad
//! event refuses a CloudEvents request whole, and costs NDJSON its line only; every refusal is a problem of RFC 9457 that names
//! the event, the reason and the way out; memory per connection is bounded by the limits of the configuration.

mod body;
mod config;
mod events;
mod iothub;
mod ndjson;
mod problem;
mod receipt;
mod source;
mod stats;

#[cfg(test)]
mod tests;

pub use config::HttpConfig;
pub use ndjson::KeyPointer;
pub use problem::Problem;
pub use source::{Fallback, ResponseBody, serve};
pub use stats::{HttpStats, RejectReason};
