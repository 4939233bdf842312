//! One life of the node's core: log, writers, shards, intakes and endpoints, on one thread, as a start on the disk finds them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use connectors::intake::{Intake, IntakeError, Receipt};
use engine::batch::HeaderWriter;
use engine::cursor::{Follower, ShardLane};
use engine::filter::{CompileOptions, Dialect, Filter};
use engine::lane::{Heads, lane};
use engine::limits;
use engine::log::{
    Access, Catalog, Full, LogReader, LogStats, Prepared, SegmentWriter, Storage, WriterSettings, recover, write_whole,
};
use engine::mesh::{AckLevel, Append, LogEvent};
use engine::ring::{Bell, Consumer, Producer, ring};
use engine::route::{EndpointId, Route, RouteTable, Source};
use engine::shard::{Command, CommitPolicy, Shard, ShardStats, Wiring};

use crate::disk::{SimDisk, SimFile};
use crate::endpoint::{Endpoint, Spec};
use crate::ledger::{Hole, Ledger, Range, Sent};
use crate::numbered::{Gateway, Stored};
use crate::sabotage::Sabotage;

/// File of the cursors.
const CURSORS: &str = "cursors";

/// How the node is configured.
#[derive(Clone, Debug)]
pub struct Settings {
    pub partitions: u32,
    pub shards: u32,
    pub cores: usize,
    pub writer: WriterSettings,
    pub commit: CommitPolicy,
    pub retention_bytes_max: u64,
    pub endpoints: Vec<Spec>,
    pub sabotage: Sabotage,
}

type Pending<T> = Pin<Box<dyn Future<Output = T>>>;

/// One shard's writer.
struct Writer {
    writer: SegmentWriter<SimDisk>,
    appends: Consumer<Append>,
    events: Producer<LogEvent>,
    refusing: bool,
    /// For the keeper, and from him.
    full: VecDeque<Full<SimFile>>,
    ready: Option<Prepared<SimFile>>,
    /// What it will say, and when.
    done: Option<(u64, LogEvent)>,
}

/// A request under way.
pub struct Request {
    pub events: Vec<(u32, Sent)>,
    pub level: AckLevel,
    pub publisher: usize,
    commit: Pending<Result<Receipt, IntakeError>>,
}

/// See the module.
pub struct Process {
    settings: Settings,
    disk: SimDisk,
    catalog: Arc<Catalog<SimFile>>,
    pub reader: LogReader<SimDisk>,
    pub requests: Vec<Request>,
    intakes: Vec<(Intake, Pending<()>)>,
    shards: Vec<Shard>,
    writers: Vec<Writer>,
    commands: Vec<Producer<Command>>,
    pub gateway: Gateway,
    table: Arc<RouteTable>,
    pub endpoints: Vec<Endpoint>,
    committed: Vec<Vec<u64>>,
}

fn table(settings: &Settings, version: u64, more: u32) -> Arc<RouteTable> {
    let route = |name: String, filter: &str, endpoint: usize| Route {
        name,
        source: Source::DeviceMessages,
        filter: Filter::compile(filter, Dialect::Anabranch, &CompileOptions::default()).expect("valid").0,
        endpoint: endpoint as EndpointId,
        enabled: true,
        every_source: false,
    };
    let specs = settings.endpoints.iter().enumerate();
    let mut routes: Vec<Route> = specs.map(|(at, spec)| route(format!("e{at}"), &spec.filter(), at)).collect();
    // Routes that come and go, to an endpoint that nobody feeds.
    let nobody = settings.endpoints.len();
    routes.extend((0..more).map(|at| route(format!("m{at}"), &format!("$body.t = {at}"), nobody)));
    let enrichments = vec![Arc::from([]); nobody + 1];
    Arc::new(RouteTable::new(version, &routes, None, enrichments).expect("valid"))
}

impl Process {
    /// Starts on what the disk holds. The disk may fail.
    pub fn start(settings: &Settings, disk: &SimDisk, random: &mut fastrand::Rng) -> Result<Self, String> {
        let stats = Arc::new(LogStats::default());
        let (catalog, recovered) =
            recover(disk, settings.partitions, Access::Write, &stats).map_err(|error| error.to_string())?;
        let catalog = Arc::new(catalog);
        let reader = LogReader::new(disk.clone(), catalog.clone(), stats.clone());
        let heads = Heads::new(&recovered.next_offsets);
        let table = table(settings, 1, 0);
        let bell = Bell::default();
        let cores = settings.cores;
        // The last core is that of the publishers who number their events.
        let mut to_shards: Vec<Vec<_>> = (0..=cores).map(|_| Vec::new()).collect();
        let mut from_shards: Vec<Vec<_>> = (0..=cores).map(|_| Vec::new()).collect();
        let (mut shards, mut writers, mut commands) = (Vec::new(), Vec::new(), Vec::new());
        for shard in 0..settings.shards {
            let (mut inlets, mut acks) = (Vec::new(), Vec::new());
            for core in 0..=cores {
                let (to, from) = ring(8, &bell);
                to_shards[core].push(to);
                inlets.push(from);
                let (to, from) = ring(limits::ACKS_MAX, &bell);
                acks.push(to);
                from_shards[core].push(from);
            }
            let (appends, append_from) = ring(limits::LOG_RING_ITEMS_MAX, &bell);
            let (event_to, log_events) = ring(limits::LOG_RING_ITEMS_MAX, &bell);
            let (command_to, command_from) = ring(64, &bell);
            commands.push(command_to);
            let writer =
                SegmentWriter::new(disk.clone(), shard, settings.writer.clone(), catalog.clone(), stats.clone())
                    .map_err(|error| error.to_string())?;
            writers.push(Writer {
                writer,
                appends: append_from,
                events: event_to,
                refusing: false,
                full: VecDeque::new(),
                ready: None,
                done: None,
            });
            let wiring = Wiring {
                shard,
                shards: settings.shards,
                inlets,
                acks,
                appends,
                log_events,
                commands: command_from,
                heads: heads.clone(),
                acked: Heads::new(&recovered.next_offsets),
                stats: Arc::new(ShardStats::default()),
                commit: settings.commit,
                dedup: engine::shard::DedupSettings::default(),
                producers: engine::shard::ProducerSettings::default(),
            };
            shards.push(Shard::new(wiring, &recovered.next_offsets, table.clone()));
        }
        let mut producers = Stored::read(disk)?;
        producers.restore(&reader, &mut shards, settings.sabotage)?;
        let (to, from) = (to_shards.pop().expect("a core"), from_shards.pop().expect("a core"));
        let gateway = Gateway::new(cores as u16, to, from, producers);
        let intakes = to_shards.into_iter().zip(from_shards).enumerate().map(|(core, (to, from))| {
            let intake = Intake::new(core as u16, settings.partitions, to, from, bell.clone());
            let acks = intake.clone();
            let acks: Pending<()> = Box::pin(async move { acks.run_acks().await });
            (intake, acks)
        });
        let stored = read_cursors(disk)?;
        let mut process = Self {
            settings: settings.clone(),
            disk: disk.clone(),
            catalog,
            reader,
            requests: Vec::new(),
            intakes: intakes.collect(),
            shards,
            writers,
            commands,
            gateway,
            table,
            endpoints: Vec::new(),
            committed: stored.clone(),
        };
        for (number, spec) in settings.endpoints.iter().enumerate() {
            let mut start = stored.get(number).cloned().unwrap_or_else(|| vec![0; settings.partitions as usize]);
            for (offset, end) in start.iter_mut().zip(&recovered.next_offsets) {
                *offset = (*offset).min(*end);
            }
            let follower = Follower::new(number as EndpointId, process.connect(number), heads.clone(), start.clone());
            let endpoint = Endpoint::new(number, spec.clone(), follower, &start, random.u64(..), settings.sabotage);
            process.endpoints.push(endpoint);
        }
        Ok(process)
    }

    fn connect(&mut self, endpoint: usize) -> Vec<ShardLane> {
        let bell = Bell::default();
        let mut lanes = Vec::new();
        for (shard, commands) in self.commands.iter_mut().enumerate() {
            let (sender, receiver) = lane(&bell, &bell);
            let partitions = (shard as u32..self.settings.partitions).step_by(self.settings.shards as usize).collect();
            let command =
                Command::Install { table: self.table.clone(), lanes: vec![(endpoint as EndpointId, Some(sender))] };
            assert!(commands.push(command).is_ok(), "room for a command per endpoint");
            lanes.push(ShardLane::new(receiver, partitions));
        }
        lanes
    }

    /// Another table, with `more` routes that nobody is fed by.
    pub fn change_routes(&mut self, more: u32) {
        let table = table(&self.settings, self.table.version() + 1, more);
        if self.commands.iter().any(|commands| commands.room() == 0) {
            return;
        }
        for commands in &mut self.commands {
            let command = Command::Install { table: table.clone(), lanes: Vec::new() };
            assert!(commands.push(command).is_ok(), "room was seen");
        }
        self.table = table;
    }

    /// A publisher sends a request.
    pub fn send(&mut self, publisher: usize, events: Vec<Sent>, level: AckLevel, now_ms: i64) {
        let (intake, _) = &self.intakes[publisher % self.intakes.len()];
        let mut submission = intake.submission(level);
        let (partitions, headers) = (self.settings.partitions, HeaderWriter::default());
        let mut placed = Vec::with_capacity(events.len());
        for sent in events {
            let key = sent.key_text();
            submission.push(Some(key.as_bytes()), sent.body().as_bytes(), &headers, now_ms).expect("small");
            placed.push((engine::batch::partition_of(key.as_bytes(), partitions), sent));
        }
        self.requests.push(Request { events: placed, level, publisher, commit: Box::pin(submission.commit()) });
    }

    /// The cores look after their acks and requests; those that are answered.
    pub fn poll_requests(&mut self) -> Vec<(Request, Result<Receipt, IntakeError>)> {
        let mut context = Context::from_waker(Waker::noop());
        for (_, acks) in &mut self.intakes {
            assert!(acks.as_mut().poll(&mut context).is_pending(), "acks have no end");
        }
        let mut answered = Vec::new();
        let mut at = 0;
        while at < self.requests.len() {
            match self.requests[at].commit.as_mut().poll(&mut context) {
                std::task::Poll::Ready(result) => answered.push((self.requests.swap_remove(at), result)),
                std::task::Poll::Pending => at += 1,
            }
        }
        answered
    }

    /// A shard takes a turn.
    pub fn turn_shard(&mut self, shard: usize, now_us: u64) {
        self.shards[shard].step(now_us);
    }

    /// A writer takes a turn; a sync takes up to `slow_us`.
    pub fn turn_writer(&mut self, shard: usize, now_us: u64, sync_us: u64) {
        let sabotage = self.settings.sabotage;
        let writer = &mut self.writers[shard];
        if let Some((at_us, event)) = writer.done.take() {
            if at_us > now_us {
                writer.done = Some((at_us, event));
                return;
            }
            assert!(writer.events.push(event).is_ok(), "a shard has room for its events");
        }
        match writer.appends.pop() {
            None => {}
            Some(Append::Restart) => writer.refusing = false,
            Some(Append::Group(group)) if writer.refusing && sabotage != Sabotage::IgnoreRestart => {
                assert!(writer.events.push(LogEvent::Refused(group)).is_ok(), "room");
            }
            Some(Append::Group(mut group)) => {
                let upto_seq = group.last_seq();
                let events = Rc::new(RefCell::new(&mut writer.events));
                let written = || assert!(events.borrow_mut().push(LogEvent::Written { upto_seq }).is_ok(), "room");
                let event = match writer.writer.append(&mut group, written) {
                    Ok(()) => LogEvent::Synced(group),
                    Err(_) if sabotage == Sabotage::AcknowledgeFailures => LogEvent::Synced(group),
                    Err(_) => {
                        writer.refusing = true;
                        LogEvent::Failed(group)
                    }
                };
                writer.done = Some((now_us + sync_us, event));
            }
        }
        writer.writer.take_notices();
        writer.full.extend(writer.writer.take_full());
    }

    /// The keeper beside a writer takes a turn: late, early or never, as it comes.
    pub fn turn_keeper(&mut self, shard: usize, random: &mut fastrand::Rng) {
        let writer = &mut self.writers[shard];
        let keeper = writer.writer.keeper();
        match random.u8(..4) {
            0 => {
                // What was asked for before may be ready only now.
                if writer.ready.is_none() && writer.writer.wants_segment() {
                    writer.ready = keeper.prepare().ok();
                }
            }
            1 => {
                if let Some(late) = writer.ready.take().and_then(|ready| writer.writer.provide(ready)) {
                    let _ = keeper.discard(late);
                }
            }
            2 => {
                if let Some(full) = writer.full.pop_front() {
                    keeper.finish(full);
                }
            }
            _ => {
                keeper.retain(self.settings.retention_bytes_max, None);
            }
        }
    }

    /// An endpoint takes a turn.
    pub fn turn_endpoint(
        &mut self,
        endpoint: usize,
        random: &mut fastrand::Rng,
        ledger: &mut Ledger,
        now_us: u64,
    ) -> Result<(), String> {
        let mut around = crate::endpoint::Surroundings { random, ledger, now_us };
        self.endpoints[endpoint].turn(&mut around, &self.table, &self.reader)
    }

    /// The cursors are stored, all or none.
    pub fn commit_cursors(&mut self) {
        let cursors: Vec<Vec<u64>> = self.endpoints.iter().map(Endpoint::committed).collect();
        if cursors == self.committed {
            return;
        }
        let lines: String = cursors.iter().map(|cursors| format!("{cursors:?}\n")).collect();
        // What cannot be stored now is stored the next time.
        if write_whole(&self.disk, CURSORS, lines.as_bytes()).is_ok() {
            self.committed = cursors;
        }
    }

    /// The progress of those who number their events is stored, all or nothing.
    pub fn store_producers(&mut self) {
        self.gateway.store(&mut self.commands, &self.disk);
    }

    /// Compares the whole log with what the ledger knows; what is damaged.
    pub fn check_log(&self, ledger: &mut Ledger) -> Result<Vec<(u32, Range)>, String> {
        let mut damaged = Vec::new();
        for partition in 0..self.reader.partitions() {
            let bounds = self.reader.bounds(partition);
            let holes = ledger.check_partition(partition, bounds, |from| {
                self.reader.read(partition, from, 3000).map_err(|error| match error {
                    engine::log::ReadError::Damaged { next, .. } => Hole { next },
                    error => panic!("{error}"),
                })
            })?;
            damaged.extend(holes.into_iter().map(|hole| (partition, hole)));
        }
        Ok(damaged)
    }

    /// Nothing is left to do.
    pub fn is_at_rest(&self) -> bool {
        self.requests.is_empty()
            && self.shards.iter().all(Shard::is_idle)
            && self.writers.iter().all(|writer| writer.done.is_none() && writer.appends.is_empty())
            && self.endpoints.iter().all(Endpoint::is_at_rest)
    }

    /// What keeps it from rest.
    pub fn unrest(&self) -> String {
        format!(
            "{} requests, shards idle {:?}, endpoints at rest {:?}, ends {:?}",
            self.requests.len(),
            self.shards.iter().map(Shard::is_idle).collect::<Vec<_>>(),
            self.endpoints.iter().map(Endpoint::is_at_rest).collect::<Vec<_>>(),
            self.catalog.ends()
        )
    }

    /// Each endpoint's cursors and the log's ends.
    pub fn cursors_and_ends(&self) -> (Vec<Vec<u64>>, Vec<u64>) {
        (self.endpoints.iter().map(|endpoint| endpoint.cursors.all()).collect(), self.catalog.ends())
    }
}

/// The text of a file, if there is one.
pub fn read_whole(disk: &SimDisk, name: &str) -> Result<Option<String>, String> {
    use engine::log::{ReadAt, StorageFile};
    let file = match disk.open(name) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut bytes = vec![0; file.bytes().map_err(|error| error.to_string())? as usize];
    let count = file.read_at(0, &mut bytes).map_err(|error| error.to_string())?;
    String::from_utf8(bytes[..count].to_vec()).map(Some).map_err(|error| error.to_string())
}

fn read_cursors(disk: &SimDisk) -> Result<Vec<Vec<u64>>, String> {
    let text = read_whole(disk, CURSORS)?.unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).map_err(|error| format!("cursors: {error}"))).collect()
}
