//! The two ends of a lane, and the protocol by which an endpoint falls behind and comes back.
//!
//! A lane is *live*, *behind* or *wanted*. Live: the shard pushes every delivery. If one does not fit, the lane is behind and the
//! shard pushes nothing more: the endpoint empties the lane and asks to be live again ([`LaneReceiver::want_live`]). The shard
//! answers with [`LaneItem::Live`], which names the heads at that moment: from there on the lane is complete, and the endpoint first reads what
//! lies between its own position and those heads from the log, while new deliveries wait in the lane. If they do not fit it is
//! behind again, having come that much further. So every offset comes exactly once, in order, without the two ever waiting for each other.

use crossbeam_utils::CachePadded;

use super::Delivery;
use crate::limits;
use crate::ring::{Bell, Consumer, Producer, ring};
use crate::sync::{Arc, AtomicU8, AtomicU64, Ordering};

const LIVE: u8 = 0;
const BEHIND: u8 = 1;
const WANTED: u8 = 2;

/// Per partition the first offset that has not been matched and handed to the live lanes.
///
/// A shard stores the head of a partition after it has pushed the deliveries before it, so who loads a head and then looks
/// into a lane that is still live has seen everything below it.
#[derive(Clone, Debug)]
pub struct Heads(Arc<Box<[CachePadded<AtomicU64>]>>);

impl Heads {
    /// Starts at these offsets, one per partition.
    pub fn new(start: &[u64]) -> Self {
        Self(Arc::new(start.iter().map(|offset| CachePadded::new(AtomicU64::new(*offset))).collect()))
    }

    /// Number of partitions.
    pub fn partitions(&self) -> u32 {
        self.0.len() as u32
    }

    /// The head of a partition.
    pub fn get(&self, partition: u32) -> u64 {
        self.0[partition as usize].load(Ordering::Acquire)
    }

    /// The heads of all partitions.
    pub fn all(&self) -> Vec<u64> {
        (0..self.partitions()).map(|partition| self.get(partition)).collect()
    }

    /// Everything of `partition` before `offset` has been matched and handed out: for the shard that owns it.
    pub fn set(&self, partition: u32, offset: u64) {
        self.0[partition as usize].store(offset, Ordering::Release);
    }
}

/// What comes out of a lane.
#[derive(Debug)]
pub enum LaneItem {
    /// The lane is complete from these heads on; one per partition of the shard, in the shard's order.
    Live(Box<[(u32, u64)]>),
    /// A batch with rows for the endpoint.
    Delivery(Delivery),
}

/// The shard's end.
#[derive(Debug)]
pub struct LaneSender {
    items: Producer<LaneItem>,
    state: Arc<AtomicU8>,
    /// Bytes pushed so far, and the receiver's count of bytes popped when it was last looked at.
    pushed: u64,
    popped: u64,
    taken: Arc<AtomicU64>,
}

/// The endpoint's end.
#[derive(Debug)]
pub struct LaneReceiver {
    items: Consumer<LaneItem>,
    state: Arc<AtomicU8>,
    shard: Bell,
    /// Bytes popped so far: written by this end alone.
    popped: u64,
    taken: Arc<AtomicU64>,
}

/// A lane that starts behind, with room for [`limits::LANE_DELIVERIES_MAX`] and [`limits::LANE_BYTES_MAX`]. `endpoint` and `shard` wake the two sides.
pub fn lane(endpoint: &Bell, shard: &Bell) -> (LaneSender, LaneReceiver) {
    let (producer, consumer) = ring(limits::LANE_DELIVERIES_MAX, endpoint);
    let state = Arc::new(AtomicU8::new(BEHIND));
    let taken = Arc::new(AtomicU64::new(0));
    (
        LaneSender { items: producer, state: state.clone(), pushed: 0, popped: 0, taken: taken.clone() },
        LaneReceiver { items: consumer, state, shard: shard.clone(), popped: 0, taken },
    )
}

impl LaneSender {
    /// The endpoint wants to be live.
    pub fn is_wanted(&self) -> bool {
        self.state.load(Ordering::Acquire) == WANTED
    }

    /// Deliveries are pushed.
    pub fn is_live(&self) -> bool {
        self.state.load(Ordering::Relaxed) == LIVE
    }

    /// Answers the wish with the heads as they are; stays wanted if the lane has no room.
    pub fn go_live(&mut self, heads: Box<[(u32, u64)]>) {
        // The state comes first: with the marker in its hands the endpoint may look at it.
        self.state.store(LIVE, Ordering::Release);
        if self.items.push(LaneItem::Live(heads)).is_err() {
            self.state.store(WANTED, Ordering::Release);
        }
    }

    /// Hands a delivery over, or marks the lane behind.
    pub fn push(&mut self, delivery: Delivery) {
        debug_assert!(self.is_live());
        let bytes = delivery.batch.bytes().len() as u64;
        if self.pushed + bytes - self.popped > limits::LANE_BYTES_MAX {
            // A count alone: an old value only makes the lane seem fuller than it is.
            self.popped = self.taken.load(Ordering::Relaxed);
        }
        // An empty lane takes any batch.
        let waiting = self.pushed - self.popped;
        let full = waiting > 0 && waiting + bytes > limits::LANE_BYTES_MAX;
        self.pushed += bytes;
        if full || self.items.push(LaneItem::Delivery(delivery)).is_err() {
            self.pushed -= bytes;
            self.state.store(BEHIND, Ordering::Release);
            self.items.nudge();
        }
    }

    /// The endpoint is gone.
    pub fn is_abandoned(&self) -> bool {
        self.items.is_abandoned()
    }
}

impl LaneReceiver {
    /// The oldest item.
    pub fn pop(&mut self) -> Option<LaneItem> {
        let item = self.items.pop();
        if let Some(LaneItem::Delivery(delivery)) = &item {
            self.popped += delivery.batch.bytes().len() as u64;
            self.taken.store(self.popped, Ordering::Relaxed);
        }
        item
    }

    /// Nothing waits in the lane.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The shard has stopped pushing; what waits in the lane is still good.
    pub fn is_behind(&self) -> bool {
        self.state.load(Ordering::Acquire) == BEHIND
    }

    /// Asks the shard to push again. Only with an empty lane that is behind.
    pub fn want_live(&self) {
        debug_assert!(self.is_behind());
        self.state.store(WANTED, Ordering::Release);
        self.shard.ring();
    }

    /// The shard is gone; what waits can still be taken.
    pub fn is_abandoned(&self) -> bool {
        self.items.is_abandoned()
    }
}
