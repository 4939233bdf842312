//! Idempotent ingest of a real node: the same event twice in a request, in two, and across kill -9.

use crate::support::Node;

const BATCH: &str = "application/cloudevents-batch+json";

fn events(ids: &[&str]) -> String {
    let events: Vec<String> = ids
        .iter()
        .map(|id| {
            format!(
                r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"t","partitionkey":"k","data":{{"id":"{id}"}}}}"#
            )
        })
        .collect();
    format!("[{}]", events.join(","))
}

#[test]
fn what_comes_again_is_kept_once_even_across_kill_9() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, data) = (folder.path().join("c.toml"), folder.path().join("data"));
    std::fs::write(&config, "[log]\ndedup_window_s_max = 3600\n").expect("writes");
    let post = |node: &Node, ids: &[&str]| {
        let (status, body) = node.request("POST", "/events", BATCH, &events(ids));
        assert_eq!(status, 200, "{body}");
        let receipt: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        (receipt["accepted"].as_u64().unwrap_or(0), receipt["duplicates"].as_u64().unwrap_or(0))
    };
    let node = Node::start(&config, &data, "127.0.0.1:0");
    assert_eq!(post(&node, &["1", "2", "1"]), (2, 1));
    assert_eq!(post(&node, &["2", "3"]), (1, 1));
    assert_eq!(node.metric("anabranch_duplicate_events_total"), 2.0);
    node.kill();
    let node = Node::start(&config, &data, "127.0.0.1:0");
    assert_eq!(post(&node, &["1", "2", "3"]), (0, 3));
    assert_eq!(post(&node, &["4"]), (1, 0));
    let (_, partitions) = node.request("GET", "/hub/partitions", "text/plain", "");
    let partitions: serde_json::Value = serde_json::from_str(&partitions).expect("JSON");
    let ends = partitions["partitions"].as_array().expect("a list").iter().map(|one| one["end"].as_u64().unwrap_or(0));
    assert_eq!(ends.sum::<u64>(), 4);
}

#[test]
fn without_a_window_everything_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("c.toml");
    std::fs::write(&config, "").expect("writes");
    let node = Node::start(&config, &folder.path().join("data"), "127.0.0.1:0");
    let (status, body) = node.request("POST", "/events", BATCH, &events(&["1", "1"]));
    assert!(status == 200 && body.contains("\"accepted\":2") && !body.contains("duplicates"), "{body}");
}
