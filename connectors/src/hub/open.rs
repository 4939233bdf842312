//! Opening a log: the lock, what was fixed at its creation, and recovery.
//!
//! A start reads the indexes of finished segments and scans what has none: the segments that were being written when the node
//! ended without closing, and those whose index was lost. A torn tail is cut off; every segment found is finished from then on.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use engine::limits;
use engine::log::{Entry, index, scan};

use super::catalog::{Catalog, Extent, Finished, Partition};
use super::segment::{FileAt, Segment};
use super::{Log, LogOptions, LogStats, files};

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "the data in {path} is in use by another node ({holder}); stop that one, or give this one a folder of its own with --data-dir"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// What the lock file says about who.
        holder: String,
    },
    /// It was created with another number of partitions.
    #[error(
        "the log in {path} was created with {created} partitions, \
         the configuration says {wanted}: the number is fixed when a log is created, so set partitions = {created}"
    )]
    Partitions {
        /// The folder.
        path: PathBuf,
        /// Number on disk.
        created: u32,
        /// Number asked for.
        wanted: u32,
    },
    /// The file that says how the log was made is not readable as such.
    #[error(
        "{path} is not the description of a log of this version; restore it, or move the folder away to begin a new log"
    )]
    Meta {
        /// The file.
        path: PathBuf,
    },
    /// The disk says no.
    #[error("cannot open the log at {path}: {error}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// No thread for a writer.
    #[error("cannot start a thread for the log: {0}")]
    Thread(io::Error),
}

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Where each partition goes on.
    pub next_offsets: Vec<u64>,
    /// First offset kept of each partition.
    pub start_offsets: Vec<u64>,
    /// Bytes of torn tails that were cut off.
    pub cut_bytes: u64,
    /// Segments that had to be scanned.
    pub scanned_segments: usize,
    /// What is damaged and will not be served, in words that name the place.
    pub damaged: Vec<String>,
}

/// Takes the lock and recovers. Creates the log if there is none.
pub fn open(options: &LogOptions) -> Result<(Log, Recovered), OpenError> {
    let dir = &options.dir;
    assert!((1..=limits::PARTITIONS_MAX).contains(&options.partitions), "checked with the configuration");
    std::fs::create_dir_all(dir).map_err(io_error(dir))?;
    let lock = take_lock(dir)?;
    check_meta(dir, options.partitions)?;
    let stats = Arc::new(LogStats::default());
    let mut recovery = Recovery::new(options.partitions);
    for shard_dir in files::shard_dirs(dir).map_err(io_error(dir))? {
        for number in files::segment_numbers(&shard_dir).map_err(io_error(&shard_dir))? {
            let path = files::segment_path(&shard_dir, number);
            recovery.add_segment(&path).map_err(io_error(&path))?;
        }
    }
    let ends = files::read_ends(dir).map_err(io_error(dir))?;
    let (catalog, recovered) = recovery.finish(&stats, &ends);
    for damaged in &recovered.damaged {
        tracing::error!("{damaged}");
    }
    let log = Log { options: options.clone(), catalog: Arc::new(catalog), stats, writers: Vec::new(), _lock: lock };
    Ok((log, recovered))
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> OpenError + '_ {
    move |error| OpenError::Io { path: path.to_owned(), error }
}

fn take_lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("LOCK");
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io_error(&path))?;
    match lock_within(&file, LOCK_WAIT_MAX) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            // Only for the message: whatever can be read.
            let _ = Read::by_ref(&mut file).take(64).read_to_string(&mut holder);
            let holder = if holder.is_empty() { "unknown process".to_owned() } else { holder.trim().to_owned() };
            return Err(OpenError::InUse { path: dir.to_owned(), holder });
        }
        Err(error) => return Err(OpenError::Io { path, error: error.into() }),
    }
    let say_who = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "process {}", std::process::id())
    };
    say_who(&mut file).map_err(io_error(&path))?;
    Ok(file)
}

/// A node that was just killed, or a child that another thread is starting, may hold the lock for a moment longer.
const LOCK_WAIT_MAX: Duration = Duration::from_millis(500);

#[expect(clippy::disallowed_methods, reason = "before the node has a core thread; there is nothing to be told by")]
fn lock_within(file: &File, wait_max: Duration) -> rustix::io::Result<()> {
    let began = Instant::now();
    loop {
        match rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) if began.elapsed() < wait_max => {
                std::thread::sleep(Duration::from_millis(20));
            }
            result => return result,
        }
    }
}

/// The file holds `partitions = N`, one line, with the version of the format.
fn check_meta(dir: &Path, wanted: u32) -> Result<(), OpenError> {
    let path = dir.join("meta");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = format!("format = 1\npartitions = {wanted}\n");
            return files::write_whole(&path, text.as_bytes()).map_err(io_error(&path));
        }
        Err(error) => return Err(OpenError::Io { path, error }),
    };
    let value = |key: &str| {
        text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim().parse::<u32>().ok())
    };
    match (value("format"), value("partitions")) {
        (Some(1), Some(created)) if created == wanted => Ok(()),
        (Some(1), Some(created)) => Err(OpenError::Partitions { path: dir.to_owned(), created, wanted }),
        _ => Err(OpenError::Meta { path }),
    }
}

struct Recovery {
    extents: Vec<Vec<Extent>>,
    finished: Vec<Finished>,
    recovered: Recovered,
}

impl Recovery {
    fn new(partitions: u32) -> Self {
        Self {
            extents: (0..partitions).map(|_| Vec::new()).collect(),
            finished: Vec::new(),
            recovered: Recovered::default(),
        }
    }

    fn add_segment(&mut self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let length = file.metadata()?.len();
        let stored = std::fs::read(files::index_path(path)).ok().and_then(|bytes| index::decode(&bytes).ok());
        let entries = match stored {
            Some((entries, bytes)) if bytes == length => entries,
            _ => self.scan_segment(path, &file, length)?,
        };
        let bytes = file.metadata()?.len();
        if entries.is_empty() {
            // Created and never synced into; nothing is lost with it.
            if bytes == 0 {
                std::fs::remove_file(path)?;
            }
            return Ok(());
        }
        let segment = Arc::new(Segment::finished(path.to_owned(), file));
        for (partition, entries) in super::segment::by_partition(&entries) {
            let Some(extents) = self.extents.get_mut(partition as usize) else {
                self.recovered
                    .damaged
                    .push(format!("{}: batches of partition {partition}, which the log does not have", path.display()));
                continue;
            };
            let first = entries.iter().map(|entry| entry.base_offset).min().unwrap_or(0);
            let end = entries.iter().map(Entry::end_offset).max().unwrap_or(0);
            extents.push(Extent { first, end, segment: segment.clone() });
        }
        let max_timestamp_ms = entries.iter().map(|entry| entry.max_timestamp_ms).max().unwrap_or(i64::MAX);
        self.finished.push(Finished { segment, bytes, max_timestamp_ms });
        Ok(())
    }

    fn scan_segment(&mut self, path: &Path, file: &File, length: u64) -> io::Result<Vec<Entry>> {
        let found = scan(&FileAt(file), length)?;
        self.recovered.scanned_segments += 1;
        for damage in &found.damaged {
            self.recovered.damaged.push(format!(
                "{}: {} bytes at position {} are damaged and not served: {}",
                path.display(),
                damage.bytes,
                damage.position,
                damage.reason
            ));
        }
        if found.good_bytes < length {
            self.recovered.cut_bytes += length - found.good_bytes;
            file.set_len(found.good_bytes)?;
            file.sync_all()?;
        }
        if !found.entries.is_empty() {
            files::write_whole(&files::index_path(path), &index::encode(&found.entries, found.good_bytes))?;
        }
        Ok(found.entries)
    }

    fn finish(mut self, stats: &LogStats, ends: &[u64]) -> (Catalog, Recovered) {
        stats.segments.store(self.finished.len() as u64, Ordering::Relaxed);
        stats.bytes.store(self.finished.iter().map(|finished| finished.bytes).sum(), Ordering::Relaxed);
        let mut partitions = Vec::with_capacity(self.extents.len());
        for (number, mut extents) in self.extents.drain(..).enumerate() {
            extents.sort_by_key(|extent| extent.first);
            for pair in extents.windows(2) {
                if pair[0].end != pair[1].first {
                    self.recovered.damaged.push(format!(
                        "partition {number}: {} ends at offset {}, {} begins at {}",
                        pair[0].segment.path.display(),
                        pair[0].end,
                        pair[1].segment.path.display(),
                        pair[1].first
                    ));
                }
            }
            let end = extents.last().map_or(0, |extent| extent.end).max(ends.get(number).copied().unwrap_or(0));
            let start = extents.first().map_or(end, |extent| extent.first);
            self.recovered.start_offsets.push(start);
            self.recovered.next_offsets.push(end);
            partitions.push(Partition { start, end, extents: VecDeque::from(extents) });
        }
        (Catalog::new(partitions, self.finished), self.recovered)
    }
}
