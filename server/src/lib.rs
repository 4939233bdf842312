//! The binary `anabranch` as a library, so that tests can start its parts.
//!
//! It owns every thread and socket of the node: [`node`] puts listeners, shards, log and endpoints together from a [`config`],
//! [`run`] makes a process of it, and the other commands are clients or use parts of it.

pub mod api;
pub mod banner;
pub mod check;
pub mod cli;
pub mod config;
pub mod dead_letters;
pub mod demo;
pub mod explain;
pub mod logging;
pub mod metrics;
pub mod mqtt;
pub mod node;
pub mod parquet;
pub mod pipe;
pub mod render;
pub(crate) mod progress;
pub mod quic;
pub mod replay;
pub mod run;
pub mod signals;
pub mod state;
pub mod tail;
pub mod time_span;
