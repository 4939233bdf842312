//! A subscription over as many connections as it takes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use engine::event::Event;
use engine::lane::Enrichment;
use futures_util::Stream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::connect::{Connect, Notice};
use super::error::{ClientError, CommitError};
use super::link::Link;
use crate::quic::frame::Code;
use crate::quic::session::client::{Event as Session, Greeting, Received, SubscribeOptions};

/// Events of one partition, in offset order.
#[derive(Debug)]
pub struct Batch {
    received: Received,
    properties: Arc<[Enrichment]>,
}

impl Batch {
    /// Their partition.
    pub fn partition(&self) -> u32 {
        self.received.partition
    }

    /// Where the partition goes on behind them: to be kept with what was made of them, or committed.
    pub fn next_offset(&self) -> u64 {
        let Received { settled_to, .. } = &self.received;
        *settled_to
    }

    /// The events.
    pub fn events(&self) -> impl Iterator<Item = Event<'_>> {
        self.received.events()
    }

    /// What the route adds to every event, in place of a property of the same name. Empty without a route.
    pub fn properties(&self) -> &[Enrichment] {
        &self.properties
    }
}

/// What a subscription brings.
#[derive(Debug)]
pub enum Incoming {
    /// Events.
    Batch(Batch),
    /// The log does not have these events any more: they were too old, or damaged. Whether they would have matched, nobody knows.
    Lost {
        /// The partition.
        partition: u32,
        /// Offset of the first.
        from: u64,
        /// Offset behind the last.
        to: u64,
    },
}

/// Takes events from a node. See the [module](super).
///
/// It is also a [`Stream`], which ends after its first error.
#[derive(Debug)]
pub struct Subscriber {
    link: Arc<Link>,
    handle: u32,
    properties: Arc<[Enrichment]>,
    task: Option<JoinHandle<()>>,
    /// The stream has said its error.
    has_failed: bool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("connect", &self.connect).finish_non_exhaustive()
    }
}

/// What a turn brought.
enum Taken {
    Incoming(Incoming),
    Opened,
}

impl Subscriber {
    /// Connects and subscribes. Resolves when the node serves the subscription, for the first time; what breaks later is mended
    /// without a word, or with one to [`Connect::watch`].
    pub async fn open(connect: Connect, wanted: SubscribeOptions) -> Result<Self, ClientError> {
        let settings = Link::settings(&connect);
        let mut handle = 0;
        let (link, task) = Link::start(connect, settings, |state| handle = state.core.subscribe(wanted))?;
        let mut this = Self { link, handle, properties: Arc::default(), task: Some(task), has_failed: false };
        loop {
            // The node says that it serves the subscription before anything else.
            if let Taken::Opened = std::future::poll_fn(|context| this.poll_taken(context)).await? {
                return Ok(this);
            }
        }
    }

    /// The next that came. It counts as taken: [`positions`](Self::positions) go on behind it, and the node may send more. May be
    /// dropped while it waits; after an error there are only errors.
    pub async fn next(&mut self) -> Result<Incoming, ClientError> {
        std::future::poll_fn(|context| self.poll_incoming(context)).await
    }

    /// What has come already, without waiting.
    pub fn try_next(&mut self) -> Result<Option<Incoming>, ClientError> {
        let mut nobody = Context::from_waker(std::task::Waker::noop());
        match self.poll_incoming(&mut nobody) {
            Poll::Ready(taken) => taken.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    fn poll_incoming(&mut self, context: &mut Context<'_>) -> Poll<Result<Incoming, ClientError>> {
        loop {
            match self.poll_taken(context) {
                Poll::Ready(Ok(Taken::Incoming(incoming))) => return Poll::Ready(Ok(incoming)),
                Poll::Ready(Ok(Taken::Opened)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn poll_taken(&mut self, context: &mut Context<'_>) -> Poll<Result<Taken, ClientError>> {
        let event = {
            let mut state = self.link.lock();
            match state.core.poll_event() {
                Some(event) => event,
                None => {
                    if let Some(error) = &state.failed {
                        return Poll::Ready(Err(error.clone()));
                    }
                    state.taker = Some(context.waker().clone());
                    return Poll::Pending;
                }
            }
        };
        // Taking it may have given the node new credit.
        self.link.to_send.notify_waiters();
        Poll::Ready(match event {
            Session::Batch(received) => {
                Ok(Taken::Incoming(Incoming::Batch(Batch { received, properties: self.properties.clone() })))
            }
            Session::Lost { partition, from, to, .. } => Ok(Taken::Incoming(Incoming::Lost { partition, from, to })),
            Session::Subscribed { properties, warnings, .. } => {
                self.properties = properties.into_iter().map(|(key, value)| Enrichment { key, value }).collect();
                warnings.into_iter().for_each(|text| self.link.connect.tell(&Notice::FilterWarning(text)));
                Ok(Taken::Opened)
            }
            Session::Refused { code, text, advice, .. } | Session::Ended { code, text, advice, .. } => {
                Err(self.refused(code, text, advice))
            }
            // The task has seen to them.
            Session::Welcome(_)
            | Session::Postponed { .. }
            | Session::Committed { .. }
            | Session::Rejected { .. }
            | Session::Forgotten { .. }
            | Session::GoingAway { .. } => return self.poll_taken(context),
        })
    }

    fn refused(&self, code: Code, text: String, advice: String) -> ClientError {
        let error = ClientError::Refused { code, text, advice };
        self.link.lock().failed.get_or_insert_with(|| error.clone());
        self.link.stop();
        error
    }

    /// Where each partition goes on behind what [`next`](Self::next) has given, with the partitions' numbers.
    pub fn positions(&self) -> Vec<(u32, u64)> {
        self.link.lock().core.positions(self.handle)
    }

    /// Has the node keep these positions under the name of a subscriber: resolves when they are on its disk. All that
    /// [`next`](Self::next) has given must be done with.
    pub async fn commit(&self, subscriber: &str) -> Result<(), CommitError> {
        self.commit_at(subscriber, &self.positions()).await
    }

    /// The same for positions of one's own: pairs of a partition and of the first offset in it that is not done with. Partitions
    /// that are not named stay as they were.
    pub async fn commit_at(&self, subscriber: &str, positions: &[(u32, u64)]) -> Result<(), CommitError> {
        let mut positions = positions.to_vec();
        positions.sort_unstable();
        if positions.is_empty() || positions.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(CommitError::Positions);
        }
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.link.lock();
            if let Some(error) = &state.failed {
                return Err(error.clone().into());
            }
            let request = state.core.commit(subscriber, &positions);
            state.commits.push((request, sender));
        }
        self.link.to_send.notify_waiters();
        receiver.await.unwrap_or(Err(ClientError::Stopped.into()))
    }

    /// What the node said about itself and the client; none while there is no connection.
    pub fn greeting(&self) -> Option<Greeting> {
        self.link.lock().greeting.clone()
    }

    /// Goes on from another port of this machine. After a change of networks it spares the wait until the old path is given up; the
    /// subscription stays as it is.
    pub fn rebind(&self) -> std::io::Result<()> {
        self.link.rebind()
    }

    /// Says goodbye to the node.
    pub async fn close(mut self) {
        self.link.stop();
        if let Some(task) = self.task.take() {
            // It ends by itself or has ended with its runtime.
            let _ = task.await;
        }
    }
}

impl Stream for Subscriber {
    type Item = Result<Incoming, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_failed {
            return Poll::Ready(None);
        }
        let polled = self.poll_incoming(context);
        self.has_failed = matches!(polled, Poll::Ready(Err(_)));
        polled.map(Some)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.link.stop();
    }
}
