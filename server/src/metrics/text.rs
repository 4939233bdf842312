//! A snapshot as OpenMetrics text.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::{EndpointSnapshot, Histogram, LogSnapshot, NodeSnapshot, ShardSnapshot};

/// The text that `/metrics` answers with.
pub fn render(snapshot: &NodeSnapshot) -> String {
    let mut registry = Registry::with_prefix("anabranch");
    registry.register_collector(Box::new(Snapshot(snapshot.clone())));
    let mut out = String::new();
    text::encode(&mut out, &registry).expect("writing to a string");
    out
}

#[derive(Debug)]
struct Snapshot(NodeSnapshot);

type Labels<'a> = Vec<(&'static str, &'a str)>;

/// One metric: name, help, and how its value is read from what counts it.
type Row<T> = (&'static str, &'static str, fn(&T) -> u64);

const SHARD_COUNTERS: [Row<ShardSnapshot>; 11] = [
    ("events_in", "Events accepted", |shard| shard.accepted_events),
    ("bytes_in", "Bytes of accepted events as stored", |shard| shard.accepted_bytes),
    ("synced_events", "Events synced and matched", |shard| shard.synced_events),
    ("duplicate_events", "Events that had been kept before", |shard| shard.duplicate_events),
    ("dedup_forgotten_ids", "Ids forgotten before their window was over", |shard| shard.forgotten_ids),
    ("forgotten_producers", "Pairs of producer and partition forgotten before their window was over", |shard| {
        shard.forgotten_producers
    }),
    ("refused_events", "Events that the log could not keep", |shard| shard.refused_events),
    ("bodies", "Event bodies that some route wants to read", |shard| shard.bodies),
    ("shape_hits", "Event bodies whose shape was known: the fast path", |shard| shard.shape_hits),
    ("not_json", "Event bodies that some route wants to read and that are not JSON", |shard| shard.not_json),
    ("orphaned_events", "Events that matched no route", |shard| shard.orphaned_events),
];

const LOG_GAUGES: [Row<LogSnapshot>; 2] = [
    ("log_bytes", "Bytes of log segments on disk", |log| log.bytes),
    ("log_segments", "Log segments on disk", |log| log.segments),
];

const LOG_COUNTERS: [Row<LogSnapshot>; 6] = [
    ("log_appended_batches", "Batches synced", |log| log.appended_batches),
    ("log_appended_bytes", "Bytes synced", |log| log.appended_bytes),
    ("log_failures", "Writes and syncs of the log that failed", |log| log.failures),
    ("log_rewritten_groups", "Groups written again after a sync that failed", |log| log.rewritten_groups),
    ("log_damaged_bytes", "Bytes of the log found damaged and not served", |log| log.damaged_bytes),
    ("log_removed_segments", "Segments removed by retention", |log| log.removed_segments),
];

const ENDPOINT_COUNTERS: [Row<EndpointSnapshot>; 10] = [
    ("endpoint_matched_events", "Events that the routes of the endpoint matched", |endpoint| endpoint.matched_events),
    ("endpoint_delivered_events", "Events delivered", |endpoint| endpoint.delivered_events),
    ("endpoint_delivered_bytes", "Bytes sent or written", |endpoint| endpoint.delivered_bytes),
    ("endpoint_retries", "Attempts that failed and are repeated", |endpoint| endpoint.retries),
    ("endpoint_dead_lettered_events", "Events written to the dead letter file", |endpoint| {
        endpoint.dead_lettered_events
    }),
    ("endpoint_dropped_events", "Events given up without a dead letter", |endpoint| endpoint.dropped_events),
    ("endpoint_files", "Files completed", |endpoint| endpoint.files),
    ("endpoint_refused_columns", "Members without a Parquet column because there were as many as may be", |endpoint| {
        endpoint.refused_columns
    }),
    ("endpoint_mismatched_events", "Events with a value that did not fit its Parquet column", |endpoint| {
        endpoint.mismatched_events
    }),
    ("endpoint_lost_events", "Events that retention removed before the endpoint got to them", |endpoint| {
        endpoint.lost_events
    }),
];

const ENDPOINT_GAUGES: [Row<EndpointSnapshot>; 4] = [
    ("endpoint_lag_events", "Events of the log behind the cursors of the endpoint", |endpoint| endpoint.lag_events),
    ("endpoint_lag_bytes", "Bytes of these events in the log", |endpoint| endpoint.lag_bytes),
    ("endpoint_lag_seconds", "Age of the first of these events", |endpoint| endpoint.lag_seconds),
    ("endpoint_behind", "1 while the endpoint is fed from the log instead of memory", |endpoint| {
        u64::from(endpoint.is_behind)
    }),
];

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let node = &self.0;
        let to = &mut encoder;
        let version: Labels<'_> = vec![("version", &node.version)];
        gauges(to, "build", "Version of the program", [(version, 1)])?;
        {
            let mut metric =
                to.encode_descriptor("uptime_seconds", "Seconds since the start", None, MetricType::Gauge)?;
            metric.encode_gauge(&node.uptime_s)?;
        }
        gauges(to, "ready", "1 when everything has started", [(Vec::new(), u64::from(node.is_ready))])?;
        gauges(to, "routes", "Enabled routes", [(Vec::new(), node.routes)])?;
        gauges(
            to,
            "routes_scanned",
            "Routes that no index serves: evaluated for every event",
            [(Vec::new(), node.routes_scanned)],
        )?;
        gauges(
            to,
            "route_table_bytes",
            "Memory of the route table, names not counted",
            [(Vec::new(), node.route_table_bytes)],
        )?;
        gauges(to, "route_table_version", "Version of the route table", [(Vec::new(), node.table_version)])?;
        let connections =
            node.connections.iter().map(|(listener, count)| (vec![("listener", listener.as_str())], *count));
        gauges(to, "connections", "Open connections", connections)?;
        let rejected = node.rejected.iter().map(|rejected| {
            (vec![("listener", rejected.listener.as_str()), ("reason", rejected.reason.as_str())], rejected.events)
        });
        counters(to, "rejected_events", "Events refused", rejected)?;

        if let Some(mqtt) = &node.mqtt {
            for (name, help, value) in &mqtt.counters {
                counters(to, &format!("mqtt_{name}"), help, [(Vec::new(), *value)])?;
            }
            gauges(to, "mqtt_sessions", "MQTT sessions, with and without a connection", [(Vec::new(), mqtt.sessions)])?;
            gauges(to, "mqtt_retained_messages", "Retained messages", [(Vec::new(), mqtt.retained_messages)])?;
            gauges(to, "mqtt_retained_bytes", "Bytes of retained messages", [(Vec::new(), mqtt.retained_bytes)])?;
            let refused = [(Vec::new(), mqtt.retained_refused)];
            counters(to, "mqtt_retained_refused", "Messages not retained for want of room", refused)?;
        }
        if let Some(quic) = &node.quic {
            for (name, help, value) in &quic.counters {
                counters(to, &format!("quic_{name}"), help, [(Vec::new(), *value)])?;
            }
            gauges(to, "quic_subscribers", "Live subscriptions over QUIC", [(Vec::new(), quic.subscribers)])?;
        }
        let names: Vec<String> = node.shards.iter().map(|shard| shard.shard.to_string()).collect();
        let shards = || names.iter().map(|name| vec![("shard", name.as_str())]).zip(&node.shards);
        for (name, help, value) in SHARD_COUNTERS {
            counters(to, name, help, shards().map(|(labels, shard)| (labels, value(shard))))?;
        }
        let producers = shards().map(|(labels, shard)| (labels, shard.producers));
        gauges(to, "producers", "Pairs of producer and partition whose sequences are remembered", producers)?;
        let sizes = shards().map(|(labels, shard)| (labels, &shard.batch_rows));
        histograms(to, "batch_events", "Events per accepted batch", sizes)?;
        let log = |value: fn(&LogSnapshot) -> u64| [(Vec::new(), value(&node.log))];
        for (name, help, value) in LOG_GAUGES {
            gauges(to, name, help, log(value))?;
        }
        for (name, help, value) in LOG_COUNTERS {
            counters(to, name, help, log(value))?;
        }
        histograms(to, "log_sync_seconds", "Time per fdatasync of the log", [(Vec::new(), &node.log.sync_seconds)])?;

        let endpoints = || {
            node.endpoints.iter().map(|endpoint| {
                (vec![("endpoint", endpoint.endpoint.as_str()), ("type", endpoint.kind.as_str())], endpoint)
            })
        };
        for (name, help, value) in ENDPOINT_COUNTERS {
            counters(to, name, help, endpoints().map(|(labels, endpoint)| (labels, value(endpoint))))?;
        }
        for (name, help, value) in ENDPOINT_GAUGES {
            gauges(to, name, help, endpoints().map(|(labels, endpoint)| (labels, value(endpoint))))?;
        }
        let errors = endpoints().filter_map(|(mut labels, endpoint)| {
            labels.push(("error", endpoint.last_error.as_deref()?));
            Some((labels, 1))
        });
        gauges(to, "endpoint_last_error", "What went wrong last, in words", errors)?;
        Ok(())
    }
}

fn family<'a, T>(
    to: &mut DescriptorEncoder,
    (name, help, kind): (&str, &str, MetricType),
    values: impl IntoIterator<Item = (Labels<'a>, T)>,
    mut encode: impl FnMut(MetricEncoder, T) -> fmt::Result,
) -> fmt::Result {
    let mut values = values.into_iter().peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    let help = format!("{help}.");
    let mut metric = to.encode_descriptor(name, &help, None, kind)?;
    for (labels, value) in values {
        if labels.is_empty() {
            // A metric without labels has one value.
            return encode(metric, value);
        }
        let labels = labels.as_slice();
        encode(metric.encode_family(&labels)?, value)?;
    }
    Ok(())
}

fn counters<'a>(
    to: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<'a>, u64)>,
) -> fmt::Result {
    family(to, (name, help, MetricType::Counter), values, |metric, value| ConstCounter::new(value).encode(metric))
}

fn gauges<'a>(
    to: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<'a>, u64)>,
) -> fmt::Result {
    // Prometheus keeps doubles anyway.
    family(to, (name, help, MetricType::Gauge), values, |metric, value| ConstGauge::new(value as f64).encode(metric))
}

fn histograms<'a, 'b>(
    to: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<'a>, &'b Histogram)>,
) -> fmt::Result {
    family(to, (name, help, MetricType::Histogram), values, |mut metric, histogram| {
        metric.encode_histogram::<NoLabelSet>(histogram.sum, histogram.count(), &histogram.buckets(), None)
    })
}
