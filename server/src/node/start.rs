//! Starting a node: lock and recover the log, bind the listeners, wire cores and shards, start the endpoints.
//!
//! What can fail for reasons outside (folder, lock, port) is done first, so that a failed start leaves nothing behind.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use connectors::http::HttpStats;
use connectors::hub::{self, LogOptions, LogReader, ReadError};
use connectors::intake::Intake;
use engine::lane::Heads;
use engine::limits;
use engine::mesh::{Ack, Submitted};
use engine::ring::{Bell, Consumer, Producer, ring};
use engine::route::EndpointId;
use engine::shard::{Command, CommitPolicy, DedupSettings, ProducerSettings, Shard, ShardStats, Wiring};
use tokio::sync::{Notify, mpsc, watch};

use super::core::{self, CoreSetup, Stage};
use super::cursors::CursorKeeper;
use super::observers::Observers;
use super::producers::{self, ProducerKeeper};
use super::replays::Replays;
use super::switchboard::Switchboard;
use super::{RunningNode, Shared, snapshot, tables};
use crate::api::{self, ApiState};
use crate::config::{EndpointKind, NodeConfig};
use crate::state::{State, StateError};

/// Control commands that wait for a shard, a tap for each core among them.
const COMMANDS_MAX: usize = 512;

/// Why the node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be made.
    #[error("cannot create the data folder {path}: {error}; choose another with --data-dir")]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] hub::OpenError),
    /// The end of the log cannot be read.
    #[error("cannot read what the log took last, to recognise events that come again: {0}")]
    Read(#[from] ReadError),
    /// Definitions and cursors cannot be opened.
    #[error(transparent)]
    State(#[from] StateError),
    /// The address is taken or not ours.
    #[error("cannot listen on {addr}: {error}; choose another with {flag} (port 0 lets the system choose)")]
    Listen {
        /// The flag that names another.
        flag: &'static str,
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// MQTT cannot be served.
    #[error(transparent)]
    Mqtt(#[from] super::mqtt::MqttError),
    /// QUIC cannot be served.
    #[error(transparent)]
    Quic(#[from] super::quic::QuicError),
    /// A shard takes no command.
    #[error("the shards cannot be tapped")]
    Tap,
    /// Routes and endpoints do not fit together; `anabranch check` says more.
    #[error(transparent)]
    Table(#[from] tables::TableError),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// One ring from every core to every shard, and one back.
struct Mesh {
    to_shards: Vec<Vec<Producer<Submitted>>>,
    inlets: Vec<Vec<Consumer<Submitted>>>,
    acks: Vec<Vec<Producer<Ack>>>,
    from_shards: Vec<Vec<Consumer<Ack>>>,
}

impl Mesh {
    fn new(cores: usize, core_bells: &[Bell], shard_bells: &[Bell]) -> Self {
        let mut mesh = Self {
            to_shards: (0..cores).map(|_| Vec::new()).collect(),
            inlets: (0..cores).map(|_| Vec::new()).collect(),
            acks: (0..cores).map(|_| Vec::new()).collect(),
            from_shards: (0..cores).map(|_| Vec::new()).collect(),
        };
        for (core, core_bell) in core_bells.iter().enumerate() {
            for (shard, shard_bell) in shard_bells.iter().enumerate() {
                let (to, from) = ring(limits::MESH_BATCHES_MAX, shard_bell);
                mesh.to_shards[core].push(to);
                mesh.inlets[shard].push(from);
                let (to, from) = ring(limits::ACKS_MAX, core_bell);
                mesh.acks[shard].push(to);
                mesh.from_shards[core].push(from);
            }
        }
        mesh
    }
}

/// Starts the node. Blocks until it is ready, or says why it is not.
pub fn start(config: NodeConfig) -> Result<RunningNode, StartError> {
    let data_dir = config.node.data_dir.clone();
    std::fs::create_dir_all(&data_dir).map_err(|error| StartError::DataDir { path: data_dir.clone(), error })?;
    let partitions = config.node.partitions;
    let log_options = LogOptions {
        segment_bytes_max: config.log.segment_bytes_max,
        retention_bytes_max: config.log.retention_bytes_max,
        retention_age_s_max: config.log.retention_age_s_max,
        direct_io: config.log.direct_io,
        recent_bytes_max: config.log.recent_bytes_max,
        ..LogOptions::new(data_dir.join("log"), partitions)
    };
    let (mut log, recovered) = hub::open(&log_options)?;
    let state = Arc::new(State::open(&data_dir.join("state.redb"))?);
    let cpus = core::cpus();
    let cores = match config.node.shards {
        0 => cpus.len(),
        shards => shards as usize,
    }
    .clamp(1, partitions as usize);
    let (http_addr, listeners) = listen(config.http.listen, cores, "--http-listen")?;

    let ids: HashMap<String, EndpointId> = config
        .endpoints
        .iter()
        .enumerate()
        .map(|(number, endpoint)| (endpoint.name.clone(), number as EndpointId))
        .collect();
    let table = Arc::new(tables::build(&config, 1, &ids, std::iter::empty())?);
    let core_bells: Vec<Bell> = (0..cores).map(|_| Bell::default()).collect();
    let shard_bells: Vec<Bell> = (0..cores).map(|_| Bell::default()).collect();
    let mut mesh = Mesh::new(cores, &core_bells, &shard_bells);
    let heads = Heads::new(&recovered.next_offsets);
    let acked = Heads::new(&recovered.next_offsets);
    let shard_stats: Vec<Arc<ShardStats>> = (0..cores).map(|_| Arc::default()).collect();
    let http_stats: Vec<Arc<HttpStats>> = (0..cores).map(|_| Arc::default()).collect();
    let committed = Arc::new(Notify::new());
    let connections = Arc::new(std::sync::atomic::AtomicUsize::new(0));

    let dedup = DedupSettings {
        window_ms: config.log.dedup_window_s_max * 1000,
        ids_max: config.log.dedup_ids_max,
        seed: std::hash::RandomState::new().hash_one(std::process::id()),
    };
    let producer_settings = ProducerSettings {
        window_ms: config.log.producer_window_s_max * 1000,
        producers_max: config.log.producers_max,
        seed: dedup.seed,
    };
    let mut commands = Vec::with_capacity(cores);
    let mut shards = Vec::with_capacity(cores);
    for number in 0..cores {
        let writer = log.shard_writer(number as u32, &shard_bells[number])?;
        let (command_to, command_from) = ring::<Command>(COMMANDS_MAX, &shard_bells[number]);
        commands.push(command_to);
        let wiring = Wiring {
            shard: number as u32,
            shards: cores as u32,
            inlets: std::mem::take(&mut mesh.inlets[number]),
            acks: std::mem::take(&mut mesh.acks[number]),
            appends: writer.appends,
            log_events: writer.events,
            commands: command_from,
            heads: heads.clone(),
            acked: acked.clone(),
            stats: shard_stats[number].clone(),
            dedup,
            producers: producer_settings,
            commit: CommitPolicy {
                bytes_max: config.log.commit_bytes_max,
                delay_us_max: config.log.commit_delay_ms_max * 1000,
            },
        };
        let mut shard = Shard::new(wiring, &recovered.next_offsets, table.clone());
        if dedup.window_ms > 0 {
            remember(&log.reader(), (number as u32..partitions).step_by(cores), dedup, &mut shard)?;
        }
        shards.push(shard);
    }
    producers::restore(&state, &log.reader(), producer_settings.window_ms, &mut shards)?;
    let switchboard =
        Arc::new(Switchboard::new(commands, shard_bells.clone(), Arc::new(ArcSwap::new(table)), partitions));
    let connected = switchboard.connect_all(
        config.endpoints.iter().filter(|endpoint| !matches!(endpoint.kind, EndpointKind::Hub)).map(|e| ids[&e.name]),
    );
    let (stage, stage_of_cores) = watch::channel(Stage::Run);
    let mqtt = match &config.mqtt {
        Some(settings) => Some(super::mqtt::start(
            settings,
            super::mqtt::Around {
                name: &config.node.name,
                cores,
                reader: log.reader(),
                heads: heads.clone(),
                acked,
                switchboard: &switchboard,
                state: state.clone(),
                stage: stage_of_cores.clone(),
                retains: config.publishes_retained(),
            },
        )?),
        None => None,
    };
    let (mqtt, mqtt_servings, mqtt_keeper) = match mqtt {
        Some(started) => (Some(started.listener), started.servings, Some(started.keeper)),
        None => (None, Vec::new(), None),
    };
    let mut mqtt_servings = mqtt_servings.into_iter();
    let config = Arc::new(config);
    let observers = Arc::new(Observers::new(switchboard.clone(), config.clone(), ids.clone()));
    let (config_sender, config_of_cores) = watch::channel(config.clone());
    let quic = match &config.quic {
        Some(settings) => {
            let around = super::quic::HubAround {
                observers: observers.clone(),
                reader: log.reader(),
                heads: heads.clone(),
                config: config_of_cores,
                subscribers: Arc::new(
                    super::quic::Subscribers::start(state.clone(), partitions).map_err(StartError::Thread)?,
                ),
            };
            Some(super::quic::start(settings, &config, cores, &around, &stage_of_cores)?)
        }
        None => None,
    };
    let (quic, quic_servings) = quic.unzip();
    let mut quic_servings = quic_servings.into_iter().flatten();
    let replays = Replays::new(log.reader(), config.clone());
    let shared = Arc::new(Shared {
        observers,
        config: config_sender,
        switchboard,
        reader: log.reader(),
        heads,
        log_stats: log.stats(),
        shard_stats,
        http_stats: http_stats.clone(),
        endpoints: std::sync::RwLock::new(BTreeMap::new()),
        state,
        replays: replays.clone(),
        mqtt,
        quic,
        ready: Arc::new(AtomicBool::new(false)),
        started: std::time::Instant::now(),
    });
    let router = api::router(ApiState {
        reader: log.reader(),
        committed: committed.clone(),
        metrics: {
            let shared = shared.clone();
            Arc::new(move || crate::metrics::render(&snapshot::take(&shared)))
        },
        replays: replays.clone(),
        ready: shared.ready.clone(),
    });

    let (finished_sender, finished) = mpsc::unbounded_channel();
    let mut core_tasks = Vec::with_capacity(cores);
    let mut threads = Vec::with_capacity(cores);
    let parts = shards.into_iter().zip(listeners).zip(mesh.to_shards.into_iter().zip(mesh.from_shards)).enumerate();
    for (number, ((shard, listener), (to_shards, from_shards))) in parts {
        let (tasks_sender, tasks) = mpsc::unbounded_channel();
        core_tasks.push(tasks_sender);
        let bell = core_bells[number].clone();
        let http = super::sinks::HttpServing {
            listener,
            config: config.http.clone(),
            router: router.clone(),
            stats: http_stats[number].clone(),
            connections: connections.clone(),
            stage: stage_of_cores.clone(),
        };
        let mqtt = mqtt_servings.next();
        let quic = quic_servings.next();
        let setup = CoreSetup {
            core: number,
            cpu: (cores <= cpus.len()).then(|| cpus[number]),
            intake: Box::new(move || Intake::new(number as u16, partitions, to_shards, from_shards, bell)),
            shard,
            shard_bell: shard_bells[number].clone(),
            committed: committed.clone(),
            listener: Box::new(move |intake| Box::pin(serve(http, mqtt, quic, intake))),
            tasks,
            stage: stage_of_cores.clone(),
            finished: finished_sender.clone(),
        };
        let thread = std::thread::Builder::new().name(format!("core-{number}")).spawn(move || {
            if let Err(error) = core::run(setup) {
                tracing::error!(core = number, %error, "the core's runtime cannot be started");
            }
        });
        threads.push(thread.map_err(StartError::Thread)?);
    }
    let cursor_keeper = CursorKeeper::start(shared.clone()).map_err(StartError::Thread)?;
    let producer_keeper =
        ProducerKeeper::start(shared.state.clone(), shared.switchboard.clone(), producers::REPORT_INTERVAL)
            .map_err(StartError::Thread)?;
    replays.run_on(core_tasks.clone());
    let node = RunningNode {
        config,
        http_addr,
        log,
        shared,
        cores: threads,
        core_tasks,
        stage,
        finished,
        cursor_keeper,
        producer_keeper,
        mqtt_keeper,
        ids,
    };
    node.start_endpoints(connected)?;
    node.shared.ready.store(true, Ordering::Release);
    Ok(node)
}

/// All listeners of a core, until all have ended.
async fn serve(
    http: super::sinks::HttpServing,
    mqtt: Option<super::mqtt::MqttServing>,
    quic: Option<super::quic::QuicServing>,
    intake: Intake,
) {
    let (broker, mqtt) = mqtt.map(|mqtt| mqtt.start(intake.clone())).unzip();
    let mqtt = async {
        if let Some(mqtt) = mqtt {
            mqtt.await;
        }
    };
    let quic = async {
        if let Some(quic) = quic {
            quic.run(intake.clone(), broker).await;
        }
    };
    tokio::join!(http.run(intake.clone()), mqtt, quic);
}

/// Shows the shard what its partitions have taken within the window, but no more events than it would remember.
fn remember(
    reader: &LogReader,
    partitions: impl Iterator<Item = u32>,
    dedup: DedupSettings,
    shard: &mut Shard,
) -> Result<(), StartError> {
    const READ_BYTES_MAX: usize = 1024 * 1024;
    let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    for partition in partitions {
        let end = reader.bounds(partition).1;
        let since = reader.offset_at(partition, now_ms.saturating_sub_unsigned(dedup.window_ms))?;
        let mut next = since.max(end.saturating_sub(dedup.ids_max as u64));
        while next < end {
            match reader.read(partition, next, READ_BYTES_MAX) {
                Ok(batches) => {
                    for batch in batches {
                        shard.remember(&batch);
                        next = batch.last_offset() + 1;
                    }
                }
                // What cannot be read cannot be recognised when it comes again.
                Err(ReadError::Damaged { next: behind, .. } | ReadError::FallenOff { first_available: behind, .. }) => {
                    next = behind.max(next + 1);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// One listening socket per core on the same address; the system spreads connections over them.
///
/// `SO_REUSEPORT` lets any process of the same user join silently, so the address is first bound without it: that fails if
/// somebody else has it.
pub(super) fn listen(
    addr: SocketAddr,
    cores: usize,
    flag: &'static str,
) -> Result<(SocketAddr, Vec<TcpListener>), StartError> {
    let fail = |error| StartError::Listen { flag, addr, error };
    let probe = bind(addr, false).map_err(fail)?;
    let addr = probe.local_addr().map_err(fail)?;
    drop(probe);
    let listeners = (0..cores).map(|_| bind(addr, true)).collect::<Result<_, _>>().map_err(fail)?;
    Ok((addr, listeners))
}

fn bind(addr: SocketAddr, shared: bool) -> std::io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // A node that starts again must get its port while old connections are still in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    // Accepted sockets inherit it: one system call per listener instead of one per connection.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&addr.into())?;
    socket.listen(if shared { 1024 } else { 1 })?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
