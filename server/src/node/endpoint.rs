//! One endpoint at work: its feeder and its sink, started again with back-off when the sink gives up.
//!
//! What always holds: an endpoint's trouble stays its own; whatever happens to its sink, it goes on from its cursors.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use connectors::hub::LogReader;
use connectors::intake::Intake;
use connectors::sink::{Cursors, Feed, SinkStats, feed};
use engine::cursor::Follower;
use engine::lane::Heads;
use engine::ring::Bell;
use engine::route::EndpointId;
use tokio::sync::watch;

use super::feeder::{FeedMode, Feeder};
use super::switchboard::{Connected, Switchboard};
use crate::config::EndpointKind;

/// First and longest pause before a sink that failed is started again.
const RESTART_MIN: Duration = Duration::from_millis(500);
const RESTART_MAX: Duration = Duration::from_secs(30);

/// What the node keeps of a running endpoint.
pub struct Endpoint {
    /// Its number in every table.
    pub id: EndpointId,
    /// Its name.
    pub name: String,
    /// As configured: a reload restarts it if this changes.
    pub kind: EndpointKind,
    /// What it counts.
    pub stats: Arc<SinkStats>,
    /// Events that retention removed before they were delivered.
    pub lost_events: Arc<AtomicU64>,
    /// It is fed from the log, not from memory.
    pub is_behind: Arc<AtomicBool>,
    cursors: Arc<Mutex<Arc<Cursors>>>,
    mode: watch::Sender<FeedMode>,
    /// Closed when the task has ended.
    ended: watch::Receiver<()>,
}

/// What every endpoint of a node shares.
#[derive(Clone)]
pub struct Surroundings {
    /// Lanes and tables.
    pub switchboard: Arc<Switchboard>,
    /// The log.
    pub reader: LogReader,
    /// How far the shards are.
    pub heads: Heads,
    /// Folder of the node's data, for dead letters.
    pub data_dir: std::path::PathBuf,
}

/// An endpoint that waits for a core to run it.
pub struct EndpointTask {
    id: EndpointId,
    name: String,
    kind: EndpointKind,
    stats: Arc<SinkStats>,
    lost_events: Arc<AtomicU64>,
    is_behind: Arc<AtomicBool>,
    cursors: Arc<Mutex<Arc<Cursors>>>,
    mode: watch::Receiver<FeedMode>,
    _ended: watch::Sender<()>,
    around: Surroundings,
    /// Lanes that were laid before it runs.
    connected: Option<Connected>,
}

/// Prepares an endpoint that goes on at `start`, one offset per partition, by lanes that are laid already if there are any.
pub fn prepare(
    id: EndpointId,
    name: &str,
    kind: EndpointKind,
    start: &[u64],
    around: Surroundings,
    connected: Option<Connected>,
) -> (Endpoint, EndpointTask) {
    let (mode, mode_of_task) = watch::channel(FeedMode::Follow);
    let (ended_sender, ended) = watch::channel(());
    let cursors = Arc::new(Mutex::new(Arc::new(Cursors::new(start))));
    let stats = Arc::new(SinkStats::default());
    let lost_events = Arc::new(AtomicU64::new(0));
    let is_behind = Arc::new(AtomicBool::new(true));
    let task = EndpointTask {
        id,
        name: name.to_owned(),
        kind: kind.clone(),
        stats: stats.clone(),
        lost_events: lost_events.clone(),
        is_behind: is_behind.clone(),
        cursors: cursors.clone(),
        mode: mode_of_task,
        _ended: ended_sender,
        around,
        connected,
    };
    let name = name.to_owned();
    (Endpoint { id, name, kind, stats, lost_events, is_behind, cursors, mode, ended }, task)
}

impl Endpoint {
    /// Where it stands, per partition.
    pub fn cursors(&self) -> Vec<u64> {
        current(&self.cursors).all()
    }

    /// Tells it what to do.
    pub fn set_mode(&self, mode: FeedMode) {
        self.mode.send_replace(mode);
    }

    /// Resolves when it has ended. The task never sends: its end closes the channel.
    pub async fn ended(&self) {
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

fn current(cursors: &Mutex<Arc<Cursors>>) -> Arc<Cursors> {
    cursors.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

impl EndpointTask {
    /// Runs until the node says that it is over; `intake` is that of the core that runs it.
    pub async fn run(mut self, intake: Intake) {
        let mut pause = RESTART_MIN;
        loop {
            let start = current(&self.cursors).all();
            let cursors = Arc::new(Cursors::new(&start));
            *self.cursors.lock().unwrap_or_else(PoisonError::into_inner) = cursors.clone();
            let (sender, feed) = feed(super::sinks::feed_bytes_max(&self.kind), cursors);
            let (bell, lanes) = match self.connected.take() {
                Some(connected) => connected,
                None => {
                    let bell = Bell::default();
                    let lanes = self.around.switchboard.connect(self.id, &bell).await;
                    (bell, lanes)
                }
            };
            let feeder = Feeder {
                follower: Follower::new(self.id, lanes, self.around.heads.clone(), start),
                name: self.name.clone(),
                bell,
                sender,
                reader: self.around.reader.clone(),
                table: self.around.switchboard.table().clone(),
                mode: self.mode.clone(),
                lost_events: self.lost_events.clone(),
                is_behind: self.is_behind.clone(),
            };
            let began = tokio::time::Instant::now();
            let result = {
                let mut sink = std::pin::pin!(self.sink(feed, intake.clone()));
                tokio::select! {
                    result = &mut sink => result,
                    () = feeder.run() => sink.await,
                }
            };
            self.around.switchboard.disconnect(self.id).await;
            if *self.mode.borrow() != FeedMode::Follow {
                if let Err(error) = result {
                    tracing::error!(endpoint = %self.name, error, "the endpoint ended with an error");
                }
                return;
            }
            let error = result.err().unwrap_or_else(|| "it ended without being told to".to_owned());
            self.stats.failed(&error);
            if began.elapsed() > RESTART_MAX {
                pause = RESTART_MIN;
            }
            tracing::error!(endpoint = %self.name, error, "the endpoint stopped; starting it again in {pause:?}");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.mode.wait_for(|mode| *mode != FeedMode::Follow) => return,
            }
            pause = (pause * 2).min(RESTART_MAX);
        }
    }

    async fn sink(&self, feed: Feed, intake: Intake) -> Result<(), String> {
        super::sinks::run(&self.name, &self.kind, &self.around.data_dir, feed, intake, self.stats.clone()).await
    }
}
