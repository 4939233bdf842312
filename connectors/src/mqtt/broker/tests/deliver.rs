//! From the tap to the sessions that are live.

use super::*;
use crate::mqtt::broker::tests::client::{lasting, message};
use crate::mqtt::codec::{Publish, PublishProperties, Qos, ReceiptKind};
use ReceiptKind::{Comp, Rec, Rel};

#[test]
fn each_qos_goes_its_way() {
    let mut world = World::new(2);
    let (publisher, _) = world.join(0, &v5("pub"));
    for (connect, granted) in [(v5("five"), 2), (v311("four"), 2), (v5("low"), 0)] {
        let (sub, _) = world.join(1, &connect);
        world.subscribe(sub, "t/+", granted);
        world.clients[sub].answers = false;
        for qos in 0..3 {
            world.clients[publisher].publish("t/x", "x", qos, u16::from(qos));
        }
        world.settle();
        let got = world.clients[sub].messages();
        let levels: Vec<u8> = got.iter().map(|message| message.qos as u8).collect();
        assert_eq!(levels, [0, 1.min(granted), 2.min(granted)]);
        assert!(got.iter().all(|message| !message.dup && !message.retain && message.topic == "t/x"));
        assert!(got.iter().all(|message| (message.packet_id == 0) == (message.qos == Qos::AtMostOnce)));
        if granted == 0 {
            continue;
        }
        let last = got[2].packet_id;
        world.clients[sub].receipt(ReceiptKind::Ack, got[1].packet_id);
        // Every step is repeated once.
        for (kind, answer) in [(Rec, Some(Rel)), (Rec, Some(Rel)), (Comp, None), (Comp, None)] {
            world.clients[sub].receipt(kind, last);
            world.settle();
            let wanted: Vec<Got> = answer.map(|kind| Got::Receipt(kind, last, Reason::Success)).into_iter().collect();
            assert_eq!(world.take(sub), wanted);
        }
        let place = world.clients[sub].place;
        let connection = world.brokers[1].connection(place).expect("open");
        assert!(connection.session.as_ref().is_some_and(|session| session.in_flight.is_empty()));
    }
}

#[test]
fn what_a_client_does_not_know_is_answered() {
    let mut world = World::new(1);
    let (client, _) = world.join(0, &v5("c"));
    for kind in [Rec, Rel, Comp, ReceiptKind::Ack] {
        world.clients[client].receipt(kind, 9);
    }
    world.settle();
    let unknown = Reason::PacketIdentifierNotFound;
    assert_eq!(world.take(client), [Got::Receipt(Rel, 9, unknown), Got::Receipt(Comp, 9, unknown)]);
}

#[test]
fn messages_larger_than_the_client_takes_are_passed_over() {
    let mut world = World::new(1);
    let (publisher, _) = world.join(0, &v5("pub"));
    let mut connect = v5("sub");
    connect.properties.packet_bytes_max = Some(100);
    connect.properties.topic_alias_max = Some(10);
    let (sub, _) = world.join(0, &connect);
    world.subscribe(sub, "#", 1);
    let large = "x".repeat(100);
    for (number, payload) in [&*large, "1", &*large, "2"].into_iter().enumerate() {
        world.publish(publisher, "a/topic", payload, (number % 2) as u8, number as u16);
    }
    world.publish(publisher, "a/topic", "3", 1, 9);
    let messages = world.clients[sub].messages();
    let found: Vec<(&str, bool)> = messages.iter().map(|got| (&*got.payload, got.is_aliased)).collect();
    assert_eq!(found, [("1", false), ("2", true), ("3", true)], "an alias is set by a packet that is sent");
}

#[test]
fn aliases_towards_a_client_stay_within_what_it_allows() {
    let mut world = World::new(1);
    let (publisher, _) = world.join(0, &v5("pub"));
    let mut connect = v5("sub");
    connect.properties.topic_alias_max = Some(2);
    let (sub, _) = world.join(0, &connect);
    world.subscribe(sub, "#", 0);
    for topic in ["a", "b", "c", "a", "b", "c"] {
        world.publish(publisher, topic, topic, 0, 0);
    }
    let messages = world.clients[sub].messages();
    assert!(messages.iter().all(|message| message.topic == message.payload));
    let aliased: Vec<bool> = messages.iter().map(|message| message.is_aliased).collect();
    assert_eq!(aliased, [false, false, false, true, true, false]);
}

#[test]
fn what_is_sent_again_and_is_too_large_now_sets_no_alias() {
    let mut world = World::new(1);
    let (publisher, _) = world.join(0, &v5("pub"));
    let (sub, _) = world.join(0, &lasting("sub", 100));
    world.subscribe(sub, "#", 1);
    world.clients[sub].answers = false;
    world.publish(publisher, "a/topic", &"x".repeat(100), 1, 1);
    assert_eq!(world.clients[sub].messages().len(), 1);
    world.lose(sub);
    let mut connect = lasting("sub", 100);
    connect.properties.packet_bytes_max = Some(100);
    connect.properties.topic_alias_max = Some(10);
    let (sub, _) = world.join(0, &connect);
    world.publish(publisher, "a/topic", "small", 1, 2);
    assert_eq!(world.payloads(sub), ["small"]);
}

#[test]
fn expired_messages_are_not_sent() {
    let mut world = World::new(1);
    world.follows[0] = false;
    let (publisher, _) = world.join(0, &v5("pub"));
    let (sub, _) = world.join(0, &v5("sub"));
    world.subscribe(sub, "#", 1);
    for (expiry_s, payload) in [(Some(5), "short"), (Some(50), "long"), (None, "for ever")] {
        let properties = PublishProperties { expiry_s, ..PublishProperties::default() };
        world.clients[publisher].packet(&Packet::Publish(Publish { properties, ..message("t", payload, 0, 0) }));
    }
    world.settle();
    world.pass(10);
    world.follows[0] = true;
    world.settle();
    assert_eq!(world.payloads(sub), ["long", "for ever"]);
}

#[test]
fn topics_of_the_server_are_not_for_wildcards() {
    let mut world = World::new(1);
    let (publisher, _) = world.join(0, &v5("pub"));
    let (sub, _) = world.join(0, &v5("sub"));
    world.subscribe(sub, "#", 0);
    let (exact, _) = world.join(0, &v5("exact"));
    world.subscribe(exact, "$a/#", 0);
    world.publish(publisher, "$a/b", "x", 0, 0);
    assert_eq!((world.payloads(sub).len(), world.payloads(exact).len()), (0, 1));
}

#[test]
fn who_unsubscribes_gets_no_more_and_others_do() {
    let mut world = World::new(1);
    let (publisher, _) = world.join(0, &v5("pub"));
    let subs = ["one", "two"].map(|id| world.join(0, &v5(id)).0);
    subs.iter().for_each(|sub| world.subscribe(*sub, "t", 1));
    world.publish(publisher, "t", "1", 1, 1);
    world.clients[subs[0]].unsubscribe(1, "t");
    world.publish(publisher, "t", "2", 1, 2);
    assert_eq!((world.payloads(subs[0]), world.payloads(subs[1])), (vec!["1".into()], vec!["1".into(), "2".into()]));
    world.lose(subs[1]);
    world.publish(publisher, "t", "3", 1, 3);
    // Its number is somebody else's now.
    let (third, _) = world.join(0, &v5("three"));
    assert_eq!(world.clients[third].place.index, world.clients[subs[1]].place.index);
    world.publish(publisher, "t", "4", 1, 4);
    assert_eq!(world.payloads(third), Vec::<String>::new());
}
