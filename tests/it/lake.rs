//! The promise of the Parquet endpoint, on the real binary: kill -9 fifty times under load, on the disk, on an S3 server that is slow
//! for a while and on an Azure Blob server, and afterwards each event of the log is in the files once, file by file and by the manifests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use loadgen::client::Progress;
use loadgen::client::http::{self, HttpPlan};
use loadgen::ledger::LedgerFile;
use loadgen::pace::Pace;
use tokio::sync::watch;

use crate::places::{files, in_files, in_log};
use crate::stores::{CREDENTIALS, ObjectServer};
use crate::support::{Node, eventually, eventually_or, loadgen};

const PARTITIONS: u32 = 4;
const DEVICES: u32 = 1_000;
const KILLS: u64 = 50;
const NO_S3: &str = "!!! SKIPPED: there is no python3 for an S3 server, so that has not been tried";
const NO_AZURE: &str =
    "!!! SKIPPED: there is no python3 or no node with npm for an Azure Blob server, so that has not been tried";

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
    let (mut s3, mut azure) = (ObjectServer::s3(), ObjectServer::azure());
    let mut text = format!("[node]\npartitions = {PARTITIONS}\n\n[listeners.http]\nkey_pointer = \"/device_id\"\n\n");
    let dir = |name: &str| format!("dir = '{}'", path(name).display());
    text += &endpoint("flat", &dir("flat"), "age_ms_max = 100");
    let folders = "age_ms_max = 100\npartition_by = [\"date\", \"fw\"]\nmanifest = true\ncompact_commits = 4\ncompact_keep_ms = 0";
    text += &endpoint("folders", &dir("folders"), folders);
    let small = "age_ms_max = 200\npartition_by = [\"fw\"]\nmanifest = true\ncompact_keep_ms = 0";
    // Old enough for files of several parts only after the last kill.
    let large = "age_ms_max = 8000\ncompression = \"none\"";
    if let Some(s3) = &s3 {
        text += &endpoint("s3", &s3.place("small"), small);
        text += &endpoint("large", &s3.place("large"), large);
    } else {
        eprintln!("{NO_S3}");
    }
    if let Some(azure) = &azure {
        text += &endpoint("azure", &azure.place("azure-small"), small);
        text += &endpoint("azure-large", &azure.place("azure-large"), large);
    } else {
        eprintln!("{NO_AZURE}");
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
    for (store, names) in [(&mut s3, ["small", "large"]), (&mut azure, ["azure-small", "azure-large"])] {
        let Some(store) = store else { continue };
        for name in names {
            store.fetch(&format!("{name}/"), &path(name));
            lakes.push(name);
        }
        assert_eq!(store.ask(&format!("names {}/_tmp/", names[1])), "", "what was on its way is gone");
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
    let has_manifests = |name: &str| path(name).join("_manifest").is_dir();
    assert!(has_manifests("folders") && (s3.is_none() || has_manifests("small")));
    assert!(azure.is_none() || has_manifests("azure-small"));
}
