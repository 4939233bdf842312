//! Publishing over as many connections as it takes.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::connect::Connect;
use super::error::{ClientError, PublishError};
use super::event::NewEvent;
use super::link::{Link, State};
use super::receipt::{Bulk, BulkReceipt, Receipt, Waiter};
use crate::quic::frame::Welcome;
use crate::quic::session::client::{ClientSettings, Greeting, PublishError as CoreError, Published};

/// How events are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishOptions {
    /// How long an event may wait for others to share its frame. 0: it does not, and shares only while others are being sent.
    pub linger_ms: u64,
    /// A partition's frame of so many bytes is sent at once.
    pub batch_bytes: usize,
    /// Bytes of events that wait for their acknowledgement before `publish` waits.
    pub in_flight_bytes_max: usize,
    /// QUIC streams that the partitions are dealt to: a lost packet delays only those of its own.
    pub streams: u32,
}

impl Default for PublishOptions {
    fn default() -> Self {
        Self { linger_ms: 5, batch_bytes: 64 * 1024, in_flight_bytes_max: 16 * 1024 * 1024, streams: 1 }
    }
}

/// What became of everything that was published so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events that the node has kept.
    pub acknowledged: u64,
    /// Events that it will never take.
    pub refused: u64,
}

/// Sends events to a node. See the [module](super). Can be shared: all its methods take `&self`. Dropped, it does not wait for what is
/// not acknowledged: [`close`](Self::close) does.
#[derive(Debug)]
pub struct Publisher {
    link: Arc<Link>,
    linger: Duration,
    task: Option<JoinHandle<()>>,
}

impl Publisher {
    /// Connects. Resolves when the node has let the client in; what breaks later is mended, and sent again what was not acknowledged.
    pub async fn open(connect: Connect, options: PublishOptions) -> Result<Self, ClientError> {
        let mut producer = [0; 16];
        aws_lc_rs::rand::fill(&mut producer)
            .map_err(|_| ClientError::System("the system gives no random bytes".to_owned()))?;
        let settings = ClientSettings {
            producer,
            publish_streams: options.streams.max(1),
            publish_frame_bytes: options.batch_bytes,
            publish_queue_bytes_max: options.in_flight_bytes_max.max(1),
            ..Link::settings(&connect)
        };
        let (link, task) = Link::start(connect, settings, |_| {})?;
        let this = Self { link, linger: Duration::from_millis(options.linger_ms), task: Some(task) };
        loop {
            let mut noticed = pin!(this.link.noticed.notified());
            noticed.as_mut().enable();
            {
                let state = this.link.lock();
                if let Some(error) = &state.failed {
                    return Err(error.clone());
                }
                if let Some(greeting) = &state.greeting {
                    if greeting.permissions & Welcome::MAY_PUBLISH == 0 {
                        return Err(ClientError::Forbidden("publish"));
                    }
                    break;
                }
            }
            noticed.await;
        }
        Ok(this)
    }

    /// Publishes an event. Resolves when it is on its way, which with [`PublishOptions::in_flight_bytes_max`] of others before it takes
    /// a while; the receipt says when it is kept. Dropped while it waits, nothing is published.
    pub async fn publish(&self, event: &NewEvent) -> Result<Receipt, PublishError> {
        let (waiter, receipt) = Waiter::one();
        self.put(event, waiter).await?;
        Ok(receipt)
    }

    /// Publishes many events with one receipt for all of them. Events that cannot be sent are refused in its outcome and do not hold up
    /// the others.
    pub async fn publish_all<'e>(
        &self,
        events: impl IntoIterator<Item = &'e NewEvent>,
    ) -> Result<BulkReceipt, ClientError> {
        let (bulk, receipt) = Bulk::new();
        for (index, event) in events.into_iter().enumerate() {
            bulk.add();
            match self.put(event, Waiter::OfMany(bulk.clone(), index)).await {
                Ok(()) => {}
                Err(PublishError::Client(error)) => return Err(error),
                Err(error) => bulk.refuse(index, error),
            }
        }
        bulk.whole();
        Ok(receipt)
    }

    async fn put(&self, event: &NewEvent, waiter: Waiter) -> Result<(), PublishError> {
        let mut waiter = Some(waiter);
        loop {
            let mut settled = pin!(self.link.settled.notified());
            settled.as_mut().enable();
            {
                let mut state = self.link.lock();
                if let Some(error) = &state.failed {
                    return Err(error.clone().into());
                }
                let before = state.core.publish_queue_bytes();
                match state.core.publish(event.key.as_deref(), &event.data, &event.headers) {
                    Ok(published) => {
                        self.taken(&mut state, published, waiter.take(), before);
                        return Ok(());
                    }
                    Err(CoreError::Full { .. }) => {}
                    Err(CoreError::Forbidden) => return Err(ClientError::Forbidden("publish").into()),
                    Err(error) => return Err(PublishError::Unsendable(error)),
                }
            }
            settled.await;
        }
    }

    fn taken(&self, state: &mut State, published: Published, waiter: Option<Waiter>, bytes_before: usize) {
        if let Some(waiter) = waiter {
            state.pending.add(published, waiter);
        }
        let is_first = state.linger_until.is_none();
        if is_first {
            state.linger_until = Some(Instant::now() + self.linger);
        }
        // A frame is full, or somebody has to wake up when the first event has waited long enough.
        if is_first || state.core.publish_queue_bytes() > bytes_before {
            self.link.to_send.notify_waiters();
        }
    }

    /// Sends what waits, and resolves when the node has decided about everything that was published before.
    pub async fn flush(&self) -> Result<(), ClientError> {
        let wanted: Vec<u64> = {
            let mut state = self.link.lock();
            state.linger_until = None;
            state.core.flush();
            let partitions = state.core.partitions();
            (0..partitions).map(|partition| state.core.published(partition)).collect()
        };
        self.link.to_send.notify_waiters();
        loop {
            let mut settled = pin!(self.link.settled.notified());
            settled.as_mut().enable();
            {
                let state = self.link.lock();
                let mut all = wanted.iter().zip(0..);
                if all.all(|(wanted, partition)| state.core.settled(partition) >= *wanted) {
                    return Ok(());
                }
                if let Some(error) = &state.failed {
                    return Err(error.clone());
                }
            }
            settled.await;
        }
    }

    /// What became of what was published so far.
    pub fn totals(&self) -> Totals {
        let state = self.link.lock();
        Totals { acknowledged: state.pending.acknowledged, refused: state.pending.refused }
    }

    /// What the node said about itself and the client; none while there is no connection.
    pub fn greeting(&self) -> Option<Greeting> {
        self.link.lock().greeting.clone()
    }

    /// Goes on from another port of this machine, as after a change of networks.
    pub fn rebind(&self) -> std::io::Result<()> {
        self.link.rebind()
    }

    /// Sends what waits, waits for the receipts, and says goodbye to the node.
    pub async fn close(mut self) -> Result<Totals, ClientError> {
        self.flush().await?;
        self.link.stop();
        if let Some(task) = self.task.take() {
            // It ends by itself or has ended with its runtime.
            let _ = task.await;
        }
        Ok(self.totals())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.link.stop();
    }
}
