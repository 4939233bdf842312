//! Wills: said at once, after a delay, with the session's end, or not at all.

use super::*;
use crate::mqtt::broker::tests::client::{lasting, will};
use crate::mqtt::codec::Connect;

fn watcher(world: &mut World) -> usize {
    let (watcher, _) = world.join(0, &v5("watcher"));
    world.subscribe(watcher, "w", 1);
    watcher
}

fn with_will(connect: Connect<'static>, delay_s: u32) -> Connect<'static> {
    Connect { will: Some(will("w", "gone", delay_s)), ..connect }
}

const NONE: [String; 0] = [];

#[test]
fn a_lost_connection_says_the_will_and_a_disconnect_does_not() {
    let mut world = World::new(1);
    let watcher = watcher(&mut world);
    for connect in [v5("c"), v311("c")] {
        let (client, _) = world.join(0, &with_will(connect, 0));
        world.lose(client);
        assert_eq!(world.payloads(watcher), ["gone"]);
        let (client, _) = world.join(0, &with_will(connect, 0));
        world.clients[client].disconnect(Reason::Success, None);
        world.settle();
        assert_eq!(world.payloads(watcher), NONE);
    }
    let (client, _) = world.join(0, &with_will(v5("c"), 0));
    world.clients[client].disconnect(Reason::DisconnectWithWill, None);
    world.settle();
    assert_eq!(world.payloads(watcher), ["gone"]);
}

#[test]
fn a_delayed_will_waits_and_is_dropped_if_the_client_comes_back() {
    let mut world = World::new(2);
    let watcher = watcher(&mut world);
    for core in [0, 1] {
        let (client, _) = world.join(core, &with_will(lasting("c", 100), 10));
        world.lose(client);
        world.pass(9);
        assert_eq!(world.payloads(watcher), NONE);
        world.pass(1);
        assert_eq!(world.payloads(watcher), ["gone"]);
        world.pass(1);
        let (client, present) = world.join(1 - core, &with_will(lasting("c", 100), 10));
        assert!(present, "the session stays");
        world.lose(client);
        world.pass(9);
        let (client, _) = world.join(core, &lasting("c", 100));
        world.pass(9);
        world.clients[client].disconnect(Reason::Success, None);
        world.settle();
        world.pass(20);
        assert_eq!(world.payloads(watcher), NONE);
    }
}

#[test]
fn a_session_that_ends_says_its_will_at_once() {
    let mut world = World::new(2);
    let watcher = watcher(&mut world);
    // It ends by its time, before the delay is over.
    let (client, _) = world.join(0, &with_will(lasting("c", 5), 10));
    world.lose(client);
    world.pass(5);
    assert_eq!(world.payloads(watcher), ["gone"]);
    world.pass(10);
    assert_eq!(world.payloads(watcher), NONE, "once");
    // It ends because it was not to stay.
    let (client, _) = world.join(0, &with_will(v5("c"), 10));
    world.lose(client);
    assert_eq!(world.payloads(watcher), ["gone"]);
    // It ends because the client begins anew.
    for core in [0, 1] {
        let (client, _) = world.join(0, &with_will(lasting("c", 50), 10));
        world.lose(client);
        let clean = Connect { clean_start: true, ..lasting("c", 50) };
        let (next, _) = world.join(core, &clean);
        assert_eq!(world.payloads(watcher), ["gone"]);
        world.clients[next].disconnect(Reason::Success, Some(0));
        world.settle();
    }
}

#[test]
fn a_take_over_says_a_will_without_delay_and_forgets_one_with() {
    for core in [0, 1] {
        let mut world = World::new(2);
        let watcher = watcher(&mut world);
        world.join(0, &with_will(lasting("c", 50), 0));
        let (client, present) = world.join(core, &with_will(lasting("c", 50), 10));
        assert!(present);
        assert_eq!(world.payloads(watcher), ["gone"]);
        let (_, present) = world.join(core, &lasting("c", 50));
        assert!(present && world.clients[client].is_closed);
        world.pass(20);
        assert_eq!(world.payloads(watcher), NONE);
    }
}
