//! The text as a scraper reads it.

use std::collections::HashMap;

use super::*;

fn snapshot() -> NodeSnapshot {
    let shard = ShardStats::default();
    shard.accepted_events.store(300, Ordering::Relaxed);
    shard.batch_rows[4].store(1, Ordering::Relaxed);
    let log = LogStats::default();
    log.bytes.store(1 << 40, Ordering::Relaxed);
    log.sync_micros.store(1_500_000, Ordering::Relaxed);
    for (bucket, count) in [(0, 1), (1, 1), (4, 1), (9, 1)] {
        log.sync_buckets[bucket].store(count, Ordering::Relaxed);
    }
    let stats = SinkStats::default();
    SinkStats::add(&stats.delivered_events, 7);
    SinkStats::add(&stats.retries, 2);
    stats.failed("no room");
    NodeSnapshot {
        version: "1.2.3".into(),
        uptime_s: 1.5,
        is_ready: true,
        connections: vec![("http".into(), 3)],
        rejected: vec![Rejected { listener: "http".into(), reason: "too-large".into(), events: 4 }],
        shards: (0..2).map(|number| ShardSnapshot::of(number, &shard)).collect(),
        log: LogSnapshot::of(&log),
        endpoints: vec![EndpointSnapshot {
            lag_events: 9,
            lag_bytes: 2000,
            lag_seconds: 70,
            is_behind: true,
            ..EndpointSnapshot::of("a\"b\\c\n", "webhook", &stats)
        }],
        table_version: 5,
        routes: 2,
        routes_scanned: 1,
        route_table_bytes: 4096,
        quic: Some(QuicSnapshot { counters: vec![("faults", "Faults", 2)], subscribers: 4 }),
        mqtt: Some(MqttSnapshot {
            counters: vec![("lost_events", "Events lost", 6)],
            sessions: 3,
            retained_messages: 2,
            retained_bytes: 90,
            retained_refused: 1,
        }),
    }
}

fn samples(text: &str) -> HashMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').expect("a sample"))
        .map(|(name, value)| (name, value.parse().expect("a number")))
        .collect()
}

#[test]
fn every_number_is_there() {
    let text = render(&snapshot());
    let samples = samples(&text);
    let endpoint = r#"{endpoint="a\"b\\c\n",type="webhook"}"#;
    for (name, value) in [
        (r#"anabranch_build{version="1.2.3"}"#.to_owned(), 1.0),
        ("anabranch_uptime_seconds".to_owned(), 1.5),
        ("anabranch_ready".to_owned(), 1.0),
        (r#"anabranch_connections{listener="http"}"#.to_owned(), 3.0),
        (r#"anabranch_rejected_events_total{listener="http",reason="too-large"}"#.to_owned(), 4.0),
        (r#"anabranch_events_in_total{shard="0"}"#.to_owned(), 300.0),
        (r#"anabranch_events_in_total{shard="1"}"#.to_owned(), 300.0),
        ("anabranch_log_bytes".to_owned(), (1u64 << 40) as f64),
        ("anabranch_log_sync_seconds_count".to_owned(), 4.0),
        ("anabranch_log_sync_seconds_sum".to_owned(), 1.5),
        (r#"anabranch_log_sync_seconds_bucket{le="0.0001"}"#.to_owned(), 1.0),
        (r#"anabranch_log_sync_seconds_bucket{le="0.00025"}"#.to_owned(), 2.0),
        (r#"anabranch_log_sync_seconds_bucket{le="1.0"}"#.to_owned(), 3.0),
        (r#"anabranch_log_sync_seconds_bucket{le="+Inf"}"#.to_owned(), 4.0),
        (r#"anabranch_batch_events_bucket{le="64.0",shard="1"}"#.to_owned(), 0.0),
        (r#"anabranch_batch_events_bucket{le="256.0",shard="1"}"#.to_owned(), 1.0),
        (r#"anabranch_batch_events_sum{shard="1"}"#.to_owned(), 300.0),
        (format!("anabranch_endpoint_delivered_events_total{endpoint}"), 7.0),
        (format!("anabranch_endpoint_retries_total{endpoint}"), 2.0),
        (r#"anabranch_endpoint_last_error{endpoint="a\"b\\c\n",type="webhook",error="no room"}"#.to_owned(), 1.0),
        (format!("anabranch_endpoint_lag_events{endpoint}"), 9.0),
        (format!("anabranch_endpoint_lag_bytes{endpoint}"), 2000.0),
        (format!("anabranch_endpoint_lag_seconds{endpoint}"), 70.0),
        (format!("anabranch_endpoint_behind{endpoint}"), 1.0),
        ("anabranch_mqtt_lost_events_total".to_owned(), 6.0),
        ("anabranch_mqtt_sessions".to_owned(), 3.0),
        ("anabranch_quic_faults_total".to_owned(), 2.0),
        ("anabranch_quic_subscribers".to_owned(), 4.0),
        ("anabranch_mqtt_retained_refused_total".to_owned(), 1.0),
    ] {
        assert_eq!(samples.get(name.as_str()), Some(&value), "{name} in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_node_without_anything_still_renders() {
    let text = render(&NodeSnapshot::default());
    assert_eq!(samples(&text)["anabranch_ready"], 0.0);
    assert!(!text.contains("endpoint"), "no family without a value: {text}");
    // A default histogram has no buckets.
    assert_eq!(Histogram::default().count(), 0);
}

#[test]
fn the_manual_has_every_number_of_mqtt_and_quic() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md");
    let manual = std::fs::read_to_string(path).expect("the manual");
    let stats = connectors::mqtt::stats::MqttStats::default();
    let (endpoint, session) =
        (connectors::quic::endpoint::QuicStats::default(), connectors::quic::source::SessionStats::default());
    let all = stats.all().chain(endpoint.all()).chain(session.all());
    let names: Vec<String> = all.map(|(name, ..)| format!("`{name}_total`")).collect();
    assert!(names.len() > 20, "{names:?}");
    let missing: Vec<&String> = names.iter().filter(|name| !manual.contains(*name)).collect();
    assert!(missing.is_empty(), "docs/operating.md does not tell of {missing:?}");
}
