//! The past again: `explain --since` and `replay` beside a running node.

use std::path::Path;

use loadgen::receiver::{Mode, Receiver};

use crate::support::{Node, eventually, run};

const NDJSON: &str = "application/x-ndjson";

fn events(range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("{{\"device_id\":\"d{}\",\"seq\":{n},\"n\":{n}}}\n", n % 7)).collect()
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[test]
fn the_past_is_counted_and_sent_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, data, out) =
        (folder.path().join("c.toml"), folder.path().join("data"), folder.path().join("out.ndjson"));
    let receiver = Receiver::start(Mode::Healthy).expect("starts");
    let text = format!(
        "[endpoints.out]\ntype = \"ndjson\"\npath = '{}'\nformat = \"data\"\n\
         [endpoints.push]\ntype = \"webhook\"\nurl = \"{}\"\nordered = true\n\
         [endpoints.table]\ntype = \"parquet\"\ndir = '{}'\n\
         [[routes]]\nname = \"high\"\nfilter = \"n >= 90\"\nendpoint = \"out\"\n\
         [[routes]]\nname = \"push\"\nfilter = \"n >= 95\"\nendpoint = \"push\"\n\
         [[routes]]\nname = \"all\"\nfilter = \"true\"\nendpoint = \"table\"\n",
        out.display(),
        receiver.url(),
        folder.path().join("table").display()
    );
    std::fs::write(&config, text).expect("writes");
    let node = Node::start(&config, &data, "127.0.0.1:0");
    for first in [0, 40] {
        let (status, receipt) = node.request("POST", "/events", NDJSON, &events(first..first + 60));
        assert_eq!(status, 200, "{receipt}");
    }
    eventually("all is delivered", || lines(&out) == 10 && receiver.received().events == 5);

    // 120 events, 40 to 59 twice.
    let data_dir = data.display().to_string();
    let past = |more: &[&str]| run(&[&["explain", "--data-dir", &data_dir][..], more].concat(), "");
    let (code, stdout, stderr) = past(&["--filter", "n >= 50", "--since", "1h"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(
        stdout.contains("60 of 120 events match (50.00 %)") && stdout.contains("the first that match:"),
        "{stdout}"
    );
    let (_, stdout, _) = past(&["--filter", "n >= 50", "--since", "2h", "--until", "1h"]);
    assert!(stdout.contains("0 of 0 events match"), "{stdout}");
    let (code, _, stderr) = past(&["--filter", "n >= 50", "--since", "yesterday"]);
    assert!(code == 2 && stderr.contains("`yesterday` is no time") && stderr.contains("15m"), "{stderr}");
    let (code, _, stderr) = run(&["explain", "--filter", "true", "--since", "1h", "--data-dir", "/nowhere"], "");
    assert!(code == 2 && stderr.contains("there is no log in") && stderr.contains("--data-dir"), "{stderr}");

    let replay = |more: &[&str]| run(&[&["replay", "--node", &node.url, "--from", "1h"][..], more].concat(), "");
    let (code, stdout, stderr) = replay(&["--route", "push", "--dry-run"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("5 of 120 events match") && stdout.contains("nothing was sent"), "{stdout}");
    assert_eq!(receiver.received().events, 5);
    let (code, stdout, _) = replay(&["--route", "push"]);
    assert!(code == 0 && stdout.contains("5 were sent to 'push'"), "{stdout}");
    assert_eq!(receiver.received().events, 10);
    let (code, stdout, _) = replay(&["--route", "high"]);
    assert!(code == 0 && stdout.contains("10 were sent to 'out'"), "{stdout}");
    // Beside the endpoint's own file, which it does not touch.
    let written: Vec<_> =
        std::fs::read_dir(folder.path()).expect("lists").map(|entry| entry.expect("lists").path()).collect();
    let replayed = written.iter().find(|path| path.display().to_string().contains("out.replay-")).expect("a file");
    assert_eq!((lines(replayed), lines(&out)), (10, 10));

    let (code, _, stderr) = replay(&["--route", "hihg"]);
    assert!(code == 1 && stderr.contains("no route 'hihg'") && stderr.contains("high, push, all"), "{stderr}");
    let (code, _, stderr) = replay(&["--route", "all"]);
    assert!(code == 1 && stderr.contains("holds each offset once") && stderr.contains("beginning"), "{stderr}");
    let (code, _, stderr) = replay(&["--route", "push", "--to", "2h"]);
    assert!(code == 1 && stderr.contains("not before"), "{stderr}");
    let (status, body) = node.request("GET", "/replays", "text/plain", "");
    assert!(status == 200 && body.matches("\"done\"").count() == 3, "{body}");
    let (status, body) = node.request("POST", "/replays", "application/json", "{\"rout\":1}");
    assert!(status == 400 && body.contains("dry_run"), "{body}");
}

#[test]
fn a_replay_that_nobody_takes_can_be_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, data) = (folder.path().join("c.toml"), folder.path().join("data"));
    let receiver = Receiver::start(Mode::Healthy).expect("starts");
    let text = format!(
        "[endpoints.push]\ntype = \"webhook\"\nurl = \"{}\"\n[[routes]]\nname = \"push\"\nfilter = \"true\"\nendpoint = \"push\"\n",
        receiver.url()
    );
    std::fs::write(&config, text).expect("writes");
    let node = Node::start(&config, &data, "127.0.0.1:0");
    assert_eq!(node.request("POST", "/events", NDJSON, &events(0..10)).0, 200);
    eventually("all is delivered", || receiver.received().events == 10);
    receiver.set_mode(Mode::Hang);
    let (status, body) = node.request("POST", "/replays", "application/json", "{\"route\":\"push\",\"from\":\"1h\"}");
    assert_eq!(status, 202, "{body}");
    let id = serde_json::from_str::<serde_json::Value>(&body).expect("JSON")["id"].to_string();
    let state = |method: &str| {
        let (_, body) = node.request(method, &format!("/replays/{id}"), "text/plain", "");
        serde_json::from_str::<serde_json::Value>(&body).expect("JSON")["state"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(state("GET"), "running");
    state("DELETE");
    eventually("it stops", || state("GET") == "stopped");
    // The node itself is as it was.
    receiver.set_mode(Mode::Healthy);
    assert_eq!(node.request("POST", "/events", NDJSON, &events(10..20)).0, 200);
    eventually("new events are delivered", || receiver.received().events == 20);
    assert!(node.stop().success());
}
