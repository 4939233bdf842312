//! One publisher and many subscribers at QoS 0, on one thread: every message is to reach them all, and what does not is counted.
//!
//! The publisher either goes as fast as the broker reads, or in step: it has at most so many messages under way that have not reached
//! everybody. What always holds: `delivered` counts whole PUBLISH packets on the fan's own topic; a message is sent once; only when
//! nothing at all has come for a while is what is missing given up.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::LocalSet;

use super::codec::{Connect, Draft, Packet, Qos, Version, decode, v5_reason, write_disconnect, write_subscribe};
use super::dial::{DialError, Dialed, Dialer, Stream};
use super::plan::{Access, Target};
use super::{MqttError, limits};
use crate::clock::now_us;
use crate::fleet::{Fleet, Model};

const READ_BYTES: usize = 256 * 1024;
/// A write is filled up to about this.
const WRITE_BYTES: usize = 64 * 1024;
const PACKET_BYTES_MAX: usize = 1024 * 1024;
const SUBSCRIBE_ID: u16 = 1;
const PUBLISHER: u32 = u32::MAX;

/// How many subscribers, and how much is under way.
#[derive(Clone, Debug)]
pub struct FanOutPlan {
    /// Where to and how to get in; its keep alive does not count: nobody pings, and 18 hours are asked for.
    pub access: Access,
    /// Subscribers, each with a connection of its own.
    pub subscribers: u32,
    /// Most messages that have not reached everybody; `None`: as many as the broker reads.
    pub under_way_max: Option<u64>,
    /// The topic of all messages.
    pub topic: String,
    /// Client ids begin with this.
    pub client_prefix: String,
    /// When nothing has come for so long, what is missing is lost.
    pub patience: Duration,
}

impl FanOutPlan {
    /// In step, with 256 messages under way.
    pub fn new(target: Target, subscribers: u32) -> Self {
        Self {
            access: Access::new(target),
            subscribers,
            under_way_max: Some(256),
            topic: "fan/out".to_owned(),
            client_prefix: "fan".to_owned(),
            patience: Duration::from_secs(2),
        }
    }
}

/// What came of some messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FanOutOutcome {
    /// Messages times subscribers.
    pub expected: u64,
    /// Messages that subscribers read.
    pub delivered: u64,
    /// From the first byte sent to the last one read.
    pub elapsed: Duration,
}

impl FanOutOutcome {
    /// What did not arrive.
    pub fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.delivered)
    }
}

/// What the connections share.
struct Shared {
    version: Version,
    target: String,
    topic: String,
    delivered: Cell<u64>,
    read: RefCell<Box<[u8]>>,
    /// Something was delivered, or failed.
    news: Notify,
    failed: RefCell<Option<MqttError>>,
}

/// Subscribers that stand, and their publisher.
pub struct FanOut {
    plan: FanOutPlan,
    shared: Rc<Shared>,
    subscribers: LocalSet,
    publisher: Stream,
    fleet: Fleet,
}

impl FanOut {
    /// Opens all connections; the subscriptions stand when this returns.
    pub async fn open(mut plan: FanOutPlan) -> Result<Self, MqttError> {
        plan.access.keep_alive_s = u16::MAX;
        let connections = plan.subscribers.saturating_add(1);
        limits::make_room(u64::from(connections)).map_err(|(needed, files_max)| MqttError::Files {
            connections,
            needed,
            files_max,
        })?;
        let dialer = Dialer::new(plan.access.clone(), Vec::new(), connections).await?;
        let shared = Rc::new(Shared {
            version: plan.access.version,
            target: plan.access.target.to_string(),
            topic: plan.topic.clone(),
            delivered: Cell::new(0),
            read: RefCell::new(vec![0; READ_BYTES].into_boxed_slice()),
            news: Notify::new(),
            failed: RefCell::new(None),
        });
        let subscribers = LocalSet::new();
        for number in 0..plan.subscribers {
            let dialed = dial(&dialer, &plan, number).await?;
            let subscriber = subscribe(&shared, dialed).await?;
            subscribers.spawn_local(subscriber.run());
        }
        let Dialed { stream: publisher, .. } = dial(&dialer, &plan, PUBLISHER).await?;
        Ok(Self { plan, shared, subscribers, publisher, fleet: Fleet::of(Model::telemetry(), 1, 0..1) })
    }

    /// Publishes so many messages, and waits until they have arrived or are lost.
    pub async fn publish(&mut self, messages: u64) -> Result<FanOutOutcome, MqttError> {
        let Self { plan, shared, subscribers, publisher, fleet } = self;
        subscribers.run_until(publish(plan, shared, publisher, fleet, messages)).await
    }

    /// Takes leave of the broker.
    pub async fn close(mut self) {
        let mut bye = Vec::new();
        write_disconnect(self.shared.version, true, &mut bye);
        // The subscribers' connections just end; so may this one, if the broker is faster.
        drop(tokio::time::timeout(self.plan.patience, self.publisher.write_all(&bye)).await);
    }
}

async fn dial(dialer: &Dialer, plan: &FanOutPlan, number: u32) -> Result<Dialed, MqttError> {
    let client_id = match number {
        PUBLISHER => format!("{}-publisher", plan.client_prefix),
        _ => format!("{}-{number}", plan.client_prefix),
    };
    let access = dialer.access();
    let connect = Connect {
        client_id: &client_id,
        keep_alive_s: access.keep_alive_s,
        clean_start: true,
        username: access.username.as_deref(),
        password: access.password.as_deref().map(str::as_bytes),
        session_expiry_s: 0,
        receive_maximum: 100,
    };
    let began = Instant::now();
    dialer.dial(number, 0, &connect).await.map_err(|error| match error {
        DialError::Fatal(error) => error,
        DialError::Again(why) => {
            MqttError::Unreachable { target: access.target.to_string(), after: began.elapsed(), why }
        }
    })
}

async fn publish(
    plan: &FanOutPlan,
    shared: &Shared,
    stream: &mut Stream,
    fleet: &mut Fleet,
    messages: u64,
) -> Result<FanOutOutcome, MqttError> {
    let subscribers = u64::from(plan.subscribers);
    let (before, began) = (shared.delivered.get(), Instant::now());
    let (mut sent, mut given_up, mut last) = (0, 0, began);
    let (mut out, mut payload) = (Vec::with_capacity(WRITE_BYTES + 4096), Vec::new());
    loop {
        let delivered = shared.delivered.get() - before;
        let under_way = (sent * subscribers).saturating_sub(delivered + given_up);
        if let Some(error) = shared.failed.borrow_mut().take() {
            return Err(error);
        }
        if sent == messages && under_way == 0 {
            return Ok(FanOutOutcome { expected: sent * subscribers, delivered, elapsed: last - began });
        }
        let room = match plan.under_way_max {
            None => u64::MAX,
            Some(most) => most.max(1).saturating_sub(under_way.div_ceil(subscribers.max(1))),
        };
        let burst = room.min(messages - sent);
        if burst == 0 {
            let heard = tokio::time::timeout(plan.patience, shared.news.notified()).await.is_ok();
            if heard {
                last = Instant::now();
            } else {
                given_up += under_way;
            }
            continue;
        }
        out.clear();
        let (ts_us, until) = (now_us(), sent + burst);
        while sent < until && out.len() < WRITE_BYTES {
            payload.clear();
            fleet.write_event(ts_us, &mut payload);
            let mut draft = Draft::begin(&mut out, Qos::AtMostOnce, false);
            out.extend_from_slice(plan.topic.as_bytes());
            draft.topic_ends(&mut out, shared.version, None);
            out.extend_from_slice(&payload);
            draft.finish(&mut out).map_err(|error| MqttError::Codec { target: shared.target.clone(), error })?;
            sent += 1;
        }
        stream.write_all(&out).await.map_err(|error| shared.broken(error))?;
        // A broker that reads everything at once must not keep the subscribers from reading.
        tokio::task::yield_now().await;
    }
}

/// One subscriber.
struct Subscriber {
    shared: Rc<Shared>,
    stream: Stream,
    /// The beginning of a packet that is not whole yet.
    inbox: Vec<u8>,
}

/// Subscribes, and waits until the subscription stands.
async fn subscribe(shared: &Rc<Shared>, dialed: Dialed) -> Result<Subscriber, MqttError> {
    let Dialed { mut stream, rest: mut inbox, .. } = dialed;
    let mut out = Vec::new();
    let codec = |error| MqttError::Codec { target: shared.target.clone(), error };
    write_subscribe(shared.version, SUBSCRIBE_ID, std::slice::from_ref(&shared.topic), Qos::AtMostOnce, &mut out)
        .map_err(codec)?;
    stream.write_all(&out).await.map_err(|error| shared.broken(error))?;
    loop {
        if let Some((packet, used)) = decode(shared.version, &inbox, PACKET_BYTES_MAX).map_err(codec)? {
            match packet {
                Packet::SubAck { packet_id: SUBSCRIBE_ID, codes } => {
                    if let Some(&code) = codes.iter().find(|&&code| code >= 0x80) {
                        let (target, filter) = (shared.target.clone(), shared.topic.clone());
                        return Err(MqttError::Subscription { target, filter, code });
                    }
                    inbox.drain(..used);
                    return Ok(Subscriber { shared: shared.clone(), stream, inbox });
                }
                _ => return Err(shared.broken("an answer to no question")),
            }
        }
        let mut buffer = [0; 256];
        match poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await {
            Ok(0) => return Err(shared.broken("the broker closed it")),
            Ok(count) => inbox.extend_from_slice(&buffer[..count]),
            Err(error) => return Err(shared.broken(error)),
        }
    }
}

impl Shared {
    fn broken(&self, why: impl ToString) -> MqttError {
        MqttError::Broken { target: self.target.clone(), why: why.to_string() }
    }

    /// Counts the whole packets at the front: how many bytes they have.
    fn take(&self, bytes: &[u8]) -> Result<usize, MqttError> {
        let (mut used, mut messages) = (0, 0);
        while let Some((packet, size)) = decode(self.version, &bytes[used..], PACKET_BYTES_MAX)
            .map_err(|error| MqttError::Codec { target: self.target.clone(), error })?
        {
            used += size;
            match packet {
                Packet::Publish(publish) if publish.topic == self.topic => messages += 1,
                Packet::Publish(publish) => {
                    return Err(self.broken(format!("`{}` was not subscribed to", publish.topic)));
                }
                Packet::Disconnect { reason } => return Err(self.broken(v5_reason(reason))),
                _ => return Err(self.broken("an answer to no question")),
            }
        }
        if messages > 0 {
            self.delivered.set(self.delivered.get() + messages);
            self.news.notify_one();
        }
        Ok(used)
    }
}

impl Subscriber {
    /// Reads and counts until the connection ends, which it should not.
    async fn run(mut self) {
        let error = poll_fn(|cx| self.poll_read(cx)).await;
        self.shared.failed.borrow_mut().get_or_insert(error);
        self.shared.news.notify_one();
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<MqttError> {
        let Self { shared, stream, inbox } = self;
        let mut read = shared.read.borrow_mut();
        loop {
            let count = match ready!(stream.poll_read(cx, &mut read)) {
                Ok(0) => return Poll::Ready(shared.broken("the broker closed it")),
                Ok(count) => count,
                Err(error) => return Poll::Ready(shared.broken(error)),
            };
            let taken = if inbox.is_empty() {
                let taken = shared.take(&read[..count]);
                if let Ok(used) = taken {
                    inbox.extend_from_slice(&read[used..count]);
                }
                taken
            } else {
                inbox.extend_from_slice(&read[..count]);
                let taken = shared.take(inbox);
                if let Ok(used) = taken {
                    inbox.drain(..used);
                }
                taken
            };
            if let Err(error) = taken {
                return Poll::Ready(error);
            }
        }
    }
}
