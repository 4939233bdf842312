//! What a PUBLISH of 5 carries besides its payload: passed on unaltered, and refused where it cannot be.

use super::answer::Answer;
use super::packet::*;
use crate::mqtt_broker::Broker;

/// [MQTT-3.3.2-4], [MQTT-3.3.2-15] to [MQTT-3.3.2-18], [MQTT-3.3.2-20]: unaltered, in order, live and for those who come back.
#[test]
fn c3_3_2_17_properties_are_passed_on_unaltered() {
    let broker = Broker::start();
    let connect = Connect::new(V5, "away").props(props().four(id::SESSION_EXPIRY, 60));
    let mut away = broker.join(&connect).0;
    away.subscribe(&[("t", 2)]);
    away.leave();
    let (mut live, mut publisher) = (broker.v5("live"), broker.v5("publisher"));
    live.subscribe(&[("t", 2)]);
    let correlation: Vec<u8> = (0..=255).collect();
    let pairs = [
        ("z", "1"),
        ("a", "2"),
        ("z", "1"),
        ("", ""),
        ("ü", "日本"),
        ("a", ""),
        ("A", "x, y=z; \"q\""),
        ("ce_type", "mine"),
    ];
    for qos in 0..=2 {
        let mut all = props()
            .text(id::RESPONSE_TOPIC, "answers/to/me")
            .pair(pairs[0].0, pairs[0].1)
            .text(id::CORRELATION, &correlation)
            .byte(id::PAYLOAD_FORMAT, 1)
            .text(id::CONTENT_TYPE, "application/json; charset=ü");
        for (name, value) in &pairs[1..] {
            all = all.pair(name, value);
        }
        publisher.put(Publish::new("t", format!("{{\"qos\":{qos}}}")).qos(qos).props(all));
    }
    let mut away = broker.join(&connect.resume()).0;
    // QoS 0 does not wait for those who are away, unless the server wants to.
    let mut waited = away.all_after(&mut publisher);
    waited.retain(|message| message.qos > 0);
    assert_eq!(waited.len(), 2);
    for message in (0..3).map(|_| live.message()).chain(waited) {
        let found = &message.props;
        assert_eq!(message.text(), format!("{{\"qos\":{}}}", message.qos));
        assert_eq!(found.pairs(), pairs, "[MQTT-3.3.2-18]");
        assert_eq!(found.text(id::RESPONSE_TOPIC), Some("answers/to/me"));
        assert_eq!(found.bytes(id::CORRELATION), Some(&correlation[..]));
        assert_eq!(found.number(id::PAYLOAD_FORMAT), Some(1));
        assert_eq!(found.text(id::CONTENT_TYPE), Some("application/json; charset=ü"));
    }
}

/// 3.3.2.3.2: 0 is said as 0, nothing as nothing; empty values are values.
#[test]
fn c3_3_2_4_what_is_absent_stays_absent() {
    let broker = Broker::start();
    let (mut client, mut publisher) = (broker.v5("client"), broker.v5("publisher"));
    client.subscribe(&[("t", 1)]);
    publisher.publish("t", "bare", 1);
    assert_eq!(client.message().props.0.len(), 0);
    let zero = props().byte(id::PAYLOAD_FORMAT, 0).text(id::CONTENT_TYPE, "").text(id::CORRELATION, "");
    publisher.put(Publish::new("t", [0xFF, 0]).qos(1).props(zero));
    let message = client.message();
    assert_eq!(message.payload, [0xFF, 0]);
    assert_eq!(message.props.number(id::PAYLOAD_FORMAT), Some(0));
    assert_eq!(message.props.bytes(id::CONTENT_TYPE), Some(&b""[..]));
    assert_eq!(message.props.bytes(id::CORRELATION), Some(&b""[..]));
    // A client of 3.1.1 gets the payload alone, and its messages have no properties in 5.
    let mut old = broker.v4("old");
    old.subscribe(&[("t", 1)]);
    publisher.put(Publish::new("t", "both").qos(1).props(props().pair("a", "b")));
    assert_eq!(old.message().text(), "both");
    client.message();
    old.publish("t", "old", 1);
    assert_eq!(client.message().props.0.len(), 0);
}

/// [MQTT-3.3.2-14], 3.3.2.3: properties of a PUBLISH that cannot be.
#[test]
fn c3_3_2_14_properties_that_cannot_be() {
    let broker = Broker::start();
    let cases = [
        props().text(id::RESPONSE_TOPIC, "a/#"),
        props().text(id::RESPONSE_TOPIC, "+"),
        props().text(id::RESPONSE_TOPIC, [0xFF]),
        props().text(id::RESPONSE_TOPIC, "a").text(id::RESPONSE_TOPIC, "a"),
        props().byte(id::PAYLOAD_FORMAT, 2),
        props().byte(id::PAYLOAD_FORMAT, 1).byte(id::PAYLOAD_FORMAT, 1),
        props().four(id::MESSAGE_EXPIRY, 1).four(id::MESSAGE_EXPIRY, 1),
        props().text(id::CONTENT_TYPE, "a").text(id::CONTENT_TYPE, "b"),
        props().text(id::CONTENT_TYPE, "a\0"),
        props().text(id::CORRELATION, "a").text(id::CORRELATION, "b"),
        Props(vec![id::USER, 0, 1, b'a', 0, 1, 0xFF]),
        Props(vec![id::USER, 0, 1, 0, 0, 1, b'a']),
        // Of other packets.
        props().four(id::SESSION_EXPIRY, 1),
        props().two(id::RECEIVE_MAX, 1),
        props().text(id::REASON, "why"),
        props().byte(0x42, 1),
    ];
    for (at, bad) in cases.into_iter().enumerate() {
        println!("case {at}");
        let mut client = broker.v5("client");
        client.send(&Publish::new("t", "x").qos(1).id(1).props(bad).bytes(V5));
        client.ended_with(&[0x81, 0x82, 0x90]);
    }
}

/// 4.10: request and response, through a topic that the asking client names.
#[test]
fn c4_10_request_and_response() {
    let broker = Broker::start();
    let (mut asks, mut answers) = (broker.v5("asks"), broker.v5("answers"));
    answers.subscribe(&[("do/+", 1)]);
    asks.subscribe(&[("answers/asks/+", 1)]);
    for number in 0..3u8 {
        let question =
            props().text(id::RESPONSE_TOPIC, format!("answers/asks/{number}")).text(id::CORRELATION, [number, 0]);
        asks.put(Publish::new("do/it", "please").qos(1).props(question));
        let request = answers.message();
        let to = request.props.text(id::RESPONSE_TOPIC).expect("it says where to").to_owned();
        let correlation = request.props.bytes(id::CORRELATION).expect("it says what for").to_owned();
        answers.put(Publish::new(&to, "done").qos(1).props(props().text(id::CORRELATION, correlation)));
        let response = asks.message();
        assert_eq!((&*response.topic, response.props.bytes(id::CORRELATION)), (&*to, Some(&[number, 0][..])));
    }
}

/// 3.8.2.1.3, 3.4.2.2.3, 3.14.2.2.4: user properties of other packets are no error.
#[test]
fn c3_8_2_1_3_user_properties_everywhere() {
    let broker = Broker::start();
    let (mut client, mut publisher) = (broker.v5("client"), broker.v5("publisher"));
    let user = props().pair("a", "1").pair("a", "1");
    assert_eq!(client.subscribe_with(&user, &[("t", 2)]), [2]);
    for qos in [1, 2] {
        publisher.publish("t", "x", qos);
        let message = client.held();
        let with = |first: u8| {
            packet(first, &[&message.id.to_be_bytes(), &[0], &user.clone().text(id::REASON, "why").bytes()])
        };
        if qos == 1 {
            client.send(&with(PUBACK));
        } else {
            client.send(&with(PUBREC));
            assert_eq!(client.receipt(PUBREL, message.id), 0);
            client.send(&with(PUBCOMP));
        }
    }
    client.send(&packet(0xA2, &[&9u16.to_be_bytes(), &user.bytes(), &binary("t")]));
    match client.next() {
        Some(Answer::UnsubAck { id: 9, codes, .. }) => assert_eq!(codes, [0]),
        other => panic!("{other:?}"),
    }
    client.send(&disconnect(0, &user.text(id::REASON, "enough")));
    client.ended();
}
