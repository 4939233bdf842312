//! Packets of all types that cannot be: the connection ends with the reason, and nobody else notices.

use super::client::Client;
use super::packet::*;
use crate::mqtt_broker::Broker;

/// Two neighbours who talk to each other while a third misbehaves.
struct Neighbours(Client, Client);

impl Neighbours {
    fn new(broker: &Broker) -> Self {
        let mut listens = broker.v5("listens");
        listens.subscribe(&[("neighbours", 1)]);
        Self(listens, broker.v4("speaks"))
    }

    fn are_well(&mut self) {
        self.1.publish("neighbours", "well", 1);
        assert_eq!(self.0.texts(1), ["well"]);
    }
}

fn each(broker: &Broker, version: u8, cases: &[Vec<u8>]) {
    let mut neighbours = Neighbours::new(broker);
    for (at, bytes) in cases.iter().enumerate() {
        println!("case {at} of version {version}: {bytes:x?}");
        let mut client = broker.of(version, "client");
        client.send(bytes);
        client.ended_with(&[0x81, 0x82]);
    }
    neighbours.are_well();
}

/// [MQTT-2.1.3-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1], [MQTT-3.6.1-1]; 3.1.1 [MQTT-2.2.2-1], [MQTT-2.2.2-2]: reserved flags.
#[test]
fn c2_1_3_1_reserved_flags() {
    let broker = Broker::start();
    for version in [V4, V5] {
        let none: &[u8] = if version == V5 { &[0] } else { &[] };
        let subscribe = [&[0, 1], none, &binary("t"), &[0][..]].concat();
        let unsubscribe = [&[0, 1], none, &binary("t")[..]].concat();
        let mut cases = Vec::new();
        for flags in [0, 1, 3, 4, 10, 15] {
            cases.push(packet(0x80 | flags, &[&subscribe]));
            cases.push(packet(0xA0 | flags, &[&unsubscribe]));
            cases.push(packet(0x60 | flags, &[&[0, 1]]));
        }
        for first in [0x41, 0x48, 0x52, 0x71, 0xC1, 0xC8] {
            cases.push(if first >= 0xC0 { vec![first, 0] } else { packet(first, &[&[0, 1]]) });
        }
        each(&broker, version, &cases);
    }
}

/// [MQTT-2.2.1-3]; 3.1.1 [MQTT-2.3.1-1]: identifier 0, and none at all.
#[test]
fn c2_2_1_3_packet_identifiers() {
    let broker = Broker::start();
    for version in [V4, V5] {
        let mut cases = vec![
            Publish::new("t", "x").qos(1).id(0).bytes(version),
            Publish::new("t", "x").qos(2).id(0).bytes(version),
            subscribe(version, 0, &props(), &[("t", 0)]),
            unsubscribe(version, 0, &["t"]),
            packet(0x32, &[&binary("t")]),
            packet(0x32, &[&binary("t"), &[1]]),
            packet(0x82, &[&[1]]),
            packet(0xA2, &[]),
        ];
        for first in [PUBACK, PUBREC, PUBREL, PUBCOMP] {
            cases.push(receipt(first, 0));
            cases.push(packet(first, &[]));
            cases.push(packet(first, &[&[1]]));
        }
        each(&broker, version, &cases);
    }
}

/// [MQTT-3.3.1-2], [MQTT-3.3.1-4]: DUP at QoS 0, QoS 3.
#[test]
fn c3_3_1_4_flags_of_publish() {
    let broker = Broker::start();
    for version in [V4, V5] {
        let mut cases = vec![Publish::new("t", "x").dup().bytes(version)];
        for first in [0x36, 0x37, 0x3E, 0x3F] {
            let mut bytes = Publish::new("t", "x").qos(1).id(1).bytes(version);
            bytes[0] = first;
            cases.push(bytes);
        }
        each(&broker, version, &cases);
    }
}

/// 1.5, 2.1.4: lengths that do not fit.
#[test]
fn c2_1_4_lengths_that_do_not_fit() {
    let broker = Broker::start();
    for version in [V4, V5] {
        let none: &[u8] = if version == V5 { &[0] } else { &[] };
        let cases = [
            // A remaining length of five bytes, in several packets.
            vec![0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
            vec![0xC0, 0x80, 0x80, 0x80, 0x80, 0x00],
            // Text beyond the packet.
            packet(0x30, &[&[0, 9, b't']]),
            packet(0x30, &[&[0]]),
            packet(0x30, &[]),
            packet(0x82, &[&[0, 1], none, &[0, 9, b't', 0]]),
            packet(0xA2, &[&[0, 1], none, &[0, 9, b't']]),
            // A filter without options, and options without a filter.
            packet(0x82, &[&[0, 1], none, &binary("t")]),
            packet(0x82, &[&[0, 1], none, &binary("t"), &[0, 0]]),
            packet(0x82, &[&[0, 1], none]),
            packet(0xA2, &[&[0, 1], none]),
            // A body where there is none.
            packet(0xC0, &[&[0]]),
        ];
        each(&broker, version, &cases);
    }
    // Receipts of 3.1.1 have no more than an identifier.
    let old: Vec<_> = [PUBACK, PUBREC, PUBREL, PUBCOMP].iter().map(|first| packet(*first, &[&[0, 1, 0]])).collect();
    each(&broker, V4, &[old, vec![packet(0xE0, &[&[0]])]].concat());
}

/// 2.2.2: properties of packets that are not PUBLISH: too long, doubled, of others.
#[test]
fn c2_2_2_properties_that_do_not_fit() {
    let broker = Broker::start();
    let mut cases = Vec::new();
    for list in [
        vec![9],
        vec![2, id::REASON, 0],
        props().byte(0x05, 1).bytes(),
        props().two(id::ALIAS, 1).bytes(),
        props().text(id::REASON, "a").text(id::REASON, "b").bytes(),
        props().text(id::REASON, [0xC0]).bytes(),
        Props(vec![id::USER, 0, 1, b'a']).bytes(),
    ] {
        for first in [PUBACK, PUBREC, PUBREL, PUBCOMP] {
            cases.push(packet(first, &[&[0, 1, 0], &list]));
        }
    }
    for first in [PUBACK, PUBREC, PUBREL, PUBCOMP] {
        cases.push(packet(first, &[&[0, 1, 0, 0, 0]]));
    }
    for list in
        [props().text(id::REASON, "x"), props().byte(id::PAYLOAD_FORMAT, 1), props().four(id::SESSION_EXPIRY, 1)]
    {
        cases.push(subscribe(V5, 1, &list, &[("t", 0)]));
        cases.push(packet(0xA2, &[&[0, 1], &list.bytes(), &binary("t")]));
    }
    // Unsubscribing knows no identifiers.
    cases.push(packet(0xA2, &[&[0, 1], &props().varint(id::SUBSCRIPTION, 1).bytes(), &binary("t")]));
    // A length of properties that is longer than it needs to be.
    cases.push(packet(0x30, &[&binary("t"), &[0x80, 0]]));
    each(&broker, V5, &cases);
}

/// 3.4.2.1, 3.5.2.1, 3.6.2.1, 3.7.2.1, 3.14.2.1: reason codes that the packet does not have.
#[test]
fn c3_4_2_1_reason_codes_of_others() {
    let broker = Broker::start();
    let cases: Vec<_> = [
        (PUBACK, 0x01),
        (PUBACK, 0x92),
        (PUBACK, 0xFF),
        (PUBREC, 0x04),
        (PUBREC, 0x92),
        (PUBREL, 0x10),
        (PUBREL, 0x80),
        (PUBCOMP, 0x10),
        (PUBCOMP, 0x97),
    ]
    .iter()
    .map(|(first, code)| receipt_with(*first, 1, *code))
    .collect();
    each(&broker, V5, &cases);
}

/// 2.1.2: types that only a server sends, and the reserved ones.
#[test]
fn c2_1_2_types_of_a_server() {
    let broker = Broker::start();
    for version in [V4, V5] {
        let none: &[u8] = if version == V5 { &[0] } else { &[] };
        let cases = [
            vec![0x00, 0],
            packet(0x20, &[&[0, 0], none]),
            packet(0x90, &[&[0, 1], none, &[0]]),
            packet(0xB0, &[&[0, 1], none, &[0]]),
            vec![0xD0, 0],
        ];
        each(&broker, version, &cases);
    }
}

/// [MQTT-1.5.4-1], [MQTT-1.5.4-2], [MQTT-3.8.3-1], [MQTT-3.10.3-1], [MQTT-3.3.2-1]; 3.1.1 [MQTT-1.5.3-1], [MQTT-1.5.3-2]: text.
#[test]
fn c1_5_4_1_text_that_is_none() {
    let broker = Broker::start();
    for version in [V4, V5] {
        let none: &[u8] = if version == V5 { &[0] } else { &[] };
        let mut cases = Vec::new();
        for bad in [&b"a\0"[..], b"\xED\xA0\x80", b"\xFF\xFE", b"\xC0\xAF", b"a\xE2\x82"] {
            cases.push(packet(0x30, &[&binary(bad), none, b"x"]));
            cases.push(packet(0x82, &[&[0, 1], none, &binary(bad), &[0]]));
            cases.push(packet(0xA2, &[&[0, 1], none, &binary(bad)]));
        }
        let mut neighbours = Neighbours::new(&broker);
        for bytes in cases {
            println!("version {version}: {bytes:x?}");
            let mut client = broker.of(version, "client");
            client.send(&bytes);
            client.ended_with(&[0x81, 0x82, 0x8F, 0x90]);
        }
        neighbours.are_well();
    }
}

/// Noise of all lengths ends connections and nothing else.
#[test]
fn noise_harms_nobody() {
    let broker = Broker::start();
    let mut neighbours = Neighbours::new(&broker);
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..60 {
        let mut client = broker.open(V5);
        let mut bytes: Vec<u8> = (0..random.usize(1..400)).map(|_| random.u8(..)).collect();
        if round % 2 == 0 {
            bytes.splice(0..0, Connect::new(V5, "noise").bytes());
        }
        client.send(&bytes);
        client.drop_connection();
    }
    neighbours.are_well();
}
