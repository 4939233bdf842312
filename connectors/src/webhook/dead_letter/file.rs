//! Appending to a dead letter file and taking lines out of it, under the lock that node and command line share.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Why dead letters were not written. None of the lines is in the file.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The file has its size.
    #[error("{path} has reached dead_letter_bytes_max; redrive its dead letters or move the file away")]
    Full {
        /// The file.
        path: String,
    },
    /// The file cannot be written.
    #[error("cannot write {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// Why lines were not taken out.
#[derive(Debug, thiserror::Error)]
#[error("cannot rewrite {path}: {source}")]
pub struct RemoveError {
    path: String,
    source: io::Error,
}

/// The dead letter file of a running endpoint.
#[derive(Debug)]
pub struct DeadLetterFile {
    path: PathBuf,
    bytes_max: u64,
}

impl DeadLetterFile {
    /// Makes the folder and the file ready and cuts a torn last line.
    pub fn open(path: PathBuf, bytes_max: u64) -> Result<Self, AppendError> {
        let opened = Self { path, bytes_max };
        opened.append(&[])?;
        Ok(opened)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends whole lines and returns when they are on the device. Blocks.
    pub fn append(&self, lines: &[u8]) -> Result<(), AppendError> {
        debug_assert!(lines.last().is_none_or(|last| *last == b'\n'));
        let path = || self.path.display().to_string();
        let done = self.locked_append(lines).map_err(|source| AppendError::Io { path: path(), source })?;
        if done { Ok(()) } else { Err(AppendError::Full { path: path() }) }
    }

    fn locked_append(&self, lines: &[u8]) -> io::Result<bool> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let _lock = Lock::take(&self.path)?;
        let is_new = !self.path.exists();
        // Opened anew each time: a redrive replaces the file.
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&self.path)?;
        let end = whole_lines_end(&mut file)?;
        file.set_len(end)?;
        if end + lines.len() as u64 > self.bytes_max && !lines.is_empty() {
            return Ok(false);
        }
        file.seek(SeekFrom::Start(end))?;
        if let Err(error) = file.write_all(lines).and_then(|()| file.sync_data()) {
            // Best effort: a torn line would be cut by the next append as well.
            let _ = file.set_len(end);
            return Err(error);
        }
        if is_new {
            sync_folder(&self.path)?;
        }
        Ok(true)
    }
}

/// Moves the lines at `ranges` (ascending, each a whole line with its line feed, as [`Lines`](super::Lines) reports them) to the
/// end of `moved_to` and leaves the others where they are, those included that were appended meanwhile. A crash in between
/// leaves a line in both files, never in none.
pub fn remove(path: &Path, ranges: &[Range<u64>], moved_to: &Path) -> Result<(), RemoveError> {
    if ranges.is_empty() {
        return Ok(());
    }
    locked_remove(path, ranges, moved_to).map_err(|source| RemoveError { path: path.display().to_string(), source })
}

fn locked_remove(path: &Path, ranges: &[Range<u64>], moved_to: &Path) -> io::Result<()> {
    let _lock = Lock::take(path)?;
    let source = File::open(path)?;
    let end = source.metadata()?.len();
    let mut source = BufReader::new(source);
    let next = beside(path, ".tmp");
    let mut moved = BufWriter::new(OpenOptions::new().create(true).append(true).open(moved_to)?);
    let mut kept = BufWriter::new(File::create(&next)?);
    let mut at = 0;
    for range in ranges {
        io::copy(&mut source.by_ref().take(range.start - at), &mut kept)?;
        io::copy(&mut source.by_ref().take(range.end - range.start), &mut moved)?;
        at = range.end;
    }
    io::copy(&mut source.by_ref().take(end - at), &mut kept)?;
    moved.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()?;
    kept.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()?;
    std::fs::rename(&next, path)?;
    sync_folder(path)
}

/// Where the last whole line ends.
fn whole_lines_end(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut chunk = [0; 8192];
    while end > 0 {
        let start = end.saturating_sub(chunk.len() as u64);
        let part = &mut chunk[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(last) = memchr::memrchr(b'\n', part) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The lock beside a dead letter file; let go when dropped, also by the end of the process.
struct Lock {
    _file: File,
}

impl Lock {
    fn take(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(beside(path, ".lock"))?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(Self { _file: file })
    }
}
