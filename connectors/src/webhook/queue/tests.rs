//! Cutting deliveries into requests, with and without order, and settling when the last event is done.

use std::sync::Arc;

use engine::batch::{BatchBuilder, HeaderWriter};
use engine::lane::{Delivery, Rows};

use super::*;
use crate::sink::Cursors;

/// Events of `keys`, one letter each, `-` for none; the data of the first is one byte long, each next one byte longer.
fn delivery(partition: u32, base: u64, keys: &str, rows: Rows) -> Delivery {
    let mut builder = BatchBuilder::new(partition);
    for (row, key) in keys.as_bytes().chunks(1).enumerate() {
        let key = (key != b"-").then_some(key);
        builder.push(key, &vec![b'1'; row + 1], &HeaderWriter::default(), 0).expect("fits");
    }
    let mut batch = builder.seal().expect("rows");
    batch.set_base_offset(base);
    Delivery { batch: Arc::new(batch), rows, enrichments: Arc::new([]), table_version: 1 }
}

struct Fixture {
    queue: Queue,
    cursors: Arc<Cursors>,
    behind_max: usize,
}

impl Fixture {
    fn new(ordered: bool, events_max: usize, bytes_max: usize) -> Self {
        let keys = ordered.then(|| Keys::new(1));
        let cursors = Arc::new(Cursors::new(&[0, 0]));
        Self { queue: Queue::new(events_max, bytes_max, keys), cursors, behind_max: 100 }
    }

    fn push(&mut self, partition: u32, base: u64, keys: &str) {
        self.push_rows(partition, base, keys, Rows::All);
    }

    fn push_rows(&mut self, partition: u32, base: u64, keys: &str, rows: Rows) {
        self.queue.push(Handed::new(delivery(partition, base, keys, rows), &self.cursors));
    }

    /// The requests that may go now, without an answer to any.
    fn all(&mut self) -> Vec<Shot> {
        std::iter::from_fn(|| self.queue.next(self.behind_max)).collect()
    }

    fn done(&mut self, shot: Shot) {
        shot.spans.iter().for_each(Span::done);
        self.queue.release(&shot);
    }
}

fn offsets(shot: &Shot) -> Vec<u64> {
    shot.events().map(|event| event.offset()).collect()
}

fn each(shots: &[Shot]) -> Vec<Vec<u64>> {
    shots.iter().map(offsets).collect()
}

#[test]
fn requests_run_across_deliveries_and_partitions() {
    for ordered in [false, true] {
        let mut fixture = Fixture::new(ordered, 4, usize::MAX);
        fixture.push(0, 0, "abc");
        fixture.push_rows(1, 0, "abcd", Rows::Some([1, 3].into()));
        fixture.push(0, 3, "de");
        assert_eq!((fixture.queue.held(), fixture.queue.ready_events()), (3, 7));
        let mut shots = fixture.all();
        assert_eq!(each(&shots), [vec![0, 1, 2, 1], vec![3, 3, 4]]);
        assert_eq!(fixture.queue.ready_events(), 0);
        fixture.done(shots.pop().expect("two"));
        assert_eq!((fixture.cursors.all(), fixture.queue.held()), (vec![0, 1], 2));
        fixture.done(shots.pop().expect("one"));
        assert_eq!((fixture.cursors.all(), fixture.queue.held()), (vec![5, 4], 0));
    }
}

#[test]
fn bytes_close_a_request_and_a_larger_event_goes_alone() {
    for ordered in [false, true] {
        let mut fixture = Fixture::new(ordered, 100, 4);
        fixture.push(0, 0, "abcdef"); // sizes 1 2 3 4 5 6
        assert_eq!(each(&fixture.all()), [vec![0, 1], vec![2], vec![3], vec![4], vec![5]]);
    }
}

#[test]
fn a_key_has_one_request_and_the_others_go_on() {
    let mut fixture = Fixture::new(true, 2, usize::MAX);
    fixture.push(0, 0, "aabab-c-");
    let mut shots = fixture.all();
    // 3 waits behind 0 and 1; two events of `b` share a request.
    assert_eq!(each(&shots), [vec![0, 1], vec![2, 4], vec![5, 6], vec![7]]);
    assert_eq!((fixture.queue.behind_events(), fixture.queue.ready_events()), (1, 0));
    fixture.push(0, 8, "abdab");
    assert_eq!(each(&fixture.all()), [[10]]);
    assert_eq!(fixture.queue.behind_events(), 5);
    // What waits behind `b` goes in order, in one request; then `a`, whose request ends later.
    fixture.done(shots.remove(1));
    assert_eq!((fixture.queue.behind_events(), fixture.queue.ready_events()), (5, 2));
    let of_b = fixture.all();
    assert_eq!(each(&of_b), [[9, 12]]);
    fixture.done(shots.remove(0));
    let of_a = fixture.all();
    assert_eq!(each(&of_a), [[3, 8]]);
    assert_eq!(fixture.queue.behind_events(), 1);
    for shot in shots.into_iter().chain(of_a).chain(of_b) {
        fixture.done(shot);
    }
    let rest = fixture.all();
    assert_eq!(each(&rest), [[11]]);
    rest.into_iter().for_each(|shot| fixture.done(shot));
    assert_eq!((fixture.queue.behind_events(), fixture.queue.ready_events()), (0, 0));
    // Nothing is left of either key: the next events go at once.
    fixture.push(0, 13, "ab");
    assert_eq!(each(&fixture.all()), [[13, 14]]);
}

#[test]
fn a_key_in_two_partitions_is_two_keys() {
    let mut fixture = Fixture::new(true, 1, usize::MAX);
    fixture.push(0, 0, "aa");
    fixture.push(1, 0, "aa");
    assert_eq!(each(&fixture.all()), [[0], [0]]);
}

#[test]
fn a_key_that_does_not_fit_goes_on_in_the_next_request() {
    let mut fixture = Fixture::new(true, 3, usize::MAX);
    fixture.push(0, 0, "aaaaaaab");
    let first = fixture.all();
    assert_eq!(each(&first), [vec![0, 1, 2], vec![7]]);
    let mut seen = Vec::new();
    let mut next = first.into_iter().next();
    while let Some(shot) = next {
        seen.extend(offsets(&shot));
        fixture.done(shot);
        let mut now = fixture.all();
        assert!(now.len() <= 1);
        next = now.pop();
    }
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn at_the_bound_nothing_more_waits_behind_a_key() {
    let mut fixture = Fixture::new(true, 1, usize::MAX);
    fixture.behind_max = 2;
    fixture.push(0, 0, "aaaabc");
    let mut shots = fixture.all();
    assert_eq!((each(&shots), fixture.queue.behind_events()), (vec![vec![0]], 2));
    assert_eq!(fixture.queue.ready_events(), 3);
    let mut seen = Vec::new();
    while !shots.is_empty() {
        let shot = shots.remove(0);
        seen.extend(offsets(&shot));
        fixture.done(shot);
        shots.extend(fixture.all());
    }
    assert_eq!((seen, fixture.cursors.get(0)), (vec![0, 1, 2, 4, 5, 3], 6));
}

/// Sends what is there in requests of one event, cutting each as if it had been too large.
fn halved(ordered: bool, keys: &str) -> Vec<u64> {
    let mut fixture = Fixture::new(ordered, 100, usize::MAX);
    fixture.push(0, 0, keys);
    let mut seen = Vec::new();
    let mut todo: std::collections::VecDeque<Shot> = fixture.all().into();
    assert_eq!(todo.len(), 1);
    while let Some(mut shot) = todo.pop_front() {
        if shot.len() > 1 {
            let before = shot.len_with_after();
            let (first, second) = fixture.queue.halve(shot);
            assert_eq!(first.len_with_after() + second.as_ref().map_or(0, Shot::len_with_after), before);
            todo.extend([Some(first), second].into_iter().flatten());
            continue;
        }
        seen.extend(offsets(&shot));
        shot.spans.iter().for_each(Span::done);
        match shot.go_on() {
            true => todo.push_back(shot),
            false => fixture.queue.release(&shot),
        }
    }
    assert_eq!(fixture.cursors.get(0), keys.len() as u64);
    fixture.push(0, keys.len() as u64, keys);
    assert_eq!(fixture.all().len(), 1, "no key is held");
    seen
}

#[test]
fn halves_of_a_key_go_one_after_the_other() {
    assert_eq!(halved(true, "aaaaaaa"), [0, 1, 2, 3, 4, 5, 6]);
    let seen = halved(true, "ab-aabb-a-");
    let of = |key: &str| {
        let keys = "ab-aabb-a-";
        seen.iter().filter(|offset| &keys[**offset as usize..][..1] == key).copied().collect::<Vec<_>>()
    };
    assert_eq!((of("a"), of("b")), (vec![0, 3, 4, 8], vec![1, 5, 6]));
    let mut seen = halved(false, "aaaaaaa");
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_request_that_failed_is_split_by_its_keys() {
    let mut fixture = Fixture::new(true, 8, usize::MAX);
    fixture.push(0, 0, "abac-a");
    fixture.push(0, 6, "abc");
    let shot = fixture.all().remove(0);
    assert_eq!(offsets(&shot), [0, 1, 2, 3, 4, 5, 6, 7]);
    let (first, second) = fixture.queue.split_by_keys(shot);
    let second = second.expect("several keys");
    assert_eq!((offsets(&first), offsets(&second)), (vec![0, 1, 2, 5, 6, 7], vec![3, 4]));
    // Each half holds its own keys only.
    assert!(fixture.all().is_empty());
    assert_eq!(fixture.queue.behind_events(), 1);
    fixture.done(second);
    assert_eq!(each(&fixture.all()), [[8]]);
    fixture.push(0, 9, "ab");
    assert!(fixture.all().is_empty());
    fixture.done(first);
    assert_eq!(each(&fixture.all()), [[9, 10]]);
    // One key is not split, and without order nothing is.
    let mut fixture = Fixture::new(true, 8, usize::MAX);
    fixture.push(0, 0, "aaa");
    let shot = fixture.all().remove(0);
    assert!(fixture.queue.split_by_keys(shot).1.is_none());
    let mut fixture = Fixture::new(false, 8, usize::MAX);
    fixture.push(0, 0, "abc");
    let shot = fixture.all().remove(0);
    assert!(fixture.queue.split_by_keys(shot).1.is_none());
}
