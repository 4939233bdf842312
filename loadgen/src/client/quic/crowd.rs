//! Many subscribers on one thread that count what comes and look at as little of it as they can: they must cost less than the node.
//!
//! A member is a subscription; members share connections or have one each. What always holds: a member's events are those that its
//! BATCH frames say they carry; one that stands still reads what its first credit lets through, and never gives more.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use tokio::sync::Notify;
use tokio::task::LocalSet;

use super::QuicError;
use super::codec::{Answer, Control, Start, Subscribe, skim, write_credit, write_subscribe};
use super::dial::{ControlReader, DialError, Dialer, Link, ended, leave, not_the_protocol, write_ended};
use super::plan::{Access, From, Wanted};
use crate::fleet::share;

/// Pieces that are taken from a stream at a time.
const PIECES: usize = 64;
/// Of a piece that follows the beginning of a frame, so many bytes are looked at first.
const LOOK_BYTES: usize = 64;

/// One subscriber of a crowd.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// Its filter, if not that of all.
    pub filter: Option<String>,
    /// Gives no credit after the first.
    pub stands_still: bool,
}

/// A crowd.
#[derive(Clone, Debug)]
pub struct CrowdPlan {
    /// Where to and how to get in.
    pub access: Access,
    /// What all have in common.
    pub wanted: Wanted,
    /// The subscribers.
    pub members: Vec<Member>,
    /// Connections that they share evenly.
    pub connections: u32,
    /// When nothing has come for so long, nothing more will.
    pub patience: Duration,
}

/// What has come so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrowdView {
    /// Events of each member.
    pub events: Vec<u64>,
    /// BATCH frames of all, and the bytes of their bodies.
    pub batches: u64,
    /// See above.
    pub bytes: u64,
    /// LOST frames of all.
    pub losses: u64,
    /// Since the start of the wait until what was waited for had come, or until the last that came.
    pub elapsed: Duration,
}

impl CrowdView {
    /// Events of all members.
    pub fn delivered(&self) -> u64 {
        self.events.iter().sum()
    }
}

/// What the connections share.
struct Shared {
    access: Access,
    wanted: Wanted,
    members: Vec<Member>,
    events: RefCell<Vec<u64>>,
    delivered: Cell<u64>,
    batches: Cell<u64>,
    bytes: Cell<u64>,
    losses: Cell<u64>,
    /// Members whose subscription does not stand yet.
    missing: Cell<usize>,
    /// Something came, or failed.
    news: Notify,
    failed: RefCell<Option<QuicError>>,
}

/// One connection.
struct Gate {
    shared: Rc<Shared>,
    connection: Connection,
    /// The first member; its subscription has number 0.
    first: usize,
    /// By subscription: bytes since credit was given last.
    used: RefCell<Vec<u64>>,
    /// CREDIT frames that are to be written.
    out: RefCell<Vec<u8>>,
    wants_out: Notify,
}

/// Subscribers that stand.
pub struct Crowd {
    shared: Rc<Shared>,
    endpoint: Endpoint,
    gates: LocalSet,
    patience: Duration,
}

impl Crowd {
    /// Opens all connections; the subscriptions stand when this returns.
    pub async fn open(plan: CrowdPlan) -> Result<Self, QuicError> {
        let dialer = Dialer::new(plan.access.clone()).await?;
        let endpoint = dialer.endpoint()?;
        let count = plan.members.len();
        let shared = Rc::new(Shared {
            access: plan.access,
            wanted: plan.wanted,
            members: plan.members,
            events: RefCell::new(vec![0; count]),
            delivered: Cell::new(0),
            batches: Cell::new(0),
            bytes: Cell::new(0),
            losses: Cell::new(0),
            missing: Cell::new(count),
            news: Notify::new(),
            failed: RefCell::new(None),
        });
        let crowd = Self { shared: shared.clone(), endpoint, gates: LocalSet::new(), patience: plan.patience };
        let connections = plan.connections.clamp(1, count.max(1) as u32);
        let opening = async {
            for number in 0..connections {
                let members = share(count as u32, number, connections);
                let link = dialer.dial(&crowd.endpoint, 0).await.map_err(fatal(&shared))?;
                let first = members.start as usize;
                let gate = Rc::new(Gate {
                    shared: shared.clone(),
                    connection: link.connection.clone(),
                    first,
                    used: RefCell::new(vec![0; members.len()]),
                    out: RefCell::new(Vec::new()),
                    wants_out: Notify::new(),
                });
                tokio::task::spawn_local(gate.run(link));
            }
            while shared.missing.get() > 0 && shared.failed.borrow().is_none() {
                if tokio::time::timeout(shared.access.request_timeout, shared.news.notified()).await.is_err() {
                    let why = format!("{} subscriptions were not answered", shared.missing.get());
                    return Err(QuicError::Broken { target: shared.access.target.to_string(), why });
                }
            }
            shared.failed.borrow_mut().take().map_or(Ok(()), Err)
        };
        crowd.gates.run_until(opening).await?;
        Ok(crowd)
    }

    /// What has come so far.
    pub fn view(&self) -> CrowdView {
        let shared = &self.shared;
        CrowdView {
            events: shared.events.borrow().clone(),
            batches: shared.batches.get(),
            bytes: shared.bytes.get(),
            losses: shared.losses.get(),
            elapsed: Duration::ZERO,
        }
    }

    /// Reads until all members together have had so many events since they stand, or nothing has come for as long as the plan's patience.
    pub async fn wait(&mut self, delivered: u64) -> Result<CrowdView, QuicError> {
        let (shared, patience) = (self.shared.clone(), self.patience);
        let began = Instant::now();
        let mut last = began;
        let waited = self.gates.run_until(async {
            loop {
                if let Some(error) = shared.failed.borrow_mut().take() {
                    return Err(error);
                }
                if shared.delivered.get() >= delivered {
                    return Ok(());
                }
                if tokio::time::timeout(patience, shared.news.notified()).await.is_err() {
                    return Ok(());
                }
                last = Instant::now();
            }
        });
        waited.await?;
        Ok(CrowdView { elapsed: last - began, ..self.view() })
    }

    /// Keeps all connections as they are for a while.
    pub async fn rest(&mut self, time: Duration) -> Result<(), QuicError> {
        self.gates.run_until(tokio::time::sleep(time)).await;
        self.shared.failed.borrow_mut().take().map_or(Ok(()), Err)
    }

    /// Takes leave of the node.
    pub async fn close(self) {
        self.endpoint.close(0u32.into(), b"");
        leave(&self.endpoint).await;
    }
}

fn fatal(shared: &Shared) -> impl Fn(DialError) -> QuicError {
    |error| match error {
        DialError::Fatal(error) => error,
        DialError::Again(why) => QuicError::Broken { target: shared.access.target.to_string(), why },
    }
}

impl Gate {
    async fn run(self: Rc<Self>, link: Link) {
        let Link { send, control, .. } = link;
        let failed = tokio::select! {
            failed = self.clone().read_control(control) => failed,
            failed = self.write(send) => failed,
            failed = self.clone().accept() => failed,
        };
        self.fail(failed);
    }

    fn fail(&self, error: DialError) {
        self.shared.failed.borrow_mut().get_or_insert_with(|| fatal(&self.shared)(error));
        self.shared.news.notify_one();
    }

    fn subscribe(&self, out: &mut Vec<u8>) {
        let wanted = &self.shared.wanted;
        for subscription in 0..self.used.borrow().len() {
            let member = &self.shared.members[self.first + subscription];
            let start = match &wanted.from {
                From::Latest => Start::Latest,
                From::Earliest => Start::Earliest,
                From::TimeMs(time_ms) => Start::TimeMs(*time_ms),
                From::Cursor(name) => Start::Cursor(name),
                From::Offsets(offsets) => Start::Offsets(offsets),
            };
            let subscribe = Subscribe {
                subscription: subscription as u32,
                credit: wanted.credit_bytes,
                start,
                route: wanted.route.as_deref(),
                filter: member.filter.as_deref().or(wanted.filter.as_deref()),
                dialect: wanted.dialect.as_deref(),
                groups: Some(wanted.groups.into()),
                encodings: Some(wanted.encodings.into()),
            };
            write_subscribe(&subscribe, out);
        }
    }

    async fn write(&self, mut send: SendStream) -> DialError {
        self.subscribe(&mut self.out.borrow_mut());
        loop {
            let out = std::mem::take(&mut *self.out.borrow_mut());
            if out.is_empty() {
                self.wants_out.notified().await;
                continue;
            }
            if let Err(error) = send.write_all(&out).await {
                return write_ended(&self.shared.access, &self.connection, error);
            }
        }
    }

    async fn read_control(self: Rc<Self>, mut control: ControlReader) -> DialError {
        let access = &self.shared.access;
        loop {
            match control.next(access).await {
                Ok(Control::Subscribed { .. }) => {
                    self.shared.missing.set(self.shared.missing.get().saturating_sub(1));
                    self.shared.news.notify_one();
                }
                Ok(Control::Refused(answer) | Control::Ended(answer)) => {
                    let Answer { number, code, text, advice } = answer;
                    let (target, what) = (access.target.to_string(), format!("subscription {number}"));
                    return DialError::Fatal(QuicError::Subscription { target, what, code, text, advice });
                }
                Ok(Control::GoAway { code, text }) => {
                    return DialError::Again(format!("the node goes away with code {code:#04x}: {text}"));
                }
                Ok(_) => return not_the_protocol(access, "an answer to no question"),
                Err(error) => return error,
            }
        }
    }

    async fn accept(self: Rc<Self>) -> DialError {
        loop {
            match self.connection.accept_uni().await {
                Ok(stream) => drop(tokio::task::spawn_local(self.clone().read(stream))),
                Err(error) => return ended(&self.shared.access, error),
            }
        }
    }

    /// Reads one data stream to its end.
    async fn read(self: Rc<Self>, mut stream: RecvStream) {
        let mut pieces: [Bytes; PIECES] = std::array::from_fn(|_| Bytes::new());
        let mut skim = Skim::default();
        loop {
            let count = match stream.read_chunks(&mut pieces).await {
                Ok(Some(count)) => count,
                // Why is told on the control stream, or by the connection's end.
                Ok(None) | Err(_) => return,
            };
            let mut sum = Sum::default();
            for piece in &mut pieces[..count] {
                if let Err(error) = skim.push(piece, &mut sum) {
                    return self.fail(not_the_protocol(&self.shared.access, error));
                }
                piece.clear();
            }
            if let Err(error) = self.took(&skim, &sum) {
                return self.fail(error);
            }
        }
    }

    fn took(&self, skim: &Skim, sum: &Sum) -> Result<(), DialError> {
        if sum.batches == 0 && sum.losses == 0 {
            return Ok(());
        }
        let shared = &self.shared;
        let subscription = skim.subscription.map_or(usize::MAX, |number| number as usize);
        let mut used = self.used.borrow_mut();
        let Some(used) = used.get_mut(subscription) else {
            return Err(not_the_protocol(&shared.access, "a data stream of no subscription"));
        };
        let member = self.first + subscription;
        shared.events.borrow_mut()[member] += sum.events;
        shared.delivered.set(shared.delivered.get() + sum.events);
        shared.batches.set(shared.batches.get() + sum.batches);
        shared.bytes.set(shared.bytes.get() + sum.bytes);
        shared.losses.set(shared.losses.get() + sum.losses);
        *used += sum.bytes;
        if *used >= shared.wanted.credit_bytes / 2 && !shared.members[member].stands_still {
            write_credit(subscription as u32, std::mem::take(used), &mut self.out.borrow_mut());
            self.wants_out.notify_one();
        }
        shared.news.notify_one();
        Ok(())
    }
}

/// What some pieces held.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    events: u64,
    batches: u64,
    bytes: u64,
    losses: u64,
}

/// Where a data stream is.
#[derive(Debug, Default)]
struct Skim {
    /// By its header.
    subscription: Option<u32>,
    /// Bytes of the frame that are not looked at.
    skip: usize,
    /// The beginning of a frame that did not say enough yet.
    front: Vec<u8>,
}

impl Skim {
    fn push(&mut self, mut bytes: &[u8], sum: &mut Sum) -> Result<(), super::CodecError> {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return Ok(());
            }
            let had = self.front.len();
            let found = if had == 0 {
                skim(bytes)?
            } else {
                // A little more each time: a frame's front is short, and what follows is not copied.
                self.front.extend_from_slice(&bytes[..bytes.len().min(LOOK_BYTES)]);
                skim(&self.front)?
            };
            match found {
                Some(frame) => {
                    if self.subscription.is_none() {
                        let front = if had == 0 { bytes } else { &self.front };
                        self.subscription = Some(subscription_of(front, frame.frame_bytes)?);
                    }
                    sum.events += frame.events;
                    sum.batches += u64::from(frame.body_bytes > 0);
                    sum.bytes += frame.body_bytes as u64;
                    sum.losses += u64::from(frame.is_lost);
                    self.skip = frame.frame_bytes - had;
                    self.front.clear();
                }
                None if had == 0 => {
                    self.front.extend_from_slice(bytes);
                    return Ok(());
                }
                None => {
                    let looked = self.front.len() - had;
                    bytes = &bytes[looked..];
                }
            }
        }
    }
}

/// The subscription of the header at the front. A header is so short that it comes whole.
fn subscription_of(front: &[u8], frame_bytes: usize) -> Result<u32, super::CodecError> {
    let mut frames = super::codec::Frames::default();
    frames.push(&front[..frame_bytes.min(front.len())]);
    match frames.data()? {
        Some(super::codec::Data::Header { subscription, .. }) => Ok(subscription),
        _ => Err(super::CodecError::Unexpected(super::codec::kind::BATCH)),
    }
}
