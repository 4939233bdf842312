//! Our Parquet in the hands of those who will read it: DuckDB, polars and pyarrow, installed by the test into a cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Node, eventually};

const PACKAGES: [&str; 3] = ["duckdb", "polars", "pyarrow"];

/// A Python with the readers, or `None` where there is no Python at all.
fn python() -> Option<PathBuf> {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|version| version.status.success());
    if !found {
        return None;
    }
    let home = std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from);
    let cache = std::env::var_os("ANABRANCH_CACHE").map_or_else(|| home.join(".cache/anabranch"), PathBuf::from);
    let folder = cache.join("readers");
    let python = folder.join("bin/python");
    let has_all = |python: &Path| {
        let import = format!("import {}", PACKAGES.join(", "));
        Command::new(python).args(["-c", &import]).output().is_ok_and(|done| done.status.success())
    };
    if !has_all(&python) {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&folder).status().expect("python3 starts");
        assert!(made.success(), "python3 -m venv does not work: install python3-venv");
        let pip = Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES).status();
        assert!(pip.expect("pip starts").success(), "pip cannot install {PACKAGES:?}");
    }
    Some(python)
}

#[test]
fn three_engines_read_our_parquet() {
    let Some(python) = python() else {
        eprintln!("!!! SKIPPED: there is no python3, so nobody but us has read the Parquet files");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (config, lake) = (folder.path().join("c.toml"), folder.path().join("lake"));
    let text = format!(
        "[endpoints.lake]\ntype = \"parquet\"\ndir = '{}'\nage_ms_max = 300\n\n[[routes]]\nname = \"all\"\nendpoint = \"lake\"\n",
        lake.display()
    );
    std::fs::write(&config, text).expect("writes");
    let node = Node::start(&config, &folder.path().join("data"), "127.0.0.1:0");
    let (mut rows, mut sum, mut numbers) = (0u64, 0u64, 0u64);
    for round in 0..5u64 {
        let mut body = String::new();
        for n in round * 1000..(round + 1) * 1000 {
            // Every tenth has no number, every hundredth is no object.
            body += &match n {
                n if n % 100 == 0 => "[1]\n".to_owned(),
                n if n % 10 == 0 => "{\"other\":\"ü\"}\n".to_owned(),
                n => format!("{{\"n\":{n},\"site\":{{\"name\":\"s{}\"}}}}\n", n % 7),
            };
            if n % 10 != 0 {
                (sum, numbers) = (sum + n, numbers + 1);
            }
        }
        rows += 1000;
        assert_eq!(node.request("POST", "/events", "application/x-ndjson", &body).0, 200);
    }
    eventually("all rows are in finished files", || node.metric("anabranch_endpoint_lag_events") == 0.0);
    assert!(node.stop().success());
    let script = crate::sources::root().join("tests/python/read_parquet.py");
    let output = Command::new(python).arg(script).arg(&lake).output().expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    let engines: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(engines.len(), 3, "{said}");
    for engine in engines {
        let name = &engine["engine"];
        assert_eq!((&engine["rows"], &engine["places"]), (&rows.into(), &rows.into()), "{name}");
        assert_eq!((&engine["sum"], &engine["count"]), (&sum.into(), &numbers.into()), "{name}");
        let kind = engine["kinds"].as_str().unwrap_or_default().to_lowercase();
        assert!(kind.contains("time"), "{name} reads _time as {kind}");
    }
}
