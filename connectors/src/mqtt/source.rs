//! The listener of one core: sockets, timers and tasks around its broker.
//!
//! A connection is a task without a buffer: bytes are read into the core's one buffer and handled before anything else runs. What
//! the broker wants done is done in a task of its own, the turn, which runs behind all connections that had something to say: so what they
//! published goes to the shards together, and what they are to be told is written once. What always holds: while the shards
//! have no room no connection is read.

mod accept;
mod backlog;
mod connection;
mod turn;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::batch::Batch;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;

use super::broker::{Broker, Now};
use super::mail::Mail;
use super::node::Node;
use super::stats::MqttStats;
use super::store::Changes;
use super::tls::TlsSource;
use crate::hub::LogReader;
use crate::intake::{Intake, SharedBatches};

pub use accept::Sockets;

/// Bytes that one read takes from a socket.
const READ_BYTES_MAX: usize = 64 * 1024;
/// How often clients are looked at that should have been heard.
const TICK: Duration = Duration::from_millis(100);
/// How often sessions are stored.
const SAVE_INTERVAL: Duration = Duration::from_millis(500);
/// How long connections may take to read why they end.
const GRACE: Duration = Duration::from_secs(3);

/// The broker of a core and what it needs of the world. Shared by the tasks of the core, never by two threads.
pub struct Core {
    broker: RefCell<Broker>,
    /// Twice what a read takes: the piece of a packet that was there before stands in front.
    read_buffer: RefCell<Box<[u8]>>,
    log: LogReader,
    tls: Option<Arc<TlsSource>>,
    began: Instant,
    /// Held while a password is hashed.
    hashing: Semaphore,
    waiting_attempts: Cell<usize>,
    /// Wakes the turn.
    turn_waker: RefCell<Option<Waker>>,
    turn_is_due: Cell<bool>,
    /// The shards have no room: these wait until they have.
    is_blocked: Cell<bool>,
    blocked: RefCell<Vec<Waker>>,
}

/// What a core is made of.
pub struct Parts {
    /// Its number.
    pub core: u16,
    /// What all cores share.
    pub node: Arc<Node>,
    /// What it counts.
    pub stats: Arc<MqttStats>,
    /// Its way into the log.
    pub intake: Intake,
    /// The log.
    pub log: LogReader,
    /// To the thread that stores sessions.
    pub keeper: Sender<Changes>,
    /// Certificates.
    pub tls: Option<Arc<TlsSource>>,
    /// Where its tap begins, per partition.
    pub tap: Box<[u64]>,
}

impl Core {
    /// The core's broker, on the core's thread.
    pub fn new(parts: Parts) -> Rc<Self> {
        let batches = SharedBatches::new(parts.intake, parts.node.settings.ack);
        let mut broker = Broker::new(parts.core, parts.node, parts.stats, batches, parts.tap, parts.keeper);
        let began = Instant::now();
        broker.set_now(now(began));
        Rc::new(Self {
            broker: RefCell::new(broker),
            read_buffer: RefCell::new(vec![0; 2 * READ_BYTES_MAX].into()),
            log: parts.log,
            tls: parts.tls,
            began,
            hashing: Semaphore::new(1),
            waiting_attempts: Cell::new(0),
            turn_waker: RefCell::new(None),
            turn_is_due: Cell::new(false),
            is_blocked: Cell::new(false),
            blocked: RefCell::new(Vec::new()),
        })
    }

    /// A batch is synced: for the tap.
    pub fn deliver(&self, batch: &Arc<Batch>) {
        self.with(|broker| broker.deliver(batch));
    }

    /// Everything of a partition before `offset` was delivered, or is lost: for the tap.
    pub fn advance(&self, partition: u32, offset: u64) {
        self.with(|broker| broker.advance(partition, offset));
    }

    /// Does something with the broker, at the time it is, and has what it wants done.
    fn with<R>(&self, work: impl FnOnce(&mut Broker) -> R) -> R {
        let mut broker = self.broker.borrow_mut();
        self.set_now(&mut broker);
        let result = work(&mut broker);
        self.want_turn();
        result
    }

    /// While a turn is due its time is that of what began it: a thousand connections that have something to say are one look at the clock.
    fn set_now(&self, broker: &mut Broker) {
        if !self.turn_is_due.get() {
            broker.set_now(now(self.began));
        }
    }

    fn want_turn(&self) {
        if !self.turn_is_due.replace(true)
            && let Some(waker) = &*self.turn_waker.borrow()
        {
            waker.wake_by_ref();
        }
    }

    /// Serves until `shutdown` resolves; then everybody is told, and sessions are stored once more.
    pub async fn serve(
        self: Rc<Self>,
        sockets: Sockets,
        mail: UnboundedReceiver<Mail>,
        shutdown: impl Future<Output = ()>,
    ) {
        let accepting = accept::spawn(&self, sockets);
        tokio::task::spawn_local(turn::run(self.clone()));
        tokio::task::spawn_local(self.clone().read_mail(mail));
        let mut tick = tokio::time::interval(TICK);
        let mut save = tokio::time::interval(SAVE_INTERVAL);
        for interval in [&mut tick, &mut save] {
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        }
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                _ = tick.tick() => self.with(Broker::tick),
                _ = save.tick() => self.with(Broker::save),
                () = &mut shutdown => break,
            }
        }
        for task in accepting {
            task.abort();
        }
        self.with(Broker::stop);
        let deadline = Instant::now() + GRACE;
        loop {
            tick.tick().await;
            let is_done = self.with(|broker| broker.open_connections() == 0 && !broker.batches().is_open());
            if is_done || Instant::now() >= deadline {
                break;
            }
        }
        self.with(Broker::save);
    }

    async fn read_mail(self: Rc<Self>, mut mail: UnboundedReceiver<Mail>) {
        while let Some(one) = mail.recv().await {
            self.with(|broker| broker.handle_mail(one));
        }
    }
}

fn now(began: Instant) -> Now {
    // A clock before 1970 is a broken clock; its events get the epoch.
    let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    Now { tick_ms: began.elapsed().as_millis() as u64, unix_ms }
}
