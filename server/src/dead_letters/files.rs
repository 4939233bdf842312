//! Finding the files, and what can go wrong with them.

use std::io;
use std::path::{Path, PathBuf};

use connectors::webhook::dead_letter::{self, ReadError, RemoveError};

use super::Where;

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("cannot read {path}: {source}")]
    Open { path: String, source: io::Error },
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: ReadError },
    #[error(
        "there is no file {path}; without --file the dead letters are looked for in the node's data folder (--data)"
    )]
    NoFile { path: String },
    #[error(transparent)]
    Remove(#[from] RemoveError),
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
    #[error("`{0}` is no header; write NAME: VALUE")]
    Header(String),
    #[error("`{0}` is no address; write for example http://127.0.0.1:8080")]
    Address(String),
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
}

/// The dead letter files, in order of their names. Without any the list is empty.
pub(super) fn files(at: &Where) -> Result<Vec<PathBuf>, Failure> {
    if let Some(file) = &at.file {
        return if file.is_file() { Ok(vec![file.clone()]) } else { Err(Failure::NoFile { path: shown(file) }) };
    }
    let folder = dead_letter::default_folder(&at.data);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound && at.data.is_dir() => return Ok(Vec::new()),
        Err(source) => return Err(Failure::Open { path: shown(&folder), source }),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| Failure::Open { path: shown(&folder), source })?.path();
        if path.extension().is_some_and(|extension| extension == "ndjson") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}
