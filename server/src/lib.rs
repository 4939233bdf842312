//! The binary `anabranch` as a library, so that tests can start its parts.

pub mod api;
pub mod dead_letters;
pub mod metrics;
pub mod tail;
