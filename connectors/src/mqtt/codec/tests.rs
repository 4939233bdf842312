//! Packets as the standards print them, byte by byte, and what every reader and writer has to hold for any packet.

mod refused;
mod round_trip;

use super::*;

/// The packet that `bytes` are, all of them.
fn read(version: Version, from: Side, bytes: &[u8]) -> Result<Packet<'_>, DecodeError> {
    let frame = frame(bytes, usize::MAX)?.expect("the bytes are a whole packet");
    assert_eq!(frame.total, bytes.len());
    decode(version, from, &frame)
}

/// Reads `bytes` and writes them again: the writers use the shortest form, and so do these vectors.
fn same(version: Version, from: Side, bytes: &[u8]) -> Packet<'_> {
    let packet = read(version, from, bytes).expect("the packet is right");
    let mut out = b"before".to_vec();
    assert!(write(&mut out, version, &packet));
    assert_eq!(&out[6..], bytes);
    packet
}

/// `bytes` with their length before them; at most 127, as all here.
fn sized(bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 128);
    [&[bytes.len() as u8], bytes].concat()
}

/// A packet of a first byte and the parts of its body.
fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&[first][..], &sized(&parts.concat())].concat()
}

#[test]
fn connect_of_3_1_1_as_the_standard_prints_it() {
    // Figure 3.6: user name and password, will with QoS 1, clean session, keep alive 10.
    let mut bytes = vec![0x10, 0, 0, 4, b'M', b'Q', b'T', b'T', 4, 0xCE, 0, 10];
    for text in [&b"id"[..], b"w/t", b"gone", b"user", b"\x00\xFFpass"] {
        bytes.extend_from_slice(&[0, text.len() as u8]);
        bytes.extend_from_slice(text);
    }
    bytes[1] = bytes.len() as u8 - 2;
    let Packet::Connect(connect) = same(Version::V5, Side::Client, &bytes) else { panic!("a CONNECT") };
    assert_eq!(connect.version, Version::V311);
    assert!(connect.clean_start);
    assert_eq!((connect.keep_alive_s, connect.client_id), (10, "id"));
    let will = connect.will.expect("a will");
    assert_eq!((will.topic, will.payload, will.qos, will.retain), ("w/t", &b"gone"[..], Qos::AtLeastOnce, false));
    assert_eq!((connect.username, connect.password), (Some("user"), Some(&b"\x00\xFFpass"[..])));
}

#[test]
fn connect_of_3_1() {
    let bytes = b"\x10\x0F\0\x06MQIsdp\x03\x02\0\x3C\0\x01a";
    let Packet::Connect(connect) = same(Version::V311, Side::Client, bytes) else { panic!("a CONNECT") };
    assert_eq!(connect.version, Version::V31);
    // The flag of the user name without one: the length of the packet takes precedence.
    let bytes = b"\x10\x0F\0\x06MQIsdp\x03\xC3\0\x3C\0\x01a";
    let Packet::Connect(connect) = read(Version::V311, Side::Client, bytes).expect("allowed") else {
        panic!("a CONNECT")
    };
    assert_eq!((connect.username, connect.password), (None, None));
}

#[test]
fn connect_of_5_with_every_property() {
    let list = sized(
        b"\x11\0\0\0\x0A\x15\0\x03jwt\x16\0\x02\0\x01\x17\0\x19\x01\x21\0\x14\x22\0\x05\
        \x26\0\x01a\0\x01b\x26\0\x01a\0\0\x27\0\0\x10\0",
    );
    let will = sized(
        b"\x18\0\0\0\x05\x01\x01\x02\0\0\0\x07\x03\0\x01t\x08\0\x01r\x09\0\x01c\
        \x26\0\x01x\0\x01y\x26\0\x01x\0\x01z",
    );
    let head = b"\0\x04MQTT\x05\xEE\0\x3C";
    let bytes = &packet(0x10, &[head, &list, b"\0\x01i", &will, b"\0\x01w\0\x01p\0\x01u\0\x01s"]);
    let Packet::Connect(connect) = same(Version::V311, Side::Client, bytes) else { panic!("a CONNECT") };
    let properties = connect.properties;
    assert_eq!(properties.session_expiry_s, Some(10));
    assert_eq!((properties.auth_method, properties.auth_data), (Some("jwt"), Some(&[0, 1][..])));
    assert!(!properties.request_problem_information && properties.request_response_information);
    assert_eq!((properties.receive_max, properties.topic_alias_max), (Some(20), Some(5)));
    assert_eq!(properties.packet_bytes_max, Some(4096));
    assert_eq!(properties.user.iter().collect::<Vec<_>>(), [("a", "b"), ("a", "")]);
    let will = connect.will.expect("a will");
    assert_eq!((will.delay_s, will.qos, will.retain), (5, Qos::AtLeastOnce, true));
    assert_eq!((will.properties.payload_format, will.properties.expiry_s), (Some(1), Some(7)));
    assert_eq!((will.properties.content_type, will.properties.response_topic), (Some("t"), Some("r")));
    assert_eq!(will.properties.correlation, Some(&b"c"[..]));
    assert_eq!(will.properties.user.iter().collect::<Vec<_>>(), [("x", "y"), ("x", "z")]);
}

#[test]
fn connect_of_5_may_have_a_password_alone() {
    let bytes = b"\x10\x12\0\x04MQTT\x05\x42\0\0\0\0\0\0\x03key";
    let Packet::Connect(connect) = same(Version::V5, Side::Client, bytes) else { panic!("a CONNECT") };
    assert_eq!((connect.client_id, connect.username, connect.password), ("", None, Some(&b"key"[..])));
    let mut out = Vec::new();
    assert!(!write_connect(&mut out, &Connect { version: Version::V311, ..connect }));
    assert!(out.is_empty());
}

#[test]
fn connack_of_each_version() {
    let Packet::ConnAck(connack) = same(Version::V311, Side::Server, &[0x20, 2, 1, 0]) else { panic!("a CONNACK") };
    assert_eq!((connack.session_present, connack.reason), (true, Reason::Success));
    for (code, reason) in [
        (1, Reason::UnsupportedProtocolVersion),
        (2, Reason::ClientIdentifierNotValid),
        (3, Reason::ServerUnavailable),
        (4, Reason::BadUserNameOrPassword),
        (5, Reason::NotAuthorized),
    ] {
        let bytes = [0x20, 2, 0, code];
        let Packet::ConnAck(connack) = same(Version::V31, Side::Server, &bytes) else { panic!("a CONNACK") };
        assert_eq!(connack.reason, reason);
    }
    let list = sized(
        b"\x11\0\0\0\x01\x12\0\x01c\x13\0\x1E\x15\0\x01m\x16\0\x01d\x1A\0\x01i\x1C\0\x01s\x1F\0\x01r\x21\0\x02\x22\0\x03\
        \x24\x01\x25\0\x26\0\x01k\0\x01v\x27\0\0\0\x09\x28\0\x29\0\x2A\0",
    );
    let bytes = &packet(0x20, &[&[0, 0], &list]);
    let Packet::ConnAck(connack) = same(Version::V5, Side::Server, bytes) else { panic!("a CONNACK") };
    let properties = connack.properties;
    assert_eq!(properties.server_keep_alive_s, Some(30));
    assert_eq!(properties.qos_max, Qos::AtLeastOnce);
    assert!(!properties.retain_available && !properties.wildcard_available);
    assert!(!properties.subscription_ids_available && !properties.shared_available);
    assert_eq!(properties.assigned_client_id, Some("c"));
    let defaults = ConnAck { session_present: false, reason: Reason::Success, properties: Default::default() };
    assert_eq!(same(Version::V5, Side::Server, &[0x20, 3, 0, 0, 0]), Packet::ConnAck(defaults));
}

#[test]
fn before_5_every_refusal_is_one_of_five() {
    for reason in Reason::ALL.iter().filter(|reason| reason.is_error()) {
        let mut out = Vec::new();
        let connack = ConnAck { session_present: true, reason: *reason, properties: Default::default() };
        assert!(write_connack(&mut out, Version::V311, &connack));
        assert_eq!(out[2], 0);
        assert!((1..=5).contains(&out[3]), "{reason:?}");
    }
}

#[test]
fn publish_of_each_version() {
    // Figure 3.11 of the standard: topic a/b, packet identifier 10.
    let bytes = b"\x3D\x09\0\x03a/b\0\x0Ahi";
    for version in [Version::V31, Version::V311] {
        let Packet::Publish(publish) = same(version, Side::Client, bytes) else { panic!("a PUBLISH") };
        assert_eq!((publish.dup, publish.qos, publish.retain), (true, Qos::ExactlyOnce, true));
        assert_eq!((publish.topic, publish.packet_id, publish.payload), ("a/b", 10, &b"hi"[..]));
    }
    let Packet::Publish(publish) = same(Version::V5, Side::Server, b"\x30\x06\0\x03a/b\0") else { panic!("a PUBLISH") };
    assert_eq!((publish.packet_id, publish.payload), (0, &b""[..]));
    let list = sized(
        b"\x01\x01\x02\0\0\0\x3C\x03\0\x01t\x08\0\x01r\x09\0\x01c\x23\0\x07\x26\0\x01a\0\x01b\x26\0\x01a\0\x01c\
        \x0B\x01\x0B\xFF\xFF\xFF\x7F",
    );
    let bytes = &packet(0x32, &[&[0, 0, 0, 1], &list, b"!!"]);
    let Packet::Publish(publish) = same(Version::V5, Side::Server, bytes) else { panic!("a PUBLISH") };
    assert_eq!(publish.properties.topic_alias, Some(7));
    assert_eq!(publish.properties.subscription_ids.collect::<Vec<_>>(), [1, 268_435_455]);
    assert_eq!(publish.properties.user.iter().collect::<Vec<_>>(), [("a", "b"), ("a", "c")]);
    assert_eq!(publish.properties.raw, &list[1..]);
    assert_eq!(publish.payload, b"!!");
}

#[test]
fn views_of_a_list_skip_what_stands_between() {
    let mut raw = Vec::new();
    property::put_varint(&mut raw, property::SUBSCRIPTION_ID, 300);
    property::put_pair(&mut raw, property::USER, "a", "1");
    property::put_four(&mut raw, property::MESSAGE_EXPIRY, 0x0B26_0B26);
    property::put_varint(&mut raw, property::SUBSCRIPTION_ID, 1);
    property::put_text(&mut raw, property::CONTENT_TYPE, "&&&");
    property::put_byte(&mut raw, property::PAYLOAD_FORMAT, 1);
    property::put_pair(&mut raw, property::USER, "", "");
    property::put_two(&mut raw, property::TOPIC_ALIAS, 0x2626);
    property::put_varint(&mut raw, property::SUBSCRIPTION_ID, 16_384);
    property::put_binary(&mut raw, property::CORRELATION_DATA, &[0x26, 0, 0, 0, 0]);
    let properties = PublishProperties::read(&raw).expect("a right list");
    assert_eq!(properties.user.iter().collect::<Vec<_>>(), [("a", "1"), ("", "")]);
    assert_eq!(properties.subscription_ids.collect::<Vec<_>>(), [300, 1, 16_384]);
}

#[test]
fn receipts_in_their_three_forms() {
    for first in [0x40, 0x50, 0x62, 0x70] {
        for version in [Version::V31, Version::V311, Version::V5] {
            same(version, Side::Client, &[first, 2, 0x12, 0x34]);
        }
        let code = if first < 0x60 { 0x10 } else { 0x92 };
        same(Version::V5, Side::Server, &[first, 3, 0, 1, code]);
        let bytes = [&[first, 15, 0, 1, code, 11][..], b"\x1F\0\x01r\x26\0\x01k\0\x01v"].concat();
        let packet = same(Version::V5, Side::Server, &bytes);
        let (Packet::PubAck(receipt) | Packet::PubRec(receipt) | Packet::PubRel(receipt) | Packet::PubComp(receipt)) =
            packet
        else {
            panic!("a receipt")
        };
        assert_eq!((receipt.packet_id, receipt.reason as u8, receipt.reason_string), (1, code, Some("r")));
        assert_eq!(receipt.user.iter().collect::<Vec<_>>(), [("k", "v")]);
        // Longer forms than needed are read too.
        assert!(read(Version::V5, Side::Server, &[first, 4, 0, 1, 0, 0]).is_ok());
    }
    // Marked as sent again, which only 3.1 allows.
    assert!(read(Version::V31, Side::Client, &[0x6A, 2, 0, 1]).is_ok());
    assert!(read(Version::V31, Side::Client, &[0x8A, 6, 0, 1, 0, 1, b'a', 0]).is_ok());
    assert!(read(Version::V311, Side::Client, &[0x6A, 2, 0, 1]).is_err());
}

#[test]
fn subscribe_and_its_answer() {
    // Figure 3.22 of the standard: a/b with QoS 1, c/d with QoS 2.
    let bytes = b"\x82\x0E\0\x0A\0\x03a/b\x01\0\x03c/d\x02";
    for version in [Version::V31, Version::V311] {
        let Packet::Subscribe(subscribe) = same(version, Side::Client, bytes) else { panic!("a SUBSCRIBE") };
        assert_eq!(subscribe.packet_id, 10);
        let wanted =
            [("a/b", SubscribeOptions::new(Qos::AtLeastOnce)), ("c/d", SubscribeOptions::new(Qos::ExactlyOnce))];
        assert_eq!(subscribe.filters.collect::<Vec<_>>(), wanted);
    }
    let list = sized(b"\x0B\x80\x01\x26\0\x01k\0\x01v");
    let bytes = &packet(0x82, &[&[0, 10], &list, b"\0\x01a\x2D\0\x01#\x12"]);
    let Packet::Subscribe(subscribe) = same(Version::V5, Side::Client, bytes) else { panic!("a SUBSCRIBE") };
    assert_eq!(subscribe.subscription_id, Some(128));
    let first =
        SubscribeOptions { qos: Qos::AtLeastOnce, no_local: true, retain_as_published: true, retain_handling: 2 };
    let second =
        SubscribeOptions { qos: Qos::ExactlyOnce, no_local: false, retain_as_published: false, retain_handling: 1 };
    assert_eq!(subscribe.filters.collect::<Vec<_>>(), [("a", first), ("#", second)]);
    let Packet::SubAck(ack) = same(Version::V311, Side::Server, &[0x90, 5, 0, 10, 0, 2, 0x80]) else {
        panic!("a SUBACK")
    };
    assert_eq!(ack.reasons.collect::<Vec<_>>(), [Reason::Success, Reason::GrantedQos2, Reason::Unspecified]);
    let Packet::SubAck(ack) = same(Version::V5, Side::Server, b"\x90\x09\0\x0A\x04\x1F\0\x01r\x8F\x01") else {
        panic!("a SUBACK")
    };
    assert_eq!(ack.reasons.collect::<Vec<_>>(), [Reason::TopicFilterInvalid, Reason::GrantedQos1]);
    let mut out = Vec::new();
    assert!(write_suback(&mut out, Version::V311, 1, &[Reason::NotAuthorized], None, UserProperties::NONE));
    assert_eq!(out, [0x90, 3, 0, 1, 0x80]);
}

#[test]
fn unsubscribe_and_its_answer() {
    let bytes = b"\xA2\x0C\0\x0A\0\x03a/b\0\x03c/d";
    let Packet::Unsubscribe(unsubscribe) = same(Version::V311, Side::Client, bytes) else { panic!("an UNSUBSCRIBE") };
    assert_eq!(unsubscribe.filters.collect::<Vec<_>>(), ["a/b", "c/d"]);
    same(Version::V5, Side::Client, b"\xA2\x0D\0\x0A\x07\x26\0\x01k\0\x01v\0\x01a");
    same(Version::V31, Side::Server, &[0xB0, 2, 0, 10]);
    let Packet::UnsubAck(ack) = same(Version::V5, Side::Server, &[0xB0, 5, 0, 10, 0, 0, 0x11]) else {
        panic!("an UNSUBACK")
    };
    assert_eq!(ack.reasons.collect::<Vec<_>>(), [Reason::Success, Reason::NoSubscriptionExisted]);
}

#[test]
fn pings_and_ends() {
    for version in [Version::V31, Version::V311, Version::V5] {
        assert_eq!(same(version, Side::Client, &[0xC0, 0]), Packet::PingReq);
        assert_eq!(same(version, Side::Server, &[0xD0, 0]), Packet::PingResp);
        let packet = same(version, Side::Client, &[0xE0, 0]);
        assert_eq!(packet, Packet::Disconnect(Disconnect::new(Reason::Success)));
    }
    let packet = same(Version::V5, Side::Client, &[0xE0, 1, 4]);
    assert_eq!(packet, Packet::Disconnect(Disconnect::new(Reason::DisconnectWithWill)));
    same(Version::V5, Side::Client, b"\xE0\x12\0\x10\x11\0\0\0\x05\x1F\0\x01r\x26\0\x01k\0\x01v");
    same(Version::V5, Side::Server, b"\xE0\x06\x9D\x04\x1C\0\x01s");
    // The property list may be there and empty.
    assert!(read(Version::V5, Side::Client, &[0xE0, 2, 0, 0]).is_ok());
}

#[test]
fn auth_of_both_sides() {
    let bytes = b"\xF0\x13\x18\x11\x15\0\x01m\x16\0\x01d\x1F\0\x01r\x26\0\0\0\0";
    for side in [Side::Client, Side::Server] {
        let Packet::Auth(auth) = same(Version::V5, side, bytes) else { panic!("an AUTH") };
        assert_eq!((auth.method, auth.data, auth.reason_string), (Some("m"), Some(&b"d"[..]), Some("r")));
        assert_eq!(auth.reason, Reason::ContinueAuthentication);
    }
    same(Version::V5, Side::Server, &[0xF0, 0]);
    let auth = Auth {
        reason: Reason::ReAuthenticate,
        method: Some("m"),
        data: None,
        reason_string: None,
        user: UserProperties::NONE,
    };
    let mut out = Vec::new();
    assert!(!write_auth(&mut out, Version::V311, &auth));
    assert!(out.is_empty());
}

#[test]
fn a_frame_needs_all_its_bytes_and_keeps_to_its_limit() {
    let mut bytes = vec![0x30, 0xAC, 0x02];
    bytes.resize(303, 7);
    for end in 0..303 {
        assert_eq!(frame(&bytes[..end], 303), Ok(None));
    }
    let found = frame(&[&bytes[..], b"next"].concat(), 303).expect("fits").map(|frame| (frame.total, frame.body.len()));
    assert_eq!(found, Some((303, 300)));
    let too_large = frame(&bytes[..3], 302).expect_err("one byte too many").reason;
    assert_eq!(too_large, Reason::PacketTooLarge);
    assert_eq!(frame(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F], REMAINING_BYTES_MAX + 5), Ok(None));
    assert_eq!(frame(&[0x30, 0xFF, 0xFF, 0xFF], usize::MAX), Ok(None));
    let five = frame(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF], usize::MAX).expect_err("five length bytes").reason;
    assert_eq!(five, Reason::MalformedPacket);
    assert_eq!(frame(&[0x0F], usize::MAX).expect_err("type 0").reason, Reason::MalformedPacket);
}

#[test]
fn a_length_that_is_too_long_is_malformed_only_in_5() {
    for (first, version) in [(0x30, Version::V311), (0x30, Version::V31)] {
        assert!(read(version, Side::Client, &[first, 0x83, 0, 0, 1, b'a']).is_ok());
    }
    let refused = read(Version::V5, Side::Client, &[0x30, 0x84, 0, 0, 1, b'a', 0]).expect_err("not the shortest");
    assert_eq!(refused.reason, Reason::MalformedPacket);
    let refused = read(Version::V5, Side::Client, &[0xC0, 0x80, 0]).expect_err("not the shortest");
    assert_eq!(refused.reason, Reason::MalformedPacket);
    let refused = read(Version::V311, Side::Client, b"\x10\x8D\0\0\x04MQTT\x05\x02\0\0\0\0\0").expect_err("version 5");
    assert_eq!((refused.reason, refused.answer), (Reason::MalformedPacket, Some(Version::V5)));
}

#[test]
fn lengths_around_every_border_are_written_right() {
    for payload in [0, 125, 126, 127, 128, 16_380, 16_381, 16_384, 2_097_148, 2_097_149, 2_097_160] {
        let bytes = vec![9; payload];
        let draft = PublishDraft {
            dup: true,
            qos: Qos::AtMostOnce,
            retain: false,
            topic: "t",
            packet_id: 5,
            properties: &[],
            payload: &bytes,
        };
        for version in [Version::V311, Version::V5] {
            let mut out = Vec::new();
            assert!(write_publish(&mut out, version, &draft));
            assert_eq!(Some(out.len()), draft.bytes(version));
            let Ok(Packet::Publish(publish)) = read(version, Side::Client, &out) else { panic!("a PUBLISH") };
            assert_eq!((publish.payload, publish.dup, publish.packet_id), (&bytes[..], false, 0));
        }
        // The same for a packet whose length is put in afterwards.
        let text = "r".repeat(payload.min(65_535));
        let receipt = Receipt { reason_string: Some(&text), ..Receipt::new(1, Reason::Success) };
        let mut out = vec![1, 2, 3];
        assert!(write_receipt(&mut out, Version::V5, ReceiptKind::Ack, &receipt));
        assert_eq!(read(Version::V5, Side::Server, &out[3..]), Ok(Packet::PubAck(receipt)));
    }
}

#[test]
fn what_no_packet_can_hold_leaves_the_buffer_as_it_was() {
    let long = "x".repeat(65_536);
    let mut out = b"before".to_vec();
    let receipt = Receipt { reason_string: Some(&long), ..Receipt::new(1, Reason::Success) };
    assert!(!write_receipt(&mut out, Version::V5, ReceiptKind::Ack, &receipt));
    let disconnect = Disconnect { server_reference: Some(&long), ..Disconnect::new(Reason::ServerMoved) };
    assert!(!write_disconnect(&mut out, Version::V5, &disconnect));
    let options = SubscribeOptions::new(Qos::AtMostOnce);
    assert!(!write_subscribe(&mut out, Version::V311, 1, None, UserProperties::NONE, [(&*long, options)]));
    assert!(!write_subscribe(&mut out, Version::V311, 1, None, UserProperties::NONE, []));
    assert!(!write_unsubscribe(&mut out, Version::V311, 1, UserProperties::NONE, []));
    assert!(!property::put_pair(&mut out, property::USER, "name", &long));
    assert!(!property::put_varint(&mut out, property::SUBSCRIPTION_ID, 268_435_456));
    let draft = PublishDraft {
        dup: false,
        qos: Qos::AtMostOnce,
        retain: false,
        topic: &long,
        packet_id: 0,
        properties: &[],
        payload: &[],
    };
    assert_eq!(draft.bytes(Version::V5), None);
    assert!(!write_publish(&mut out, Version::V5, &draft));
    assert_eq!(out, b"before");
}

#[test]
fn topic_names_and_filters() {
    for name in
        ["a", "/", "a/b", "$SYS/x", " ", "ä/ö", "sport/tennis/player1", "\u{1}", "\u{FFFF}", "12345678", "1234567890"]
    {
        assert!(is_topic_name(name), "{name:?}");
        assert!(is_topic_filter(name), "{name:?}");
    }
    for name in ["", "+", "#", "a/+", "a/#", "12345678+", "+2345678", "a\0", "12345678\0"] {
        assert!(!is_topic_name(name), "{name:?}");
    }
    for filter in
        ["+", "#", "a/+/b", "+/+", "/+", "a/#", "+/#", "$share/g/a/#", "$share/g//", "$share/g/#", "$shared", "$share"]
    {
        assert_eq!(is_topic_filter(filter), filter != "$share", "{filter:?}");
    }
    for filter in [
        "",
        "a#",
        "#/a",
        "a/#/b",
        "a+",
        "+a",
        "a/b+/c",
        "##",
        "++",
        "\0",
        "$share/",
        "$share/g",
        "$share/g/",
        "$share//a",
        "$share/+/a",
        "$share/g#/a",
    ] {
        assert!(!is_topic_filter(filter), "{filter:?}");
    }
    assert!(is_topic_name(&"x".repeat(65_535)) && is_topic_filter(&"x".repeat(65_535)));
    assert!(!is_topic_name(&"x".repeat(65_536)) && !is_topic_filter(&"x".repeat(65_536)));
}

#[test]
fn every_reason_has_one_code() {
    assert_eq!(Reason::ALL.len(), 43);
    for code in 0..=u8::MAX {
        let known = Reason::ALL.iter().copied().find(|reason| *reason as u8 == code);
        assert_eq!(Reason::of(code), known);
    }
}
