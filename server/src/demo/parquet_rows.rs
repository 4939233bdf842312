//! Counts the rows of a folder of Parquet files by their footers.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader, SerializedFileReader};

/// A folder whose files cannot be counted.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// The folder or a file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A file has no valid footer.
    #[error("{path} is not a whole Parquet file: {error}")]
    Footer {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        error: parquet::errors::ParquetError,
    },
}

/// What a folder holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Files that end in `.parquet`.
    pub files: u64,
    /// Rows of them.
    pub rows: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// Counts `folder` and the folders in it. A folder that is not there holds nothing.
pub fn count(folder: &Path) -> Result<Counted, CountError> {
    let mut counted = Counted::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let read = |error| CountError::Read { path: folder.clone(), error };
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(read)?,
        };
        for entry in entries {
            let entry = entry.map_err(read)?;
            let path = entry.path();
            if entry.file_type().map_err(read)?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                let file = File::open(&path).map_err(|error| CountError::Read { path: path.clone(), error })?;
                counted.bytes += file.metadata().map_err(|error| CountError::Read { path: path.clone(), error })?.len();
                let reader = SerializedFileReader::new(file).map_err(|error| CountError::Footer { path, error })?;
                counted.rows += reader.metadata().file_metadata().num_rows().max(0) as u64;
                counted.files += 1;
            }
        }
    }
    Ok(counted)
}
