//! Opening a log: the lock, what was fixed at its creation, and the engine's recovery.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::limits;
use engine::log::{Access, LogStats, RecoverError, Recovered, recover};

use super::files::{self, Files};
use super::{Log, LogOptions, LogReader};

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
    /// Another version of the program made it.
    #[error(
        "the log in {path} has format {format}, this version reads format {FORMAT}; \
         move the folder away to begin a new log, or run the version that made it"
    )]
    Format {
        /// The folder.
        path: PathBuf,
        /// Of the log.
        format: u32,
    },
    /// There is no log to look at.
    #[error("there is no log in {path}; name the folder of a node's data with --data-dir")]
    NoLog {
        /// The folder.
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

/// Takes the lock and recovers. Creates the log if there is none.
pub fn open(options: &LogOptions) -> Result<(Log, Recovered), OpenError> {
    let dir = &options.dir;
    assert!((1..=limits::PARTITIONS_MAX).contains(&options.partitions), "checked with the configuration");
    std::fs::create_dir_all(dir).map_err(io_error(dir))?;
    let lock = take_lock(dir)?;
    match created_with(dir)? {
        None => {
            let text = format!("format = {FORMAT}\npartitions = {}\n", options.partitions);
            let path = dir.join(META);
            files::write_whole(&path, text.as_bytes()).map_err(io_error(&path))?;
        }
        Some(created) if created != options.partitions => {
            return Err(OpenError::Partitions { path: dir.to_owned(), created, wanted: options.partitions });
        }
        Some(_) => {}
    }
    let stats = Arc::new(LogStats::default());
    let files = Files::new(dir, options.direct_io, stats.clone());
    let (catalog, recovered) =
        recover(&files, options.partitions, Access::Write, &stats).map_err(|error| recover_error(dir, error))?;
    for damaged in &recovered.damaged {
        tracing::error!("{damaged}");
    }
    let log =
        Log { options: options.clone(), files, catalog: Arc::new(catalog), stats, writers: Vec::new(), _lock: lock };
    Ok((log, recovered))
}

/// Looks at the log in `dir` as it is now, without changing anything, also while a node works on it: what that appends later
/// is not seen.
pub fn open_read_only(dir: &Path) -> Result<(LogReader, Recovered), OpenError> {
    let Some(partitions) = created_with(dir)? else { return Err(OpenError::NoLog { path: dir.to_owned() }) };
    let stats = Arc::new(LogStats::default());
    let files = Files::new(dir, false, stats.clone());
    let (catalog, recovered) =
        recover(&files, partitions, Access::Read, &stats).map_err(|error| recover_error(dir, error))?;
    Ok((LogReader::new(files, Arc::new(catalog), stats), recovered))
}

fn recover_error(dir: &Path, RecoverError { name, error }: RecoverError) -> OpenError {
    OpenError::Io { path: dir.join(name), error }
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

/// Says how the log was made: `key = value`, one per line.
const META: &str = "meta";
/// Version of the log's format. 1: the place of a batch had no checksum.
const FORMAT: u32 = 2;

/// The number of partitions that the log in `dir` was created with; `None` if there is no log.
fn created_with(dir: &Path) -> Result<Option<u32>, OpenError> {
    let path = dir.join(META);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::Io { path, error }),
    };
    let value = |key: &str| {
        text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim().parse::<u32>().ok())
    };
    match (value("format"), value("partitions")) {
        (Some(FORMAT), Some(created)) if (1..=limits::PARTITIONS_MAX).contains(&created) => Ok(Some(created)),
        (Some(format), Some(_)) if format != FORMAT => Err(OpenError::Format { path: dir.to_owned(), format }),
        _ => Err(OpenError::Meta { path }),
    }
}
