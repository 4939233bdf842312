//! Packets from a seed: all kinds, all versions, properties there or not. What comes out is right by the standards, and within
//! what both other codecs can say, mostly: there are no filters that are wrong, and no payload format that says nothing.

use connectors::mqtt::codec::*;
use fastrand::Rng;

/// One packet as bytes, and how to read it.
pub struct Generated {
    pub version: Version,
    pub bytes: Vec<u8>,
}

/// Any packet of `version`.
pub fn packet(random: &mut Rng, version: Version) -> Generated {
    let mut bytes = Vec::new();
    let is_5 = version == Version::V5;
    let list = user_list(random);
    let user = if is_5 { UserProperties::read(&list).expect("a right list") } else { UserProperties::NONE };
    let id = random.u16(1..);
    let explanation = maybe_text(random).filter(|_| is_5);
    let explanation = explanation.as_deref();
    let written = match random.u8(0..16) {
        0 => connect(random, &mut bytes, version, user),
        1 => connack(random, &mut bytes, version, user),
        2..=4 => publish(random, &mut bytes, version),
        5 => {
            let kind = if random.bool() { ReceiptKind::Ack } else { ReceiptKind::Rec };
            let reason = pick(random, &[0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);
            write_receipt(&mut bytes, version, kind, &receipt(version, id, reason, explanation, user))
        }
        6 => {
            let kind = if random.bool() { ReceiptKind::Rel } else { ReceiptKind::Comp };
            let reason = pick(random, &[0, 0x92]);
            write_receipt(&mut bytes, version, kind, &receipt(version, id, reason, explanation, user))
        }
        7 | 8 => {
            let subscription_id = (is_5 && random.bool()).then(|| random.u32(1..268_435_456));
            let filters: Vec<(String, SubscribeOptions)> =
                (0..random.usize(1..5)).map(|_| subscription(random, is_5)).collect();
            let filters = filters.iter().map(|(filter, options)| (&**filter, *options));
            write_subscribe(&mut bytes, version, id, subscription_id, user, filters)
        }
        9 => {
            let codes: &[u8] = match version {
                Version::V5 => &[0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2],
                Version::V311 => &[0, 1, 2, 0x80],
                Version::V31 => &[0, 1, 2],
            };
            let reasons: Vec<Reason> = (0..random.usize(1..6)).map(|_| pick(random, codes)).collect();
            write_suback(&mut bytes, version, id, &reasons, explanation, user)
        }
        10 => {
            let filters: Vec<String> = (0..random.usize(1..5)).map(|_| filter(random)).collect();
            write_unsubscribe(&mut bytes, version, id, user, filters.iter().map(|filter| &**filter))
        }
        11 => {
            let codes = [0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];
            let reasons: Vec<Reason> = (0..random.usize(1..6)).map(|_| pick(random, &codes)).collect();
            write_unsuback(&mut bytes, version, id, &reasons, explanation, user)
        }
        12 => write(&mut bytes, version, &if random.bool() { Packet::PingReq } else { Packet::PingResp }),
        13 | 14 => disconnect(random, &mut bytes, version, explanation, user),
        _ if is_5 => auth(random, &mut bytes, explanation, user),
        _ => write(&mut bytes, version, &Packet::PingReq),
    };
    assert!(written, "a generated packet fits");
    Generated { version, bytes }
}

fn receipt<'a>(
    version: Version,
    packet_id: u16,
    reason: Reason,
    reason_string: Option<&'a str>,
    user: UserProperties<'a>,
) -> Receipt<'a> {
    let reason = if version == Version::V5 { reason } else { Reason::Success };
    Receipt { packet_id, reason, reason_string, user }
}

fn connect(random: &mut Rng, out: &mut Vec<u8>, version: Version, user: UserProperties<'_>) -> bool {
    let clean_start = random.bool();
    let client_id = if clean_start && random.u8(0..4) == 0 { String::new() } else { topic(random) };
    let (will_topic, will_payload, username, password) =
        (topic(random), binary(random), maybe_text(random), maybe_text(random));
    let list = message_list(random, false);
    let (method, data) = (maybe_text(random), binary(random));
    let is_5 = version == Version::V5;
    let will = random.bool().then(|| Will {
        qos: qos(random),
        retain: random.bool(),
        topic: &will_topic,
        payload: &will_payload,
        delay_s: if is_5 { random.u32(..) } else { 0 },
        properties: if is_5 { PublishProperties::read(&list).expect("a right list") } else { Default::default() },
    });
    let properties = ConnectProperties {
        session_expiry_s: random.bool().then(|| random.u32(1..)),
        receive_max: random.bool().then(|| random.u16(1..)),
        packet_bytes_max: random.bool().then(|| random.u32(1..)),
        topic_alias_max: random.bool().then(|| random.u16(1..)),
        request_response_information: random.bool(),
        request_problem_information: random.bool(),
        auth_method: method.as_deref(),
        auth_data: method.as_ref().map(|_| &*data),
        user,
    };
    let connect = Connect {
        version,
        clean_start,
        keep_alive_s: random.u16(..),
        client_id: &client_id,
        will,
        username: username.as_deref(),
        password: if is_5 || username.is_some() { password.as_ref().map(|text| text.as_bytes()) } else { None },
        properties: if is_5 { properties } else { Default::default() },
    };
    write_connect(out, &connect)
}

fn connack(random: &mut Rng, out: &mut Vec<u8>, version: Version, user: UserProperties<'_>) -> bool {
    let reason = match version {
        Version::V5 => pick(
            random,
            &[
                0, 0, 0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97,
                0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
            ],
        ),
        _ => Reason::of_connect_return_code(random.u8(0..6)).expect("one of six"),
    };
    let texts: [Option<String>; 5] = std::array::from_fn(|_| maybe_text(random));
    let data = binary(random);
    let properties = ConnAckProperties {
        session_expiry_s: random.bool().then(|| random.u32(1..)),
        receive_max: random.bool().then(|| random.u16(1..65_535)),
        qos_max: qos(random),
        retain_available: random.bool(),
        packet_bytes_max: random.bool().then(|| random.u32(1..)),
        assigned_client_id: texts[0].as_deref(),
        topic_alias_max: random.bool().then(|| random.u16(1..)),
        reason_string: texts[1].as_deref(),
        user,
        wildcard_available: random.bool(),
        subscription_ids_available: random.bool(),
        shared_available: random.bool(),
        server_keep_alive_s: random.bool().then(|| random.u16(..)),
        response_information: texts[2].as_deref(),
        server_reference: texts[3].as_deref(),
        auth_method: texts[4].as_deref(),
        auth_data: texts[4].as_ref().map(|_| &*data),
    };
    let session_present = random.bool() && reason == Reason::Success;
    write_connack(out, version, &ConnAck { session_present, reason, properties })
}

fn publish(random: &mut Rng, out: &mut Vec<u8>, version: Version) -> bool {
    let mut list = message_list(random, true);
    let mut topic = topic(random);
    if random.u8(0..3) == 0 {
        property::put_two(&mut list, property::TOPIC_ALIAS, random.u16(1..));
        if version == Version::V5 && random.u8(0..4) == 0 {
            topic.clear();
        }
    }
    let payload = if random.u8(0..20) == 0 { vec![7; random.usize(0..20_000)] } else { binary(random) };
    let draft = PublishDraft {
        dup: random.bool(),
        qos: qos(random),
        retain: random.bool(),
        topic: &topic,
        packet_id: random.u16(1..),
        properties: &list,
        payload: &payload,
    };
    write_publish(out, version, &draft)
}

/// The property list of a message; subscription identifiers make it one that a server sends.
fn message_list(random: &mut Rng, has_ids: bool) -> Vec<u8> {
    let mut list = Vec::new();
    if random.bool() {
        property::put_byte(&mut list, property::PAYLOAD_FORMAT, 1);
    }
    if random.bool() {
        let expiry_s = if random.u8(0..10) == 0 { 0 } else { random.u32(..) };
        property::put_four(&mut list, property::MESSAGE_EXPIRY, expiry_s);
    }
    if random.bool() {
        property::put_text(&mut list, property::CONTENT_TYPE, &text(random));
    }
    if random.bool() {
        property::put_text(&mut list, property::RESPONSE_TOPIC, &topic(random));
    }
    if random.bool() {
        property::put_binary(&mut list, property::CORRELATION_DATA, &binary(random));
    }
    if has_ids && random.u8(0..3) == 0 {
        for _ in 0..random.usize(1..4) {
            property::put_varint(&mut list, property::SUBSCRIPTION_ID, random.u32(1..268_435_456));
        }
    }
    list.extend_from_slice(&user_list(random));
    list
}

fn user_list(random: &mut Rng) -> Vec<u8> {
    let mut list = Vec::new();
    for _ in 0..random.usize(0..3) {
        property::put_pair(&mut list, property::USER, &text(random), &text(random));
    }
    list
}

fn disconnect(
    random: &mut Rng,
    out: &mut Vec<u8>,
    version: Version,
    reason_string: Option<&str>,
    user: UserProperties<'_>,
) -> bool {
    let reference = maybe_text(random);
    let mut disconnect = Disconnect { reason_string, user, ..Disconnect::new(Reason::Success) };
    let both = [0, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
    if random.bool() {
        disconnect.reason = if random.bool() { pick(random, &both) } else { Reason::DisconnectWithWill };
        disconnect.session_expiry_s = random.bool().then(|| random.u32(..));
    } else {
        let server = [0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2];
        disconnect.reason = if random.bool() { pick(random, &both) } else { pick(random, &server) };
        disconnect.server_reference = reference.as_deref();
    }
    write_disconnect(out, version, &disconnect)
}

fn auth(random: &mut Rng, out: &mut Vec<u8>, reason_string: Option<&str>, user: UserProperties<'_>) -> bool {
    let (method, data) = (text(random), binary(random));
    let reason = pick(random, &[0, 0x18, 0x19]);
    let data = random.bool().then_some(&*data);
    write_auth(out, Version::V5, &Auth { reason, method: Some(&method), data, reason_string, user })
}

fn pick(random: &mut Rng, codes: &[u8]) -> Reason {
    Reason::of(codes[random.usize(..codes.len())]).expect("a reason")
}

fn qos(random: &mut Rng) -> Qos {
    Qos::of(random.u8(0..3)).expect("at most 2")
}

fn subscription(random: &mut Rng, is_5: bool) -> (String, SubscribeOptions) {
    let filter = filter(random);
    let plain = SubscribeOptions::new(qos(random));
    if !is_5 {
        return (filter, plain);
    }
    let is_shared = random.u8(0..6) == 0;
    let options = SubscribeOptions {
        no_local: !is_shared && random.bool(),
        retain_as_published: random.bool(),
        retain_handling: random.u8(0..3),
        ..plain
    };
    (if is_shared { format!("$share/g/{filter}") } else { filter }, options)
}

fn filter(random: &mut Rng) -> String {
    match random.u8(0..6) {
        0 => "#".to_owned(),
        1 => format!("{}/#", topic(random)),
        2 => format!("+/{}/+", topic(random)),
        3 => "+".to_owned(),
        _ => topic(random),
    }
}

/// Not empty, without wildcards.
fn topic(random: &mut Rng) -> String {
    (0..random.usize(1..20))
        .map(|_| *random.choice(&['a', 'b', '/', '0', ' ', 'ä', '😀']).expect("not empty"))
        .collect()
}

fn text(random: &mut Rng) -> String {
    let length = if random.u8(0..20) == 0 { random.usize(100..300) } else { random.usize(0..12) };
    (0..length).map(|_| *random.choice(&['a', '+', '#', '/', 'ö', '😀', '\u{1}']).expect("not empty")).collect()
}

fn maybe_text(random: &mut Rng) -> Option<String> {
    random.bool().then(|| text(random))
}

fn binary(random: &mut Rng) -> Vec<u8> {
    (0..random.usize(0..16)).map(|_| random.u8(..)).collect()
}
