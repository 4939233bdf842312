//! Manifests at the start of an endpoint: what a crash left between files and manifests is put right.

use std::collections::BTreeSet;

use super::{FOLDER, Manifest, parse, read_footer_patiently};
use crate::parquet::compact::Group;
use crate::parquet::file::FileError;
use crate::parquet::names::{Found, Lake, Name, Part};
use crate::parquet::open_file::CommittedFile;
use crate::parquet::store::{Again, Entry, Store};

/// Where there are manifests they say what counts: makes manifests for commits that have none, and gives what counts. Replaced are
/// manifests that lie within another one, files of commits with a manifest that does not name them, and what was put together without
/// being made known.
pub async fn adopt(store: &dyn Store, again: &Again, entries: Vec<Entry>) -> Result<Lake, FileError> {
    let all: Vec<Name> = entries.iter().filter_map(|entry| parse(&entry.path)).collect();
    let is_live = |name: &Name| !all.iter().any(|other| other != name && other.contains(name));
    let (live, replaced): (Vec<Name>, Vec<Name>) = all.iter().copied().partition(is_live);
    let (mut known, mut unwanted, mut others) = (Vec::new(), Vec::new(), Vec::new());
    unwanted.extend(replaced.into_iter().map(super::path));
    let mut within: Vec<(Name, Found)> = Vec::new();
    for entry in entries {
        let name = Name::parse(crate::parquet::names::split(&entry.path).1);
        let Some(name) = name.filter(|_| !entry.path.starts_with(FOLDER)) else {
            others.push(entry);
            continue;
        };
        let found = Found { entry, name };
        let range = Name { part: Part::Whole, ..name };
        match live.iter().find(|manifest| manifest.contains(&name)) {
            Some(manifest) if *manifest == range => known.push(found),
            Some(manifest) => within.push((*manifest, found)),
            // Put together, and cut short before the manifest: the files are still those of their commits.
            None if name.part == Part::Compacted && live.iter().any(|manifest| name.contains(manifest)) => {
                unwanted.push(found.entry.path);
            }
            None => others.push(found.entry),
        }
    }
    let merged: BTreeSet<Name> = within.iter().map(|(manifest, _)| *manifest).collect();
    for manifest in merged {
        let read = Manifest::read(store, again, manifest).await?;
        let named: BTreeSet<String> = read.into_iter().flat_map(|read| read.files).map(|file| file.path).collect();
        for (_, found) in within.iter().filter(|(of, _)| *of == manifest) {
            match named.contains(&found.entry.path) {
                true => known.push(found.clone()),
                false => unwanted.push(found.entry.path.clone()),
            }
        }
    }
    let mut lake = Lake::of(others);
    for group in Group::of(&lake.files) {
        let mut files = Vec::with_capacity(group.files.len());
        for file in &group.files {
            let footer = read_footer_patiently(store, again, &file.entry).await?;
            files.push(CommittedFile { path: file.entry.path.clone(), bytes: file.entry.bytes, footer });
        }
        Manifest::of(group.name, &files).write(store, again).await?;
    }
    lake.files.extend(known);
    // Manifests first: none may name what is not there.
    lake.replaced.splice(0..0, unwanted);
    lake.files.sort_by(|one, other| (one.name, &one.entry.path).cmp(&(other.name, &other.entry.path)));
    Ok(lake)
}

/// Removes all manifests: an endpoint that writes none any more would make them wrong.
pub async fn forget(store: &dyn Store, again: &Again, entries: &[Entry]) -> Result<(), FileError> {
    for entry in entries.iter().filter(|entry| parse(&entry.path).is_some()) {
        again.run(async || store.remove(&entry.path).await).await?;
    }
    Ok(())
}
