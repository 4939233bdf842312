//! What outlives the process beside the log: sessions that are to stay, retained messages, and how far the taps were.
//!
//! A thread of its own writes what the cores send, all that has come in one commit. What always holds: what is stored of a session
//! is as new as the positions that are stored with it, so a session that follows goes on from there and misses
//! nothing; what a crash makes it get twice lies within the last commits.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use engine::batch::Batch;
use serde::{Deserialize, Serialize};

use super::access::{Attributes, Grants, Identity};
use super::codec::{Qos, SubscribeOptions};
use super::mail::Mail;
use super::node::Mailboxes;
use super::registry::{Parked, Place};
use super::retained;
use super::session::{Incoming, NEVER_EXPIRES_S, Origin, Position, Session, Subscription};
use super::will::Will;

#[cfg(test)]
mod tests;

/// What a core has to store.
#[derive(Debug, Default)]
pub struct Changes {
    /// Sessions by client identifier; `None`: it has ended.
    pub sessions: Vec<(Arc<str>, Option<Vec<u8>>)>,
    /// Retained messages by topic; `None`: removed.
    pub retained: retained::Changed,
    /// A core and how far its tap is.
    pub checkpoint: Option<(u16, Box<[u64]>)>,
    /// Who waits to hear that their subscriptions are stored.
    pub subscribers: Vec<(Place, u16)>,
}

/// What is written at once.
#[derive(Debug, Default)]
pub struct Commit {
    /// Sessions by client identifier; `None`: remove.
    pub sessions: HashMap<Arc<str>, Option<Vec<u8>>>,
    /// Retained messages by topic: a batch of one row; `None`: remove.
    pub retained: HashMap<Box<str>, Option<Arc<Batch>>>,
    /// Everything before these offsets is in what is stored.
    pub checkpoint: Option<Vec<u64>>,
}

/// What was stored.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// Sessions, as [`encode`] wrote them.
    pub sessions: Vec<Vec<u8>>,
    /// Retained messages by topic.
    pub retained: Vec<(String, Vec<u8>)>,
    /// See [`Commit::checkpoint`].
    pub checkpoint: Option<Vec<u64>>,
}

/// The store cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the store of MQTT sessions: {0}")]
pub struct StoreError(pub String);

/// Where it is kept. Calls block.
pub trait SessionStore: Send + Sync + 'static {
    /// All there is.
    fn load(&self) -> Result<Saved, StoreError>;
    /// Writes all or nothing, durably.
    fn commit(&self, commit: &Commit) -> Result<(), StoreError>;
}

#[derive(Serialize, Deserialize)]
struct StoredSubscription {
    filter: Box<str>,
    qos: u8,
    no_local: bool,
    retain_as_published: bool,
    retain_handling: u8,
    id: u32,
    since: Option<Box<[u64]>>,
}

#[derive(Serialize, Deserialize)]
struct StoredInFlight {
    packet_id: u16,
    qos: u8,
    is_released: bool,
    partition: u32,
    offset: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredWill {
    topic: String,
    payload: String,
    qos: u8,
    retain: bool,
    delay_s: u32,
    properties: String,
}

#[derive(Serialize, Deserialize)]
struct StoredSession {
    client_id: Box<str>,
    name: Box<str>,
    expiry_s: u32,
    /// `None`: it was connected, or never ends.
    expires_at_ms: Option<i64>,
    subscriptions: Vec<StoredSubscription>,
    /// `None`: it followed its core.
    position: Option<Box<[u64]>>,
    in_flight: Vec<StoredInFlight>,
    incoming: Vec<u16>,
    /// Of a client that was connected, or whose will's delay was not over.
    will: Option<StoredWill>,
}

/// A session as it is stored, with the will of its client.
pub fn encode(session: &Session, will: Option<&Will>, expires_at_ms: Option<i64>) -> Vec<u8> {
    let subscriptions = session.subscriptions.iter().map(|known| StoredSubscription {
        filter: known.filter.clone(),
        qos: known.options.qos as u8,
        no_local: known.options.no_local,
        retain_as_published: known.options.retain_as_published,
        retain_handling: known.options.retain_handling,
        id: known.id,
        since: known.since.clone(),
    });
    // A retained message that was under way is not in the log; it is retained still, most likely, and not sent again.
    let in_flight = session.in_flight.iter().filter_map(|known| match known.origin {
        Origin::Log { partition, offset } => Some(StoredInFlight {
            packet_id: known.packet_id,
            qos: known.qos as u8,
            is_released: known.is_released,
            partition,
            offset,
        }),
        Origin::Retained(_) => None,
    });
    let stored = StoredSession {
        client_id: (*session.client_id).into(),
        name: (*session.name).into(),
        expiry_s: session.expiry_s,
        expires_at_ms,
        subscriptions: subscriptions.collect(),
        position: match &session.position {
            Position::Live => None,
            Position::At(position) => Some(position.clone()),
        },
        in_flight: in_flight.collect(),
        incoming: session.incoming.iter().map(|known| known.packet_id).collect(),
        will: will.map(|will| StoredWill {
            topic: will.topic.clone(),
            payload: BASE64.encode(&will.payload),
            qos: will.qos,
            retain: will.retain,
            delay_s: will.delay_s,
            properties: BASE64.encode(&will.properties),
        }),
    };
    // Texts and numbers: there is nothing that cannot be written.
    serde_json::to_vec(&stored).unwrap_or_default()
}

/// A stored session, and whether it followed; `checkpoint` is where those go on that did. `None`: it is not of this version.
pub fn decode(bytes: &[u8], checkpoint: &[u64], now_ms: i64) -> Option<(Parked, bool)> {
    let stored: StoredSession = serde_json::from_slice(bytes).ok()?;
    let mut session = Session::new((*stored.client_id).into(), (*stored.name).into(), stored.expiry_s);
    session.is_dirty = false;
    let fits = |position: &[u64]| position.len() == checkpoint.len();
    for known in stored.subscriptions {
        let options = SubscribeOptions {
            qos: Qos::of(known.qos)?,
            no_local: known.no_local,
            retain_as_published: known.retain_as_published,
            retain_handling: known.retain_handling,
        };
        let since = known.since.filter(|since| fits(since));
        session.subscriptions.push(Subscription { filter: known.filter, options, id: known.id, since });
    }
    for known in stored.in_flight {
        if known.packet_id == 0 || known.qos == 0 {
            return None;
        }
        let origin = Origin::Log { partition: known.partition, offset: known.offset };
        session.restore(known.packet_id, Qos::of(known.qos)?, known.is_released, origin);
    }
    session.incoming = stored.incoming.into_iter().map(|packet_id| Incoming { packet_id, is_doubtful: true }).collect();
    // One of another log is none.
    let followed = !stored.position.as_deref().is_some_and(fits);
    session.position = Position::At(stored.position.filter(|position| fits(position)).unwrap_or(checkpoint.into()));
    let will = match stored.will {
        Some(will) => Some(Box::new(Will {
            client_id: session.client_id.clone(),
            // What it may do was looked at when it connected.
            identity: Some(Arc::new(Identity {
                name: session.name.clone(),
                attributes: Attributes::default(),
                expires_at_s: None,
                grants: Arc::new(Grants::everything()),
            })),
            topic: will.topic,
            payload: BASE64.decode(will.payload).ok()?,
            qos: will.qos,
            retain: will.retain,
            delay_s: will.delay_s,
            properties: BASE64.decode(will.properties).ok()?,
        })),
        None => None,
    };
    let mut parked = Parked::new(Box::new(session), will, now_ms);
    if stored.expiry_s != NEVER_EXPIRES_S && stored.expires_at_ms.is_some() {
        parked.expires_at_ms = stored.expires_at_ms;
    }
    Some((parked, followed))
}

/// The thread that writes.
#[derive(Debug)]
pub struct Keeper {
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Starts it. It ends when the last sender is gone, with all written that was sent.
    pub fn start(store: Arc<dyn SessionStore>, mailboxes: Mailboxes) -> std::io::Result<(Sender<Changes>, Self)> {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("mqtt-sessions".to_owned())
            .spawn(move || run(&*store, &receiver, &mailboxes))?;
        Ok((sender, Self { thread }))
    }

    /// Waits for its end.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("the thread that stores MQTT sessions panicked");
        }
    }
}

/// What has come and is not written.
#[derive(Debug)]
struct Gathered {
    cores: usize,
    commit: Commit,
    subscribers: Vec<(Place, u16)>,
    taps: HashMap<u16, Box<[u64]>>,
    /// Somebody waits, or a core has said how far it is. What cores say of single sessions between waits for that.
    is_due: bool,
}

impl Gathered {
    fn add(&mut self, changes: Changes) {
        self.is_due |= !changes.subscribers.is_empty() || changes.checkpoint.is_some();
        self.commit.sessions.extend(changes.sessions);
        self.commit.retained.extend(changes.retained);
        self.subscribers.extend(changes.subscribers);
        self.taps.extend(changes.checkpoint);
        if self.taps.len() == self.cores {
            let lowest = self.taps.values().map(|tap| tap.to_vec());
            self.commit.checkpoint =
                lowest.reduce(|lowest, tap| lowest.into_iter().zip(tap).map(|(a, b)| a.min(b)).collect());
        }
    }
}

fn run(store: &dyn SessionStore, receiver: &Receiver<Changes>, mailboxes: &Mailboxes) {
    let mut gathered = Gathered {
        cores: mailboxes.cores(),
        commit: Commit::default(),
        subscribers: Vec::new(),
        taps: HashMap::new(),
        is_due: false,
    };
    let mut stored: Option<Vec<u64>> = None;
    loop {
        let first = receiver.recv();
        let is_over = first.is_err();
        // All that has come while the last commit was written goes with the next.
        first.into_iter().chain(receiver.try_iter()).for_each(|changes| gathered.add(changes));
        if gathered.is_due || is_over {
            write(store, mailboxes, &mut gathered, &mut stored);
        }
        if is_over {
            return;
        }
    }
}

fn write(store: &dyn SessionStore, mailboxes: &Mailboxes, gathered: &mut Gathered, stored: &mut Option<Vec<u64>>) {
    let commit = &mut gathered.commit;
    if commit.checkpoint == *stored {
        commit.checkpoint = None;
    }
    gathered.is_due = false;
    let subscribers = std::mem::take(&mut gathered.subscribers);
    if commit.sessions.is_empty() && commit.retained.is_empty() && commit.checkpoint.is_none() {
        return tell(mailboxes, subscribers, true);
    }
    let is_kept = match store.commit(commit) {
        Ok(()) => {
            *stored = commit.checkpoint.take().or(stored.take());
            *commit = Commit::default();
            true
        }
        Err(error) => {
            // It goes with the next.
            tracing::error!(%error, "cannot store MQTT sessions; what clients were told before is kept");
            false
        }
    };
    tell(mailboxes, subscribers, is_kept);
}

fn tell(mailboxes: &Mailboxes, subscribers: Vec<(Place, u16)>, is_kept: bool) {
    let mut by_core: HashMap<u16, Vec<(Place, u16)>> = HashMap::new();
    for subscriber in subscribers {
        by_core.entry(subscriber.0.core).or_default().push(subscriber);
    }
    for (core, subscribers) in by_core {
        mailboxes.send(core, Mail::Stored { subscribers, is_kept });
    }
}
