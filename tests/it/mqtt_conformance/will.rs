//! Wills: when they are published, when not, how long they wait.

use std::time::{Duration, Instant};

use super::answer::Message;
use super::client::Client;
use super::packet::*;
use crate::mqtt_broker::Broker;

fn watch(broker: &Broker) -> Client {
    let mut watch = broker.v5("watch");
    watch.subscribe(&[("will/#", 2)]);
    watch
}

fn with_will(version: u8, client_id: &str, qos: u8) -> Connect {
    let mut will = Will::new("will/t", client_id);
    will.qos = qos;
    Connect::new(version, client_id).will(will)
}

fn what(message: &Message) -> (&str, &str, u8, bool) {
    (&message.topic, message.text(), message.qos, message.retain)
}

/// [MQTT-3.1.2-7], [MQTT-3.1.2-8], [MQTT-3.1.2-12]; 3.1.1 [MQTT-3.1.2-8]: when the connection breaks, at each QoS.
#[test]
fn c3_1_2_8_a_will_is_published_when_the_connection_breaks() {
    let broker = Broker::start();
    let mut watch = watch(&broker);
    for version in [V3, V4, V5] {
        for qos in 0..=2 {
            broker.join(&with_will(version, "gone", qos)).0.drop_connection();
            assert_eq!(what(&watch.message()), ("will/t", "gone", qos, false));
        }
    }
    let mut other = broker.v5("other");
    watch.is_quiet_after(&mut other);
}

/// [MQTT-3.1.2-10], [MQTT-3.14.4-3]; 3.1.1 [MQTT-3.1.2-10]: a DISCONNECT with 0x00 discards it.
#[test]
fn c3_14_4_3_a_normal_disconnect_discards_the_will() {
    let broker = Broker::start();
    let mut watch = watch(&broker);
    for version in [V3, V4, V5] {
        broker.join(&with_will(version, "calm", 1)).0.leave();
    }
    let (mut client, _) = broker.join(&with_will(V5, "calm", 1));
    client.send(&disconnect(0, &props()));
    client.ended();
    let mut other = broker.v5("calm");
    watch.is_quiet_after(&mut other);
}

/// 3.14.2.1: DISCONNECT with 0x04, or any other reason, publishes it.
#[test]
fn c3_14_2_1_disconnect_with_will() {
    let broker = Broker::start();
    let mut watch = watch(&broker);
    for reason in [0x04, 0x80, 0x82, 0x98] {
        let (mut client, _) = broker.join(&with_will(V5, "tells", 1));
        client.send(&disconnect(reason, &props()));
        client.ended();
        assert_eq!(what(&watch.message()), ("will/t", "tells", 1, false), "{reason:#x}");
    }
}

/// 3.1.2.5: an error of the client, and what it does to itself, publish the will.
#[test]
fn c3_1_2_5_a_protocol_error_publishes_the_will() {
    let broker = Broker::start();
    let mut watch = watch(&broker);
    for version in [V4, V5] {
        let (mut client, _) = broker.join(&with_will(version, "wrong", 1));
        client.send(&Connect::new(version, "wrong").bytes());
        client.ended_with(&[0x82]);
        assert_eq!(what(&watch.message()), ("will/t", "wrong", 1, false));
    }
}

/// [MQTT-3.1.2-14], [MQTT-3.1.2-15]; 3.1.1 [MQTT-3.1.2-16], [MQTT-3.1.2-17]: retained, or not.
#[test]
fn c3_1_2_15_a_will_may_be_retained() {
    let broker = Broker::start();
    let mut live = watch(&broker);
    for version in [V4, V5] {
        let mut will = Will::new("will/kept", "kept");
        (will.retain, will.qos) = (true, 1);
        broker.join(&Connect::new(version, "gone").will(will)).0.drop_connection();
        assert_eq!(what(&live.message()), ("will/kept", "kept", 1, false));
        broker.join(&with_will(version, "gone", 1)).0.drop_connection();
        live.message();
        let mut late = broker.v5("late");
        late.subscribe(&[("will/#", 2)]);
        assert_eq!(what(&late.message()), ("will/kept", "kept", 1, true));
        late.is_quiet_after(&mut live);
        live.put(Publish::new("will/kept", "").qos(1).retain());
        live.message();
    }
}

/// 3.1.3.2: the properties of a will are those of its message.
#[test]
fn c3_1_3_2_the_properties_of_a_will() {
    let broker = Broker::start();
    let mut watch = watch(&broker);
    let mut will = Will::new("will/t", "");
    will.payload = vec![0xC3, 0xBC];
    will.qos = 1;
    will.props = props()
        .byte(id::PAYLOAD_FORMAT, 1)
        .text(id::CONTENT_TYPE, "text/plain")
        .text(id::RESPONSE_TOPIC, "answer/here")
        .text(id::CORRELATION, [0, 1, 255])
        .pair("a", "1")
        .pair("b", "2")
        .pair("a", "3")
        .four(id::MESSAGE_EXPIRY, 100);
    broker.join(&Connect::new(V5, "gone").will(will)).0.drop_connection();
    let message = watch.message();
    assert_eq!(message.text(), "ü");
    let found = &message.props;
    assert_eq!(found.number(id::PAYLOAD_FORMAT), Some(1));
    assert_eq!(found.text(id::CONTENT_TYPE), Some("text/plain"));
    assert_eq!(found.text(id::RESPONSE_TOPIC), Some("answer/here"));
    assert_eq!(found.bytes(id::CORRELATION), Some(&[0, 1, 255][..]));
    assert_eq!(found.pairs(), [("a", "1"), ("b", "2"), ("a", "3")]);
    assert!(found.number(id::MESSAGE_EXPIRY).is_some_and(|left| (90..=100).contains(&left)), "{found:?}");
    assert_eq!(found.number(id::WILL_DELAY), None);
}

/// [MQTT-3.1.3-9], 3.1.3.2.2: a delayed will waits; a new connection to the session cancels it; the session's end hurries it.
#[test]
fn c3_1_3_9_a_delayed_will() {
    let broker = Broker::start();
    let mut watch = watch(&broker);
    let connect = |client_id: &str, delay_s: u32, expiry_s: u32| {
        let mut connect = with_will(V5, client_id, 1).props(props().four(id::SESSION_EXPIRY, expiry_s));
        connect.will.as_mut().expect("just given").props = props().four(id::WILL_DELAY, delay_s);
        connect
    };
    let began = Instant::now();
    // Comes back in time.
    broker.join(&connect("back", 1, 60)).0.drop_connection();
    let (back, ack) = broker.join(&Connect::new(V5, "back").resume().props(props().four(id::SESSION_EXPIRY, 60)));
    assert!(ack.present);
    // Stays away: after one second. Its session ends before its will is due: then.
    broker.join(&connect("away", 1, 60)).0.drop_connection();
    broker.join(&connect("short", 60, 1)).0.drop_connection();
    // Without a session that outlives the connection at once, whatever the delay: before the other two, which wait a second.
    broker.join(&connect("none", 60, 0)).0.drop_connection();
    assert_eq!(watch.message().text(), "none", "no delay without a session");
    let mut later = watch.texts(1);
    assert!(began.elapsed() >= Duration::from_millis(950), "{:?}", began.elapsed());
    later.extend(watch.texts(1));
    later.sort();
    assert_eq!(later, ["away", "short"]);
    back.leave();
    let mut other = broker.v5("other");
    watch.is_quiet_after(&mut other);
}

/// 3.1.4 (of 5.0, note behind [MQTT-3.1.4-3]): a take-over with a clean start ends the session, so the will is due, whatever its delay.
#[test]
fn c3_1_4_3_a_clean_start_hurries_the_will() {
    let broker = Broker::start();
    let mut watch = watch(&broker);
    let mut connect = with_will(V5, "again", 1).props(props().four(id::SESSION_EXPIRY, 60));
    connect.will.as_mut().expect("just given").props = props().four(id::WILL_DELAY, 60);
    let (first, _) = broker.join(&connect);
    broker.v5("again").leave();
    first.ended_with(&[0x8E]);
    assert_eq!(watch.message().text(), "again");
}

/// 3.1.4 (of 5.0, note behind [MQTT-3.1.4-3]): a take-over publishes the will, unless its delay and the session let it wait.
#[test]
fn c3_1_4_3_a_take_over_publishes_the_will() {
    let broker = Broker::start();
    let mut watch = watch(&broker);
    for version in [V4, V5] {
        let (first, _) = broker.join(&with_will(version, "same", 1));
        let second = broker.of(version, "same");
        first.ended_with(&[0x8E]);
        assert_eq!(watch.message().text(), "same");
        second.leave();
    }
    let mut connect = with_will(V5, "same", 1).props(props().four(id::SESSION_EXPIRY, 60));
    connect.will.as_mut().expect("just given").props = props().four(id::WILL_DELAY, 60);
    let (first, _) = broker.join(&connect);
    let (mut second, ack) = broker.join(&Connect::new(V5, "same").resume());
    assert!(ack.present);
    first.ended_with(&[0x8E]);
    watch.is_quiet_after(&mut second);
}

/// [MQTT-3.1.2-10]: a will is published once.
#[test]
fn c3_1_2_10_a_will_is_published_once() {
    let broker = Broker::start();
    let mut watch = watch(&broker);
    let connect = with_will(V4, "client", 1).resume();
    broker.join(&connect).0.drop_connection();
    assert_eq!(watch.message().text(), "client");
    // The next connection has none.
    let (client, _) = broker.join(&Connect::new(V4, "client").resume());
    client.drop_connection();
    let mut other = broker.v5("other");
    watch.is_quiet_after(&mut other);
}

/// 3.1.3.3, 3.1.3.4: a will may be empty, and may clear what is retained.
#[test]
fn c3_1_3_4_an_empty_will() {
    let broker = Broker::start();
    let mut live = watch(&broker);
    live.put(Publish::new("will/t", "kept").qos(1).retain());
    live.message();
    let mut will = Will::new("will/t", "");
    (will.retain, will.qos) = (true, 1);
    broker.join(&Connect::new(V4, "gone").will(will)).0.drop_connection();
    assert_eq!(what(&live.message()), ("will/t", "", 1, false));
    let mut late = broker.v5("late");
    late.subscribe(&[("will/#", 0)]);
    late.is_quiet_after(&mut live);
}
