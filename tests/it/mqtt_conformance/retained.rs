//! Retained messages: kept, replaced, cleared, and to whom they are sent.

use super::packet::*;
use crate::mqtt_broker::Broker;

/// [MQTT-3.3.1-5], [MQTT-3.3.1-8], [MQTT-3.3.1-9]; 3.1.1 [MQTT-3.3.1-5], [MQTT-3.3.1-6], [MQTT-3.3.1-8], [MQTT-3.3.1-9]: the last
/// one per topic is kept, at its QoS, and comes with RETAIN set.
#[test]
fn c3_3_1_5_the_last_one_is_kept() {
    let broker = Broker::start();
    for version in [V3, V4, V5] {
        let mut publisher = broker.of(version, "publisher");
        for qos in 0..=2 {
            let topic = format!("v{version}/{qos}");
            publisher.put(Publish::new(&topic, "old").qos(2).retain());
            publisher.put(Publish::new(&topic, "new").qos(qos).retain());
            publisher.publish(&topic, "not kept", 1);
            for granted in 0..=2 {
                let mut subscriber = broker.of(version, "subscriber");
                subscriber.subscribe(&[(&topic, granted)]);
                let message = subscriber.message();
                assert_eq!((message.text(), message.retain, message.dup), ("new", true, false));
                assert_eq!(message.qos, qos.min(granted));
                subscriber.is_quiet_after(&mut publisher);
                subscriber.leave();
            }
        }
    }
}

/// [MQTT-3.3.1-6], [MQTT-3.3.1-7]; 3.1.1 [MQTT-3.3.1-10], [MQTT-3.3.1-11]: an empty one clears, and goes to those who are there.
#[test]
fn c3_3_1_6_an_empty_one_clears() {
    let broker = Broker::start();
    let mut publisher = broker.v5("publisher");
    for qos in 0..=2 {
        let mut live = broker.v5("live");
        publisher.put(Publish::new("t", "kept").qos(1).retain());
        live.subscribe(&[("t", 0)]);
        assert!(live.message().retain);
        publisher.put(Publish::new("t", "").qos(qos).retain());
        let cleared = live.message();
        assert!(cleared.payload.is_empty() && !cleared.retain, "{cleared:?}");
        let mut late = broker.v5("late");
        late.subscribe(&[("#", 1)]);
        late.is_quiet_after(&mut publisher);
    }
    // Clearing what is not there, and an empty one that is not retained.
    publisher.put(Publish::new("never", "").qos(1).retain());
    publisher.put(Publish::new("t", "kept").qos(1).retain());
    publisher.publish("t", "", 1);
    let mut late = broker.v5("late");
    late.subscribe(&[("#", 1)]);
    assert_eq!(late.texts(1), ["kept"]);
    late.is_quiet_after(&mut publisher);
}

/// [MQTT-3.3.1-9]: every one that a filter matches, once; by wildcards too, but not below `$`.
#[test]
fn c3_3_1_9_all_that_match() {
    let broker = Broker::start();
    let mut publisher = broker.v5("publisher");
    for topic in ["a", "a/b", "a/b/c", "b", "/a", "$x/a"] {
        publisher.put(Publish::new(topic, topic).qos(1).retain());
    }
    for (filter, wanted) in [
        ("#", &["/a", "a", "a/b", "a/b/c", "b"][..]),
        ("a/#", &["a", "a/b", "a/b/c"]),
        ("+", &["a", "b"]),
        ("a/+", &["a/b"]),
        ("+/+", &["/a", "a/b"]),
        ("$x/#", &["$x/a"]),
        ("a/b/c", &["a/b/c"]),
        ("+/a", &["/a"]),
    ] {
        let mut subscriber = broker.v4("subscriber");
        subscriber.subscribe(&[(filter, 0)]);
        let mut found: Vec<_> = subscriber.all_after(&mut publisher).into_iter().map(|message| message.topic).collect();
        found.sort();
        assert_eq!(found, wanted, "{filter}");
    }
}

/// [MQTT-3.3.1-9] to [MQTT-3.3.1-11]: retain handling 0, 1 and 2.
#[test]
fn c3_3_1_10_retain_handling() {
    let broker = Broker::start();
    let (mut client, mut publisher) = (broker.v5("client"), broker.v5("publisher"));
    publisher.put(Publish::new("t", "kept").qos(1).retain());
    client.subscribe(&[("t", 0x20)]);
    client.is_quiet_after(&mut publisher);
    client.unsubscribe(&["t"]);
    // 1: only when it is new.
    client.subscribe(&[("t", 0x10)]);
    assert_eq!(client.texts(1), ["kept"]);
    client.subscribe(&[("t", 0x11)]);
    client.is_quiet_after(&mut publisher);
    // 0: always.
    client.subscribe(&[("t", 0)]);
    assert_eq!(client.texts(1), ["kept"]);
    client.subscribe(&[("t", 1)]);
    assert_eq!(client.texts(1), ["kept"]);
    client.subscribe(&[("t", 0x20)]);
    client.is_quiet_after(&mut publisher);
    // Another filter that matches the same is new.
    client.subscribe(&[("+", 0x10)]);
    assert_eq!(client.texts(1), ["kept"]);
}

/// 3.3.1.3: retain handling 1 for a session that is taken up: its subscription existed.
#[test]
fn c3_3_1_10_an_existing_subscription_of_a_session() {
    let broker = Broker::start();
    let connect = Connect::new(V5, "client").props(props().four(id::SESSION_EXPIRY, 60));
    let mut publisher = broker.v5("publisher");
    publisher.put(Publish::new("t", "kept").qos(1).retain());
    let mut client = broker.join(&connect).0;
    client.subscribe(&[("t", 1)]);
    assert_eq!(client.texts(1), ["kept"]);
    client.leave();
    let mut client = broker.join(&connect.resume()).0;
    // Taking up a session is no subscribing.
    client.is_quiet_after(&mut publisher);
    client.subscribe(&[("t", 0x11)]);
    client.is_quiet_after(&mut publisher);
    client.subscribe(&[("t", 0x01)]);
    assert_eq!(client.texts(1), ["kept"]);
}

/// 3.3.1.3: what is retained has RETAIN set when it answers a subscription, whatever Retain As Published says.
#[test]
fn c3_3_1_3_retain_is_set_on_what_answers_a_subscription() {
    let broker = Broker::start();
    let (mut client, mut publisher) = (broker.v5("client"), broker.v5("publisher"));
    publisher.put(Publish::new("t", "kept").qos(1).retain());
    for options in [0, 8] {
        client.subscribe(&[("t", options)]);
        assert!(client.message().retain);
    }
}

/// 3.3.2.3: a retained message keeps its properties.
#[test]
fn c3_3_2_3_a_retained_message_keeps_its_properties() {
    let broker = Broker::start();
    let mut publisher = broker.v5("publisher");
    let all = props()
        .byte(id::PAYLOAD_FORMAT, 1)
        .text(id::CONTENT_TYPE, "text/plain")
        .text(id::RESPONSE_TOPIC, "r")
        .text(id::CORRELATION, "c")
        .pair("a", "1")
        .pair("a", "2");
    publisher.put(Publish::new("t", "kept").qos(1).retain().props(all));
    let mut client = broker.v5("client");
    client.subscribe(&[("t", 1)]);
    let found = client.message().props;
    assert_eq!(found.number(id::PAYLOAD_FORMAT), Some(1));
    assert_eq!(found.text(id::CONTENT_TYPE), Some("text/plain"));
    assert_eq!(found.text(id::RESPONSE_TOPIC), Some("r"));
    assert_eq!(found.bytes(id::CORRELATION), Some(&b"c"[..]));
    assert_eq!(found.pairs(), [("a", "1"), ("a", "2")]);
}

/// 4.1, 3.1.1 [MQTT-3.1.2-7]: what is retained belongs to no session.
#[test]
fn c3_1_2_7_v311_retained_outlives_its_publisher() {
    let broker = Broker::start();
    let mut publisher = broker.v4("publisher");
    publisher.put(Publish::new("t", "kept").qos(1).retain());
    publisher.leave();
    broker.v4("publisher").leave();
    let mut client = broker.v4("client");
    client.subscribe(&[("t", 1)]);
    assert_eq!(client.texts(1), ["kept"]);
}

/// 4.1: what is retained is there after a kill and a restart.
#[test]
fn retained_survives_a_kill() {
    let mut broker = Broker::start();
    let mut publisher = broker.v5("publisher");
    publisher.put(Publish::new("t/1", "one").qos(1).retain().props(props().pair("a", "b")));
    publisher.put(Publish::new("t/2", "two").qos(1).retain());
    publisher.put(Publish::new("t/2", "").qos(1).retain());
    broker.kill_and_start();
    let (mut client, mut publisher) = (broker.v5("client"), broker.v5("publisher"));
    client.subscribe(&[("t/#", 1)]);
    let message = client.message();
    assert_eq!((message.text(), message.retain, message.props.pairs()), ("one", true, vec![("a", "b")]));
    client.is_quiet_after(&mut publisher);
}
