//! What was measured, kept in `bench/records`: one file per day and suite, with all that a later run needs to be compared with it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use crate::machine;
use crate::row::Row;

/// Where records are kept.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/records");

#[derive(Serialize)]
struct Record<'a> {
    suite: &'a str,
    date: &'a str,
    commit: &'a str,
    machine: String,
    instructions: String,
    compiled_for: &'static str,
    rows: Vec<&'a Row>,
}

/// Writes one file per suite of `rows`; says where. A file of the same day and suite is replaced.
pub fn write(rows: &[Row], commit: Option<&str>) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    write_into(Path::new(FOLDER), rows, &today(), &commit.map_or_else(head, str::to_owned))
}

/// The day in UTC.
pub fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

fn write_into(folder: &Path, rows: &[Row], date: &str, commit: &str) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let mut suites: Vec<&str> = rows.iter().map(|row| row.suite.as_str()).collect();
    suites.dedup();
    let mut written = Vec::new();
    for suite in suites {
        let record = Record {
            suite,
            date,
            commit,
            machine: machine::machine(),
            instructions: machine::instructions(),
            compiled_for: machine::compiled_for(),
            rows: rows.iter().filter(|row| row.suite == suite).collect(),
        };
        let path = folder.join(format!("{date}-{suite}.json"));
        let text = serde_json::to_string_pretty(&record)? + "\n";
        std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        written.push(path);
    }
    Ok(written)
}

/// The commit that is checked out, marked if the files differ from it; "unknown" without git.
fn head() -> String {
    let git = |arguments: &[&str]| {
        let said = Command::new("git").args(["-C", env!("CARGO_MANIFEST_DIR")]).args(arguments).output().ok()?;
        said.status.success().then(|| String::from_utf8_lossy(&said.stdout).trim().to_owned())
    };
    match git(&["rev-parse", "--short=12", "HEAD"]) {
        None => "unknown".to_owned(),
        Some(commit) => {
            let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|said| !said.is_empty());
            format!("{commit}{}", if changed { " and changes" } else { "" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Peer;

    #[test]
    fn every_suite_has_its_file() {
        let peer = || Peer { name: "p".into(), version: "1".into(), values: vec![1.0], cpu_ns: vec![1.0] };
        let row = |suite| Row::new(suite, "case", "metric", &[2.0], &[1.0], peer(), false);
        let folder = tempfile::tempdir().unwrap();
        let rows = [row("extract"), row("extract"), row("match")];
        let written = write_into(folder.path(), &rows, "2026-11-21", "abc").unwrap();
        let names: Vec<_> = written.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        assert_eq!(names, ["2026-11-21-extract.json", "2026-11-21-match.json"]);
        let read: serde_json::Value = serde_json::from_slice(&std::fs::read(&written[0]).unwrap()).unwrap();
        assert_eq!((read["commit"].as_str(), read["rows"].as_array().map(Vec::len)), (Some("abc"), Some(2)));
        assert!(read["instructions"].as_str().is_some_and(|text| text.contains("compiled for")));
    }

    #[test]
    fn days_are_written_as_in_iso_8601() {
        let today = today();
        assert!(today.len() == 10 && today.as_bytes()[4] == b'-' && today.as_bytes()[7] == b'-', "{today}");
    }
}
