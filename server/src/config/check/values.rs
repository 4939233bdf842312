//! Rules of single values: the ranges of `[node]` and `[log]`, and what a name is.

use connectors::config::Problem;
use connectors::mqtt::MqttConfig;
use connectors::quic::QuicConfig;
use engine::limits;

use crate::config::{LogSettings, NodeConfig, NodeSettings};

/// The problems of values whatever their origin, for those that came by flag or environment variable.
pub fn problems_of_values(config: &NodeConfig) -> Vec<Problem> {
    let mut found = config.http.problems();
    found.extend(config.mqtt.iter().flat_map(MqttConfig::problems));
    found.extend(config.quic.iter().flat_map(QuicConfig::problems));
    found.extend(node_problems(&config.node));
    found.extend(log_problems(&config.log));
    found
}

/// Of `[node]`.
pub(super) fn node_problems(node: &NodeSettings) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut range = |field, value: u32, least: u32, most: u32| {
        if !(least..=most).contains(&value) {
            let help = format!("use a number from {least} to {most}");
            found.push(Problem { field, message: format!("`{field}` is {value}"), help });
        }
    };
    range("partitions", node.partitions, 1, limits::PARTITIONS_MAX);
    range("shards", node.shards, 0, 256);
    if node.data_dir.as_os_str().is_empty() {
        let help = "name a folder, for instance \"./data\"".to_owned();
        found.push(Problem { field: "data_dir", message: "`data_dir` is empty".to_owned(), help });
    }
    if !is_name(&node.name) {
        let message = format!("`{}` is no name", node.name);
        found.push(Problem { field: "name", message, help: NAME_HELP.to_owned() });
    }
    found
}

/// Of `[log]`.
pub(super) fn log_problems(log: &LogSettings) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut range = |field, value: u64, least: u64, most: u64| {
        if !(least..=most).contains(&value) {
            let help = format!("use a number from {least} to {most}");
            found.push(Problem { field, message: format!("`{field}` is {value}"), help });
        }
    };
    range("segment_bytes_max", log.segment_bytes_max, 1 << 20, 1 << 36);
    range("commit_bytes_max", log.commit_bytes_max as u64, 4096, limits::COMMIT_BYTES_MAX as u64);
    range("commit_delay_ms_max", log.commit_delay_ms_max, 0, 1000);
    range("dedup_window_s_max", log.dedup_window_s_max, 0, 7 * 24 * 3600);
    range("dedup_ids_max", log.dedup_ids_max as u64, 1, 1 << 28);
    range("producer_window_s_max", log.producer_window_s_max, 1, 7 * 24 * 3600);
    range("producers_max", log.producers_max as u64, 2, 1 << 26);
    range("recent_bytes_max", log.recent_bytes_max as u64, 0, 1 << 34);
    if log.retention_bytes_max != 0 && log.retention_bytes_max < log.segment_bytes_max {
        let message =
            "`retention_bytes_max` is smaller than one segment, and only whole segments are removed".to_owned();
        let help =
            format!("set it to at least {} (segment_bytes_max), or to 0 to keep everything", log.segment_bytes_max);
        found.push(Problem { field: "retention_bytes_max", message, help });
    }
    found
}

/// What to do about a name that is none.
pub(super) const NAME_HELP: &str = "use 1 to 64 letters, digits and the characters - . _";

/// Names of nodes, endpoints, routes and enrichments.
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}
