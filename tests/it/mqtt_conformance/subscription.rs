//! Subscriptions of 5: identifiers, options that cannot be, and how options add up where filters overlap.

use super::packet::*;
use crate::mqtt_broker::Broker;

/// 3.8.2.1.2: the identifier belongs to the subscription: retained and live messages have it, a replacement changes or drops it.
#[test]
fn c3_8_2_1_2_a_subscription_identifier() {
    let broker = Broker::start();
    let (mut client, mut publisher) = (broker.v5("client"), broker.v5("publisher"));
    publisher.put(Publish::new("t", "kept").qos(1).retain());
    client.subscribe_with(&props().varint(id::SUBSCRIPTION, 1), &[("t", 1)]);
    assert_eq!(client.message().props.subscriptions(), [1]);
    publisher.publish("t", "x", 1);
    assert_eq!(client.message().props.subscriptions(), [1]);
    client.subscribe_with(&props().varint(id::SUBSCRIPTION, 128), &[("t", 0x20 | 1)]);
    publisher.publish("t", "x", 0);
    assert_eq!(client.message().props.subscriptions(), [128]);
    client.subscribe(&[("t", 0x20 | 1)]);
    publisher.publish("t", "x", 0);
    assert!(client.message().props.subscriptions().is_empty());
}

/// 3.8.2.1.2, 4.1: identifiers are part of the session, and go with their subscription.
#[test]
fn c4_1_identifiers_outlive_the_connection() {
    let broker = Broker::start();
    let connect = Connect::new(V5, "client").props(props().four(id::SESSION_EXPIRY, 60));
    let mut client = broker.join(&connect).0;
    client.subscribe_with(&props().varint(id::SUBSCRIPTION, 5), &[("t", 1)]);
    client.subscribe_with(&props().varint(id::SUBSCRIPTION, 6), &[("#", 1)]);
    client.unsubscribe(&["#"]);
    client.leave();
    let mut publisher = broker.v5("publisher");
    publisher.publish("t", "x", 1);
    let mut client = broker.join(&connect.resume()).0;
    assert_eq!(client.message().props.subscriptions(), [5]);
    publisher.publish("t", "x", 1);
    assert_eq!(client.message().props.subscriptions(), [5]);
}

/// [MQTT-3.3.4-6], 3.8.2.1.2: an identifier of 0, two of them, and one in a client's PUBLISH.
#[test]
fn c3_3_4_6_identifiers_that_cannot_be() {
    let broker = Broker::start();
    for bad in [
        props().varint(id::SUBSCRIPTION, 0),
        props().varint(id::SUBSCRIPTION, 1).varint(id::SUBSCRIPTION, 2),
        Props(vec![id::SUBSCRIPTION, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]),
    ] {
        let mut client = broker.v5("client");
        client.send(&subscribe(V5, 1, &bad, &[("t", 0)]));
        client.ended_with(&[0x81, 0x82]);
    }
    let mut client = broker.v5("client");
    client.send(&Publish::new("t", "x").props(props().varint(id::SUBSCRIPTION, 1)).bytes(V5));
    client.ended_with(&[0x81, 0x82]);
}

/// [MQTT-3.8.3-5], 3.8.3.1; 3.1.1 [MQTT-3-8.3-4]: reserved bits, QoS 3, retain handling 3.
#[test]
fn c3_8_3_5_options_that_cannot_be() {
    let broker = Broker::start();
    for options in [3, 0x30, 0x40, 0x80, 0xC1] {
        let mut client = broker.v5("client");
        client.send(&subscribe(V5, 1, &props(), &[("good", 0), ("t", options)]));
        client.ended_with(&[0x81, 0x82]);
    }
    // Before 5 all but QoS is reserved.
    for options in [3, 4, 8, 0x10, 0x40, 0x80] {
        let mut client = broker.v4("client");
        client.send(&subscribe(V4, 1, &props(), &[("t", options)]));
        client.ended();
    }
}

/// [MQTT-3.3.1-13], 3.3.4: of overlapping subscriptions one that asks for RETAIN as published is enough; No Local of one does not
/// silence the other.
#[test]
fn c3_3_4_options_of_overlapping_subscriptions() {
    let broker = Broker::start();
    let (mut client, mut publisher) = (broker.v5("client"), broker.v5("publisher"));
    client.subscribe(&[("a/+", 8), ("#", 0x20)]);
    publisher.put(Publish::new("a/b", "x").retain());
    assert!(client.message().retain);
    client.is_quiet_after(&mut publisher);
    client.unsubscribe(&["a/+", "#"]);
    client.subscribe_with(&props().varint(id::SUBSCRIPTION, 1), &[("c/+", 4)]);
    client.subscribe_with(&props().varint(id::SUBSCRIPTION, 2), &[("c/#", 0)]);
    client.publish("c/d", "mine", 0);
    assert_eq!(client.message().props.subscriptions(), [2]);
    client.is_quiet();
}

/// 3.8.4: messages may come before SUBACK; none of another filter comes, and none from before.
#[test]
fn c3_8_4_live_messages_begin_with_the_subscription() {
    let broker = Broker::start();
    let (mut client, mut publisher) = (broker.v5("client"), broker.v5("publisher"));
    publisher.publish("t", "before", 1);
    client.subscribe(&[("t", 1)]);
    publisher.publish("t", "after", 1);
    assert_eq!(client.texts(1), ["after"]);
}

/// [MQTT-3.8.3-2], [MQTT-3.10.3-2]: without a filter; 4.7.3-1: with an empty one.
#[test]
fn c3_8_3_2_at_least_one_filter() {
    let broker = Broker::start();
    for version in [V4, V5] {
        for bytes in [subscribe(version, 1, &props(), &[]), unsubscribe(version, 1, &[])] {
            let mut client = broker.of(version, "client");
            client.send(&bytes);
            client.ended_with(&[0x81, 0x82]);
        }
    }
    let mut client = broker.v4("client");
    client.send(&subscribe(V4, 1, &props(), &[("", 0)]));
    client.ended();
}
