//! The file as it is typed: one serde shape per table.

use std::path::PathBuf;

use serde::Deserialize;

/// The table `[node]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeSettings {
    /// Name of the node, for enrichments and messages.
    pub name: String,
    /// Folder of the log, the cursors and the dead letters. One node per folder.
    pub data_dir: PathBuf,
    /// Number of partitions; fixed when the log is created.
    pub partitions: u32,
    /// Number of shards, each a thread pinned to a core; 0: one per core.
    pub shards: u32,
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self {
            name: "anabranch".to_owned(),
            data_dir: PathBuf::from("./data"),
            partitions: engine::limits::PARTITIONS_DEFAULT,
            shards: 0,
        }
    }
}

/// The table `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// A segment file is finished once it has this many bytes.
    pub segment_bytes_max: u64,
    /// The oldest segments are removed while the log has more bytes; 0 keeps everything.
    pub retention_bytes_max: u64,
    /// Segments are removed once all of their events are older, in seconds; 0 keeps everything.
    pub retention_age_s_max: u64,
    /// Most bytes that one sync commits.
    pub commit_bytes_max: usize,
    /// How long an idle device waits for more to commit, in milliseconds; 0: not at all.
    pub commit_delay_ms_max: u64,
    /// Write past the system's memory (O_DIRECT) where the file system can.
    pub direct_io: bool,
    /// Bytes of the newest batches of a shard that stay in memory for readers.
    pub recent_bytes_max: usize,
    /// How long a publisher's (source, id) is remembered so that it is kept once, in seconds; 0: not at all.
    pub dedup_window_s_max: u64,
    /// Ids that a shard remembers at most.
    pub dedup_ids_max: usize,
    /// How long a silent producer's sequences are remembered, so that what it sends again is kept once, in seconds.
    pub producer_window_s_max: u64,
    /// Pairs of producer and partition that a shard remembers at most.
    pub producers_max: usize,
}

impl Default for LogSettings {
    fn default() -> Self {
        let log = connectors::hub::LogOptions::new("", 1);
        let commit = engine::shard::CommitPolicy::default();
        let producers = engine::shard::ProducerSettings::default();
        Self {
            segment_bytes_max: log.segment_bytes_max,
            retention_bytes_max: log.retention_bytes_max,
            retention_age_s_max: log.retention_age_s_max,
            commit_bytes_max: commit.bytes_max,
            commit_delay_ms_max: commit.delay_us_max / 1000,
            direct_io: log.direct_io,
            recent_bytes_max: log.recent_bytes_max,
            dedup_window_s_max: 0,
            dedup_ids_max: 1_000_000,
            producer_window_s_max: producers.window_ms / 1000,
            producers_max: producers.producers_max,
        }
    }
}

/// What all endpoints have beside the keys of their type.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct EndpointShape {
    /// `webhook`, `parquet`, `ndjson` or `mqtt`.
    pub r#type: String,
    /// Where a new endpoint starts: `latest` or `beginning`.
    #[serde(default)]
    pub from: Option<String>,
}

/// A table `[[routes]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteShape {
    /// Name of the route.
    pub name: String,
    /// The kind of events it looks at.
    #[serde(default)]
    pub source: Option<String>,
    /// `anabranch`, `iothub`, `digitaltwins`, `eventgrid` or `mqtt`.
    #[serde(default)]
    pub dialect: Option<String>,
    /// What it wants.
    #[serde(default)]
    pub filter: Option<String>,
    /// Where its matches go.
    pub endpoint: String,
    /// Whether it is used.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// The table `[fallback]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FallbackShape {
    /// Where telemetry goes that matches no route.
    pub endpoint: String,
    /// Whether it is used.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// A table `[[enrichments]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrichmentShape {
    /// Name of the property.
    pub key: String,
    /// Its value.
    pub value: String,
    /// To whose deliveries it is added.
    pub endpoints: Vec<String>,
}

fn yes() -> bool {
    true
}
