//! The promise of the Parquet endpoint, on the real binary: kill -9 fifty times under load, on the disk and on an S3 server that is slow
//! for a while, and afterwards each event of the log is in the files once, file by file and by the manifests.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use loadgen::client::Progress;
use loadgen::client::http::{self, HttpPlan};
use loadgen::ledger::LedgerFile;
use loadgen::pace::Pace;
use tokio::sync::watch;

use crate::places::{files, in_files, in_log};
use crate::python::environment;
use crate::support::{Node, eventually, eventually_or, loadgen};

const PARTITIONS: u32 = 4;
const DEVICES: u32 = 1_000;
const KILLS: u64 = 50;
const SKIPPED: &str = "!!! SKIPPED: there is no python3 for an S3 server, so only the disk has been tried";

/// What the S3 client of a node looks for.
const CREDENTIALS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_DEFAULT_REGION", "us-east-1")];

/// An S3 server of one bucket. Killed when it is dropped.
pub struct S3 {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// `http://127.0.0.1:PORT`
    pub url: String,
}

impl S3 {
    /// Starts one with a bucket `lake`; `None` where there is no Python.
    pub fn start() -> Option<Self> {
        let python = environment("s3", &["moto[server]", "boto3"], &["moto.server", "boto3"])?;
        let script = crate::sources::root().join("tests/python/s3_server.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg("lake")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let commands = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        let mut s3 = Self { child, commands, answers, url: String::new() };
        s3.url = s3.answer();
        assert!(s3.url.starts_with("http://"), "the S3 server did not start: {}", s3.url);
        Some(s3)
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("answers");
        line.trim_end().to_owned()
    }

    /// Does a command of `s3_server.py`.
    pub fn ask(&mut self, command: &str) -> String {
        writeln!(self.commands, "{command}").expect("takes commands");
        self.answer()
    }

    /// Copies what is below a prefix to a folder.
    pub fn fetch(&mut self, prefix: &str, to: &Path) {
        let said = self.ask(&format!("fetch {prefix} {}", to.display()));
        assert!(said.ends_with(" files"), "{said}");
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The files that the manifests below a folder name.
fn named_files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut named = BTreeSet::new();
    for path in files(&folder.join("_manifest"), "json") {
        let manifest: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).expect("reads")).expect("a manifest");
        for file in manifest["files"].as_array().expect("files") {
            let path = folder.join(file["path"].as_str().expect("a path"));
            assert!(named.insert(path.clone()), "{} is in two manifests", path.display());
        }
    }
    named
}

fn endpoint(name: &str, place: &str, settings: &str) -> String {
    format!(
        "[endpoints.{name}]\ntype = \"parquet\"\n{place}\n{settings}\n\n[[routes]]\nname = \"to-{name}\"\nendpoint = \"{name}\"\n\n"
    )
}

#[test]
fn fifty_kills_under_load_lose_and_double_nothing() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let mut s3 = S3::start();
    let mut text = format!("[node]\npartitions = {PARTITIONS}\n\n[listeners.http]\nkey_pointer = \"/device_id\"\n\n");
    let dir = |name: &str| format!("dir = '{}'", path(name).display());
    text += &endpoint("flat", &dir("flat"), "age_ms_max = 100");
    let folders = "age_ms_max = 100\npartition_by = [\"date\", \"fw\"]\nmanifest = true\ncompact_commits = 4\ncompact_keep_ms = 0";
    text += &endpoint("folders", &dir("folders"), folders);
    if let Some(s3) = &s3 {
        let url = |name: &str| {
            format!("url = \"s3://lake/{name}\"\nstore = {{ endpoint = \"{}\", allow_http = true }}", s3.url)
        };
        text += &endpoint(
            "s3",
            &url("small"),
            "age_ms_max = 200\npartition_by = [\"fw\"]\nmanifest = true\ncompact_keep_ms = 0",
        );
        // Old enough for files of several parts only after the last kill.
        text += &endpoint("large", &url("large"), "age_ms_max = 8000\ncompression = \"none\"");
    } else {
        eprintln!("{SKIPPED}");
    }
    let (config, data) = (path("anabranch.toml"), path("data"));
    std::fs::write(&config, text).expect("writes");
    let start = |listen: &str| Node::start_in(&config, &data, listen, &[], &CREDENTIALS);
    let mut node = start("127.0.0.1:0");
    let listen = node.listen();

    let events = 300_000;
    let progress = Arc::new(Progress::default());
    let target = format!("{}/events", node.url).parse().expect("an address");
    let plan = HttpPlan {
        events,
        pace: Pace::Closed,
        seed,
        connections: 4,
        batch: 200,
        request_timeout: Duration::from_secs(20),
        give_up_after: Duration::from_secs(120),
        ..HttpPlan::new(target, DEVICES)
    };
    let model = plan.model.clone();
    let told = progress.clone();
    let sending = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (_stop, stopped) = watch::channel(false);
        runtime.block_on(http::run(plan, told, stopped, None)).expect("every event is acknowledged in the end")
    });
    for kill in 1..=KILLS {
        let at = events / (KILLS + 1) * kill - random.u64(0..events / (KILLS + 1));
        eventually("the run goes on", || progress.look().acknowledged_events >= at || sending.is_finished());
        // Somewhere between two commits, or within one.
        std::thread::sleep(Duration::from_millis(random.u64(0..250)));
        node.kill();
        match (&mut s3, kill) {
            (Some(s3), 20) => assert_eq!(s3.ask("slow"), "slow"),
            (Some(s3), 35) => assert_eq!(s3.ask("well"), "well"),
            _ => {}
        }
        node = start(&listen);
    }
    let outcome = sending.join().expect("the fleet has ended");
    assert_eq!(outcome.ledger.acknowledged_events(), events);
    let lag = || node.metric("anabranch_endpoint_lag_events");
    eventually_or(|| format!("all rows are in files; {} are not\n{}", lag(), node.log()), || lag() == 0.0);
    assert!(node.stop().success());

    let ledger = path("run.ledger");
    LedgerFile { model, seed, receipts: true, ledger: outcome.ledger }.write(&ledger).expect("writes");
    let in_log = in_log(&data, PARTITIONS);
    let mut lakes = vec!["flat", "folders"];
    if let Some(s3) = &mut s3 {
        for name in ["small", "large"] {
            s3.fetch(name, &path(name));
            lakes.push(name);
        }
        assert_eq!(s3.ask("names large/_tmp/"), "", "what was on its way is gone");
    }
    for lake in lakes {
        let lake = path(lake);
        let there = files(&lake, "parquet");
        let found = in_files(&there);
        assert_eq!(found.len(), in_log.len(), "rows in {}, events in the log", lake.display());
        assert!(found == in_log, "{} and the log differ", lake.display());
        if lake.join("_manifest").is_dir() {
            assert_eq!(named_files(&lake), there.into_iter().collect(), "the manifests of {}", lake.display());
        }
        let mut verify = Command::new(loadgen());
        verify.arg("verify").arg("--ledger").arg(&ledger).arg("parquet").arg(&lake);
        let said = verify.output().expect("starts");
        assert!(said.status.success(), "{}: {}", lake.display(), String::from_utf8_lossy(&said.stdout));
    }
    assert!(path("folders/_manifest").is_dir() && (s3.is_none() || path("small/_manifest").is_dir()));
}
