//! Settings of the QUIC listener: the table `[listeners.quic]`.

use std::net::{Ipv4Addr, SocketAddr};

use engine::mesh::AckLevel;
use serde::Deserialize;

use super::endpoint::QuicEndpointLimits;
use super::session::QuicLimits;
use crate::config::Problem;
use crate::mqtt::access::AccessConfig;
use crate::tls::TlsConfig;

/// The table `[listeners.quic]`. Without it there is no QUIC.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuicConfig {
    /// Address and UDP port; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Certificates; without them the node makes one for development.
    pub tls: Option<TlsConfig>,
    /// Who may connect and do what; without it, as on the MQTT listener if there is one.
    pub access: Option<AccessConfig>,
    /// What ACK promises a publisher: `memory`, `written` or `synced`.
    #[serde(deserialize_with = "crate::config::ack_level")]
    pub ack: AckLevel,
    /// Clients may speak MQTT here too, if the node has an MQTT listener.
    pub mqtt: bool,
    /// Most connections of the node.
    pub connections_max: usize,
    /// Most new connections per second and core from one address.
    pub arrivals_per_address_per_s: u32,
    /// How many of these may come at once.
    pub arrivals_per_address_at_once: u32,
    /// A client that was not heard for so long is gone.
    pub idle_timeout_ms: u32,
    /// Bytes that were sent to a client and that it has not acknowledged.
    pub send_bytes_max: u32,
    /// Most subscriptions of a connection.
    pub subscriptions_max: u32,
    /// Most credit of a subscription in bytes.
    pub credit_bytes_max: u64,
    /// Largest event that a client may publish, in bytes.
    pub event_bytes_max: usize,
}

impl Default for QuicConfig {
    fn default() -> Self {
        let endpoint = QuicEndpointLimits::default();
        let session = QuicLimits::default();
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 4433)),
            tls: None,
            access: None,
            ack: AckLevel::Synced,
            mqtt: true,
            connections_max: endpoint.connections_max,
            arrivals_per_address_per_s: endpoint.arrivals_per_address_per_s,
            arrivals_per_address_at_once: endpoint.arrivals_per_address_at_once,
            idle_timeout_ms: endpoint.idle_timeout_ms,
            send_bytes_max: endpoint.send_bytes_max,
            subscriptions_max: session.subscriptions_max,
            credit_bytes_max: session.credit_max,
            event_bytes_max: session.event_bytes_max,
        }
    }
}

impl QuicConfig {
    /// The bounds of the endpoint.
    pub fn endpoint_limits(&self) -> QuicEndpointLimits {
        QuicEndpointLimits {
            connections_max: self.connections_max,
            arrivals_per_address_per_s: self.arrivals_per_address_per_s,
            arrivals_per_address_at_once: self.arrivals_per_address_at_once,
            idle_timeout_ms: self.idle_timeout_ms,
            keep_alive_ms: self.idle_timeout_ms / 3,
            send_bytes_max: self.send_bytes_max,
            ..QuicEndpointLimits::default()
        }
    }

    /// The bounds of a connection.
    pub fn session_limits(&self) -> QuicLimits {
        QuicLimits {
            subscriptions_max: self.subscriptions_max,
            credit_max: self.credit_bytes_max,
            event_bytes_max: self.event_bytes_max,
            ..QuicLimits::default()
        }
    }

    /// All that is wrong with the values, without opening anything.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found: Vec<Problem> = self.tls.iter().flat_map(TlsConfig::problems).collect();
        found.extend(self.access.iter().flat_map(AccessConfig::problems));
        let mut range = |field, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                let help = format!("use a number from {least} to {most}");
                found.push(Problem { field, message: format!("{field} is {value}"), help });
            }
        };
        range("connections_max", self.connections_max as u64, 1, 10_000_000);
        range("arrivals_per_address_per_s", self.arrivals_per_address_per_s.into(), 1, u32::MAX.into());
        range("arrivals_per_address_at_once", self.arrivals_per_address_at_once.into(), 1, u32::MAX.into());
        range("idle_timeout_ms", self.idle_timeout_ms.into(), 3000, 3_600_000);
        range("send_bytes_max", self.send_bytes_max.into(), 64 * 1024, 1 << 30);
        range("subscriptions_max", self.subscriptions_max.into(), 1, 4096);
        range("credit_bytes_max", self.credit_bytes_max, 64 * 1024, 1 << 40);
        range("event_bytes_max", self.event_bytes_max as u64, 1024, engine::limits::EVENT_BYTES_MAX as u64);
        found
    }
}
