//! A Delta Lake table over the files: every commit, and every compaction, is one more version of `_delta_log`.
//!
//! What always holds: a version is written only if nobody else wrote it; a commit of the endpoint is in the log once, for its offsets stand
//! in a `txn` action beside its files; files that are put together replace others in one version that changes no data. Protocol
//! version 1 for readers and 2 for writers: what every engine knows. Every [`EVERY`] versions there is a checkpoint of all before.

mod actions;
mod checkpoint;
mod rows;
mod schema;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use arrow_schema::{DataType, Schema};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use parquet::arrow::parquet_to_arrow_schema;
use serde_json::Value;

use super::commit::Committed;
use super::file::FileError;
use super::manifest::read_footer_patiently;
use super::names::{Found, Lake, Name, Part};
use super::open_file::CommittedFile;
use super::store::{Again, Entry, Store, StoreError};
use actions::Action;
use checkpoint::{BYTES_MAX, CheckpointError, EVERY};
use schema::TableSchema;
pub use schema::unfit;

/// Folder of the log.
const FOLDER: &str = "_delta_log";
/// Versions that are read at a time.
const READS_MAX: usize = 16;

/// The table cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// The store, or a file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The log is not understood.
    #[error("{path} is no version of a Delta table that is understood here ({reason})")]
    Malformed {
        /// The version.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A column that Delta has no words for.
    #[error(
        "the column `{column}` cannot be in a Delta table: {reason}; declare it otherwise with `columns`, for a new folder"
    )]
    Column {
        /// Its name.
        column: String,
        /// What is wrong.
        reason: String,
    },
    /// Somebody else changed the table in a way that does not go with ours.
    #[error("somebody else has changed the Delta table in {path} ({what}); the endpoint needs a folder of its own")]
    Changed {
        /// The version.
        path: String,
        /// How.
        what: String,
    },
}

impl From<StoreError> for DeltaError {
    fn from(error: StoreError) -> Self {
        Self::File(error.into())
    }
}

/// See the module.
#[derive(Debug)]
pub struct Delta {
    endpoint: String,
    /// Columns of the table that are folders, and their types.
    folders: Vec<(String, DataType)>,
    /// The next version.
    next: u64,
    /// The version of the last checkpoint.
    checkpoint: Option<u64>,
    /// The id and columns of the table, once it has some.
    table: Option<(String, TableSchema)>,
    /// Offset behind what is in the log, per partition.
    published: BTreeMap<u32, u64>,
    /// Paths of files in the table.
    live: BTreeSet<String>,
}

fn path(version: u64) -> String {
    format!("{FOLDER}/{version:020}.json")
}

fn version(path: &str) -> Option<u64> {
    let digits = path.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".json")?;
    number(digits)
}

/// A version in a name: of twenty digits, and no more than Delta's own type holds.
fn number(digits: &str) -> Option<u64> {
    let version = digits.parse().ok().filter(|_| digits.len() == 20)?;
    (version < i64::MAX as u64).then_some(version)
}

impl Delta {
    /// Reads the log of a folder that has these files.
    pub async fn open(endpoint: &str, store: &dyn Store, again: &Again, entries: &[Entry]) -> Result<Self, DeltaError> {
        let (mut delta, unread) = Self::from_checkpoint(endpoint, store, again, entries).await?;
        let mut versions: Vec<u64> = entries.iter().filter_map(|entry| version(&entry.path)).collect();
        versions.retain(|version| *version >= delta.next);
        versions.sort_unstable();
        if let Some(first) = versions.first().filter(|first| **first != delta.next) {
            let mut reason = "versions before it are gone; only a log that is whole is gone on with".to_owned();
            if let Some((version, wrong)) = unread {
                let path = checkpoint::path(version);
                reason += &format!(", or from a checkpoint, and {path} is none that is understood here: {wrong}");
            }
            return Err(DeltaError::Malformed { path: path(*first), reason });
        }
        let read = |version: u64| async move {
            let path = path(version);
            let content = again.run(async || store.read(&path).await).await?;
            Ok::<_, StoreError>((version, content.unwrap_or_default()))
        };
        let mut reads = futures_util::stream::iter(versions).map(read).buffered(READS_MAX);
        while let Some((version, content)) = reads.try_next().await? {
            delta.apply(version, &content)?;
        }
        drop(reads);
        match unread.filter(|(version, _)| *version >= delta.next) {
            // To go on from before it would be another history of the table.
            Some((version, reason)) => {
                let reason = format!("{reason}; and the versions up to it are gone");
                Err(DeltaError::Malformed { path: checkpoint::path(version), reason })
            }
            None => Ok(delta),
        }
    }

    /// What the last checkpoint says that can be read, or nothing; and the last one that cannot, with what is wrong.
    async fn from_checkpoint(
        endpoint: &str,
        store: &dyn Store,
        again: &Again,
        entries: &[Entry],
    ) -> Result<(Self, Option<(u64, String)>), DeltaError> {
        let mut checkpoints: Vec<(u64, &Entry)> =
            entries.iter().filter_map(|entry| Some((checkpoint::version(&entry.path)?, entry))).collect();
        checkpoints.sort_unstable();
        let mut unread = None;
        for (version, Entry { path, bytes }) in checkpoints.into_iter().rev() {
            let mut delta = Self::empty(endpoint);
            let read = match *bytes > BYTES_MAX {
                true => Err(CheckpointError::TooLarge.to_string()),
                false => {
                    let content = again.run(async || store.read(path).await).await?.unwrap_or_default();
                    checkpoint::read(content, |action| delta.act(&action))
                }
            };
            let reason = match read {
                Ok(()) if delta.table.is_some() => {
                    (delta.next, delta.checkpoint) = (version + 1, Some(version));
                    return Ok((delta, unread));
                }
                Ok(()) => "it says nothing of the table".to_owned(),
                Err(reason) => reason,
            };
            tracing::warn!(
                endpoint,
                path,
                reason = reason.as_str(),
                "a checkpoint of the Delta table is not understood; an older one is looked for"
            );
            unread.get_or_insert((version, reason));
        }
        Ok((Self::empty(endpoint), unread))
    }

    fn empty(endpoint: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            folders: Vec::new(),
            next: 0,
            checkpoint: None,
            table: None,
            published: BTreeMap::new(),
            live: BTreeSet::new(),
        }
    }

    /// Rows are told apart by these folders.
    pub fn tell_apart(&mut self, folders: Vec<(String, DataType)>) {
        self.folders = folders;
    }

    /// Whether files with these columns can be in the table.
    pub fn check(&self, columns: &Schema) -> Result<(), DeltaError> {
        let mut schema = self.table.as_ref().map(|(_, schema)| schema.clone()).unwrap_or_default();
        schema.add(columns).map_err(|(column, reason)| DeltaError::Column { column, reason })
    }

    /// Goes on to a version that is there; says whether it is one of ours or changes nothing that we rely on.
    fn apply(&mut self, version: u64, content: &[u8]) -> Result<(), DeltaError> {
        if version != self.next {
            let reason = format!("version {} is not there", self.next);
            return Err(DeltaError::Malformed { path: path(version), reason });
        }
        for line in content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let malformed = |reason: String| DeltaError::Malformed { path: path(version), reason };
            let line = serde_json::from_slice(line).map_err(|error| malformed(error.to_string()))?;
            self.act(&line).map_err(malformed)?;
        }
        self.next += 1;
        Ok(())
    }

    /// Takes note of an action.
    fn act(&mut self, action: &Value) -> Result<(), String> {
        match Action::read(action)? {
            Action::Table { id, schema } => self.table = Some((id, TableSchema::read(&schema)?)),
            Action::Progress { app, offset } => {
                let partition = app.strip_prefix(&self.app_prefix()).and_then(|digits| digits.parse().ok());
                if let Some(partition) = partition {
                    self.published.insert(partition, offset.saturating_add(1));
                }
            }
            Action::Add { path } => {
                self.live.insert(path);
            }
            Action::Remove { path } => {
                self.live.remove(&path);
            }
            Action::Other => {}
        }
        Ok(())
    }

    /// Writes a checkpoint if it is time for one. That it fails costs those who read the table some time and nothing else: it is said,
    /// and tried again with the next version.
    pub async fn checkpoint(&mut self, store: &dyn Store) {
        let Some(last) = self.next.checked_sub(1).filter(|last| *last >= self.checkpoint.unwrap_or(0) + EVERY) else {
            return;
        };
        let now_ms = jiff::Timestamp::now().as_millisecond();
        match checkpoint::write(store, last, self.checkpoint, now_ms).await {
            Ok(()) => self.checkpoint = Some(last),
            Err(error) => {
                let (endpoint, version, error) = (&self.endpoint, last, error.to_string());
                tracing::warn!(
                    endpoint,
                    version,
                    error,
                    "there is no checkpoint of the Delta table; it is tried again with the next version"
                );
            }
        }
    }

    /// Paths of the files in the table.
    #[cfg(test)]
    pub fn live(&self) -> impl Iterator<Item = &String> {
        self.live.iter()
    }

    fn app_prefix(&self) -> String {
        format!("anabranch/{}/", self.endpoint)
    }

    /// Makes the table say what the files say, after a crash between the two, and for files from before there was a table.
    pub async fn adopt(&mut self, store: &dyn Store, again: &Again, lake: &Lake) -> Result<(), DeltaError> {
        let replaces = |compacted: &Found, path: &str| {
            let (folder, name) = super::names::split(path);
            folder == compacted.folder() && Name::parse(name).is_some_and(|name| compacted.name.contains(&name))
        };
        let (mut added, mut removed) = (Vec::new(), BTreeSet::new());
        for file in lake.files.iter().filter(|file| !self.live.contains(&file.entry.path)) {
            let is_new = file.name.last >= self.published.get(&file.name.partition).copied().unwrap_or(0);
            let old: Vec<&String> = match file.name.part {
                Part::Compacted => self.live.iter().filter(|path| replaces(file, path)).collect(),
                Part::Whole | Part::Of { .. } => Vec::new(),
            };
            // A file that somebody took out of the table stays out.
            if is_new || !old.is_empty() {
                removed.extend(old.into_iter().cloned());
                added.push(file);
            }
        }
        let mut files = Vec::with_capacity(added.len());
        let mut ends: BTreeMap<u32, u64> = BTreeMap::new();
        for file in added {
            let footer = read_footer_patiently(store, again, &file.entry).await?;
            files.push(CommittedFile { path: file.entry.path.clone(), bytes: file.entry.bytes, footer });
            let end = ends.entry(file.name.partition).or_default();
            *end = (*end).max(file.name.last);
        }
        let removed: Vec<String> = removed.into_iter().collect();
        self.write(store, again, &files, &removed, &ends, true).await
    }

    /// One more version with these commits.
    pub async fn publish(&mut self, store: &dyn Store, again: &Again, kept: &[Committed]) -> Result<(), DeltaError> {
        let files: Vec<CommittedFile> = kept.iter().flat_map(|committed| committed.files.iter().cloned()).collect();
        let ends = kept.iter().map(|committed| (committed.name.partition, committed.name.last)).collect();
        self.write(store, again, &files, &[], &ends, true).await
    }

    /// One more version in which files take the place of others with the same rows.
    pub async fn replace(
        &mut self,
        store: &dyn Store,
        again: &Again,
        added: &[CommittedFile],
        removed: &[String],
    ) -> Result<(), DeltaError> {
        self.write(store, again, added, removed, &BTreeMap::new(), false).await
    }

    async fn write(
        &mut self,
        store: &dyn Store,
        again: &Again,
        added: &[CommittedFile],
        removed: &[String],
        ends: &BTreeMap<u32, u64>,
        is_data_change: bool,
    ) -> Result<(), DeltaError> {
        if added.is_empty() && removed.is_empty() {
            return Ok(());
        }
        loop {
            let content = self.version_with(added, removed, ends, is_data_change)?;
            let path = path(self.next);
            let is_ours = again.run(async || store.write_new(&path, content.clone()).await).await?;
            let there = match is_ours {
                true => content.clone(),
                false => again.run(async || store.read(&path).await).await?.unwrap_or_default(),
            };
            let (table, published) = (self.table.clone(), self.published.clone());
            self.apply(self.next, &there)?;
            // Also where an earlier attempt succeeded without our hearing of it.
            if there == content {
                return Ok(());
            }
            let changed = |what: &str| DeltaError::Changed { path: path.clone(), what: what.to_owned() };
            if self.published != published {
                return Err(changed("commits of an endpoint of the same name"));
            }
            if table.is_some() && self.table != table {
                return Err(changed("other columns"));
            }
        }
    }

    /// The lines of the next version.
    fn version_with(
        &self,
        added: &[CommittedFile],
        removed: &[String],
        ends: &BTreeMap<u32, u64>,
        is_data_change: bool,
    ) -> Result<Bytes, DeltaError> {
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let mut lines = vec![actions::commit_info(now_ms, is_data_change)];
        if self.table.is_none() {
            lines.push(actions::protocol());
        }
        let mut schema = self.table.as_ref().map(|(_, schema)| schema.clone()).unwrap_or_default();
        for file in added {
            let metadata = file.footer.file_metadata();
            let columns = parquet_to_arrow_schema(metadata.schema_descr(), metadata.key_value_metadata());
            let columns = columns.map_err(|error| FileError::Read { path: file.path.clone().into(), error })?;
            schema.add(&columns).map_err(|(column, reason)| DeltaError::Column { column, reason })?;
        }
        schema.add_folders(&self.folders);
        let partition_by: Vec<&str> = self.folders.iter().map(|(name, _)| name.as_str()).collect();
        let id = match &self.table {
            Some((id, before)) => (*before != schema).then(|| id.clone()),
            None => Some(actions::new_id()),
        };
        if let Some(id) = id {
            lines.push(actions::table(&id, &schema.text(), &partition_by, now_ms));
        }
        let is_progress =
            |(partition, last): &(&u32, &u64)| self.published.get(*partition).is_none_or(|next| next <= *last);
        for (partition, last) in ends.iter().filter(is_progress) {
            lines.push(actions::progress(&format!("{}{partition}", self.app_prefix()), *last, now_ms));
        }
        lines.extend(removed.iter().map(|path| actions::remove(path, now_ms, is_data_change)));
        lines.extend(added.iter().map(|file| actions::add(file, &partition_by, now_ms, is_data_change)));
        let mut text = String::new();
        for line in lines {
            text += &line.to_string();
            text.push('\n');
        }
        Ok(text.into())
    }
}
