//! The load generator as its users have it: real commands against a real node, and a verdict that can be trusted.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Node, eventually, loadgen};

/// Runs `loadgen` to its end: exit code, and everything it said.
pub fn run(args: &[&str]) -> (i32, String) {
    let output = Command::new(loadgen()).args(args).stdin(Stdio::null()).output().expect("starts");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text.into_owned())
}

/// A `loadgen` that listens: killed when it is dropped.
pub struct Listening {
    child: Child,
    url: String,
    rest: std::thread::JoinHandle<String>,
}

impl Listening {
    /// Starts it and waits until it says where it is.
    pub fn start(args: &[&str]) -> Self {
        let mut child = Command::new(loadgen()).args(args).stdout(Stdio::piped()).spawn().expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut first = String::new();
        lines.read_line(&mut first).expect("reads");
        let url = first.split_whitespace().find(|word| word.contains("://")).expect("says where").to_owned();
        let rest = std::thread::spawn(move || {
            let mut text = String::new();
            lines.read_to_string(&mut text).expect("reads");
            text
        });
        Self { child, url, rest }
    }

    /// Waits for its own end: exit code and output.
    pub fn end(mut self) -> (i32, String) {
        let mut ended = None;
        eventually("loadgen ends", || {
            ended = self.child.try_wait().expect("asks");
            ended.is_some()
        });
        let text = std::mem::replace(&mut self.rest, std::thread::spawn(String::new)).join().expect("reads");
        (ended.and_then(|status| status.code()).unwrap_or(-1), text)
    }

    /// Ctrl-C, and waits for its end.
    fn interrupt(self) -> (i32, String) {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("it is there");
        self.end()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start_node(folder: &Path, webhook: &str, filter: &str) -> Node {
    let config = folder.join("anabranch.toml");
    let text = format!(
        "[listeners.http]\nkey_pointer = \"/device_id\"\n\n[endpoints.lake]\ntype = \"parquet\"\ndir = '{}'\nage_ms_max = 300\n\n\
         [endpoints.hook]\ntype = \"webhook\"\nurl = \"{webhook}\"\nbatch_events_max = 100\nordered = true\n\n\
         [[routes]]\nname = \"all\"\nendpoint = \"lake\"\n\n[[routes]]\nname = \"some\"\nfilter = \"{filter}\"\nendpoint = \"hook\"\n",
        folder.join("lake").display()
    );
    std::fs::write(&config, text).expect("writes");
    Node::start(&config, &folder.join("data"), "127.0.0.1:0")
}

/// A profile of its own: two kinds of devices, shapes, escapes, alarms.
const PROFILE: &str = r#"
[[profile]]
name = "meter"
shapes = 4
alarm_share = 0.05
alarm_lasts = 3
field = [
  { name = "device_id" },
  { name = "kwh", kind = "walk", min = 0.0, max = 900.0, decimals = 3, alarm = [1000, 2000] },
  { name = "note", kind = "text", length = [0, 20], escapes = 0.1, optional = true },
  { name = "tariff", kind = "choice", values = ["day", "night"], lasts = 16 },
  { name = "open", kind = "flag", share = 0.1, optional = true },
]

[[profile]]
name = "camera"
share = 0.5
bytes = 700
spacing = "spaced"
field = [{ name = "kwh", kind = "uniform", min = 0, max = 5 }, { name = "tags", kind = "array", length = [0, 3], min = 0, max = 9 }]
"#;

#[test]
fn what_a_node_delivers_is_verified_everywhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("fleet.toml"), PROFILE).expect("writes");
    let filter = "kwh > 500 and tariff = 'day'";
    let (ledger, summary, page) = (path("run.ledger"), path("run.json"), path("run.html"));
    let hook = Listening::start(&["verify", "--ledger", &ledger, "--filter", filter, "webhook", "--idle-s", "2"]);
    let node = start_node(folder.path(), &hook.url, &filter.replace("and", "AND"));
    let target = format!("{}/events", node.url);
    let (code, said) = run(&[
        "http",
        "--target",
        &target,
        "--profile",
        &path("fleet.toml"),
        "--devices",
        "500",
        "--events",
        "30000",
        "--batch",
        "300",
        "--rate",
        "20000",
        "--pace",
        "bursts,factor=4,for_s=0.2,every_s=0.5",
        "--ledger",
        &ledger,
        "--json",
        &summary,
        "--report",
        &page,
    ]);
    assert_eq!(code, 0, "{said}");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&summary).expect("reads")).expect("JSON");
    assert_eq!(json["summary"]["acknowledged_events"], 30_000);
    assert!(json["seconds"]["seconds"].as_array().is_some_and(|seconds| !seconds.is_empty()), "{json}");
    assert!(std::fs::read_to_string(&page).expect("reads").contains("Latency over time"));

    let (code, said) = hook.end();
    assert!(code == 0 && said.contains("clean"), "{said}");
    let verify = |place: &[&str]| run(&[&["verify", "--ledger", &ledger][..], place].concat());
    let (code, said) = verify(&["hub", &node.url]);
    assert!(code == 0 && said.contains("30000 events expected"), "{said}");
    eventually("all rows are in files", || verify(&["parquet", &path("lake")]).0 == 0);
    assert!(node.stop().success());

    // One file less is rows lost, and a verdict that says so.
    let mut files: Vec<_> =
        std::fs::read_dir(path("lake")).expect("reads").flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "parquet"));
    std::fs::remove_file(&files[0]).expect("removes");
    let (code, said) = verify(&["--json", &path("verdict.json"), "parquet", &path("lake")]);
    assert!(code == 1 && said.contains("is expected and is not there"), "{said}");
    let verdict: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path("verdict.json")).expect("reads")).expect("JSON");
    assert_eq!(verdict["clean"], false);
    assert!(verdict["verdict"]["lost"].as_u64() > Some(0));
}

#[test]
fn a_sink_that_is_broken_on_purpose_is_caught() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (fault, found) in [
        ("drop:5000", "lost 4, duplicates 0, out of order 0, unwanted 0, foreign 0, corrupted 0"),
        ("swap:7000", "lost 0, duplicates 0, out of order 2, unwanted 0, foreign 0, corrupted 0"),
        ("duplicate:20000", "lost 0, duplicates 1, out of order 0, unwanted 0, foreign 0, corrupted 0"),
        ("flip:20000", "lost 1, duplicates 0, out of order 0, unwanted 0, foreign 0, corrupted 1"),
    ] {
        let (kept, ledger) = (path("kept.ndjson"), path("run.ledger"));
        let sink = Listening::start(&["receive", "--keep", &kept, "--fault", fault]);
        let (code, said) = run(&[
            "http",
            "--target",
            &sink.url,
            "--format",
            "cloudevents-batch",
            "--devices",
            "100",
            "--events",
            "20000",
            "--connections",
            "1",
            "--batch",
            "500",
            "--ledger",
            &ledger,
        ]);
        assert_eq!(code, 0, "{said}");
        let (code, said) = sink.interrupt();
        assert_eq!(code, 0, "{said}");
        let (code, said) = run(&["verify", "--ledger", &ledger, "lines", &kept]);
        assert!(code == 1 && said.contains(found), "{fault}: {said}");
    }
}

#[test]
fn wrong_uses_say_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("bad.toml"), "[[profile]]\nname = \"p\"\nfield = [{ name = \"f\", kind = \"walk\" }]")
        .expect("writes");
    std::fs::write(path("not.ledger"), "hello").expect("writes");
    for (args, code, wanted) in [
        (&["profile", &path("bad.toml")][..], 3, "profile `p`: field `f` needs `min`"),
        (&["generate", "--profile", &path("none.toml"), "--out", "-"], 3, "cannot read"),
        (&["http", "--target", "http://127.0.0.1:1/", "--rate", "5", "--pace", "slow"], 3, "there is no pace `slow`"),
        (&["http", "--target", "http://127.0.0.1:1/", "--pace", "poisson"], 2, "--rate"),
        (&["http", "--target", "ftp://x"], 2, "http://"),
        (&["verify", "--ledger", &path("none"), "lines", "-"], 3, "none"),
        (&["verify", "--ledger", &path("not.ledger"), "lines", "-"], 3, "this is no ledger"),
        (&["receive", "--keep", &path("x"), "--fault", "lose:3"], 2, "drop:N"),
        (&["http", "--target", "http://127.0.0.1:1/", "--watch-pid", "4294967295", "--events", "1"], 3, "no process"),
    ] {
        let (ended, said) = run(args);
        assert!(ended == code && said.contains(wanted), "{args:?}: {ended} {said}");
    }
    let (code, text) = run(&["profile"]);
    assert!(code == 0 && text.contains("[[profile]]"), "{text}");
    std::fs::write(path("built-in.toml"), text).expect("writes");
    let (code, said) = run(&["profile", &path("built-in.toml"), "--events", "2"]);
    assert!(code == 0 && said.lines().count() == 2 && said.contains("\"check\""), "{said}");
}
