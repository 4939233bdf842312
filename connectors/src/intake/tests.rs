//! The intake against a shard that is played by the test: acks, backpressure, submissions that are dropped.

use std::pin::pin;

use engine::batch::HeaderWriter;
use engine::ring::ring;
use futures_util::task::noop_waker;

use super::*;

mod shared;

struct Shard {
    from: Consumer<Submitted>,
    back: Producer<Ack>,
    next: u64,
}

impl Shard {
    fn acknowledge(&mut self) -> usize {
        let mut count = 0;
        while let Some(submitted) = self.from.pop() {
            let rows = submitted.batch.rows().len() as u32;
            let placed = Placed { partition: submitted.batch.partition(), base_offset: self.next, rows, duplicates: 0 };
            self.next += u64::from(rows);
            self.back.push(Ack { ticket: submitted.ticket, result: Ok(placed) }).expect("room");
            count += 1;
        }
        count
    }
}

fn one_shard(capacity: usize) -> (Intake, Shard) {
    let (bell, shard_bell) = (Bell::default(), Bell::default());
    let (to, from) = ring(capacity, &shard_bell);
    let (back, acks) = ring(1024, &bell);
    (Intake::new(0, 8, vec![to], vec![acks], bell), Shard { from, back, next: 0 })
}

fn push(submission: &mut Submission, key: &str, size: usize) {
    submission.push(Some(key.as_bytes()), &vec![b'x'; size], &HeaderWriter::default(), 0).expect("fits");
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    let waker = noop_waker();
    future.poll(&mut std::task::Context::from_waker(&waker))
}

#[test]
fn a_commit_resolves_with_the_last_ack() {
    let (intake, mut shard) = one_shard(64);
    let mut submission = intake.submission(AckLevel::Synced);
    for device in 0..100 {
        push(&mut submission, &format!("d{device}"), 10);
    }
    let mut commit = pin!(submission.commit());
    assert!(poll(commit.as_mut()).is_pending());
    assert_eq!(shard.acknowledge(), 8);
    intake.take_acks();
    let Poll::Ready(Ok(receipt)) = poll(commit.as_mut()) else { panic!("not ready") };
    assert_eq!((receipt.events(), receipt.placed.len()), (100, 8));
    assert_eq!(intake.in_flight(), 0);
}

#[test]
fn a_full_ring_holds_the_client_back_until_acks_come() {
    let (intake, mut shard) = one_shard(2);
    let mut submission = intake.submission(AckLevel::Memory);
    for _ in 0..40 {
        push(&mut submission, "same", 10_000);
    }
    let mut commit = pin!(submission.commit());
    let mut rounds = 0;
    let receipt = loop {
        match poll(commit.as_mut()) {
            Poll::Ready(receipt) => break receipt.expect("kept"),
            Poll::Pending => {
                assert!(shard.from.len() <= 2);
                shard.acknowledge();
                intake.take_acks();
                rounds += 1;
            }
        }
    };
    assert_eq!(receipt.events(), 40);
    assert!(rounds > 1, "no backpressure was seen");
}

#[test]
fn dropping_frees_the_slot_at_once_or_with_the_last_ack() {
    let (intake, mut shard) = one_shard(64);
    let mut submission = intake.submission(AckLevel::Synced);
    push(&mut submission, "a", 1);
    drop(submission);
    assert!(shard.from.is_empty());

    let mut submission = intake.submission(AckLevel::Synced);
    push(&mut submission, "a", 1);
    {
        let mut commit = pin!(submission.commit());
        assert!(poll(commit.as_mut()).is_pending());
    }
    assert_eq!(intake.in_flight(), 1);
    shard.acknowledge();
    intake.take_acks();
    assert_eq!((intake.in_flight(), intake.0.borrow().free.len()), (0, 1));
}
