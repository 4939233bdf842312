//! Everything that touches the world: one folder per protocol or format, both directions.
//!
//! A listener knows the [`intake`] of its core and nothing behind it; an endpoint's sink knows its [`sink::Feed`] and nothing
//! before it. Codecs and sessions take bytes and return values; only `source.rs`, `sink.rs` and the writer threads open anything.

pub mod config;
pub mod rate_limited;
pub mod intake;
pub mod sink;
pub mod cloudevents;
pub mod iothub;
pub mod http;
pub mod hub;
pub mod mqtt;
pub mod parquet;
pub mod quic;
pub mod file;
pub mod webhook;
