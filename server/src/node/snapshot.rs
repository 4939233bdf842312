//! All counters of a node at one moment, summed up for those who show them.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use connectors::http::RejectReason;
use engine::log::Lag;

use super::Shared;
use super::mqtt::MqttListener;
use crate::metrics::{EndpointSnapshot, LogSnapshot, NodeSnapshot, QuicSnapshot, Rejected, ShardSnapshot};

/// Reads the counters. They are read one after the other while the node works: sums can be off by what happens meanwhile.
pub fn take(shared: &Shared) -> NodeSnapshot {
    let table = shared.switchboard.table().load();
    let heads = shared.heads.all();
    let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let mut endpoints = Vec::new();
    for endpoint in shared.endpoints() {
        let mut snapshot = EndpointSnapshot::of(&endpoint.name, endpoint.kind.name(), &endpoint.stats);
        snapshot.matched_events = shared.shard_stats.iter().map(|shard| shard.matched_events(endpoint.id)).sum();
        let cursors = endpoint.cursors();
        snapshot.lag_events = heads.iter().zip(&cursors).map(|(head, cursor)| head.saturating_sub(*cursor)).sum();
        let lags = (0..).zip(&cursors).filter(|(partition, cursor)| **cursor < heads[*partition as usize]);
        let lags: Vec<Lag> = lags.map(|(partition, cursor)| shared.reader.lag(partition, *cursor)).collect();
        snapshot.lag_bytes = lags.iter().map(|lag| lag.bytes).sum();
        let since_ms = lags.iter().filter_map(|lag| lag.since_ms).min();
        snapshot.lag_seconds = since_ms.map_or(0, |since_ms| u64::try_from(now_ms - since_ms).unwrap_or(0) / 1000);
        snapshot.lost_events = endpoint.lost_events.load(Ordering::Relaxed);
        snapshot.is_behind = endpoint.is_behind.load(Ordering::Relaxed);
        endpoints.push(snapshot);
    }
    let mut rejected = Vec::new();
    for reason in RejectReason::ALL {
        let events = shared.http_stats.iter().map(|stats| stats.rejected(reason)).sum();
        rejected.push(Rejected { listener: "http".to_owned(), reason: reason.name().to_owned(), events });
    }
    let connections = shared.http_stats.iter().map(|stats| stats.connections.load(Ordering::Relaxed)).sum();
    let mqtt = shared.mqtt.as_ref().map(MqttListener::snapshot);
    let mqtt_connections = shared.mqtt.as_ref().map(|mqtt| ("mqtt".to_owned(), mqtt.connections()));
    let quic_connections = shared.quic.as_ref().map(|quic| ("quic".to_owned(), quic.listener.connections() as u64));
    let observers = shared.observers.count() as u64;
    NodeSnapshot {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: shared.started.elapsed().as_secs_f64(),
        is_ready: shared.ready.load(Ordering::Relaxed),
        connections: [Some(("http".to_owned(), connections)), mqtt_connections, quic_connections]
            .into_iter()
            .flatten()
            .collect(),
        quic: shared.quic.as_ref().map(|quic| QuicSnapshot { counters: quic.counters(), subscribers: observers }),
        mqtt,
        rejected,
        shards: shared.shard_stats.iter().enumerate().map(|(n, stats)| ShardSnapshot::of(n as u32, stats)).collect(),
        log: LogSnapshot::of(&shared.log_stats),
        endpoints,
        table_version: table.version(),
        routes: (table.enabled() as u64).saturating_sub(observers),
        routes_scanned: table.scanned() as u64,
        route_table_bytes: table.memory_bytes() as u64,
    }
}
