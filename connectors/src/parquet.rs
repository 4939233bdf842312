//! The Parquet endpoint: events as typed columns in files that analysts read with any engine.
//!
//! A file holds events of one partition and its name says which offsets it covers: `p00007-first-last.parquet`. It is written under
//! a temporary name, synced and renamed, or put into an object store at once; only then are its deliveries settled. What always holds:
//! a file under its final name is whole; no offset is in two files, for what the names cover is never written again; nothing of an
//! event is dropped in silence: what has no column goes to `_rest`, what is no JSON to `_data`. `docs/parquet.md` shows the columns.

mod cells;
mod columns;
mod commit;
mod compact;
mod config;
mod convert;
mod decimal;
mod declared;
mod delta;
mod encoder;
mod encoding;
mod file;
mod fit;
mod folders;
mod gather;
mod inspect;
mod kept;
mod layout;
mod learn;
mod lists;
mod manifest;
mod names;
mod nest;
mod open_file;
mod pages;
mod piece;
mod refused;
mod rest;
mod schema;
mod seen;
mod sink;
mod slot;
mod sorter;
mod spread;
mod stats;
mod store;
mod system;
mod table;
mod time;
mod tree;
mod types;

#[cfg(test)]
mod tests;

pub use cells::{Cells, Plan};
pub use config::{Compression, ParquetConfig, StoreConfig};
pub use declared::{ColumnConfig, Nested, OnMismatch};
pub use encoder::{Encoded, Encoder};
pub use file::{FileError, FileWriter, Finished, Pushed, prepare_dir};
pub use fit::{Fit, Misfit};
pub use inspect::{
    ColumnReport, FileReport, InspectError, Overlap, PartitionReport, Range, Report, SchemaReport, inspect_blocking,
};
pub use kept::{Change, Widened};
pub use learn::{Bounds, Learner, Learnt, Refusal, Why};
pub use names::resume_offsets;
pub use pages::PageRoom;
pub use piece::Piece;
pub use refused::{DeadLetters, RefusedError};
pub use schema::{Column, Schema, SchemaError};
pub use sink::{SinkError, run_blocking};
pub use spread::Refused;
pub use store::{Local, Place, StoreError};
pub use table::{Body, Table};
pub use types::{ColumnType, NoType, Unit};
