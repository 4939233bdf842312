//! Column chunks by our own code: page bodies, dictionaries, statistics and indices of flat columns. The crate's writer costs about
//! twice as much for the same rows.
//!
//! What always holds: headers, footer and indices are serialized by the crate, so that no two of us disagree about Thrift; pages are of
//! version 1, which every reader has; what the crate's writer says of a chunk in statistics and column index, ours says too. The values
//! come from devices: nothing depends on them being kind.
//!
//! `group` holds a row group's columns; `column` cuts pages and decides about dictionaries; `kind` is what columns of one kind of values
//! have of their own, in `numbers`, `texts` and `booleans`; `chunk` writes pages; below that are encodings, one in each file.

mod bits;
mod booleans;
mod chunk;
mod codec;
mod column;
mod delta;
mod group;
mod hybrid;
mod index;
mod kind;
mod levels;
mod number;
mod number_table;
mod numbers;
mod split;
mod text_table;
mod texts;
mod truncate;
mod varint;

pub use chunk::PageRoom;
pub use codec::name as codec_name;
pub use group::RowGroup;

#[cfg(test)]
mod tests;
