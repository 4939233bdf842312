//! The manifest of a commit: a small JSON file, written last, that makes its files one thing to read.
//!
//! What always holds: a manifest names files that are there and whole, and is never changed. One whose range lies within that of another
//! of its partition is replaced by it. `_manifest/p00007-…first…-…last….json`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};
use serde::{Deserialize, Serialize};

use super::commit::{Committed, CommittedFile};
use super::file::FileError;
use super::folders;
use super::names::{Found, Lake, Name, Part};
use super::stats::{Bounds, bounds};
use super::store::{Again, Entry, Store, StoreError};

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

/// Writes the manifests of commits that have none: those of a crash between the last file and the manifest, and those from before
/// manifests were asked for.
pub async fn adopt(store: &dyn Store, again: &Again, entries: &[Entry], lake: &Lake) -> Result<(), FileError> {
    let there: BTreeSet<Name> = entries.iter().filter_map(|entry| parse(&entry.path)).collect();
    let mut commits: BTreeMap<Name, Vec<&Found>> = BTreeMap::new();
    for file in &lake.files {
        commits.entry(Name { part: Part::Whole, ..file.name }).or_default().push(file);
    }
    for (name, found) in commits {
        if there.iter().any(|manifest| manifest.contains(&name)) {
            continue;
        }
        let mut files = Vec::with_capacity(found.len());
        for file in found {
            let footer = read_footer(store, again, &file.entry).await?;
            files.push(CommittedFile { path: file.entry.path.clone(), bytes: file.entry.bytes, footer });
        }
        Manifest::of(name, &files).write(store, again).await?;
    }
    Ok(())
}

/// Makes a commit known.
pub async fn publish(store: &dyn Store, again: &Again, committed: &Committed) -> Result<(), StoreError> {
    Manifest::of(committed.name, &committed.files).write(store, again).await
}

/// Reads the footer of a file.
pub async fn read_footer(store: &dyn Store, again: &Again, entry: &Entry) -> Result<ParquetMetaData, FileError> {
    let Entry { path, bytes } = entry;
    let encode = |error| FileError::Encode { path: path.into(), error };
    let read = async |from: u64, to: u64| again.run(async || store.read_range(path, from..to).await).await;
    let short = || encode(parquet::errors::ParquetError::EOF("the file is too short for a footer".to_owned()));
    let tail = read(bytes.checked_sub(FOOTER_SIZE as u64).ok_or_else(short)?, *bytes).await?;
    let tail: [u8; FOOTER_SIZE] = tail[..].try_into().map_err(|_| short())?;
    let tail = FooterTail::try_from(tail).map_err(encode)?;
    let end = bytes - FOOTER_SIZE as u64;
    let content = read(end.checked_sub(tail.metadata_length() as u64).ok_or_else(short)?, end).await?;
    ParquetMetaDataReader::decode_metadata(&content).map_err(encode)
}
