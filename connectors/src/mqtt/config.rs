//! Settings of the MQTT listener: the table `[listeners.mqtt]`.

use std::net::{Ipv4Addr, SocketAddr};

use engine::limits;
use engine::mesh::AckLevel;
use serde::{Deserialize, Deserializer};

use super::access::AccessConfig;
use super::codec::Qos;
use super::mapping::MappingConfig;
use super::tls::TlsConfig;
use crate::config::Problem;

/// The table `[listeners.mqtt]`. Without it there is no MQTT.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MqttConfig {
    /// Address and port of plain MQTT; port 0 lets the system choose, `"off"`: none.
    #[serde(deserialize_with = "address")]
    pub listen: Option<SocketAddr>,
    /// Of MQTT over TLS.
    #[serde(deserialize_with = "address")]
    pub tls_listen: Option<SocketAddr>,
    /// Of MQTT over WebSocket.
    #[serde(deserialize_with = "address")]
    pub ws_listen: Option<SocketAddr>,
    /// Of MQTT over secure WebSocket.
    #[serde(deserialize_with = "address")]
    pub wss_listen: Option<SocketAddr>,
    /// Certificates.
    pub tls: Option<TlsConfig>,
    /// Who may connect and do what.
    pub access: AccessConfig,
    /// How messages become events.
    pub mapping: MappingConfig,
    /// What PUBACK and PUBREC promise: `memory`, `written` or `synced`.
    #[serde(deserialize_with = "crate::config::ack_level")]
    pub ack: AckLevel,
    /// Most connections of the node; one more is closed at once.
    pub connections_max: usize,
    /// Longest time in milliseconds from a connection to the end of its CONNECT, TLS and WebSocket included.
    pub connect_timeout_ms: u64,
    /// Largest packet that is taken, in bytes.
    pub packet_bytes_max: usize,
    /// Messages of QoS 1 and 2 that a client may have under way.
    pub receive_max: u16,
    /// Highest topic alias that a client may use; 0: none.
    pub topic_alias_max: u16,
    /// Highest topic alias towards clients that allow it; 0: none.
    pub topic_alias_out_max: u16,
    /// Highest QoS: 0, 1 or 2.
    pub qos_max: u8,
    /// Longest keep-alive in seconds; clients of version 5 that ask for more, or for none, are told so. 0: what they ask for.
    pub keep_alive_s_max: u16,
    /// Longest time in seconds that a session outlives its connection; 4294967295: for ever.
    pub session_expiry_s_max: u32,
    /// Retained messages are kept.
    pub retain_available: bool,
    /// Filters may have wildcards.
    pub wildcard_available: bool,
    /// Subscriptions may have identifiers.
    pub subscription_ids_available: bool,
    /// Subscriptions may be shared.
    pub shared_available: bool,
    /// Most sessions of the node, with and without a connection.
    pub sessions_max: usize,
    /// Most subscriptions of a session.
    pub subscriptions_max: usize,
    /// Messages of QoS 1 and 2 that are under way to a client, if it allows as many.
    pub in_flight_max: u16,
    /// Bytes that wait to be sent to a client before it is behind.
    pub out_bytes_max: usize,
    /// Events of one partition that a session may be behind before the oldest are passed over; 0: what the log keeps.
    pub lag_events_max: u64,
    /// Messages of QoS 0 that come while a client is away are sent when it is back.
    pub queue_qos0: bool,
    /// Most retained messages.
    pub retained_messages_max: usize,
    /// Most bytes of retained messages.
    pub retained_bytes_max: usize,
    /// Clients that connect and disconnect are events.
    pub life_cycle_events: bool,
}

impl Default for MqttConfig {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 1883))),
            tls_listen: None,
            ws_listen: None,
            wss_listen: None,
            tls: None,
            access: AccessConfig::default(),
            mapping: MappingConfig::default(),
            ack: AckLevel::Synced,
            connections_max: 100_000,
            connect_timeout_ms: 10_000,
            packet_bytes_max: 512 * 1024,
            receive_max: 1024,
            topic_alias_max: 32,
            topic_alias_out_max: 32,
            qos_max: 2,
            keep_alive_s_max: 0,
            session_expiry_s_max: 7 * 24 * 3600,
            retain_available: true,
            wildcard_available: true,
            subscription_ids_available: true,
            shared_available: true,
            sessions_max: 1_000_000,
            subscriptions_max: 1000,
            in_flight_max: 1024,
            out_bytes_max: 1024 * 1024,
            lag_events_max: 0,
            queue_qos0: false,
            retained_messages_max: 1_000_000,
            retained_bytes_max: 640 * 1024 * 1024,
            life_cycle_events: true,
        }
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "off" {
        return Ok(None);
    }
    let wrong = || {
        serde::de::Error::custom(format_args!(
            "'{text}' is no address: write one such as \"127.0.0.1:1883\", or \"off\""
        ))
    };
    text.parse().map(Some).map_err(|_| wrong())
}

impl MqttConfig {
    /// Highest QoS.
    pub fn qos(&self) -> Qos {
        Qos::of(self.qos_max).unwrap_or(Qos::ExactlyOnce)
    }

    /// The keep-alive for a client that asks for `asked_s`.
    pub fn keep_alive(&self, asked_s: u16) -> u16 {
        match (asked_s, self.keep_alive_s_max) {
            (asked_s, 0) => asked_s,
            (0, most_s) => most_s,
            (asked_s, most_s) => asked_s.min(most_s),
        }
    }

    /// All that is wrong with the values, without opening anything.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = self.access.problems();
        found.extend(self.mapping.problems());
        found.extend(self.tls.iter().flat_map(TlsConfig::problems));
        let mut range = |field, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                let help = format!("use a number from {least} to {most}");
                found.push(Problem { field, message: format!("{field} is {value}"), help });
            }
        };
        range("connections_max", self.connections_max as u64, 1, 10_000_000);
        range("connect_timeout_ms", self.connect_timeout_ms, 100, 600_000);
        range("packet_bytes_max", self.packet_bytes_max as u64, 1024, limits::EVENT_BYTES_MAX as u64);
        range("receive_max", self.receive_max.into(), 1, u16::MAX.into());
        range("qos_max", self.qos_max.into(), 0, 2);
        range("sessions_max", self.sessions_max as u64, 1, 100_000_000);
        range("subscriptions_max", self.subscriptions_max as u64, 1, 1_000_000);
        range("in_flight_max", self.in_flight_max.into(), 1, u16::MAX.into());
        range("out_bytes_max", self.out_bytes_max as u64, 4096, 1 << 30);
        let wants_tls = self.tls_listen.is_some() || self.wss_listen.is_some();
        if wants_tls && self.tls.is_none() {
            found.push(Problem {
                field: "tls",
                message: "there is an address for TLS and no certificate".to_owned(),
                help: "set cert_file and key_file in [listeners.mqtt.tls]".to_owned(),
            });
        }
        if [self.listen, self.tls_listen, self.ws_listen, self.wss_listen].iter().all(Option::is_none) {
            found.push(Problem {
                field: "listen",
                message: "the listener has no address".to_owned(),
                help: "set one of listen, tls_listen, ws_listen and wss_listen, or leave [listeners.mqtt] out"
                    .to_owned(),
            });
        }
        found
    }
}
