//! Reading the files that access is configured by, and what may be wrong with them.

use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most bytes of such a file: a million clients or passwords fit, and a wrong path does not fill the memory.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Why the rules of access cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file says something that cannot be used.
    #[error("{}{}: {message}", path.display(), Place(*line))]
    Content {
        /// Which.
        path: PathBuf,
        /// Line, from 1; 0: the file as a whole.
        line: usize,
        /// What is wrong, and the way out.
        message: String,
    },
}

struct Place(usize);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            line => write!(f, ":{line}"),
        }
    }
}

/// An error about a file's content.
pub(super) fn content(path: &Path, line: usize, message: impl Into<String>) -> AccessError {
    AccessError::Content { path: path.to_owned(), line, message: message.into() }
}

/// The whole file as text.
pub(super) fn read(path: &Path) -> Result<String, AccessError> {
    let fault = |error| AccessError::File { path: path.to_owned(), error };
    let file = std::fs::File::open(path).map_err(fault)?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(fault)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(content(path, 0, format!("the file has more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}
