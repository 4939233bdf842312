//! Where files go: a folder of the local disk or of an object store, behind one small trait.
//!
//! What always holds: what has its name is whole and survives power loss; a name that is taken is never given twice by
//! [`Store::write_new`]; every operation may be repeated after it failed, whether or not it took effect. Paths are relative to the
//! endpoint's folder, with `/` between.

mod again;
mod local;
mod object;
mod open;

#[cfg(test)]
pub mod faults;

use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::future::BoxFuture;

pub use again::Again;
pub use local::Local;
pub use object::{Objects, Settings as ObjectSettings};
pub use open::{Place, open};

/// What files that are being written begin with; they are removed at the next start.
pub const TEMPORARY: &str = ".tmp-";
/// Folder of an object store for what is being written.
pub const TEMPORARY_FOLDER: &str = "_tmp/";

/// An operation did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk says no.
    #[error("cannot use {path}: {error}; is the disk full, or the folder not ours to write?")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The object store says no.
    #[error("cannot use {path}: {error}")]
    Object {
        /// The object, with the store's URL.
        path: String,
        /// What it says.
        error: object_store::Error,
    },
    /// What was written is not there any more, or may not be whole: it has to be written again from the start.
    #[error("what was written of {path} is lost ({reason}); its events are written again")]
    Gone {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// Somebody else writes there.
    #[error("{path} is there already, written by somebody else; give each endpoint a folder of its own")]
    Exists {
        /// The file.
        path: String,
    },
    /// Two endpoints would remove each other's open files.
    #[error("another endpoint or node writes into {path}; give each endpoint a folder of its own")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The settings do not make a store.
    #[error("cannot use the object store {url}: {reason}")]
    Settings {
        /// As configured.
        url: String,
        /// What is wrong.
        reason: String,
    },
}

impl StoreError {
    /// Whether trying the same again may succeed.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Object { .. })
    }
}

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its path.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}

/// What an operation resolves to.
pub type Done<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// See the module.
pub trait Store: std::fmt::Debug + Send + Sync {
    /// How it is called in messages.
    fn shown(&self) -> String;
    /// Every file below the folder; none where there is no folder.
    fn list(&self) -> Done<'_, Vec<Entry>>;
    /// A file's content; `None` if it is not there.
    fn read<'a>(&'a self, path: &'a str) -> Done<'a, Option<Bytes>>;
    /// A part of a file.
    fn read_range<'a>(&'a self, path: &'a str, range: Range<u64>) -> Done<'a, Bytes>;
    /// Writes a small file if none has its name; `false` if one has.
    fn write_new<'a>(&'a self, path: &'a str, content: Bytes) -> Done<'a, bool>;
    /// Writes a small file, whatever was there.
    fn replace<'a>(&'a self, path: &'a str, content: Bytes) -> Done<'a, ()>;
    /// Removes a file; it is no error if it is not there.
    fn remove<'a>(&'a self, path: &'a str) -> Done<'a, ()>;
    /// Begins a file under a temporary name made of `stem`, which nobody else uses meanwhile. Nothing is touched yet.
    fn begin(&self, stem: &str) -> Box<dyn Draft>;
}

/// A file on its way. Dropped before it is published it leaves at most a temporary file.
pub trait Draft: Send {
    /// Takes the bytes at `position`, which ascends without holes; it may wait until some are written. To be called again with the
    /// same position after an error.
    fn write(&mut self, position: u64, bytes: Bytes) -> Done<'_, ()>;
    /// All bytes are there: resolves when what can be kept before the file has its name is kept.
    fn seal(&mut self) -> Done<'_, ()>;
    /// Gives the file its name. Once this resolves it is whole and survives power loss.
    fn publish<'a>(&'a mut self, path: &'a str) -> Done<'a, ()>;
    /// Bytes in memory.
    fn memory_bytes(&self) -> usize;
}
