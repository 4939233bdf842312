//! What two threads share, in one place: the real thing, and under `--cfg loom` the model checker's, so that `engine/tests/wakeup.rs` can
//! try every order in which ring, bell and lane may be used.
//!
//! The queue itself is rtrb's. The checker cannot look into it and gets one with the same two counters and the same orderings
//! (the producer publishes with Release what the consumer sees with Acquire, and the other way round).

#[cfg(not(loom))]
pub use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

#[cfg(loom)]
pub use loom::sync::{
    Arc,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

#[cfg(not(loom))]
pub use atomic_waker::AtomicWaker;
#[cfg(loom)]
pub use model::AtomicWaker;

#[cfg(loom)]
pub use model::{Consumer, Producer, PushError, RingBuffer};
#[cfg(not(loom))]
pub use rtrb::{Consumer, Producer, PushError, RingBuffer};

#[cfg(loom)]
mod model {
    //! rtrb's interface over the checker's counters.

    use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use loom::sync::{Arc, Mutex};

    /// The checker's, with the other one's interface.
    #[derive(Default)]
    pub struct AtomicWaker(loom::future::AtomicWaker);

    impl std::fmt::Debug for AtomicWaker {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("AtomicWaker")
        }
    }

    impl AtomicWaker {
        /// atomic-waker's.
        pub fn register(&self, waker: &std::task::Waker) {
            self.0.register_by_ref(waker);
        }

        /// atomic-waker's.
        pub fn wake(&self) {
            self.0.wake();
        }
    }

    #[derive(Debug)]
    struct Shared<T> {
        /// A slot is touched only by the side whose turn it is: the lock orders nothing that the counters do not.
        slots: Vec<Mutex<Option<T>>>,
        /// Items taken.
        head: AtomicUsize,
        /// Items pushed.
        tail: AtomicUsize,
        is_abandoned: AtomicBool,
    }

    /// rtrb's.
    #[derive(Debug)]
    pub enum PushError<T> {
        /// rtrb's.
        Full(T),
    }

    /// rtrb's.
    #[derive(Debug)]
    pub struct RingBuffer;

    /// rtrb's.
    #[derive(Debug)]
    pub struct Producer<T>(Arc<Shared<T>>);

    /// rtrb's.
    #[derive(Debug)]
    pub struct Consumer<T>(Arc<Shared<T>>);

    impl RingBuffer {
        /// rtrb's.
        #[expect(clippy::new_ret_no_self, reason = "rtrb's name")]
        pub fn new<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
            // The checker has only so much room: the models push no more than this.
            let slots = (0..capacity.min(4)).map(|_| Mutex::new(None)).collect();
            let shared = Arc::new(Shared {
                slots,
                head: AtomicUsize::new(0),
                tail: AtomicUsize::new(0),
                is_abandoned: AtomicBool::new(false),
            });
            (Producer(shared.clone()), Consumer(shared))
        }
    }

    impl<T> Producer<T> {
        /// rtrb's.
        pub fn push(&mut self, item: T) -> Result<(), PushError<T>> {
            let tail = self.0.tail.load(Ordering::Relaxed);
            if tail - self.0.head.load(Ordering::Acquire) == self.0.slots.len() {
                return Err(PushError::Full(item));
            }
            *self.0.slots[tail % self.0.slots.len()]
                .lock()
                .expect("only in models: a panic that could poison it has ended the model") = Some(item);
            self.0.tail.store(tail + 1, Ordering::Release);
            Ok(())
        }

        /// rtrb's.
        pub fn slots(&self) -> usize {
            let tail = self.0.tail.load(Ordering::Relaxed);
            self.0.slots.len() - (tail - self.0.head.load(Ordering::Acquire))
        }

        /// rtrb's.
        pub fn is_abandoned(&self) -> bool {
            self.0.is_abandoned.load(Ordering::Acquire)
        }
    }

    impl<T> Consumer<T> {
        /// rtrb's.
        pub fn pop(&mut self) -> Result<T, ()> {
            let head = self.0.head.load(Ordering::Relaxed);
            if self.0.tail.load(Ordering::Acquire) == head {
                return Err(());
            }
            let item = self.0.slots[head % self.0.slots.len()]
                .lock()
                .expect("only in models: a panic that could poison it has ended the model")
                .take();
            self.0.head.store(head + 1, Ordering::Release);
            item.ok_or(())
        }

        /// rtrb's.
        pub fn slots(&self) -> usize {
            self.0.tail.load(Ordering::Acquire) - self.0.head.load(Ordering::Relaxed)
        }

        /// rtrb's.
        pub fn is_empty(&self) -> bool {
            self.slots() == 0
        }

        /// rtrb's.
        pub fn is_abandoned(&self) -> bool {
            self.0.is_abandoned.load(Ordering::Acquire)
        }
    }

    impl<T> Drop for Producer<T> {
        fn drop(&mut self) {
            self.0.is_abandoned.store(true, Ordering::Release);
        }
    }
}
