//! Names of the files: partition and offsets of the first and the last row, in digits that sort.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// What temporary files begin with; readers of the folder pass them over, as all names with a dot in front.
pub const TEMPORARY: &str = ".tmp-";

/// The final name of a file.
pub fn file_name(partition: u32, first: u64, last: u64) -> String {
    format!("p{partition:05}-{first:020}-{last:020}.parquet")
}

/// Partition, first and last offset of a final name; `None` for other files.
pub fn parse(name: &str) -> Option<(u32, u64, u64)> {
    let mut parts = name.strip_prefix('p')?.strip_suffix(".parquet")?.split('-');
    let mut number = |digits: usize| -> Option<u64> {
        let text = parts.next()?;
        (text.len() == digits && text.bytes().all(|digit| digit.is_ascii_digit())).then(|| text.parse().ok())?
    };
    let (partition, first, last) = (u32::try_from(number(5)?).ok()?, number(20)?, number(20)?);
    (parts.next().is_none() && first <= last && last < u64::MAX).then_some((partition, first, last))
}

/// Where each partition goes on: behind the last offset that a finished file covers. Nothing for a folder that is not there.
pub fn resume_offsets(dir: &Path) -> io::Result<Vec<(u32, u64)>> {
    let mut next = BTreeMap::new();
    for path in list(dir)? {
        if let Some((partition, _, last)) = path.file_name().and_then(|name| parse(name.to_str()?)) {
            let offset = next.entry(partition).or_insert(0);
            *offset = (last + 1).max(*offset);
        }
    }
    Ok(next.into_iter().collect())
}

/// Takes the folder for one endpoint, as long as the result lives: a second one would remove the first one's open files.
/// The error's kind is `WouldBlock` if somebody has it.
pub fn lock(dir: &Path) -> io::Result<File> {
    // The folder itself is locked: nothing is left in it.
    let file = File::open(dir)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        // A file system that cannot lock a folder: then only the operator watches over it.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// Removes what an earlier run did not finish; its rows come again.
pub fn remove_temporary(dir: &Path) -> io::Result<()> {
    for path in list(dir)? {
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(TEMPORARY)) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
