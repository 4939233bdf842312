//! The lines a node says when it is ready: what listens where, and what to try next.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What the banner tells.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Where HTTP is served, with the port that the system chose.
    pub http_addr: SocketAddr,
    /// Where MQTT is served, by scheme.
    pub mqtt: Vec<(&'static str, SocketAddr)>,
    /// Where QUIC is served, and what its certificate can be checked against if it is the node's own.
    pub quic: Option<(SocketAddr, Option<String>)>,
    /// What an answer of success promises.
    pub ack: &'static str,
    /// Folder of the data.
    pub data_dir: PathBuf,
    /// Events that the log has already.
    pub events: u64,
    /// Number of partitions.
    pub partitions: u32,
    /// Number of shards.
    pub shards: usize,
    /// Names and types of the endpoints beside the hub.
    pub endpoints: Vec<(String, &'static str)>,
    /// Number of enabled routes.
    pub routes: usize,
}

/// The lines, each ended.
pub fn banner(facts: &Facts) -> String {
    let mut out = String::new();
    let url = format!("http://{}", facts.http_addr);
    let endpoints: Vec<String> = facts.endpoints.iter().map(|(name, kind)| format!("{name} ({kind})")).collect();
    let endpoints = if endpoints.is_empty() { "the built-in hub only".to_owned() } else { endpoints.join(", ") };
    let mut line = |text: std::fmt::Arguments<'_>| writeln!(out, "{text}").expect("writing to a string");
    line(format_args!("anabranch is listening on {url} (acks when {})", facts.ack));
    if !facts.mqtt.is_empty() {
        let urls: Vec<String> = facts.mqtt.iter().map(|(scheme, addr)| format!("{scheme}://{addr}")).collect();
        line(format_args!("  mqtt       {}", urls.join(" ")));
    }
    if let Some((addr, fingerprint)) = &facts.quic {
        match fingerprint {
            Some(print) => line(format_args!("  quic       quic://{addr} (own certificate, --fingerprint {print})")),
            None => line(format_args!("  quic       quic://{addr}")),
        }
    }
    line(format_args!(
        "  data       {} ({} events, {} partitions, {} shards)",
        facts.data_dir.display(),
        facts.events,
        facts.partitions,
        facts.shards
    ));
    line(format_args!("  endpoints  {endpoints}; routes: {}", facts.routes));
    line(format_args!("try"));
    line(format_args!(
        "  curl -H 'content-type: application/x-ndjson' -d '{{\"device_id\":\"d1\",\"temp\":31.5}}' '{url}/events?key=/device_id'"
    ));
    line(format_args!("  anabranch tail --node {url} --from beginning"));
    if let Some((scheme, addr)) = facts.mqtt.iter().find(|(scheme, _)| *scheme == "mqtt") {
        line(format_args!("  anabranch mqtt sub '#' --url {scheme}://{addr}"));
    }
    line(format_args!("  curl {url}/metrics"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_where_to_connect() {
        let facts = Facts {
            http_addr: "127.0.0.1:4711".parse().expect("an address"),
            mqtt: vec![("mqtt", "127.0.0.1:1883".parse().expect("an address"))],
            quic: Some(("127.0.0.1:4433".parse().expect("an address"), Some("sha256:0a".to_owned()))),
            ack: "synced",
            data_dir: "./data".into(),
            events: 3,
            partitions: 32,
            shards: 2,
            endpoints: vec![("lake".into(), "parquet")],
            routes: 1,
        };
        let text = banner(&facts);
        assert!(text.lines().next().is_some_and(|line| line.contains("http://127.0.0.1:4711")), "{text}");
        assert!(
            text.contains("lake (parquet)")
                && text.contains("mqtt://127.0.0.1:1883")
                && text.contains("quic://127.0.0.1:4433")
                && text.lines().count() <= 10,
            "{text}"
        );
    }
}
