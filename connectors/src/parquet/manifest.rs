//! The manifest of a commit: a small JSON file, written last, that makes its files one thing to read.
//!
//! What always holds: a manifest names files that are there and whole, and is never changed. One whose range lies within that of another
//! of its partition is replaced by it. `_manifest/p00007-…first…-…last….json`.

mod start;

use std::collections::BTreeMap;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};
use serde::{Deserialize, Serialize};

use super::commit::Committed;
use super::file::FileError;
use super::folders;
use super::names::{Name, Part};
use super::open_file::CommittedFile;
use super::stats::{Bounds, bounds};
use super::store::{Again, Entry, Store, StoreError};

pub use start::{adopt, forget};

/// Folder of the manifests.
pub const FOLDER: &str = "_manifest";
/// Version of the format.
const VERSION: u32 = 1;

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// 1.
    pub version: u32,
    /// Partition of the log.
    pub partition: u32,
    /// The first offset that the commit covers. Those that are no rows did not match.
    pub first_offset: u64,
    /// The last one.
    pub last_offset: u64,
    /// Rows of all files.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// The files.
    pub files: Vec<ManifestFile>,
}

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Its path from the folder of the endpoint.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Version of its columns, where it says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<u32>,
    /// What its folders say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub partition_values: BTreeMap<String, Option<String>>,
    /// Bounds by column, nested ones with dots.
    pub columns: BTreeMap<String, Bounds>,
}

/// A value of a footer's own table.
pub fn footer_value<'f>(footer: &'f ParquetMetaData, key: &str) -> Option<&'f str> {
    let pairs = footer.file_metadata().key_value_metadata()?;
    pairs.iter().find(|pair| pair.key.strip_prefix("anabranch.") == Some(key))?.value.as_deref()
}

impl Manifest {
    /// What a commit's files say.
    pub fn of(name: Name, files: &[CommittedFile]) -> Self {
        let files: Vec<ManifestFile> = files.iter().map(ManifestFile::of).collect();
        Self {
            version: VERSION,
            partition: name.partition,
            first_offset: name.first,
            last_offset: name.last,
            rows: files.iter().map(|file| file.rows).sum(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            files,
        }
    }

    /// Reads one.
    pub async fn read(store: &dyn Store, again: &Again, name: Name) -> Result<Option<Self>, StoreError> {
        let path = path(name);
        let Some(content) = again.run(async || store.read(&path).await).await? else { return Ok(None) };
        let gone = |reason: String| StoreError::Gone { path: format!("{}/{path}", store.shown()), reason };
        let read: Self = serde_json::from_slice(&content).map_err(|error| gone(error.to_string()))?;
        if read.version != VERSION {
            return Err(gone(format!("version {} of manifests is not known here", read.version)));
        }
        Ok(Some(read))
    }

    /// Writes the manifest of a commit that takes the place of `old` ones: of their files those in `stay` are still read, the others'
    /// rows are in `written`.
    pub async fn merge(
        store: &dyn Store,
        again: &Again,
        name: Name,
        old: &[Name],
        stay: &[&str],
        written: &[CommittedFile],
    ) -> Result<(), StoreError> {
        let mut merged = Self::of(name, written);
        for old in old {
            if let Some(read) = Self::read(store, again, *old).await? {
                let stays = read.files.into_iter().filter(|file| stay.contains(&file.path.as_str()));
                merged.files.extend(stays);
            }
        }
        merged.files.sort_by(|one, other| one.path.cmp(&other.path));
        merged.rows = merged.files.iter().map(|file| file.rows).sum();
        merged.bytes = merged.files.iter().map(|file| file.bytes).sum();
        merged.write(store, again).await
    }

    /// What it covers.
    pub fn name(&self) -> Name {
        Name { partition: self.partition, first: self.first_offset, last: self.last_offset, part: Part::Whole }
    }

    /// Writes it unless it is there.
    pub async fn write(&self, store: &dyn Store, again: &Again) -> Result<(), StoreError> {
        let content = Bytes::from(serde_json::to_vec_pretty(self).expect("numbers and texts are always JSON"));
        let path = path(self.name());
        if again.run(async || store.write_new(&path, content.clone()).await).await? {
            return Ok(());
        }
        // An earlier attempt may have succeeded without our hearing of it.
        match again.run(async || store.read(&path).await).await? {
            Some(found) if found == content => Ok(()),
            _ => Err(StoreError::Exists { path: format!("{}/{path}", store.shown()) }),
        }
    }
}

impl ManifestFile {
    fn of(file: &CommittedFile) -> Self {
        let columns = bounds(&file.footer).into_iter().map(|(path, bounds)| (path.join("."), bounds));
        Self {
            path: file.path.clone(),
            rows: file.footer.file_metadata().num_rows().max(0) as u64,
            bytes: file.bytes,
            schema_version: footer_value(&file.footer, "schema_version").and_then(|version| version.parse().ok()),
            partition_values: folders::values(&file.path),
            columns: columns.collect(),
        }
    }
}

/// Where the manifest of a commit is.
pub fn path(name: Name) -> String {
    let name = Name { part: Part::Whole, ..name }.to_string();
    format!("{FOLDER}/{}.json", name.trim_end_matches(".parquet"))
}

/// What the path of a manifest says.
pub fn parse(path: &str) -> Option<Name> {
    let name = path.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".json")?;
    Name::parse(&format!("{name}.parquet")).filter(|name| name.part == Part::Whole)
}

/// Makes a commit known.
pub async fn publish(store: &dyn Store, again: &Again, committed: &Committed) -> Result<(), StoreError> {
    Manifest::of(committed.name, &committed.files).write(store, again).await
}

/// Reads the footer of a file.
pub async fn read_footer(store: &dyn Store, entry: &Entry) -> Result<ParquetMetaData, FileError> {
    let Entry { path, bytes } = entry;
    let damaged = |error| FileError::Read { path: path.into(), error };
    let short = || damaged(ParquetError::EOF("it is too short for a footer".to_owned()));
    let end = bytes.checked_sub(FOOTER_SIZE as u64).ok_or_else(short)?;
    let tail = store.read_range(path, end..*bytes).await?;
    let tail: [u8; FOOTER_SIZE] = tail[..].try_into().map_err(|_| short())?;
    let tail = FooterTail::try_from(tail).map_err(damaged)?;
    let begin = end.checked_sub(tail.metadata_length() as u64).ok_or_else(short)?;
    let content = store.read_range(path, begin..end).await?;
    ParquetMetaDataReader::decode_metadata(&content).map_err(damaged)
}

/// The same until the store answers.
pub async fn read_footer_patiently(
    store: &dyn Store,
    again: &Again,
    entry: &Entry,
) -> Result<ParquetMetaData, FileError> {
    let mut pauses = again.pauses();
    loop {
        match read_footer(store, entry).await {
            Err(FileError::Store(error)) => again.after(error, &mut pauses).await?,
            read => return read,
        }
    }
}
