//! The way in: a listener's hold on its core's half of the mesh.
//!
//! One [`Intake`] per core, shared by all connections of that core and never by two threads. A connection opens a
//! [`Submission`], pushes events, flushes once per read pass, and commits; the commit resolves when every batch of the
//! submission has reached the listener's ack level. What always holds: a submission that is dropped before it was flushed leaves
//! no trace; memory between a listener and the shards is bounded by the rings; nothing waits without a wake-up on its way.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use engine::batch::{Batch, BatchBuilder, HeaderWriter, PushError, partition_of};
use engine::mesh::{Ack, AckLevel, Placed, Refused, Submitted, Ticket};
use engine::ring::{Bell, Consumer, Producer};

mod appends;
mod shared;

#[cfg(test)]
mod tests;

pub use appends::{Appends, Done};
pub use shared::SharedBatches;

/// Why a submission was not kept. Parts of it may be: the receipt's sender must treat it as unknown and send again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// A shard refused a batch.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// What a commit achieved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Where the batches lie.
    pub placed: Vec<Placed>,
}

impl Receipt {
    /// Number of events kept.
    pub fn events(&self) -> u64 {
        self.placed.iter().map(|placed| u64::from(placed.rows)).sum()
    }

    /// Number of events that had been kept before.
    pub fn duplicates(&self) -> u64 {
        self.placed.iter().map(|placed| u64::from(placed.duplicates)).sum()
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    in_flight: u32,
    placed: Vec<Placed>,
    failed: Option<Refused>,
    waker: Option<Waker>,
    /// Nobody waits any more: free the slot with the last ack.
    abandoned: bool,
    /// It is one batch of these [`Appends`].
    owner: Option<u16>,
}

#[derive(Debug)]
struct Inner {
    core: u16,
    partitions: u32,
    /// To each shard; partition `p` belongs to shard `p % shards`.
    shards: Vec<Producer<Submitted>>,
    acks: Vec<Consumer<Ack>>,
    bell: Bell,
    slots: Vec<Slot>,
    free: Vec<u32>,
    waiting_for_room: Vec<Waker>,
    round_robin: u32,
    stopping: bool,
    /// For each [`Appends`]: its batches that are done, until it takes them.
    owners: Vec<Owner>,
}

/// One that has batches appended without a submission.
#[derive(Debug, Default)]
struct Owner {
    done: Vec<Done>,
    waker: Option<Waker>,
}

impl Owner {
    fn push(&mut self, done: Done) {
        // Who has not taken the one before was woken for it.
        if self.done.is_empty()
            && let Some(waker) = &self.waker
        {
            waker.wake_by_ref();
        }
        self.done.push(done);
    }
}

impl Inner {
    fn ticket(&mut self, level: AckLevel) -> Ticket {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let generation = &mut self.slots[slot as usize].generation;
        *generation = generation.wrapping_add(1);
        Ticket { core: self.core, slot, generation: *generation, level }
    }
}

/// One core's way into the log. Cloning gives another handle to the same core's intake.
#[derive(Clone, Debug)]
pub struct Intake(Rc<RefCell<Inner>>);

impl Intake {
    /// `shards[s]` leads to shard `s`, `acks[s]` comes back from it; `bell` is rung by the shards for this core's acks.
    pub fn new(
        core: u16,
        partitions: u32,
        shards: Vec<Producer<Submitted>>,
        acks: Vec<Consumer<Ack>>,
        bell: Bell,
    ) -> Self {
        assert!(!shards.is_empty() && shards.len() == acks.len() && partitions > 0);
        Self(Rc::new(RefCell::new(Inner {
            core,
            partitions,
            shards,
            acks,
            bell,
            slots: Vec::new(),
            free: Vec::new(),
            waiting_for_room: Vec::new(),
            round_robin: 0,
            stopping: false,
            owners: Vec::new(),
        })))
    }

    /// Number of partitions of the log.
    pub fn partitions(&self) -> u32 {
        self.0.borrow().partitions
    }

    /// Starts a submission that will be acknowledged at `level`.
    pub fn submission(&self, level: AckLevel) -> Submission {
        let ticket = self.0.borrow_mut().ticket(level);
        Submission { intake: self.clone(), ticket, open: Vec::new(), sealed: VecDeque::new(), events: 0, bytes: 0 }
    }

    /// New submissions are refused from now on; those under way go on.
    pub fn stop(&self) {
        self.0.borrow_mut().stopping = true;
    }

    /// Submissions that still wait for an ack.
    pub fn in_flight(&self) -> usize {
        let inner = self.0.borrow();
        inner.slots.iter().filter(|slot| slot.in_flight > 0).count()
    }

    /// Takes acks from the shards and wakes who waits for them, for ever. The core runs this as a task of its own.
    pub async fn run_acks(&self) {
        poll_fn(|cx| {
            let bell = self.0.borrow().bell.clone();
            bell.register(cx.waker());
            self.take_acks();
            Poll::<()>::Pending
        })
        .await
    }

    fn take_acks(&self) {
        let mut inner = self.0.borrow_mut();
        let inner = &mut *inner;
        for ring in &mut inner.acks {
            while let Some(ack) = ring.pop() {
                let slot = &mut inner.slots[ack.ticket.slot as usize];
                debug_assert_eq!(slot.generation, ack.ticket.generation);
                slot.in_flight -= 1;
                if let Some(owner) = slot.owner {
                    inner.owners[usize::from(owner)].push((ack.ticket.slot, ack.result));
                    continue;
                }
                match ack.result {
                    Ok(placed) => slot.placed.push(placed),
                    Err(refused) => slot.failed = Some(refused),
                }
                if slot.in_flight == 0 {
                    if let Some(waker) = slot.waker.take() {
                        waker.wake();
                    } else if slot.abandoned {
                        release(slot, ack.ticket.slot, &mut inner.free);
                    }
                }
            }
        }
        for waker in inner.waiting_for_room.drain(..) {
            waker.wake();
        }
    }
}

fn release(slot: &mut Slot, index: u32, free: &mut Vec<u32>) {
    slot.placed.clear();
    slot.failed = None;
    slot.waker = None;
    slot.abandoned = false;
    slot.owner = None;
    slot.in_flight = 0;
    free.push(index);
}

/// Events of one request on their way into the log.
#[derive(Debug)]
pub struct Submission {
    intake: Intake,
    ticket: Ticket,
    open: Vec<BatchBuilder>,
    sealed: VecDeque<Batch>,
    events: u64,
    bytes: usize,
}

impl Submission {
    /// Adds one event. `key` decides the partition; events without one are spread evenly. Never answers `Full`.
    pub fn push(
        &mut self,
        key: Option<&[u8]>,
        value: &[u8],
        headers: &HeaderWriter,
        timestamp_ms: i64,
    ) -> Result<(), PushError> {
        let partition = {
            let mut inner = self.intake.0.borrow_mut();
            match key {
                Some(key) => partition_of(key, inner.partitions),
                None => {
                    inner.round_robin = (inner.round_robin + 1) % inner.partitions;
                    inner.round_robin
                }
            }
        };
        // Few partitions are open at a time in a small request, all of them in a bulk one: index when it pays.
        let builder = match self.open.get_mut(partition as usize) {
            Some(builder) if builder.partition() == partition => builder,
            _ => match self.open.iter_mut().position(|builder| builder.partition() == partition) {
                Some(at) => &mut self.open[at],
                None => self.open_builder(partition),
            },
        };
        builder.push(key, value, headers, timestamp_ms)?;
        let sealed = if builder.is_full() { builder.seal() } else { None };
        self.sealed.extend(sealed);
        self.events += 1;
        self.bytes += value.len();
        Ok(())
    }

    fn open_builder(&mut self, partition: u32) -> &mut BatchBuilder {
        if self.open.len() >= 4 {
            // Bulk: lay the builders out by partition, so that the next look-up is an index.
            let partitions = self.intake.partitions();
            let mut old = std::mem::take(&mut self.open);
            self.open = (0..partitions)
                .map(|number| match old.iter().position(|builder| builder.partition() == number) {
                    Some(at) => old.swap_remove(at),
                    None => BatchBuilder::new(number),
                })
                .collect();
            return &mut self.open[partition as usize];
        }
        self.open.push(BatchBuilder::new(partition));
        self.open.last_mut().expect("just pushed")
    }

    /// Events pushed so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Payload bytes pushed so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sends the full batches and waits while the shards have no room: backpressure to the client. Once per read pass.
    pub async fn flush(&mut self) -> Result<(), IntakeError> {
        while let Some(batch) = self.sealed.pop_front() {
            self.send(batch).await?;
        }
        Ok(())
    }

    /// Sends everything and resolves when all of it has reached the ack level.
    pub async fn commit(mut self) -> Result<Receipt, IntakeError> {
        self.flush().await?;
        for at in 0..self.open.len() {
            if let Some(batch) = self.open[at].seal() {
                self.send(batch).await?;
            }
        }
        let intake = self.intake.clone();
        let ticket = self.ticket;
        poll_fn(move |cx| {
            let mut inner = intake.0.borrow_mut();
            let slot = &mut inner.slots[ticket.slot as usize];
            if slot.in_flight > 0 {
                slot.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let placed = std::mem::take(&mut slot.placed);
            Poll::Ready(match slot.failed {
                Some(refused) => Err(IntakeError::Refused(refused)),
                None => Ok(Receipt { placed }),
            })
        })
        .await
    }

    async fn send(&mut self, batch: Batch) -> Result<(), IntakeError> {
        let ticket = self.ticket;
        let mut item = Some(Submitted { batch, ticket });
        poll_fn(|cx| {
            let mut inner = self.intake.0.borrow_mut();
            let inner = &mut *inner;
            if inner.stopping {
                return Poll::Ready(Err(IntakeError::Refused(Refused::Stopping)));
            }
            let submitted = item.take().expect("polled after it was sent");
            let shard = submitted.batch.partition() as usize % inner.shards.len();
            if inner.shards[shard].is_abandoned() {
                return Poll::Ready(Err(IntakeError::Refused(Refused::Stopping)));
            }
            match inner.shards[shard].push(submitted) {
                Ok(()) => {
                    inner.slots[ticket.slot as usize].in_flight += 1;
                    Poll::Ready(Ok(()))
                }
                Err(back) => {
                    item = Some(back);
                    inner.waiting_for_room.push(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        let mut inner = self.intake.0.borrow_mut();
        let inner = &mut *inner;
        let slot = &mut inner.slots[self.ticket.slot as usize];
        if slot.in_flight == 0 {
            release(slot, self.ticket.slot, &mut inner.free);
        } else {
            slot.waker = None;
            slot.abandoned = true;
        }
    }
}
