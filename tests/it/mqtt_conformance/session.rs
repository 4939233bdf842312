//! Sessions: what of them is there after the connection, how long, and who may take them up.

use super::packet::*;
use crate::mqtt_broker::Broker;
use crate::support::eventually;

fn expiring(client_id: &str, seconds: u32) -> Connect {
    Connect::new(V5, client_id).props(props().four(id::SESSION_EXPIRY, seconds))
}

/// [MQTT-3.1.2-4], [MQTT-3.1.2-5], [MQTT-3.1.2-6], [MQTT-3.2.2-2], [MQTT-3.2.2-3], [MQTT-3.1.2-23].
#[test]
fn c3_1_2_4_a_clean_start_ends_the_session() {
    let broker = Broker::start();
    let (mut client, ack) = broker.join(&expiring("client", 60).resume());
    assert!(!ack.present, "there was none");
    client.subscribe(&[("t", 1)]);
    client.leave();
    let (client, ack) = broker.join(&expiring("client", 60).resume());
    assert!(ack.present, "[MQTT-3.1.2-5]");
    client.drop_connection();
    let (client, ack) = broker.join(&expiring("client", 60).resume());
    assert!(ack.present, "also without DISCONNECT");
    client.leave();
    let (mut client, ack) = broker.join(&expiring("client", 60));
    assert!(!ack.present, "[MQTT-3.1.2-4]");
    let mut publisher = broker.v5("publisher");
    publisher.publish("t", "to the old session", 1);
    client.is_quiet_after(&mut publisher);
    client.leave();
    let (_client, ack) = broker.join(&expiring("client", 60).resume());
    assert!(ack.present, "the new one");
}

/// 3.1.1 [MQTT-3.1.2-4] to [MQTT-3.1.2-6], [MQTT-3.2.2-1] to [MQTT-3.2.2-3]: without a clean session it is kept, with one it goes.
#[test]
fn c3_1_2_4_v311_a_session_that_is_not_clean_is_kept() {
    let broker = Broker::start();
    let mut publisher = broker.v4("publisher");
    for version in [V3, V4] {
        let kept = Connect::new(version, "client").resume();
        let (mut client, ack) = broker.join(&kept);
        assert!(!ack.present);
        client.subscribe(&[("t", 1)]);
        client.leave();
        publisher.publish("t", "while away", 1);
        let (mut client, ack) = broker.join(&kept);
        assert_eq!(ack.present, version == V4, "3.1 has no such flag");
        assert_eq!(client.texts(1), ["while away"]);
        client.leave();
        // A clean session ends it, and leaves none itself.
        let (mut client, ack) = broker.join(&Connect::new(version, "client"));
        assert!(!ack.present);
        client.subscribe(&[("t", 1)]);
        client.leave();
        publisher.publish("t", "to nobody", 1);
        let (mut client, ack) = broker.join(&kept);
        assert!(!ack.present);
        client.is_quiet_after(&mut publisher);
        client.leave();
        broker.of(version, "client").leave();
    }
}

/// 3.1.2.11.2: without an expiry, and with 0, the session ends with the connection.
#[test]
fn c3_1_2_11_2_a_session_without_expiry_ends_with_the_connection() {
    let broker = Broker::start();
    for connect in [Connect::new(V5, "client"), expiring("client", 0)] {
        let (mut client, ack) = broker.join(&connect.clone().resume());
        assert!(!ack.present);
        client.subscribe(&[("t", 1)]);
        client.drop_connection();
        // The server may see the end of that connection only after this one; then it takes over the session.
        eventually("the session ends", || {
            let (client, ack) = broker.join(&Connect::new(V5, "client").resume());
            client.leave();
            !ack.present
        });
    }
}

/// [MQTT-4.1.0-2], 3.1.2.11.2: after its expiry the session is gone; until then it is there.
#[test]
fn c4_1_0_2_a_session_expires() {
    let broker = Broker::start();
    let mut publisher = broker.v5("publisher");
    let (mut short, _) = broker.join(&expiring("short", 1));
    short.subscribe(&[("t", 1)]);
    let (mut long, _) = broker.join(&expiring("long", 600));
    long.subscribe(&[("t", 1)]);
    let (never, _) = broker.join(&expiring("never", u32::MAX));
    short.leave();
    long.leave();
    never.leave();
    publisher.publish("t", "x", 1);
    std::thread::sleep(std::time::Duration::from_millis(1_600));
    let (mut short, ack) = broker.join(&expiring("short", 1).resume());
    assert!(!ack.present, "expired");
    short.is_quiet_after(&mut publisher);
    let (mut long, ack) = broker.join(&expiring("long", 600).resume());
    assert!(ack.present);
    assert_eq!(long.texts(1), ["x"]);
    let (_never, ack) = broker.join(&expiring("never", u32::MAX).resume());
    assert!(ack.present);
}

/// 3.14.2.2.2: DISCONNECT may change the expiry; [MQTT-3.14.2-1]: but not from 0.
#[test]
fn c3_14_2_disconnect_changes_the_expiry() {
    let broker = Broker::start();
    let (mut client, _) = broker.join(&expiring("client", 600));
    client.send(&disconnect(0, &props().four(id::SESSION_EXPIRY, 0)));
    client.ended();
    let (mut client, ack) = broker.join(&expiring("client", 1).resume());
    assert!(!ack.present, "ended by DISCONNECT");
    client.send(&disconnect(0, &props().four(id::SESSION_EXPIRY, 600)));
    client.ended();
    std::thread::sleep(std::time::Duration::from_millis(1_600));
    let (mut client, ack) = broker.join(&Connect::new(V5, "client").resume());
    assert!(ack.present, "made longer by DISCONNECT");
    client.send(&disconnect(0, &props().four(id::SESSION_EXPIRY, 600)));
    client.ended_with(&[0x82]);
}

/// 3.1.2.11.2: the expiry is that of the connection that ended last.
#[test]
fn c3_1_2_11_2_the_last_expiry_counts() {
    let broker = Broker::start();
    broker.join(&expiring("client", 600)).0.leave();
    let (client, ack) = broker.join(&Connect::new(V5, "client").resume());
    assert!(ack.present);
    client.leave();
    let (_client, ack) = broker.join(&Connect::new(V5, "client").resume());
    assert!(!ack.present);
}

/// [MQTT-4.5.0-1]: QoS 1 and 2 wait for a client that is away, in their order, each at its own QoS.
#[test]
fn c4_5_0_1_messages_wait_for_the_client() {
    let broker = Broker::start();
    for (version, connect) in [(V5, expiring("client", 60)), (V4, Connect::new(V4, "client").resume())] {
        let (mut client, _) = broker.join(&connect);
        client.subscribe(&[("t/#", 2), ("u", 1)]);
        client.leave();
        let mut publisher = broker.of(version, "publisher");
        for at in 0..40u8 {
            let topic = if at % 3 == 0 { "u" } else { "t/x" };
            publisher.publish(topic, &at.to_string(), 1 + at % 2);
        }
        let (mut client, ack) = broker.join(&connect.resume());
        assert!(ack.present);
        for at in 0..40u8 {
            let message = client.message();
            assert_eq!(message.text(), at.to_string());
            assert_eq!(message.qos, if at % 3 == 0 { 1 } else { 1 + at % 2 });
            assert!(!message.dup, "first sent now");
        }
        client.is_quiet_after(&mut publisher);
        client.leave();
        broker.of(V4, "client").leave();
    }
}

/// Sessions are taken up from any version, with their subscriptions and what waits.
#[test]
fn c4_1_a_session_goes_from_version_to_version() {
    let broker = Broker::start();
    let mut publisher = broker.v5("publisher");
    let steps = [expiring("client", 60), Connect::new(V4, "client").resume(), expiring("client", 60).resume()];
    broker.join(&steps[0]).0.subscribe(&[("t", 2)]);
    for (at, connect) in steps.into_iter().cycle().skip(1).take(2).enumerate() {
        publisher.publish("t", &at.to_string(), 2);
        let (mut client, ack) = broker.join(&connect);
        assert!(ack.present);
        assert_eq!(client.texts(1), [at.to_string()]);
        client.leave();
    }
}

/// [MQTT-3.1.4-3], 4.1: a take-over keeps the session, and what was under way comes again.
#[test]
fn c3_1_4_3_a_take_over_keeps_the_session() {
    let broker = Broker::start();
    let mut publisher = broker.v5("publisher");
    let (mut first, _) = broker.join(&expiring("client", 60));
    first.subscribe(&[("t", 1)]);
    publisher.publish("t", "one", 1);
    let held = first.held();
    let (mut second, ack) = broker.join(&expiring("client", 60).resume());
    assert!(ack.present);
    first.ended_with(&[0x8E]);
    let again = second.message();
    assert_eq!((again.text(), again.id, again.dup), ("one", held.id, true));
    publisher.publish("t", "two", 1);
    assert_eq!(second.texts(1), ["two"]);
    // With a clean start there is nothing to keep.
    let (mut third, ack) = broker.join(&expiring("client", 60));
    assert!(!ack.present);
    second.ended_with(&[0x8E]);
    publisher.publish("t", "three", 1);
    third.is_quiet_after(&mut publisher);
}

/// Sessions of one client are no business of another's.
#[test]
fn c3_1_3_2_sessions_are_apart() {
    let broker = Broker::start();
    let mut publisher = broker.v5("publisher");
    let (mut one, _) = broker.join(&expiring("one", 60));
    let (mut two, _) = broker.join(&expiring("two", 60));
    one.subscribe(&[("t", 1)]);
    two.subscribe(&[("t", 1)]);
    one.leave();
    publisher.publish("t", "x", 1);
    assert_eq!(two.texts(1), ["x"]);
    broker.join(&expiring("two", 0)).0.leave();
    let (mut one, ack) = broker.join(&expiring("one", 60).resume());
    assert!(ack.present);
    assert_eq!(one.texts(1), ["x"]);
}
