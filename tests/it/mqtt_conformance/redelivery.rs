//! What was under way when a connection broke comes again with its identifier, and nothing else does.

use super::answer::Answer;
use super::packet::*;
use crate::mqtt_broker::Broker;

fn sessions() -> [Connect; 2] {
    [Connect::new(V5, "client").props(props().four(id::SESSION_EXPIRY, 60)), Connect::new(V4, "client").resume()]
}

/// [MQTT-4.4.0-1], [MQTT-3.3.1-1]; 3.1.1 [MQTT-4.4.0-1], [MQTT-3.3.1-1]: PUBLISH without PUBACK or PUBREC again, with DUP and the
/// same identifier, in the order of before.
#[test]
fn c4_4_0_1_unacknowledged_messages_come_again() {
    let broker = Broker::start();
    for connect in sessions() {
        let mut client = broker.join(&connect).0;
        client.subscribe(&[("t", 2)]);
        let mut publisher = broker.v5("publisher");
        let mut held = Vec::new();
        for at in 0..6u8 {
            publisher.publish("t", &at.to_string(), 1 + at % 2);
            held.push(client.held());
        }
        // The third is acknowledged.
        client.acknowledge(&held.remove(2));
        client.ping();
        for _ in 0..2 {
            client.drop_connection();
            let ack;
            (client, ack) = broker.join(&connect.clone().resume());
            assert!(ack.present);
            for before in &held {
                let again = client.held();
                assert_eq!((again.id, again.text(), again.qos), (before.id, before.text(), before.qos));
                assert!(again.dup, "[MQTT-3.3.1-1]");
            }
        }
        held.iter().for_each(|message| client.acknowledge(message));
        client.is_quiet_after(&mut publisher);
        client.leave();
        broker.v4("client").leave();
    }
}

/// [MQTT-4.4.0-1], [MQTT-4.3.3-5]: after PUBREC it is PUBREL that comes again, until PUBCOMP.
#[test]
fn c4_4_0_1_pubrel_comes_again() {
    let broker = Broker::start();
    for connect in sessions() {
        let mut client = broker.join(&connect).0;
        client.subscribe(&[("t", 2)]);
        let mut publisher = broker.v5("publisher");
        publisher.publish("t", "x", 2);
        let message = client.held();
        client.send(&receipt(PUBREC, message.id));
        assert_eq!(client.receipt(PUBREL, message.id), 0);
        for _ in 0..2 {
            client.drop_connection();
            client = broker.join(&connect.clone().resume()).0;
            match client.next() {
                Some(Answer::Receipt { first: PUBREL, id, code: 0, .. }) => assert_eq!(id, message.id),
                other => panic!("{other:?} instead of PUBREL"),
            }
        }
        client.send(&receipt(PUBCOMP, message.id));
        client.ping();
        client.drop_connection();
        let mut client = broker.join(&connect.resume()).0;
        client.is_quiet_after(&mut publisher);
        client.leave();
        broker.v4("client").leave();
    }
}

/// [MQTT-4.4.0-1]: nothing comes again while the connection lasts.
#[test]
fn c4_4_0_1_nothing_comes_again_on_one_connection() {
    let broker = Broker::start();
    let (mut client, mut publisher) = (broker.v5("client"), broker.v5("publisher"));
    client.subscribe(&[("t", 2)]);
    publisher.publish("t", "1", 1);
    publisher.publish("t", "2", 2);
    let held = [client.held(), client.held()];
    std::thread::sleep(std::time::Duration::from_millis(500));
    client.send(&PINGREQ);
    assert_eq!(client.next(), Some(Answer::PingResp));
    held.iter().for_each(|message| client.acknowledge(message));
    client.is_quiet_after(&mut publisher);
}

/// [MQTT-4.6.0-6] of 3.1.1, 4.6: what comes again comes before what waited, and is followed by it in order.
#[test]
fn c4_6_what_comes_again_comes_first() {
    let broker = Broker::start();
    for connect in sessions() {
        let mut client = broker.join(&connect).0;
        client.subscribe(&[("t", 1)]);
        let mut publisher = broker.v5("publisher");
        for at in 0..3 {
            publisher.publish("t", &at.to_string(), 1);
            client.held();
        }
        client.drop_connection();
        for at in 3..10 {
            publisher.publish("t", &at.to_string(), 1);
        }
        let mut client = broker.join(&connect.resume()).0;
        for at in 0..10 {
            let message = client.message();
            assert_eq!((message.text(), message.dup), (&*at.to_string(), at < 3));
        }
        client.leave();
        broker.v4("client").leave();
    }
}

/// 4.4, 4.1: messages that were under way at QoS 0 do not come again, and a session's end ends its messages.
#[test]
fn c4_4_a_new_session_has_nothing_under_way() {
    let broker = Broker::start();
    let connect = Connect::new(V5, "client").props(props().four(id::SESSION_EXPIRY, 60));
    let mut client = broker.join(&connect).0;
    let mut publisher = broker.v5("publisher");
    client.subscribe(&[("t", 2)]);
    publisher.publish("t", "0", 0);
    publisher.publish("t", "1", 1);
    client.held();
    client.held();
    client.drop_connection();
    let mut client = broker.join(&connect).0;
    client.is_quiet_after(&mut publisher);
}

/// [MQTT-4.8.2-4]: a QoS 2 message of a shared subscription is completed with the one it was begun with.
#[test]
fn c4_8_2_4_a_shared_message_is_completed_with_its_client() {
    let broker = Broker::start();
    let connect = |name: &str| Connect::new(V5, name).props(props().four(id::SESSION_EXPIRY, 60));
    let mut one = broker.join(&connect("one")).0;
    one.subscribe(&[("$share/g/t", 2)]);
    let mut publisher = broker.v5("publisher");
    publisher.publish("t", "x", 2);
    let message = one.held();
    let mut two = broker.join(&connect("two")).0;
    two.subscribe(&[("$share/g/t", 2)]);
    one.send(&receipt(PUBREC, message.id));
    one.receipt(PUBREL, message.id);
    one.drop_connection();
    two.is_quiet_after(&mut publisher);
    let mut one = broker.join(&connect("one").resume()).0;
    assert_eq!(one.receipt(PUBREL, message.id), 0);
    one.send(&receipt(PUBCOMP, message.id));
    one.ping();
}
