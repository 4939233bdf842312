//! Stores that fail, for tests: operations that do not happen, that happen and say that they did not, and the moment of a crash at any
//! of them.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use object_store::memory::InMemory;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartId, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::watch;

use super::{Done, Draft, Entry, Store, StoreError};

/// What goes wrong.
#[derive(Debug)]
pub enum Trouble {
    /// Nothing.
    Never,
    /// The process dies at the operation of this number: before it, or after it.
    Crash { at: usize, is_after: bool },
    /// So many of 256 operations fail; of these every other one took effect all the same.
    Errors { of_256: u8, random: fastrand::Rng },
}

/// See the module.
#[derive(Debug)]
pub struct Plan {
    trouble: Mutex<Trouble>,
    operations: AtomicUsize,
    crashed: watch::Sender<bool>,
}

enum Fault {
    None,
    Fail { is_after: bool },
    Die { is_after: bool },
}

impl Plan {
    pub fn new(trouble: Trouble) -> Arc<Self> {
        Arc::new(Self {
            trouble: Mutex::new(trouble),
            operations: AtomicUsize::new(0),
            crashed: watch::channel(false).0,
        })
    }

    /// Resolves at the crash.
    pub async fn crashed(&self) {
        let _ = self.crashed.subscribe().wait_for(|crashed| *crashed).await;
    }

    fn next(&self) -> Fault {
        let number = self.operations.fetch_add(1, Ordering::Relaxed);
        match &mut *self.trouble.lock().expect("no test panics with it") {
            Trouble::Crash { at, is_after } if number == *at => Fault::Die { is_after: *is_after },
            Trouble::Crash { at, .. } if number > *at => Fault::Die { is_after: false },
            Trouble::Errors { of_256, random } => match random.u8(..) < *of_256 {
                true => Fault::Fail { is_after: random.bool() },
                false => Fault::None,
            },
            _ => Fault::None,
        }
    }

    async fn around<T, E>(
        &self,
        error: impl Fn() -> E,
        operation: impl Future<Output = std::result::Result<T, E>>,
    ) -> std::result::Result<T, E> {
        match self.next() {
            Fault::None => operation.await,
            Fault::Fail { is_after } => {
                if is_after {
                    operation.await?;
                }
                Err(error())
            }
            Fault::Die { is_after } => {
                if is_after {
                    let _ = operation.await;
                }
                self.crashed.send_replace(true);
                std::future::pending().await
            }
        }
    }
}

/// A store of the disk that fails.
#[derive(Debug)]
pub struct FaultyStore {
    pub inner: Box<dyn Store>,
    pub plan: Arc<Plan>,
}

struct FaultyDraft {
    inner: Box<dyn Draft>,
    plan: Arc<Plan>,
}

fn full() -> StoreError {
    StoreError::Io { path: "faulty".into(), error: std::io::ErrorKind::StorageFull.into() }
}

impl Store for FaultyStore {
    fn shown(&self) -> String {
        self.inner.shown()
    }
    fn list(&self) -> Done<'_, Vec<Entry>> {
        self.plan.around(full, self.inner.list()).boxed()
    }
    fn read<'a>(&'a self, path: &'a str) -> Done<'a, Option<Bytes>> {
        self.plan.around(full, self.inner.read(path)).boxed()
    }
    fn read_range<'a>(&'a self, path: &'a str, range: Range<u64>) -> Done<'a, Bytes> {
        self.plan.around(full, self.inner.read_range(path, range)).boxed()
    }
    fn write_new<'a>(&'a self, path: &'a str, content: Bytes) -> Done<'a, bool> {
        self.plan.around(full, self.inner.write_new(path, content)).boxed()
    }
    fn replace<'a>(&'a self, path: &'a str, content: Bytes) -> Done<'a, ()> {
        self.plan.around(full, self.inner.replace(path, content)).boxed()
    }
    fn remove<'a>(&'a self, path: &'a str) -> Done<'a, ()> {
        self.plan.around(full, self.inner.remove(path)).boxed()
    }
    fn begin(&self, stem: &str) -> Box<dyn Draft> {
        Box::new(FaultyDraft { inner: self.inner.begin(stem), plan: self.plan.clone() })
    }
}

impl Draft for FaultyDraft {
    fn write(&mut self, position: u64, bytes: Bytes) -> Done<'_, ()> {
        self.plan.around(full, self.inner.write(position, bytes)).boxed()
    }
    fn seal(&mut self) -> Done<'_, ()> {
        self.plan.around(full, self.inner.seal()).boxed()
    }
    fn publish<'a>(&'a mut self, path: &'a str) -> Done<'a, ()> {
        self.plan.around(full, self.inner.publish(path)).boxed()
    }
    fn memory_bytes(&self) -> usize {
        self.inner.memory_bytes()
    }
}

/// An object store in memory that fails. What it holds outlives it.
#[derive(Debug)]
pub struct FaultyObjects {
    pub inner: Arc<InMemory>,
    pub plan: Arc<Plan>,
}

impl fmt::Display for FaultyObjects {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("faulty")
    }
}

fn slow_down() -> Error {
    Error::Generic { store: "faulty", source: "503 SlowDown".into() }
}

#[async_trait]
impl ObjectStore for FaultyObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.plan.around(slow_down, self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented { operation: "put_multipart_opts".to_owned(), implementer: self.to_string() })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.plan.around(slow_down, self.inner.get_opts(location, options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (inner, plan) = (self.inner.clone(), self.plan.clone());
        let delete = move |location: Result<Path>| {
            let (inner, plan) = (inner.clone(), plan.clone());
            async move {
                let one = futures_util::stream::once(std::future::ready(location)).boxed();
                let gone = async move { inner.delete_stream(one).next().await.expect("one for one") };
                plan.around(slow_down, gone).await
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (plan, found) = (self.plan.clone(), self.inner.list(prefix));
        let first = async move { plan.around(slow_down, std::future::ready(Ok(()))).await };
        first
            .map(|passed| match passed {
                Ok(()) => found,
                Err(error) => futures_util::stream::once(std::future::ready(Err(error))).boxed(),
            })
            .flatten_stream()
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.plan.around(slow_down, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.plan.around(slow_down, self.inner.copy_opts(from, to, options)).await
    }
}

#[async_trait]
impl MultipartStore for FaultyObjects {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        self.plan.around(slow_down, self.inner.create_multipart(path)).await
    }

    async fn put_part(&self, path: &Path, id: &MultipartId, number: usize, data: PutPayload) -> Result<PartId> {
        self.plan.around(slow_down, self.inner.put_part(path, id, number, data)).await
    }

    async fn complete_multipart(&self, path: &Path, id: &MultipartId, parts: Vec<PartId>) -> Result<PutResult> {
        self.plan.around(slow_down, self.inner.complete_multipart(path, id, parts)).await
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
        self.plan.around(slow_down, self.inner.abort_multipart(path, id)).await
    }
}
