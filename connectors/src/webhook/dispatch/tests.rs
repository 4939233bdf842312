//! The dispatch on a virtual clock against a receiver that fails in every way, from seeds; and what a bad key does to the others.

mod world;

use std::collections::BTreeMap;

use world::{Event, Fault, World};

use super::*;
use crate::webhook::policy::Schedule;

fn config(random: &mut fastrand::Rng) -> WebhookConfig {
    let mut config = WebhookConfig::new("http://localhost/");
    config.ordered = random.u8(..5) > 0;
    config.concurrency_max = random.u32(1..=8);
    config.batch_events_max = if random.bool() { 1 } else { random.u32(2..=16) };
    config.batch_bytes_max = if random.bool() { 1 << 20 } else { random.usize(1..=200) };
    config.attempts_max = random.u32(1..=8);
    config.ttl_s_max = if random.bool() { 86_400 } else { random.u64(1..=60) };
    config.ttl_from = if random.bool() { TtlFrom::FirstAttempt } else { TtlFrom::Acceptance };
    config.schedule = if random.u8(..4) > 0 { Schedule::Exponential } else { Schedule::EventGridNamespace };
    config.backoff_ms_min = random.u64(1..=1000);
    config.backoff_ms_max = config.backoff_ms_min + random.u64(0..=60_000);
    config.parked_events_max = if random.bool() { random.u32(1..=20) } else { random.u32(20..=1000) };
    config
}

#[test]
fn nothing_is_lost_and_keys_keep_their_order_whatever_the_receiver_does() {
    let mut seen = BTreeMap::<&str, usize>::new();
    for seed in 0..600 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new(config(&mut random), seed);
        world.receiver.faulty(&mut random);
        let (partitions, keys) = (random.u32(1..=3), random.u16(1..=30));
        for _ in 0..random.usize(1..=60) {
            let partition = random.u32(..partitions);
            let events: Vec<_> = (0..random.usize(1..=20))
                .map(|_| Event {
                    key: (random.u8(..8) > 0).then(|| random.u16(..keys)),
                    bytes: random.usize(1..=60),
                    is_wanted: random.u8(..4) > 0,
                    fault: Fault::random(&mut random),
                })
                .collect();
            world.offer(partition, &events);
        }
        world.run(|_| false);
        world.check_end();
        for (what, count) in &world.seen {
            *seen.entry(*what).or_default() += count;
        }
    }
    // The seeds reach everything that can happen.
    for what in [
        "delivered",
        "retry",
        "halve",
        "stop",
        "back",
        "MaxDeliveryAttemptsExceeded",
        "TimeToLiveExceeded",
        "NonRetriableStatus",
        "too old to be sent",
        "answer lost",
        "at the bound",
        "silent",
    ] {
        assert!(seen.get(what).is_some_and(|count| *count >= 10), "{what}: {seen:?}");
    }
}

/// One of a hundred keys fails for as long as it is told to.
fn one_bad_key(batch_events_max: u32, rounds: usize) {
    let mut config = WebhookConfig::new("http://localhost/");
    (config.ordered, config.batch_events_max, config.concurrency_max) = (true, batch_events_max, 4);
    let mut world = World::new(config, 7);
    for _ in 0..rounds {
        let events: Vec<_> = (0..100u16)
            .map(|key| Event { key: Some(key), bytes: 10, is_wanted: true, fault: Fault::KeyFails(13) })
            .collect();
        world.offer(0, &events);
    }
    let is_good = |key: &Option<u16>| *key != Some(13);
    world.run(|world| world.open_of(is_good) == 0);
    assert_eq!(world.open_of(is_good), 0, "the other 99 keys are delivered");
    assert_eq!(world.delivered(), 99 * rounds);
    assert_eq!(world.open_of(|key| !is_good(key)), rounds, "the bad key is still there");
    // Its first event waits for a retry or is just being tried, the others wait behind it.
    let parked = world.dispatch.parked_events() + world.under_way_events();
    assert_eq!((parked, world.dispatch.is_stopped()), (rounds, false));
    // Alone in their requests the others do not wait at all; together with it, for at most seven cuts of the hundred keys.
    let waited_ms_max = if batch_events_max == 1 { 0 } else { 500 << 8 };
    assert!(world.now_ms <= waited_ms_max, "{} ms", world.now_ms);
    // The bad key is repaired: its events come in order.
    world.receiver.heal();
    world.run(|_| false);
    world.check_end();
    assert_eq!(world.delivered(), 100 * rounds);
}

#[test]
fn one_bad_key_of_a_hundred_holds_no_other() {
    for (batch_events_max, rounds) in [(1, 1), (1, 20), (7, 10), (64, 10), (5000, 10)] {
        one_bad_key(batch_events_max, rounds);
    }
}

#[test]
fn at_its_bounds_it_takes_no_more_and_goes_on_when_there_is_room() {
    for (ordered, parked_events_max) in [(true, 5), (false, 5), (true, 1_000_000)] {
        let mut config = WebhookConfig::new("http://localhost/");
        (config.ordered, config.parked_events_max, config.concurrency_max) = (ordered, parked_events_max, 2);
        config.attempts_max = 1000;
        let mut world = World::new(config, 3);
        for _ in 0..HELD_DELIVERIES_MAX + 100 {
            world.offer(0, &[Event { key: Some(1), bytes: 1, is_wanted: true, fault: Fault::KeyFails(1) }; 2]);
        }
        world.run(|world| world.now_ms > 3_600_000);
        let (parked, held) = (world.dispatch.parked_events(), world.dispatch.held_deliveries());
        assert_eq!(world.delivered(), 0);
        match parked_events_max {
            5 => assert!((5..=7).contains(&parked), "{parked}"),
            _ => assert_eq!(held, HELD_DELIVERIES_MAX + 2),
        }
        world.receiver.heal();
        world.run(|_| false);
        world.check_end();
        assert_eq!(world.delivered(), 2 * (HELD_DELIVERIES_MAX + 100));
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut random = fastrand::Rng::with_seed(1);
        let mut world = World::new(config(&mut random), seed);
        world.receiver.faulty(&mut random);
        for _ in 0..20 {
            world.offer(0, &[Event { key: Some(1), bytes: 1, is_wanted: true, fault: Fault::FirstSends(2) }; 5]);
        }
        world.run(|_| false);
        (world.now_ms, world.seen)
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
