//! The MQTT listener of the node: what its cores share, and what each core needs to serve it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use connectors::hub::{LogReader, ReadError};
use connectors::intake::Intake;
use connectors::mqtt::MqttConfig;
use connectors::mqtt::access::{Access, AccessError};
use connectors::mqtt::mail::Mail;
use connectors::mqtt::node::{Mailboxes, Node, Parts};
use connectors::mqtt::source::{self, Core, Sockets};
use connectors::mqtt::stats::MqttStats;
use connectors::mqtt::store::{Changes, Keeper, SessionStore, StoreError};
use connectors::mqtt::tls::{TlsError, TlsSource};
use engine::cursor::{Follower, ShardLane};
use engine::lane::Heads;
use engine::ring::Bell;
use engine::route::RouteTable;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

use super::core::Stage;
use super::feeder::{FeedMode, Feeder};
use super::start::{StartError, listen};
use super::switchboard::Switchboard;
use super::tap::Tap;
use crate::metrics::MqttSnapshot;
use crate::state::State;

/// Why there can be no MQTT.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    /// Files of passwords, keys or permissions.
    #[error("MQTT: {0}")]
    Access(#[from] AccessError),
    /// Certificates.
    #[error("MQTT: {0}")]
    Tls(#[from] TlsError),
    /// Stored sessions.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The end of the log.
    #[error("cannot read what the log took last, for the sessions of MQTT clients: {0}")]
    Read(#[from] ReadError),
}

/// Addresses that MQTT is served on, by their scheme.
pub type Addresses = Vec<(&'static str, SocketAddr)>;

/// What is kept while the node runs.
pub struct MqttListener {
    /// What the cores share.
    pub node: Arc<Node>,
    /// What each core counts.
    pub stats: Vec<Arc<MqttStats>>,
    /// Where it listens.
    pub addresses: Addresses,
    tls: Option<Arc<TlsSource>>,
}

impl MqttListener {
    /// Open connections.
    pub fn connections(&self) -> u64 {
        self.node.connections.load(Ordering::Relaxed) as u64
    }

    /// What is counted.
    pub fn snapshot(&self) -> MqttSnapshot {
        let mut counters: Vec<(&'static str, &'static str, u64)> = Vec::new();
        for stats in &self.stats {
            for (at, (name, help, value)) in stats.all().enumerate() {
                match counters.get_mut(at) {
                    Some(sum) => sum.2 += value,
                    None => counters.push((name, help, value)),
                }
            }
        }
        let retained = self.node.retained.stats();
        MqttSnapshot {
            counters,
            sessions: self.node.registry.len() as u64,
            retained_messages: retained.messages,
            retained_bytes: retained.bytes,
            retained_refused: retained.refused,
        }
    }

    /// Reads the files of access and TLS again; what cannot be read stays as it was.
    pub fn reload(&self) {
        match self.node.access.reload() {
            Ok(()) => (0..self.node.cores()).for_each(|core| self.node.mailboxes().send(core, Mail::Renew)),
            Err(error) => tracing::error!(%error, "MQTT: the old permissions and passwords go on"),
        }
        if let Some(Err(error)) = self.tls.as_ref().map(|tls| tls.reload()) {
            tracing::error!(%error, "MQTT: the old certificates go on");
        }
    }
}

/// What one core needs.
pub struct MqttServing {
    parts: CoreParts,
    sockets: Sockets,
    mail: UnboundedReceiver<Mail>,
    bell: Bell,
    lanes: Vec<ShardLane>,
    heads: Heads,
    table: Arc<ArcSwap<RouteTable>>,
    stage: watch::Receiver<Stage>,
}

struct CoreParts {
    core: u16,
    node: Arc<Node>,
    stats: Arc<MqttStats>,
    log: LogReader,
    keeper: std::sync::mpsc::Sender<Changes>,
    tls: Option<Arc<TlsSource>>,
    tap: Box<[u64]>,
}

/// Everything of MQTT that a node starts with.
pub struct Started {
    /// Stays with the node.
    pub listener: MqttListener,
    /// One for each core.
    pub servings: Vec<MqttServing>,
    /// Ends when the cores have ended.
    pub keeper: Keeper,
}

/// What the node has that MQTT uses.
pub struct Around<'n> {
    /// Name of the node.
    pub name: &'n str,
    /// Number of cores.
    pub cores: usize,
    /// The log.
    pub reader: LogReader,
    /// How far the shards are.
    pub heads: Heads,
    /// What was acknowledged.
    pub acked: Heads,
    /// Lanes and table.
    pub switchboard: &'n Switchboard,
    /// Where sessions are stored.
    pub state: Arc<State>,
    /// How far a stop has come.
    pub stage: watch::Receiver<Stage>,
    /// Some endpoint publishes retained messages.
    pub retains: bool,
}

/// Opens files, sockets and stored sessions, and lays the taps, before the shards run.
pub fn start(config: &MqttConfig, around: Around<'_>) -> Result<Started, StartError> {
    let access = Access::new(&config.access).map_err(MqttError::from)?;
    let tls = config.tls.as_ref().map(TlsSource::load).transpose().map_err(MqttError::from)?.map(Arc::new);
    let mut sockets: Vec<Sockets> = (0..around.cores).map(|_| Sockets::default()).collect();
    let mut addresses = Vec::new();
    type Place = fn(&mut Sockets) -> &mut Option<std::net::TcpListener>;
    let wanted: [(_, _, Place); 4] = [
        ("mqtt", config.listen, |sockets| &mut sockets.tcp),
        ("mqtts", config.tls_listen, |sockets| &mut sockets.tls),
        ("ws", config.ws_listen, |sockets| &mut sockets.ws),
        ("wss", config.wss_listen, |sockets| &mut sockets.wss),
    ];
    for (scheme, addr, place) in wanted {
        let Some(addr) = addr else { continue };
        let (addr, listeners) = listen(addr, around.cores, "--mqtt-listen")?;
        addresses.push((scheme, addr));
        for (sockets, listener) in sockets.iter_mut().zip(listeners) {
            *place(sockets) = Some(listener);
        }
    }
    let saved = around.state.load().map_err(MqttError::from)?;
    let (mailboxes, mails) = Mailboxes::new(around.cores);
    let parts = Parts {
        settings: config.clone(),
        name: around.name.to_owned(),
        access,
        acked: around.acked,
        mailboxes: mailboxes.clone(),
        is_durable: true,
    };
    let node = Arc::new(Node::open(parts, &saved, &around.reader).map_err(MqttError::from)?);
    SessionStore::commit(&*around.state, &node.first_commit()).map_err(MqttError::from)?;
    if around.retains {
        node.has_retained.store(true, Ordering::Relaxed);
    }
    let (keeper_sender, keeper) = Keeper::start(around.state, mailboxes).map_err(StartError::Thread)?;
    let tap: Box<[u64]> = around.heads.all().into();
    let stats: Vec<Arc<MqttStats>> = (0..around.cores).map(|_| Arc::default()).collect();
    let mut servings = Vec::with_capacity(around.cores);
    for (core, (sockets, mail)) in sockets.into_iter().zip(mails).enumerate() {
        let bell = Bell::default();
        let lanes = around.switchboard.tap(&bell).ok_or(StartError::Tap)?;
        servings.push(MqttServing {
            parts: CoreParts {
                core: core as u16,
                node: node.clone(),
                stats: stats[core].clone(),
                log: around.reader.clone(),
                keeper: keeper_sender.clone(),
                tls: tls.clone(),
                tap: tap.clone(),
            },
            sockets,
            mail,
            bell,
            lanes,
            heads: around.heads.clone(),
            table: around.switchboard.table().clone(),
            stage: around.stage.clone(),
        });
    }
    // The mail waits until the cores read it.
    node.restore_shares();
    Ok(Started { listener: MqttListener { node, stats, addresses, tls }, servings, keeper })
}

impl MqttServing {
    /// The core's broker, and what serves it until the stage passes `Run`.
    pub fn start(self, intake: Intake) -> (Rc<Core>, impl Future<Output = ()>) {
        let Self { parts, sockets, mail, bell, lanes, heads, table, mut stage } = self;
        let tap = parts.tap.to_vec();
        let name = format!("mqtt core {}", parts.core);
        let reader = parts.log.clone();
        let core = Core::new(source::Parts {
            core: parts.core,
            node: parts.node,
            stats: parts.stats,
            intake,
            log: parts.log,
            keeper: parts.keeper,
            tls: parts.tls,
            tap: parts.tap,
        });
        let serving = core.clone();
        let (mode, mode_of_feeder) = watch::channel(FeedMode::Follow);
        let feeder = Feeder {
            follower: Follower::tap(lanes, heads, tap),
            name,
            bell,
            sender: Tap(core.clone()),
            reader,
            table,
            mode: mode_of_feeder,
            lost_events: Arc::default(),
            is_behind: Arc::new(AtomicBool::new(false)),
        };
        let run = async move {
            let tap = tokio::task::spawn_local(feeder.run());
            let shutdown = async move {
                // An error means that the node is gone.
                let _ = stage.wait_for(|stage| *stage > Stage::Run).await;
            };
            serving.serve(sockets, mail, shutdown).await;
            mode.send_replace(FeedMode::Stop);
            tap.abort();
        };
        (core, run)
    }
}
