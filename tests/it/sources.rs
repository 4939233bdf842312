//! The repository as the rule tests see it: which files there are and what stands in them.
//!
//! Build outputs and hidden folders are never part of it, so a rule judges only what somebody wrote.

use std::fs;
use std::path::{Path, PathBuf};

/// The folders that hold our crates.
pub const MEMBERS: [&str; 6] = ["engine", "connectors", "server", "loadgen", "bench", "tests"];

/// A text file of the repository.
pub struct Source {
    /// Path from the root, with `/`.
    pub path: String,
    /// What stands in it.
    pub text: String,
}

impl Source {
    /// Whether the file is only compiled for tests: rules for production code do not judge it.
    pub fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The lines that are neither comment nor blank, with their numbers from 1; a trailing comment is cut off.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().filter_map(|(index, line)| {
            let code = line.split_once(" //").map_or(line, |(code, _)| code).trim();
            (!code.is_empty() && !code.starts_with("//")).then_some((index + 1, code))
        })
    }
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests crate lies one level below the root")
}

/// A file by its path from the root.
pub fn read(path: &str) -> Source {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    Source { path: path.to_owned(), text }
}

/// Every file below `folder` (from the root; empty for all) whose name ends in `.extension`, in order of path.
pub fn files(folder: &str, extension: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    walk(&root().join(folder), extension, &mut paths);
    paths.sort();
    paths
        .iter()
        .map(|path| path.strip_prefix(root()).expect("the walk began at the root"))
        .map(|path| read(path.to_str().expect("our file names are plain text")))
        .collect()
}

/// All Rust sources of the workspace.
pub fn rust() -> Vec<Source> {
    MEMBERS.iter().flat_map(|member| files(member, "rs")).collect()
}

/// The manifest of a member, or of the workspace when `member` is empty.
pub fn manifest(member: &str) -> toml::Table {
    let path = if member.is_empty() { "Cargo.toml".to_owned() } else { format!("{member}/Cargo.toml") };
    read(&path).text.parse().unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of what `member` depends on outside its tests.
pub fn dependencies(member: &str) -> Vec<String> {
    manifest(member)["dependencies"].as_table().expect("a table of dependencies").keys().cloned().collect()
}

/// Fails with all findings at once, so that one run shows all there is to mend.
#[track_caller]
pub fn none(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}\n  {}\n", findings.join("\n  "));
}

fn walk(folder: &Path, extension: &str, into: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            walk(&path, extension, into);
        } else if path.extension().is_some_and(|found| found == extension) {
            into.push(path);
        }
    }
}
