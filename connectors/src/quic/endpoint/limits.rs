//! What a connection, and what all strangers together, may cost.

use std::sync::Arc;
use std::time::Duration;

use quinn::{IdleTimeout, TransportConfig, VarInt};

/// See the fields. All of them are bounds on memory or on what strangers can have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuicEndpointLimits {
    /// Most open connections of the node. At 40 KB for an idle one, the default is 4 GB.
    pub connections_max: usize,
    /// Most handshakes that a core has under way: each holds keys and a certificate chain that may have to be sent again.
    pub handshakes_max: usize,
    /// From so many handshakes of a core on, clients have to prove their address first, which costs them a round trip and the node
    /// no memory.
    pub retry_from: usize,
    /// Most new connections per second and core from one address, or one network of 64 bits of IPv6. Who sends more has to prove
    /// the address; who has proved it is refused.
    pub arrivals_per_address_per_s: u32,
    /// How many of them may come at once: gateways connect all their clients together.
    pub arrivals_per_address_at_once: u32,
    /// How long a handshake may take.
    pub handshake_timeout_ms: u32,
    /// A connection that was not heard for so long is gone.
    pub idle_timeout_ms: u32,
    /// A silent connection is asked so often whether it is there, which also keeps NATs from forgetting it; 0: never. Clients
    /// often give up after 30 s; one lost answer should not matter.
    pub keep_alive_ms: u32,
    /// Most bytes of one stream that wait to be read. At 100 ms of round trip it lets 10 MB/s through.
    pub stream_receive_bytes: u32,
    /// The same for all streams of a connection together.
    pub connection_receive_bytes: u32,
    /// Most bytes that a client may send before its handshake is over, and most that are kept of it before the core looks.
    pub early_bytes_max: u32,
    /// Most bytes of a connection that were written and are not acknowledged: what a client that never answers can hold here.
    pub send_bytes_max: u32,
    /// Most streams in both directions that a client has open; only the control stream is used. The library keeps 30 bytes for each
    /// stream that may come, so this and the next one should be small.
    pub bidi_streams_max: u32,
    /// Most streams towards the node that a client has open: publishers.
    pub uni_streams_max: u32,
    /// In place of `bidi_streams_max` with MQTT: the control stream and its data streams.
    pub mqtt_streams_max: u32,
    /// Sessions that can be resumed. Each takes about 1 KB, and more with a client certificate.
    pub resumable_sessions_max: usize,
    /// What the system should keep for a core's socket, as far as `net.core.rmem_max` allows: bursts of all clients of the core.
    pub socket_receive_bytes: usize,
    /// The same for sending, bounded by `net.core.wmem_max`.
    pub socket_send_bytes: usize,
}

impl Default for QuicEndpointLimits {
    fn default() -> Self {
        Self {
            connections_max: 100_000,
            handshakes_max: 1024,
            retry_from: 128,
            arrivals_per_address_per_s: 100,
            arrivals_per_address_at_once: 1000,
            handshake_timeout_ms: 10_000,
            idle_timeout_ms: 60_000,
            keep_alive_ms: 20_000,
            stream_receive_bytes: 1024 * 1024,
            connection_receive_bytes: 2 * 1024 * 1024,
            early_bytes_max: 32 * 1024,
            send_bytes_max: 2 * 1024 * 1024,
            bidi_streams_max: 4,
            uni_streams_max: 24,
            mqtt_streams_max: 16,
            resumable_sessions_max: 16 * 1024,
            socket_receive_bytes: 4 * 1024 * 1024,
            socket_send_bytes: 4 * 1024 * 1024,
        }
    }
}

impl QuicEndpointLimits {
    /// As quinn takes them, for a connection that has not proved anything yet.
    pub(in crate::quic) fn transport(&self) -> Arc<TransportConfig> {
        let mut transport = TransportConfig::default();
        let keep_alive = Duration::from_millis(self.keep_alive_ms.into());
        transport
            .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(self.idle_timeout_ms))))
            .keep_alive_interval((self.keep_alive_ms > 0).then_some(keep_alive))
            .stream_receive_window(VarInt::from_u32(self.stream_receive_bytes))
            // Widened when the handshake is over: so it bounds what comes in 0-RTT.
            .receive_window(VarInt::from_u32(self.early_bytes_max.min(self.connection_receive_bytes)))
            .send_window(self.send_bytes_max.into())
            .max_concurrent_bidi_streams(VarInt::from_u32(self.bidi_streams_max))
            .max_concurrent_uni_streams(VarInt::from_u32(self.uni_streams_max))
            // Nothing of ours is sent in datagrams.
            .datagram_receive_buffer_size(None)
            .datagram_send_buffer_size(0);
        Arc::new(transport)
    }
}
