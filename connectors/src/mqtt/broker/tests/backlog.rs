//! Sessions that are behind or were away: everything from the log, once, in order, and then live again.

use super::*;
use crate::mqtt::broker::tests::client::{lasting, message};
use crate::mqtt::broker::tests::publish::id_in;
use crate::mqtt::codec::{Connect, Publish, ReceiptKind};
use crate::mqtt::config::MqttConfig;
use crate::mqtt::session::Position;

fn is_live(world: &mut World, client: usize) -> bool {
    let (core, place) = (world.clients[client].core, world.clients[client].place);
    let session = world.brokers[core].connection(place).and_then(|connection| connection.session.as_ref());
    session.is_some_and(|session| session.position == Position::Live)
}

/// Publishers with a partition each.
fn publishers(world: &mut World) -> Vec<usize> {
    (0..world::PARTITIONS).map(|partition| world.join(0, &v5(&id_in(partition, 0))).0).collect()
}

/// The payloads of each publisher are its numbers, all of them in order.
fn assert_all(payloads: &[String], publishers: usize, numbers: u32) {
    for publisher in 0..publishers {
        let prefix = format!("{publisher}/");
        let of: Vec<&str> = payloads.iter().filter_map(|payload| payload.strip_prefix(&prefix)).collect();
        let wanted: Vec<String> = (0..numbers).map(|number| number.to_string()).collect();
        assert_eq!(of, wanted, "of publisher {publisher}");
    }
}

#[test]
fn a_slow_client_falls_behind_gets_everything_in_order_and_is_live_again() {
    for qos in 0..3 {
        let settings = MqttConfig { out_bytes_max: 4096, life_cycle_events: false, ..MqttConfig::default() };
        let mut world = World::with(2, settings);
        let publishers = publishers(&mut world);
        let mut connect = v5("sub");
        connect.properties.receive_max = Some(1);
        let (sub, _) = world.join(1, &connect);
        world.subscribe(sub, "t", 2);
        world.clients[sub].takes = 0;
        let filler = "x".repeat(200);
        for number in 0..100 {
            for (at, publisher) in publishers.iter().enumerate() {
                let payload = format!("{at}/{number}");
                let with_filler = if qos == 0 { format!("{payload}{filler}") } else { payload };
                world.clients[*publisher].publish("t", &with_filler, qos, number % 100 + 1);
            }
            if number % 7 == 0 {
                world.settle();
            }
        }
        world.settle();
        assert!(!is_live(&mut world, sub), "QoS {qos}");
        // It takes little by little.
        for _ in 0..100 {
            world.let_through(sub, 300);
            world.settle();
        }
        world.let_through(sub, usize::MAX);
        world.settle();
        assert!(is_live(&mut world, sub) && world.readers() == 0);
        let payloads: Vec<String> = world.payloads(sub).iter().map(|payload| payload.replace('x', "")).collect();
        assert_eq!(payloads.len(), 400);
        assert_all(&payloads, 4, 100);
        world.publish(publishers[0], "t", "live", qos, 500);
        assert_eq!(world.payloads(sub), ["live"]);
    }
}

#[test]
fn a_client_that_was_away_gets_what_came_but_not_at_qos_0() {
    for queue_qos0 in [false, true] {
        let mut world = World::with(2, MqttConfig { queue_qos0, life_cycle_events: false, ..MqttConfig::default() });
        let publishers = publishers(&mut world);
        let (sub, _) = world.join(1, &lasting("sub", 100));
        world.subscribe(sub, "t", 2);
        world.publish(publishers[0], "t", "before", 1, 1);
        assert_eq!(world.payloads(sub), ["before"]);
        world.lose(sub);
        for (qos, payload) in [(0, "0"), (1, "1"), (2, "2")] {
            world.publish(publishers[1], "t", payload, qos, 1);
        }
        world.publish(publishers[1], "other", "3", 1, 1);
        let (sub, present) = world.join(0, &lasting("sub", 100));
        assert!(present && is_live(&mut world, sub));
        let wanted: &[&str] = if queue_qos0 { &["0", "1", "2"] } else { &["1", "2"] };
        assert_eq!(world.payloads(sub), wanted);
        world.publish(publishers[1], "t", "news", 0, 1);
        assert_eq!(world.payloads(sub), ["news"]);
    }
}

#[test]
fn what_was_under_way_comes_again_first_and_in_order() {
    let mut world = World::new(2);
    let publishers = publishers(&mut world);
    let (sub, _) = world.join(0, &lasting("sub", 100));
    world.subscribe(sub, "t", 2);
    world.clients[sub].answers = false;
    for (at, (qos, payload)) in [(1, "a"), (2, "b"), (1, "c"), (2, "d")].into_iter().enumerate() {
        world.publish(publishers[at], "t", payload, qos, 1);
    }
    let first = world.clients[sub].messages();
    assert_eq!(first.len(), 4);
    // The second message has been received, the third is done.
    world.clients[sub].receipt(ReceiptKind::Rec, first[1].packet_id);
    world.clients[sub].receipt(ReceiptKind::Ack, first[2].packet_id);
    world.settle();
    world.take(sub);
    for core in [1, 0] {
        world.lose(sub);
        world.publish(publishers[0], "t", "new", 1, 2);
        let mut connect = lasting("sub", 100);
        connect.properties.receive_max = Some(10);
        (sub_of(&mut world, core, &connect)).clone_into(&mut Vec::new());
        let sub = world.clients.len() - 1;
        world.clients[sub].answers = false;
        let got = world.take(sub);
        let expected = [("a", first[0].packet_id), ("d", first[3].packet_id)];
        let again: Vec<(&str, u16)> = got
            .iter()
            .filter_map(|got| match got {
                Got::Publish(message) if message.dup => Some((&*message.payload, message.packet_id)),
                _ => None,
            })
            .filter(|(payload, _)| *payload != "new")
            .collect();
        assert_eq!(again, expected);
        assert_eq!(got[1], Got::Receipt(ReceiptKind::Rel, first[1].packet_id, Reason::Success));
        assert!(matches!(got.last(), Some(Got::Publish(message)) if message.payload == "new"), "{got:?}");
        world.lose(sub);
    }
}

fn sub_of(world: &mut World, core: usize, connect: &Connect<'_>) -> Vec<Got> {
    let client = world.dial(core);
    world.clients[client].connect(connect);
    world.clients[client].answers = false;
    world.settle();
    assert!(matches!(world.clients[client].got.pop_front(), Some(Got::ConnAck { present: true, .. })));
    Vec::new()
}

#[test]
fn a_receipt_for_what_is_just_being_read_loses_nothing() {
    // The client answers from its memory what it was sent before it lost its connection, while the node reads it to send it again.
    let mut world = World::new(1);
    let publishers = publishers(&mut world);
    let (sub, _) = world.join(0, &lasting("sub", 100));
    world.subscribe(sub, "t", 1);
    world.clients[sub].answers = false;
    for (at, payload) in [(0, "a"), (1, "b"), (0, "c")] {
        world.publish(publishers[at], "t", payload, 1, 1);
    }
    let first = world.clients[sub].messages();
    world.lose(sub);
    world.publish(publishers[1], "t", "d", 1, 1);
    world.auto.reads = false;
    let (sub, _) = world.join(0, &lasting("sub", 100));
    assert!(world.read(0, 1), "it is told to read the first one");
    world.clients[sub].receipt(ReceiptKind::Ack, first[0].packet_id);
    world.settle();
    assert!(world.read(0, 1), "and comes with it, when it is done already");
    world.auto.reads = true;
    world.settle();
    assert_eq!(world.payloads(sub), ["b", "c", "d"]);
}

#[test]
fn retained_messages_wait_behind_what_is_sent_again() {
    let mut world = World::new(1);
    let publishers = publishers(&mut world);
    let kept = Publish { retain: true, ..message("r", "kept", 1, 1) };
    world.clients[publishers[0]].packet(&Packet::Publish(kept));
    let (sub, _) = world.join(0, &lasting("sub", 100));
    world.subscribe(sub, "t", 1);
    world.clients[sub].answers = false;
    world.publish(publishers[0], "t", "under way", 1, 2);
    world.lose(sub);
    world.auto.reads = false;
    let (sub, _) = world.join(0, &lasting("sub", 100));
    world.subscribe(sub, "r", 1);
    world.clients[sub].packet(&Packet::PingReq);
    world.settle();
    assert_eq!(world.payloads(sub), Vec::<String>::new());
    world.auto.reads = true;
    world.settle();
    assert_eq!(world.payloads(sub), ["under way", "kept"]);
}

#[test]
fn a_subscription_made_while_behind_takes_nothing_older() {
    let mut world =
        World::with(1, MqttConfig { out_bytes_max: 4096, life_cycle_events: false, ..MqttConfig::default() });
    let publishers = publishers(&mut world);
    let mut connect = v5("sub");
    connect.properties.receive_max = Some(1);
    let (sub, _) = world.join(0, &connect);
    world.subscribe(sub, "a", 1);
    world.clients[sub].answers = false;
    for payload in ["1", "2"] {
        world.publish(publishers[0], "a", payload, 1, 1);
    }
    world.publish(publishers[0], "b", "too old", 1, 2);
    assert!(!is_live(&mut world, sub));
    let held = world.clients[sub].messages();
    world.subscribe(sub, "b", 1);
    world.publish(publishers[0], "b", "new", 1, 3);
    world.clients[sub].answers = true;
    world.clients[sub].receipt(ReceiptKind::Ack, held[0].packet_id);
    world.settle();
    assert_eq!(world.payloads(sub), ["2", "new"]);
    assert!(is_live(&mut world, sub));
}

#[test]
fn a_subscription_made_while_behind_takes_nothing_older_on_a_core_whose_tap_is_behind_either() {
    let mut world = World::new(2);
    let publishers = publishers(&mut world);
    let (sub, _) = world.join(0, &lasting("sub", 100));
    world.lose(sub);
    world.follows[1] = false;
    world.publish(publishers[0], "t", "old", 1, 1);
    world.auto.reads = false;
    let (sub, _) = world.join(0, &lasting("sub", 100));
    world.subscribe(sub, "t", 1);
    world.auto.reads = true;
    let (sub, _) = world.join(1, &lasting("sub", 100));
    world.follows[1] = true;
    world.settle();
    world.publish(publishers[0], "t", "new", 1, 2);
    assert_eq!(world.payloads(sub), ["new"]);
    assert!(is_live(&mut world, sub) && world.readers() == 0);
}

#[test]
fn what_retention_removed_is_passed_over() {
    let mut world = World::new(1);
    let publishers = publishers(&mut world);
    let (sub, _) = world.join(0, &lasting("sub", 100));
    world.subscribe(sub, "t", 1);
    world.clients[sub].answers = false;
    world.publish(publishers[0], "t", "under way", 1, 1);
    world.lose(sub);
    for payload in ["1", "2", "3"] {
        world.publish(publishers[0], "t", payload, 1, 1);
    }
    world.removed[0] = 2;
    let (sub, _) = world.join(0, &lasting("sub", 100));
    assert_eq!(world.payloads(sub), ["2", "3"][..]);
    assert!(is_live(&mut world, sub));
}

#[test]
fn a_session_that_may_not_lag_further_is_passed_on() {
    let mut world = World::with(1, MqttConfig { lag_events_max: 2, life_cycle_events: false, ..MqttConfig::default() });
    let publishers = publishers(&mut world);
    let (sub, _) = world.join(0, &lasting("sub", 100));
    world.subscribe(sub, "t", 1);
    world.lose(sub);
    for payload in ["1", "2", "3", "4"] {
        world.publish(publishers[0], "t", payload, 1, 1);
    }
    let (sub, _) = world.join(0, &lasting("sub", 100));
    assert_eq!(world.payloads(sub), ["3", "4"]);
}

#[test]
fn a_session_waits_for_a_core_whose_tap_is_behind() {
    let mut world = World::new(2);
    let publishers = publishers(&mut world);
    let (sub, _) = world.join(0, &lasting("sub", 100));
    world.subscribe(sub, "t", 2);
    world.follows[1] = false;
    for (at, publisher) in publishers.iter().enumerate() {
        world.publish(*publisher, "t", &format!("{at}/0"), 2, 1);
    }
    let mut all = world.payloads(sub);
    let (sub, present) = world.join(1, &lasting("sub", 100));
    assert!(present && !is_live(&mut world, sub));
    for (at, publisher) in publishers.iter().enumerate() {
        world.publish(*publisher, "t", &format!("{at}/1"), 2, 2);
    }
    for partition in 0..4 {
        assert!(world.show(1, partition));
        world.settle();
    }
    world.follows[1] = true;
    world.settle();
    assert!(is_live(&mut world, sub) && world.readers() == 0);
    all.extend(world.payloads(sub));
    assert_eq!(all.len(), 8);
    assert_all(&all, 4, 2);
}
