//! CONNECTs that no server may take: protocol, flags, properties.

use super::packet::*;
use crate::mqtt_broker::Broker;

/// A CONNECT whose every part is given.
fn raw(name: &[u8], level: u8, flags: u8, rest: &[&[u8]]) -> Vec<u8> {
    packet(0x10, &[&binary(name), &[level, flags, 0, 60], &rest.concat()])
}

/// [MQTT-3.1.2-1]; 3.1.1 [MQTT-3.1.2-1]: another protocol is closed, perhaps with 0x84.
#[test]
fn c3_1_2_1_another_protocol_name_is_closed() {
    let broker = Broker::start();
    for name in ["mqtt", "MQTT ", "MQT", "", "HTTP", "MQIsdP"] {
        for level in [3, 4, 5] {
            let mut client = broker.open(if level == 5 { V5 } else { V4 });
            let properties: &[u8] = if level == 5 { &[0] } else { &[] };
            client.send(&raw(name.as_bytes(), level, 2, &[properties, &binary("x")]));
            client.closed_or_refused_with(&[0x84, 0x81, 0x01]);
        }
    }
    broker.v5("well").ping();
}

/// [MQTT-3.1.2-2]: 0x84; 3.1.1 [MQTT-3.1.2-2]: 0x01 (a server that knows 5 may answer either).
#[test]
fn c3_1_2_2_another_protocol_level_is_refused() {
    let broker = Broker::start();
    for level in [0, 1, 2, 3, 6, 7, 0x84, 255] {
        // Level 3 belongs to the other name.
        let mut client = broker.open(if level > 5 { V5 } else { V4 });
        client.send(&raw(b"MQTT", level, 2, &[&[0], &binary("x")]));
        client.closed_or_refused_with(&[0x84, 0x01]);
    }
}

/// [MQTT-3.1.2-3]; 3.1.1 [MQTT-3.1.2-3]: the reserved flag.
#[test]
fn c3_1_2_3_the_reserved_flag_is_zero() {
    let broker = Broker::start();
    for version in [V4, V5] {
        let mut client = broker.open(version);
        let mut connect = Connect::new(version, "x");
        connect.flags = 1;
        client.send(&connect.bytes());
        match version {
            V5 => client.closed_or_refused_with(&[0x81, 0x82]),
            _ => client.ended(),
        }
    }
}

/// [MQTT-3.1.2-11], [MQTT-3.1.2-12], [MQTT-3.1.2-13]; 3.1.1 [MQTT-3.1.2-13] to [MQTT-3.1.2-15]: flags of a will.
#[test]
fn c3_1_2_11_will_flags_belong_to_a_will() {
    let broker = Broker::start();
    for version in [V4, V5] {
        for flags in [0x08, 0x10, 0x18, 0x20, 0x28] {
            let mut connect = Connect::new(version, "x");
            connect.flags = flags;
            let mut client = broker.open(version);
            client.send(&connect.bytes());
            client.closed_or_refused_with(if version == V5 { &[0x81, 0x82] } else { &[] });
        }
        let mut will = Will::new("t", "x");
        will.qos = 3;
        let mut client = broker.open(version);
        client.send(&Connect::new(version, "x").will(will).bytes());
        client.closed_or_refused_with(if version == V5 { &[0x81, 0x82] } else { &[] });
    }
}

/// 3.1.1 [MQTT-3.1.2-22]: no password without a user name. 5.0 allows it (3.1.2.9).
#[test]
fn c3_1_2_22_v311_a_password_needs_a_user_name() {
    let broker = Broker::start();
    let mut connect = Connect::new(V4, "x");
    connect.password = Some(b"secret".to_vec());
    let mut client = broker.open(V4);
    client.send(&connect.bytes());
    client.ended();
}

/// [MQTT-3.1.2-16] to [MQTT-3.1.2-19], [MQTT-3.1.2-9], [MQTT-3.1.3-1]: the payload is what the flags say, no less and no more.
#[test]
fn c3_1_3_1_the_payload_is_what_the_flags_say() {
    let broker = Broker::start();
    for (version, none) in [(V4, &[][..]), (V5, &[0][..])] {
        let cases: Vec<(u8, Vec<u8>)> = vec![
            // A name, no password, though the flags say so.
            (0xC2, [none, &binary("x"), &binary("name")].concat()),
            (0x82, [none, &binary("x")].concat()),
            // A will without payload, without topic.
            (0x06, [none, &binary("x"), none, &binary("t")].concat()),
            (0x06, [none, &binary("x")].concat()),
            // More than the flags say.
            (0x02, [none, &binary("x"), &binary("more")].concat()),
            (0x02, [none, &binary("x"), &[0]].concat()),
            // No client identifier at all, or one that ends too early.
            (0x02, none.to_vec()),
            (0x02, [none, &[0, 5, b'x']].concat()),
        ];
        for (flags, rest) in cases {
            let mut client = broker.open(version);
            client.send(&raw(b"MQTT", version, flags, &[&rest]));
            client.closed_or_refused_with(if version == V5 { &[0x81, 0x82] } else { &[] });
        }
    }
}

/// [MQTT-1.5.4-1], [MQTT-1.5.4-2], [MQTT-3.1.3-4], [MQTT-3.1.3-11], [MQTT-3.1.3-12]: text is UTF-8 without U+0000 and surrogates.
#[test]
fn c1_5_4_1_text_is_utf8() {
    let broker = Broker::start();
    for bad in [&b"a\0b"[..], b"\xED\xA0\x80", b"\xED\xBF\xBF", b"\xFF", b"\xC0\x80", b"\xF4\x90\x80\x80", b"\xE2\x82"]
    {
        for version in [V4, V5] {
            let mut in_id = Connect::new(version, "");
            in_id.client_id = bad.to_vec();
            let codes: &[u8] = if version == V5 { &[0x81, 0x82, 0x85] } else { &[2] };
            let mut client = broker.open(version);
            client.send(&in_id.bytes());
            client.closed_or_refused_with(codes);
            let none: &[u8] = if version == V5 { &[0] } else { &[] };
            let will = [none, &binary("x"), none, &binary(bad), &binary("payload")].concat();
            let name = [none, &binary("x"), &binary(bad)].concat();
            for (flags, rest) in [(0x06, will), (0x82, name)] {
                let mut client = broker.open(version);
                client.send(&raw(b"MQTT", version, flags, &[&rest]));
                client.closed_or_refused_with(if version == V5 { &[0x81, 0x82, 0x90] } else { &[] });
            }
        }
    }
    broker.v5("well").ping();
}

/// 3.1.2.11, [MQTT-2.2.2-1]: properties that are doubled, out of range, unknown or of another packet.
#[test]
fn c2_2_2_properties_of_connect() {
    let broker = Broker::start();
    let cases = [
        props().four(id::SESSION_EXPIRY, 1).four(id::SESSION_EXPIRY, 1),
        props().two(id::RECEIVE_MAX, 0),
        props().two(id::RECEIVE_MAX, 5).two(id::RECEIVE_MAX, 5),
        props().four(id::PACKET_BYTES_MAX, 0),
        props().four(id::PACKET_BYTES_MAX, 99).four(id::PACKET_BYTES_MAX, 99),
        props().two(id::ALIAS_MAX, 1).two(id::ALIAS_MAX, 1),
        props().byte(id::RESPONSE_REQUEST, 2),
        props().byte(id::RESPONSE_REQUEST, 1).byte(id::RESPONSE_REQUEST, 1),
        props().byte(id::PROBLEM_INFORMATION, 2),
        props().byte(id::PROBLEM_INFORMATION, 0).byte(id::PROBLEM_INFORMATION, 0),
        // Authentication data without a method.
        props().text(id::AUTH_DATA, "data"),
        props().text(id::AUTH_METHOD, "a").text(id::AUTH_METHOD, "b"),
        // Of other packets, of a will, of none.
        props().two(id::ALIAS, 1),
        props().four(id::MESSAGE_EXPIRY, 1),
        props().four(id::WILL_DELAY, 1),
        props().text(id::ASSIGNED_CLIENT, "x"),
        props().byte(0x7F, 1),
        props().byte(0x00, 1),
        // Cut off.
        Props(vec![id::SESSION_EXPIRY, 0, 0]),
        Props(vec![id::USER, 0, 1, b'a']),
        // A user property that is no UTF-8.
        Props(vec![id::USER, 0, 1, 0xFF, 0, 0]),
    ];
    for (at, bad) in cases.into_iter().enumerate() {
        println!("case {at}");
        let mut client = broker.open(V5);
        client.send(&Connect::new(V5, "x").props(bad).bytes());
        client.closed_or_refused_with(&[0x81, 0x82, 0x8C]);
    }
    // A length of properties beyond the packet, and one longer than it needs to be ([MQTT-1.5.5-1]).
    for lengths in [&[0x7F][..], &[0x80, 0x00][..], &[0xFF, 0xFF, 0xFF, 0xFF, 0x01][..]] {
        let mut client = broker.open(V5);
        client.send(&raw(b"MQTT", 5, 2, &[lengths, &binary("x")]));
        client.closed_or_refused_with(&[0x81, 0x82]);
    }
}

/// User properties may come often; all properties that there are may come once.
#[test]
fn c3_1_2_11_all_properties_of_connect_at_once() {
    let broker = Broker::start();
    let all = props()
        .four(id::SESSION_EXPIRY, 5)
        .two(id::RECEIVE_MAX, 1)
        .four(id::PACKET_BYTES_MAX, 1_000)
        .two(id::ALIAS_MAX, 3)
        .byte(id::RESPONSE_REQUEST, 1)
        .byte(id::PROBLEM_INFORMATION, 1)
        .pair("a", "1")
        .pair("a", "2")
        .pair("", "");
    let mut will = Will::new("t", "");
    will.props = props()
        .four(id::WILL_DELAY, 3)
        .byte(id::PAYLOAD_FORMAT, 1)
        .four(id::MESSAGE_EXPIRY, 9)
        .text(id::CONTENT_TYPE, "text/plain")
        .text(id::RESPONSE_TOPIC, "r")
        .text(id::CORRELATION, [0, 255])
        .pair("b", "3");
    let (client, _) = broker.join(&Connect::new(V5, "full").props(all).will(will));
    client.leave();
}

/// 4.12, [MQTT-4.12.0-1]: a method that nobody knows is 0x8C.
#[test]
fn c4_12_0_1_an_unknown_authentication_method() {
    let broker = Broker::start();
    let mut client = broker.open(V5);
    let method = props().text(id::AUTH_METHOD, "GS2-NOBODY").text(id::AUTH_DATA, "data");
    client.send(&Connect::new(V5, "x").props(method).bytes());
    client.refused_with(&[0x8C]);
}

/// 3.1.3.2, 3.1.2.5: a will's topic has no wildcards, and its properties are a will's.
#[test]
fn c3_1_3_2_a_will_that_cannot_be() {
    let broker = Broker::start();
    for topic in ["a/#", "+", ""] {
        let mut client = broker.open(V5);
        client.send(&Connect::new(V5, "x").will(Will::new(topic, "x")).bytes());
        client.closed_or_refused_with(&[0x90, 0x81, 0x82]);
    }
    for bad in [
        props().byte(id::PAYLOAD_FORMAT, 2),
        props().four(id::WILL_DELAY, 1).four(id::WILL_DELAY, 1),
        props().two(id::ALIAS, 1),
        props().text(id::RESPONSE_TOPIC, "a/#"),
        props().varint(id::SUBSCRIPTION, 1),
    ] {
        let mut will = Will::new("t", "x");
        will.props = bad;
        let mut client = broker.open(V5);
        client.send(&Connect::new(V5, "x").will(will).bytes());
        client.closed_or_refused_with(&[0x81, 0x82, 0x99]);
    }
}
