//! The Parquet endpoint: events as typed columns in files that analysts read with any engine.
//!
//! A file holds events of one partition and its name says which offsets it covers: `p00007-first-last.parquet`. It is written under
//! a temporary name, synced and renamed, or put into an object store at once; only then are its deliveries settled. What always holds:
//! a file under its final name is whole; no offset is in two files, for what the names cover is never written again; nothing of an
//! event is dropped in silence: what has no column goes to `_rest`, what is no JSON to `_data`. `docs/parquet.md` shows the columns.

mod columns;
mod commit;
mod compact;
mod config;
mod delta;
mod encoder;
mod encoding;
mod file;
mod folders;
mod inspect;
mod layout;
mod learn;
mod manifest;
mod names;
mod open_file;
mod rest;
mod schema;
mod sink;
mod sorter;
mod stats;
mod store;
mod system;
mod table;

#[cfg(test)]
mod tests;

pub use config::{ColumnConfig, ColumnType, Compression, ParquetConfig, StoreConfig};
pub use file::{FileError, FileWriter, Finished, prepare_dir};
pub use inspect::{
    ColumnReport, FileReport, InspectError, Overlap, PartitionReport, Range, Report, SchemaReport, inspect_blocking,
};
pub use learn::Learner;
pub use names::resume_offsets;
pub use schema::{Column, Schema, SchemaError};
pub use sink::{SinkError, run_blocking};
pub use store::{Local, Place, StoreError};
pub use table::Table;
