//! Settings of the HTTP listener.

use std::net::{Ipv4Addr, SocketAddr};

use engine::limits;
use engine::mesh::AckLevel;
use serde::Deserialize;

use crate::config::Problem;

/// The table `[listeners.http]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// What an answer of success promises: `memory`, `written` or `synced`.
    #[serde(deserialize_with = "crate::config::ack_level")]
    pub ack: AckLevel,
    /// JSON pointer (RFC 6901) to the partition key in each NDJSON line. Without it, or `?key=` in the request, lines have no key
    /// and are spread over the partitions.
    pub key_pointer: Option<String>,
    /// Largest event in bytes: data, and names and values of properties.
    pub event_bytes_max: usize,
    /// Largest body of a request in bytes. CloudEvents and IoT Hub bodies are held in memory whole, NDJSON is not.
    pub body_bytes_max: usize,
    /// Largest request head in bytes.
    pub header_bytes_max: usize,
    /// Longest time in milliseconds from a request's head to the end of its body.
    pub request_timeout_ms: u64,
    /// Longest time in milliseconds that a connection may take to send a request's head, idle time included.
    pub idle_timeout_ms: u64,
    /// Most connections of the node; one more is answered with 503.
    pub connections_max: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            ack: AckLevel::Synced,
            key_pointer: None,
            event_bytes_max: limits::EVENT_BYTES_DEFAULT,
            body_bytes_max: 64 * 1024 * 1024,
            header_bytes_max: 64 * 1024,
            request_timeout_ms: 60_000,
            idle_timeout_ms: 120_000,
            connections_max: 10_000,
        }
    }
}

impl HttpConfig {
    /// All that is wrong with the values, without opening anything.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut range = |field, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                found.push(Problem {
                    field,
                    message: format!("{field} is {value}"),
                    help: format!("use a number from {least} to {most}"),
                });
            }
        };
        range("event_bytes_max", self.event_bytes_max as u64, 1, limits::EVENT_BYTES_MAX as u64);
        range("body_bytes_max", self.body_bytes_max as u64, 1024, 1 << 32);
        range("header_bytes_max", self.header_bytes_max as u64, 8192, 1 << 20);
        range("request_timeout_ms", self.request_timeout_ms, 100, 3_600_000);
        range("idle_timeout_ms", self.idle_timeout_ms, 100, 3_600_000);
        range("connections_max", self.connections_max as u64, 1, 1_000_000);
        if self.body_bytes_max < self.event_bytes_max {
            found.push(Problem {
                field: "body_bytes_max",
                message: "a body could not hold one event of event_bytes_max".to_owned(),
                help: format!("set body_bytes_max to at least {}", self.event_bytes_max),
            });
        }
        if let Some(pointer) = &self.key_pointer
            && let Err(message) = super::ndjson::KeyPointer::parse(pointer)
        {
            found.push(Problem {
                field: "key_pointer",
                message,
                help: "write a JSON pointer such as \"/device_id\" or \"/meta/id\"".to_owned(),
            });
        }
        found
    }
}
