//! The way out: what a sink gets, and how it says what is done.
//!
//! A sink is an async function over its [`Feed`]. It takes [`Handed`] deliveries in offset order per partition and settles each
//! when all of its events are delivered, or written off as dead letters. What always holds: the cursor of a partition stands
//! before the first event that is not settled, whatever order the settling came in; a delivery that is dropped unsettled is
//! given again after a restart; a sink holds at most the feed's capacity and what it has taken itself.

mod cursor;
mod room;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::lane::Delivery;
use tokio::sync::{mpsc, watch};

#[cfg(test)]
pub(crate) use self::tests::ROOM;
pub use cursor::Cursors;
use room::Room;

/// What a delivery takes in memory beside the bytes of its batch, roughly.
const DELIVERY_BYTES: usize = 512;

/// A delivery in the hands of a sink.
#[derive(Debug)]
pub struct Handed {
    /// The events.
    pub delivery: Delivery,
    /// Everything of its partition from here to its first event was handed over before it, or was not wanted.
    pub covers_from: u64,
    /// Settle it when they are done.
    pub ticket: SettleTicket,
}

impl Handed {
    /// A delivery that is settled into `cursors`. Those of a partition are made in offset order.
    pub fn new(delivery: Delivery, cursors: &Arc<Cursors>) -> Self {
        let partition = delivery.batch.partition();
        let first = delivery.batch.base_offset() + delivery.row_indexes().next().expect("a delivery has rows") as u64;
        let end = delivery.batch.last_offset() + 1;
        let covers_from = cursors.hand(partition, first, end);
        Self { delivery, covers_from, ticket: SettleTicket { cursors: cursors.clone(), partition, first } }
    }

    /// Bytes of memory that it holds, roughly: its batch whole, however few of the rows are wanted.
    pub fn bytes(&self) -> usize {
        self.delivery.batch.bytes().len() + DELIVERY_BYTES
    }
}

/// Says once that a delivery is done. Dropping it says nothing: the cursor stays before it.
#[derive(Debug)]
pub struct SettleTicket {
    cursors: Arc<Cursors>,
    partition: u32,
    first: u64,
}

impl SettleTicket {
    /// All events of the delivery are delivered or written off.
    pub fn settle(self) {
        self.cursors.settle(self.partition, self.first);
    }
}

/// The sink's end.
#[derive(Debug)]
pub struct Feed {
    deliveries: mpsc::UnboundedReceiver<Handed>,
    room: Arc<Room>,
    feeding: watch::Receiver<()>,
}

impl Feed {
    /// The next delivery; `None` when there will be no more: finish what is under way and return. Cancel safe.
    pub async fn next(&mut self) -> Option<Handed> {
        self.deliveries.recv().await.inspect(|handed| self.room.leave(handed.bytes()))
    }

    /// The next delivery if one is there now.
    pub fn try_next(&mut self) -> Option<Handed> {
        self.deliveries.try_recv().ok().inspect(|handed| self.room.leave(handed.bytes()))
    }

    /// Resolves when more than half of the room is taken, or has been since this was asked last, and when the feeding end is gone: for
    /// a sink that would rather find many deliveries than be woken for each. `false` at the end: what is here is all there will be.
    /// Cancel safe.
    pub async fn filled(&mut self) -> bool {
        let Self { room, feeding, .. } = self;
        tokio::select! {
            biased;
            _ = feeding.changed() => false,
            () = room.half_taken() => true,
        }
    }

    /// The next delivery if one is wanted, or `None` as soon as the feeding end is gone, though deliveries may still be here:
    /// for a sink that takes none just now and must learn all the same that it is to end. Cancel safe; after the end it
    /// gives `None` at once.
    pub async fn next_unless_ended(&mut self, is_wanted: bool) -> Option<Handed> {
        let Self { deliveries, feeding, room } = self;
        tokio::select! {
            biased;
            // An error is the only thing that can happen: nothing is ever sent.
            _ = feeding.changed() => None,
            handed = deliveries.recv(), if is_wanted => handed.inspect(|handed| room.leave(handed.bytes())),
        }
    }

    /// Resolves when the feeding end is gone, though deliveries may still be here.
    pub fn ended(&self) -> impl Future<Output = ()> + use<> {
        let mut feeding = self.feeding.clone();
        // An error is the only thing that can happen: nothing is ever sent.
        async move { drop(feeding.changed().await) }
    }

    /// As [`next`](Self::next) for a sink on a thread of its own.
    pub fn blocking_next(&mut self) -> Option<Handed> {
        self.deliveries.blocking_recv().inspect(|handed| self.room.leave(handed.bytes()))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.room.close();
    }
}

/// The feeding end, held by whoever reads lane and log for the endpoint.
#[derive(Debug)]
pub struct FeedSender {
    deliveries: mpsc::UnboundedSender<Handed>,
    room: Arc<Room>,
    /// Dropped with this end; nothing is ever sent.
    _feeding: watch::Sender<()>,
    cursors: Arc<Cursors>,
}

/// What became of a delivery that was handed over.
#[derive(Debug)]
#[must_use]
pub enum Taken {
    /// It was taken.
    Whole,
    /// There is no room for its partition while there is for others: it is given back and comes again when there is.
    Refused(Delivery),
}

/// The sink is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sink has stopped")]
pub struct SinkGone;

impl FeedSender {
    /// Hands a delivery over and waits for room. Deliveries of a partition come in offset order.
    pub async fn send(&self, delivery: Delivery) -> Result<(), SinkGone> {
        let handed = Handed::new(delivery, &self.cursors);
        self.room.enter(handed.bytes()).await?;
        self.deliveries.send(handed).map_err(|_| SinkGone)
    }

    /// Everything of `partition` before `offset` has been handed over or was not wanted.
    pub fn advance(&self, partition: u32, offset: u64) {
        self.cursors.advance(partition, offset);
    }

    /// The log has no events of `partition` before `offset` any more: what was not handed over is lost.
    pub fn lost(&self, partition: u32, offset: u64) {
        self.cursors.lost(partition, offset);
    }
}

/// A feed with room for deliveries of `bytes_max` together, or for one that is larger, that settles into `cursors`.
pub fn feed(bytes_max: usize, cursors: Arc<Cursors>) -> (FeedSender, Feed) {
    let (deliveries, receiver) = mpsc::unbounded_channel();
    let (feeding, fed) = watch::channel(());
    let room = Arc::new(Room::new(bytes_max));
    let sender = FeedSender { deliveries, room: room.clone(), _feeding: feeding, cursors };
    (sender, Feed { deliveries: receiver, room, feeding: fed })
}

/// What an endpoint counts; added to per batch or per request, never per event, and read by whoever wants to show it.
#[derive(Debug, Default)]
pub struct SinkStats {
    /// Events delivered.
    pub delivered_events: AtomicU64,
    /// Bytes written or sent.
    pub delivered_bytes: AtomicU64,
    /// Attempts that failed and will be repeated.
    pub retries: AtomicU64,
    /// Events written to the dead letter file.
    pub dead_lettered_events: AtomicU64,
    /// Events given up without a dead letter file, or unfit for the format.
    pub dropped_events: AtomicU64,
    /// Files completed (file sinks).
    pub files: AtomicU64,
    /// Members, or kinds of their values, that got no column because there were as many as may be (Parquet).
    pub refused_columns: AtomicU64,
    /// Events with a value that did not fit the column that was declared for it (Parquet).
    pub mismatched_events: AtomicU64,
    /// What went wrong last, in words.
    pub last_error: std::sync::Mutex<Option<String>>,
}

impl SinkStats {
    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// What went wrong last.
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Remembers the last error.
    pub fn failed(&self, error: impl std::fmt::Display) {
        *self.last_error.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(error.to_string());
    }
}
