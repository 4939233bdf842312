//! Flow control: receive maximum and maximum packet size, both ways.

use super::answer::Answer;
use super::packet::*;
use crate::mqtt_broker::Broker;

/// [MQTT-3.3.4-9], [MQTT-4.9.0-2], [MQTT-3.3.4-10], [MQTT-4.9.0-3]: no more under way than the client takes; all else goes on.
#[test]
fn c3_3_4_9_no_more_than_the_client_takes() {
    let broker = Broker::start();
    let (mut client, _) = broker.join(&Connect::new(V5, "client").props(props().two(id::RECEIVE_MAX, 3)));
    let mut publisher = broker.v5("publisher");
    client.subscribe(&[("t", 2)]);
    for at in 0..12u8 {
        publisher.publish("t", &at.to_string(), 1 + at % 2);
    }
    let mut held: Vec<_> = (0..3).map(|_| client.held()).collect();
    // All else goes on; a fourth does not come, though all were acknowledged to the publisher.
    assert_eq!(client.subscribe(&[("other", 0)]), [0]);
    client.send(&PINGREQ);
    assert_eq!(client.next(), Some(Answer::PingResp), "more than three under way");
    for at in 0..12u8 {
        let message = held.remove(0);
        assert_eq!(message.text(), at.to_string());
        // PUBREC frees nothing, PUBCOMP does ([MQTT-4.9.0-2]).
        if message.qos == 2 {
            client.send(&receipt(PUBREC, message.id));
            assert_eq!(client.receipt(PUBREL, message.id), 0);
            client.send(&PINGREQ);
            assert_eq!(client.next(), Some(Answer::PingResp), "more than three under way");
            client.send(&receipt(PUBCOMP, message.id));
        } else {
            client.send(&receipt(PUBACK, message.id));
        }
        if at < 9 {
            held.push(client.held());
        }
    }
    client.is_quiet_after(&mut publisher);
}

/// 4.9, [MQTT-4.9.0-1]: what is under way from an earlier connection counts, and the new connection's maximum holds.
#[test]
fn c4_9_0_1_the_maximum_of_the_new_connection_holds() {
    let broker = Broker::start();
    let connect =
        |most: u16| Connect::new(V5, "client").props(props().two(id::RECEIVE_MAX, most).four(id::SESSION_EXPIRY, 60));
    let mut client = broker.join(&connect(4)).0;
    let mut publisher = broker.v5("publisher");
    client.subscribe(&[("t", 1)]);
    (0..6).for_each(|at| {
        publisher.publish("t", &at.to_string(), 1);
    });
    (0..4).for_each(|_| {
        client.held();
    });
    client.drop_connection();
    let mut client = broker.join(&connect(2).resume()).0;
    for at in (0..6).step_by(2) {
        let two = [client.held(), client.held()];
        assert_eq!(two.each_ref().map(|message| message.text().to_owned()), [at.to_string(), (at + 1).to_string()]);
        client.send(&PINGREQ);
        assert_eq!(client.next(), Some(Answer::PingResp), "more than two under way");
        two.iter().for_each(|message| client.acknowledge(message));
    }
    client.is_quiet_after(&mut publisher);
}

/// [MQTT-3.3.4-7], 3.3.4, 4.9: more than the server takes ends with 0x93.
#[test]
fn c3_3_4_7_more_than_the_server_takes() {
    let broker = Broker::with("receive_max = 5");
    let (mut client, ack) = broker.join(&Connect::new(V5, "client"));
    assert_eq!(ack.props.number(id::RECEIVE_MAX), Some(5));
    // Five at QoS 2 without PUBREL, and QoS 0 besides, are fine.
    for at in 1..=5 {
        client.send(&Publish::new("t", "x").qos(2).id(at).bytes(V5));
        client.receipt(PUBREC, at);
    }
    client.publish("t", "x", 0);
    client.ping();
    client.send(&Publish::new("t", "x").qos(2).id(6).bytes(V5));
    client.ended_with(&[0x93]);
    // Acknowledged ones make room.
    let mut client = broker.v5("client");
    for at in 1..=20 {
        client.put(Publish::new("t", "x").qos(2).id(at));
    }
    client.ping();
}

/// 3.2.2.3.3: without a word 65,535 may be under way, and a 3.1.1 client has no such limit of its own.
#[test]
fn c3_2_2_3_3_many_under_way() {
    let broker = Broker::start();
    let (mut client, ack) = broker.join(&Connect::new(V5, "client"));
    let most = ack.props.number(id::RECEIVE_MAX).unwrap_or(65_535).min(2_000) as u16;
    let all: Vec<u8> = (1..=most).flat_map(|at| Publish::new("t", "x").qos(1).id(at).bytes(V5)).collect();
    client.send(&all);
    (1..=most).for_each(|at| assert!(client.receipt(PUBACK, at) < 0x80));
    let mut old = broker.v4("old");
    let all: Vec<u8> = (1..=most).flat_map(|at| Publish::new("t", "x").qos(1).id(at).bytes(V4)).collect();
    old.send(&all);
    (1..=most).for_each(|at| assert_eq!(old.receipt(PUBACK, at), 0));
}

/// [MQTT-3.1.2-24], [MQTT-3.1.2-25]: what is too large for a client is not sent to it, and counts as sent.
#[test]
fn c3_1_2_24_too_large_for_the_client() {
    let broker = Broker::start();
    let limits = props().four(id::PACKET_BYTES_MAX, 100).four(id::SESSION_EXPIRY, 60).two(id::RECEIVE_MAX, 2);
    let connect = Connect::new(V5, "small").props(limits);
    let mut small = broker.join(&connect).0;
    let (mut large, mut publisher) = (broker.v5("large"), broker.v5("publisher"));
    small.subscribe(&[("t", 2)]);
    large.subscribe(&[("t", 2)]);
    let fits = "x".repeat(100 - 2 - 3 - 2 - 1);
    for (payload, comes) in
        [(fits.clone(), true), (fits.clone() + "x", false), ("y".repeat(5_000), false), ("z".into(), true)]
    {
        for qos in [1, 2] {
            publisher.publish("t", &payload, qos);
            assert_eq!(large.message().text(), payload);
            if comes {
                assert_eq!(small.message().text(), payload);
            }
        }
    }
    small.is_quiet_after(&mut publisher);
    // One byte more at QoS 0, since there is no identifier.
    small.subscribe(&[("t", 0)]);
    publisher.publish("t", &(fits.clone() + "yy"), 1);
    assert_eq!(small.message().text(), fits.clone() + "yy");
    publisher.publish("t", &(fits + "yyy"), 1);
    small.is_quiet_after(&mut publisher);
    small.subscribe(&[("t", 1)]);
    small.drop_connection();
    publisher.publish("t", &"w".repeat(500), 1);
    publisher.publish("t", "v", 1);
    let mut small = broker.join(&connect.resume()).0;
    assert_eq!(small.texts(1), ["v"]);
    small.is_quiet_after(&mut publisher);
}

/// [MQTT-3.2.2-15], 3.2.2.3.6: what is larger than the server takes ends with 0x95, before it is all there.
#[test]
fn c3_2_2_15_too_large_for_the_server() {
    let broker = Broker::with("packet_bytes_max = 2000");
    let (mut client, ack) = broker.join(&Connect::new(V5, "client"));
    assert_eq!(ack.props.number(id::PACKET_BYTES_MAX), Some(2_000));
    assert!(client.put(Publish::new("t", vec![b'x'; 2_000 - 3 - 3 - 2 - 1]).qos(1)) < 0x80);
    client.send(&Publish::new("t", vec![b'x'; 2_001 - 3 - 3 - 2 - 1]).qos(1).id(9).bytes(V5));
    client.ended_with(&[0x95]);
    // Of the largest packet there can be only the beginning.
    for version in [V4, V5] {
        let mut client = broker.of(version, "client");
        client.send(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, b't']);
        client.ended_with(&[0x95]);
    }
    let mut client = broker.open(V5);
    client.send(&Connect::new(V5, &"x".repeat(3_000)).bytes());
    client.closed_or_refused_with(&[0x95]);
}

/// [MQTT-3.2.2-19], [MQTT-3.4.2-2], [MQTT-3.9.2-1], [MQTT-3.14.2-3]: reason strings do not make a packet too large.
#[test]
fn c3_4_2_2_reason_strings_give_way() {
    let broker = Broker::start();
    let (mut client, _) = broker.join(&Connect::new(V5, "client").props(props().four(id::PACKET_BYTES_MAX, 40)));
    client.send(&subscribe(V5, 1, &props(), &[("a/#/b", 0)]));
    let (codes, found) = client.suback(1);
    assert_eq!(codes, [0x8F]);
    assert!(found.text(id::REASON).is_none_or(|text| 2 + 2 + 1 + 3 + 1 + text.len() <= 40), "{found:?}");
    client.send(&Connect::new(V5, "client").bytes());
    let found = client.ended_with_props(&[0x82]);
    assert!(found.text(id::REASON).is_none_or(|text| 2 + 1 + 1 + 3 + text.len() <= 40), "{found:?}");
}
