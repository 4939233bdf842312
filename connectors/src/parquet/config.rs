//! Settings of an endpoint of type `parquet`.

mod store;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use store::StoreConfig;

use super::store::Place;
use crate::config::Problem;

/// Compression of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Fast; what most readers expect.
    #[default]
    Snappy,
    /// As fast, a little smaller.
    Lz4,
    /// Smaller, slower.
    Zstd,
    /// As it is.
    None,
}

/// Type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// `true` or `false`.
    Bool,
    /// Whole numbers of 64 bits.
    Int64,
    /// Doubles.
    Float64,
    /// Text.
    String,
    /// Milliseconds since 1970 in UTC, from a whole number.
    TimestampMs,
}

/// A column of the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnConfig {
    /// Its name.
    pub name: String,
    /// Where its values are in the JSON data: member names with dots between, as in `loc.lat`. Default: the name.
    #[serde(default)]
    pub path: Option<String>,
    /// `bool`, `int64`, `float64`, `string` or `timestamp_ms`. Values of another type go to `_rest`.
    pub r#type: ColumnType,
}

/// The table `[endpoints.NAME]` with `type = "parquet"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParquetConfig {
    /// Folder of the files; of this endpoint alone.
    #[serde(default)]
    pub dir: PathBuf,
    /// Instead of `dir` a folder of an object store, as in `s3://bucket/lake` or `az://container/lake`.
    #[serde(default)]
    pub url: Option<String>,
    /// How the object store is reached.
    #[serde(default)]
    pub store: StoreConfig,
    /// The columns. Without them they are learnt from the first events.
    #[serde(default)]
    pub columns: Option<Vec<ColumnConfig>>,
    /// Events from which the columns are learnt.
    #[serde(default = "learn_events")]
    pub learn_events: usize,
    /// A file is finished once it has this many rows.
    #[serde(default = "rows_max")]
    pub rows_max: u64,
    /// A file is finished once it has this many bytes.
    #[serde(default = "bytes_max")]
    pub bytes_max: u64,
    /// A file is finished once its first row is this old, in milliseconds.
    #[serde(default = "age_ms_max")]
    pub age_ms_max: u64,
    /// Levels of folders: `date` and `hour` of the event's time in UTC, or columns by their values.
    #[serde(default)]
    pub partition_by: Vec<String>,
    /// Most files that are open at a time; at the bound the commit with the most of them is finished.
    #[serde(default = "open_files_max")]
    pub open_files_max: usize,
    /// Write a manifest for each commit, which makes its files one thing to read.
    #[serde(default)]
    pub manifest: bool,
    /// `snappy`, `lz4`, `zstd` or `none`.
    #[serde(default)]
    pub compression: Compression,
    /// Memory of all open files together, in bytes; at the bound the largest writes out what it holds, as a row group.
    #[serde(default = "memory_bytes_max")]
    pub memory_bytes_max: u64,
}

fn learn_events() -> usize {
    1000
}
fn rows_max() -> u64 {
    1_000_000
}
fn bytes_max() -> u64 {
    128 * 1024 * 1024
}
fn age_ms_max() -> u64 {
    60_000
}
fn open_files_max() -> usize {
    100
}
fn memory_bytes_max() -> u64 {
    256 * 1024 * 1024
}

impl ParquetConfig {
    /// Defaults for a folder.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            url: None,
            store: StoreConfig::default(),
            columns: None,
            learn_events: learn_events(),
            rows_max: rows_max(),
            bytes_max: bytes_max(),
            age_ms_max: age_ms_max(),
            partition_by: Vec::new(),
            open_files_max: open_files_max(),
            manifest: false,
            compression: Compression::default(),
            memory_bytes_max: memory_bytes_max(),
        }
    }

    /// Where the files are, or what is wrong with the URL.
    pub fn place(&self) -> Result<Place, String> {
        match &self.url {
            Some(url) => Place::of_url(url),
            None => Ok(Place::Dir(self.dir.clone())),
        }
    }

    /// Where the files are, in words.
    pub fn shown_url(&self) -> String {
        self.url.clone().unwrap_or_else(|| self.dir.display().to_string())
    }

    /// The folder, if it is one of the disk.
    pub fn local_dir(&self) -> Option<PathBuf> {
        match self.place() {
            Ok(Place::Dir(dir)) => Some(dir),
            _ => None,
        }
    }

    /// All that is wrong with the values, without opening anything.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut problem = |field, message: String, help: &str| {
            found.push(Problem { field, message, help: help.to_owned() });
        };
        match (self.dir == Path::new(""), &self.url) {
            (true, None) => problem(
                "dir",
                "there is neither `dir` nor `url`".to_owned(),
                "name a folder for the files with `dir`, or an object store with `url`",
            ),
            (false, Some(_)) => {
                problem("url", "there are both `dir` and `url`".to_owned(), "the files go to one place: leave one out")
            }
            (_, Some(url)) => {
                if let Err(reason) = Place::of_url(url) {
                    problem("url", format!("`{url}` is no store: {reason}"), "for instance s3://bucket/lake");
                }
            }
            (false, None) => {}
        }
        for (field, message, help) in self.store.problems() {
            problem(field, message, help);
        }
        for (field, value, least) in [
            ("learn_events", self.learn_events as u64, 1),
            ("rows_max", self.rows_max, 1),
            ("bytes_max", self.bytes_max, 64 * 1024),
            ("age_ms_max", self.age_ms_max, 10),
            ("memory_bytes_max", self.memory_bytes_max, 1024 * 1024),
            ("open_files_max", self.open_files_max as u64, 1),
        ] {
            if value < least {
                problem(field, format!("`{field}` is {value}"), &format!("use a number from {least}"));
            }
        }
        for (at, name) in self.partition_by.iter().enumerate() {
            if name.is_empty() || self.partition_by[..at].contains(name) {
                let message = format!("`{name}` is no level of folders, or is there twice");
                problem("partition_by", message, "use \"date\", \"hour\" and names of columns, each once");
            } else if name == "_partition" || name == "_offset" || name == "_time" || name == "_data" {
                let message = format!("no folders are made of `{name}`");
                problem("partition_by", message, "use \"date\", \"hour\" and names of columns with few values");
            }
        }
        let columns = self.columns.as_deref().unwrap_or_default();
        for (at, column) in columns.iter().enumerate() {
            if column.name.is_empty() || column.name.starts_with('_') {
                let message = format!("`{}` is no name for a column", column.name);
                problem("columns", message, "use a name that does not begin with `_`; those are the node's own");
            }
            if columns[..at].iter().any(|other| other.name == column.name) {
                problem(
                    "columns",
                    format!("there are two columns `{}`", column.name),
                    "give each column a name of its own",
                );
            }
            let path = column.path.as_deref().unwrap_or(&column.name);
            if path.split('.').any(str::is_empty) {
                problem(
                    "columns",
                    format!("`{path}` is no path"),
                    "write member names with dots between, as in loc.lat",
                );
            }
            let same = |other: &&ColumnConfig| other.path.as_deref().unwrap_or(&other.name) == path;
            if columns[..at].iter().any(|other| same(&other)) {
                problem("columns", format!("two columns read `{path}`"), "a value goes to one column");
            }
        }
        found
    }
}
