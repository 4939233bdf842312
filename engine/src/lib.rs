//! The pure core of Anabranch: events in, "which rows go to which endpoint" out.
//!
//! What always holds here:
//! - **No world.** No clock, socket, file, thread or log line: time is an argument, bytes go in, effects come out.
//!   `clippy.toml` beside this crate and `tests/` hold the rule.
//! - **The batch is the unit.** No function between stages takes one event; one event is a batch of one.
//! - **Everything is bounded**, and every bound stands in [`limits`].
//! - **One meaning.** Every fast path has a naive twin in this crate and a runner that holds the two equal.
//!
//! The modules in reading order; a module uses only those before it (`tests/it/layers.rs` checks).

pub mod limits;
mod sync;
pub mod ring;
pub mod event;
pub mod batch;
pub mod log;
pub mod mesh;
pub mod parse;
pub mod filter;
pub mod lane;
pub mod route;
pub mod shard;
pub mod cursor;
