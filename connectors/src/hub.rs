//! The log on disk: one writer thread per shard with group commit, readers by offset, recovery, retention.
//!
//! ```text
//! LOCK                      held while a node runs
//! meta                      what is fixed when the log is created
//! shard-000/000…000.log     record batches as accepted (engine::log)
//! shard-000/000…000.index   written when the segment is finished
//! ```
//! What always holds is the engine's (`engine::log`); here are its threads and its files.

mod files;
mod keeper;
mod open;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use engine::limits;
use engine::log::{Catalog, SegmentWriter, WriterSettings};
use engine::mesh::{Append, LogEvent};
use engine::ring::{Bell, Consumer, Producer, ring};

pub use engine::log::{LogStats, ReadError, Recovered, SYNC_SECONDS_BUCKETS};
pub use files::{DiskFile, Files};
pub use open::{OpenError, open, open_read_only};

pub(crate) use files::{sync_dir, write_whole};

/// Reads the log by offset; cheap to clone, usable on any thread. Blocks.
pub type LogReader = engine::log::LogReader<Files>;

/// Bytes of the newest batches of a shard that stay in memory unless told otherwise: an endpoint that falls behind for a moment,
/// and consumers at the end of the log, are served without the disk.
pub const RECENT_BYTES_DEFAULT: usize = 16 * 1024 * 1024;

/// Where the log lies and what it keeps.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Its folder.
    pub dir: PathBuf,
    /// Number of partitions; fixed when the log is created.
    pub partitions: u32,
    /// A segment is finished once it has this many bytes.
    pub segment_bytes_max: u64,
    /// Finished segments are removed, oldest first, while the log has more bytes; 0 keeps everything.
    pub retention_bytes_max: u64,
    /// Finished segments are removed once all of their events are older; 0 keeps everything.
    pub retention_age_s_max: u64,
    /// Write segments past the system's memory (O_DIRECT) where the file system can.
    pub direct_io: bool,
    /// Bytes of the newest batches of a shard that stay in memory for readers.
    pub recent_bytes_max: usize,
}

impl LogOptions {
    /// A log in `dir` on defaults: segments of 256 MiB, all of them kept.
    pub fn new(dir: impl Into<PathBuf>, partitions: u32) -> Self {
        Self {
            dir: dir.into(),
            partitions,
            segment_bytes_max: 256 * 1024 * 1024,
            retention_bytes_max: 0,
            retention_age_s_max: 0,
            direct_io: true,
            recent_bytes_max: RECENT_BYTES_DEFAULT,
        }
    }
}

/// An open log. One per data folder and process.
#[derive(Debug)]
pub struct Log {
    options: LogOptions,
    files: Files,
    catalog: Arc<Catalog<DiskFile>>,
    stats: Arc<LogStats>,
    writers: Vec<JoinHandle<()>>,
    /// Holds the lock until it is dropped.
    _lock: std::fs::File,
}

/// A shard's ends of the rings to and from its writer.
#[derive(Debug)]
pub struct ShardWriter {
    /// What to write. Dropping it ends the writer.
    pub appends: Producer<Append>,
    /// What has become of it.
    pub events: Consumer<LogEvent>,
}

/// The log could not be brought to a clean end; nothing acknowledged is lost.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// A writer thread panicked.
    #[error("a writer thread of the log ended unexpectedly")]
    Writer,
}

impl Log {
    /// Starts the writer of a shard. `bell` is rung when its events come.
    pub fn shard_writer(&mut self, shard: u32, bell: &Bell) -> Result<ShardWriter, OpenError> {
        let writer_bell = Bell::default();
        let (appends, append_from) = ring(limits::LOG_RING_ITEMS_MAX, &writer_bell);
        let (event_to, events) = ring(limits::LOG_RING_ITEMS_MAX, bell);
        let settings = WriterSettings {
            segment_bytes_max: self.options.segment_bytes_max,
            recent_bytes_max: self.options.recent_bytes_max,
        };
        let writer = SegmentWriter::new(self.files.clone(), shard, settings, self.catalog.clone(), self.stats.clone())
            .map_err(|error| OpenError::Io { path: self.options.dir.join(format!("shard-{shard:03}")), error })?;
        let mut writer = writer;
        let keeper = keeper::Keeper::start(shard, &self.options, &mut writer).map_err(OpenError::Thread)?;
        let writer = writer::Writer::new(&self.options, writer, keeper, append_from, event_to, writer_bell);
        let thread = std::thread::Builder::new()
            .name(format!("log-{shard}"))
            .spawn(move || writer.run())
            .map_err(OpenError::Thread)?;
        self.writers.push(thread);
        Ok(ShardWriter { appends, events })
    }

    /// A reader; cheap to clone, usable on any thread.
    pub fn reader(&self) -> LogReader {
        LogReader::new(self.files.clone(), self.catalog.clone(), self.stats.clone())
    }

    /// What the log counts.
    pub fn stats(&self) -> Arc<LogStats> {
        self.stats.clone()
    }

    /// Waits for the writers, whose shards must be gone, and lets go of the folder.
    pub fn close(mut self) -> Result<(), CloseError> {
        let panicked = self.writers.drain(..).filter_map(|writer| writer.join().err()).count();
        if panicked > 0 { Err(CloseError::Writer) } else { Ok(()) }
    }
}
