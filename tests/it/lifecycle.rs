//! The life of a node as a process: start, reload, drain, and what it says when it cannot.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Node, eventually, run};

const NDJSON: &str = "application/x-ndjson";

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("writes");
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn one_route(folder: &Path, filter: &str, file: &str) -> String {
    format!(
        "[endpoints.{file}]\ntype = \"ndjson\"\npath = '{}'\nformat = \"data\"\n\n\
         [[routes]]\nname = \"r-{file}\"\nfilter = \"{filter}\"\nendpoint = \"{file}\"\n",
        folder.join(file).display()
    )
}

#[test]
fn a_node_is_ready_soon_and_a_drain_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, data) = (folder.path().join("c.toml"), folder.path().join("data"));
    write(&config, &one_route(folder.path(), "n > 1", "out"));
    crate::support::binary();
    let began = Instant::now();
    let node = Node::start(&config, &data, "127.0.0.1:0");
    let (status, _) = node.request("GET", "/readyz", "text/plain", "");
    assert_eq!(status, 200);
    assert!(began.elapsed() < Duration::from_secs(2), "ready after {:?}", began.elapsed());
    let (status, receipt) = node.request("POST", "/events", NDJSON, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}");
    assert_eq!(status, 200, "{receipt}");
    assert!(node.stop().success());
    let mut found = lines(&folder.path().join("out"));
    found.sort();
    assert_eq!(found, ["{\"n\":2}", "{\"n\":3}"]);
}

#[test]
fn two_nodes_never_share_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, data) = (folder.path().join("c.toml"), folder.path().join("data"));
    write(&config, "");
    let node = Node::start(&config, &data, "127.0.0.1:0");
    let data = data.display().to_string();
    let (code, _, stderr) = run(&["run", "--data-dir", &data, "--http-listen", "127.0.0.1:0"], "");
    assert_eq!(code, 1);
    assert!(stderr.contains("in use by another node") && stderr.contains("--data-dir"), "{stderr}");
    let other = folder.path().join("other").display().to_string();
    let (code, _, stderr) = run(&["run", "--data-dir", &other, "--http-listen", &node.listen()], "");
    assert_eq!(code, 1);
    assert!(stderr.contains("cannot listen on") && stderr.contains("--http-listen"), "{stderr}");
}

#[test]
fn a_reload_swaps_the_routes_and_a_bad_file_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, data) = (folder.path().join("c.toml"), folder.path().join("data"));
    let first = one_route(folder.path(), "true", "first");
    write(&config, &first);
    let node = Node::start(&config, &data, "127.0.0.1:0");
    let send = |from: u64| {
        let body: String = (from..from + 100).map(|n| format!("{{\"n\":{n}}}\n")).collect();
        assert_eq!(node.request("POST", "/events", NDJSON, &body).0, 200);
    };
    send(0);
    eventually("the first hundred are out", || lines(&folder.path().join("first")).len() == 100);
    // From here on even numbers go to a second file.
    write(&config, &format!("{first}\n{}", one_route(folder.path(), "n % 2 = 0", "second")));
    node.signal(Signal::HUP);
    eventually("the second table is in force", || node.metric("anabranch_route_table_version") == 2.0);
    send(100);
    eventually("both endpoints are served", || {
        lines(&folder.path().join("first")).len() == 200 && lines(&folder.path().join("second")).len() == 50
    });
    write(&config, &first.replace("\"true\"", "\"tru e(\""));
    node.signal(Signal::HUP);
    eventually("the bad file is refused", || node.log().contains("not reloaded"));
    assert!(node.log().contains("r-first") || node.log().contains("tru e("), "{}", node.log());
    send(200);
    eventually("the old routes go on", || {
        lines(&folder.path().join("first")).len() == 300 && lines(&folder.path().join("second")).len() == 100
    });
    assert!(node.stop().success());
    let mut all = lines(&folder.path().join("first"));
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 300, "lost or doubled");
}

#[test]
fn a_second_signal_ends_a_drain_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let receiver = loadgen::receiver::Receiver::start(loadgen::receiver::Mode::Hang).expect("listens");
    let (config, data) = (folder.path().join("c.toml"), folder.path().join("data"));
    let text = format!(
        "[endpoints.hook]\ntype = \"webhook\"\nurl = \"{}\"\n\n[[routes]]\nname = \"r\"\nendpoint = \"hook\"\n",
        receiver.url()
    );
    write(&config, &text);
    let mut node = Node::start(&config, &data, "127.0.0.1:0");
    assert_eq!(node.request("POST", "/events", NDJSON, "1").0, 200);
    eventually("the request hangs", || receiver.received().requests > 0);
    node.signal(Signal::TERM);
    eventually("it drains", || node.log().contains("draining"));
    node.signal(Signal::TERM);
    assert_eq!(node.wait().code(), Some(130));
}

#[test]
fn the_log_is_read_by_offset_and_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, data) = (folder.path().join("c.toml"), folder.path().join("data"));
    write(&config, "[node]\npartitions = 1\n");
    let node = Node::start(&config, &data, "127.0.0.1:0");
    let body: String = (0..10).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    assert_eq!(node.request("POST", "/events", NDJSON, &body).0, 200);
    let (status, page) = node.request("GET", "/hub/partitions/0/events?from=4&max=3", "", "");
    let page: serde_json::Value = serde_json::from_str(page.split_inclusive('}').collect::<String>().trim())
        .unwrap_or_else(|_| {
            // A chunked answer carries lengths between its pieces.
            let joined: String = page.lines().filter(|line| line.starts_with(['{', '['])).collect();
            serde_json::from_str(&joined).expect("JSON")
        });
    assert_eq!((status, page["events"].as_array().map(Vec::len), &page["next"]), (200, Some(3), &serde_json::json!(7)));
    assert_eq!(page["events"][0]["data"]["n"], 4);
    let args = ["tail", "--node", &node.url, "--from", "beginning", "--filter", "n >= 8", "--max", "2"];
    let (code, stdout, stderr) = run(&args, "");
    assert_eq!((code, stdout.lines().count()), (0, 2), "{stderr}");
    assert!(stdout.contains("\"n\":8") && stdout.contains("\"n\":9"), "{stdout}");
}
