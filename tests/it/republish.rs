//! Endpoints of type `mqtt` on the real binary: matches become events on topics of their own, once, across a restart too.

use std::path::Path;

use serde_json::Value;

use crate::support::{Node, eventually_or};

const CONFIG: &str = r#"
[node]
partitions = 1

[endpoints.alerts]
type = "mqtt"
topic = "alerts/${device}/${data./kind}"

[[routes]]
name = "hot"
filter = "temp > 30"
endpoint = "alerts"

[endpoints.copies]
type = "mqtt"
topic = "copies/${subject}"
format = "cloudevents"

[[routes]]
name = "alerts"
dialect = "mqtt"
filter = "alerts/#"
endpoint = "copies"
"#;

fn events(node: &Node) -> Vec<Value> {
    let (status, page) = node.request("GET", "/hub/partitions/0/events?from=0&max=1000", "", "");
    assert_eq!(status, 200, "{page}");
    let page = &page[page.find('{').expect("JSON")..];
    // A chunked answer carries lengths between its pieces.
    let joined: String = page.lines().filter(|line| u64::from_str_radix(line.trim(), 16).is_err()).collect();
    let page: Value = serde_json::from_str(&joined).unwrap_or_else(|error| panic!("{error}: {joined}"));
    page["events"].as_array().expect("events").clone()
}

fn send(node: &Node, temps: std::ops::Range<u32>) {
    let body: String = temps.map(|temp| format!("{{\"id\":\"d1\",\"temp\":{temp},\"kind\":\"heat\"}}\n")).collect();
    let (status, answer) = node.request("POST", "/events?key=/id", "application/x-ndjson", &body);
    assert_eq!(status, 200, "{answer}");
}

fn with_subject(events: &[Value], subject: &str) -> usize {
    events.iter().filter(|event| event["subject"] == subject).count()
}

fn start(folder: &Path) -> Node {
    let config = folder.join("c.toml");
    std::fs::write(&config, CONFIG).expect("writes");
    Node::start(&config, &folder.join("data"), "127.0.0.1:0")
}

#[test]
fn matches_are_published_once_and_not_again_and_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = start(folder.path());
    send(&node, 0..61);
    let all_there = |node: &Node, sent: usize, hot: usize| {
        eventually_or(|| format!("{hot} alerts: {}", events(node).len()), || events(node).len() >= sent + hot);
        let events = events(node);
        assert_eq!((events.len(), with_subject(&events, "alerts/d1/heat")), (sent + hot, hot));
        events
    };
    let found = all_there(&node, 61, 30);
    let alert = found.iter().find(|event| event["subject"] == "alerts/d1/heat").expect("just counted");
    assert_eq!(alert["type"], "MQTT.EventPublished");
    assert_eq!(alert["source"], "/endpoints/alerts");
    assert_eq!(alert["data"]["temp"], 31);
    // The alerts match both routes, and came around once already.
    eventually_or(
        || format!("alerts are cut: {}", node.log()),
        || node.metric("anabranch_endpoint_dropped_events_total{endpoint=\"copies\"") >= 30.0,
    );
    assert!(node.stop().success());
    let node = start(folder.path());
    send(&node, 30..33);
    all_there(&node, 64, 32);
}
