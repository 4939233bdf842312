//! Observers: live subscribers with a filter of their own, which is a route of the running table as long as they last.
//!
//! What always holds: every change of the table, by a reload or by an observer, starts from the one in force and is installed
//! before the next begins; an observer's number is given again only after its lanes were cut; what observers ask for changes
//! nothing of what endpoints get.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::cursor::ShardLane;
use engine::filter::Filter;
use engine::limits;
use engine::ring::Bell;
use engine::route::{EndpointId, OBSERVERS_FROM, Route, RouteTable, Source};
use tokio::sync::{Mutex, MutexGuard};

use super::switchboard::Switchboard;
use super::tables::{self, TableError};
use crate::config::NodeConfig;

/// Why nothing can be observed.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// Too many.
    #[error("the node has {max} live subscribers, and takes no more", max = limits::OBSERVERS_MAX)]
    TooMany,
    /// The filter does not fit in.
    #[error(transparent)]
    Table(#[from] engine::route::TableError),
    /// The configured routes cannot be built anew.
    #[error(transparent)]
    Configured(#[from] TableError),
    /// The node is ending.
    #[error("the node is ending")]
    Stopping,
}

/// What is observed.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Events that it is true for.
    pub filter: Filter,
    /// Of this source alone, by the rules of routes; `None`: of all, and the filter counts for all.
    pub source: Option<Source>,
}

impl Wanted {
    fn route(&self, endpoint: EndpointId) -> Route {
        Route {
            // No configured route is called so.
            name: format!("$observer/{endpoint}"),
            source: self.source.unwrap_or_default(),
            filter: self.filter.clone(),
            endpoint,
            enabled: true,
            every_source: self.source.is_none(),
        }
    }

    /// A table of this alone, whose endpoint has the number 0: for what comes from the log.
    pub fn own_table(&self) -> Result<RouteTable, engine::route::TableError> {
        RouteTable::new(1, &[self.route(0)], None, vec![Arc::from([])])
    }
}

/// What the table in force was made of.
struct Book {
    version: u64,
    config: Arc<NodeConfig>,
    ids: HashMap<String, EndpointId>,
    observers: BTreeMap<EndpointId, Route>,
    free: Vec<EndpointId>,
}

impl Book {
    fn build(&self) -> Result<RouteTable, TableError> {
        tables::build(&self.config, self.version, &self.ids, self.observers.values().cloned())
    }

    fn number(&mut self) -> Option<EndpointId> {
        if let Some(number) = self.free.pop() {
            return Some(number);
        }
        let used = self.observers.len();
        (used < limits::OBSERVERS_MAX).then(|| OBSERVERS_FROM + used as EndpointId)
    }
}

/// See the module.
pub struct Observers {
    book: Arc<Mutex<Book>>,
    switchboard: Arc<Switchboard>,
    count: AtomicUsize,
}

impl Observers {
    /// For a node whose first table, in force in `switchboard`, has the version 1.
    pub fn new(switchboard: Arc<Switchboard>, config: Arc<NodeConfig>, ids: HashMap<String, EndpointId>) -> Self {
        let book = Book { version: 1, config, ids, observers: BTreeMap::new(), free: Vec::new() };
        Self { book: Arc::new(Mutex::new(book)), switchboard, count: AtomicUsize::new(0) }
    }

    /// Has the events that are wanted come through lanes from now on, until [`close`](Self::close).
    pub async fn open(&self, wanted: &Wanted, bell: &Bell) -> Result<(EndpointId, Vec<ShardLane>), ObserveError> {
        let mut book = self.book.clone().lock_owned().await;
        let number = book.number().ok_or(ObserveError::TooMany)?;
        let route = wanted.route(number);
        let table = self.switchboard.table().load_full();
        // With a million routes a table takes long to build: not on the thread of a core.
        let changed = tokio::task::spawn_blocking(move || {
            let changed = if table.wants_rebuild() {
                book.observers.insert(number, route);
                book.version += 1;
                let built = book.build();
                if built.is_err() {
                    book.observers.remove(&number);
                }
                built.map_err(ObserveError::from)
            } else {
                let changed = table.change(book.version + 1, vec![route.clone()], &[]);
                if changed.is_ok() {
                    book.observers.insert(number, route);
                    book.version += 1;
                }
                changed.map_err(ObserveError::from)
            };
            if changed.is_err() {
                book.free.push(number);
            }
            (book, changed)
        });
        let (_book, changed) = changed.await.map_err(|_| ObserveError::Stopping)?;
        let lanes = self.switchboard.install_and_connect(Arc::new(changed?), number, bell).await;
        self.count.fetch_add(1, Ordering::Relaxed);
        Ok((number, lanes))
    }

    /// Ends what [`open`](Self::open) began.
    pub async fn close(&self, number: EndpointId) {
        let mut book = self.book.lock().await;
        let Some(route) = book.observers.remove(&number) else { return };
        self.count.fetch_sub(1, Ordering::Relaxed);
        let table = self.switchboard.table().load_full();
        match table.change(book.version + 1, Vec::new(), &[&route.name]) {
            Ok(changed) => {
                book.version += 1;
                self.switchboard.install_and_disconnect(Arc::new(changed), number).await;
            }
            // Taking a route away makes nothing costlier; without its lane the route would only be matched in vain.
            Err(error) => {
                tracing::error!(%error, "a subscriber's filter cannot be taken out of the route table");
                self.switchboard.disconnect(number).await;
            }
        }
        book.free.push(number);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Builds the table for another configuration; nothing changes until it is installed, and nothing else changes it meanwhile.
    pub async fn reconfigure(
        &self,
        config: Arc<NodeConfig>,
        ids: HashMap<String, EndpointId>,
    ) -> Result<Reconfigured<'_>, TableError> {
        let book = self.book.lock().await;
        let running = self.switchboard.table().load_full();
        let next =
            Book { version: book.version + 1, config, ids, observers: book.observers.clone(), free: book.free.clone() };
        let table = match tables::change((&book.config, &running), &next.config, next.version, &next.ids)? {
            Some(table) => table,
            None => next.build()?,
        };
        Ok(Reconfigured { book, next, table: Arc::new(table), switchboard: &self.switchboard })
    }
}

/// A table that waits to be installed.
pub struct Reconfigured<'o> {
    book: MutexGuard<'o, Book>,
    next: Book,
    table: Arc<RouteTable>,
    switchboard: &'o Switchboard,
}

impl Reconfigured<'_> {
    /// Puts it in force.
    pub async fn install(mut self) {
        self.switchboard.install(self.table).await;
        *self.book = self.next;
    }
}
