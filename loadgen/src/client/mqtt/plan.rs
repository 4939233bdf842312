//! What a run is to do, and where to.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;

use super::codec::{Qos, Version};
use super::topic::Topic;
use crate::fleet::Model;
use crate::pace::Pace;

/// Where to: `mqtt://host:port`, or `mqtts://host:port` for TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
}

/// An address that cannot be a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not an address at all, or one with a path.
    #[error("`{0}` is not the address of a broker; write it as mqtt://127.0.0.1:1883")]
    Malformed(String),
    /// Another protocol.
    #[error("`{0}` begins with neither mqtt:// nor mqtts://")]
    Scheme(String),
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let uri: Uri = text.parse().map_err(|_| TargetError::Malformed(text.to_owned()))?;
        let tls = match uri.scheme_str() {
            Some("mqtt") => false,
            Some("mqtts") => true,
            _ => return Err(TargetError::Scheme(text.to_owned())),
        };
        let malformed = || TargetError::Malformed(text.to_owned());
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(malformed());
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(malformed)?;
        // An IPv6 address stands in brackets.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(if tls { 8883 } else { 1883 }), tls })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        let (left, right) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{left}{}{right}:{}", self.host, self.port)
    }
}

/// How to get into a broker: what publishers and subscribers have in common.
#[derive(Clone, Debug)]
pub struct Access {
    /// Where to.
    pub target: Target,
    /// Version of the protocol.
    pub version: Version,
    /// Seconds without a packet after which a ping is due; 0: none.
    pub keep_alive_s: u16,
    /// User.
    pub username: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// PEM file of certificates that are trusted beside those of the system.
    pub tls_ca: Option<PathBuf>,
    /// Seconds for which the broker keeps a session without a connection (version 5; 3.1.1 brokers have their own mind).
    pub session_expiry_s: u32,
    /// How long a connection, an answer or a receipt may take before the connection counts as broken.
    pub request_timeout: Duration,
    /// How long a connection is tried again before its messages are given up.
    pub give_up_after: Duration,
}

impl Access {
    /// Version 5 without a user; pings after a minute, answers within 30 seconds, another minute before giving up.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            version: Version::V5,
            keep_alive_s: 60,
            username: None,
            password: None,
            tls_ca: None,
            session_expiry_s: 3_600,
            request_timeout: Duration::from_secs(30),
            give_up_after: Duration::from_secs(60),
        }
    }
}

/// A fleet that publishes.
#[derive(Clone, Debug)]
pub struct MqttPlan {
    /// Where to and how to get in.
    pub access: Access,
    /// Quality of service.
    pub qos: Qos,
    /// What the devices are like.
    pub model: Arc<Model>,
    /// Size of the fleet.
    pub devices: u32,
    /// Events to send; `u64::MAX` goes on until told to stop.
    pub events: u64,
    /// Connections: as many as devices for a connection per device, fewer for gateways that carry many.
    pub connections: u32,
    /// Threads that carry the connections.
    pub threads: u32,
    /// Closed loop, or a rate.
    pub pace: Pace,
    /// The fleet's seed.
    pub seed: u64,
    /// Topic.
    pub topic: Topic,
    /// The broker is to keep every device's last event.
    pub retain: bool,
    /// Client ids are this, a hyphen and the connection's number.
    pub client_prefix: String,
    /// Most messages without a receipt of one connection, at QoS 1 and 2.
    pub window: u16,
    /// Connections opened a second; 0: all at once.
    pub connects_per_s: f64,
    /// Addresses that connections come from, in turn. Empty: the system's choice, and on loopback as many as are needed.
    pub sources: Vec<IpAddr>,
}

impl MqttPlan {
    /// A closed loop at QoS 1 without an end: 16 gateways on one thread, 100 messages under way each.
    pub fn new(target: Target, devices: u32) -> Self {
        Self {
            access: Access::new(target),
            qos: Qos::AtLeastOnce,
            model: Model::telemetry(),
            devices,
            events: u64::MAX,
            connections: 16,
            threads: 1,
            pace: Pace::Closed,
            seed: 1,
            topic: Topic::default(),
            retain: false,
            client_prefix: "loadgen".to_owned(),
            window: 100,
            connects_per_s: 0.0,
            sources: Vec::new(),
        }
    }
}
