//! `/metrics`: a plain snapshot of what the node counts, and its OpenMetrics text.
//!
//! Shards and sinks count in plain fields of their own. Whoever is asked for metrics copies them into a [`NodeSnapshot`]; nothing is
//! registered, looked up or locked while events flow. Names and labels are stable: dashboards depend on them.

mod text;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

use connectors::hub::{LogStats, SYNC_SECONDS_BUCKETS};
use connectors::sink::SinkStats;
use engine::shard::{BATCH_ROWS_BUCKETS, ShardStats};

pub use text::render;

/// All that a node counts, at one moment.
#[derive(Clone, Debug, Default)]
pub struct NodeSnapshot {
    /// Version of the program.
    pub version: String,
    /// Seconds since the start.
    pub uptime_s: f64,
    /// Everything has started.
    pub is_ready: bool,
    /// Open connections, by listener.
    pub connections: Vec<(String, u64)>,
    /// Events that were not accepted.
    pub rejected: Vec<Rejected>,
    /// One per shard.
    pub shards: Vec<ShardSnapshot>,
    /// The log.
    pub log: LogSnapshot,
    /// One per endpoint.
    pub endpoints: Vec<EndpointSnapshot>,
    /// The MQTT listener, if there is one.
    pub mqtt: Option<MqttSnapshot>,
    /// The QUIC listener, if there is one.
    pub quic: Option<QuicSnapshot>,
    /// Version of the route table.
    pub table_version: u64,
    /// Enabled routes.
    pub routes: u64,
    /// Routes that no index serves.
    pub routes_scanned: u64,
    /// Bytes that the route table takes, names not counted.
    pub route_table_bytes: u64,
}

/// What the MQTT listener counts.
#[derive(Clone, Debug, Default)]
pub struct MqttSnapshot {
    /// Name, meaning and value of each counter, all cores together.
    pub counters: Vec<(&'static str, &'static str, u64)>,
    /// Sessions, with and without a connection.
    pub sessions: u64,
    /// Retained messages.
    pub retained_messages: u64,
    /// Their bytes.
    pub retained_bytes: u64,
    /// Messages that were to be retained and were not, for want of room.
    pub retained_refused: u64,
}

/// What the QUIC listener counts.
#[derive(Clone, Debug, Default)]
pub struct QuicSnapshot {
    /// Name, meaning and value of each counter, all cores together.
    pub counters: Vec<(&'static str, &'static str, u64)>,
    /// Live subscriptions.
    pub subscribers: u64,
}

/// Events that were refused.
#[derive(Clone, Debug, Default)]
pub struct Rejected {
    /// Where they came in.
    pub listener: String,
    /// Why, in one word.
    pub reason: String,
    /// How many.
    pub events: u64,
}

/// What one shard counts.
#[derive(Clone, Debug, Default)]
pub struct ShardSnapshot {
    /// Its number.
    pub shard: u32,
    /// Events that got an offset.
    pub accepted_events: u64,
    /// Their bytes as stored.
    pub accepted_bytes: u64,
    /// Events that had been kept before.
    pub duplicate_events: u64,
    /// Ids that were forgotten before their time.
    pub forgotten_ids: u64,
    /// Pairs of producer and partition whose sequences are remembered.
    pub producers: u64,
    /// Of these, those that were forgotten before their time.
    pub forgotten_producers: u64,
    /// Events that are synced and matched.
    pub synced_events: u64,
    /// Events that the log could not keep.
    pub refused_events: u64,
    /// Bodies that some route wants to read.
    pub bodies: u64,
    /// Of these, those of a known shape.
    pub shape_hits: u64,
    /// Of these, those that are not JSON.
    pub not_json: u64,
    /// Events that matched no route.
    pub orphaned_events: u64,
    /// Events per batch.
    pub batch_rows: Histogram,
}

impl ShardSnapshot {
    /// What shard number `shard` counts.
    pub fn of(shard: u32, stats: &ShardStats) -> Self {
        let accepted_events = count(&stats.accepted_events);
        Self {
            shard,
            accepted_events,
            accepted_bytes: count(&stats.accepted_bytes),
            duplicate_events: count(&stats.duplicate_events),
            forgotten_ids: count(&stats.forgotten_ids),
            producers: count(&stats.producers),
            forgotten_producers: count(&stats.forgotten_producers),
            synced_events: count(&stats.synced_events),
            refused_events: count(&stats.refused_events),
            bodies: count(&stats.bodies),
            shape_hits: count(&stats.shape_hits),
            not_json: count(&stats.not_json),
            orphaned_events: count(&stats.orphaned_events),
            batch_rows: Histogram {
                bounds: BATCH_ROWS_BUCKETS.iter().map(|bound| *bound as f64).collect(),
                counts: stats.batch_rows.iter().map(count).collect(),
                sum: accepted_events as f64,
            },
        }
    }
}

/// What the log counts.
#[derive(Clone, Debug, Default)]
pub struct LogSnapshot {
    /// Bytes of all segments on disk.
    pub bytes: u64,
    /// Number of segments.
    pub segments: u64,
    /// Batches synced.
    pub appended_batches: u64,
    /// Bytes synced.
    pub appended_bytes: u64,
    /// Writes or syncs that failed.
    pub failures: u64,
    /// Groups written again after a sync that failed.
    pub rewritten_groups: u64,
    /// Bytes found damaged.
    pub damaged_bytes: u64,
    /// Segments removed by retention.
    pub removed_segments: u64,
    /// Time per fdatasync.
    pub sync_seconds: Histogram,
}

impl LogSnapshot {
    /// What the log counts.
    pub fn of(stats: &LogStats) -> Self {
        Self {
            bytes: count(&stats.bytes),
            segments: count(&stats.segments),
            appended_batches: count(&stats.appended_batches),
            appended_bytes: count(&stats.appended_bytes),
            failures: count(&stats.failures),
            rewritten_groups: count(&stats.rewritten_groups),
            damaged_bytes: count(&stats.damaged_bytes),
            removed_segments: count(&stats.removed_segments),
            sync_seconds: Histogram {
                bounds: SYNC_SECONDS_BUCKETS.to_vec(),
                counts: stats.sync_buckets.iter().map(count).collect(),
                sum: count(&stats.sync_micros) as f64 / 1e6,
            },
        }
    }
}

/// How often which size was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Upper bounds, ascending; a value counts in the first bucket whose bound it does not exceed.
    pub bounds: Vec<f64>,
    /// One more than bounds: the last counts what is above all of them.
    pub counts: Vec<u64>,
    /// Sum of all values.
    pub sum: f64,
}

impl Histogram {
    /// Number of values.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Upper bound and count of each bucket, the last without bound.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        self.bounds.iter().copied().chain([f64::INFINITY]).zip(self.counts.iter().copied()).collect()
    }
}

/// What one endpoint counts.
#[derive(Clone, Debug, Default)]
pub struct EndpointSnapshot {
    /// Its name.
    pub endpoint: String,
    /// `webhook`, `parquet`, …
    pub kind: String,
    /// Events that its routes matched.
    pub matched_events: u64,
    /// Events delivered.
    pub delivered_events: u64,
    /// Bytes sent or written.
    pub delivered_bytes: u64,
    /// Attempts that failed and are repeated.
    pub retries: u64,
    /// Events written to the dead letter file.
    pub dead_lettered_events: u64,
    /// Events given up without one.
    pub dropped_events: u64,
    /// Files completed.
    pub files: u64,
    /// Members, or kinds of their values, that got no column because there were as many as may be.
    pub refused_columns: u64,
    /// Events with a value that did not fit the column declared for it.
    pub mismatched_events: u64,
    /// Events of the log behind its cursors, whether or not it wants them.
    pub lag_events: u64,
    /// Their bytes.
    pub lag_bytes: u64,
    /// How long ago the first of them was accepted, in seconds.
    pub lag_seconds: u64,
    /// Events that retention removed before the endpoint got to them.
    pub lost_events: u64,
    /// It is fed from the log, not from memory.
    pub is_behind: bool,
    /// What went wrong last, cut to a length that fits a label.
    pub last_error: Option<String>,
}

/// Characters of an error that a label shows.
const ERROR_CHARS_MAX: usize = 300;

impl EndpointSnapshot {
    /// What its sink counts; the rest is the caller's.
    pub fn of(endpoint: &str, kind: &str, stats: &SinkStats) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            kind: kind.to_owned(),
            delivered_events: count(&stats.delivered_events),
            delivered_bytes: count(&stats.delivered_bytes),
            retries: count(&stats.retries),
            dead_lettered_events: count(&stats.dead_lettered_events),
            dropped_events: count(&stats.dropped_events),
            files: count(&stats.files),
            refused_columns: count(&stats.refused_columns),
            mismatched_events: count(&stats.mismatched_events),
            last_error: stats.last_error().map(|error| error.chars().take(ERROR_CHARS_MAX).collect()),
            ..Self::default()
        }
    }
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
