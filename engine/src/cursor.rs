//! The way of one endpoint through the log: from its lanes while it keeps up, from the log while it is behind, the two joined
//! without seam. A state machine: [`Follower::step`] says what to do next, its owner does it.
//!
//! What always holds: per partition the offsets that are handed over only grow, each matching one comes once, and what was not
//! wanted is passed over by moving the cursor. The protocol with the shard is [`crate::lane`]'s. A partition whose delivery the owner
//! refused ([`Follower::refuse`]) stands still without keeping anything, and the others go on.

mod parking;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::batch::Batch;
use crate::lane::{Delivery, Heads, LaneItem, LaneReceiver, Rows};
use crate::limits;
use crate::route::{EndpointId, Matcher, RouteTable};
use parking::Parking;

#[cfg(test)]
mod tests;

/// What is to be done next.
#[derive(Debug)]
pub enum Step {
    /// Hand this over, or refuse it with [`Follower::refuse`]; deliveries of a partition come in offset order.
    Deliver(Delivery),
    /// Nothing of the partition before this offset is wanted but what was handed over.
    Advance {
        /// The partition.
        partition: u32,
        /// The offset.
        offset: u64,
    },
    /// Read on in the log and answer with [`Follower::give`], [`Follower::skip`] or [`Follower::park`].
    Read {
        /// The partition.
        partition: u32,
        /// From this offset on.
        from: u64,
    },
    /// The log has no such events any more.
    Lost {
        /// The partition.
        partition: u32,
        /// The first of them.
        from: u64,
        /// The offset behind the last.
        to: u64,
    },
    /// Nothing is to be done until a lane rings.
    Idle,
}

#[derive(Debug)]
enum Phase {
    /// The lane is behind and empty.
    Behind,
    AwaitingLive,
    /// The lane is complete from these heads on; what lies before them comes from the log.
    Joining(Vec<(u32, u64)>),
    Live,
}

/// One shard's lane as the follower sees it.
#[derive(Debug)]
pub struct ShardLane {
    receiver: LaneReceiver,
    /// The partitions whose events come through it.
    partitions: Vec<u32>,
    phase: Phase,
}

impl ShardLane {
    /// A lane that is new. It is asked for before anybody follows it: what comes between a start and the first look of its follower,
    /// which is one of a thousand on its core, waits in the lane and is not to be read from the log.
    pub fn new(receiver: LaneReceiver, partitions: Vec<u32>) -> Self {
        receiver.want_live();
        Self { receiver, partitions, phase: Phase::AwaitingLive }
    }

    fn has_work(&self) -> bool {
        !self.receiver.is_empty() || (matches!(self.phase, Phase::Live) && self.receiver.is_behind())
    }
}

/// See the module.
#[derive(Debug)]
pub struct Follower {
    /// Whose events are wanted; a tap wants all.
    endpoint: Option<EndpointId>,
    lanes: Vec<ShardLane>,
    heads: Heads,
    /// Where to go on, per partition.
    next: Vec<u64>,
    /// The lane whose turn it is, and how much it has had.
    at: usize,
    used: usize,
    /// Lanes in a row that had nothing.
    quiet: usize,
    /// Something was handed over since there was nothing to do last.
    is_busy: bool,
    /// By [`pass_over_all`](Self::pass_over_all).
    was_asked: bool,
    reading: Option<Reading>,
    /// What was read of that partition.
    batches: VecDeque<Arc<Batch>>,
    out: VecDeque<Step>,
    parking: Parking,
}

/// A partition that is read from the log.
#[derive(Clone, Copy, Debug)]
struct Reading {
    partition: u32,
    /// Up to here at least.
    upto: u64,
    /// One [`Step::Read`] has gone out.
    was_asked: bool,
}

impl Reading {
    fn new((partition, upto): (u32, u64)) -> Self {
        Self { partition, upto, was_asked: false }
    }
}

impl Follower {
    /// Follows from `next` on, one offset per partition.
    pub fn new(endpoint: EndpointId, lanes: Vec<ShardLane>, heads: Heads, next: Vec<u64>) -> Self {
        Self::of(Some(endpoint), lanes, heads, next)
    }

    /// Follows all events, whatever the routes say: for lanes that [`crate::shard::Command::Tap`] laid.
    pub fn tap(lanes: Vec<ShardLane>, heads: Heads, next: Vec<u64>) -> Self {
        Self::of(None, lanes, heads, next)
    }

    fn of(endpoint: Option<EndpointId>, lanes: Vec<ShardLane>, heads: Heads, next: Vec<u64>) -> Self {
        Self {
            endpoint,
            lanes,
            heads,
            parking: Parking::new(next.len()),
            next,
            at: 0,
            used: 0,
            quiet: 0,
            is_busy: false,
            was_asked: false,
            reading: None,
            batches: VecDeque::new(),
            out: VecDeque::new(),
        }
    }

    /// There is something to do without waiting for the clock. Register with the bell before asking.
    pub fn has_work(&self) -> bool {
        self.parking.has_work() || self.lanes.iter().any(ShardLane::has_work)
    }

    /// Some lane is not live, or some partition is parked: the endpoint is fed from the log.
    pub fn is_behind(&self) -> bool {
        !self.parking.is_empty() || self.lanes.iter().any(|lane| !matches!(lane.phase, Phase::Live))
    }

    /// Everything up to the heads has been handed over or passed over.
    pub fn is_drained(&self) -> bool {
        self.out.is_empty() && (0..self.heads.partitions()).all(|p| self.next[p as usize] >= self.heads.get(p))
    }

    /// From now until [`Step::Idle`] what was not wanted is passed over in any case, not only when nothing is wanted.
    pub fn pass_over_all(&mut self) {
        self.was_asked = true;
    }

    /// What to do next. `table` is the one in force: what comes from the log is matched by it, with the memory of `matcher`, which all
    /// followers of a thread share.
    pub fn step(&mut self, table: &RouteTable, matcher: &mut Matcher) -> Step {
        loop {
            if let Some(step) = self.out.pop_front() {
                return step;
            }
            if let Some(batch) = self.batches.pop_front() {
                self.replay(table, matcher, batch);
                continue;
            }
            if let Some(step) = self.read_on() {
                return step;
            }
            if let Some(partition) = self.parking.next_due() {
                // Nothing comes out of a lane until this piece is done.
                let upto = self.parking.upto(partition, self.heads.get(partition));
                self.reading = Some(Reading::new((partition, upto)));
                continue;
            }
            if self.lanes.is_empty() {
                if !self.parking.has_work() {
                    (self.is_busy, self.was_asked) = (false, false);
                    return Step::Idle;
                }
                self.parking.lanes_had_their_turn();
                continue;
            }
            if self.turn() {
                self.quiet = 0;
                self.used += 1;
                // A busy lane gives way to the others after as much as it can hold.
                if self.used < limits::LANE_DELIVERIES_MAX {
                    continue;
                }
            } else {
                self.quiet += 1;
            }
            self.used = 0;
            self.at = (self.at + 1) % self.lanes.len();
            if self.at == 0 {
                self.parking.lanes_had_their_turn();
            }
            if self.quiet >= self.lanes.len() {
                self.quiet = 0;
                if self.out.is_empty() && !self.parking.has_work() {
                    (self.is_busy, self.was_asked) = (false, false);
                    return Step::Idle;
                }
            }
        }
    }

    /// The next [`Step::Read`], if there is anything to read.
    fn read_on(&mut self) -> Option<Step> {
        let reading = self.reading.as_mut()?;
        let (partition, from) = (reading.partition, self.next[reading.partition as usize]);
        // Who catches up gives way to the lanes after each piece, however far behind it is.
        let is_piece = self.parking.is_catching_up(partition);
        if from < reading.upto && !(is_piece && reading.was_asked) {
            reading.was_asked = true;
            return Some(Step::Read { partition, from });
        }
        if is_piece {
            self.parking.has_read(partition, from >= reading.upto);
        }
        self.reading = None;
        None
    }

    /// Refuses what [`Step::Deliver`] said last, before the next step is asked for: its partition is parked. It stands still before this
    /// delivery, whatever comes for it, until [`unpark`](Self::unpark); then it goes on with it, from the log.
    pub fn refuse(&mut self, refused: &Delivery) {
        let (partition, end) = (refused.batch.partition(), refused.batch.last_offset() + 1);
        let next = &mut self.next[partition as usize];
        debug_assert_eq!(*next, end, "it is the last one that was to be delivered");
        *next = refused.batch.base_offset() + refused.row_indexes().next().map_or(0, |row| row as u64);
        self.park_behind(partition, end);
    }

    /// Parks the partition that the last step wants to be read, in place of an answer.
    pub fn park(&mut self, partition: u32) {
        debug_assert!(self.reading.is_some_and(|reading| reading.partition == partition));
        self.park_behind(partition, 0);
    }

    fn park_behind(&mut self, partition: u32, end: u64) {
        self.parking.park(partition, end);
        if self.reading.is_some_and(|reading| reading.partition == partition) {
            self.reading = None;
            self.batches.clear();
        }
    }

    /// There is room for a parked partition again. For one that is not parked it does nothing.
    pub fn unpark(&mut self, partition: u32) {
        self.parking.unpark(partition);
    }

    /// What the log has from the offset on that [`Step::Read`] named.
    pub fn give(&mut self, batches: Vec<Arc<Batch>>) {
        debug_assert!(self.batches.is_empty() && self.reading.is_some());
        // What lies behind the heads comes through the lane: matching it here too would cost each endpoint the whole intake again.
        let upto = self.reading.map_or(u64::MAX, |reading| reading.upto);
        let first = batches.first().map_or(0, |batch| batch.base_offset());
        // The first one is kept in any case: behind a hole it says how far the hole goes.
        self.batches.extend(batches.into_iter().take_while(|batch| batch.base_offset() < upto.max(first + 1)));
    }

    /// The log has nothing of `partition` before `offset` that is still to come; how many events are lost thereby.
    pub fn skip(&mut self, partition: u32, offset: u64) -> u64 {
        let next = &mut self.next[partition as usize];
        let lost = offset.saturating_sub(*next);
        if lost > 0 {
            *next = offset;
            self.out.push_back(Step::Advance { partition, offset });
        }
        lost
    }

    /// One piece of work of the lane whose turn it is; `false` if there is none.
    fn turn(&mut self) -> bool {
        let lane = &mut self.lanes[self.at];
        match &mut lane.phase {
            Phase::Behind => {
                // Not only when the heads are reached: while one endpoint reads up to them they move on, and a thousand that chase
                // them share one core and never arrive. The lane fills meanwhile with what matches, and what lies before is read once.
                lane.receiver.want_live();
                lane.phase = Phase::AwaitingLive;
                true
            }
            Phase::AwaitingLive => match lane.receiver.pop() {
                Some(LaneItem::Live(heads)) => {
                    lane.phase = Phase::Joining(heads.into_iter().rev().collect());
                    true
                }
                Some(LaneItem::Delivery(_)) => {
                    debug_assert!(false, "a delivery before the lane is live");
                    true
                }
                None => {
                    // The shard answers with its next step, or never, because the node is ending: the log has all up to the heads.
                    let heads = lane.partitions.iter().map(|partition| (*partition, self.heads.get(*partition)));
                    let mut behind = heads.filter(|(partition, head)| self.next[*partition as usize] < *head);
                    self.reading = behind.find(|(partition, _)| self.parking.is_followed(*partition)).map(Reading::new);
                    self.reading.is_some()
                }
            },
            Phase::Joining(heads) => {
                match heads.pop() {
                    Some((partition, head)) if self.parking.is_followed(partition) => {
                        self.reading = Some(Reading::new((partition, head)));
                    }
                    // It reads up to a head of its own.
                    Some(_) => {}
                    None => lane.phase = Phase::Live,
                }
                true
            }
            Phase::Live => match lane.receiver.pop() {
                Some(LaneItem::Delivery(delivery)) => {
                    if !self.parking.throws_away(&delivery) {
                        self.hand_over(delivery);
                    }
                    true
                }
                Some(LaneItem::Live(_)) => {
                    debug_assert!(false, "a lane goes live once");
                    true
                }
                None if lane.receiver.is_behind() && lane.receiver.is_empty() => {
                    lane.phase = Phase::Behind;
                    true
                }
                None => {
                    // Who gets something all the time need not be told each time of all that it got nothing of.
                    if !self.is_busy || self.was_asked {
                        self.pass_over();
                    }
                    false
                }
            },
        }
    }

    /// Nothing waits in a live lane: everything below the heads, as they were before the look, was not wanted.
    fn pass_over(&mut self) {
        let lane = &self.lanes[self.at];
        for partition in &lane.partitions {
            let head = self.heads.get(*partition);
            if !lane.receiver.is_empty() || lane.receiver.is_behind() {
                return;
            }
            let next = &mut self.next[*partition as usize];
            if head > *next && self.parking.is_followed(*partition) {
                *next = head;
                self.out.push_back(Step::Advance { partition: *partition, offset: head });
            }
        }
    }

    fn replay(&mut self, table: &RouteTable, matcher: &mut Matcher, batch: Arc<Batch>) {
        let (partition, end) = (batch.partition(), batch.last_offset() + 1);
        let from = self.next[partition as usize];
        if batch.base_offset() > from {
            // A damaged piece of the log that recovery left out.
            self.out.push_back(Step::Lost { partition, from, to: batch.base_offset() });
        }
        let Some(endpoint) = self.endpoint else {
            let table_version = table.version();
            return self.hand_over(Delivery { batch, rows: Rows::All, enrichments: Arc::from([]), table_version });
        };
        matcher.run(table, &batch, Some(endpoint));
        match matcher.rows(endpoint) {
            Some(rows) => {
                let enrichments = table.enrichments(endpoint).clone();
                self.hand_over(Delivery { batch, rows, enrichments, table_version: table.version() });
            }
            None if end > from => {
                self.next[partition as usize] = end;
                self.out.push_back(Step::Advance { partition, offset: end });
            }
            None => {}
        }
    }

    fn hand_over(&mut self, delivery: Delivery) {
        let (partition, end) = (delivery.batch.partition(), delivery.batch.last_offset() + 1);
        let next = &mut self.next[partition as usize];
        if end <= *next {
            return;
        }
        let from = std::mem::replace(next, end);
        self.is_busy = true;
        self.out.push_back(match delivery.from_offset(from) {
            Some(delivery) => Step::Deliver(delivery),
            None => Step::Advance { partition, offset: end },
        });
    }
}
