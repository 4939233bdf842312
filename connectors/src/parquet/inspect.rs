//! What is in a folder of Parquet files: which offsets, holes and overlaps, which columns since when, what the columns cost.

mod columns;
mod ranges;

use std::collections::BTreeMap;

use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;
use serde::Serialize;

use super::config::StoreConfig;
use super::manifest::{self, read_footer};
use super::names::{Found, Lake, Name, Part};
use super::store::{self, Again, Local, Place, Store, StoreError};

pub use columns::ColumnReport;
pub use ranges::{Overlap, PartitionReport, Range};

/// Footers that are read at a time.
const READS_MAX: usize = 16;

/// See the module.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Where.
    pub place: String,
    /// The files, in the order of partition and offsets.
    pub files: Vec<FileReport>,
    /// Rows of all files.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// The partitions of the log.
    pub partitions: Vec<PartitionReport>,
    /// The columns that files have had, oldest first.
    pub schemas: Vec<SchemaReport>,
    /// What each column costs, all files together.
    pub columns: Vec<ColumnReport>,
    /// Files of sets that are not whole: their rows come again.
    pub incomplete: Vec<String>,
    /// Files whose rows are in a compacted file, waiting to be removed.
    pub replaced: Vec<String>,
    /// What is being written, or was when it was cut short.
    pub temporary: Vec<String>,
    /// Manifests that are there.
    pub manifests: u64,
    /// Files that no manifest covers, if there are manifests.
    pub without_manifest: Vec<String>,
    /// Files that are damaged, with the reason.
    pub damaged: Vec<(String, String)>,
}

/// A file.
#[derive(Clone, Debug, Serialize)]
pub struct FileReport {
    /// Its path.
    pub path: String,
    /// Partition of the log.
    pub partition: u32,
    /// The first offset that it covers.
    pub first_offset: u64,
    /// The last one.
    pub last_offset: u64,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Its row groups.
    pub row_groups: usize,
    /// Which of the schemas, by its place in the list.
    pub schema: usize,
    /// It has the rows of several commits.
    pub is_compacted: bool,
}

/// Columns that files have.
#[derive(Clone, Debug, Serialize)]
pub struct SchemaReport {
    /// The first file with them.
    pub since: String,
    /// Files with them.
    pub files: u64,
    /// All columns with their types.
    pub columns: Vec<(String, String)>,
    /// Against the schema before: `+ name type`, `- name`, `name: type to type`.
    pub changes: Vec<String>,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The folder cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nothing of ours.
    #[error("{place} has no Parquet files of an endpoint; name the folder or URL that is configured as `dir` or `url`")]
    Empty {
        /// Where.
        place: String,
    },
    /// The runtime for requests.
    #[error("cannot start a runtime: {0}")]
    Runtime(std::io::Error),
}

/// Looks at a folder of the disk or of an object store; nothing is changed.
pub fn inspect_blocking(place: &Place, settings: &StoreConfig) -> Result<Report, InspectError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(InspectError::Runtime)?;
    runtime.block_on(async {
        let again = Again::new("inspect", Default::default());
        match place {
            Place::Dir(dir) => inspect(&Local::look(dir)).await,
            _ => inspect(&*store::open(place, settings, &again)?).await,
        }
    })
}

/// As [`inspect_blocking`], of a store that is open.
pub(super) async fn inspect(store: &dyn Store) -> Result<Report, InspectError> {
    use futures_util::StreamExt;
    let entries = store.list().await?;
    let manifests: Vec<Name> = entries.iter().filter_map(|entry| manifest::parse(&entry.path)).collect();
    let lake = Lake::of(entries);
    let paths = |files: &[Found]| files.iter().map(|file| file.entry.path.clone()).collect();
    let mut report = Report {
        place: store.shown(),
        incomplete: paths(&lake.incomplete),
        replaced: lake.replaced.clone(),
        temporary: lake.temporary.clone(),
        manifests: manifests.len() as u64,
        ..Report::default()
    };
    if lake.files.is_empty() && lake.incomplete.is_empty() {
        return Err(InspectError::Empty { place: report.place });
    }
    if !manifests.is_empty() {
        let is_bare = |file: &&Found| !manifests.iter().any(|manifest| manifest.contains(&file.name));
        report.without_manifest = lake.files.iter().filter(is_bare).map(|file| file.entry.path.clone()).collect();
    }
    report.partitions = ranges::partitions(&lake.files);
    let reads = lake.files.iter().map(async |file| (file, read_footer(store, &file.entry).await));
    let mut reads = futures_util::stream::iter(reads).buffered(READS_MAX);
    let mut columns = columns::Columns::default();
    let mut schemas = Schemas::default();
    while let Some((file, footer)) = reads.next().await {
        match footer {
            Ok(footer) => {
                columns.add(&footer);
                report.add(file, &footer, &mut schemas);
            }
            Err(error) => report.damaged.push((file.entry.path.clone(), error.to_string())),
        }
    }
    drop(reads);
    report.columns = columns.finish();
    report.schemas = schemas.list;
    for partition in &mut report.partitions {
        let of_it = report.files.iter().filter(|file| file.partition == partition.partition);
        partition.rows = of_it.map(|file| file.rows).sum();
    }
    Ok(report)
}

impl Report {
    fn add(&mut self, file: &Found, footer: &ParquetMetaData, schemas: &mut Schemas) {
        let rows = footer.file_metadata().num_rows().max(0) as u64;
        self.rows += rows;
        self.bytes += file.entry.bytes;
        self.files.push(FileReport {
            path: file.entry.path.clone(),
            partition: file.name.partition,
            first_offset: file.name.first,
            last_offset: file.name.last,
            rows,
            bytes: file.entry.bytes,
            row_groups: footer.num_row_groups(),
            schema: schemas.of(&file.entry.path, footer),
            is_compacted: file.name.part == Part::Compacted,
        });
    }
}

#[derive(Default)]
struct Schemas {
    list: Vec<SchemaReport>,
}

impl Schemas {
    /// Which of the schemas a file has.
    fn of(&mut self, path: &str, footer: &ParquetMetaData) -> usize {
        let metadata = footer.file_metadata();
        let arrow = parquet_to_arrow_schema(metadata.schema_descr(), metadata.key_value_metadata());
        let columns: Vec<(String, String)> = match arrow {
            Ok(schema) => {
                schema.fields().iter().map(|field| (field.name().clone(), field.data_type().to_string())).collect()
            }
            // Written by something that has more types than Arrow: by the names alone.
            Err(_) => {
                metadata.schema_descr().columns().iter().map(|column| (column.path().string(), String::new())).collect()
            }
        };
        if let Some(at) = self.list.iter().position(|schema| schema.columns == columns) {
            self.list[at].files += 1;
            return at;
        }
        let changes = self.list.last().map(|before| changes(&before.columns, &columns)).unwrap_or_default();
        self.list.push(SchemaReport { since: path.to_owned(), files: 1, columns, changes });
        self.list.len() - 1
    }
}

fn changes(before: &[(String, String)], now: &[(String, String)]) -> Vec<String> {
    let types = |of: &[(String, String)]| of.iter().cloned().collect::<BTreeMap<_, _>>();
    let (old, new) = (types(before), types(now));
    let mut changes = Vec::new();
    for (name, kind) in now {
        match old.get(name) {
            None => changes.push(format!("+ {name} {kind}")),
            Some(was) if was != kind => changes.push(format!("{name}: {was} to {kind}")),
            Some(_) => {}
        }
    }
    changes.extend(before.iter().filter(|(name, _)| !new.contains_key(name)).map(|(name, _)| format!("- {name}")));
    changes
}
