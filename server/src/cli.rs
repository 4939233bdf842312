//! What can be typed: commands, flags and their environment variables.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use engine::mesh::AckLevel;

use crate::config::Overrides;

/// Event router for device fleets: takes events in, keeps them in a durable log, routes them by filters, delivers.
#[derive(Debug, Parser)]
#[command(
    name = "anabranch",
    version,
    arg_required_else_help = true,
    max_term_width = 110,
    after_help = "\
Examples:
  anabranch run                                     a node on defaults: HTTP on 127.0.0.1:8080, data in ./data
  anabranch demo                                    a node and a fleet of 100,000 devices, for 20 seconds
  anabranch check --config anabranch.toml           every problem of a configuration at once
  anabranch tail --filter 'temp > 30'               follow the log of a running node
  anabranch subscribe --filter 'temp > 30'          the same over QUIC: resumes, commits, writes Parquet; needs --quic-listen
  anabranch mqtt sub 'plant/#'                      follow topics of a node with --mqtt-listen, or of any MQTT broker
  anabranch pipe --route 'temp > 30=>parquet:hot' events.ndjson"
)]
pub struct Cli {
    /// How much to log: error, warn, info, debug or trace.
    #[arg(long, global = true, env = "ANABRANCH_LOG", value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
    /// How to log, to stderr.
    #[arg(long, global = true, env = "ANABRANCH_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line each.
    #[default]
    Text,
    /// One JSON object each.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a node until it is told to stop (SIGTERM drains, SIGHUP reloads the configuration).
    Run(RunArgs),
    /// Report every problem of a configuration, opening nothing.
    Check(CheckArgs),
    /// Run a node with a simulated fleet and watch it work.
    Demo(crate::demo::DemoArgs),
    /// Filter a stream of JSON lines into Parquet or NDJSON, without a node.
    Pipe(crate::pipe::PipeArgs),
    /// Look into Parquet files of an endpoint.
    Parquet(crate::parquet::ParquetArgs),
    /// Show what a filter says about an event, and why; or how much of the past it matches.
    Explain(crate::explain::ExplainArgs),
    /// Follow the log of a running node.
    Tail(crate::tail::TailArgs),
    /// Send events of the past again to the endpoint of a route.
    Replay(crate::replay::ReplayArgs),
    /// List events that no webhook took, or send them again.
    DeadLetters(crate::dead_letters::DeadLettersArgs),
    /// Take events from a running node over QUIC, with a filter on the node and a position that is kept.
    Subscribe(crate::quic::SubscribeArgs),
    /// Send lines of JSON to a running node over QUIC, and say what became of them.
    Publish(crate::quic::PublishArgs),
    /// Publish and subscribe over MQTT, and make lines for a password file.
    Mqtt(crate::mqtt::MqttArgs),
}

/// Flags of `anabranch run`; each wins over its environment variable, and that over the file.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "\
Without --config the node runs on defaults: HTTP on 127.0.0.1:8080, data in ./data, everything kept in the built-in hub.
Send it something:
  curl -d '{\"device_id\":\"d1\",\"temp\":31.5}' -H 'content-type: application/x-ndjson' http://127.0.0.1:8080/events")]
pub struct RunArgs {
    /// Configuration file; read again on SIGHUP.
    #[arg(long, short, env = "ANABRANCH_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the log, cursors and dead letters.
    #[arg(long, env = "ANABRANCH_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address of the HTTP listener; port 0 lets the system choose.
    #[arg(long, env = "ANABRANCH_HTTP_LISTEN", value_name = "ADDR:PORT")]
    pub http_listen: Option<SocketAddr>,
    /// Address of the MQTT listener, which is off unless this or the configuration asks for it; port 0 lets the system choose.
    #[arg(long, env = "ANABRANCH_MQTT_LISTEN", value_name = "ADDR")]
    pub mqtt_listen: Option<SocketAddr>,
    /// Address of the QUIC listener (UDP), which is off unless this or the configuration asks for it; port 0 lets the system choose.
    #[arg(long, env = "ANABRANCH_QUIC_LISTEN", value_name = "ADDR")]
    pub quic_listen: Option<SocketAddr>,
    /// What an answer of success promises: memory, written or synced.
    #[arg(long, env = "ANABRANCH_ACK", value_name = "LEVEL", value_parser = ack_level)]
    pub ack: Option<AckLevel>,
    /// JSON pointer to the partition key of NDJSON lines.
    #[arg(long, env = "ANABRANCH_KEY_POINTER", value_name = "POINTER")]
    pub key_pointer: Option<String>,
    /// Largest event in bytes.
    #[arg(long, env = "ANABRANCH_EVENT_BYTES_MAX", value_name = "BYTES")]
    pub event_bytes_max: Option<usize>,
    /// Largest body of a request in bytes.
    #[arg(long, env = "ANABRANCH_BODY_BYTES_MAX", value_name = "BYTES")]
    pub body_bytes_max: Option<usize>,
    /// Most connections of the HTTP listener.
    #[arg(long, env = "ANABRANCH_CONNECTIONS_MAX", value_name = "N")]
    pub connections_max: Option<usize>,
    /// Number of shards, each a thread pinned to a core; 0: one per core.
    #[arg(long, env = "ANABRANCH_SHARDS", value_name = "N")]
    pub shards: Option<u32>,
    /// Number of partitions of a new log.
    #[arg(long, env = "ANABRANCH_PARTITIONS", value_name = "N")]
    pub partitions: Option<u32>,
    /// Remove the oldest segments while the log has more bytes; 0 keeps everything.
    #[arg(long, env = "ANABRANCH_RETENTION_BYTES_MAX", value_name = "BYTES")]
    pub retention_bytes_max: Option<u64>,
    /// Remove segments once all of their events are older, in seconds; 0 keeps everything.
    #[arg(long, env = "ANABRANCH_RETENTION_AGE_S_MAX", value_name = "SECONDS")]
    pub retention_age_s_max: Option<u64>,
    /// Size at which a segment of the log is finished.
    #[arg(long, env = "ANABRANCH_SEGMENT_BYTES_MAX", value_name = "BYTES")]
    pub segment_bytes_max: Option<u64>,
    /// Most bytes that one sync of the log commits.
    #[arg(long, env = "ANABRANCH_COMMIT_BYTES_MAX", value_name = "BYTES")]
    pub commit_bytes_max: Option<usize>,
    /// How long an idle device waits for more to commit; 0: not at all.
    #[arg(long, env = "ANABRANCH_COMMIT_DELAY_MS_MAX", value_name = "MS")]
    pub commit_delay_ms_max: Option<u64>,
    /// Keep a CloudEvent that comes again within so many seconds (same source and id) once; 0: keep all.
    #[arg(long, env = "ANABRANCH_DEDUP_WINDOW_S_MAX", value_name = "SECONDS")]
    pub dedup_window_s_max: Option<u64>,
}

impl RunArgs {
    /// What flags and environment say about the configuration.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            data_dir: self.data_dir.clone(),
            http_listen: self.http_listen,
            mqtt_listen: self.mqtt_listen,
            quic_listen: self.quic_listen,
            ack: self.ack,
            key_pointer: self.key_pointer.clone(),
            event_bytes_max: self.event_bytes_max,
            body_bytes_max: self.body_bytes_max,
            connections_max: self.connections_max,
            shards: self.shards,
            partitions: self.partitions,
            retention_bytes_max: self.retention_bytes_max,
            retention_age_s_max: self.retention_age_s_max,
            segment_bytes_max: self.segment_bytes_max,
            commit_bytes_max: self.commit_bytes_max,
            commit_delay_ms_max: self.commit_delay_ms_max,
            dedup_window_s_max: self.dedup_window_s_max,
        }
    }
}

/// Flags of `anabranch check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The configuration file.
    #[arg(long, short, env = "ANABRANCH_CONFIG", value_name = "FILE", default_value = "anabranch.toml")]
    pub config: PathBuf,
}

fn ack_level(text: &str) -> Result<AckLevel, String> {
    AckLevel::by_name(text).ok_or_else(|| "use memory, written or synced".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
