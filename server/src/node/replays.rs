//! Replays: events of the past that a route matches, sent again to the route's endpoint, beside its live deliveries.
//!
//! A replay has a sink of its own and cursors of its own, which nobody stores: the endpoint's own cursors and what it is being
//! sent meanwhile are not touched. What always holds: events of a partition go in offset order; at most [`REPLAYS_MAX`] run at
//! once; a replay ends with the node and does not come back by itself.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use connectors::hub::{LogReader, ReadError};
use connectors::intake::Intake;
use connectors::sink::{Cursors, FeedSender, SinkStats, feed};
use engine::lane::Delivery;
use engine::route::{Matcher, RouteTable};
use tokio::sync::{mpsc, watch};

use super::core::CoreTask;
use super::{sinks, tables};
use crate::config::{EndpointKind, NodeConfig};

/// Replays that run at once: each reads the log and keeps connections of its own.
pub const REPLAYS_MAX: usize = 4;
/// Replays that are remembered after their end.
const REMEMBERED_MAX: usize = 64;
/// Bytes of one read of the log.
const READ_BYTES_MAX: usize = 1024 * 1024;
/// How often it is looked whether everything is settled.
const SETTLED_INTERVAL: Duration = Duration::from_millis(20);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayRequest {
    /// Whose matches.
    pub route: String,
    /// Accepted at this time or later, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// Accepted before this time.
    pub to_ms: i64,
    /// Count only.
    pub dry_run: bool,
}

/// Why a replay is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// No such route.
    #[error("there is no route '{route}'; the routes are {known}")]
    UnknownRoute {
        /// As asked.
        route: String,
        /// Some that there are.
        known: String,
    },
    /// The endpoint is none that events can be sent to again.
    #[error("{0}")]
    Endpoint(String),
    /// The span of time is empty.
    #[error("`from` is not before `to`")]
    Empty,
    /// Enough are running.
    #[error("{REPLAYS_MAX} replays are running; wait for one to end, or stop one with DELETE /replays/ID")]
    TooMany,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

/// How far a replay is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayState {
    /// At work.
    Running,
    /// All is settled.
    Done,
    /// It was told to stop.
    Stopped,
    /// It could not go on.
    Failed(String),
}

/// One replay.
#[derive(Debug)]
pub struct Replay {
    /// Its number.
    pub id: u64,
    /// What was asked for.
    pub request: ReplayRequest,
    /// Where its events go.
    pub endpoint: String,
    /// Events of the log to look at, and those that were looked at.
    pub total_events: AtomicU64,
    /// See above.
    pub scanned_events: AtomicU64,
    /// Events that the route matches.
    pub matched_events: AtomicU64,
    /// Events that the log has no more.
    pub lost_events: AtomicU64,
    /// What its sink counts.
    pub stats: Arc<SinkStats>,
    state: Mutex<ReplayState>,
    stop: watch::Sender<bool>,
}

impl Replay {
    /// How far it is.
    pub fn state(&self) -> ReplayState {
        lock(&self.state).clone()
    }

    /// Tells it to stop.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Inner {
    reader: LogReader,
    config: ArcSwap<NodeConfig>,
    cores: Mutex<Vec<mpsc::UnboundedSender<CoreTask>>>,
    replays: Mutex<VecDeque<Arc<Replay>>>,
}

/// All replays of a node. Cheap to clone.
#[derive(Clone)]
pub struct Replays(Arc<Inner>);

impl Replays {
    /// None yet. They run on the cores of the node, once it has started.
    pub fn new(reader: LogReader, config: Arc<NodeConfig>) -> Self {
        Self(Arc::new(Inner {
            reader,
            config: ArcSwap::new(config),
            cores: Mutex::default(),
            replays: Mutex::default(),
        }))
    }

    pub(super) fn run_on(&self, cores: Vec<mpsc::UnboundedSender<CoreTask>>) {
        *lock(&self.0.cores) = cores;
    }

    pub(super) fn set_config(&self, config: Arc<NodeConfig>) {
        self.0.config.store(config);
    }

    /// Starts one.
    pub fn start(&self, request: ReplayRequest, now_ms: i64) -> Result<Arc<Replay>, ReplayError> {
        let config = self.0.config.load_full();
        if request.from_ms >= request.to_ms {
            return Err(ReplayError::Empty);
        }
        let Some(route) = config.routes.iter().find(|route| route.name == request.route) else {
            let known: Vec<&str> = config.routes.iter().take(20).map(|route| route.name.as_str()).collect();
            let more = if config.routes.len() > known.len() { ", …" } else { "" };
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") + more };
            return Err(ReplayError::UnknownRoute { route: request.route, known });
        };
        let endpoint = config.endpoints.iter().find(|endpoint| endpoint.name == route.endpoint);
        let kind = endpoint.map_or(EndpointKind::Hub, |endpoint| endpoint.kind.clone());
        let table = tables::of_route(&config, route).map_err(|error| ReplayError::Endpoint(error.to_string()))?;
        let mut replays = lock(&self.0.replays);
        let id = replays.back().map_or(0, |last| last.id + 1).max(now_ms.unsigned_abs());
        let kind = if request.dry_run { kind } else { own_sink(kind, &route.endpoint, id, &config.node.data_dir)? };
        if replays.iter().filter(|replay| replay.state() == ReplayState::Running).count() >= REPLAYS_MAX {
            return Err(ReplayError::TooMany);
        }
        let replay = Arc::new(Replay {
            id,
            endpoint: route.endpoint.clone(),
            request,
            total_events: AtomicU64::new(0),
            scanned_events: AtomicU64::new(0),
            matched_events: AtomicU64::new(0),
            lost_events: AtomicU64::new(0),
            stats: Arc::default(),
            state: Mutex::new(ReplayState::Running),
            stop: watch::Sender::new(false),
        });
        let work = Work {
            replay: replay.clone(),
            reader: self.0.reader.clone(),
            table,
            kind,
            data_dir: config.node.data_dir.clone(),
        };
        let cores = lock(&self.0.cores);
        let core = cores.get(id as usize % cores.len().max(1)).ok_or(ReplayError::Stopping)?;
        core.send(Box::new(move |intake| Box::pin(work.run(intake)))).map_err(|_| ReplayError::Stopping)?;
        replays.push_back(replay.clone());
        while replays.len() > REMEMBERED_MAX {
            replays.pop_front();
        }
        tracing::info!(id, route = replay.request.route, endpoint = replay.endpoint, "a replay begins");
        Ok(replay)
    }

    /// The one with this number.
    pub fn get(&self, id: u64) -> Option<Arc<Replay>> {
        lock(&self.0.replays).iter().find(|replay| replay.id == id).cloned()
    }

    /// Those that run and the last that did, oldest first.
    pub fn all(&self) -> Vec<Arc<Replay>> {
        lock(&self.0.replays).iter().cloned().collect()
    }

    pub(super) fn stop_all(&self) {
        self.all().iter().for_each(|replay| replay.stop());
    }
}

/// The settings of a sink beside the endpoint's own: it must not write into the same files.
fn own_sink(kind: EndpointKind, endpoint: &str, id: u64, data_dir: &Path) -> Result<EndpointKind, ReplayError> {
    match kind {
        EndpointKind::Webhook(mut config) => {
            if config.dead_letter.as_deref() != Some("drop") {
                let path = data_dir.join("dead-letters").join(format!("{endpoint}.replay-{id}.ndjson"));
                config.dead_letter = Some(path.display().to_string());
            }
            Ok(EndpointKind::Webhook(config))
        }
        EndpointKind::Ndjson(mut config) => {
            config.path = config.path.with_extension(format!("replay-{id}.ndjson"));
            Ok(EndpointKind::Ndjson(config))
        }
        EndpointKind::Mqtt(config) => Ok(EndpointKind::Mqtt(config)),
        EndpointKind::Parquet(_) => Err(ReplayError::Endpoint(format!(
            "the endpoint '{endpoint}' writes Parquet, which holds each offset once; \
             make another endpoint with another `dir` and from = \"beginning\", and send the route there"
        ))),
        EndpointKind::Hub => Err(ReplayError::Endpoint(
            "the hub is the log itself: read it again from an earlier offset, GET /hub/partitions/0/events?from=0"
                .to_owned(),
        )),
    }
}

struct Work {
    replay: Arc<Replay>,
    reader: LogReader,
    table: RouteTable,
    kind: EndpointKind,
    data_dir: std::path::PathBuf,
}

impl Work {
    async fn run(self, intake: Intake) {
        let replay = self.replay.clone();
        let mut stop = replay.stop.subscribe();
        let ended = tokio::select! {
            ended = self.work(intake) => match ended {
                Ok(()) => ReplayState::Done,
                Err(reason) => ReplayState::Failed(reason),
            },
            _ = stop.wait_for(|stop| *stop) => ReplayState::Stopped,
        };
        match &ended {
            ReplayState::Failed(reason) => tracing::error!(id = replay.id, reason, "the replay failed"),
            state => tracing::info!(id = replay.id, ?state, "the replay has ended"),
        }
        *lock(&replay.state) = ended;
    }

    async fn work(self, intake: Intake) -> Result<(), String> {
        let (reader, request) = (self.reader.clone(), self.replay.request.clone());
        let spans = tokio::task::spawn_blocking(move || {
            let offset = |partition, time_ms| reader.offset_at(partition, time_ms).map_err(|error| error.to_string());
            (0..reader.partitions())
                .map(|partition| Ok((offset(partition, request.from_ms)?, offset(partition, request.to_ms)?)))
                .collect::<Result<Vec<(u64, u64)>, String>>()
        });
        let spans = spans.await.map_err(|error| error.to_string())??;
        let total = spans.iter().map(|(from, to)| to.saturating_sub(*from)).sum();
        self.replay.total_events.store(total, Ordering::Relaxed);
        if self.replay.request.dry_run {
            return self.read_all(&spans, None).await;
        }
        let start: Vec<u64> = spans.iter().map(|(from, _)| *from).collect();
        let cursors = Arc::new(Cursors::new(&start));
        let (sender, feed) = feed(sinks::feed_bytes_max(&self.kind), cursors.clone());
        let (name, stats) = (&self.replay.endpoint, self.replay.stats.clone());
        let sink = sinks::run(name, &self.kind, &self.data_dir, feed, intake, stats);
        let mut sink = std::pin::pin!(sink);
        let reading = async {
            self.read_all(&spans, Some(&sender)).await?;
            while cursors.open() > 0 {
                tokio::time::sleep(SETTLED_INTERVAL).await;
            }
            Ok(())
        };
        let read = tokio::select! {
            ended = &mut sink => Err(ended.err().unwrap_or_else(|| "the sink ended before all was delivered".to_owned())),
            read = reading => read,
        };
        read?;
        drop(sender);
        sink.await
    }

    async fn read_all(&self, spans: &[(u64, u64)], sender: Option<&FeedSender>) -> Result<(), String> {
        let mut matcher = Matcher::default();
        for (partition, (from, to)) in (0..).zip(spans.iter().copied()) {
            let mut next = from;
            while next < to {
                let reader = self.reader.clone();
                let read = tokio::task::spawn_blocking(move || reader.read(partition, next, READ_BYTES_MAX));
                let batches = match read.await.map_err(|error| error.to_string())? {
                    Ok(batches) => batches,
                    Err(
                        ref error @ (ReadError::FallenOff { first_available: until, .. }
                        | ReadError::Damaged { next: until, .. }),
                    ) => {
                        tracing::warn!(id = self.replay.id, "{error}");
                        let until = until.min(to).max(next + 1);
                        self.replay.lost_events.fetch_add(until - next, Ordering::Relaxed);
                        self.replay.scanned_events.fetch_add(until - next, Ordering::Relaxed);
                        next = until;
                        continue;
                    }
                    Err(error) => return Err(error.to_string()),
                };
                for batch in batches {
                    let begin = next.max(batch.base_offset());
                    if begin >= to {
                        break;
                    }
                    let end = (batch.last_offset() + 1).min(to);
                    next = batch.last_offset() + 1;
                    self.matched(&mut matcher, batch, begin, to, sender).await?;
                    self.replay.scanned_events.fetch_add(end - begin, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    }

    async fn matched(
        &self,
        matcher: &mut Matcher,
        batch: Arc<engine::batch::Batch>,
        from: u64,
        to: u64,
        sender: Option<&FeedSender>,
    ) -> Result<(), String> {
        matcher.run(&self.table, &batch, Some(0));
        let Some(rows) = matcher.rows(0) else { return Ok(()) };
        let enrichments = self.table.enrichments(0).clone();
        let delivery = Delivery { batch, rows, enrichments, table_version: self.table.version() };
        let Some(delivery) = delivery.from_offset(from).and_then(|delivery| delivery.before_offset(to)) else {
            return Ok(());
        };
        self.replay.matched_events.fetch_add(delivery.len() as u64, Ordering::Relaxed);
        match sender {
            Some(sender) => sender.send(delivery).await.map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }
}
