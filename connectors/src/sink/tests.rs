//! Cursors under settling in and out of order.

use std::sync::Arc;

use engine::batch::{BatchBuilder, HeaderWriter};
use engine::lane::Rows;

use super::*;

/// Room for all that a test hands over.
pub(crate) const ROOM: usize = 64 * 1024 * 1024;

impl FeedSender {
    /// As [`send`](Self::send) from a thread that may block.
    pub(crate) fn blocking_send(&self, delivery: Delivery) -> Result<(), SinkGone> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(self.send(delivery))
    }
}

fn delivery(base: u64, rows: &[u16], of: usize) -> Delivery {
    let mut builder = BatchBuilder::new(0);
    for _ in 0..of {
        builder.push(None, b"{}", &HeaderWriter::default(), 0).expect("fits");
    }
    let mut batch = builder.seal().expect("rows");
    batch.set_base_offset(base);
    Delivery { batch: Arc::new(batch), rows: Rows::Some(rows.into()), enrichments: Arc::new([]), table_version: 1 }
}

#[tokio::test]
async fn the_cursor_stands_before_the_first_unsettled_event() {
    let cursors = Arc::new(Cursors::new(&[10]));
    let (sender, mut feed) = feed(ROOM, cursors.clone());
    sender.advance(0, 12);
    assert_eq!(cursors.get(0), 12);
    sender.send(delivery(12, &[1, 2], 5)).await.expect("open");
    sender.send(delivery(17, &[0], 1)).await.expect("open");
    sender.advance(0, 30);
    assert_eq!(cursors.get(0), 13);
    let (first, second) = (feed.next().await.expect("one"), feed.next().await.expect("two"));
    second.ticket.settle();
    assert_eq!(cursors.get(0), 13);
    first.ticket.settle();
    assert_eq!(cursors.get(0), 30);
}

#[tokio::test]
async fn a_dropped_delivery_keeps_the_cursor() {
    let cursors = Arc::new(Cursors::new(&[0]));
    let (sender, mut feed) = feed(ROOM, cursors.clone());
    sender.send(delivery(0, &[0], 1)).await.expect("open");
    drop(feed.next().await);
    sender.advance(0, 99);
    assert_eq!((cursors.get(0), cursors.open()), (0, 1));
    drop(sender);
    assert!(feed.next().await.is_none());
}

#[tokio::test]
async fn a_feed_has_room_for_so_many_bytes_or_for_one_larger_delivery() {
    let one = Handed::new(delivery(0, &[0], 1), &Arc::new(Cursors::new(&[0]))).bytes();
    for (bytes_max, fit) in [(2 * one, 2), (3 * one - 1, 2), (1, 1)] {
        let (sender, mut feed) = feed(bytes_max, Arc::new(Cursors::new(&[0])));
        let mut sent = 0;
        for base in 0..4 {
            let sending = sender.send(delivery(base, &[0], 1));
            tokio::select! {
                biased;
                taken = sending => taken.expect("open"),
                () = std::future::ready(()) => break,
            }
            sent += 1;
        }
        assert_eq!(sent, fit, "{bytes_max} bytes");
        assert!(feed.filled().await, "more than half is taken");
        assert!(feed.try_next().is_some());
        sender.send(delivery(9, &[0], 1)).await.expect("there is room again");
        drop(sender);
        assert!(!feed.filled().await, "no more comes");
        let rest = std::iter::from_fn(|| feed.try_next()).count();
        assert_eq!(rest, fit);
    }
}

#[tokio::test]
async fn who_waits_for_room_hears_that_the_sink_is_gone() {
    let (sender, feed) = feed(1, Arc::new(Cursors::new(&[0])));
    sender.send(delivery(0, &[0], 1)).await.expect("open");
    let waiting = sender.send(delivery(1, &[0], 1));
    let (gone, ()) = tokio::join!(waiting, async { drop(feed) });
    assert_eq!(gone, Err(SinkGone));
}

#[test]
fn rows_before_an_offset_are_cut() {
    let whole = delivery(5, &[0, 3], 4);
    let offsets = |delivery: &Delivery| delivery.events().map(|event| event.offset()).collect::<Vec<_>>();
    assert_eq!(offsets(&whole), [5, 8]);
    assert_eq!(offsets(&whole.clone().from_offset(6).expect("one left")), [8]);
    assert!(whole.from_offset(9).is_none());
}

#[tokio::test]
async fn what_is_lost_is_covered_by_no_delivery() {
    let cursors = Arc::new(Cursors::new(&[3]));
    let (sender, mut feed) = feed(ROOM, cursors.clone());
    sender.send(delivery(5, &[0], 1)).await.expect("open");
    sender.advance(0, 9);
    sender.send(delivery(10, &[0], 1)).await.expect("open");
    sender.lost(0, 20);
    sender.send(delivery(25, &[0], 1)).await.expect("open");
    for expected in [3, 3, 20] {
        assert_eq!(feed.next().await.expect("one").covers_from, expected);
    }
}

#[tokio::test]
async fn who_waits_for_the_end_hears_of_it_before_the_last_delivery() {
    let (sender, mut feed) = feed(ROOM, Arc::new(Cursors::new(&[0])));
    sender.send(delivery(0, &[0], 1)).await.expect("open");
    let ended = feed.ended();
    drop(sender);
    ended.await;
    assert!(feed.next().await.is_some());
}
