//! Who may know whom, read from the sources: between crates and inside the engine.
//!
//! What always holds: `server → connectors → engine` and never back; the load generator knows none of them, so that what it
//! proves about a node does not rest on the node's own code; the engine has no world.

use std::collections::BTreeSet;

use crate::sources::{Source, dependencies, files, none, read};

/// The engine's modules; each may use only those before it. A row is one step: its modules may use each other.
const ENGINE_ORDER: &[&[&str]] = &[
    &["limits"],
    &["sync"],
    &["ring"],
    &["event", "batch"],
    &["log"],
    &["mesh"],
    &["parse"],
    &["filter"],
    &["lane"],
    &["route"],
    &["shard"],
    &["cursor"],
];

/// What of ours a member may depend on.
const CRATES: [(&str, &[&str]); 6] = [
    ("engine", &[]),
    ("connectors", &["engine"]),
    ("server", &["engine", "connectors", "loadgen"]),
    ("loadgen", &[]),
    ("bench", &["engine", "connectors", "server", "loadgen"]),
    ("tests", &["engine", "connectors", "server", "loadgen"]),
];

/// Crates that are a piece of the world: runtimes, sockets, files, clocks, logs.
const WORLD_CRATES: [&str; 17] = [
    "tokio",
    "hyper",
    "hyper-util",
    "axum",
    "reqwest",
    "socket2",
    "rustix",
    "tracing",
    "tracing-subscriber",
    "redb",
    "jiff",
    "tempfile",
    "futures-util",
    "arc-swap",
    "fastrand",
    "mimalloc",
    "crossbeam-channel",
];

/// Paths that lead into the world. `clippy.toml` says the same to the compiler; this also sees what a macro hides.
const WORLD_PATHS: [&str; 13] = [
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "std::os",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "Instant::now",
    "SystemTime::now",
    "println!",
    "async fn",
    ".await",
];

/// File names inside `connectors` that promise bytes in, values out.
const PURE_FILES: [&str; 20] = [
    "codec.rs",
    "frame.rs",
    "session.rs",
    "retry.rs",
    "backoff.rs",
    "config.rs",
    "cloudevents.rs",
    // The decisions of a webhook endpoint.
    "dispatch.rs",
    "filling.rs",
    "keys.rs",
    "parked.rs",
    "policy.rs",
    "queue.rs",
    "shot.rs",
    "span.rs",
    // Who may do what over MQTT.
    "attributes.rs",
    "grants.rs",
    "query.rs",
    "template.rs",
    "topics.rs",
];

#[test]
fn crates_know_only_the_ones_below_them() {
    let ours: Vec<&str> = CRATES.iter().map(|(name, _)| *name).collect();
    let mut findings = Vec::new();
    for (member, allowed) in CRATES {
        let declared = dependencies(member).into_iter().filter(|name| ours.contains(&name.as_str()));
        findings.extend(
            declared
                .filter(|name| !allowed.contains(&name.as_str()))
                .map(|name| format!("{member}/Cargo.toml: {name}")),
        );
        for file in files(member, "rs") {
            for (number, line) in file.code() {
                let foreign = ours.iter().filter(|name| **name != member && !allowed.contains(name));
                for name in foreign
                    .filter(|name| line.starts_with(&format!("use {name}::")) || line.contains(&format!(" {name}::")))
                {
                    findings.push(format!("{}:{number}: {name}", file.path));
                }
            }
        }
    }
    none("server → connectors → engine, never back; loadgen knows none of ours:", findings);
}

#[test]
fn the_engine_has_no_world() {
    let mut findings: Vec<String> = dependencies("engine")
        .into_iter()
        .filter(|name| WORLD_CRATES.contains(&name.as_str()))
        .map(|name| format!("engine/Cargo.toml: {name}"))
        .collect();
    for file in files("engine", "rs").iter().filter(|file| !file.is_test()) {
        findings.extend(hits(file, &WORLD_PATHS));
    }
    none("Time is an argument, bytes go in, effects come out:", findings);
}

#[test]
fn the_lock_file_keeps_the_world_out_of_the_engine() {
    let reached = reachable("engine");
    let findings = ["connectors", "server", "loadgen", "tokio", "mio", "socket2", "hyper", "tracing", "redb"]
        .iter()
        .filter(|name| reached.contains(**name))
        .map(|name| (*name).to_owned())
        .collect();
    none("The engine's dependencies bring in:", findings);
    assert!(reached.contains("rtrb"), "the walk over Cargo.lock finds nothing at all");
}

#[test]
fn engine_modules_use_only_those_before_them() {
    let mut findings = Vec::new();
    for file in files("engine/src", "rs").iter().filter(|file| !file.is_test()) {
        let Some(module) = engine_module(&file.path) else { continue };
        let Some(place) = place(module) else {
            findings.push(format!("{}: give `{module}` its place in ENGINE_ORDER of tests/it/layers.rs", file.path));
            continue;
        };
        for (number, used) in crate_paths(file) {
            match self::place(&used) {
                Some(other) if other <= place => {}
                Some(_) => findings.push(format!("{}:{number}: {module} comes before {used}", file.path)),
                None => findings.push(format!("{}:{number}: {used} has no place in the order", file.path)),
            }
        }
    }
    none("Inside the engine a module uses only those before it:", findings);
}

#[test]
fn codecs_open_nothing() {
    let mut findings = Vec::new();
    for file in files("connectors/src", "rs").iter().filter(|file| !file.is_test()) {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        if PURE_FILES.contains(&name) {
            findings.extend(hits(
                file,
                &[
                    "tokio::",
                    "std::fs",
                    "TcpListener",
                    "TcpStream",
                    "UdpSocket",
                    "Instant::now",
                    "SystemTime::now",
                    "async fn",
                    ".await",
                ],
            ));
        }
    }
    none("Codecs, schedules and configs take bytes and a tick and return values:", findings);
}

#[test]
fn a_connector_knows_no_shard_and_no_table() {
    let mut findings = Vec::new();
    for file in files("connectors/src", "rs").iter().filter(|file| !file.is_test()) {
        findings.extend(hits(file, &["engine::shard", "engine::route"]));
    }
    none("A connector knows one intake or one feed:", findings);
}

#[test]
fn the_order_is_the_one_the_engine_declares() {
    let lib = read("engine/src/lib.rs");
    let declared =
        lib.code().filter_map(|(_, line)| line.strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned));
    let unplaced: Vec<String> = declared.filter(|module| place(module).is_none()).collect();
    none("Modules of the engine without a place in ENGINE_ORDER:", unplaced);
}

#[test]
fn paths_are_found_in_every_form_of_use() {
    let text = "use crate::batch::Batch;\nuse crate::{log, route::Table};\nlet a = crate::filter::compile(b);\nuse super::c;\n";
    let file = Source { path: "engine/src/x.rs".into(), text: text.into() };
    let used: Vec<String> = crate_paths(&file).into_iter().map(|(_, used)| used).collect();
    assert_eq!(used, ["batch", "log", "route", "filter"]);
    assert!(place("batch") == place("event") && place("ring") < place("batch") && place("nowhere").is_none());
}

fn hits(file: &Source, words: &[&str]) -> Vec<String> {
    let found = file.code().filter_map(|(number, line)| {
        words.iter().find(|word| line.contains(**word)).map(|word| format!("{}:{number}: {word}", file.path))
    });
    found.collect()
}

fn place(module: &str) -> Option<usize> {
    ENGINE_ORDER.iter().position(|row| row.contains(&module))
}

/// The top module that a file of the engine belongs to; none for `lib.rs`.
fn engine_module(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("engine/src/")?;
    let first = inside.split('/').next()?.trim_end_matches(".rs");
    (first != "lib").then_some(first)
}

/// The modules that a file reaches by `crate::`, with line numbers, in every form: single, in braces, inline.
fn crate_paths(file: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let ident = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let numbered: Vec<(usize, &str)> = file.code().collect();
    for (at, (number, line)) in numbered.iter().enumerate() {
        for part in line.split("crate::").skip(1) {
            let Some(group) = part.strip_prefix('{') else {
                found.push((*number, ident(part)));
                continue;
            };
            let rest = numbered[at + 1..].iter().map(|(_, line)| *line);
            let mut depth = 0_usize;
            let mut expect_name = true;
            for c_at in std::iter::once(group)
                .chain(rest)
                .flat_map(|line| line.char_indices().map(move |(i, c)| (&line[i..], c)))
            {
                let (text, c) = c_at;
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => expect_name = true,
                    c if depth == 0 && expect_name && c.is_alphabetic() => {
                        found.push((*number, ident(text)));
                        expect_name = false;
                    }
                    _ => {}
                }
            }
        }
    }
    found.retain(|(_, name)| name.starts_with(char::is_lowercase));
    found
}

/// Every package that `member` needs when it is built, by the lock file. It does not tell targets and test dependencies apart,
/// so it starts from the manifest's own list and may name more than is linked, never less.
fn reachable(member: &str) -> BTreeSet<String> {
    let lock: toml::Table = read("Cargo.lock").text.parse().expect("Cargo.lock is TOML");
    let packages = lock["package"].as_array().expect("a list of packages");
    let mut open = dependencies(member);
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        for package in packages.iter().filter(|package| package["name"].as_str() == Some(&name)) {
            let needs = package.get("dependencies").and_then(toml::Value::as_array).into_iter().flatten();
            open.extend(
                needs.filter_map(toml::Value::as_str).map(|need| need.split(' ').next().unwrap_or(need).to_owned()),
            );
        }
    }
    seen
}
