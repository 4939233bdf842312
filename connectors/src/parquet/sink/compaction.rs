//! Compaction at work: commits that are small and many become one, on the endpoint's own thread between two deliveries.
//!
//! What always holds: what is put together is there under its name before anything is removed. Where there are manifests, one that covers
//! all takes the place of the others in one step, in a Delta table one version does, and what was replaced stays for a while for those
//! who are reading it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use tokio::time::Instant;

use crate::parquet::commit::{Committed, Writing};
use crate::parquet::compact::{Group, Merge, Rule, found};
use crate::parquet::delta::{Delta, DeltaError};
use crate::parquet::file::FileError;
use crate::parquet::manifest::{self, Manifest};
use crate::parquet::names::{Found, Name, Part};
use crate::parquet::open_file::{CommittedFile, OpenFile};

/// Rows that are read at a time.
const READ_ROWS: usize = 8192;

/// See the module.
pub struct Compaction {
    rule: Rule,
    keep: Duration,
    groups: BTreeMap<u32, Vec<Group>>,
    /// What is to be removed, and when.
    leaving: VecDeque<(Instant, Vec<String>)>,
}

impl Compaction {
    /// Of a folder that has these files.
    pub fn new(rule: Rule, keep: Duration, files: &[Found]) -> Self {
        let mut groups: BTreeMap<u32, Vec<Group>> = BTreeMap::new();
        if rule.commits > 0 {
            for group in Group::of(files) {
                groups.entry(group.name.partition).or_default().push(group);
            }
        }
        Self { rule, keep, groups, leaving: VecDeque::new() }
    }

    /// A commit is kept.
    pub fn add(&mut self, committed: &Committed) {
        if self.rule.commits > 0 {
            let files = committed.files.iter().filter_map(|file| found(&file.path, file.bytes)).collect();
            let group = Group { name: committed.name, files, is_barrier: false };
            self.groups.entry(committed.name.partition).or_default().push(group);
        }
    }

    /// Puts commits of a partition together while some should be, and removes what has been kept long enough.
    pub async fn work(
        &mut self,
        writing: Writing<'_>,
        mut delta: Option<&mut Delta>,
        partition: u32,
    ) -> Result<(), DeltaError> {
        while let Some((groups, range)) =
            self.groups.get(&partition).and_then(|groups| Some((groups, self.rule.pick(groups)?)))
        {
            let replaced = groups[range.clone()].to_vec();
            let merged = merge(writing, delta.as_deref_mut(), &replaced).await?;
            let groups = self.groups.entry(partition).or_default();
            match merged {
                Some(merged) => {
                    groups.splice(range, [merged.group]);
                    self.leaving.push_back((Instant::now() + self.keep, merged.replaced));
                }
                // Not again at every commit: its neighbours go together without it.
                None => groups[range.start].is_barrier = true,
            }
        }
        self.remove(writing, Instant::now()).await.map_err(DeltaError::from)
    }

    /// Removes what was to leave before `now`.
    async fn remove(&mut self, writing: Writing<'_>, now: Instant) -> Result<(), FileError> {
        while let Some((_, paths)) = self.leaving.front().filter(|(due, _)| *due <= now) {
            for path in paths {
                writing.again.run(async || writing.store.remove(path).await).await?;
            }
            self.leaving.pop_front();
        }
        Ok(())
    }
}

struct Merged {
    group: Group,
    /// Manifests and files, in the order in which they can go.
    replaced: Vec<String>,
}

/// Makes one commit of several; `None` if their columns differ, or one of their files is gone.
async fn merge(
    writing: Writing<'_>,
    delta: Option<&mut Delta>,
    groups: &[Group],
) -> Result<Option<Merged>, DeltaError> {
    let (Some(first), Some(last)) = (groups.first(), groups.last()) else { return Ok(None) };
    let name = Name { last: last.name.last, ..first.name };
    let merge = Merge::of(groups);
    let mut sealed = Vec::with_capacity(merge.folders.len());
    for (number, (folder, files)) in merge.folders.iter().enumerate() {
        let Some(file) = merge_files(writing, name, number, folder, files).await? else { return Ok(None) };
        sealed.push(file);
    }
    let mut written: Vec<CommittedFile> = Vec::with_capacity(sealed.len());
    for file in sealed {
        written.push(file.publish(writing.again).await?);
    }
    let mut replaced = Vec::new();
    if writing.config.manifest {
        let old: Vec<Name> = groups.iter().map(|group| group.name).collect();
        let stay: Vec<&str> = merge.stay.iter().map(|file| file.entry.path.as_str()).collect();
        Manifest::merge(writing.store, writing.again, name, &old, &stay, &written).await?;
        replaced.extend(old.into_iter().map(manifest::path));
    }
    let gone: Vec<String> =
        merge.folders.iter().flat_map(|(_, files)| files).map(|file| file.entry.path.clone()).collect();
    if let Some(delta) = delta {
        delta.replace(writing.store, writing.again, &written, &gone).await?;
    }
    replaced.extend(gone);
    let mut files = merge.stay;
    files.extend(written.iter().filter_map(|file| found(&file.path, file.bytes)));
    tracing::debug!(endpoint = writing.endpoint, commit = %name, commits = groups.len(), "commits put together");
    Ok(Some(Merged { group: Group { name, files, is_barrier: false }, replaced }))
}

/// Writes the rows of files of one folder into one.
async fn merge_files(
    writing: Writing<'_>,
    name: Name,
    number: usize,
    folder: &str,
    files: &[Found],
) -> Result<Option<crate::parquet::open_file::SealedFile>, FileError> {
    let name = Name { part: Part::Compacted, ..name };
    let path = if folder.is_empty() { name.to_string() } else { format!("{folder}/{name}") };
    let mut open: Option<(OpenFile, arrow_schema::SchemaRef)> = None;
    for file in files {
        let from = &file.entry.path;
        let error = |error: ParquetError| FileError::Read { path: from.into(), error };
        let Some(content) = writing.again.run(async || writing.store.read(from).await).await? else {
            tracing::warn!(
                endpoint = writing.endpoint,
                file = from,
                "a file is gone; it was not removed by this endpoint"
            );
            return Ok(None);
        };
        let reader = ParquetRecordBatchReaderBuilder::try_new(content).map_err(error)?;
        let schema = reader.schema().clone();
        let (open, kept) = match &mut open {
            Some((open, kept)) => (open, kept),
            none => {
                let mut metadata = writing.metadata(name.partition);
                let of_file = reader.metadata().file_metadata().key_value_metadata();
                metadata.extend(of_file.into_iter().flatten().filter(|pair| is_carried(&pair.key)).cloned());
                let stem = format!("{}-c{number}", name.to_string().trim_end_matches(".parquet"));
                let (open, schema) = none.insert((OpenFile::begin(writing, stem, metadata), schema.clone()));
                (open, schema)
            }
        };
        if kept.fields() != schema.fields() {
            return Ok(None);
        }
        for rows in reader.with_batch_size(READ_ROWS).build().map_err(error)? {
            let rows = rows.map_err(|failed| error(failed.into()))?;
            // The same columns, though each file has its own copy of what is said of them.
            let rows = rows.with_schema(kept.clone()).map_err(|failed| error(failed.into()))?;
            open.write(writing, rows).await?;
        }
    }
    match open {
        Some((open, _)) => open.seal(writing, name, path).await.map(Some),
        None => Ok(None),
    }
}

/// What a footer says of the columns holds for the new file too; what it says of rows and offsets is said anew.
fn is_carried(key: &str) -> bool {
    let own = ["endpoint", "partition", "first_offset", "last_offset", "covers_from", "covers_to", "rows"];
    key != "ARROW:schema" && !own.iter().any(|own| key.strip_prefix("anabranch.") == Some(*own))
}
