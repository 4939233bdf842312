//! CONNECT and CONNACK: who is let in, under which name, and what the answer says.

use super::answer::Answer;
use super::packet::*;
use crate::mqtt_broker::Broker;

/// [MQTT-3.1.0-2]; the first CONNECT is answered, and 5 says why it ends.
#[test]
fn c3_1_0_2_a_second_connect_ends_the_connection() {
    let broker = Broker::start();
    for version in [V3, V4, V5] {
        let connect = Connect::new(version, "twice");
        let mut client = broker.join(&connect).0;
        client.send(&connect.bytes());
        client.ended_with(&[0x82]);
    }
}

/// [MQTT-3.1.0-1]: anything before CONNECT closes, without a word that the client could not expect.
#[test]
fn c3_1_0_1_the_first_packet_is_connect() {
    let broker = Broker::start();
    let early = [
        Publish::new("t", "x").bytes(V5),
        subscribe(V5, 1, &props(), &[("#", 0)]),
        unsubscribe(V5, 1, &["#"]),
        PINGREQ.to_vec(),
        DISCONNECT.to_vec(),
        receipt(PUBACK, 1),
        packet(0xF0, &[]),
        packet(0x20, &[&[0, 0, 0]]),
    ];
    for bytes in early {
        let mut client = broker.open(V5);
        client.send(&bytes);
        client.closed_or_refused_with(&[0x81, 0x82]);
    }
    broker.v5("well").ping();
}

/// 5.0 [MQTT-3.2.0-1], [MQTT-3.1.4-5], [MQTT-3.2.2-2]: CONNACK comes first, and says that there is no session.
#[test]
fn c3_1_4_5_connack_is_the_answer() {
    let broker = Broker::start();
    for version in [V3, V4, V5] {
        let (client, ack) = broker.join(&Connect::new(version, "one"));
        assert!(!ack.present);
        client.leave();
    }
}

/// What CONNACK says of limits is in its range; [MQTT-3.2.2-9]: nothing that we can is denied.
#[test]
fn c3_2_2_connack_names_what_is_there() {
    let broker = Broker::start();
    let (_client, ack) = broker.join(&Connect::new(V5, "one"));
    for (property, least, most) in [
        (id::RECEIVE_MAX, 1, 65_535),
        (id::ALIAS_MAX, 1, 65_535),
        (id::PACKET_BYTES_MAX, 1, u32::MAX),
        (id::RETAIN_AVAILABLE, 1, 1),
        (id::WILDCARD_AVAILABLE, 1, 1),
        (id::IDS_AVAILABLE, 1, 1),
        (id::SHARED_AVAILABLE, 1, 1),
    ] {
        let value = ack.props.number(property);
        assert!(value.is_none_or(|value| (least..=most).contains(&value)), "{property:#x} is {value:?}");
    }
    assert!(ack.props.number(id::QOS_MAX).is_none(), "QoS 2 is said by saying nothing");
    assert!(ack.props.bytes(id::ASSIGNED_CLIENT).is_none(), "a name that the client has already");
    assert!(ack.props.bytes(id::AUTH_METHOD).is_none(), "[MQTT-4.12.0-6]");
}

/// [MQTT-3.1.3-6], [MQTT-3.1.3-7], [MQTT-3.2.2-16]: an empty client identifier gets a new one, with and without a clean start.
#[test]
fn c3_1_3_6_an_empty_client_id_is_assigned_one() {
    let broker = Broker::start();
    let mut seen = Vec::new();
    let mut clients = Vec::new();
    for connect in [Connect::new(V5, ""), Connect::new(V5, "").resume(), Connect::new(V5, "")] {
        let (client, ack) = broker.join(&connect);
        let assigned = ack.props.text(id::ASSIGNED_CLIENT).expect("[MQTT-3.2.2-16]").to_owned();
        assert!(!ack.present && !assigned.is_empty() && !seen.contains(&assigned), "{assigned}");
        seen.push(assigned);
        clients.push(client);
    }
    // They are three clients: nobody is taken over, and the name is good for a session.
    clients.iter_mut().for_each(|client| client.ping());
    let expiring = props().four(id::SESSION_EXPIRY, 60);
    let (client, ack) = broker.join(&Connect::new(V5, "").props(expiring.clone()));
    let assigned = ack.props.text(id::ASSIGNED_CLIENT).expect("[MQTT-3.2.2-16]").to_owned();
    client.leave();
    let (_client, ack) = broker.join(&Connect::new(V5, &assigned).resume().props(expiring));
    assert!(ack.present, "the session of an assigned client identifier");
}

/// 3.1.1 [MQTT-3.1.3-6], [MQTT-3.1.3-7], [MQTT-3.1.3-8], [MQTT-3.1.3-9]: only with a clean session.
#[test]
fn c3_1_3_8_v311_an_empty_client_id_needs_a_clean_session() {
    let broker = Broker::start();
    let mut first = broker.v4("");
    let mut second = broker.v4("");
    first.ping();
    second.ping();
    let mut client = broker.open(V4);
    client.send(&Connect::new(V4, "").resume().bytes());
    client.refused_with(&[2]);
}

/// [MQTT-3.1.3-5]; 3.1.1 likewise: every letter and digit, 1 to 23 bytes. Longer ones and other characters are welcome too.
#[test]
fn c3_1_3_5_client_ids_of_all_kinds() {
    let broker = Broker::start();
    let alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut ids = vec!["a".to_owned(), "urn:dev/ü €#+".to_owned(), "x".repeat(200), "\u{feff}bom".to_owned()];
    ids.extend([0, 20, 39].map(|at| alphabet[at..at + 23].to_owned()));
    for version in [V4, V5] {
        let mut all: Vec<_> = ids.iter().map(|id| broker.of(version, id)).collect();
        all.iter_mut().for_each(|client| client.ping());
    }
    let mut long = broker.v5(&"x".repeat(200));
    broker.v5(&"x".repeat(199)).ping();
    long.ping();
}

/// [MQTT-3.1.4-3]: the one that was there is told 0x8E.
#[test]
fn c3_1_4_3_a_client_takes_over_its_session() {
    let broker = Broker::start();
    for (old, new) in [(V5, V5), (V4, V5), (V5, V4), (V4, V4)] {
        let first = broker.of(old, "same");
        let mut second = broker.of(new, "same");
        first.ended_with(&[0x8E]);
        second.ping();
        second.leave();
    }
}

/// Packets sent right behind CONNECT, before CONNACK, are taken in order.
#[test]
fn c3_1_4_packets_may_follow_connect_at_once() {
    let broker = Broker::start();
    let bytes = [
        Connect::new(V5, "eager").bytes(),
        subscribe(V5, 1, &props(), &[("t", 1)]),
        Publish::new("t", "first").qos(1).id(2).bytes(V5),
        PINGREQ.to_vec(),
    ];
    let mut client = broker.open(V5);
    client.send(&bytes.concat());
    assert_eq!(client.connack().code, 0);
    assert_eq!(client.suback(1).0, [1]);
    assert_eq!(client.receipt(PUBACK, 2), 0);
    assert_eq!(client.message().text(), "first");
    client.ping();
    // And byte by byte.
    let mut slow = broker.open(V5);
    for byte in bytes.concat() {
        slow.send(&[byte]);
    }
    assert_eq!(slow.connack().code, 0);
    assert_eq!(slow.suback(1).0, [1]);
}

/// [MQTT-3.1.4-6]: of a client that is refused, nothing more is read.
#[test]
fn c3_1_4_6_nothing_is_taken_from_a_refused_client() {
    let broker = Broker::start();
    let mut watch = broker.v5("watch");
    watch.subscribe(&[("t", 0)]);
    let mut refused = broker.open(V4);
    refused.send(&[Connect::new(V4, "").resume().bytes(), Publish::new("t", "smuggled").bytes(V4)].concat());
    refused.refused_with(&[2]);
    let mut other = broker.v5("other");
    watch.is_quiet_after(&mut other);
}

/// [MQTT-3.1.2-28]: no response information unless it is asked for.
#[test]
fn c3_1_2_28_response_information_only_on_request() {
    let broker = Broker::start();
    for asked in [None, Some(0), Some(1)] {
        let mut connect = Connect::new(V5, "asks");
        if let Some(asked) = asked {
            connect = connect.props(props().byte(id::RESPONSE_REQUEST, asked));
        }
        let (_client, ack) = broker.join(&connect);
        assert!(asked == Some(1) || ack.props.bytes(id::RESPONSE_INFORMATION).is_none(), "{ack:?}");
    }
}

/// [MQTT-3.1.2-29]: without problem information no reason strings and user properties but in CONNACK and DISCONNECT.
#[test]
fn c3_1_2_29_no_reason_strings_without_problem_information() {
    let broker = Broker::start();
    let (mut client, _) = broker.join(&Connect::new(V5, "plain").props(props().byte(id::PROBLEM_INFORMATION, 0)));
    client.send(&subscribe(V5, 7, &props(), &[("a/#/b", 0), ("t", 0)]));
    let (codes, found) = client.suback(7);
    assert_eq!((codes, found.0.len()), (vec![0x8F, 0], 0));
    client.send(&Publish::new("nobody/there", "x").qos(1).id(8).bytes(V5));
    let (_, found) = client.receipt_with(PUBACK, 8);
    assert!(found.0.is_empty(), "{found:?}");
    client.send(&receipt(PUBREL, 99));
    let (code, found) = client.receipt_with(PUBCOMP, 99);
    assert_eq!((code, found.0.len()), (0x92, 0));
    client.send(&unsubscribe(V5, 9, &["never"]));
    match client.next() {
        Some(Answer::UnsubAck { codes, props, .. }) => assert_eq!((codes, props.0.len()), (vec![0x11], 0)),
        other => panic!("{other:?}"),
    }
}

/// [MQTT-3.1.2-7] of 3.1.1, [MQTT-3.1.3-2]: two clients of different names share nothing; names differ by case and by normal form.
#[test]
fn c3_1_3_2_a_client_id_is_compared_byte_by_byte() {
    let broker = Broker::start();
    let mut all: Vec<_> = ["name", "Name", "name ", "\u{e9}", "e\u{301}"].iter().map(|id| broker.v5(id)).collect();
    all.iter_mut().for_each(|client| client.ping());
}
