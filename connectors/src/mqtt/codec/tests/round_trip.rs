//! Any packet, written and read, is the same packet; any prefix of it asks for more; any bytes are read or refused.

use proptest::prelude::*;

use super::*;

/// Everything that packets are made of; each kind takes what it needs.
#[derive(Clone, Debug)]
struct Parts {
    version: Version,
    /// One bit for each yes or no, and for each value that may be absent.
    bits: u32,
    qos: u8,
    two: [u16; 3],
    four: [u32; 3],
    texts: [String; 5],
    topics: [String; 2],
    binaries: [Vec<u8>; 3],
    pairs: Vec<(String, String)>,
    ids: Vec<u32>,
    filters: Vec<(String, u8)>,
    reasons: Vec<u8>,
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z/+#ä€😀\u{1}\u{7F}\u{FFFF}]{0,12}", "x{120,140}"]
}

fn topic() -> impl Strategy<Value = String> {
    "[a-z/$ä€😀 ]{1,20}"
}

fn parts() -> impl Strategy<Value = Parts> {
    let binary = || proptest::collection::vec(any::<u8>(), 0..20);
    (
        (prop_oneof![Just(Version::V31), Just(Version::V311), Just(Version::V5)], any::<u32>(), 0..3u8),
        (any::<[u16; 3]>(), any::<[u32; 3]>()),
        ([text(), text(), text(), text(), text()], [topic(), topic()], [binary(), binary(), binary()]),
        proptest::collection::vec((text(), text()), 0..4),
        proptest::collection::vec(1..268_435_456u32, 0..4),
        proptest::collection::vec((text(), any::<u8>()), 1..5),
        proptest::collection::vec(any::<u8>(), 1..6),
    )
        .prop_map(
            |((version, bits, qos), (two, four), (texts, topics, binaries), pairs, ids, filters, reasons)| Parts {
                version,
                bits,
                qos,
                two,
                four,
                texts,
                topics,
                binaries,
                pairs,
                ids,
                filters,
                reasons,
            },
        )
}

impl Parts {
    fn bit(&self, index: u32) -> bool {
        self.bits >> index & 1 == 1
    }

    fn text(&self, bit: u32, index: usize) -> Option<&str> {
        self.bit(bit).then_some(&*self.texts[index])
    }

    fn binary(&self, bit: u32, index: usize) -> Option<&[u8]> {
        self.bit(bit).then_some(&*self.binaries[index])
    }

    fn four(&self, bit: u32, index: usize) -> Option<u32> {
        self.bit(bit).then_some(self.four[index])
    }

    fn two(&self, bit: u32, index: usize) -> Option<u16> {
        self.bit(bit).then_some(self.two[index])
    }

    fn qos(&self) -> Qos {
        Qos::of(self.qos).expect("at most 2")
    }

    fn id(&self) -> u16 {
        self.two[0].max(1)
    }

    /// One of the reasons that a packet knows.
    fn reason(&self, known: &[u8]) -> Reason {
        Reason::of(known[usize::from(self.reasons[0]) % known.len()]).expect("a reason")
    }

    fn list(&self) -> Vec<u8> {
        let mut list = Vec::new();
        for (name, value) in &self.pairs {
            assert!(property::put_pair(&mut list, property::USER, name, value));
        }
        list
    }

    fn ids(&self) -> Vec<u8> {
        let mut list = Vec::new();
        for id in &self.ids {
            assert!(property::put_varint(&mut list, property::SUBSCRIPTION_ID, *id));
        }
        list
    }

    fn message<'a>(&'a self, user: UserProperties<'a>) -> PublishProperties<'a> {
        PublishProperties {
            payload_format: self.bit(0).then_some(u8::from(self.bit(1))),
            expiry_s: self.four(2, 0),
            content_type: self.text(3, 0),
            response_topic: self.bit(4).then_some(&*self.topics[1]),
            correlation: self.binary(5, 0),
            user,
            ..PublishProperties::default()
        }
    }

    fn connect<'a>(&'a self, user: UserProperties<'a>) -> Connect<'a> {
        let is_5 = self.version == Version::V5;
        let will = self.bit(10).then(|| Will {
            qos: self.qos(),
            retain: self.bit(11),
            topic: &self.topics[0],
            payload: &self.binaries[1],
            delay_s: if is_5 { self.four[1] } else { 0 },
            properties: if is_5 { self.message(user) } else { PublishProperties::default() },
        });
        let properties = ConnectProperties {
            session_expiry_s: self.four(12, 0),
            receive_max: self.two(13, 1).map(|value| value.max(1)),
            packet_bytes_max: self.four(14, 2).map(|value| value.max(1)),
            topic_alias_max: self.two(15, 2),
            request_response_information: self.bit(16),
            request_problem_information: self.bit(17),
            auth_method: self.text(18, 2),
            auth_data: if self.bit(18) { self.binary(19, 2) } else { None },
            user,
        };
        let username = self.text(20, 3);
        Connect {
            version: self.version,
            clean_start: self.bit(9),
            keep_alive_s: self.two[2],
            client_id: &self.texts[4],
            will,
            username,
            password: if is_5 || username.is_some() { self.binary(21, 0) } else { None },
            properties: if is_5 { properties } else { ConnectProperties::default() },
        }
    }

    fn connack<'a>(&'a self, user: UserProperties<'a>) -> ConnAck<'a> {
        if self.version != Version::V5 {
            let reason = Reason::of_connect_return_code(self.reasons[0] % 6).expect("one of six");
            let session_present = self.bit(0) && reason == Reason::Success && self.version == Version::V311;
            return ConnAck { session_present, reason, properties: ConnAckProperties::default() };
        }
        let reason = self.reason(&[
            0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A,
            0x9B, 0x9C, 0x9D, 0x9F,
        ]);
        let properties = ConnAckProperties {
            session_expiry_s: self.four(1, 0),
            receive_max: self.two(2, 1).map(|value| value.max(1)),
            qos_max: self.qos(),
            retain_available: self.bit(3),
            packet_bytes_max: self.four(4, 1).map(|value| value.max(1)),
            assigned_client_id: self.text(5, 0),
            topic_alias_max: self.two(6, 2),
            reason_string: self.text(7, 1),
            user,
            wildcard_available: self.bit(8),
            subscription_ids_available: self.bit(9),
            shared_available: self.bit(10),
            server_keep_alive_s: self.two(11, 0),
            response_information: self.text(12, 2),
            server_reference: self.text(13, 3),
            auth_method: self.text(14, 4),
            auth_data: if self.bit(14) { self.binary(15, 0) } else { None },
        };
        ConnAck { session_present: self.bit(0) && !reason.is_error(), reason, properties }
    }

    fn publish<'a>(&'a self, from: Side, user: UserProperties<'a>, ids: &'a [u8]) -> Publish<'a> {
        let qos = self.qos();
        let mut properties = PublishProperties::default();
        let mut topic = &*self.topics[0];
        if self.version == Version::V5 {
            properties = self.message(user);
            properties.topic_alias = self.two(6, 1).map(|value| value.max(1));
            if from == Side::Server {
                properties.subscription_ids = PublishProperties::read(ids).expect("a right list").subscription_ids;
            }
            if properties.topic_alias.is_some() && self.bit(7) {
                topic = "";
            }
        }
        Publish {
            dup: self.bit(8) && qos != Qos::AtMostOnce,
            qos,
            retain: self.bit(9),
            topic,
            packet_id: if qos == Qos::AtMostOnce { 0 } else { self.id() },
            properties,
            payload: &self.binaries[2],
        }
    }

    fn receipt<'a>(&'a self, known: &[u8], user: UserProperties<'a>) -> Receipt<'a> {
        if self.version != Version::V5 {
            return Receipt::new(self.id(), Reason::Success);
        }
        Receipt { packet_id: self.id(), reason: self.reason(known), reason_string: self.text(0, 0), user }
    }
}

/// Writes `packet`, reads it, and looks at every prefix on the way.
fn round(version: Version, from: Side, packet: &Packet<'_>) -> Result<(), TestCaseError> {
    let mut out = Vec::new();
    prop_assert!(write(&mut out, version, packet));
    prop_assert_eq!(&read(version, from, &out), &Ok(*packet));
    if let Packet::Publish(publish) = packet
        && let Ok(Some(frame)) = frame(&out, out.len())
    {
        for known in ["a", publish.topic] {
            prop_assert_eq!(decode_publish_known(version, from, &frame, known), Ok(*publish));
        }
    }
    prefixes(&out)
}

fn prefixes(bytes: &[u8]) -> Result<(), TestCaseError> {
    for end in 0..bytes.len() {
        prop_assert_eq!(frame(&bytes[..end], bytes.len()), Ok(None));
    }
    Ok(())
}

const ARRIVED: &[u8] = &[0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const RELEASED: &[u8] = &[0, 0x92];

proptest! {
    #[test]
    fn any_packet_is_read_as_it_was_written(parts in parts()) {
        let (version, list, ids) = (parts.version, parts.list(), parts.ids());
        let user = UserProperties::read(&list).expect("a right list");
        round(version, Side::Client, &Packet::Connect(parts.connect(user)))?;
        round(version, Side::Server, &Packet::ConnAck(parts.connack(user)))?;
        for side in [Side::Client, Side::Server] {
            round(version, side, &Packet::Publish(parts.publish(side, user, &ids)))?;
            round(version, side, &Packet::PubAck(parts.receipt(ARRIVED, user)))?;
            round(version, side, &Packet::PubRec(parts.receipt(ARRIVED, user)))?;
            round(version, side, &Packet::PubRel(parts.receipt(RELEASED, user)))?;
            round(version, side, &Packet::PubComp(parts.receipt(RELEASED, user)))?;
        }
        if version == Version::V5 {
            let both = [0, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
            let disconnect = Disconnect {
                reason: parts.reason(&both),
                session_expiry_s: parts.four(0, 0),
                reason_string: parts.text(1, 0),
                server_reference: None,
                user,
            };
            round(version, Side::Client, &Packet::Disconnect(disconnect))?;
            let disconnect =
                Disconnect { session_expiry_s: None, server_reference: parts.text(2, 1), ..disconnect };
            round(version, Side::Server, &Packet::Disconnect(disconnect))?;
            let auth = Auth {
                reason: Reason::ContinueAuthentication,
                method: Some(&parts.texts[0]),
                data: parts.binary(3, 0),
                reason_string: parts.text(4, 1),
                user,
            };
            round(version, Side::Client, &Packet::Auth(auth))?;
            round(version, Side::Server, &Packet::Auth(Auth { reason: Reason::Success, ..auth }))?;
        }
    }

    #[test]
    fn any_subscription_is_read_as_it_was_written(parts in parts()) {
        let version = parts.version;
        let list = parts.list();
        let is_5 = version == Version::V5;
        let user = if is_5 { UserProperties::read(&list).expect("a right list") } else { UserProperties::NONE };
        let filters: Vec<(&str, SubscribeOptions)> = parts
            .filters
            .iter()
            .map(|(filter, bits)| {
                let plain = SubscribeOptions::new(Qos::of(bits % 3).expect("at most 2"));
                let options = SubscribeOptions {
                    no_local: bits & 0x10 != 0,
                    retain_as_published: bits & 0x20 != 0,
                    retain_handling: (bits >> 6) % 3,
                    ..plain
                };
                (&**filter, if is_5 { options } else { plain })
            })
            .collect();
        let id = parts.ids.first().copied().filter(|_| is_5);
        let mut out = Vec::new();
        prop_assert!(write_subscribe(&mut out, version, parts.id(), id, user, filters.iter().copied()));
        let Ok(Packet::Subscribe(subscribe)) = read(version, Side::Client, &out) else { panic!("a SUBSCRIBE") };
        prop_assert_eq!((subscribe.packet_id, subscribe.subscription_id, subscribe.user), (parts.id(), id, user));
        prop_assert_eq!(subscribe.filters.collect::<Vec<_>>(), filters.clone());
        round(version, Side::Client, &Packet::Subscribe(subscribe))?;

        let mut out = Vec::new();
        prop_assert!(write_unsubscribe(&mut out, version, parts.id(), user, filters.iter().map(|(filter, _)| *filter)));
        let Ok(Packet::Unsubscribe(unsubscribe)) = read(version, Side::Client, &out) else { panic!("an UNSUBSCRIBE") };
        prop_assert!(unsubscribe.filters.eq(filters.iter().map(|(filter, _)| *filter)));
        round(version, Side::Client, &Packet::Unsubscribe(unsubscribe))?;

        let known: &[u8] = if is_5 { &[0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2] } else { &[0, 1, 2, 0x80] };
        let reasons: Vec<Reason> =
            parts.reasons.iter().filter_map(|pick| Reason::of(known[usize::from(*pick) % known.len()])).collect();
        let reason_string = parts.text(0, 0).filter(|_| is_5);
        let mut out = Vec::new();
        prop_assert!(write_suback(&mut out, version, parts.id(), &reasons, reason_string, user));
        let Ok(Packet::SubAck(ack)) = read(version, Side::Server, &out) else { panic!("a SUBACK") };
        prop_assert_eq!((ack.packet_id, ack.reason_string, ack.user), (parts.id(), reason_string, user));
        prop_assert!(ack.reasons.eq(reasons.iter().copied()));
        round(version, Side::Server, &Packet::SubAck(ack))?;

        let known = [0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];
        let reasons: Vec<Reason> =
            parts.reasons.iter().filter_map(|pick| Reason::of(known[usize::from(*pick) % known.len()])).collect();
        let mut out = Vec::new();
        prop_assert!(write_unsuback(&mut out, version, parts.id(), &reasons, reason_string, user));
        let Ok(Packet::UnsubAck(ack)) = read(version, Side::Server, &out) else { panic!("an UNSUBACK") };
        prop_assert!(ack.reasons.eq(reasons.iter().copied().filter(|_| is_5)));
        round(version, Side::Server, &Packet::UnsubAck(ack))?;
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        first in any::<u8>(),
        body in proptest::collection::vec(prop_oneof![0..4u8, 0x08..0x2Bu8, any::<u8>()], 0..60),
    ) {
        for version in [Version::V31, Version::V311, Version::V5] {
            for side in [Side::Client, Side::Server] {
                let bytes = [&[first, body.len() as u8][..], &body].concat();
                let Ok(Some(frame)) = frame(&bytes, 1000) else { continue };
                let Ok(packet) = decode(version, side, &frame) else { continue };
                let version = if let Packet::Connect(connect) = packet { connect.version } else { version };
                round(version, side, &packet)?;
            }
        }
    }

    #[test]
    fn any_change_to_a_packet_is_read_or_refused(parts in parts(), at in any::<usize>(), with in any::<u8>()) {
        let (version, list, ids) = (parts.version, parts.list(), parts.ids());
        let user = UserProperties::read(&list).expect("a right list");
        for packet in [
            Packet::Connect(parts.connect(user)),
            Packet::ConnAck(parts.connack(user)),
            Packet::Publish(parts.publish(Side::Server, user, &ids)),
        ] {
            let mut bytes = Vec::new();
            prop_assert!(write(&mut bytes, version, &packet));
            let at = at % bytes.len();
            bytes[at] = with;
            let Ok(Some(frame)) = frame(&bytes, 100_000) else { continue };
            for side in [Side::Client, Side::Server] {
                if let Ok(packet) = decode(version, side, &frame) {
                    let version = if let Packet::Connect(connect) = packet { connect.version } else { version };
                    round(version, side, &packet)?;
                }
            }
        }
    }
}
