//! What comes before the first row: the folder is cleared of what an earlier run left, and the columns are found or learnt.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use engine::filter::body_text;
use engine::parse::Parser;
use tokio::time::Instant;

use super::SinkError;
use crate::parquet::config::ParquetConfig;
use crate::parquet::delta::Delta;
use crate::parquet::file::FileError;
use crate::parquet::layout::Layout;
use crate::parquet::learn::{Bounds, Learner, Refusal};
use crate::parquet::manifest;
use crate::parquet::names::Lake;
use crate::parquet::schema::Schema;
use crate::parquet::sorter;
use crate::parquet::store::{Again, Entry, Store, StoreError};
use crate::sink::{Feed, Handed};

/// Longest wait for enough events to learn the columns from.
const LEARN_MAX: Duration = Duration::from_secs(2);
/// Name of the file that keeps the columns.
const SCHEMA: &str = "_schema.json";

/// What there is: the files that count, made known to who reads manifests.
pub async fn look(config: &ParquetConfig, store: &dyn Store, again: &Again) -> Result<(Vec<Entry>, Lake), FileError> {
    let entries = again.run(async || store.list().await).await?;
    let lake = match config.manifest {
        true => manifest::adopt(store, again, entries.clone()).await?,
        false => {
            manifest::forget(store, again, &entries).await?;
            Lake::of(entries.clone())
        }
    };
    Ok((entries, lake))
}

/// Removes what no reader should see, in an order that stays right if this is cut short.
pub async fn sweep(store: &dyn Store, again: &Again, lake: &Lake) -> Result<(), StoreError> {
    let incomplete = lake.incomplete.iter().map(|file| &file.entry.path);
    for path in lake.replaced.iter().chain(incomplete).chain(&lake.temporary) {
        again.run(async || store.remove(path).await).await?;
    }
    Ok(())
}

/// The columns: as kept or configured, or learnt from deliveries, which then are in `waiting`. `None` if the feed ended before any came.
/// They go with folders, order and the Delta table; those that do not are not kept, so that they can be declared otherwise.
///
/// With them come members that stay in `_rest`.
pub async fn schema(
    config: &ParquetConfig,
    home: &mut Home,
    store: &dyn Store,
    again: &Again,
    delta: Option<&Delta>,
    (feed, parser, waiting): (&mut Feed, &mut Parser, &mut Vec<Handed>),
) -> Result<Option<(Schema, Vec<Refusal>)>, SinkError> {
    let at_home = ParquetConfig { dir: home.dir().to_owned(), ..config.clone() };
    let (schema, is_new, refused) = match Schema::of(&at_home)? {
        Some((schema, is_new)) => (schema, is_new, Vec::new()),
        None => {
            let learner = learn(config, feed, parser, waiting).await;
            if waiting.is_empty() {
                return Ok(None);
            }
            let mut schema = Schema { nested: config.nested, ..Schema::new(Vec::new()) };
            let refused = learner.begin(&mut schema);
            (schema, true, refused)
        }
    };
    check(config, delta, &schema.arrow(true))?;
    if is_new {
        schema.save(home.dir())?;
    }
    home.keep(store, again).await?;
    Ok(Some((schema, refused)))
}

/// Folders are made of what has few values and one way to write each; rows are sorted by what has an order; a Delta table has no
/// columns of all types.
fn check(config: &ParquetConfig, delta: Option<&Delta>, columns: &arrow_schema::Schema) -> Result<(), SinkError> {
    let layout = Layout::new(&config.partition_by);
    if let Some((column, kind)) = layout.unfit(columns) {
        return Err(SinkError::Layout { column: column.to_owned(), kind: kind.to_string() });
    }
    if let Some((column, kind)) = sorter::unfit(&config.sort_by, columns) {
        return Err(SinkError::Sort { column: column.to_owned(), kind: kind.to_string() });
    }
    let Some(delta) = delta else { return Ok(()) };
    let is_in_files = |name: &str| !layout.columns().any(|folder| folder == name);
    let in_files: Vec<_> = columns.fields().iter().filter(|field| is_in_files(field.name())).cloned().collect();
    Ok(delta.check(&arrow_schema::Schema::new(in_files))?)
}

/// Takes deliveries until there are enough events, or no more come for a while.
async fn learn(config: &ParquetConfig, feed: &mut Feed, parser: &mut Parser, waiting: &mut Vec<Handed>) -> Learner {
    let mut learner = Learner::within(Bounds::at_first(config));
    let mut text = String::new();
    let mut deadline = None;
    while learner.events() < config.learn_events {
        let handed = match deadline {
            None => feed.next().await,
            Some(deadline) => match tokio::time::timeout_at(deadline, feed.next()).await {
                Ok(handed) => handed,
                Err(_) => break,
            },
        };
        let Some(handed) = handed else { break };
        deadline.get_or_insert_with(|| Instant::now() + LEARN_MAX.min(Duration::from_millis(config.age_ms_max)));
        for event in handed.delivery.events() {
            if let Some(Ok(document)) = body_text(&event, &mut text).map(|text| parser.parse(text)) {
                learner.see(document.root());
            }
        }
        waiting.push(handed);
    }
    learner
}

/// The folder of the disk that the columns are read from and kept in: that of the files, or the likeness of one on an object store.
pub enum Home {
    Dir(PathBuf),
    Likeness { dir: PathBuf, kept: Option<Bytes> },
}

impl Home {
    /// Finds it, or makes it.
    pub async fn of(config: &ParquetConfig, store: &dyn Store, again: &Again) -> Result<Self, StoreError> {
        if let Some(dir) = config.local_dir() {
            return Ok(Self::Dir(dir));
        }
        let dir = std::env::temp_dir().join(format!("anabranch-{}-{:016x}", std::process::id(), fastrand::u64(..)));
        let kept = again.run(async || store.read(SCHEMA).await).await?;
        let made = std::fs::create_dir(&dir).and_then(|()| match &kept {
            Some(kept) => std::fs::write(dir.join(SCHEMA), kept),
            None => Ok(()),
        });
        made.map_err(|error| StoreError::Io { path: dir.clone(), error })?;
        Ok(Self::Likeness { dir, kept })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        match self {
            Self::Dir(dir) | Self::Likeness { dir, .. } => dir,
        }
    }

    /// Keeps beside the files what was kept here.
    pub async fn keep(&mut self, store: &dyn Store, again: &Again) -> Result<(), StoreError> {
        let Self::Likeness { dir, kept } = self else { return Ok(()) };
        let path = dir.join(SCHEMA);
        let now = std::fs::read(&path).map_err(|error| StoreError::Io { path, error })?;
        if kept.as_ref().is_some_and(|kept| **kept == *now) {
            return Ok(());
        }
        let now = Bytes::from(now);
        again.run(async || store.replace(SCHEMA, now.clone()).await).await?;
        *kept = Some(now);
        Ok(())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Self::Likeness { dir, .. } = self {
            // The system empties its folder for temporary files by itself.
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}
