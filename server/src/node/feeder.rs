//! Feeds one endpoint: from its lanes while it keeps up, from the log while it is behind, the two joined without seam.
//!
//! What always holds: per partition the offsets handed to the sink only grow, each matching one comes once, and what was not
//! wanted is passed over by moving the cursor. The protocol with the shard is `engine::lane`'s.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use connectors::hub::{LogReader, ReadError};
use connectors::sink::FeedSender;
use engine::batch::Batch;
use engine::lane::{Delivery, Heads, LaneItem, LaneReceiver};
use engine::ring::Bell;
use engine::route::{EndpointId, Matcher, RouteTable};
use tokio::sync::watch;

/// Bytes that one read of the log brings into memory for an endpoint that is behind.
const REPLAY_BYTES_MAX: usize = 1024 * 1024;
/// How often an endpoint without matches moves its cursor over what was not wanted.
const ADVANCE_INTERVAL: Duration = Duration::from_millis(500);

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    CatchingUp,
    AwaitingLive,
    Live,
}

/// One shard's lane as the feeder sees it.
#[derive(Debug)]
pub struct ShardLane {
    /// The lane.
    pub receiver: LaneReceiver,
    /// The partitions whose events come through it.
    pub partitions: Vec<u32>,
    phase: Phase,
}

impl ShardLane {
    /// A lane that starts behind.
    pub fn new(receiver: LaneReceiver, partitions: Vec<u32>) -> Self {
        Self { receiver, partitions, phase: Phase::CatchingUp }
    }
}

/// See the module.
pub struct Feeder {
    /// The endpoint's number in the table.
    pub endpoint: EndpointId,
    /// Its name, for messages.
    pub name: String,
    /// One lane per shard.
    pub lanes: Vec<ShardLane>,
    /// Rung by the shards.
    pub bell: Bell,
    /// How far the shards are.
    pub heads: Heads,
    /// Where to go on, per partition.
    pub next: Vec<u64>,
    /// To the sink.
    pub sender: FeedSender,
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

impl Feeder {
    /// Runs until the node says stop, or until all is handed over after it said drain.
    pub async fn run(mut self) {
        let mut matcher = Matcher::default();
        let mut tick = tokio::time::interval(ADVANCE_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut mode = self.mode.clone();
        loop {
            if *mode.borrow_and_update() == FeedMode::Stop || self.turn(&mut matcher).await.is_err() {
                return;
            }
            if *mode.borrow() == FeedMode::Drain && self.is_drained() {
                return;
            }
            self.is_behind.store(self.lanes.iter().any(|lane| lane.phase != Phase::Live), Ordering::Relaxed);
            let bell = self.bell.clone();
            let lanes = &self.lanes;
            tokio::select! {
                () = std::future::poll_fn(|cx| {
                    bell.register(cx.waker());
                    if lanes.iter().any(ShardLane::has_work) { Poll::Ready(()) } else { Poll::Pending }
                }) => {}
                _ = tick.tick() => {}
                changed = mode.changed() => if changed.is_err() { return },
            }
        }
    }

    fn is_drained(&self) -> bool {
        self.lanes.iter().all(|lane| lane.partitions.iter().all(|p| self.next[*p as usize] >= self.heads.get(*p)))
    }

    async fn turn(&mut self, matcher: &mut Matcher) -> Result<(), Ended> {
        for at in 0..self.lanes.len() {
            // A busy lane gives way to the others after as much as it can hold.
            for _ in 0..engine::limits::LANE_DELIVERIES_MAX {
                match self.lanes[at].phase {
                    Phase::CatchingUp => {
                        self.catch_up(at, matcher).await?;
                        self.lanes[at].receiver.want_live();
                        self.lanes[at].phase = Phase::AwaitingLive;
                    }
                    Phase::AwaitingLive => match self.lanes[at].receiver.pop() {
                        Some(LaneItem::Live(heads)) => {
                            for (partition, head) in heads {
                                self.replay(partition, head, matcher).await?;
                            }
                            self.lanes[at].phase = Phase::Live;
                        }
                        Some(LaneItem::Delivery(_)) => debug_assert!(false, "a delivery before the lane is live"),
                        None => break,
                    },
                    Phase::Live => match self.lanes[at].receiver.pop() {
                        Some(LaneItem::Delivery(delivery)) => self.hand_over(delivery).await?,
                        Some(LaneItem::Live(_)) => debug_assert!(false, "a lane goes live once"),
                        None if self.lanes[at].receiver.is_behind() && self.lanes[at].receiver.is_empty() => {
                            tracing::debug!(endpoint = %self.name, "behind: reading on from the log");
                            self.lanes[at].phase = Phase::CatchingUp;
                        }
                        None => {
                            self.pass_over(at);
                            break;
                        }
                    },
                }
            }
        }
        Ok(())
    }

    /// Nothing waits in a live lane: everything below the heads, as they were before the look, was not wanted.
    fn pass_over(&mut self, at: usize) {
        let lane = &self.lanes[at];
        for partition in &lane.partitions {
            let head = self.heads.get(*partition);
            if !lane.receiver.is_empty() || lane.receiver.is_behind() {
                return;
            }
            let next = &mut self.next[*partition as usize];
            if head > *next {
                *next = head;
                self.sender.advance(*partition, head);
            }
        }
    }

    /// Reads on from the log until every partition of the lane has reached its head.
    async fn catch_up(&mut self, at: usize, matcher: &mut Matcher) -> Result<(), Ended> {
        loop {
            let mut read = false;
            for index in 0..self.lanes[at].partitions.len() {
                let partition = self.lanes[at].partitions[index];
                let head = self.heads.get(partition);
                if self.next[partition as usize] < head {
                    self.replay(partition, head, matcher).await?;
                    read = true;
                }
            }
            if !read {
                return Ok(());
            }
        }
    }

    /// Hands over what the log has for the endpoint before `head`.
    async fn replay(&mut self, partition: u32, head: u64, matcher: &mut Matcher) -> Result<(), Ended> {
        while self.next[partition as usize] < head {
            if *self.mode.borrow() == FeedMode::Stop {
                return Err(Ended);
            }
            let from = self.next[partition as usize];
            let reader = self.reader.clone();
            let read = tokio::task::spawn_blocking(move || reader.read(partition, from, REPLAY_BYTES_MAX)).await;
            match read.map_err(|_| Ended)? {
                Ok(batches) if batches.is_empty() => {
                    // The head says that there is more; the reader will see it in a moment.
                    tokio::task::yield_now().await;
                }
                Ok(batches) => {
                    let table = self.table.load_full();
                    for batch in batches {
                        self.replay_batch(&table, batch, matcher).await?;
                    }
                }
                Err(error) => self.handle_read_error(partition, error).await,
            }
        }
        Ok(())
    }

    async fn replay_batch(
        &mut self,
        table: &RouteTable,
        batch: Arc<Batch>,
        matcher: &mut Matcher,
    ) -> Result<(), Ended> {
        let (partition, end) = (batch.partition(), batch.last_offset() + 1);
        let missing = batch.base_offset().saturating_sub(self.next[partition as usize]);
        if missing > 0 {
            // A damaged piece of the log that recovery left out.
            self.lost_events.fetch_add(missing, Ordering::Relaxed);
            tracing::error!(endpoint = %self.name, partition, lost_events = missing, "the log has a hole; going on behind it");
        }
        matcher.run(table, &batch, Some(self.endpoint));
        match matcher.rows(self.endpoint) {
            Some(rows) => {
                let enrichments = table.enrichments(self.endpoint).clone();
                self.hand_over(Delivery { batch, rows, enrichments, table_version: table.version() }).await?;
            }
            None => self.sender.advance(partition, end),
        }
        let next = &mut self.next[partition as usize];
        *next = end.max(*next);
        Ok(())
    }

    async fn hand_over(&mut self, delivery: Delivery) -> Result<(), Ended> {
        let (partition, end) = (delivery.batch.partition(), delivery.batch.last_offset() + 1);
        let next = self.next[partition as usize];
        if end <= next {
            return Ok(());
        }
        let mut mode = self.mode.clone();
        match delivery.from_offset(next) {
            Some(delivery) => tokio::select! {
                sent = self.sender.send(delivery) => sent.map_err(|_| Ended)?,
                _ = mode.wait_for(|mode| *mode == FeedMode::Stop) => return Err(Ended),
            },
            None => self.sender.advance(partition, end),
        }
        self.next[partition as usize] = end;
        Ok(())
    }

    async fn handle_read_error(&mut self, partition: u32, error: ReadError) {
        match error {
            ReadError::FallenOff { first_available, .. } => {
                let from = self.next[partition as usize];
                let lost = first_available.saturating_sub(from);
                self.lost_events.fetch_add(lost, Ordering::Relaxed);
                tracing::error!(
                    endpoint = %self.name, partition, lost_events = lost,
                    "retention removed events before the endpoint got them; going on at offset {first_available}"
                );
                self.next[partition as usize] = first_available;
                self.sender.advance(partition, first_available);
            }
            ReadError::Damaged { offset, next, .. } => {
                let from = self.next[partition as usize].max(offset);
                self.lost_events.fetch_add(next - from, Ordering::Relaxed);
                tracing::error!(endpoint = %self.name, lost_events = next - from, "{error}");
                self.next[partition as usize] = next;
                self.sender.advance(partition, next);
            }
            error => {
                tracing::error!(endpoint = %self.name, partition, %error, "cannot read the log; trying again in a second");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

impl ShardLane {
    /// There is something to do without waiting for the clock.
    fn has_work(&self) -> bool {
        !self.receiver.is_empty() || (self.phase == Phase::Live && self.receiver.is_behind())
    }
}
