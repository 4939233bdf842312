//! DISCONNECT and AUTH, and how a server ends a connection.

use super::packet::*;
use crate::mqtt_broker::Broker;

/// [MQTT-3.14.4-1], [MQTT-3.14.4-2]; 3.1.1 [MQTT-3.14.4-1]: after DISCONNECT the stream ends, and what follows is not read.
#[test]
fn c3_14_4_nothing_is_read_after_disconnect() {
    let broker = Broker::start();
    let mut watch = broker.v5("watch");
    watch.subscribe(&[("t", 0)]);
    for version in [V3, V4, V5] {
        let mut client = broker.of(version, "client");
        client.send(&[DISCONNECT.to_vec(), Publish::new("t", "late").bytes(version)].concat());
        client.ended();
    }
    let mut other = broker.v5("client");
    watch.is_quiet_after(&mut other);
}

/// 3.14.2.1: the codes that a client may send, with and without properties; a server does not answer.
#[test]
fn c3_14_2_1_reasons_of_a_client() {
    let broker = Broker::start();
    for code in [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99] {
        let mut client = broker.v5("client");
        client.send(&packet(0xE0, &[&[code]]));
        client.ended();
        let mut client = broker.v5("client");
        client.send(&disconnect(code, &props().text(id::REASON, "because").pair("a", "b")));
        client.ended();
    }
}

/// [MQTT-3.14.1-1], 3.14.2: DISCONNECTs that cannot be.
#[test]
fn c3_14_1_1_disconnects_that_cannot_be() {
    let broker = Broker::start();
    for bytes in [
        vec![0xE1, 0],
        vec![0xE2, 0],
        vec![0xEF, 0],
        // A length of properties beyond the packet; a property twice, of another packet, cut off.
        packet(0xE0, &[&[0, 5]]),
        disconnect(0, &props().four(id::SESSION_EXPIRY, 0).four(id::SESSION_EXPIRY, 0)),
        disconnect(0, &props().two(id::RECEIVE_MAX, 1)),
        disconnect(0, &Props(vec![id::REASON, 0, 9])),
        packet(0xE0, &[&[0, 0, 0]]),
    ] {
        let mut client = broker.v5("client");
        client.send(&bytes);
        client.ended_with(&[0x81, 0x82]);
    }
}

/// 4.12, [MQTT-4.12.0-7]: AUTH of a client that named no method is a protocol error.
#[test]
fn c4_12_0_7_auth_without_a_method() {
    let broker = Broker::start();
    for bytes in [
        vec![0xF0, 0],
        packet(0xF0, &[&[0x19], &props().text(id::AUTH_METHOD, "x").bytes()]),
        packet(0xF0, &[&[0x18], &props().text(id::AUTH_METHOD, "x").text(id::AUTH_DATA, "y").bytes()]),
    ] {
        let mut client = broker.v5("client");
        client.send(&bytes);
        client.ended_with(&[0x82]);
    }
    // 3.1.1 has no such packet; [MQTT-3.15.1-1]: reserved flags.
    let mut old = broker.v4("old");
    old.send(&[0xF0, 0]);
    old.ended();
    let mut client = broker.v5("client");
    client.send(&[0xF1, 0]);
    client.ended_with(&[0x81, 0x82]);
}

/// Our choice: after an error the reason can be read, however much the client had sent meanwhile.
#[test]
fn the_reason_can_be_read_though_more_was_sent() {
    let broker = Broker::start();
    for _ in 0..5 {
        let mut client = broker.v5("client");
        let mut bytes = vec![0x83, 0];
        bytes.extend(Publish::new("t", vec![b'x'; 60_000]).bytes(V5).repeat(5));
        client.send(&bytes);
        client.ended_with(&[0x81, 0x82]);
        let mut refused = broker.open(V4);
        let mut bytes = Connect::new(V4, "").resume().bytes();
        bytes.extend(Publish::new("t", vec![b'x'; 60_000]).bytes(V4).repeat(5));
        refused.send(&bytes);
        refused.refused_with(&[2]);
    }
}

/// [MQTT-3.14.0-1], 4.13: the server may say why in words, and the words are text.
#[test]
fn c4_13_a_reason_in_words() {
    let broker = Broker::start();
    let mut client = broker.v5("client");
    client.send(&Connect::new(V5, "client").bytes());
    let found = client.ended_with_props(&[0x82]);
    assert!(found.text(id::REASON).is_some_and(|text| !text.is_empty()), "no reason string: {found:?}");
}
