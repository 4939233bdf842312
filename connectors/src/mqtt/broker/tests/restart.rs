//! What a crash leaves: the log up to its end, the store up to its last commit.

use super::*;
use crate::mqtt::broker::tests::client::{lasting, message, will};
use crate::mqtt::codec::{Connect, Publish, ReceiptKind};

#[test]
fn sessions_go_on_where_the_store_left_them_and_miss_nothing() {
    for saves in [0, 1, 2] {
        let mut world = World::new(2);
        let (publisher, _) = world.join(0, &v5("pub"));
        let (follows, _) = world.join(0, &lasting("follows", 100));
        let (away, _) = world.join(1, &lasting("away", 100));
        let (slow, _) = world.join(1, &lasting("slow", 100));
        for client in [follows, away, slow] {
            world.subscribe(client, "t", 1);
        }
        world.save();
        world.lose(away);
        world.clients[slow].answers = false;
        for number in 0..10 {
            world.publish(publisher, "t", &number.to_string(), 1, number + 1);
            if number == 4 && saves == 2 || number == 9 && saves == 1 {
                world.save();
            }
        }
        let mut world = world.crash(1);
        for id in ["follows", "away", "slow"] {
            let (client, present) = world.join(0, &lasting(id, 100));
            assert!(present, "{id}");
            let mut payloads = world.payloads(client);
            payloads.dedup();
            let first = match (id, saves) {
                ("follows", 1) => 10,
                ("follows", 2) => 5,
                _ => 0,
            };
            let wanted: Vec<String> = (first..10).map(|number: u32| number.to_string()).collect();
            assert_eq!(payloads, wanted, "{id} after {saves}");
        }
    }
}

#[test]
fn a_message_of_qos_2_that_comes_again_after_a_crash_is_kept_once() {
    let mut world = World::new(1);
    let connect = lasting("pub", 100);
    // As it does when it starts.
    world.save();
    let (publisher, _) = world.join(0, &connect);
    world.clients[publisher].answers = false;
    for packet_id in [1, 2] {
        world.publish(publisher, "t", "x", 2, packet_id);
    }
    // The second one's release came, and its identifier is free for another message.
    world.clients[publisher].receipt(ReceiptKind::Rel, 2);
    world.settle();
    let mut world = world.crash(1);
    let (publisher, present) = world.join(0, &connect);
    assert!(present);
    world.clients[publisher].packet(&Packet::Publish(Publish { dup: true, ..message("t", "x", 2, 1) }));
    world.clients[publisher].publish("t", "y", 2, 2);
    world.settle();
    let done = |packet_id| {
        [ReceiptKind::Rec, ReceiptKind::Comp].map(|kind| Got::Receipt(kind, packet_id, Reason::Success)).to_vec()
    };
    let mut got = world.take(publisher);
    got.sort_by_key(|got| if let Got::Receipt(_, packet_id, _) = got { *packet_id } else { 0 });
    assert_eq!(got, [done(1), done(2)].concat());
    let rows: usize = world.log.iter().flatten().map(|batch| batch.rows().len()).sum();
    assert_eq!(rows, 3, "two before, one after");
}

#[test]
fn messages_under_way_keep_their_identifiers() {
    let mut world = World::new(1);
    let (publisher, _) = world.join(0, &v5("pub"));
    let (sub, _) = world.join(0, &lasting("sub", 100));
    world.subscribe(sub, "t", 2);
    world.clients[sub].answers = false;
    for packet_id in 1..=4 {
        world.publish(publisher, "t", &packet_id.to_string(), 2, packet_id);
    }
    let before = world.clients[sub].messages();
    world.clients[sub].receipt(ReceiptKind::Rec, before[1].packet_id);
    world.settle();
    world.take(sub);
    world.save();
    let mut world = world.crash(2);
    let sub = world.dial(1);
    world.clients[sub].answers = false;
    world.clients[sub].connect(&lasting("sub", 100));
    world.settle();
    let mut again = Vec::new();
    let mut released = Vec::new();
    for got in world.take(sub) {
        match got {
            Got::Publish(message) if message.dup => again.push((message.packet_id, message.payload)),
            Got::Receipt(ReceiptKind::Rel, packet_id, Reason::Success) => released.push(packet_id),
            Got::ConnAck { present, .. } => assert!(present),
            other => panic!("{other:?}"),
        }
    }
    let wanted = [0, 2, 3].map(|at| (before[at].packet_id, before[at].payload.clone()));
    assert_eq!((again, released), (wanted.to_vec(), vec![before[1].packet_id]));
}

#[test]
fn retained_messages_are_there_again_those_behind_the_store_too() {
    let mut world = World::new(1);
    let (client, _) = world.join(0, &v5("c"));
    let keep = |world: &mut World, topic: &str, payload: &str| {
        let publish = Publish { retain: true, ..message(topic, payload, 0, 0) };
        world.clients[client].packet(&Packet::Publish(publish));
        world.settle();
    };
    for (topic, payload) in [("a", "1"), ("b", "1"), ("c", "1"), ("gone", "1"), ("gone", "")] {
        keep(&mut world, topic, payload);
    }
    world.save();
    keep(&mut world, "b", "2");
    keep(&mut world, "c", "");
    keep(&mut world, "d", "2");
    let mut world = world.crash(2);
    let (sub, _) = world.join(1, &v5("sub"));
    world.subscribe(sub, "#", 0);
    let found: Vec<(String, String)> =
        world.clients[sub].messages().into_iter().map(|got| (got.topic, got.payload)).collect();
    let wanted = [("a", "1"), ("b", "2"), ("d", "2")].map(|(topic, payload)| (topic.to_owned(), payload.to_owned()));
    assert_eq!(found, wanted);
}

#[test]
fn retained_messages_of_a_log_that_is_gone_give_way_to_new_ones() {
    let mut world = World::new(1);
    let (client, _) = world.join(0, &v5("c"));
    for (packet_id, payload) in [(1, "1"), (2, "2"), (3, "old")] {
        let publish = Publish { retain: true, ..message("t", payload, 1, packet_id) };
        world.clients[client].packet(&Packet::Publish(publish));
        world.settle();
    }
    world.save();
    world.log.iter_mut().for_each(Vec::clear);
    let mut world = world.crash(1);
    let (client, _) = world.join(0, &v5("c"));
    let look = |world: &mut World| {
        let (sub, _) = world.join(0, &v5("sub"));
        world.subscribe(sub, "t", 1);
        world.payloads(sub)
    };
    assert_eq!(look(&mut world), ["old"]);
    for (packet_id, payload) in [(1, "new"), (2, "newer")] {
        let publish = Publish { retain: true, ..message("t", payload, 1, packet_id) };
        world.clients[client].packet(&Packet::Publish(publish));
        world.settle();
        assert_eq!(look(&mut world), [payload]);
    }
}

#[test]
fn wills_of_clients_that_were_connected_are_said() {
    let mut world = World::new(1);
    let (watcher, _) = world.join(0, &lasting("watcher", 1000));
    world.subscribe(watcher, "w", 1);
    let connects = [
        ("clean", v5("clean"), 0),
        ("stays", lasting("stays", 100), 10),
        ("left", v5("left"), 0),
        ("late", lasting("late", 100), 0),
    ];
    let mut clients = Vec::new();
    for (payload, connect, delay_s) in connects {
        clients.push(world.join(0, &Connect { will: Some(will("w", payload, delay_s)), ..connect }).0);
    }
    world.clients[clients[2]].disconnect(Reason::Success, None);
    world.settle();
    // Said before the crash: not again.
    world.lose(clients[3]);
    assert_eq!(world.payloads(watcher), ["late"]);
    world.save();
    let mut world = world.crash(1);
    let (watcher, _) = world.join(0, &lasting("watcher", 1000));
    world.pass(1);
    assert_eq!(world.payloads(watcher), ["clean"]);
    world.pass(10);
    assert_eq!(world.payloads(watcher), ["stays"]);
    world.save();
    let mut world = world.crash(1);
    let (watcher, _) = world.join(0, &lasting("watcher", 1000));
    world.pass(20);
    assert_eq!(world.payloads(watcher), Vec::<String>::new(), "once");
}
