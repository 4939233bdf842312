//! Shared batches against shards that are played by the test: order under a full ring, every batch done once, stopping.

use engine::batch::HeaderWriter;
use engine::ring::ring;
use futures_util::task::noop_waker;

use super::super::*;
use super::Shard;

/// A core's shared batches, two shards that the test plays, and which is whose.
fn shared(capacity: usize) -> (Intake, SharedBatches, Vec<Shard>) {
    let bell = Bell::default();
    let (mut to, mut acks, mut shards) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..2 {
        let (producer, from) = ring(capacity, &Bell::default());
        let (back, ack) = ring(1024, &bell);
        to.push(producer);
        acks.push(ack);
        shards.push(Shard { from, back, next: 0 });
    }
    let intake = Intake::new(0, 4, to, acks, bell);
    (intake.clone(), SharedBatches::new(intake, AckLevel::Synced), shards)
}

/// A key of each partition.
fn keys() -> Vec<String> {
    let key_of = |partition| (0..).map(|n| format!("k{n}")).find(|key| partition_of(key.as_bytes(), 4) == partition);
    (0..4).map(|partition| key_of(partition).expect("there is no end")).collect()
}

fn take_done(batches: &mut SharedBatches) -> Vec<Done> {
    let mut done = Vec::new();
    batches.take_done(&noop_waker(), &mut done);
    done
}

#[test]
fn what_comes_in_a_turn_for_a_partition_is_one_batch_and_done_once() {
    let (intake, mut batches, mut shards) = shared(64);
    let keys = keys();
    let push = |batches: &mut SharedBatches, key: &str| {
        batches.push(key.as_bytes(), b"x", &HeaderWriter::default(), 0).expect("fits")
    };
    let numbers: Vec<u32> = keys.iter().chain(&keys).map(|key| push(&mut batches, key)).collect();
    assert_eq!(numbers[..4], numbers[4..], "the batch of its partition");
    assert!(batches.is_open() && shards[0].from.is_empty());
    assert!(batches.flush(&noop_waker(), false) && !batches.is_open());
    assert_eq!((shards[0].from.len(), shards[1].from.len()), (2, 2));
    assert_eq!(take_done(&mut batches), []);
    let next = push(&mut batches, &keys[0]);
    assert!(!numbers.contains(&next), "a number is nobody else's until it is done");
    assert!(shards.iter_mut().map(Shard::acknowledge).sum::<usize>() > 0);
    intake.take_acks();
    let done = take_done(&mut batches);
    let mut found: Vec<u32> = done.iter().map(|(number, _)| *number).collect();
    found.sort_unstable();
    let mut wanted = numbers[..4].to_vec();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
    assert!(done.iter().all(|(_, result)| result.is_ok_and(|placed| placed.rows == 2)));
    assert_eq!(take_done(&mut batches), [], "once");
    batches.flush(&noop_waker(), false);
    assert!(shards.iter_mut().map(Shard::acknowledge).sum::<usize>() > 0);
    intake.take_acks();
    assert_eq!(take_done(&mut batches).len(), 1);
    assert_eq!(intake.in_flight(), 0);
}

#[test]
fn a_full_shard_keeps_its_order_and_holds_up_no_other() {
    let (intake, mut batches, mut shards) = shared(2);
    let keys = keys();
    let (mut sent, mut seen, mut done) = (0u32, Vec::new(), Vec::new());
    let mut numbers = Vec::new();
    // Partitions 0 and 2 are the first shard's, which takes nothing; the second takes all.
    for round in 0..40 {
        for key in &keys {
            numbers.push(batches.push(key.as_bytes(), &sent.to_be_bytes(), &HeaderWriter::default(), 0).expect("fits"));
            sent += 1;
        }
        assert_eq!(batches.flush(&noop_waker(), false), round == 0);
        assert_eq!(shards[1].from.len(), 2, "both batches of this round");
        shards[1].acknowledge();
        intake.take_acks();
        done.extend(take_done(&mut batches));
    }
    assert_eq!(shards[0].from.len(), 2);
    while !batches.flush(&noop_waker(), false) || !shards[0].from.is_empty() {
        // One at a time, so that a flush finds room for some.
        let Some(submitted) = shards[0].from.pop() else { continue };
        for row in 0..submitted.batch.rows().len() {
            let event = engine::event::Event::new(&submitted.batch, row);
            seen.push((submitted.batch.partition(), event.data().expect("data").to_vec()));
        }
        let placed = Placed { partition: submitted.batch.partition(), base_offset: 0, rows: 1, duplicates: 0 };
        shards[0].back.push(Ack { ticket: submitted.ticket, result: Ok(placed) }).expect("room");
        intake.take_acks();
        done.extend(take_done(&mut batches));
    }
    for partition in [0, 2] {
        let of: Vec<&Vec<u8>> = seen.iter().filter(|(known, _)| *known == partition).map(|(_, value)| value).collect();
        assert!(of.is_sorted() && of.len() == 40, "in the order in which they were pushed");
    }
    assert_eq!(done.len(), 160, "every batch once");
    assert_eq!((intake.in_flight(), batches.is_open()), (0, false));
}

#[test]
fn a_batch_that_is_full_is_followed_by_another_in_the_same_turn() {
    let (intake, mut batches, mut shards) = shared(64);
    let key = &keys()[0];
    let mut numbers = Vec::new();
    for _ in 0..40 {
        numbers.push(batches.push(key.as_bytes(), &[b'x'; 10_000], &HeaderWriter::default(), 0).expect("fits"));
    }
    numbers.dedup();
    assert!(numbers.len() > 1 && batches.flush(&noop_waker(), false));
    let order: Vec<u32> = std::iter::from_fn(|| {
        let submitted = shards[0].from.pop()?;
        let slot = submitted.ticket.slot;
        shards[0].back.push(Ack { ticket: submitted.ticket, result: Err(Refused::LogFailed) }).expect("room");
        Some(slot)
    })
    .collect();
    assert_eq!(order, numbers);
    intake.take_acks();
    let done = take_done(&mut batches);
    assert_eq!(done, numbers.iter().map(|number| (*number, Err(Refused::LogFailed))).collect::<Vec<_>>());
}

#[test]
fn a_stop_refuses_what_was_not_sent_and_the_rest_goes_on() {
    let (intake, mut batches, mut shards) = shared(1);
    let keys = keys();
    let push = |batches: &mut SharedBatches, at: usize| {
        batches.push(keys[at].as_bytes(), b"x", &HeaderWriter::default(), 0).expect("fits")
    };
    let first = push(&mut batches, 0);
    assert!(batches.flush(&noop_waker(), false));
    let second = push(&mut batches, 2);
    assert!(!batches.flush(&noop_waker(), false), "no room");
    intake.stop();
    let third = push(&mut batches, 1);
    assert!(batches.flush(&noop_waker(), false));
    assert_eq!(take_done(&mut batches), [(second, Err(Refused::Stopping)), (third, Err(Refused::Stopping))]);
    shards[0].acknowledge();
    intake.take_acks();
    let done = take_done(&mut batches);
    assert!(matches!(done[..], [(number, Ok(_))] if number == first));
    assert_eq!(intake.in_flight(), 0);
}

#[test]
fn a_shard_that_is_gone_refuses() {
    let (intake, mut batches, mut shards) = shared(4);
    shards.remove(0);
    let number = batches.push(keys()[0].as_bytes(), b"x", &HeaderWriter::default(), 0).expect("fits");
    assert!(batches.flush(&noop_waker(), false));
    assert_eq!(take_done(&mut batches), [(number, Err(Refused::Stopping))]);
    assert_eq!(intake.in_flight(), 0);
}

#[test]
fn what_nobody_waits_for_goes_with_others_or_with_all() {
    let (_intake, mut batches, mut shards) = shared(64);
    let headers = HeaderWriter::default();
    let first = batches.push_at_leisure(b"a", b"1", &headers, 0).expect("fits");
    let partition = batches.last_partition();
    assert!(batches.flush(&noop_waker(), false) && batches.is_open() && shards.iter().all(|s| s.from.is_empty()));
    assert_eq!(batches.push(b"a", b"2", &headers, 0), Ok(first), "the batch of those before, in their order");
    assert!(batches.flush(&noop_waker(), false) && !batches.is_open());
    let sent: Vec<Submitted> = shards.iter_mut().filter_map(|shard| shard.from.pop()).collect();
    assert_eq!(sent.iter().map(|s| (s.batch.partition(), s.batch.rows().len())).collect::<Vec<_>>(), [(partition, 2)]);
    batches.push_at_leisure(b"a", b"3", &headers, 0).expect("fits");
    assert!(batches.flush(&noop_waker(), false) && batches.is_open(), "the hurry went with its batch");
    assert!(batches.flush(&noop_waker(), true) && !batches.is_open());
}
