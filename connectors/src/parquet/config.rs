//! Settings of an endpoint of type `parquet`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
    pub dir: PathBuf,
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
fn memory_bytes_max() -> u64 {
    256 * 1024 * 1024
}

impl ParquetConfig {
    /// Defaults for a folder.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            columns: None,
            learn_events: learn_events(),
            rows_max: rows_max(),
            bytes_max: bytes_max(),
            age_ms_max: age_ms_max(),
            compression: Compression::default(),
            memory_bytes_max: memory_bytes_max(),
        }
    }

    /// All that is wrong with the values, without opening anything.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut problem = |field, message: String, help: &str| {
            found.push(Problem { field, message, help: help.to_owned() });
        };
        if self.dir.as_os_str().is_empty() {
            problem("dir", "`dir` is empty".to_owned(), "name a folder for the files");
        }
        for (field, value, least) in [
            ("learn_events", self.learn_events as u64, 1),
            ("rows_max", self.rows_max, 1),
            ("bytes_max", self.bytes_max, 64 * 1024),
            ("age_ms_max", self.age_ms_max, 10),
            ("memory_bytes_max", self.memory_bytes_max, 1024 * 1024),
        ] {
            if value < least {
                problem(field, format!("`{field}` is {value}"), &format!("use a number from {least}"));
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
