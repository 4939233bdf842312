//! Shared subscriptions: each message to one of the group, and which filters are such.

use super::answer::Message;
use super::packet::*;
use crate::mqtt_broker::Broker;

fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| message.text().to_owned()).collect()
}

/// 4.8.2: each message goes to one of the group, and everybody gets some; other groups and ordinary subscribers get all.
#[test]
fn c4_8_2_one_of_the_group_gets_a_message() {
    let broker = Broker::start();
    let mut publisher = broker.v5("publisher");
    let mut group: Vec<_> = (0..3).map(|at| broker.of(if at == 0 { V4 } else { V5 }, &format!("g{at}"))).collect();
    group.iter_mut().for_each(|client| assert_eq!(client.subscribe(&[("$share/group/t/+", 1)]), [1]));
    let (mut other, mut plain) = (broker.v5("other"), broker.v5("plain"));
    other.subscribe(&[("$share/other/t/#", 1)]);
    plain.subscribe(&[("t/+", 0)]);
    let mut wanted = Vec::new();
    for at in 0..60 {
        wanted.push(at.to_string());
        publisher.publish(&format!("t/{}", at % 7), &at.to_string(), at % 3);
    }
    // Messages of different QoS may overtake each other.
    wanted.sort();
    for client in [&mut other, &mut plain] {
        let mut found = texts(&client.all_after(&mut publisher));
        found.sort();
        assert_eq!(found, wanted);
    }
    let parts: Vec<_> = group.iter_mut().map(|client| client.all_after(&mut publisher)).collect();
    assert!(
        parts.iter().all(|part| !part.is_empty()),
        "somebody got nothing: {:?}",
        parts.iter().map(Vec::len).collect::<Vec<_>>()
    );
    let mut all: Vec<u32> = parts.iter().flatten().map(|message| message.text().parse().expect("a number")).collect();
    all.sort_unstable();
    assert_eq!(all, (0..60).collect::<Vec<_>>());
    for message in parts.iter().flatten() {
        let published: u8 = message.text().parse().expect("a number");
        assert_eq!(message.qos, (published % 3).min(1), "[MQTT-4.8.2-3]");
    }
}

/// 3.3.1.3, 4.8.2: retained messages do not answer a shared subscription.
#[test]
fn c4_8_2_no_retained_messages_for_a_group() {
    let broker = Broker::start();
    let (mut client, mut publisher) = (broker.v5("client"), broker.v5("publisher"));
    publisher.put(Publish::new("t", "kept").qos(1).retain());
    client.subscribe(&[("$share/g/t", 1)]);
    client.is_quiet_after(&mut publisher);
}

/// [MQTT-3.8.3-4]: No Local on a shared subscription is a protocol error.
#[test]
fn c3_8_3_4_no_local_is_not_for_a_group() {
    let broker = Broker::start();
    let mut client = broker.v5("client");
    client.send(&subscribe(V5, 1, &props(), &[("$share/g/t", 4)]));
    client.ended_with(&[0x82]);
}

/// [MQTT-4.8.2-1], [MQTT-4.8.2-2]: names of groups, and filters behind them.
#[test]
fn c4_8_2_1_filters_of_groups() {
    let broker = Broker::start();
    let mut client = broker.v5("client");
    let bad = ["$share/", "$share//t", "$share/g", "$share/g/", "$share/g+/t", "$share/#/t", "$share/g/t#"];
    for filter in bad {
        assert_eq!(client.subscribe(&[(filter, 0)]), [0x8F], "{filter}");
    }
    assert_eq!(
        client.subscribe(&[("$share/g/#", 0), ("$share/G/+/a", 1), ("$share/ü//", 2), ("$share/g/$a/b", 0)]),
        [0, 1, 2, 0]
    );
    assert_eq!(client.unsubscribe(&["$share/g/#", "$share/g/+/a", "#", "$share/ü//"]), [0, 0x11, 0x11, 0]);
}

/// 4.8.2: who leaves, unsubscribes or goes away takes no share any more.
#[test]
fn c4_8_2_who_leaves_gets_no_share() {
    let broker = Broker::start();
    let mut publisher = broker.v5("publisher");
    let (mut stays, mut leaves, mut breaks) = (broker.v5("stays"), broker.v5("leaves"), broker.v5("breaks"));
    for client in [&mut stays, &mut leaves, &mut breaks] {
        client.subscribe(&[("$share/g/t", 1)]);
    }
    assert_eq!(leaves.unsubscribe(&["$share/g/t"]), [0]);
    breaks.leave();
    let wanted: Vec<_> = (0..12).map(|at| at.to_string()).collect();
    wanted.iter().for_each(|text| {
        publisher.publish("t", text, 1);
    });
    assert_eq!(stays.texts(12), wanted);
    leaves.is_quiet_after(&mut publisher);
}

/// 4.8.2: a shared and an ordinary subscription of one client are two; groups of one client too.
#[test]
fn c4_8_2_shared_beside_ordinary() {
    let broker = Broker::start();
    let (mut client, mut publisher) = (broker.v5("client"), broker.v5("publisher"));
    client.subscribe_with(&props().varint(id::SUBSCRIPTION, 1), &[("t", 1)]);
    client.subscribe_with(&props().varint(id::SUBSCRIPTION, 2), &[("$share/g/t", 1)]);
    publisher.publish("t", "x", 1);
    let mut ids: Vec<u32> =
        client.all_after(&mut publisher).iter().flat_map(|message| message.props.subscriptions()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2]);
}

/// [MQTT-4.8.2-6]: what the chosen one refuses goes to nobody else.
#[test]
fn c4_8_2_6_a_refused_message_goes_to_nobody_else() {
    let broker = Broker::start();
    let mut publisher = broker.v5("publisher");
    let (mut one, mut two) = (broker.v5("one"), broker.v5("two"));
    one.subscribe(&[("$share/g/t", 1)]);
    publisher.publish("t", "x", 1);
    let message = one.held();
    two.subscribe(&[("$share/g/t", 1)]);
    one.send(&receipt_with(PUBACK, message.id, 0x97));
    one.ping();
    two.is_quiet_after(&mut publisher);
}

/// 4.8.2: a message that nobody has acknowledged when its client's session ends may go to another; one that waits for a client that is
/// away is not lost to the group while somebody is there.
#[test]
fn c4_8_2_who_is_there_comes_first() {
    let broker = Broker::start();
    let mut publisher = broker.v5("publisher");
    let connect = Connect::new(V5, "away").props(props().four(id::SESSION_EXPIRY, 60));
    let mut away = broker.join(&connect).0;
    away.subscribe(&[("$share/g/t", 1)]);
    let mut there = broker.v5("there");
    there.subscribe(&[("$share/g/t", 1)]);
    away.leave();
    for at in 0..10 {
        publisher.publish("t", &at.to_string(), 1);
    }
    let mut found = texts(&there.all_after(&mut publisher));
    let mut away = broker.join(&connect.resume()).0;
    found.extend(texts(&away.all_after(&mut publisher)));
    found.sort();
    assert_eq!(found, (0..10).map(|at| at.to_string()).collect::<Vec<_>>());
}
