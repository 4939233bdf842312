//! The node: threads, shards, log, listeners and endpoints, put together from a checked configuration.
//!
//! [`start`] opens everything or nothing. A running node can be looked at, given another configuration, and drained. What always
//! holds: one node per data folder; what was acknowledged has been handed to every endpoint that keeps up, or waits for it in
//! the log, when a drain ends; a configuration that cannot be used changes nothing.

pub mod core;
mod cursors;
mod endpoint;
mod feeder;
mod mqtt;
mod observers;
mod quic;
mod producers;
pub mod replays;
mod snapshot;
mod sinks;
mod start;
mod switchboard;
mod tables;
mod tap;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use connectors::http::HttpStats;
use connectors::hub::{Log, LogReader, LogStats};
use engine::lane::Heads;
use engine::route::EndpointId;
use engine::shard::ShardStats;
use tokio::sync::{mpsc, watch};

pub use cursors::COMMIT_INTERVAL as CURSOR_COMMIT_INTERVAL;
pub use start::{StartError, start};

use self::core::{CoreTask, Stage};
use self::cursors::CursorKeeper;
use self::endpoint::{Endpoint, Surroundings};
use self::feeder::FeedMode;
use self::observers::Observers;
use self::producers::ProducerKeeper;
use self::switchboard::{Connected, Switchboard};
use crate::config::{EndpointKind, NodeConfig, StartFrom};
use crate::state::State;

/// How long listeners and shards may take to finish what they have begun.
const STAGE_MAX: Duration = Duration::from_secs(15);
/// How long endpoints may take to deliver what is left; what is not delivered by then comes after the next start.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// A node at work.
pub struct RunningNode {
    config: Arc<NodeConfig>,
    http_addr: SocketAddr,
    log: Log,
    shared: Arc<Shared>,
    cores: Vec<JoinHandle<()>>,
    core_tasks: Vec<mpsc::UnboundedSender<CoreTask>>,
    stage: watch::Sender<Stage>,
    finished: mpsc::UnboundedReceiver<Stage>,
    cursor_keeper: CursorKeeper,
    producer_keeper: ProducerKeeper,
    mqtt_keeper: Option<connectors::mqtt::store::Keeper>,
    ids: HashMap<String, EndpointId>,
}

/// What others on other threads look at.
pub struct Shared {
    switchboard: Arc<Switchboard>,
    observers: Arc<Observers>,
    config: watch::Sender<Arc<NodeConfig>>,
    reader: LogReader,
    heads: Heads,
    log_stats: Arc<LogStats>,
    shard_stats: Vec<Arc<ShardStats>>,
    http_stats: Vec<Arc<HttpStats>>,
    endpoints: std::sync::RwLock<BTreeMap<String, Arc<Endpoint>>>,
    state: Arc<State>,
    replays: replays::Replays,
    mqtt: Option<mqtt::MqttListener>,
    quic: Option<quic::Quic>,
    ready: Arc<AtomicBool>,
    started: std::time::Instant,
}

impl Shared {
    fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        let endpoints = self.endpoints.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        endpoints.values().cloned().collect()
    }
}

/// Why a new configuration was not taken; the old one goes on.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Something that is fixed while a node runs would change.
    #[error("{what} cannot change while the node runs: restart it")]
    NeedsRestart {
        /// What.
        what: &'static str,
    },
    /// The routes do not fit together.
    #[error(transparent)]
    Table(#[from] tables::TableError),
    /// The cursors of a new endpoint cannot be stored.
    #[error(transparent)]
    State(#[from] crate::state::StateError),
    /// More endpoints than a node can number, those that are gone included.
    #[error("more than {} endpoints since the node was started: restart it", engine::limits::ENDPOINTS_MAX)]
    TooManyEndpoints,
}

impl RunningNode {
    /// Where HTTP is served.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// The configuration in force.
    pub fn config(&self) -> &NodeConfig {
        &self.config
    }

    /// What the banner tells.
    pub fn facts(&self) -> crate::banner::Facts {
        let endpoints = self.config.endpoints.iter().filter(|endpoint| !matches!(endpoint.kind, EndpointKind::Hub));
        crate::banner::Facts {
            http_addr: self.http_addr,
            mqtt: self.shared.mqtt.as_ref().map_or_else(Vec::new, |mqtt| mqtt.addresses.clone()),
            quic: self.shared.quic.as_ref().map(|quic| (quic.addr(), quic.fingerprint.map(|print| print.to_string()))),
            ack: self.config.http.ack.name(),
            data_dir: self.config.node.data_dir.clone(),
            events: self.shared.heads.all().iter().sum(),
            partitions: self.config.node.partitions,
            shards: self.cores.len(),
            endpoints: endpoints.map(|endpoint| (endpoint.name.clone(), endpoint.kind.name())).collect(),
            routes: self.config.routes.iter().filter(|route| route.enabled).count(),
        }
    }

    /// All counters at this moment.
    pub fn snapshot(&self) -> crate::metrics::NodeSnapshot {
        snapshot::take(&self.shared)
    }

    /// Puts another configuration in force: endpoints first, then the table, swapped in every shard between two batches.
    pub async fn reload(&mut self, config: NodeConfig) -> Result<(), ReloadError> {
        self.config.same_until_restart(&config).map_err(|what| ReloadError::NeedsRestart { what })?;
        let config = Arc::new(config);
        let ids = self.number_endpoints(&config)?;
        if let Some(mqtt) = &self.shared.mqtt {
            mqtt.reload();
            if config.publishes_retained() {
                mqtt.node.has_retained.store(true, std::sync::atomic::Ordering::Release);
            }
        }
        if let Some(quic) = &self.shared.quic {
            quic.reload();
        }
        // Built before anything changes: a table that cannot be is found here.
        let table = self.shared.observers.reconfigure(config.clone(), ids.clone()).await?;
        let running = self.shared.endpoints();
        let wanted: HashMap<&str, &EndpointKind> =
            config.endpoints.iter().map(|endpoint| (endpoint.name.as_str(), &endpoint.kind)).collect();
        let (kept, ended): (Vec<_>, Vec<_>) =
            running.into_iter().partition(|endpoint| wanted.get(endpoint.name.as_str()) == Some(&&endpoint.kind));
        for endpoint in &ended {
            endpoint.set_mode(FeedMode::Stop);
        }
        for endpoint in &ended {
            if tokio::time::timeout(STAGE_MAX, endpoint.ended()).await.is_err() {
                tracing::warn!(endpoint = %endpoint.name, "does not end in time; going on without it");
            }
        }
        self.cursor_keeper.commit_now(&ended)?;
        self.shared
            .endpoints
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .retain(|name, _| kept.iter().any(|endpoint| endpoint.name == *name));
        self.ids = ids;
        table.install().await;
        self.shared.config.send_replace(config.clone());
        self.config = config;
        self.shared.replays.set_config(self.config.clone());
        self.start_endpoints(HashMap::new())?;
        Ok(())
    }

    /// Numbers for all endpoints: those that have one keep it.
    fn number_endpoints(&self, config: &NodeConfig) -> Result<HashMap<String, EndpointId>, ReloadError> {
        let mut ids = self.ids.clone();
        for endpoint in &config.endpoints {
            let next = ids.len();
            if next >= engine::limits::ENDPOINTS_MAX {
                return Err(ReloadError::TooManyEndpoints);
            }
            ids.entry(endpoint.name.clone()).or_insert(next as EndpointId);
        }
        Ok(ids)
    }

    /// Starts every configured endpoint that is not running, from its stored cursors or where its configuration says.
    fn start_endpoints(&self, mut connected: HashMap<EndpointId, Connected>) -> Result<(), crate::state::StateError> {
        let partitions = self.shared.heads.partitions();
        let mut endpoints = self.shared.endpoints.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut starting = Vec::new();
        let mut unknown = Vec::new();
        let ends = self.shared.heads.all();
        for config in &self.config.endpoints {
            if endpoints.contains_key(&config.name) || matches!(config.kind, EndpointKind::Hub) {
                continue;
            }
            let start = match self.shared.state.cursors(&config.name, partitions)? {
                Some(stored) => stored,
                None => {
                    let start = match config.from {
                        StartFrom::Latest => ends.clone(),
                        StartFrom::Beginning => (0..partitions).map(|p| self.shared.reader.bounds(p).0).collect(),
                    };
                    unknown.push((config.name.clone(), start.clone()));
                    start
                }
            };
            starting.push((config, start));
        }
        // One sync to disk for all of them.
        if !unknown.is_empty() {
            self.shared.state.commit(&unknown)?;
        }
        for (config, mut start) in starting {
            if let Err(error) = sinks::go_on_behind_files(&config.kind, &mut start) {
                tracing::warn!(endpoint = %config.name, %error, "cannot look at the endpoint's files; its sink will say more");
            }
            for (partition, (offset, end)) in start.iter_mut().zip(&ends).enumerate() {
                if *offset > *end {
                    tracing::warn!(
                        endpoint = %config.name, partition, cursor = *offset, end = *end,
                        "the cursor lies behind the end of the log; going on at the end"
                    );
                    *offset = *end;
                }
            }
            let id = self.ids[&config.name];
            let around = Surroundings {
                switchboard: self.shared.switchboard.clone(),
                reader: self.shared.reader.clone(),
                heads: self.shared.heads.clone(),
                data_dir: self.config.node.data_dir.clone(),
            };
            let (endpoint, task) =
                endpoint::prepare(id, &config.name, config.kind.clone(), &start, around, connected.remove(&id));
            endpoints.insert(config.name.clone(), Arc::new(endpoint));
            let core = usize::from(id) % self.core_tasks.len();
            // A core that is gone takes no endpoints; the node is stopping then.
            let _ = self.core_tasks[core].send(Box::new(move |intake| Box::pin(task.run(intake))));
        }
        Ok(())
    }

    /// Takes no more, hands on what there is, and stops: listeners, shards, endpoints, log. Bounded in time.
    pub async fn drain_and_stop(mut self) {
        self.shared.ready.store(false, std::sync::atomic::Ordering::Release);
        self.shared.replays.stop_all();
        for stage in [Stage::Listeners, Stage::Shards] {
            self.stage.send_replace(stage);
            self.wait_for_cores(stage).await;
            if stage == Stage::Listeners {
                // While the shards still answer.
                self.producer_keeper.stop();
            }
        }
        let endpoints = self.shared.endpoints();
        for endpoint in &endpoints {
            endpoint.set_mode(FeedMode::Drain);
        }
        let all_ended = async {
            for endpoint in &endpoints {
                endpoint.ended().await;
            }
        };
        if tokio::time::timeout(DRAIN_MAX, all_ended).await.is_err() {
            for endpoint in &endpoints {
                endpoint.set_mode(FeedMode::Stop);
            }
            for endpoint in &endpoints {
                if tokio::time::timeout(Duration::from_secs(2), endpoint.ended()).await.is_err() {
                    tracing::warn!(endpoint = %endpoint.name, "stopped with deliveries under way; they come again after the next start");
                }
            }
        }
        if let Err(error) = self.cursor_keeper.stop() {
            tracing::error!(%error, "the last cursors could not be stored; some events will be delivered again");
        }
        self.stage.send_replace(Stage::End);
        for core in self.cores.drain(..) {
            if core.join().is_err() {
                tracing::error!("a core thread panicked");
            }
        }
        if let Some(keeper) = self.mqtt_keeper.take() {
            keeper.join();
        }
        if let Err(error) = self.log.close() {
            tracing::error!(%error, "closing the log failed; the next start will check its tail");
        }
    }

    async fn wait_for_cores(&mut self, stage: Stage) {
        let mut missing = self.cores.len();
        let all = async {
            while missing > 0 {
                match self.finished.recv().await {
                    Some(finished) if finished == stage => missing -= 1,
                    Some(_) => {}
                    None => return,
                }
            }
        };
        if tokio::time::timeout(STAGE_MAX, all).await.is_err() {
            tracing::warn!(?stage, "not all cores finished in time; going on");
        }
    }
}
