//! What a server denies it says in CONNACK, and refuses with the reason that belongs to it.

use super::packet::*;
use crate::mqtt_broker::Broker;

/// [MQTT-3.2.2-9], [MQTT-3.2.2-10], [MQTT-3.2.2-12], 3.3.1.2: a highest QoS.
#[test]
fn c3_2_2_9_a_highest_qos() {
    for most in [0, 1] {
        let broker = Broker::with(&format!("qos_max = {most}"));
        let (mut client, ack) = broker.join(&Connect::new(V5, "client"));
        assert_eq!(ack.props.number(id::QOS_MAX), Some(most.into()));
        // Subscriptions are taken, at no more than that.
        assert_eq!(client.subscribe(&[("t", 0), ("u", 1), ("v", 2)]), [0, 1.min(most), most]);
        assert!(client.publish("t", "x", most) < 0x80);
        assert_eq!(client.message().text(), "x");
        client.send(&Publish::new("t", "x").qos(most + 1).id(9).bytes(V5));
        client.ended_with(&[0x9B]);
        let mut will = Will::new("t", "x");
        will.qos = most + 1;
        let mut client = broker.open(V5);
        client.send(&Connect::new(V5, "client").will(will).bytes());
        client.refused_with(&[0x9B]);
        // 3.1.1 has no words for it, and closes.
        let mut old = broker.v4("old");
        old.send(&Publish::new("t", "x").qos(most + 1).id(9).bytes(V4));
        old.ended();
    }
}

/// [MQTT-3.2.2-13], 3.2.2.3.5: no retained messages.
#[test]
fn c3_2_2_13_no_retained_messages() {
    let broker = Broker::with("retain_available = false");
    let (mut client, ack) = broker.join(&Connect::new(V5, "client"));
    assert_eq!(ack.props.number(id::RETAIN_AVAILABLE), Some(0));
    client.send(&Publish::new("t", "x").retain().bytes(V5));
    client.ended_with(&[0x9A]);
    let mut will = Will::new("t", "x");
    will.retain = true;
    let mut client = broker.open(V5);
    client.send(&Connect::new(V5, "client").will(will).bytes());
    client.refused_with(&[0x9A]);
}

/// 3.2.2.3.11, 3.2.2.3.12, 3.2.2.3.13: no wildcards, no identifiers, no shared subscriptions.
#[test]
fn c3_2_2_3_11_subscriptions_that_are_not_available() {
    let broker =
        Broker::with("wildcard_available = false\nsubscription_ids_available = false\nshared_available = false");
    let (mut client, ack) = broker.join(&Connect::new(V5, "client"));
    for property in [id::WILDCARD_AVAILABLE, id::IDS_AVAILABLE, id::SHARED_AVAILABLE] {
        assert_eq!(ack.props.number(property), Some(0), "{property:#x}");
    }
    assert_eq!(client.subscribe(&[("plain", 1)]), [1]);
    let identified = props().varint(id::SUBSCRIPTION, 1);
    for (properties, filter, code) in
        [(props(), "a/+", 0xA2), (props(), "#", 0xA2), (props(), "$share/g/t", 0x9E), (identified, "t", 0xA1)]
    {
        client.send(&subscribe(V5, 9, &properties, &[(filter, 0)]));
        client.ended_with(&[code]);
        client = broker.v5("client");
    }
}

/// [MQTT-3.2.2-18], 3.2.2.3.8: no aliases.
#[test]
fn c3_2_2_18_no_aliases() {
    let broker = Broker::with("topic_alias_max = 0\ntopic_alias_out_max = 0");
    let (mut client, ack) = broker.join(&Connect::new(V5, "client").props(props().two(id::ALIAS_MAX, 10)));
    assert_eq!(ack.props.number(id::ALIAS_MAX).unwrap_or(0), 0);
    client.subscribe(&[("t", 0)]);
    for _ in 0..3 {
        client.publish("t", "x", 1);
        assert_eq!(client.message().props.number(id::ALIAS), None);
    }
    client.send(&Publish::new("t", "x").props(props().two(id::ALIAS, 1)).bytes(V5));
    client.ended_with(&[0x94]);
}

/// 3.2.2.3.2: a session's expiry may be shortened, and CONNACK says so.
#[test]
fn c3_2_2_3_2_a_longest_session_expiry() {
    let broker = Broker::with("session_expiry_s_max = 100");
    for (asked, gets) in [(0, 0), (50, 50), (100, 100), (101, 100), (u32::MAX, 100)] {
        let connect = Connect::new(V5, &format!("client{asked}")).props(props().four(id::SESSION_EXPIRY, asked));
        let ack = broker.join(&connect).1;
        assert_eq!(ack.props.number(id::SESSION_EXPIRY).unwrap_or(asked), gets, "for {asked}");
    }
}

/// 4.9: fewer under way towards a client than it would take.
#[test]
fn c4_9_the_server_may_send_less() {
    let broker = Broker::with("in_flight_max = 2");
    let (mut client, mut publisher) = (broker.v5("client"), broker.v4("publisher"));
    client.subscribe(&[("t", 1)]);
    (0..6).for_each(|at| {
        publisher.publish("t", &at.to_string(), 1);
    });
    for at in 0..3 {
        let two = [client.held(), client.held()];
        assert_eq!(
            two.each_ref().map(|message| message.text().to_owned()),
            [(2 * at).to_string(), (2 * at + 1).to_string()]
        );
        client.send(&PINGREQ);
        assert_eq!(client.next(), Some(super::answer::Answer::PingResp), "more than two under way");
        two.iter().for_each(|message| client.acknowledge(message));
    }
}

/// 3.1.2.11.2: whether QoS 0 waits for those who are away is the server's choice, and a setting. Without it one may still come, if it
/// was under way within the server when its client came back.
#[test]
fn qos_0_waits_where_that_is_set() {
    for waits in [false, true] {
        let broker = Broker::with(&format!("queue_qos0 = {waits}"));
        let connect = Connect::new(V5, "client").props(props().four(id::SESSION_EXPIRY, 60));
        let mut client = broker.join(&connect).0;
        client.subscribe(&[("t", 1)]);
        client.leave();
        let mut publisher = broker.v5("publisher");
        publisher.publish("t", "zero", 0);
        publisher.publish("t", "one", 1);
        let mut client = broker.join(&connect.resume()).0;
        let found = client.all_after(&mut publisher);
        let mut texts: Vec<&str> = found.iter().map(|message| message.text()).collect();
        if !waits {
            texts.retain(|text| *text != "zero");
            texts.insert(0, "zero");
        }
        assert_eq!(texts, ["zero", "one"]);
    }
}
