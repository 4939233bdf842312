//! The one runner that holds every fast path equal to its twin: used by tests, by fuzz targets and by the mutation run.
//!
//! What always holds: the expected answer comes from code that shares nothing with what is checked (simd-json's tape and
//! serde_json for values, the interpreter for filters), and a difference is reported with the input that shows it.

pub mod json;
pub mod mutate;
