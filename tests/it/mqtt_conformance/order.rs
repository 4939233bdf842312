//! Order: of messages from one client on their way to another, and of receipts.

use super::answer::Answer;
use super::packet::*;
use crate::mqtt_broker::Broker;

/// [MQTT-4.6.0-2], [MQTT-4.6.0-3] as a server: receipts in the order of what they answer, though QoS are mixed.
#[test]
fn c4_6_0_2_receipts_in_order() {
    let broker = Broker::start();
    let mut client = broker.v5("client");
    let order: Vec<u16> = (1..=200).map(|at| (at * 7) % 211).collect();
    for (qos, first) in [(1, PUBACK), (2, PUBREC)] {
        let all: Vec<u8> = order
            .iter()
            .take(if qos == 2 { 15 } else { 200 })
            .flat_map(|id| Publish::new(&format!("t/{}", id % 5), "x").qos(qos).id(*id).bytes(V5))
            .collect();
        client.send(&all);
        for wanted in order.iter().take(if qos == 2 { 15 } else { 200 }) {
            match client.next() {
                Some(Answer::Receipt { first: found, id, .. }) => assert_eq!((found, id), (first, *wanted)),
                other => panic!("{other:?}"),
            }
        }
    }
    // [MQTT-4.6.0-4]: PUBCOMP in the order of PUBREL.
    let back: Vec<u16> = order[..15].iter().rev().copied().collect();
    client.send(&back.iter().flat_map(|id| receipt(PUBREL, *id)).collect::<Vec<_>>());
    back.iter().for_each(|id| assert_eq!(client.receipt(PUBCOMP, *id), 0));
}

/// [MQTT-4.6.0-5], [MQTT-4.6.0-6]; 3.1.1 [MQTT-4.6.0-5], [MQTT-4.6.0-6]: per publisher, topic and QoS in the order they were sent.
#[test]
fn c4_6_0_5_messages_in_order() {
    let broker = Broker::start();
    let mut subscriber = broker.v5("subscriber");
    subscriber.subscribe(&[("t/#", 2)]);
    let mut publishers: Vec<_> =
        [V3, V4, V5].iter().map(|version| broker.of(*version, &format!("p{version}"))).collect();
    let count = 300u16;
    for (who, publisher) in publishers.iter_mut().enumerate() {
        let version = publisher.version;
        let all: Vec<u8> = (0..count)
            .flat_map(|at| {
                Publish::new(&format!("t/{who}"), at.to_string()).qos((who % 2) as u8).id(at + 1).bytes(version)
            })
            .collect();
        publisher.send(&all);
    }
    let mut next = [0u16; 3];
    for _ in 0..usize::from(count) * 3 {
        let message = subscriber.message();
        let who: usize = message.topic[2..].parse().expect("a number");
        assert_eq!(message.text(), next[who].to_string(), "of publisher {who}");
        next[who] += 1;
    }
    // QoS 2 in order too, with PUBREL in between.
    for at in 0..50u16 {
        publishers[2].publish("t/q", &at.to_string(), 2);
    }
    for at in 0..50u16 {
        assert_eq!(subscriber.message().text(), at.to_string());
    }
}

/// [MQTT-4.6.0-6]: what waited for a client and what is live then come in one order.
#[test]
fn c4_6_0_6_in_order_from_waiting_to_live() {
    let broker = Broker::start();
    let connect = Connect::new(V5, "client").props(props().four(id::SESSION_EXPIRY, 60).two(id::RECEIVE_MAX, 10));
    let mut client = broker.join(&connect).0;
    client.subscribe(&[("t", 1)]);
    client.leave();
    let mut publisher = broker.v4("publisher");
    let send = |publisher: &mut super::client::Client, range: std::ops::Range<u16>| {
        let all: Vec<u8> =
            range.clone().flat_map(|at| Publish::new("t", at.to_string()).qos(1).id(at + 1).bytes(V4)).collect();
        publisher.send(&all);
        range.for_each(|at| assert_eq!(publisher.receipt(PUBACK, at + 1), 0));
    };
    send(&mut publisher, 0..500);
    let mut client = broker.join(&connect.resume()).0;
    let mut next = 0;
    for round in 0..5u16 {
        for _ in 0..50 {
            assert_eq!(client.message().text(), next.to_string());
            next += 1;
        }
        send(&mut publisher, 500 + round * 100..600 + round * 100);
    }
    while next < 1_000 {
        assert_eq!(client.message().text(), next.to_string());
        next += 1;
    }
    client.is_quiet_after(&mut publisher);
}
