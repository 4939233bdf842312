//! What the log needs of a disk: a handful of calls, so that the same code runs on files and on a simulated disk with faults.
//!
//! Names are relative to the log's folder and use `/`. Every call blocks. What an implementation promises: when `create`,
//! `rename` or `remove` return, the name's change survives power loss; when `sync` returns, so does every write before it; after
//! a `sync` that failed nothing is known about the writes since the last good one, and a later `sync` says nothing about them.

use std::fmt::Debug;
use std::io;

use super::scan::ReadAt;

/// Writes to a segment begin and end at multiples of this: what a device takes without a copy in between (O_DIRECT).
pub const BLOCK_BYTES: usize = 4096;

/// How a file will be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileUse {
    /// Written once, small.
    Small,
    /// A segment: written in whole blocks, with this much reserved on the device so that syncs find the place allocated.
    Segment {
        /// Bytes to reserve.
        reserve_bytes: u64,
    },
}

/// A disk, or a folder of one.
pub trait Storage: Clone + Send + Sync + 'static {
    /// An open file.
    type File: StorageFile;

    /// Names of what lies in the folder `dir` (empty: the log's own), in any order; nothing if there is no such folder.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;
    /// Makes a folder; no error if it is there.
    fn create_dir(&self, dir: &str) -> io::Result<()>;
    /// A new, empty file.
    fn create(&self, name: &str, usage: FileUse) -> io::Result<Self::File>;
    /// A file that is there, for reading, truncating and syncing.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    /// Puts the file `from` in the place of `to`, at once.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file. Those who have it open can still read it.
    fn remove(&self, name: &str) -> io::Result<()>;
}

/// An open file of a [`Storage`].
pub trait StorageFile: ReadAt + Debug + Send + Sync + 'static {
    /// Its size.
    fn bytes(&self) -> io::Result<u64>;
    /// Writes all of `bytes` from `position` on. In a segment both the position and the length are whole blocks.
    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()>;
    /// Everything written before is on the device when this returns.
    fn sync(&self) -> io::Result<()>;
    /// Cuts it to `bytes`, gives back what is reserved behind, and syncs.
    fn truncate(&self, bytes: u64) -> io::Result<()>;
}

/// Largest small file that is read whole: an index of the largest segment with the smallest batches.
const SMALL_BYTES_MAX: u64 = 1 << 30;

/// Writes a small file so that after a crash it is there whole, with its old content, or not at all.
pub fn write_whole<S: Storage>(storage: &S, name: &str, content: &[u8]) -> io::Result<()> {
    let beside = format!("{name}.tmp");
    let file = match storage.create(&beside, FileUse::Small) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            storage.remove(&beside)?;
            storage.create(&beside, FileUse::Small)?
        }
        created => created?,
    };
    let written = file.write_at(0, content).and_then(|()| file.sync());
    if let Err(error) = written {
        // It is in nobody's way: the next attempt removes it.
        let _ = storage.remove(&beside);
        return Err(error);
    }
    storage.rename(&beside, name)
}

/// Reads the first `bytes_max` bytes of a small file; `None` if there is no such file.
pub fn read_start<S: Storage>(storage: &S, name: &str, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match storage.open(name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let bytes = file.bytes()?.min(bytes_max).min(SMALL_BYTES_MAX);
    let mut content = vec![0; bytes as usize];
    let filled = read_full(&file, 0, &mut content)?;
    content.truncate(filled);
    Ok(Some(content))
}

/// Reads a small file whole; `None` if there is no such file.
pub fn read_whole<S: Storage>(storage: &S, name: &str) -> io::Result<Option<Vec<u8>>> {
    read_start(storage, name, SMALL_BYTES_MAX)
}

/// Reads until `into` is full or the file ends; how many bytes there were.
pub fn read_full<R: ReadAt + ?Sized>(file: &R, position: u64, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match file.read_at(position + filled as u64, &mut into[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
