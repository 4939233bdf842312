//! Feeds one endpoint: does what the engine's [`Follower`] says, with the log, the sink and the clock.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use connectors::hub::{LogReader, ReadError};
use connectors::sink::{FeedSender, SinkGone, Taken};
use engine::cursor::{Follower, Step};
use engine::lane::Delivery;
use engine::ring::Bell;
use engine::route::{Matcher, RouteTable};
use tokio::sync::watch;

/// Bytes that one read of the log brings into memory for an endpoint that is behind.
const REPLAY_BYTES_MAX: usize = 1024 * 1024;
/// The same for the first read after a refusal: what the sink refuses again was read for nothing. It doubles with each read.
const REPLAY_BYTES_MIN: usize = 128 * 1024;
/// How often an endpoint without matches moves its cursor over what was not wanted.
const ADVANCE_INTERVAL: Duration = Duration::from_millis(500);

thread_local! {
    /// For what is matched again because it comes from the log: the memory of one, however many are behind on this thread.
    static MATCHER: RefCell<Matcher> = RefCell::default();
}

/// What an endpoint is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedMode {
    /// Follow the log.
    Follow,
    /// Nothing new comes: hand over all up to the heads and end.
    Drain,
    /// End now; what is not settled comes again after the next start.
    Stop,
}

/// Where a feeder hands over.
pub trait Handing {
    /// Hands a delivery over and waits for room. Deliveries of a partition come in offset order. One that is refused comes again, and
    /// nothing of its partition before, when [`resumed`](Self::resumed) has named the partition.
    fn hand(&self, delivery: Delivery) -> impl Future<Output = Result<Taken, SinkGone>>;
    /// Everything of `partition` before `offset` has been handed over or was not wanted.
    fn advance(&self, partition: u32, offset: u64);
    /// The log has no events of `partition` from `from` up to `to` any more. They are counted and said already.
    fn lost(&self, _partition: u32, _from: u64, _to: u64) {}
    /// What comes next of the partition would be refused, so it counts as refused now.
    fn refuses(&self, _partition: u32) -> bool {
        false
    }
    /// A partition with room again since it was refused: each is named once.
    fn resumed(&self) -> Option<u32> {
        None
    }
    /// Resolves when [`resumed`](Self::resumed) may have something to say.
    fn wait_resumed(&self) -> impl Future<Output = ()> {
        std::future::pending()
    }
}

impl Handing for FeedSender {
    async fn hand(&self, delivery: Delivery) -> Result<Taken, SinkGone> {
        self.send(delivery).await.map(|()| Taken::Whole)
    }

    fn advance(&self, partition: u32, offset: u64) {
        FeedSender::advance(self, partition, offset);
    }

    fn lost(&self, partition: u32, _from: u64, to: u64) {
        FeedSender::lost(self, partition, to);
    }
}

/// See the module.
pub struct Feeder<H> {
    /// What to do next.
    pub follower: Follower,
    /// Its name, for messages.
    pub name: String,
    /// Rung by the shards.
    pub bell: Bell,
    /// To the sink.
    pub sender: H,
    /// The log.
    pub reader: LogReader,
    /// The table in force.
    pub table: Arc<ArcSwap<RouteTable>>,
    /// What to do.
    pub mode: watch::Receiver<FeedMode>,
    /// Counts events that retention removed before they were delivered.
    pub lost_events: Arc<AtomicU64>,
    /// Set while some lane is not live.
    pub is_behind: Arc<AtomicBool>,
}

/// The feeder has to end: the sink is gone or the node said so.
struct Ended;

impl<H: Handing> Feeder<H> {
    /// Runs until the node says stop, or until all is handed over after it said drain.
    pub async fn run(mut self) {
        let mut tick = tokio::time::interval(ADVANCE_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut mode = self.mode.clone();
        let mut read_bytes = REPLAY_BYTES_MAX;
        loop {
            let now = *mode.borrow_and_update();
            if now == FeedMode::Drain {
                self.follower.pass_over_all();
            }
            if now == FeedMode::Stop || self.work(&mut read_bytes).await.is_err() {
                return;
            }
            if *mode.borrow() == FeedMode::Drain && self.follower.is_drained() {
                return;
            }
            self.is_behind.store(self.follower.is_behind(), Ordering::Relaxed);
            let (bell, follower) = (&self.bell, &self.follower);
            tokio::select! {
                () = std::future::poll_fn(|cx| {
                    bell.register(cx.waker());
                    if follower.has_work() { Poll::Ready(()) } else { Poll::Pending }
                }) => {}
                () = self.sender.wait_resumed() => {}
                _ = tick.tick() => self.follower.pass_over_all(),
                changed = mode.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Does what there is to do. `read_bytes` is what the next read of the log brings.
    async fn work(&mut self, read_bytes: &mut usize) -> Result<(), Ended> {
        loop {
            while let Some(partition) = self.sender.resumed() {
                self.follower.unpark(partition);
            }
            let step = MATCHER.with_borrow_mut(|matcher| self.follower.step(&self.table.load(), matcher));
            match step {
                Step::Idle => return Ok(()),
                Step::Advance { partition, offset } => self.sender.advance(partition, offset),
                Step::Deliver(delivery) => {
                    let mut mode = self.mode.clone();
                    let taken = tokio::select! {
                        taken = self.sender.hand(delivery) => taken.map_err(|_| Ended)?,
                        _ = mode.wait_for(|mode| *mode == FeedMode::Stop) => return Err(Ended),
                    };
                    if let Taken::Refused(delivery) = taken {
                        self.follower.refuse(&delivery);
                        *read_bytes = REPLAY_BYTES_MIN;
                    }
                }
                Step::Lost { partition, from, to } => {
                    self.lost_events.fetch_add(to - from, Ordering::Relaxed);
                    self.sender.lost(partition, from, to);
                    tracing::error!(
                        endpoint = %self.name, partition, lost_events = to - from,
                        "the log has a hole; going on at offset {to}"
                    );
                }
                Step::Read { partition, .. } if self.sender.refuses(partition) => self.follower.park(partition),
                Step::Read { partition, from } => {
                    self.read(partition, from, *read_bytes).await?;
                    *read_bytes = (*read_bytes * 2).min(REPLAY_BYTES_MAX);
                }
            }
        }
    }

    /// Goes on at `offset`; how many events are lost thereby.
    fn skip(&mut self, partition: u32, offset: u64) -> u64 {
        let lost = self.follower.skip(partition, offset);
        if lost > 0 {
            self.lost_events.fetch_add(lost, Ordering::Relaxed);
            self.sender.lost(partition, offset - lost, offset);
        }
        lost
    }

    async fn read(&mut self, partition: u32, from: u64, bytes_max: usize) -> Result<(), Ended> {
        if *self.mode.borrow() == FeedMode::Stop {
            return Err(Ended);
        }
        self.is_behind.store(true, Ordering::Relaxed);
        if let Some(batches) = self.reader.read_recent(partition, from, bytes_max) {
            self.follower.give(batches);
            // Others on this core have their turn between two reads.
            tokio::task::yield_now().await;
            return Ok(());
        }
        let reader = self.reader.clone();
        let read = tokio::task::spawn_blocking(move || reader.read(partition, from, bytes_max)).await;
        match read.map_err(|_| Ended)? {
            Ok(batches) => self.follower.give(batches),
            Err(ReadError::FallenOff { first_available, .. }) => {
                let lost = self.skip(partition, first_available);
                tracing::error!(
                    endpoint = %self.name, partition, lost_events = lost,
                    "retention removed events before the endpoint got them; going on at offset {first_available}"
                );
            }
            Err(error @ ReadError::Damaged { next, .. }) => {
                let lost = self.skip(partition, next);
                tracing::error!(endpoint = %self.name, lost_events = lost, "{error}");
            }
            Err(error) => {
                tracing::error!(endpoint = %self.name, partition, %error, "cannot read the log; trying again in a second");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Ok(())
    }
}
