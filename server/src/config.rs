//! The configuration: a TOML file, laid under environment variables and flags, to a checked [`NodeConfig`].
//!
//! Checking is pure: it opens nothing but the file it was given, reports every problem it can find at once with its place and
//! the way out, and a configuration with a problem is never half used. `docs/configuration.md` lists all keys; a test keeps it so.

mod check;
mod shape;
mod table;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use connectors::file::NdjsonConfig;
use connectors::http::HttpConfig;
use connectors::mqtt::MqttConfig;
use connectors::mqtt::sink::MqttSinkConfig;
use connectors::parquet::ParquetConfig;
use connectors::quic::QuicConfig;
use connectors::webhook::WebhookConfig;
use engine::event::Source;
use engine::filter::{Diagnostic, Dialect};
use engine::mesh::AckLevel;

pub use check::{Checked, check};
pub use shape::{LogSettings, NodeSettings};

use crate::cli::RunArgs;

/// The name of the built-in endpoint: the log itself.
pub const HUB: &str = "hub";

/// Everything a node is started with.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeConfig {
    /// The node itself.
    pub node: NodeSettings,
    /// The HTTP listener.
    pub http: HttpConfig,
    /// The MQTT listener, if there is one.
    pub mqtt: Option<MqttConfig>,
    /// The QUIC listener, if there is one.
    pub quic: Option<QuicConfig>,
    /// The log.
    pub log: LogSettings,
    /// All endpoints, the built-in hub first.
    pub endpoints: Vec<EndpointSettings>,
    /// All routes.
    pub routes: Vec<RouteSettings>,
    /// Where telemetry goes that matches no route.
    pub fallback: Option<FallbackSettings>,
    /// What is added to deliveries.
    pub enrichments: Vec<EnrichmentSettings>,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointSettings {
    /// Its name, unique among endpoints of every type.
    pub name: String,
    /// Where it starts when it is new.
    pub from: StartFrom,
    /// What it is.
    pub kind: EndpointKind,
}

/// Where a new endpoint starts in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartFrom {
    /// With the next event.
    #[default]
    Latest,
    /// With the oldest event that is kept.
    Beginning,
}

/// The types of endpoints.
#[derive(Clone, Debug, PartialEq)]
pub enum EndpointKind {
    /// The log itself; read over the hub API.
    Hub,
    /// HTTP POST.
    Webhook(WebhookConfig),
    /// Parquet files.
    Parquet(Box<ParquetConfig>),
    /// A file of JSON lines.
    Ndjson(NdjsonConfig),
    /// MQTT messages on topics of the node.
    Mqtt(MqttSinkConfig),
}

impl EndpointKind {
    /// Its name in configuration and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Webhook(_) => "webhook",
            Self::Parquet(_) => "parquet",
            Self::Ndjson(_) => "ndjson",
            Self::Mqtt(_) => "mqtt",
        }
    }
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSettings {
    /// Its name, unique among routes.
    pub name: String,
    /// The kind of events it looks at.
    pub source: Source,
    /// The language of its filter.
    pub dialect: Dialect,
    /// What it wants; `true` wants everything.
    pub filter: String,
    /// Where its matches go.
    pub endpoint: String,
    /// Disabled routes are checked and not used.
    pub enabled: bool,
}

/// Where telemetry goes that matches no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallbackSettings {
    /// The endpoint.
    pub endpoint: String,
    /// Disabled, such events stay in the log and go nowhere.
    pub enabled: bool,
}

/// A property that is added to deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrichmentSettings {
    /// Its name.
    pub key: String,
    /// Its value: static text, or `$iothubname` for the node's name.
    pub value: String,
    /// To whose deliveries.
    pub endpoints: Vec<String>,
}

impl NodeConfig {
    /// Some endpoint publishes retained MQTT messages.
    pub fn publishes_retained(&self) -> bool {
        self.endpoints.iter().any(|endpoint| matches!(&endpoint.kind, EndpointKind::Mqtt(config) if config.retain))
    }

    /// Whether `other` can be put in force without a restart; `Err` names what cannot change.
    pub fn same_until_restart(&self, other: &Self) -> Result<(), &'static str> {
        let fixed = [
            (self.node.data_dir == other.node.data_dir, "node.data_dir"),
            (self.node.partitions == other.node.partitions, "node.partitions"),
            (self.node.shards == other.node.shards, "node.shards"),
            (self.http == other.http, "listeners.http"),
            (self.mqtt == other.mqtt, "listeners.mqtt"),
            (self.quic == other.quic, "listeners.quic"),
            (self.log == other.log, "log"),
        ];
        fixed.iter().find(|(same, _)| !same).map_or(Ok(()), |(_, what)| Err(*what))
    }
}

/// What environment variables and flags say; each wins over the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// `node.data_dir`
    pub data_dir: Option<PathBuf>,
    /// `listeners.http.listen`
    pub http_listen: Option<SocketAddr>,
    /// `listeners.mqtt.listen`; makes a listener where there was none.
    pub mqtt_listen: Option<SocketAddr>,
    /// `listeners.quic.listen`; makes a listener where there was none.
    pub quic_listen: Option<SocketAddr>,
    /// `listeners.http.ack`
    pub ack: Option<AckLevel>,
    /// `listeners.http.key_pointer`
    pub key_pointer: Option<String>,
    /// `listeners.http.event_bytes_max`
    pub event_bytes_max: Option<usize>,
    /// `listeners.http.body_bytes_max`
    pub body_bytes_max: Option<usize>,
    /// `listeners.http.connections_max`
    pub connections_max: Option<usize>,
    /// `node.shards`
    pub shards: Option<u32>,
    /// `node.partitions`
    pub partitions: Option<u32>,
    /// `log.retention_bytes_max`
    pub retention_bytes_max: Option<u64>,
    /// `log.retention_age_s_max`
    pub retention_age_s_max: Option<u64>,
    /// `log.segment_bytes_max`
    pub segment_bytes_max: Option<u64>,
    /// `log.commit_bytes_max`
    pub commit_bytes_max: Option<usize>,
    /// `log.commit_delay_ms_max`
    pub commit_delay_ms_max: Option<u64>,
    /// `log.dedup_window_s_max`
    pub dedup_window_s_max: Option<u64>,
}

impl Overrides {
    fn apply(&self, config: &mut NodeConfig) {
        fn set<T: Clone>(place: &mut T, value: &Option<T>) {
            if let Some(value) = value {
                *place = value.clone();
            }
        }
        set(&mut config.node.data_dir, &self.data_dir);
        set(&mut config.node.shards, &self.shards);
        set(&mut config.node.partitions, &self.partitions);
        set(&mut config.http.listen, &self.http_listen);
        set(&mut config.http.ack, &self.ack);
        set(&mut config.http.event_bytes_max, &self.event_bytes_max);
        set(&mut config.http.body_bytes_max, &self.body_bytes_max);
        set(&mut config.http.connections_max, &self.connections_max);
        set(&mut config.log.retention_bytes_max, &self.retention_bytes_max);
        set(&mut config.log.retention_age_s_max, &self.retention_age_s_max);
        set(&mut config.log.segment_bytes_max, &self.segment_bytes_max);
        set(&mut config.log.commit_bytes_max, &self.commit_bytes_max);
        set(&mut config.log.commit_delay_ms_max, &self.commit_delay_ms_max);
        set(&mut config.log.dedup_window_s_max, &self.dedup_window_s_max);
        if let Some(listen) = self.mqtt_listen {
            config.mqtt.get_or_insert_default().listen = Some(listen);
        }
        if let Some(listen) = self.quic_listen {
            config.quic.get_or_insert_default().listen = listen;
        }
        if self.key_pointer.is_some() {
            config.http.key_pointer = self.key_pointer.clone();
        }
    }
}

/// Why there is no configuration to start with: text for a person, problems rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError(pub String);

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The configuration of `anabranch run`: file, environment, flags. Warnings go to the log.
pub fn load(args: &RunArgs) -> Result<NodeConfig, LoadError> {
    let mut config = match &args.config {
        Some(path) => load_file(path)?,
        None => check("", "").config.ok_or_else(|| LoadError("the defaults are refused".to_owned()))?,
    };
    args.overrides().apply(&mut config);
    let problems: Vec<String> = check::problems_of_values(&config)
        .into_iter()
        .map(|problem| {
            format!("error: {} (from a flag or an environment variable)\n  help: {}\n", problem.message, problem.help)
        })
        .collect();
    if problems.is_empty() { Ok(config) } else { Err(LoadError(problems.concat())) }
}

/// The configuration in a file.
pub fn load_file(path: &Path) -> Result<NodeConfig, LoadError> {
    let text = read(path)?;
    let origin = path.display().to_string();
    let checked = check(&text, &origin);
    match checked.config {
        Some(config) => {
            for warning in &checked.diagnostics {
                tracing::warn!("{}", one_line(&origin, &text, warning));
            }
            Ok(config)
        }
        None => Err(LoadError(checked.render(false))),
    }
}

/// The text of a configuration file.
pub fn read(path: &Path) -> Result<String, LoadError> {
    std::fs::read_to_string(path).map_err(|error| {
        LoadError(format!(
            "error: cannot read the configuration {}: {error}\n  help: name another file with --config\n",
            path.display()
        ))
    })
}

fn one_line(origin: &str, text: &str, diagnostic: &Diagnostic) -> String {
    let (start, _) = diagnostic.location(text);
    format!("{origin}:{start}: {}", diagnostic.message)
}
