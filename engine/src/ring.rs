//! The bounded hand-over between two threads: one producer, one consumer, and a bell that wakes the consumer only if it sleeps.
//!
//! The ring itself is rtrb's. Neither end can be cloned. Several rings may share one [`Bell`], so that one task can wait
//! for all of its producers. What always holds: an item is visible to the consumer before the bell rings, and a consumer that
//! registers with its bell and then finds all rings empty will be woken by the next item.

use std::task::Waker;

use crossbeam_utils::CachePadded;

use crate::sync::{self, Arc, AtomicWaker};

/// Wakes one waiting task. Ringing costs one atomic swap, and a wake-up only if the task is waiting.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<CachePadded<AtomicWaker>>);

impl Bell {
    /// The task wants to be woken. Look into all rings once more before going to sleep.
    pub fn register(&self, waker: &Waker) {
        self.0.register(waker);
    }

    /// Wakes the task if it is registered.
    pub fn ring(&self) {
        self.0.wake();
    }
}

/// The sending end.
#[derive(Debug)]
pub struct Producer<T> {
    // Dropped before the bell rings for the last time: who is woken by that must see that this end is gone.
    ring: sync::Producer<T>,
    bell: LastRing,
}

/// Rings when it is dropped.
#[derive(Debug)]
struct LastRing(Bell);

impl Drop for LastRing {
    fn drop(&mut self) {
        self.0.ring();
    }
}

/// The receiving end.
#[derive(Debug)]
pub struct Consumer<T> {
    ring: sync::Consumer<T>,
}

/// A ring with room for `capacity` items whose consumer is woken by `bell`.
pub fn ring<T>(capacity: usize, bell: &Bell) -> (Producer<T>, Consumer<T>) {
    let (producer, consumer) = sync::RingBuffer::new(capacity);
    (Producer { ring: producer, bell: LastRing(bell.clone()) }, Consumer { ring: consumer })
}

impl<T> Producer<T> {
    /// Hands `item` over, or gives it back if there is no room.
    pub fn push(&mut self, item: T) -> Result<(), T> {
        match self.ring.push(item) {
            Ok(()) => {
                self.bell.0.ring();
                Ok(())
            }
            Err(sync::PushError::Full(item)) => Err(item),
        }
    }

    /// Items that fit now.
    pub fn room(&self) -> usize {
        self.ring.slots()
    }

    /// The other end is gone.
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }

    /// Wakes the consumer without an item, so that it looks at something else.
    pub fn nudge(&self) {
        self.bell.0.ring();
    }
}

impl<T> Consumer<T> {
    /// Takes the oldest item.
    pub fn pop(&mut self) -> Option<T> {
        self.ring.pop().ok()
    }

    /// Items that wait.
    pub fn len(&self) -> usize {
        self.ring.slots()
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// The other end is gone; what waits can still be taken.
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }
}
