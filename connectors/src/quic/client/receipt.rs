//! Who waits for an acknowledgement.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::error::{ClientError, PublishError};
use crate::quic::frame::Code;
use crate::quic::session::Client;
use crate::quic::session::client::Published;

/// Resolves when the node has kept an event, or will not. Dropped, it changes nothing for the event.
#[derive(Debug)]
#[must_use = "only the receipt says that the event is kept"]
pub struct Receipt(oneshot::Receiver<Result<(), PublishError>>);

impl Future for Receipt {
    type Output = Result<(), PublishError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(ClientError::Stopped.into())))
    }
}

/// Resolves when the node has decided about each of many events. Dropped, it changes nothing for the events.
#[derive(Debug)]
#[must_use = "only the receipt says that the events are kept"]
pub struct BulkReceipt(oneshot::Receiver<Result<BulkOutcome, ClientError>>);

impl Future for BulkReceipt {
    type Output = Result<BulkOutcome, ClientError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(ClientError::Stopped)))
    }
}

/// What became of many events.
#[derive(Clone, Debug, Default)]
pub struct BulkOutcome {
    /// So many are kept.
    pub acknowledged: u64,
    /// The others.
    pub refused: Vec<RefusedEvent>,
}

/// An event that is not kept.
#[derive(Clone, Debug)]
pub struct RefusedEvent {
    /// Its place in what was published, from 0 on.
    pub index: usize,
    /// Why.
    pub error: PublishError,
}

/// Many events that are being published.
#[derive(Debug)]
pub(super) struct Bulk(Mutex<BulkState>);

#[derive(Debug)]
struct BulkState {
    outcome: BulkOutcome,
    waiting: u64,
    /// All of them were taken.
    is_whole: bool,
    done: Option<oneshot::Sender<Result<BulkOutcome, ClientError>>>,
}

impl Bulk {
    pub fn new() -> (Arc<Self>, BulkReceipt) {
        let (done, receipt) = oneshot::channel();
        let state = BulkState { outcome: BulkOutcome::default(), waiting: 0, is_whole: false, done: Some(done) };
        (Arc::new(Self(Mutex::new(state))), BulkReceipt(receipt))
    }

    fn with(&self, work: impl FnOnce(&mut BulkState)) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut state);
        if state.is_whole
            && state.waiting == 0
            && let Some(done) = state.done.take()
        {
            // Nobody may be waiting any more.
            let _ = done.send(Ok(std::mem::take(&mut state.outcome)));
        }
    }

    /// One more is on its way.
    pub fn add(&self) {
        self.with(|state| state.waiting += 1);
    }

    /// One is not sent at all.
    pub fn refuse(&self, index: usize, error: PublishError) {
        self.with(|state| state.outcome.refused.push(RefusedEvent { index, error }));
    }

    /// There come no more.
    pub fn whole(&self) {
        self.with(|state| state.is_whole = true);
    }

    fn settle(&self, index: usize, result: Result<(), PublishError>) {
        self.with(|state| {
            state.waiting -= 1;
            match result {
                Ok(()) => state.outcome.acknowledged += 1,
                Err(PublishError::Client(error)) => {
                    if let Some(done) = state.done.take() {
                        // Nobody may be waiting any more.
                        let _ = done.send(Err(error));
                    }
                }
                Err(error) => state.outcome.refused.push(RefusedEvent { index, error }),
            }
        });
    }
}

/// Whom to tell about an event.
#[derive(Debug)]
pub(super) enum Waiter {
    One(oneshot::Sender<Result<(), PublishError>>),
    OfMany(Arc<Bulk>, usize),
}

impl Waiter {
    /// For one event.
    pub fn one() -> (Self, Receipt) {
        let (sender, receiver) = oneshot::channel();
        (Self::One(sender), Receipt(receiver))
    }

    fn tell(self, result: Result<(), PublishError>) {
        match self {
            // Nobody may be waiting any more.
            Self::One(waiter) => drop(waiter.send(result)),
            Self::OfMany(bulk, index) => bulk.settle(index, result),
        }
    }
}

/// Who waits for what: per partition in the order of the events.
#[derive(Debug, Default)]
pub(super) struct Pending {
    partitions: Vec<VecDeque<(u64, Waiter)>>,
    /// Events that are kept.
    pub acknowledged: u64,
    /// Events that the node will never take.
    pub refused: u64,
}

impl Pending {
    /// An event is on its way.
    pub fn add(&mut self, published: Published, waiter: Waiter) {
        let partition = published.partition as usize;
        if self.partitions.len() <= partition {
            self.partitions.resize_with(partition + 1, VecDeque::new);
        }
        self.partitions[partition].push_back((published.number, waiter));
    }

    /// Events that somebody was told about.
    pub fn told(&self) -> u64 {
        self.acknowledged + self.refused
    }

    /// Tells those whose events are acknowledged.
    pub fn settle(&mut self, core: &Client) {
        for (partition, waiting) in self.partitions.iter_mut().enumerate().filter(|(_, waiting)| !waiting.is_empty()) {
            let settled = core.settled(partition as u32);
            while let Some((_, waiter)) = waiting.pop_front_if(|(number, _)| *number < settled) {
                self.acknowledged += 1;
                waiter.tell(Ok(()));
            }
        }
    }

    /// Tells those whose events are refused.
    pub fn refuse(&mut self, partition: u32, number: u64, count: u32, code: Code, text: &str) {
        let Some(waiting) = self.partitions.get_mut(partition as usize) else { return };
        let from = waiting.partition_point(|(found, _)| *found < number);
        let to = waiting.partition_point(|(found, _)| *found < number + u64::from(count));
        for (_, waiter) in waiting.drain(from..to) {
            self.refused += 1;
            waiter.tell(Err(PublishError::Refused { code, text: text.to_owned() }));
        }
    }

    /// It is all over.
    pub fn fail(&mut self, error: &ClientError) {
        for (_, waiter) in self.partitions.drain(..).flatten() {
            waiter.tell(Err(error.clone().into()));
        }
    }
}
