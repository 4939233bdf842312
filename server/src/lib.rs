//! The binary `anabranch` as a library, so that tests can start its parts.

pub mod api;
pub mod dead_letters;
pub mod explain;
pub mod metrics;
pub mod render;
pub mod tail;
