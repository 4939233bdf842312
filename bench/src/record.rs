//! What was measured, kept in `bench/records`: one file per day and suite, with all that a later run needs to be compared with it.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::machine;
use crate::row::Row;

/// Where records are kept.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/records");

/// What one run of a suite gave, and where.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The suite.
    pub suite: String,
    /// The day in UTC.
    pub date: String,
    /// What was measured.
    pub commit: String,
    /// Processor and cores.
    pub machine: String,
    /// Vector instructions: of the processor, and those compiled for.
    pub instructions: String,
    /// The latter alone.
    pub compiled_for: String,
    /// The results.
    pub rows: Vec<Row>,
}

/// The newest record of every suite in `folder`. A file that is no record is an error; the others' names do not matter.
pub fn newest(folder: &Path) -> Result<BTreeMap<String, Record>, Box<dyn Error>> {
    let mut newest = BTreeMap::<String, Record>::new();
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let wrong = |error: &dyn Error| format!("{} is not a record: {error}", path.display());
        let text = std::fs::read(&path).map_err(|error| wrong(&error))?;
        let record: Record = serde_json::from_slice(&text).map_err(|error| wrong(&error))?;
        let name = format!("{}-{}.json", record.date, record.suite);
        if path.file_name().is_none_or(|found| found != name.as_str()) {
            return Err(format!("{} says that it is {name}: name it so", path.display()).into());
        }
        if newest.get(&record.suite).is_none_or(|kept| kept.date < record.date) {
            newest.insert(record.suite.clone(), record);
        }
    }
    Ok(newest)
}

/// Writes one file per suite of `rows`; says where. A file of the same day and suite is replaced.
pub fn write(rows: &[Row], commit: Option<&str>) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    write_into(Path::new(FOLDER), rows, &today(), &commit.map_or_else(head, str::to_owned))
}

fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

fn write_into(folder: &Path, rows: &[Row], date: &str, commit: &str) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let mut suites: Vec<&str> = rows.iter().map(|row| row.suite.as_str()).collect();
    suites.dedup();
    let mut written = Vec::new();
    for suite in suites {
        let record = Record {
            suite: suite.to_owned(),
            date: date.to_owned(),
            commit: commit.to_owned(),
            machine: machine::machine(),
            instructions: machine::instructions(),
            compiled_for: machine::compiled_for().to_owned(),
            rows: rows.iter().filter(|row| row.suite == suite).cloned().collect(),
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
    fn the_newest_of_each_suite_is_found_again() {
        let nobody = || Peer { name: String::new(), version: String::new(), values: Vec::new(), cpu_ns: Vec::new() };
        let row = |suite, ours: f64| Row::new(suite, "case", "metric", &[ours], &[], nobody(), false);
        let folder = tempfile::tempdir().unwrap();
        for (date, ours) in [("2026-11-30", 2.0), ("2026-12-01", 3.0), ("2026-11-21", 1.0)] {
            write_into(folder.path(), &[row("extract", ours)], date, "abc").unwrap();
        }
        write_into(folder.path(), &[row("log", 9.0)], "2026-11-01", "abc").unwrap();
        let found = newest(folder.path()).unwrap();
        let ours: Vec<_> = found.iter().map(|(suite, record)| (suite.as_str(), record.rows[0].ours)).collect();
        assert_eq!(ours, [("extract", 3.0), ("log", 9.0)]);
        std::fs::write(folder.path().join("2027-01-01-log.json"), "{}").unwrap();
        let error = newest(folder.path()).unwrap_err().to_string();
        assert!(error.contains("2027-01-01-log.json is not a record"), "{error}");
        std::fs::rename(folder.path().join("2026-11-01-log.json"), folder.path().join("2027-01-01-log.json")).unwrap();
        let error = newest(folder.path()).unwrap_err().to_string();
        assert!(error.contains("says that it is 2026-11-01-log.json"), "{error}");
    }

    #[test]
    fn days_are_written_as_in_iso_8601() {
        let today = today();
        assert!(today.len() == 10 && today.as_bytes()[4] == b'-' && today.as_bytes()[7] == b'-', "{today}");
    }
}
