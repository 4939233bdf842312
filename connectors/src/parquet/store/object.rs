//! A folder of an object store. A small file is one conditional put; a large one goes up in parts while it is written, under a temporary
//! name, and is copied to its own by the store.
//!
//! What always holds: parts are all of one size but the last; at most so many of them are in memory; a part is tried until it is up.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, TryStreamExt};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{Error, MultipartId, ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use tokio::task::JoinSet;

use super::{Again, Done, Draft, Entry, Store, StoreError, TEMPORARY_FOLDER};

/// What an object store must be able to do.
pub trait Backend: ObjectStore + MultipartStore {}
impl<T: ObjectStore + MultipartStore> Backend for T {}

/// How it is used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes of a part; a file that has no more is put at once.
    pub part_bytes: usize,
    /// Parts of one file that are on their way at a time.
    pub parts_max: usize,
    /// The store has conditional puts.
    pub has_conditional_put: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Objects(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    backend: Arc<dyn Backend>,
    url: String,
    prefix: String,
    settings: Settings,
    again: Again,
}

impl Objects {
    /// The objects below `prefix`; `url` is how the folder is called.
    pub fn new(backend: Arc<dyn Backend>, url: &str, prefix: &str, settings: Settings, again: Again) -> Self {
        let (url, prefix) = (url.trim_end_matches('/').to_owned(), prefix.trim_matches('/').to_owned());
        Self(Arc::new(Shared { backend, url, prefix, settings, again }))
    }
}

impl Shared {
    fn path(&self, path: &str) -> Result<Path, StoreError> {
        let whole = if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) };
        // As it is: escapes of folder names are part of the name.
        Path::parse(&whole).map_err(|error| self.error(path)(error.into()))
    }

    fn error(&self, path: &str) -> impl Fn(Error) -> StoreError + use<> {
        let path = format!("{}/{path}", self.url);
        move |error| StoreError::Object { path: path.clone(), error }
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let prefix = if self.prefix.is_empty() { None } else { Some(self.path("")?) };
        let found: Vec<_> = self.backend.list(prefix.as_ref()).try_collect().await.map_err(self.error(""))?;
        let below = |path: &Path| {
            let path: &str = path.as_ref();
            match self.prefix.as_str() {
                "" => Some(path.to_owned()),
                prefix => Some(path.strip_prefix(prefix)?.strip_prefix('/')?.to_owned()),
            }
        };
        Ok(found
            .into_iter()
            .filter_map(|meta| Some(Entry { path: below(&meta.location)?, bytes: meta.size }))
            .collect())
    }

    async fn read(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        match self.backend.get(&self.path(path)?).await {
            Ok(found) => found.bytes().await.map(Some).map_err(self.error(path)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.error(path)(error)),
        }
    }

    async fn write_new(&self, path: &str, content: Bytes) -> Result<bool, StoreError> {
        let at = self.path(path)?;
        let mode = if self.settings.has_conditional_put {
            PutMode::Create
        } else if self.backend.head(&at).await.is_ok() {
            return Ok(false);
        } else {
            PutMode::Overwrite
        };
        match self.backend.put_opts(&at, content.into(), mode.into()).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(self.error(path)(error)),
        }
    }

    async fn remove(&self, path: &str) -> Result<(), StoreError> {
        match self.backend.delete(&self.path(path)?).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error(path)(error)),
        }
    }

    /// Sends a part until it is up.
    async fn put_part(
        self: Arc<Self>,
        at: Path,
        id: MultipartId,
        number: usize,
        part: Bytes,
    ) -> Result<(usize, PartId), StoreError> {
        let mut pauses = self.again.pauses();
        loop {
            match self.backend.put_part(&at, &id, number, PutPayload::from_bytes(part.clone())).await {
                Ok(up) => return Ok((number, up)),
                // The store has forgotten the upload, as rules for old ones make it do.
                Err(error @ Error::NotFound { .. }) => {
                    return Err(StoreError::Gone { path: at.to_string(), reason: error.to_string() });
                }
                Err(error) => self.again.after(self.error(at.as_ref())(error), &mut pauses).await?,
            }
        }
    }
}

impl Store for Objects {
    fn shown(&self) -> String {
        self.0.url.clone()
    }

    fn list(&self) -> Done<'_, Vec<Entry>> {
        self.0.list().boxed()
    }

    fn read<'a>(&'a self, path: &'a str) -> Done<'a, Option<Bytes>> {
        self.0.read(path).boxed()
    }

    fn read_range<'a>(&'a self, path: &'a str, range: Range<u64>) -> Done<'a, Bytes> {
        async move { self.0.backend.get_range(&self.0.path(path)?, range).await.map_err(self.0.error(path)) }.boxed()
    }

    fn write_new<'a>(&'a self, path: &'a str, content: Bytes) -> Done<'a, bool> {
        self.0.write_new(path, content).boxed()
    }

    fn replace<'a>(&'a self, path: &'a str, content: Bytes) -> Done<'a, ()> {
        async move {
            let put = self.0.backend.put(&self.0.path(path)?, content.into()).await;
            put.map(|_| ()).map_err(self.0.error(path))
        }
        .boxed()
    }

    fn remove<'a>(&'a self, path: &'a str) -> Done<'a, ()> {
        self.0.remove(path).boxed()
    }

    fn begin(&self, stem: &str) -> Box<dyn Draft> {
        // The number keeps what a slow request of an earlier run still does apart from this one.
        let temporary = format!("{TEMPORARY_FOLDER}{stem}-{:016x}", fastrand::u64(..));
        Box::new(ObjectDraft {
            store: self.0.clone(),
            temporary,
            upload: None,
            filling: BytesMut::new(),
            accepted: 0,
            parts: Vec::new(),
            under_way: JoinSet::new(),
            state: State::Written,
            was_put: false,
        })
    }
}

/// How far the publishing of a large file is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Written,
    Completed,
    Copied,
}

struct ObjectDraft {
    store: Arc<Shared>,
    temporary: String,
    /// Of a file that is larger than a part.
    upload: Option<(Path, MultipartId)>,
    /// What is no part yet.
    filling: BytesMut,
    /// Bytes taken so far.
    accepted: u64,
    parts: Vec<Option<PartId>>,
    under_way: JoinSet<Result<(usize, PartId), StoreError>>,
    state: State,
    /// A put was tried, and may have taken effect though it failed.
    was_put: bool,
}

impl ObjectDraft {
    async fn upload(&mut self) -> Result<(Path, MultipartId), StoreError> {
        if let Some(upload) = &self.upload {
            return Ok(upload.clone());
        }
        let at = self.store.path(&self.temporary)?;
        let begun = self.store.backend.create_multipart(&at).await;
        let id = begun.map_err(self.store.error(&self.temporary))?;
        Ok(self.upload.insert((at, id)).clone())
    }

    async fn send(&mut self, part: Bytes) -> Result<(), StoreError> {
        let (at, id) = self.upload().await?;
        let number = self.parts.len();
        self.parts.push(None);
        self.under_way.spawn(self.store.clone().put_part(at, id, number, part));
        Ok(())
    }

    /// Waits until at most so many parts are under way.
    async fn wait(&mut self, most: usize) -> Result<(), StoreError> {
        while self.under_way.len() > most {
            let Some(joined) = self.under_way.join_next().await else { break };
            let gone = |reason: String| StoreError::Gone { path: self.temporary.clone(), reason };
            let (number, up) = joined.map_err(|error| gone(error.to_string()))??;
            self.parts[number] = Some(up);
        }
        Ok(())
    }

    async fn write(&mut self, position: u64, bytes: Bytes) -> Result<(), StoreError> {
        if position == self.accepted {
            self.accepted += bytes.len() as u64;
            self.filling.extend_from_slice(&bytes);
        }
        let part_bytes = self.store.settings.part_bytes;
        while self.filling.len() > part_bytes {
            self.upload().await?;
            let part = self.filling.split_to(part_bytes).freeze();
            self.send(part).await?;
            self.wait(self.store.settings.parts_max - 1).await?;
        }
        Ok(())
    }

    async fn seal(&mut self) -> Result<(), StoreError> {
        if self.upload.is_some() && !self.filling.is_empty() {
            let rest = self.filling.split().freeze();
            self.send(rest).await?;
        }
        self.wait(0).await
    }

    /// Of a small file: a put that fails where the name is taken.
    async fn put(&mut self, path: &str) -> Result<(), StoreError> {
        let is_again = std::mem::replace(&mut self.was_put, true);
        let content = self.filling.clone().freeze();
        if self.store.write_new(path, content.clone()).await? {
            return Ok(());
        }
        // An earlier attempt may have succeeded without our hearing of it.
        match self.store.read(path).await? {
            Some(found) if is_again && found == content => Ok(()),
            _ => Err(StoreError::Exists { path: format!("{}/{path}", self.store.url) }),
        }
    }

    async fn complete(&mut self, at: &Path, id: &MultipartId) -> Result<(), StoreError> {
        let parts: Vec<PartId> = self.parts.iter().flatten().cloned().collect();
        match self.store.backend.complete_multipart(at, id, parts).await {
            Ok(_) => Ok(()),
            // Done by an earlier attempt, or forgotten by the store.
            Err(error) => match self.store.backend.head(at).await {
                Ok(found) if found.size == self.accepted => Ok(()),
                Err(Error::NotFound { .. }) if matches!(error, Error::NotFound { .. }) => {
                    Err(StoreError::Gone { path: at.to_string(), reason: error.to_string() })
                }
                _ => Err(self.store.error(&self.temporary)(error)),
            },
        }
    }

    async fn publish(&mut self, path: &str) -> Result<(), StoreError> {
        let Some((at, id)) = self.upload.clone() else { return self.put(path).await };
        if self.state == State::Written {
            self.complete(&at, &id).await?;
            self.state = State::Completed;
        }
        if self.state == State::Completed {
            let copied = self.store.backend.copy(&at, &self.store.path(path)?).await;
            copied.map_err(self.store.error(path))?;
            self.state = State::Copied;
        }
        // What is left here is removed at the next start.
        let _ = self.store.remove(&self.temporary).await;
        Ok(())
    }
}

impl Draft for ObjectDraft {
    fn write(&mut self, position: u64, bytes: Bytes) -> Done<'_, ()> {
        self.write(position, bytes).boxed()
    }

    fn seal(&mut self) -> Done<'_, ()> {
        self.seal().boxed()
    }

    fn publish<'a>(&'a mut self, path: &'a str) -> Done<'a, ()> {
        self.publish(path).boxed()
    }

    fn memory_bytes(&self) -> usize {
        self.filling.len() + self.under_way.len() * self.store.settings.part_bytes
    }
}
