//! PUBLISH: the flows of the three QoS in both directions, flags, and packet identifiers.

use super::answer::Answer;
use super::packet::*;
use crate::mqtt_broker::Broker;

/// [MQTT-3.8.4-8], [MQTT-4.3.1-1], [MQTT-4.3.2-2], [MQTT-4.3.3-2]; 3.1.1 [MQTT-3.8.4-6]: the lesser of what was published and what
/// was granted, between all versions.
#[test]
fn c3_8_4_8_a_message_comes_at_the_lesser_qos() {
    let broker = Broker::start();
    for (from, to) in [(V4, V5), (V5, V4), (V5, V5), (V3, V4), (V4, V3)] {
        let mut publisher = broker.of(from, "publisher");
        for granted in 0..=2 {
            let mut subscriber = broker.of(to, "subscriber");
            assert_eq!(subscriber.subscribe(&[("t/+", granted)]), [granted]);
            for published in 0..=2 {
                publisher.publish("t/x", &format!("{published}"), published);
                let message = subscriber.message();
                assert_eq!((message.text(), message.topic.as_str()), (&*format!("{published}"), "t/x"));
                assert_eq!((message.qos, message.dup, message.retain), (granted.min(published), false, false));
            }
            subscriber.leave();
        }
        publisher.leave();
    }
}

/// [MQTT-3.3.4-1], [MQTT-4.3.2-4], [MQTT-4.3.3-8], [MQTT-4.3.3-11], [MQTT-2.2.1-5]: receipts have the identifier they answer.
#[test]
fn c2_2_1_5_receipts_name_what_they_answer() {
    let broker = Broker::start();
    for version in [V4, V5] {
        let mut client = broker.of(version, "client");
        for packet_id in [1, 2, 255, 256, 65_535] {
            assert!(client.put(Publish::new("t", "x").qos(1).id(packet_id)) < 0x80);
            assert!(client.put(Publish::new("t", "x").qos(2).id(packet_id)) < 0x80);
        }
    }
}

/// [MQTT-4.3.2-5]: after PUBACK the same identifier is a new message, whatever DUP says.
#[test]
fn c4_3_2_5_a_second_publish_after_puback_is_new() {
    let broker = Broker::start();
    let (mut subscriber, mut publisher) = (broker.v5("subscriber"), broker.v4("publisher"));
    subscriber.subscribe(&[("t", 1)]);
    publisher.put(Publish::new("t", "one").qos(1).id(9));
    publisher.put(Publish::new("t", "two").qos(1).id(9).dup());
    publisher.put(Publish::new("t", "three").qos(1).id(9));
    assert_eq!(subscriber.texts(3), ["one", "two", "three"]);
}

/// [MQTT-4.3.3-10]; 3.1.1 [MQTT-4.3.3-2]: until PUBREL a QoS 2 message that comes again is answered and not doubled.
#[test]
fn c4_3_3_10_qos_2_is_not_doubled() {
    let broker = Broker::start();
    for version in [V3, V4, V5] {
        let (mut subscriber, mut publisher) = (broker.v5("subscriber"), broker.of(version, "publisher"));
        subscriber.subscribe(&[("t", 2)]);
        let once = Publish::new("t", "once").qos(2).id(5);
        publisher.send(&once.bytes(version));
        publisher.receipt(PUBREC, 5);
        for again in [once.clone().dup(), once.clone(), once.dup()] {
            publisher.send(&again.bytes(version));
            publisher.receipt(PUBREC, 5);
        }
        // Others go on meanwhile.
        publisher.put(Publish::new("t", "other").qos(2).id(6));
        publisher.send(&receipt(PUBREL, 5));
        publisher.receipt(PUBCOMP, 5);
        // PUBREL again, as after a lost PUBCOMP.
        publisher.send(&receipt(PUBREL, 5));
        publisher.receipt_with(PUBCOMP, 5);
        assert_eq!(subscriber.texts(2), ["once", "other"]);
        // [MQTT-4.3.3-12]: after PUBCOMP it is a new one.
        publisher.put(Publish::new("t", "new").qos(2).id(5).dup());
        assert_eq!(subscriber.texts(1), ["new"]);
        subscriber.is_quiet_after(&mut publisher);
    }
}

/// [MQTT-4.3.3-10] across connections: the identifier is part of the session.
#[test]
fn c4_3_3_10_qos_2_is_not_doubled_after_a_reconnect() {
    let broker = Broker::start();
    let mut subscriber = broker.v5("subscriber");
    subscriber.subscribe(&[("t", 2)]);
    let expiring = Connect::new(V5, "publisher").props(props().four(id::SESSION_EXPIRY, 60));
    for connect in [expiring, Connect::new(V4, "publisher").resume()] {
        let version = connect.version;
        let mut publisher = broker.join(&connect).0;
        let once = Publish::new("t", "once").qos(2).id(5);
        publisher.send(&once.bytes(version));
        publisher.receipt(PUBREC, 5);
        publisher.drop_connection();
        let (mut publisher, ack) = broker.join(&connect.resume());
        assert!(ack.present);
        publisher.send(&once.dup().bytes(version));
        publisher.receipt(PUBREC, 5);
        publisher.send(&receipt(PUBREL, 5));
        publisher.receipt(PUBCOMP, 5);
        assert_eq!(subscriber.texts(1), ["once"]);
        subscriber.is_quiet_after(&mut publisher);
        // PUBREC, then the connection breaks, then PUBREL at once: it is completed.
        publisher.send(&Publish::new("t", "half").qos(2).id(6).bytes(version));
        publisher.receipt(PUBREC, 6);
        publisher.drop_connection();
        let mut publisher = broker.join(&Connect::new(version, "publisher").resume()).0;
        publisher.send(&receipt(PUBREL, 6));
        publisher.receipt(PUBCOMP, 6);
        assert_eq!(subscriber.texts(1), ["half"]);
        subscriber.is_quiet_after(&mut publisher);
        publisher.leave();
        broker.of(V4, "publisher").leave();
    }
}

/// 3.6.2.1, 3.7.2.1: a PUBREL for nothing is answered, in 5 with 0x92.
#[test]
fn c3_7_2_a_pubrel_for_nothing() {
    let broker = Broker::start();
    for version in [V4, V5] {
        let mut client = broker.of(version, "client");
        client.send(&receipt(PUBREL, 77));
        assert_eq!(client.receipt(PUBCOMP, 77), if version == V5 { 0x92 } else { 0 });
        // Receipts for what was never sent harm nobody.
        client.send(&[receipt(PUBACK, 78), receipt(PUBCOMP, 79)].concat());
        client.ping();
    }
}

/// 4.3.3: a PUBREC for what was never sent is answered with a PUBREL that says 0x92.
#[test]
fn c3_6_2_a_pubrec_for_nothing() {
    let broker = Broker::start();
    let mut client = broker.v5("client");
    client.send(&receipt(PUBREC, 78));
    assert_eq!(client.receipt(PUBREL, 78), 0x92);
    client.send(&receipt(PUBCOMP, 78));
    client.ping();
}

/// [MQTT-3.3.1-3]: DUP of what comes in says nothing about what goes out.
#[test]
fn c3_3_1_3_dup_is_not_passed_on() {
    let broker = Broker::start();
    let (mut subscriber, mut publisher) = (broker.v5("subscriber"), broker.v5("publisher"));
    subscriber.subscribe(&[("t", 2)]);
    for qos in [1, 2] {
        publisher.put(Publish::new("t", "x").qos(qos).dup());
        assert!(!subscriber.message().dup);
    }
}

/// [MQTT-3.4.2-1], 3.4.2.1: with nobody listening 5 may say 0x10; a message is taken all the same.
#[test]
fn c3_4_2_1_nobody_listens() {
    let broker = Broker::start();
    let mut publisher = broker.v5("publisher");
    for qos in [1, 2] {
        let code = publisher.publish("nobody", "x", qos);
        assert!([0, 0x10].contains(&code), "{code:#x}");
    }
    let mut subscriber = broker.v5("subscriber");
    subscriber.subscribe(&[("nobody", 0)]);
    subscriber.is_quiet_after(&mut publisher);
}

/// [MQTT-2.2.1-4]: identifiers of what is under way towards a client differ, and none is 0.
#[test]
fn c2_2_1_4_identifiers_under_way_differ() {
    let broker = Broker::start();
    let (mut subscriber, mut publisher) = (broker.v5("subscriber"), broker.v5("publisher"));
    subscriber.subscribe(&[("t", 2)]);
    let mut under_way = Vec::new();
    for at in 0..15u8 {
        publisher.publish("t", "x", 1 + at % 2);
        let message = subscriber.held();
        assert!(!under_way.contains(&message.id), "{} is under way", message.id);
        under_way.push(message.id);
    }
}

/// 2.2.1: client and server number their packets each for itself.
#[test]
fn c2_2_1_both_sides_may_use_one_identifier() {
    let broker = Broker::start();
    let (mut client, mut other) = (broker.v5("client"), broker.v5("other"));
    client.subscribe(&[("t", 2)]);
    other.publish("t", "theirs", 2);
    let theirs = client.held();
    client.send(&Publish::new("u", "mine").qos(2).id(theirs.id).bytes(V5));
    client.receipt(PUBREC, theirs.id);
    client.send(&receipt(PUBREC, theirs.id));
    assert_eq!(client.receipt(PUBREL, theirs.id), 0);
    client.send(&receipt(PUBREL, theirs.id));
    assert_eq!(client.receipt(PUBCOMP, theirs.id), 0);
    client.send(&receipt(PUBCOMP, theirs.id));
    client.is_quiet_after(&mut other);
}

/// [MQTT-4.4.0-2]: what a client refuses with 0x80 and above is done with, and makes room.
#[test]
fn c4_4_0_2_a_refused_message_is_done() {
    let broker = Broker::start();
    let receive_one = props().two(id::RECEIVE_MAX, 1).four(id::SESSION_EXPIRY, 60);
    let connect = Connect::new(V5, "subscriber").props(receive_one);
    let (mut subscriber, _) = broker.join(&connect);
    let mut publisher = broker.v5("publisher");
    subscriber.subscribe(&[("t", 2)]);
    for (qos, refusal) in [(1, PUBACK), (2, PUBREC)] {
        publisher.publish("t", "refused", qos);
        publisher.publish("t", "next", 1);
        let refused = subscriber.held();
        assert_eq!(refused.text(), "refused");
        subscriber.send(&receipt_with(refusal, refused.id, 0x80));
        assert_eq!(subscriber.message().text(), "next");
    }
    subscriber.ping();
    subscriber.drop_connection();
    let (mut subscriber, ack) = broker.join(&connect.resume());
    assert!(ack.present);
    subscriber.is_quiet_after(&mut publisher);
}

/// [MQTT-3.3.2-3], 3.3.3: payloads of any bytes and sizes arrive as they were.
#[test]
fn c3_3_3_payloads_are_bytes() {
    let broker = Broker::start();
    let (mut subscriber, mut publisher) = (broker.v5("subscriber"), broker.v4("publisher"));
    subscriber.subscribe(&[("t", 0)]);
    for length in [0, 1, 120, 127, 128, 16_300, 16_384, 70_000, 200_000] {
        let payload: Vec<u8> = (0..length).map(|at| (at * 31 % 256) as u8).collect();
        publisher.put(Publish::new("t", &payload).qos(1));
        assert_eq!(subscriber.message().payload, payload);
    }
}

/// 4.3: a client gets its own messages.
#[test]
fn c4_5_a_client_hears_itself() {
    let broker = Broker::start();
    for version in [V4, V5] {
        let mut client = broker.of(version, "self");
        client.subscribe(&[("t", 2)]);
        for qos in 0..=2 {
            client.publish("t", "x", qos);
            assert_eq!(client.message().qos, qos);
        }
    }
}

/// [MQTT-4.3.3-4], [MQTT-4.3.3-6]: PUBREC is answered with PUBREL each time; PUBLISH does not come again.
#[test]
fn c4_3_3_6_no_publish_after_pubrel() {
    let broker = Broker::start();
    let (mut subscriber, mut publisher) = (broker.v5("subscriber"), broker.v5("publisher"));
    subscriber.subscribe(&[("t", 2)]);
    publisher.publish("t", "x", 2);
    let message = subscriber.held();
    for _ in 0..2 {
        subscriber.send(&receipt(PUBREC, message.id));
        assert_eq!(subscriber.receipt(PUBREL, message.id), 0);
    }
    subscriber.send(&PINGREQ);
    assert_eq!(subscriber.next(), Some(Answer::PingResp));
    subscriber.send(&receipt(PUBCOMP, message.id));
    subscriber.is_quiet_after(&mut publisher);
}
