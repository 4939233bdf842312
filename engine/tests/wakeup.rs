//! Every order in which a ring, its bell and a lane can be used by two threads, tried by a model checker:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p engine --release --test wakeup --target-dir target/loom
//! ```
//! What is shown: nobody sleeps while there is something for him, and an endpoint that falls behind and comes back sees every
//! offset once. Without `--cfg loom` there is nothing here to run.

#![cfg(loom)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};

use engine::batch::{BatchBuilder, HeaderWriter};
use engine::lane::{Delivery, Heads, LaneItem, Rows, lane};
use engine::ring::{Bell, Consumer, ring};
use loom::future::block_on;
use loom::thread;

/// A consumer that registers and then looks gets everything, however the producer comes in between.
#[test]
fn no_item_waits_for_a_sleeper() {
    loom::model(|| {
        let bell = Bell::default();
        let (mut producer, mut consumer) = ring::<u32>(2, &bell);
        let sender = thread::spawn(move || {
            for item in 0..2 {
                assert!(producer.push(item).is_ok(), "room for two");
            }
        });
        for wanted in 0..2 {
            let got = block_on(std::future::poll_fn(|cx| {
                bell.register(cx.waker());
                consumer.pop().map_or(Poll::Pending, Poll::Ready)
            }));
            assert_eq!(got, wanted);
        }
        sender.join().expect("ends");
    });
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// In how many orders a consumer that does these two steps once neither gets the item nor is woken for it.
fn sleepers(steps: fn(&Bell, &Waker, &mut Consumer<u32>) -> Option<u32>) -> usize {
    let missed = Arc::new(AtomicUsize::new(0));
    let counter = missed.clone();
    loom::model(move || {
        let bell = Bell::default();
        let (mut producer, mut consumer) = ring::<u32>(2, &bell);
        let sender = thread::spawn(move || assert!(producer.push(7).is_ok(), "room"));
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        let got = steps(&bell, &Waker::from(flag.clone()), &mut consumer);
        sender.join().expect("ends");
        if got.is_none() && !flag.0.load(Ordering::SeqCst) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    missed.load(Ordering::SeqCst)
}

/// The checker tells the right order from the wrong one.
#[test]
fn registering_comes_before_looking() {
    let right = sleepers(|bell, waker, consumer| {
        bell.register(waker);
        consumer.pop()
    });
    let wrong = sleepers(|bell, waker, consumer| {
        let item = consumer.pop();
        bell.register(waker);
        item
    });
    assert!(right == 0 && wrong > 0, "{right} and {wrong} sleepers");
}

/// The end of a producer wakes the consumer.
#[test]
fn the_end_of_a_producer_is_seen() {
    loom::model(|| {
        let bell = Bell::default();
        let (producer, consumer) = ring::<u32>(2, &bell);
        let sender = thread::spawn(move || drop(producer));
        block_on(std::future::poll_fn(|cx| {
            bell.register(cx.waker());
            if consumer.is_abandoned() { Poll::Ready(()) } else { Poll::Pending }
        }));
        sender.join().expect("ends");
    });
}

fn delivery(offset: u64) -> Delivery {
    let mut builder = BatchBuilder::new(0);
    builder.push(None, b"{}", &HeaderWriter::default(), 0).expect("fits");
    let mut batch = builder.seal().expect("a row");
    batch.set_base_offset(offset);
    Delivery { batch: Arc::new(batch), rows: Rows::All, enrichments: Arc::from([]), table_version: 1 }
}

/// An endpoint asks to be live while its shard hands out: what comes by the lane begins where the marker says, and nothing is
/// missing between the marker and the head.
#[test]
fn a_lane_goes_live_without_a_seam() {
    loom::model(|| {
        let (endpoint_bell, shard_bell) = (Bell::default(), Bell::default());
        let heads = Heads::new(&[0]);
        let (mut sender, mut receiver) = lane(&endpoint_bell, &shard_bell);
        let shard = thread::spawn({
            let heads = heads.clone();
            move || {
                for offset in 0..2 {
                    if sender.is_wanted() {
                        sender.go_live([(0, heads.get(0))].into());
                    }
                    if sender.is_live() {
                        sender.push(delivery(offset));
                    }
                    heads.set(0, offset + 1);
                }
                // A shard has more turns: it is rung for this one.
                while !sender.is_live() {
                    match sender.is_wanted() {
                        true => sender.go_live([(0, heads.get(0))].into()),
                        false => thread::yield_now(),
                    }
                }
            }
        });
        receiver.want_live();
        shard.join().expect("ends");
        let Some(LaneItem::Live(from)) = receiver.pop() else { panic!("it was asked for") };
        // What lies before the marker comes from the log; the rest must come by the lane, in order.
        for offset in from[0].1..heads.get(0) {
            match receiver.pop() {
                Some(LaneItem::Delivery(delivery)) => assert_eq!(delivery.batch.base_offset(), offset),
                other => panic!("{offset} is missing: {other:?}"),
            }
        }
        assert!(receiver.pop().is_none() && !receiver.is_behind());
    });
}
