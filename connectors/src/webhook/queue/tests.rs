//! Cutting deliveries into requests, with and without order, and settling when the last event is done.

use std::sync::Arc;

use engine::batch::{BatchBuilder, HeaderWriter};

use super::*;
use crate::sink::{Cursors, Feed, feed};

fn delivery(partition: u32, base: u64, rows: Rows, of: usize) -> Delivery {
    let mut builder = BatchBuilder::new(partition);
    for row in 0..of {
        builder.push(None, &vec![b'1'; row + 1], &HeaderWriter::default(), 0).expect("fits");
    }
    let mut batch = builder.seal().expect("rows");
    batch.set_base_offset(base);
    Delivery { batch: Arc::new(batch), rows, enrichments: Arc::new([]), table_version: 1 }
}

async fn fed(deliveries: Vec<Delivery>) -> (Arc<Cursors>, Feed) {
    let cursors = Arc::new(Cursors::new(&[0, 0]));
    let (sender, feed) = feed(deliveries.len(), cursors.clone());
    for delivery in deliveries {
        sender.send(delivery).await.expect("open");
    }
    (cursors, feed)
}

fn offsets(shot: &Shot) -> Vec<u64> {
    shot.spans.iter().flat_map(Span::events).map(|event| event.offset()).collect()
}

fn done(shot: &Shot) {
    for span in &shot.spans {
        span.open.done(span.len());
    }
}

#[tokio::test]
async fn requests_run_across_deliveries() {
    let (cursors, mut feed) = fed(vec![
        delivery(0, 0, Rows::All, 3),
        delivery(1, 0, Rows::Some([1, 3].into()), 4),
        delivery(0, 3, Rows::All, 2),
    ])
    .await;
    let mut queue = Queue::new(false);
    while let Some(handed) = feed.try_next() {
        queue.push(handed);
    }
    assert_eq!((queue.held(), queue.ready_events()), (3, 7));
    let shots: Vec<_> = std::iter::from_fn(|| queue.next(4, usize::MAX)).collect();
    assert_eq!(shots.iter().map(offsets).collect::<Vec<_>>(), [vec![0, 1, 2, 1], vec![3, 3, 4]]);
    assert_eq!(queue.ready_events(), 0);
    done(&shots[1]);
    assert_eq!((cursors.all(), queue.held()), (vec![0, 1], 2));
    done(&shots[0]);
    assert_eq!((cursors.all(), queue.held()), (vec![5, 4], 0));
}

#[tokio::test]
async fn bytes_close_a_request_and_a_larger_event_goes_alone() {
    let (_, mut feed) = fed(vec![delivery(0, 0, Rows::All, 6)]).await; // sizes 1 2 3 4 5 6
    let mut queue = Queue::new(false);
    queue.push(feed.next().await.expect("one"));
    let sizes: Vec<_> = std::iter::from_fn(|| queue.next(100, 4)).map(|shot| offsets(&shot)).collect();
    assert_eq!(sizes, [vec![0, 1], vec![2], vec![3], vec![4], vec![5]]);
}

#[tokio::test]
async fn an_ordered_partition_has_one_request_at_a_time() {
    let (cursors, mut feed) =
        fed(vec![delivery(0, 0, Rows::All, 3), delivery(1, 0, Rows::All, 1), delivery(0, 3, Rows::All, 1)]).await;
    let mut queue = Queue::new(true);
    queue.push(feed.next().await.expect("one"));
    let first = queue.next(2, usize::MAX).expect("ready");
    assert_eq!((offsets(&first), queue.ready_events()), (vec![0, 1], 0));
    queue.push(feed.next().await.expect("two"));
    queue.push(feed.next().await.expect("three"));
    assert_eq!(queue.ready_events(), 1);
    let other = queue.next(2, usize::MAX).expect("the other partition");
    assert_eq!(other.lane, 1);
    assert!(queue.next(2, usize::MAX).is_none());
    done(&first);
    queue.release(0);
    assert_eq!(queue.ready_events(), 2);
    let second = queue.next(2, usize::MAX).expect("released");
    assert_eq!(offsets(&second), [2, 3]);
    assert!(queue.next(2, usize::MAX).is_none());
    done(&second);
    assert_eq!(cursors.all(), [4, 0]);
}

#[tokio::test]
async fn halves_go_one_after_the_other() {
    let (cursors, mut feed) = fed(vec![delivery(0, 0, Rows::All, 2), delivery(0, 2, Rows::All, 3)]).await;
    let mut queue = Queue::new(true);
    queue.push(feed.next().await.expect("one"));
    queue.push(feed.next().await.expect("two"));
    let mut seen = Vec::new();
    let mut next = queue.next(5, usize::MAX);
    while let Some(mut shot) = next {
        while shot.len() > 1 {
            let before = shot.events();
            shot = shot.halve();
            assert_eq!(shot.events(), before);
        }
        seen.extend(offsets(&shot));
        done(&shot);
        next = shot.next();
    }
    assert_eq!((seen, cursors.get(0)), (vec![0, 1, 2, 3, 4], 5));
}
