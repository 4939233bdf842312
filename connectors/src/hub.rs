//! The log on disk: one writer thread per shard with group commit, readers by offset, recovery, retention.
//!
//! ```text
//! LOCK                      held while a node runs
//! meta                      what is fixed when the log is created
//! shard-000/000…000.log     record batches as accepted (engine::log)
//! shard-000/000…000.index   written when the segment is finished
//! ```
//! What always holds: what a writer called synced is read back after kill -9 and power loss; readers see synced batches only, and
//! each with its checksum checked again; offsets of a partition have no gap and are never used twice; memory holds an index
//! entry per batch for the segments in use only.

mod catalog;
mod files;
mod open;
mod reader;
mod segment;
mod stats;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use engine::limits;
use engine::mesh::{Append, LogEvent};
use engine::ring::{Bell, Consumer, Producer, ring};

pub use open::{OpenError, Recovered, open};
pub use reader::{LogReader, ReadError};
pub use stats::{LogStats, SYNC_SECONDS_BUCKETS};

pub(crate) use files::{sync_dir, write_whole};

use catalog::Catalog;

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
}

/// An open log. One per data folder and process.
#[derive(Debug)]
pub struct Log {
    options: LogOptions,
    catalog: Arc<Catalog>,
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
        // At most two events per append, and the shard reads them before it appends more.
        let (event_to, events) = ring(2 * limits::LOG_RING_ITEMS_MAX + 2, bell);
        let writer = writer::Writer::new(
            shard,
            self.options.clone(),
            self.catalog.clone(),
            self.stats.clone(),
            append_from,
            event_to,
            writer_bell,
        )
        .map_err(|error| OpenError::Io { path: files::shard_dir(&self.options.dir, shard), error })?;
        let thread = std::thread::Builder::new()
            .name(format!("log-{shard}"))
            .spawn(move || writer.run())
            .map_err(OpenError::Thread)?;
        self.writers.push(thread);
        Ok(ShardWriter { appends, events })
    }

    /// A reader; cheap to clone, usable on any thread.
    pub fn reader(&self) -> LogReader {
        LogReader::new(self.catalog.clone())
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
