//! A folder of the local disk: a file is written under a temporary name, synced, and renamed to its own.
//!
//! Nothing here yields: who uses it has a thread for it.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::ready;

use super::{Done, Draft, Entry, Store, StoreError, TEMPORARY};
use crate::hub::sync_dir;
use crate::parquet::names;

/// Folders within folders: more than any layout has.
const DEPTH_MAX: usize = 16;

/// See the module.
#[derive(Debug)]
pub struct Local {
    dir: PathBuf,
    /// The folder is ours while this lives; nobody needs it to look.
    _lock: Option<File>,
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> StoreError + '_ {
    |error| StoreError::Io { path: path.to_owned(), error }
}

impl Local {
    /// Makes the folder if need be and takes it for as long as this lives.
    pub fn take(dir: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(io_error(dir))?;
        let lock = names::lock(dir).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => StoreError::InUse { path: dir.to_owned() },
            _ => StoreError::Io { path: dir.to_owned(), error },
        })?;
        Ok(Self { dir: dir.to_owned(), _lock: Some(lock) })
    }

    /// To look at it only.
    pub fn look(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), _lock: None }
    }

    /// As `Store::list`, at once.
    pub fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        walk(&self.dir, "", DEPTH_MAX, &mut entries).map_err(io_error(&self.dir))?;
        Ok(entries)
    }

    fn write_new_now(&self, path: &str, content: &[u8]) -> io::Result<bool> {
        let target = self.dir.join(path);
        make_folders(&self.dir, &target)?;
        let temporary = self.dir.join(format!("{TEMPORARY}{}", path.replace('/', "-")));
        let file = File::create(&temporary)?;
        file.write_all_at(content, 0)?;
        file.sync_all()?;
        // A link fails where the name is taken; not every file system has links, and the folder is ours alone.
        let is_new = match fs::hard_link(&temporary, &target) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(_) if target.try_exists()? => false,
            Err(_) => {
                fs::rename(&temporary, &target)?;
                true
            }
        };
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        target.parent().map_or(Ok(()), sync_dir)?;
        Ok(is_new)
    }
}

/// Makes the folders between `root` and a file, and makes their names survive power loss.
fn make_folders(root: &Path, file: &Path) -> io::Result<()> {
    let Some(folder) = file.parent() else { return Ok(()) };
    let mut made = Vec::new();
    let mut at = folder;
    while at != root && !at.is_dir() {
        made.push(at);
        at = match at.parent() {
            Some(parent) => parent,
            None => break,
        };
    }
    fs::create_dir_all(folder)?;
    made.into_iter().filter_map(Path::parent).try_for_each(sync_dir)
}

fn walk(dir: &Path, relative: &str, depth: usize, entries: &mut Vec<Entry>) -> io::Result<()> {
    let found = match fs::read_dir(dir) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in found {
        let entry = entry?;
        // A name that is not text is none of ours.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if relative.is_empty() { name } else { format!("{relative}/{name}") };
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            // Removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if metadata.is_dir() {
            if depth > 0 {
                walk(&entry.path(), &path, depth - 1, entries)?;
            }
        } else {
            entries.push(Entry { path, bytes: metadata.len() });
        }
    }
    Ok(())
}

impl Store for Local {
    fn shown(&self) -> String {
        self.dir.display().to_string()
    }

    fn list(&self) -> Done<'_, Vec<Entry>> {
        ready(self.entries()).boxed()
    }

    fn read<'a>(&'a self, path: &'a str) -> Done<'a, Option<Bytes>> {
        let path = self.dir.join(path);
        let read = match fs::read(&path) {
            Ok(content) => Ok(Some(content.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::Io { path, error }),
        };
        ready(read).boxed()
    }

    fn read_range<'a>(&'a self, path: &'a str, range: Range<u64>) -> Done<'a, Bytes> {
        async move {
            let path = self.dir.join(path);
            let read = || {
                let file = File::open(&path)?;
                // Never more than the file has, whatever is asked for.
                let bytes = range.end.min(file.metadata()?.len()).saturating_sub(range.start);
                let mut content = vec![0; bytes as usize];
                file.read_exact_at(&mut content, range.start)?;
                Ok(content.into())
            };
            read().map_err(io_error(&path))
        }
        .boxed()
    }

    fn write_new<'a>(&'a self, path: &'a str, content: Bytes) -> Done<'a, bool> {
        async move { self.write_new_now(path, &content).map_err(io_error(&self.dir.join(path))) }.boxed()
    }

    fn replace<'a>(&'a self, path: &'a str, content: Bytes) -> Done<'a, ()> {
        async move {
            let path = self.dir.join(path);
            let written = make_folders(&self.dir, &path).and_then(|()| crate::hub::write_whole(&path, &content));
            written.map_err(io_error(&path))
        }
        .boxed()
    }

    fn remove<'a>(&'a self, path: &'a str) -> Done<'a, ()> {
        async move {
            let path = self.dir.join(path);
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed.and_then(|()| path.parent().map_or(Ok(()), sync_dir)).map_err(io_error(&path)),
            }
        }
        .boxed()
    }

    fn begin(&self, stem: &str) -> Box<dyn Draft> {
        let temporary = self.dir.join(format!("{TEMPORARY}{stem}"));
        Box::new(LocalDraft { dir: self.dir.clone(), temporary, file: None, is_renamed: false })
    }
}

struct LocalDraft {
    dir: PathBuf,
    temporary: PathBuf,
    file: Option<File>,
    is_renamed: bool,
}

impl LocalDraft {
    fn file(&mut self) -> io::Result<&File> {
        Ok(match &mut self.file {
            Some(file) => file,
            none => none.insert(File::create(&self.temporary)?),
        })
    }

    fn gone(&self, error: &io::Error) -> StoreError {
        StoreError::Gone { path: self.temporary.display().to_string(), reason: error.to_string() }
    }

    fn publish_now(&mut self, path: &str) -> Result<(), StoreError> {
        let target = self.dir.join(path);
        if !self.is_renamed {
            make_folders(&self.dir, &target).map_err(io_error(&target))?;
            fs::rename(&self.temporary, &target).map_err(|error| match error.kind() {
                // Somebody emptied the folder.
                io::ErrorKind::NotFound => self.gone(&error),
                _ => StoreError::Io { path: target.clone(), error },
            })?;
            self.is_renamed = true;
        }
        target.parent().map_or(Ok(()), sync_dir).map_err(io_error(&target))
    }
}

impl Draft for LocalDraft {
    fn write(&mut self, position: u64, bytes: Bytes) -> Done<'_, ()> {
        async move {
            let written = self.file().and_then(|file| file.write_all_at(&bytes, position));
            written.map_err(io_error(&self.temporary))
        }
        .boxed()
    }

    fn seal(&mut self) -> Done<'_, ()> {
        async move {
            match self.file() {
                // After a failed sync nobody knows what is on the disk: to sync again and be told that all is well proves nothing.
                Ok(file) => file.sync_all().map_err(|error| self.gone(&error)),
                Err(error) => Err(StoreError::Io { path: self.temporary.clone(), error }),
            }
        }
        .boxed()
    }

    fn publish<'a>(&'a mut self, path: &'a str) -> Done<'a, ()> {
        async move { self.publish_now(path) }.boxed()
    }

    fn memory_bytes(&self) -> usize {
        0
    }
}
