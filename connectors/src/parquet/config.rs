//! Settings of an endpoint of type `parquet`.

mod store;

use std::path::{Path, PathBuf};

use arrow_schema::DataType;
use serde::{Deserialize, Serialize};

use super::declared::{self, ColumnConfig, Nested, OnMismatch};
use super::layout::Layout;
use super::{delta, learn};
pub use store::StoreConfig;

use super::compact::Rule;
use super::store::Place;
use crate::config::Problem;
use crate::webhook::{Full, dead_letter};

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
    /// Whether later files get columns for what has none. Default: yes where the columns are learnt, no where they are configured.
    #[serde(default)]
    pub evolve: Option<bool>,
    /// Most columns that are learnt; what comes after them goes to `_rest`.
    #[serde(default = "columns_max")]
    pub columns_max: usize,
    /// Nested members: `flatten` (columns whose names have dots) or `struct`.
    #[serde(default)]
    pub nested: Nested,
    /// What becomes of values that do not fit their configured column: `null`, or `dead_letter` for the whole event.
    #[serde(default)]
    pub on_mismatch: OnMismatch,
    /// Path of the dead letter file, or `"drop"` to keep none. Default: `DATA/dead-letters/ENDPOINT.ndjson`.
    #[serde(default)]
    pub dead_letter: Option<String>,
    /// Largest size of the dead letter file in bytes.
    #[serde(default = "dead_letter_bytes_max")]
    pub dead_letter_bytes_max: u64,
    /// At that size: `hold` (the endpoint stops, nothing is lost) or `drop` (counted).
    #[serde(default)]
    pub dead_letter_full: Full,
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
    /// Columns by which the rows of a row group are sorted.
    #[serde(default)]
    pub sort_by: Vec<String>,
    /// Columns with a Bloom filter in every row group.
    #[serde(default)]
    pub bloom: Vec<String>,
    /// Bytes of a row group, which are in memory until it is full.
    #[serde(default = "row_group_bytes_max")]
    pub row_group_bytes_max: usize,
    /// Most files that are open at a time; at the bound the commit with the most of them is finished.
    #[serde(default = "open_files_max")]
    pub open_files_max: usize,
    /// Write a manifest for each commit, which makes its files one thing to read.
    #[serde(default)]
    pub manifest: bool,
    /// Keep a Delta Lake table of the files.
    #[serde(default)]
    pub delta: bool,
    /// Neighbouring small commits that become one. Default: 8 with manifests or a Delta table, otherwise none do.
    #[serde(default)]
    pub compact_commits: Option<usize>,
    /// A commit is small while its files have fewer bytes than this, on average.
    #[serde(default = "compact_bytes_max")]
    pub compact_bytes_max: u64,
    /// How long files that were compacted stay for those who are reading them, in milliseconds.
    #[serde(default = "compact_keep_ms")]
    pub compact_keep_ms: u64,
    /// `snappy`, `lz4`, `zstd` or `none`.
    #[serde(default)]
    pub compression: Compression,
    /// 1 (fast) to 22 (small), of `zstd`.
    #[serde(default = "zstd_level")]
    pub zstd_level: i32,
    /// Memory of all open files together, in bytes; at the bound the largest writes out what it holds, as a row group.
    #[serde(default = "memory_bytes_max")]
    pub memory_bytes_max: u64,
}

/// Commits that become one, where nothing else is said and readers cannot see them twice.
const COMPACT_COMMITS: usize = 8;

fn learn_events() -> usize {
    1000
}
fn columns_max() -> usize {
    learn::COLUMNS_MAX
}
fn dead_letter_bytes_max() -> u64 {
    1 << 30
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
fn row_group_bytes_max() -> usize {
    32 * 1024 * 1024
}
fn compact_bytes_max() -> u64 {
    16 * 1024 * 1024
}
fn compact_keep_ms() -> u64 {
    600_000
}
fn zstd_level() -> i32 {
    1
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
            evolve: None,
            columns_max: columns_max(),
            nested: Nested::default(),
            on_mismatch: OnMismatch::default(),
            dead_letter: None,
            dead_letter_bytes_max: dead_letter_bytes_max(),
            dead_letter_full: Full::default(),
            rows_max: rows_max(),
            bytes_max: bytes_max(),
            age_ms_max: age_ms_max(),
            partition_by: Vec::new(),
            sort_by: Vec::new(),
            bloom: Vec::new(),
            row_group_bytes_max: row_group_bytes_max(),
            open_files_max: open_files_max(),
            manifest: false,
            delta: false,
            compact_commits: None,
            compact_bytes_max: compact_bytes_max(),
            compact_keep_ms: compact_keep_ms(),
            compression: Compression::default(),
            zstd_level: zstd_level(),
            memory_bytes_max: memory_bytes_max(),
        }
    }

    /// When commits become one.
    pub fn compaction(&self) -> Rule {
        let commits = self.compact_commits.unwrap_or(if self.manifest || self.delta { COMPACT_COMMITS } else { 0 });
        Rule { commits, small_bytes: self.compact_bytes_max }
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
            ("columns_max", self.columns_max as u64, 1),
            ("dead_letter_bytes_max", self.dead_letter_bytes_max, 1024 * 1024),
            ("rows_max", self.rows_max, 1),
            ("bytes_max", self.bytes_max, 64 * 1024),
            ("age_ms_max", self.age_ms_max, 10),
            ("memory_bytes_max", self.memory_bytes_max, 1024 * 1024),
            ("open_files_max", self.open_files_max as u64, 1),
            ("row_group_bytes_max", self.row_group_bytes_max as u64, 64 * 1024),
        ] {
            if value < least {
                problem(field, format!("`{field}` is {value}"), &format!("use a number from {least}"));
            }
        }
        if self.columns_max > declared::COLUMNS_MAX {
            problem(
                "columns_max",
                format!("`columns_max` is {}", self.columns_max),
                &format!("use a number up to {}", declared::COLUMNS_MAX),
            );
        }
        if self.dead_letter.as_deref().is_some_and(|path| path.trim().is_empty()) {
            problem(
                "dead_letter",
                "the path is empty".to_owned(),
                "name a file, write \"drop\" to keep no dead letters, or remove the key for the default file",
            );
        }
        if self.compact_commits.is_some_and(|commits| commits == 1 || commits > 1000) {
            let message = format!("`compact_commits` is {}", self.compact_commits.unwrap_or(0));
            problem("compact_commits", message, "use 0 for never, or a number from 2 to 1000");
        }
        if !(1..=22).contains(&self.zstd_level) {
            problem("zstd_level", format!("`zstd_level` is {}", self.zstd_level), "use a number from 1 to 22");
        }
        for (field, names) in [("sort_by", &self.sort_by), ("bloom", &self.bloom)] {
            for (at, name) in names.iter().enumerate() {
                if name.is_empty() || names[..at].contains(name) {
                    let message = format!("`{name}` is no column, or is there twice");
                    problem(field, message, "name each column once");
                } else if self.partition_by.contains(name) {
                    let message = format!("`{name}` is in the names of folders and in no file");
                    problem(field, message, "leave it out: all rows of a file have the same value");
                }
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
        self.columns_out_of_place(&mut problem);
        match &self.columns {
            Some(columns) => declared::problems(columns, self.nested, self.on_mismatch, &mut found),
            None if self.on_mismatch == OnMismatch::DeadLetter => problem(
                "on_mismatch",
                "learnt columns have no mismatches: what they do not take goes to `_rest`".to_owned(),
                "declare `columns`, or remove `on_mismatch`",
            ),
            None => {}
        }
        found
    }

    /// Declared columns that folders cannot be made of, or that a Delta table cannot have.
    fn columns_out_of_place(&self, problem: &mut impl FnMut(&'static str, String, &str)) {
        for column in self.columns.iter().flatten() {
            let (name, kind) = (&column.name, column.r#type.arrow());
            if self.partition_by.contains(name) && !Layout::makes_folders(&kind) {
                let message = format!("no folders are made of `{name}`, which is {}", column.r#type);
                problem("partition_by", message, "declare it as string, int64 or bool, or leave it out");
            }
            if let Some(reason) = delta::unfit(name, &kind).filter(|_| self.delta) {
                let message = format!("the column `{name}` cannot be in a Delta table: {reason}");
                problem("columns", message, "declare it otherwise, or remove `delta = true`");
            }
        }
        let is_declared = |name: &String| self.columns.iter().flatten().any(|column| column.name == *name);
        for name in self.partition_by.iter().filter(|name| self.delta && !is_declared(name)) {
            if let Some(reason) = delta::unfit(name, &DataType::Utf8) {
                let message = format!("a Delta table has no folders of `{name}`: {reason}");
                problem("partition_by", message, "leave it out, or remove `delta = true`");
            }
        }
    }

    /// Whether later files get columns for what has none.
    pub fn evolves(&self) -> bool {
        self.evolve.unwrap_or(self.columns.is_none())
    }

    /// Whether events can become dead letters.
    pub fn has_dead_letters(&self) -> bool {
        let columns = self.columns.as_deref().unwrap_or_default();
        columns.iter().any(|column| column.on_mismatch.unwrap_or(self.on_mismatch) == OnMismatch::DeadLetter)
    }

    /// With the file for dead letters of endpoint `name`, if none is configured.
    pub fn with_dead_letters(mut self, name: &str, data_dir: &Path) -> Self {
        self.dead_letter
            .get_or_insert_with(|| dead_letter::default_path(data_dir, name).to_string_lossy().into_owned());
        self
    }
}
