//! The only file of the demo that knows the node: a configuration in, counters out.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::expected::{ALERT_FILTER, ALL_FILTER, CRITICAL_FILTER};

/// The route and endpoint of the alerts.
pub const ALERTS: &str = "alerts";
/// The route and endpoint of all telemetry.
pub const TELEMETRY: &str = "telemetry";
/// The route and endpoint of the live tail.
pub const LIVE: &str = "live";

/// Where the demo's files are.
#[derive(Clone, Debug)]
pub struct Places {
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
        Self { data: folder.join("node"), parquet: folder.join("telemetry"), live: folder.join("critical.ndjson") }
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
