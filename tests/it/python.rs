//! Our Parquet in the hands of those who will read it: DuckDB, polars and pyarrow, installed by the test into a cache.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::{Node, eventually, run};

const PACKAGES: [&str; 3] = ["duckdb", "polars", "pyarrow"];
/// Random schemas.
const CASES: usize = 40;
const SKIPPED: &str = "!!! SKIPPED: there is no python3, so nobody but us has read the Parquet files";

/// A Python with the readers, or `None` where there is no Python at all. Installed once, though the tests run side by side.
fn python() -> Option<PathBuf> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON.get_or_init(install).clone()
}

fn install() -> Option<PathBuf> {
    environment("readers", &PACKAGES, &PACKAGES)
}

/// Where tests keep what they install.
pub fn cache() -> PathBuf {
    let home = std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from);
    std::env::var_os("ANABRANCH_CACHE").map_or_else(|| home.join(".cache/anabranch"), PathBuf::from)
}

/// The Python of a folder in the cache that has packages, by the names under which they are installed and imported; `None` where
/// there is no Python at all.
pub fn environment(folder: &str, packages: &[&str], imports: &[&str]) -> Option<PathBuf> {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|version| version.status.success());
    if !found {
        return None;
    }
    let folder = cache().join(folder);
    let python = folder.join("bin/python");
    let has_all = |python: &Path| {
        let import = format!("import {}", imports.join(", "));
        Command::new(python).args(["-c", &import]).output().is_ok_and(|done| done.status.success())
    };
    if !has_all(&python) {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&folder).status().expect("python3 starts");
        assert!(made.success(), "python3 -m venv does not work: install python3-venv");
        let pip = Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages).status();
        assert!(pip.expect("pip starts").success(), "pip cannot install {packages:?}");
    }
    Some(python)
}

/// What `read_parquet.py` finds wrong, of a folder and what is wanted of it.
fn ask(python: &Path, lake: &Path, wants: &[String]) {
    let script = crate::sources::root().join("tests/python/read_parquet.py");
    let output = Command::new(python).arg(script).arg(lake).args(wants).output().expect("starts");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn three_engines_read_what_a_node_wrote() {
    let Some(python) = python() else {
        eprintln!("{SKIPPED}");
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
    let wants = [
        format!("rows={rows}"),
        "distinct=_partition,_offset".to_owned(),
        format!("sum:n={sum}"),
        format!("count:n={numbers}"),
        "count:_data=50".to_owned(),
        format!("count:_ingest_time={rows}"),
        "type:_time=timestamp[ms, tz=UTC]".to_owned(),
    ];
    ask(&python, &lake, &wants);
}

#[test]
fn three_engines_read_what_pipe_wrote() {
    let Some(python) = python() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (mut input, mut temp, mut seq, mut ups, mut alts) = (String::new(), 0.0, 0i64, 0, 0);
    for at in 0..20_000i64 {
        // Every type, values that repeat and values that do not, nulls, nested members, text beyond ASCII, and surprises.
        let reading = (at * 7919 % 10_007) as f64 / 100.0;
        let is_up = at % 3 == 0;
        let _ = write!(
            input,
            "{{\"id\":\"dev-{at}\",\"site\":\"Zürich {}\",\"temp\":{reading:?},\"seq\":{},\"loc\":{{\"lat\":50.5,\"alt\":{}}}",
            at % 20,
            at * 1_000_003,
            if at % 5 == 0 { "\"high\"".to_owned() } else { at.to_string() },
        );
        input.push_str(if is_up { ",\"up\":true}\n" } else { "}\n" });
        (temp, seq, ups) = (temp + reading, seq + at * 1_000_003, ups + i64::from(is_up));
        alts += i64::from(at % 5 != 0);
    }
    for codec in ["snappy", "lz4", "zstd", "none"] {
        let lake = folder.path().join(codec);
        let route = format!("true=>parquet:{}", lake.display());
        let flags = ["pipe", "--system-columns", "--key", "/id", "--compression", codec, "--route", &route];
        let (code, _, stderr) = run(&flags, &input);
        assert_eq!(code, 0, "{stderr}");
        let wants = [
            "rows=20000".to_owned(),
            format!("sum:temp={temp:?}"),
            format!("sum:seq={seq}"),
            format!("sum:_offset={}", 20_000 * 19_999 / 2),
            format!("count:up={ups}"),
            // Numbers are more frequent there than texts.
            format!("count:loc.alt={alts}"),
            format!("count:loc.alt:string={}", 20_000 - alts),
            "count:_rest=0".to_owned(),
            "count:_data=0".to_owned(),
            "count:_key=20000".to_owned(),
            "distinct=_partition,_offset".to_owned(),
            "distinct=id".to_owned(),
            "type:temp=double".to_owned(),
            "type:seq=int64".to_owned(),
            "type:up=bool".to_owned(),
            "type:site=string".to_owned(),
            "type:_time=timestamp[ms, tz=UTC]".to_owned(),
            "type:_data=binary".to_owned(),
        ];
        ask(&python, &lake, &wants);
    }
}

/// Random events and schemas, written by `pipe` and read by pyarrow, hold what an implementation of the documentation's rules says.
#[test]
fn random_events_and_schemas_read_back_as_the_documentation_says() {
    let Some(python) = python() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let script = crate::sources::root().join("tests/python/parquet_oracle.py");
    let cases = folder.path().join("cases");
    let seed = std::env::var("PARQUET_SEED").unwrap_or_else(|_| "1".to_owned());
    let ask = |what: &[&str]| {
        let output = Command::new(&python).arg(&script).args(what).output().expect("starts");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "seed {seed}: {said}");
    };
    let at = cases.to_str().expect("a path");
    ask(&["make", at, &seed, &CASES.to_string()]);
    for case in 0..CASES {
        let case = cases.join(case.to_string());
        let events = std::fs::read_to_string(case.join("events.ndjson")).expect("reads");
        let config = case.join("config.toml");
        let (code, _, stderr) = run(&["pipe", "--config", config.to_str().expect("a path")], &events);
        assert_eq!(code, 0, "{}: {stderr}", std::fs::read_to_string(config).expect("reads"));
    }
    ask(&["check", at]);
}
