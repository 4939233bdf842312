//! The folder of a demo: new or empty at the start, and tidied at the end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::adapter::Places;

/// A folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be made or looked into.
    #[error("cannot use the folder {path}: {error}; choose another with --data-dir")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// There is something in it, which the demo's counts would not know of.
    #[error("the folder {path} is not empty; the demo needs a new or an empty one")]
    NotEmpty {
        /// Which.
        path: PathBuf,
    },
}

/// The folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    places: Places,
    given: bool,
}

impl Folder {
    /// Makes `given`, or a new one among the system's temporary files.
    pub fn prepare(given: Option<&Path>) -> Result<Self, FolderError> {
        let path = given.map_or_else(
            || std::env::temp_dir().join(format!("anabranch-demo-{}", std::process::id())),
            Path::to_owned,
        );
        let unusable = |error| FolderError::Unusable { path: path.clone(), error };
        fs::create_dir_all(&path).map_err(unusable)?;
        // Commands that name it are pasted in other places than this one.
        let path = path.canonicalize().map_err(unusable)?;
        if fs::read_dir(&path).map_err(unusable)?.next().is_some() {
            return Err(FolderError::NotEmpty { path });
        }
        Ok(Self { places: Places::within(&path), path, given: given.is_some() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is where in it.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Removes everything but the Parquet files, unless the folder was given or is to be kept.
    pub fn clean(&self, keep: bool) {
        if keep || self.given {
            return;
        }
        for (path, removed) in [
            (&self.places.data, fs::remove_dir_all(&self.places.data)),
            (&self.places.live, fs::remove_file(&self.places.live)),
            (&self.places.config, fs::remove_file(&self.places.config)),
        ] {
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    eprintln!("warning: cannot remove {}: {error}", path.display());
                }
                _ => {}
            }
        }
    }
}
