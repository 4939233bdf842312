//! Where a subscription's deliveries go: the frames of each of its data streams, as long as there is credit and room.
//!
//! What always holds: what a data stream holds here is at most [`GROUP_BYTES_MAX`] and one frame, and again as much that is being
//! written; a partition's frames leave in the order in which they were handed over. A data stream that takes no bytes holds up the
//! others for [`PATIENCE`] at most: then what is for it is refused, and comes again from the log.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use engine::lane::Delivery;
use quinn::SendStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::connection::Session;
use super::flush::write_now;
use super::stats::add;
use crate::quic::frame::{Code, DataFrame, DataHeader};
use crate::quic::session::server::{Outgoing, write_lost, write_position};
use crate::sink::{SinkGone, Taken};

/// Bytes that wait for a data stream before no more is taken for it. Large enough that the stream is given whole trains of packets
/// at a time, small enough that a thousand subscribers that stand still cost little.
const GROUP_BYTES_MAX: usize = 64 * 1024;
/// How long a delivery waits for room on its data stream while another data stream has nothing to send. Long enough that a stream that
/// moves has room again before: what is refused is read from the log once more.
const PATIENCE: Duration = Duration::from_millis(5);

/// See the module. Cloning gives another handle to the same subscription.
#[derive(Clone)]
pub struct Outlet(Rc<Subscription>);

/// One data stream.
#[derive(Default)]
struct Group {
    waiting: Outgoing,
    /// Taken by the writer while it writes.
    stream: Option<SendStream>,
    /// What waits will be written, or is being written.
    is_writing: bool,
    /// It was waited for in vain: what is for it is refused until it takes bytes again.
    is_parked: bool,
}

/// What a delivery finds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Enough,
    /// None on its data stream.
    NoneYet,
    /// None for a longer time.
    Parked,
    /// The client gives no credit; that is for all data streams together.
    NoCredit,
}

/// How far a partition is.
#[derive(Clone, Copy, Default)]
struct Position {
    /// The group whose stream it comes on; none if it is not wanted.
    group: Option<u16>,
    /// Everything before it was looked at.
    next: u64,
    /// What the client was told.
    told: u64,
}

pub(super) struct Subscription {
    pub(super) number: u32,
    session: Weak<Session>,
    groups: RefCell<Vec<Group>>,
    positions: RefCell<Vec<Position>>,
    /// There may be credit or room again, or a data stream has run dry.
    room: Notify,
    waits: Cell<bool>,
    /// Partitions that were refused.
    refused: RefCell<Vec<u32>>,
    /// One of them may have room.
    has_resumed: Cell<bool>,
    resumed: Notify,
    /// The client has ended it, or the connection is gone.
    pub(super) cancel: Notify,
    is_over: Cell<bool>,
}

impl Outlet {
    pub(super) fn new(number: u32, session: &Rc<Session>) -> Self {
        Self(Rc::new(Subscription {
            number,
            session: Rc::downgrade(session),
            groups: RefCell::new(Vec::new()),
            positions: RefCell::new(Vec::new()),
            room: Notify::new(),
            waits: Cell::new(false),
            refused: RefCell::new(Vec::new()),
            has_resumed: Cell::new(false),
            resumed: Notify::new(),
            cancel: Notify::new(),
            is_over: Cell::new(false),
        }))
    }

    pub(super) fn subscription(&self) -> &Rc<Subscription> {
        &self.0
    }

    /// Gives it its data streams, one for each of `groups`.
    pub(super) fn open(&self, groups: &[Vec<(u32, u64)>], streams: Vec<SendStream>, partitions: u32) {
        let mut positions = vec![Position::default(); partitions as usize];
        let mut opened = Vec::with_capacity(groups.len());
        for (number, (partitions, stream)) in groups.iter().zip(streams).enumerate() {
            for (partition, next) in partitions {
                positions[*partition as usize] = Position { group: Some(number as u16), next: *next, told: *next };
            }
            let mut waiting = Outgoing::default();
            let header = DataHeader { subscription: self.0.number, group: number as u32 };
            DataFrame::Header(header).write(waiting.tail());
            opened.push(Group { waiting, stream: Some(stream), ..Group::default() });
        }
        *self.0.positions.borrow_mut() = positions;
        *self.0.groups.borrow_mut() = opened;
        (0..groups.len()).for_each(|group| self.write(group));
    }

    /// Hands a delivery over and waits for credit and room. Deliveries of a partition come in offset order. One that is refused, and
    /// what follows in its partition, is expected again when [`resumed`](Self::resumed) has named the partition.
    pub async fn hand(&self, delivery: Delivery) -> Result<Taken, SinkGone> {
        let Some(group) = self.0.group_of(delivery.batch.partition()) else {
            return Ok(Taken::Whole);
        };
        let mut patient_until = None;
        loop {
            let session = self.0.session.upgrade().filter(|_| !self.0.is_over.get()).ok_or(SinkGone)?;
            let room = self.0.room(&session, group);
            if room == Room::Enough {
                self.put(&session, group, &delivery);
                return Ok(Taken::Whole);
            }
            // Nobody is kept alive by who waits for it.
            drop(session);
            match room {
                Room::Parked => return Ok(self.0.refuse(delivery)),
                Room::NoneYet if self.0.groups.borrow().len() > 1 => {
                    let until = *patient_until.get_or_insert_with(|| Instant::now() + PATIENCE);
                    if Instant::now() < until {
                        // Over or not: it is looked at again.
                        let _ = tokio::time::timeout_at(until, self.0.changed()).await;
                    } else if self.0.another_is_dry(group) {
                        self.0.groups.borrow_mut()[group].is_parked = true;
                        return Ok(self.0.refuse(delivery));
                    } else {
                        self.0.changed().await;
                    }
                }
                _ => self.0.changed().await,
            }
        }
    }

    /// What comes next of the partition would be refused, so it counts as refused now.
    pub fn refuses(&self, partition: u32) -> bool {
        let is_parked = self.0.group_of(partition).is_some_and(|group| self.0.groups.borrow()[group].is_parked);
        if is_parked {
            self.0.refused.borrow_mut().push(partition);
        }
        is_parked
    }

    /// A partition whose data stream has room again since it was refused: each is named once.
    pub fn resumed(&self) -> Option<u32> {
        if !self.0.has_resumed.get() {
            return None;
        }
        let has_room =
            |partition: &u32| self.0.group_of(*partition).is_none_or(|group| !self.0.groups.borrow()[group].is_parked);
        let mut refused = self.0.refused.borrow_mut();
        let found = refused.iter().position(has_room);
        self.0.has_resumed.set(found.is_some());
        found.map(|at| refused.swap_remove(at))
    }

    /// Resolves when [`resumed`](Self::resumed) may have something to say.
    pub async fn wait_resumed(&self) {
        self.0.resumed.notified().await;
    }

    fn put(&self, session: &Session, group: usize, delivery: &Delivery) {
        let written = {
            let waiting = &mut self.0.groups.borrow_mut()[group].waiting;
            let before = waiting.len();
            session.write_delivery(self.0.number, delivery, waiting);
            waiting.len() - before
        };
        let position = &mut self.0.positions.borrow_mut()[delivery.batch.partition() as usize];
        position.next = delivery.batch.last_offset() + 1;
        position.told = position.next;
        let stats = session.stats();
        add(&stats.delivered_batches, 1);
        add(&stats.delivered_events, delivery.len() as u64);
        add(&stats.delivered_bytes, written as u64);
        self.write(group);
    }

    /// Everything of `partition` before `offset` has been handed over or was not wanted. The client is told when its time has come.
    pub fn advance(&self, partition: u32, offset: u64) {
        if let Some(position) = self.0.positions.borrow_mut().get_mut(partition as usize) {
            position.next = position.next.max(offset);
        }
    }

    /// The log has no events of `partition` from `from` up to `to` any more.
    pub fn lost(&self, partition: u32, from: u64, to: u64) {
        let group = {
            let mut positions = self.0.positions.borrow_mut();
            let Some(position) = positions.get_mut(partition as usize) else { return };
            position.next = position.next.max(to);
            position.told = position.next;
            position.group
        };
        let Some(group) = group else { return };
        if let Some(session) = self.0.session.upgrade() {
            add(&session.stats().lost_events, to - from);
        }
        write_lost(self.0.groups.borrow_mut()[usize::from(group)].waiting.tail(), partition, from, to);
        self.write(usize::from(group));
    }

    /// Has a group's bytes written, if nobody does.
    fn write(&self, group: usize) {
        let wants = self.0.groups.borrow_mut().get_mut(group).is_some_and(Group::begin);
        if wants && let Some(session) = self.0.session.upgrade() {
            session.core().flushes.list(self.clone(), group);
        }
    }

    /// Writes what waits. If the stream does not take it all, a task does the rest.
    pub(super) fn write_now(&self, group: usize) {
        let Some(mut stream) = self.0.groups.borrow_mut().get_mut(group).and_then(|group| group.stream.take()) else {
            return;
        };
        let waiting = self.take(group);
        match write_now(&mut stream, waiting) {
            Ok(left) if left.is_empty() => self.end_writing(group, stream),
            Ok(left) => {
                let outlet = self.clone();
                tokio::task::spawn_local(async move {
                    if let Some(stream) = outlet.write_all(group, stream, left).await {
                        outlet.end_writing(group, stream);
                    }
                });
            }
            Err(_) => self.stream_gone(),
        }
    }

    /// Writes until nothing waits; `None`: the stream is gone.
    async fn write_all(&self, group: usize, mut stream: SendStream, mut pieces: Vec<Bytes>) -> Option<SendStream> {
        while !pieces.is_empty() {
            if stream.write_all_chunks(&mut pieces).await.is_err() {
                self.stream_gone();
                return None;
            }
            pieces = self.take(group);
        }
        Some(stream)
    }

    /// What waits for a stream that takes bytes.
    fn take(&self, group: usize) -> Vec<Bytes> {
        let (waiting, has_resumed) = self.0.groups.borrow_mut()[group].take();
        if has_resumed {
            self.0.has_resumed.set(true);
            self.0.resumed.notify_one();
        }
        if !waiting.is_empty() {
            self.0.wake();
        }
        waiting
    }

    /// It has run dry: who waits for another may be refused now.
    fn end_writing(&self, group: usize, stream: SendStream) {
        {
            let group = &mut self.0.groups.borrow_mut()[group];
            group.stream = Some(stream);
            group.is_writing = false;
        }
        self.0.wake();
    }

    /// The client wants no more of a stream, or is gone.
    fn stream_gone(&self) {
        self.0.cancel.notify_one();
        self.0.wake();
    }

    /// Writes what waits and ends the streams at the end of a frame.
    pub(super) async fn finish(&self) {
        self.0.is_over.set(true);
        self.0.wake();
        let groups = self.0.groups.borrow().len();
        for number in 0..groups {
            let stream = self.0.groups.borrow_mut()[number].begin_last();
            let stream = match stream {
                Some(stream) => {
                    let waiting = self.take(number);
                    self.write_all(number, stream, waiting).await
                }
                // Its writer is at work: it ends with what waits, and the stream with the writer.
                None => None,
            };
            if let Some(mut stream) = stream {
                // It was stopped by the client: that is an end too.
                let _ = stream.finish();
            }
        }
    }
}

impl Group {
    /// What waits, and whether there was no room and is now.
    fn take(&mut self) -> (Vec<Bytes>, bool) {
        (self.waiting.take(), std::mem::take(&mut self.is_parked))
    }

    /// Whether somebody has to write what waits now.
    fn begin(&mut self) -> bool {
        !self.is_writing && !self.waiting.is_empty() && self.stream.is_some() && {
            self.is_writing = true;
            true
        }
    }

    fn begin_last(&mut self) -> Option<SendStream> {
        self.is_writing = true;
        self.stream.take()
    }
}

impl Subscription {
    fn group_of(&self, partition: u32) -> Option<usize> {
        self.positions.borrow().get(partition as usize)?.group.map(usize::from)
    }

    fn room(&self, session: &Session, group: usize) -> Room {
        let groups = self.groups.borrow();
        match &groups[group] {
            group if group.is_parked => Room::Parked,
            _ if !session.may_send(self.number) => Room::NoCredit,
            group if group.waiting.len() < GROUP_BYTES_MAX => Room::Enough,
            _ => Room::NoneYet,
        }
    }

    /// Another data stream than this one has nothing to send, and could.
    fn another_is_dry(&self, group: usize) -> bool {
        let groups = self.groups.borrow();
        let is_dry = |group: &Group| group.waiting.is_empty() && !group.is_writing;
        groups.iter().enumerate().any(|(number, other)| number != group && is_dry(other))
    }

    fn refuse(&self, delivery: Delivery) -> Taken {
        self.refused.borrow_mut().push(delivery.batch.partition());
        Taken::Refused(delivery)
    }

    /// Resolves when there may be credit or room, or another data stream has run dry.
    async fn changed(&self) {
        self.waits.set(true);
        self.room.notified().await;
    }

    /// Credit or room may have come.
    pub(super) fn wake(&self) {
        if self.waits.replace(false) {
            self.room.notify_one();
        }
    }

    /// The connection is gone, or the client wants no more.
    pub(super) fn end(&self) {
        self.is_over.set(true);
        self.cancel.notify_one();
        self.wake();
    }

    /// Tells the client how far the log was looked through.
    pub(super) fn tell_positions(self: &Rc<Self>) {
        let mut touched = Vec::new();
        {
            let mut groups = self.groups.borrow_mut();
            for (partition, position) in self.positions.borrow_mut().iter_mut().enumerate() {
                let Some(group) = position.group.filter(|_| position.next > position.told) else { continue };
                let waiting = &mut groups[usize::from(group)].waiting;
                if waiting.len() < GROUP_BYTES_MAX {
                    write_position(waiting.tail(), partition as u32, position.next);
                    position.told = position.next;
                    touched.push(usize::from(group));
                }
            }
        }
        touched.sort_unstable();
        touched.dedup();
        touched.into_iter().for_each(|group| Outlet(self.clone()).write(group));
    }
}

/// What a data stream is reset with when its subscription was refused after all.
pub(super) fn abandon(streams: Vec<SendStream>) {
    for mut stream in streams {
        // Nothing was sent on it.
        let _ = stream.reset(super::code(Code::NONE));
    }
}
