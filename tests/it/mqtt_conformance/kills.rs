//! kill -9: what a session's owner was promised holds afterwards.

use super::packet::*;
use crate::mqtt_broker::Broker;

fn sessions() -> [Connect; 2] {
    [Connect::new(V5, "client").props(props().four(id::SESSION_EXPIRY, 600)), Connect::new(V4, "client").resume()]
}

/// [MQTT-3.1.2-23], [MQTT-4.1.0-1]: sessions are there, with and without a subscription, whether their client was there or not.
#[test]
fn c3_1_2_23_sessions_survive() {
    for connect in sessions() {
        for subscribes in [false, true] {
            for leaves in [false, true] {
                let mut broker = Broker::start();
                let mut client = broker.join(&connect).0;
                if subscribes {
                    client.subscribe(&[("t", 1)]);
                }
                let mut publisher = broker.v5("publisher");
                if leaves {
                    client.leave();
                    publisher.publish("t", "waits", 1);
                }
                broker.kill_and_start();
                let (mut client, ack) = broker.join(&connect.clone().resume());
                assert!(ack.present, "version {}, subscribes: {subscribes}, leaves: {leaves}", connect.version);
                let mut publisher = broker.v5("publisher");
                publisher.publish("t", "new", 1);
                let wanted: &[&str] = match (subscribes, leaves) {
                    (true, true) => &["waits", "new"],
                    (true, false) => &["new"],
                    _ => &[],
                };
                assert_eq!(client.texts(wanted.len()), wanted);
                client.is_quiet_after(&mut publisher);
            }
        }
    }
}

/// 4.1: options and identifiers of subscriptions survive; what was unsubscribed stays so; ended sessions stay ended.
#[test]
fn c4_1_subscriptions_survive_as_they_were() {
    let mut broker = Broker::start();
    let [connect, other] = sessions();
    let mut client = broker.join(&connect).0;
    client.subscribe_with(&props().varint(id::SUBSCRIPTION, 9), &[("a/+", 8 | 1), ("gone", 1)]);
    client.subscribe(&[("no/local", 4 | 2), ("$share/g/s", 1)]);
    client.unsubscribe(&["gone"]);
    let mut ended = Connect { client_id: b"ended".to_vec(), ..other };
    broker.join(&ended).0.subscribe(&[("a/+", 1)]);
    ended.clean = true;
    broker.join(&ended).0.leave();
    broker.kill_and_start();
    ended.clean = false;
    assert!(!broker.join(&ended).1.present, "ended by a clean session");
    let mut client = broker.join(&connect.resume()).0;
    let mut publisher = broker.v5("publisher");
    publisher.put(Publish::new("a/b", "x").qos(2).retain());
    let message = client.message();
    assert_eq!((message.qos, message.retain, message.props.subscriptions()), (1, true, vec![9]));
    publisher.publish("gone", "x", 1);
    publisher.publish("s", "shared", 1);
    assert_eq!(client.texts(1), ["shared"]);
    client.publish("no/local", "mine", 1);
    publisher.publish("no/local", "theirs", 2);
    let message = client.message();
    assert_eq!((message.text(), message.qos), ("theirs", 2));
    client.is_quiet_after(&mut publisher);
}

/// [MQTT-4.4.0-1]: what was sent and not acknowledged comes again.
#[test]
fn c4_4_0_1_unacknowledged_messages_come_again() {
    for connect in sessions() {
        let mut broker = Broker::start();
        let mut client = broker.join(&connect).0;
        client.subscribe(&[("t", 2)]);
        let mut publisher = broker.v5("publisher");
        for at in 0..6u8 {
            publisher.publish("t", &at.to_string(), 1 + at % 2);
        }
        for _ in 0..6 {
            client.held();
        }
        broker.kill_and_start();
        let mut client = broker.join(&connect.resume()).0;
        assert_eq!(client.texts(6), ["0", "1", "2", "3", "4", "5"]);
        let mut publisher = broker.v5("publisher");
        client.is_quiet_after(&mut publisher);
    }
}

/// [MQTT-4.3.3-10]: a QoS 2 message that was taken before is not taken again.
#[test]
fn c4_3_3_10_qos_2_is_not_doubled() {
    for connect in sessions() {
        let mut broker = Broker::start();
        let watch = Connect::new(V5, "watch").props(props().four(id::SESSION_EXPIRY, 600));
        broker.join(&watch).0.subscribe(&[("t", 2)]);
        let mut client = broker.join(&connect).0;
        let version = client.version;
        for at in 1..=5 {
            client.send(&Publish::new("t", at.to_string()).qos(2).id(at).bytes(version));
            client.receipt(PUBREC, at);
        }
        // The first two are released, one of them to the end.
        client.send(&receipt(PUBREL, 1));
        client.receipt(PUBCOMP, 1);
        broker.kill_and_start();
        let (mut client, ack) = broker.join(&connect.resume());
        assert!(ack.present);
        client.send(&receipt(PUBREL, 2));
        client.receipt_with(PUBCOMP, 2);
        for at in 3..=5 {
            client.send(&Publish::new("t", at.to_string()).qos(2).id(at).dup().bytes(version));
            client.receipt(PUBREC, at);
            client.send(&receipt(PUBREL, at));
            client.receipt(PUBCOMP, at);
        }
        let mut watch = broker.join(&watch.resume()).0;
        assert_eq!(watch.texts(5), ["1", "2", "3", "4", "5"]);
        watch.is_quiet_after(&mut client);
    }
}

/// 3.1.2.5: a will is published though the server was killed before it could be.
#[test]
fn c3_1_2_5_wills_survive() {
    let mut broker = Broker::start();
    let watch = Connect::new(V5, "watch").props(props().four(id::SESSION_EXPIRY, 600));
    broker.join(&watch).0.subscribe(&[("will", 1)]);
    let mut will = Will::new("will", "gone");
    will.qos = 1;
    let connect = sessions()[0].clone().will(will);
    let _client = broker.join(&connect).0;
    broker.kill_and_start();
    let mut watch = broker.join(&watch.resume()).0;
    assert_eq!(watch.texts(1), ["gone"]);
}
