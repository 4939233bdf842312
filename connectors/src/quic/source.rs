//! The listener of one core for `anabranch/1`: the tasks between quinn's streams and the session cores, and the core's way into the log.
//!
//! A connection has one task, which reads its control stream and waits for publish streams. Streams are written at the end of a core's
//! turn, all that it has for each of them together; only a stream that does not take it all at once has a task until it has. What always
//! holds: nothing is read that the session core does not want, so a client that sends too much is held back by QUIC; nothing is taken
//! from the node for a subscriber that has no credit or whose stream takes no bytes, so its cursor falls behind and memory does not grow.

mod flush;
mod hub;
mod outlet;
mod publish;
mod connection;
mod stats;
mod turn;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::mesh::AckLevel;
use tokio::sync::{Notify, Semaphore};

pub use hub::{Hub, Local, Rejection, Serving};
pub use outlet::Outlet;
pub use stats::SessionStats;

use super::endpoint::Arrived;
use super::frame::Code;
use super::session::QuicLimits;
use super::session::server::PublishTicket;
use crate::intake::{Appends, Intake};
use crate::mqtt::access::Access;
use connection::Session;
use flush::Flushes;

/// How often clients are told how far the log was looked through for them.
const POSITION_INTERVAL: Duration = Duration::from_secs(1);
/// How long clients have to get their last ACKs when the node stops.
const GRACE: Duration = Duration::from_secs(3);
/// When clients may come again, as they are told when the node stops.
const COME_AGAIN_MS: u64 = 1000;

/// What all cores share.
#[derive(Debug)]
pub struct Shared {
    /// Who may connect and do what.
    pub access: Arc<Access>,
    /// Bounds of a connection.
    pub limits: QuicLimits,
    /// What ACK promises.
    pub ack: AckLevel,
    /// Name of the node.
    pub node: String,
    /// Its program and version.
    pub agent: String,
    /// Partitions of the log.
    pub partitions: u32,
}

/// A published batch on its way.
type Appending = (Rc<Session>, PublishTicket);

/// The connections of a core. Never touched by two threads.
pub struct Core {
    shared: Arc<Shared>,
    stats: Arc<SessionStats>,
    hub: Box<dyn Hub>,
    appends: RefCell<Appends>,
    /// By the number of an append: whose it is.
    appending: RefCell<Vec<Option<Appending>>>,
    turn_waker: RefCell<Option<Waker>>,
    flushes: Flushes,
    /// The shards have no room: no publish stream is read.
    is_blocked: Cell<bool>,
    unblocked: Notify,
    /// Held while a password is hashed.
    hashing: Semaphore,
    sessions: RefCell<HashMap<u64, Rc<Session>>>,
    next_session: Cell<u64>,
    is_stopping: Cell<bool>,
}

impl Core {
    /// On the core's thread.
    pub fn new(shared: Arc<Shared>, stats: Arc<SessionStats>, hub: Box<dyn Hub>, intake: Intake) -> Rc<Self> {
        Rc::new(Self {
            appends: RefCell::new(Appends::new(intake, shared.ack)),
            shared,
            stats,
            hub,
            appending: RefCell::new(Vec::new()),
            turn_waker: RefCell::new(None),
            flushes: Flushes::default(),
            is_blocked: Cell::new(false),
            unblocked: Notify::new(),
            hashing: Semaphore::new(1),
            sessions: RefCell::new(HashMap::new()),
            next_session: Cell::new(0),
            is_stopping: Cell::new(false),
        })
    }

    /// Serves a connection that speaks `anabranch/1` and has come to this core.
    pub fn serve(self: &Rc<Self>, arrived: Arrived) {
        if self.is_stopping.get() {
            arrived.connection.close(code(Code::GOING_AWAY), b"the node stops");
            return;
        }
        tokio::task::spawn_local(connection::run(self.clone(), arrived));
    }

    /// Does what has to be done for all connections, until `shutdown` resolves; then clients are told and have a moment.
    pub async fn run(self: Rc<Self>, shutdown: impl Future<Output = ()>) {
        let turn = tokio::task::spawn_local(turn::run(self.clone()));
        let flush = tokio::task::spawn_local(flush::run(self.clone()));
        let mut tick = tokio::time::interval(POSITION_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                _ = tick.tick() => self.sessions().iter().for_each(|session| session.tell_positions()),
                () = &mut shutdown => break,
            }
        }
        self.is_stopping.set(true);
        self.sessions().iter().for_each(|session| session.go_away("the node stops", COME_AGAIN_MS));
        let deadline = Instant::now() + GRACE;
        let mut look = tokio::time::interval(Duration::from_millis(20));
        while Instant::now() < deadline && self.sessions().iter().any(|session| !session.is_settled()) {
            look.tick().await;
        }
        for session in self.sessions() {
            session.close(Code::GOING_AWAY, "the node stops");
        }
        turn.abort();
        flush.abort();
    }

    /// Who may do what was read again: whose rights have changed has to come again.
    pub fn renew(&self) {
        self.sessions().iter().for_each(|session| session.renew());
    }

    /// Live subscriptions and connections of this core.
    fn sessions(&self) -> Vec<Rc<Session>> {
        self.sessions.borrow().values().cloned().collect()
    }

    fn want_turn(&self) {
        if let Some(waker) = &*self.turn_waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// As quinn closes with it.
fn code(code: Code) -> quinn::VarInt {
    quinn::VarInt::from_u64(code.0).unwrap_or_default()
}

fn unix_ms() -> i64 {
    // A clock before 1970 is a broken clock; its events get the epoch.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
