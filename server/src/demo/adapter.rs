//! The only file of the demo that knows the node: a configuration in, counters out.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::expected::{ALERT_FILTER, ALL_FILTER, CRITICAL_FILTER};
use crate::config;
use crate::node::{self, RunningNode};

/// The route and endpoint of the alerts.
pub const ALERTS: &str = "alerts";
/// The route and endpoint of all telemetry.
pub const TELEMETRY: &str = "telemetry";
/// The route and endpoint of the live tail.
pub const LIVE: &str = "live";

/// Where the demo's files are.
#[derive(Clone, Debug)]
pub struct Places {
    /// The node's configuration.
    pub config: PathBuf,
    /// Log and state of the node.
    pub data: PathBuf,
    /// The Parquet files.
    pub parquet: PathBuf,
    /// The file of critical events.
    pub live: PathBuf,
}

impl Places {
    /// Within `folder`.
    pub fn within(folder: &Path) -> Self {
        Self {
            config: folder.join("anabranch.toml"),
            data: folder.join("node"),
            parquet: folder.join("telemetry"),
            live: folder.join("critical.ndjson"),
        }
    }
}

/// One endpoint's counters.
#[derive(Clone, Debug, Default)]
pub struct EndpointLook {
    /// Events matched.
    pub matched: u64,
    /// Events delivered.
    pub delivered: u64,
    /// Events written off.
    pub dead_lettered: u64,
    /// Events not yet settled.
    pub lag_events: u64,
}

/// The node's counters at one moment.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Events taken into the log since the node started.
    pub events_in: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// In the order of the names that were asked for.
    pub endpoints: Vec<EndpointLook>,
}

/// The demo's configuration as a person would write it.
pub fn configuration(places: &Places, webhook_url: &str) -> String {
    let quoted = |path: &Path| toml::Value::String(path.display().to_string()).to_string();
    format!(
        r#"[node]
data_dir = {data}

[listeners.http]
listen = "127.0.0.1:0"
key_pointer = "/device_id"

[endpoints.{ALERTS}]
type = "webhook"
url = "{webhook_url}"
batch_events_max = 100

[endpoints.{TELEMETRY}]
type = "parquet"
dir = {parquet}

[endpoints.{LIVE}]
type = "ndjson"
path = {live}

[[routes]]
name = "{ALERTS}"
filter = "{ALERT_FILTER}"
endpoint = "{ALERTS}"

[[routes]]
name = "{TELEMETRY}"
filter = "{ALL_FILTER}"
endpoint = "{TELEMETRY}"

[[routes]]
name = "{LIVE}"
filter = "{CRITICAL_FILTER}"
endpoint = "{LIVE}"
"#,
        data = quoted(&places.data),
        parquet = quoted(&places.parquet),
        live = quoted(&places.live),
    )
}

/// The node of a demo does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its configuration cannot be written.
    #[error("cannot write {path}: {error}")]
    Write {
        /// Where to.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Its configuration is refused: a fault of the demo.
    #[error("the demo's own configuration is refused:\n{0}")]
    Config(String),
    /// The node itself.
    #[error(transparent)]
    Node(#[from] node::StartError),
}

/// The node of a demo.
pub struct DemoNode(RunningNode);

impl DemoNode {
    /// Starts it on a port that the system chooses. Its configuration stays in its folder, to start it again with.
    pub fn start(places: &Places, webhook_url: &str) -> Result<Self, StartError> {
        std::fs::write(&places.config, configuration(places, webhook_url))
            .map_err(|error| StartError::Write { path: places.config.clone(), error })?;
        let config = config::load_file(&places.config).map_err(|problems| StartError::Config(problems.to_string()))?;
        Ok(Self(node::start(config)?))
    }

    /// Where it listens.
    pub fn http_addr(&self) -> SocketAddr {
        self.0.http_addr()
    }

    /// Where bulk NDJSON is posted to.
    pub fn ingest_url(&self) -> String {
        format!("http://{}/events", self.http_addr())
    }

    /// Its counters; an endpoint that it does not know stands at zero.
    pub fn look(&self, names: &[&str]) -> Look {
        let snapshot = self.0.snapshot();
        let endpoint = |name: &&str| {
            let found = snapshot.endpoints.iter().find(|endpoint| endpoint.endpoint == *name);
            found.map_or_else(EndpointLook::default, |endpoint| EndpointLook {
                matched: endpoint.matched_events,
                delivered: endpoint.delivered_events,
                dead_lettered: endpoint.dead_lettered_events + endpoint.dropped_events,
                lag_events: endpoint.lag_events,
            })
        };
        Look {
            events_in: snapshot.shards.iter().map(|shard| shard.accepted_events).sum(),
            log_bytes: snapshot.log.bytes,
            endpoints: names.iter().map(endpoint).collect(),
        }
    }

    /// Delivers what is left and stops.
    pub async fn stop(self) {
        self.0.drain_and_stop().await;
    }
}
