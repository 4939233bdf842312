//! SUBSCRIBE and UNSUBSCRIBE: what is answered, and what holds from then on.

use super::packet::*;
use crate::mqtt_broker::Broker;

/// [MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-3.8.4-5] to [MQTT-3.8.4-7], [MQTT-3.9.3-1]: a code for each filter, in their order.
#[test]
fn c3_9_3_1_a_code_for_each_filter_in_order() {
    let broker = Broker::start();
    for version in [V3, V4, V5] {
        let mut client = broker.of(version, "client");
        let granted = client.subscribe(&[("a", 2), ("b/+", 0), ("c/#", 1), ("#", 2), ("a", 1), ("+/+", 0)]);
        assert_eq!(granted, [2, 0, 1, 2, 1, 0]);
    }
    let many: Vec<String> = (0..500).map(|at| format!("many/{at}")).collect();
    let filters: Vec<(&str, u8)> =
        many.iter().enumerate().map(|(at, filter)| (filter.as_str(), (at % 3) as u8)).collect();
    let granted = broker.v5("many").subscribe(&filters);
    assert_eq!(granted, filters.iter().map(|(_, qos)| *qos).collect::<Vec<_>>());
}

/// 4.7, [MQTT-4.7.1-1], [MQTT-4.7.1-2]: a filter that is none gets 0x8F, the others of the packet hold.
#[test]
fn c4_7_1_1_a_filter_that_is_none() {
    let broker = Broker::start();
    let bad = ["a#", "#/a", "a/#/b", "+a", "a+", "a/b+", "##", "++", "a/+b/c", "/#/"];
    let mut filters = vec![("good/+", 1)];
    filters.extend(bad.iter().map(|filter| (*filter, 0)));
    filters.push(("better", 2));
    let mut client = broker.v5("client");
    let codes = client.subscribe(&filters);
    let mut wanted = vec![1];
    wanted.extend(bad.iter().map(|_| 0x8F));
    wanted.push(2);
    assert_eq!(codes, wanted);
    client.publish("good/x", "1", 0);
    client.publish("better", "2", 0);
    assert_eq!(client.texts(2), ["1", "2"]);
    // 3.1.1 has a failure code, and some close: nothing is subscribed either way.
    for filter in bad {
        let mut client = broker.v4("old");
        client.send(&subscribe(V4, 1, &props(), &[(filter, 0)]));
        client.ended();
    }
}

/// [MQTT-3.8.4-3], [MQTT-3.8.4-4]; 3.1.1 [MQTT-3.8.4-3]: the same filter again replaces, with new options, and sends retained again.
#[test]
fn c3_8_4_3_the_same_filter_replaces() {
    let broker = Broker::start();
    for version in [V4, V5] {
        let (mut client, mut publisher) = (broker.of(version, "client"), broker.v5("publisher"));
        publisher.put(Publish::new("t", "kept").qos(2).retain());
        client.subscribe(&[("t", 0)]);
        let first = client.message();
        assert_eq!((first.text(), first.qos, first.retain), ("kept", 0, true));
        client.subscribe(&[("t", 2)]);
        let again = client.message();
        assert_eq!((again.text(), again.qos, again.retain), ("kept", 2, true));
        publisher.publish("t", "new", 2);
        let new = client.message();
        assert_eq!((new.text(), new.qos, new.retain), ("new", 2, false));
        client.is_quiet_after(&mut publisher);
    }
}

/// [MQTT-3.10.4-1], [MQTT-3.10.4-4] to [MQTT-3.10.4-6], [MQTT-3.11.3-1]: character by character; a code for each in order.
#[test]
fn c3_10_4_1_unsubscribe_compares_characters() {
    let broker = Broker::start();
    let mut client = broker.v5("client");
    client.subscribe(&[("a/+", 0), ("a/b", 0), ("A/b", 0), ("#", 0)]);
    assert_eq!(client.unsubscribe(&["a/c", "a/+", "A/B", "a/b", "a/+", "#"]), [0x11, 0, 0x11, 0, 0x11, 0]);
    let mut publisher = broker.v5("publisher");
    publisher.publish("a/b", "no", 0);
    publisher.publish("A/b", "yes", 0);
    assert_eq!(client.texts(1), ["yes"]);
    client.is_quiet_after(&mut publisher);
    // 3.1.1: an UNSUBACK though nothing was there.
    let mut old = broker.v4("old");
    assert!(old.unsubscribe(&["never", "ever"]).is_empty());
    old.ping();
}

/// [MQTT-3.10.4-2]: after UNSUBACK nothing new comes.
#[test]
fn c3_10_4_2_nothing_new_after_unsuback() {
    let broker = Broker::start();
    let (mut client, mut publisher) = (broker.v5("client"), broker.v5("publisher"));
    client.subscribe(&[("t", 1), ("u", 1)]);
    publisher.publish("t", "1", 1);
    client.unsubscribe(&["t"]);
    publisher.publish("t", "2", 1);
    publisher.publish("u", "3", 1);
    assert_eq!(client.texts(2), ["1", "3"]);
}

/// [MQTT-3.10.4-3]: what is under way is completed.
#[test]
fn c3_10_4_3_what_is_under_way_is_completed() {
    let broker = Broker::start();
    let (mut client, mut publisher) = (broker.v5("client"), broker.v5("publisher"));
    client.subscribe(&[("t", 2)]);
    publisher.publish("t", "x", 2);
    let message = client.held();
    client.unsubscribe(&["t"]);
    client.acknowledge(&message);
    client.is_quiet_after(&mut publisher);
}

/// [MQTT-3.8.3-3]: with No Local a client's own messages do not come; those of others do.
#[test]
fn c3_8_3_3_no_local() {
    let broker = Broker::start();
    let (mut client, mut other) = (broker.v5("client"), broker.v5("other"));
    client.subscribe(&[("t", 4 | 1)]);
    client.publish("t", "mine", 1);
    other.publish("t", "theirs", 1);
    assert_eq!(client.texts(1), ["theirs"]);
    // Replaced by one that has it not.
    client.subscribe(&[("t", 1)]);
    client.publish("t", "mine", 1);
    assert_eq!(client.texts(1), ["mine"]);
}

/// [MQTT-3.8.3-3]: No Local goes by the client identifier, also for what was published over an earlier connection.
#[test]
fn c3_8_3_3_no_local_goes_by_client_id() {
    let broker = Broker::start();
    let connect = Connect::new(V5, "client").props(props().four(id::SESSION_EXPIRY, 60));
    let mut client = broker.join(&connect).0;
    let mut other = broker.v5("other");
    client.subscribe(&[("t", 4 | 1)]);
    client.leave();
    let mut same = broker.join(&connect.clone().resume()).0;
    same.publish("t", "mine", 1);
    same.leave();
    other.publish("t", "theirs", 1);
    let mut client = broker.join(&connect.resume()).0;
    assert_eq!(client.texts(1), ["theirs"]);
}

/// [MQTT-3.3.1-12], [MQTT-3.3.1-13]: RETAIN on live messages is passed on only where that is asked for.
#[test]
fn c3_3_1_12_retain_as_published() {
    let broker = Broker::start();
    let (mut asks, mut plain, mut publisher) = (broker.v5("asks"), broker.v5("plain"), broker.v5("publisher"));
    asks.subscribe(&[("t", 8)]);
    plain.subscribe(&[("t", 0)]);
    publisher.put(Publish::new("t", "kept").retain());
    publisher.publish("t", "live", 0);
    assert_eq!([asks.message().retain, asks.message().retain], [true, false]);
    assert_eq!([plain.message().retain, plain.message().retain], [false, false]);
}

/// [MQTT-3.3.4-2] to [MQTT-3.3.4-4], [MQTT-3.3.5-1] of 3.1.1: where subscriptions overlap one copy comes, at the highest QoS, with
/// the identifiers of all.
#[test]
fn c3_3_4_2_overlapping_subscriptions_give_one_copy() {
    let broker = Broker::start();
    let mut publisher = broker.v5("publisher");
    let mut client = broker.v5("client");
    client.subscribe_with(&props().varint(id::SUBSCRIPTION, 7), &[("a/#", 0)]);
    client.subscribe_with(&props().varint(id::SUBSCRIPTION, 268_435_455), &[("a/+", 2)]);
    client.subscribe_with(&props().varint(id::SUBSCRIPTION, 200), &[("+/b", 1), ("none", 1)]);
    client.subscribe(&[("#", 1)]);
    publisher.publish("a/b", "all", 2);
    let message = client.message();
    assert_eq!((message.qos, message.props.subscriptions()), (2, vec![7, 200, 268_435_455]));
    publisher.publish("a/c/d", "one", 2);
    let message = client.message();
    assert_eq!((message.qos, message.props.subscriptions()), (1, vec![7]));
    publisher.publish("x", "none", 2);
    assert!(client.message().props.subscriptions().is_empty());
    client.is_quiet_after(&mut publisher);
    let mut old = broker.v4("old");
    old.subscribe(&[("a/#", 0), ("a/+", 2), ("a/b", 1)]);
    publisher.publish("a/b", "all", 2);
    assert_eq!(old.message().qos, 2);
    old.is_quiet_after(&mut publisher);
}
