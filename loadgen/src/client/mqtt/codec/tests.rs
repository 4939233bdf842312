//! Known bytes, round trips, and that no bytes do harm.

use proptest::prelude::*;

use super::*;

const ANY: usize = usize::MAX;

fn publish(version: Version, qos: Qos, retain: bool, topic: &str, packet_id: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let mut out = b"before".to_vec();
    let mut draft = Draft::begin(&mut out, qos, retain);
    out.extend_from_slice(topic.as_bytes());
    draft.topic_ends(&mut out, version, packet_id);
    out.extend_from_slice(payload);
    draft.finish(&mut out).unwrap();
    out.split_off(6)
}

#[test]
fn connect_has_the_bytes_of_the_standard() {
    let connect = Connect {
        client_id: "a-1",
        keep_alive_s: 60,
        clean_start: true,
        username: Some("u"),
        password: Some(b"pw"),
        session_expiry_s: 3600,
        receive_maximum: 100,
    };
    let mut out = Vec::new();
    connect.write(Version::V311, &mut out).unwrap();
    assert_eq!(out, b"\x10\x16\x00\x04MQTT\x04\xC2\x00\x3C\x00\x03a-1\x00\x01u\x00\x02pw");
    out.clear();
    let connect = Connect { clean_start: false, username: None, password: None, ..connect };
    connect.write(Version::V5, &mut out).unwrap();
    assert_eq!(out, b"\x10\x18\x00\x04MQTT\x05\x00\x00\x3C\x08\x11\x00\x00\x0E\x10\x21\x00\x64\x00\x03a-1");
}

#[test]
fn what_cannot_be_written_leaves_the_buffer_as_it_was() {
    let long = "x".repeat(65_536);
    let mut out = b"before".to_vec();
    let connect = Connect {
        client_id: &long,
        keep_alive_s: 0,
        clean_start: true,
        username: None,
        password: None,
        session_expiry_s: 0,
        receive_maximum: 1,
    };
    let error = CodecError::TextTooLong { what: "the client id", bytes: 65_536 };
    assert_eq!(connect.write(Version::V5, &mut out), Err(error));
    let mut draft = Draft::begin(&mut out, Qos::AtMostOnce, false);
    out.extend_from_slice(long.as_bytes());
    draft.topic_ends(&mut out, Version::V5, None);
    assert_eq!(draft.finish(&mut out), Err(CodecError::TextTooLong { what: "the topic", bytes: 65_536 }));
    assert_eq!(out, b"before");
}

#[test]
fn subscribe_disconnect_and_ping_have_the_bytes_of_the_standard() {
    let mut out = Vec::new();
    let filters = ["a/+".to_owned(), "b/#".to_owned()];
    write_subscribe(Version::V311, 7, &filters, Qos::AtLeastOnce, &mut out).unwrap();
    assert_eq!(out, b"\x82\x0E\x00\x07\x00\x03a/+\x01\x00\x03b/#\x01");
    out.clear();
    write_subscribe(Version::V5, 7, &filters[..1], Qos::ExactlyOnce, &mut out).unwrap();
    assert_eq!(out, b"\x82\x09\x00\x07\x00\x00\x03a/+\x02");
    out.clear();
    write_ping(&mut out);
    write_disconnect(Version::V311, true, &mut out);
    write_disconnect(Version::V5, true, &mut out);
    assert_eq!(out, b"\xC0\x00\xE0\x00\xE0\x07\x00\x05\x11\x00\x00\x00\x00");
}

#[test]
fn connack_of_version_5_says_its_limits() {
    let bytes = b"\x20\x15\x01\x00\x12\x21\x00\x0A\x22\x00\x05\x24\x01\x13\x00\x1E\x27\x00\x01\x00\x00\x2A\x01";
    let (packet, used) = decode(Version::V5, bytes, ANY).unwrap().unwrap();
    assert_eq!(used, bytes.len());
    let expected = ConnAck {
        session_present: true,
        reason: 0,
        receive_maximum: 10,
        maximum_qos: Qos::AtLeastOnce,
        topic_alias_maximum: 5,
        server_keep_alive_s: Some(30),
        packet_bytes_max: Some(65_536),
    };
    assert_eq!(packet, Packet::ConnAck(expected));
    let (packet, _) = decode(Version::V311, b"\x20\x02\x00\x05", ANY).unwrap().unwrap();
    assert!(matches!(packet, Packet::ConnAck(ConnAck { reason: 5, session_present: false, .. })));
}

#[test]
fn codes_of_receipts_and_of_suback_are_read() {
    for (bytes, reason) in
        [(&b"\x40\x02\x00\x09"[..], 0), (b"\x40\x03\x00\x09\x97", 0x97), (b"\x40\x04\x00\x09\x10\x00", 0x10)]
    {
        let (packet, _) = decode(Version::V5, bytes, ANY).unwrap().unwrap();
        assert_eq!(packet, Packet::Receipt(Receipt { kind: ReceiptKind::Ack, packet_id: 9, reason }));
    }
    assert_eq!(decode(Version::V311, b"\x40\x03\x00\x09\x97", ANY), Err(CodecError::Malformed("PUBACK")));
    let (packet, _) = decode(Version::V5, b"\x90\x05\x00\x01\x00\x01\x87", ANY).unwrap().unwrap();
    assert_eq!(packet, Packet::SubAck { packet_id: 1, codes: &[1, 0x87] });
    let (packet, _) = decode(Version::V5, b"\xE0\x01\x8E", ANY).unwrap().unwrap();
    assert_eq!(packet, Packet::Disconnect { reason: 0x8E });
}

#[test]
fn what_no_server_may_send_is_an_error() {
    for (bytes, error) in [
        (&b"\x10\x00"[..], CodecError::Unexpected(0x10)),
        (b"\x00\x00", CodecError::Unexpected(0)),
        (b"\x60\x02\x00\x01", CodecError::Unexpected(0x60)),
        (b"\xE0\x00", CodecError::Unexpected(0xE0)),
        (b"\x36\x05\x00\x01a\x00\x01", CodecError::Malformed("PUBLISH")),
        (b"\x32\x05\x00\x01a\x00\x00", CodecError::Malformed("PUBLISH")),
        (b"\x30\x03\x00\x01\xFF", CodecError::Malformed("PUBLISH")),
        (b"\x30\x80\x80\x80\x80\x01", CodecError::Length),
        (b"\x20\x03\x00\x00\x00", CodecError::Malformed("CONNACK")),
    ] {
        assert_eq!(decode(Version::V311, bytes, ANY), Err(error), "{bytes:02x?}");
    }
}

#[test]
fn what_is_no_packet_is_known_by_its_first_byte() {
    assert_eq!(decode(Version::V5, b"HTTP/1.1 400", ANY), Err(CodecError::Unexpected(b'H')));
}

#[test]
fn a_packet_over_the_limit_is_an_error_before_its_body_is_there() {
    let error = CodecError::TooLarge { bytes: 268_435_460, bytes_max: 1_000 };
    assert_eq!(decode(Version::V5, b"\x30\xFF\xFF\xFF\x7F", 1_000), Err(error));
}

fn versions() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V311), Just(Version::V5)]
}

fn levels() -> impl Strategy<Value = Qos> {
    prop_oneof![Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce), Just(Qos::ExactlyOnce)]
}

proptest! {
    #[test]
    fn no_bytes_panic(version in versions(), mut bytes in prop::collection::vec(any::<u8>(), 0..300), first in any::<u8>(),
                      plausible in any::<bool>()) {
        if plausible && bytes.len() > 2 {
            // A length that fits, so that bodies are looked at too.
            bytes.truncate(120);
            bytes[0] = first;
            bytes[1] = (bytes.len() - 2) as u8;
        }
        if let Ok(Some((_, used))) = decode(version, &bytes, ANY) {
            prop_assert!(used >= 2 && used <= bytes.len());
        }
    }

    #[test]
    fn a_publish_is_read_as_it_was_written(version in versions(), qos in levels(), retain in any::<bool>(), dup in any::<bool>(),
                                           topic in "[a-zü/]{0,40}", id in 1u16.., size in prop_oneof![0usize..200, 16_000usize..17_000],
                                           cut in any::<prop::sample::Index>()) {
        let payload: Vec<u8> = (0..size).map(|n| n as u8).collect();
        let packet_id = (qos > Qos::AtMostOnce).then_some(id);
        let mut bytes = publish(version, qos, retain, &topic, packet_id, &payload);
        if dup {
            encode::set_dup(&mut bytes);
        }
        let whole = bytes.len();
        prop_assert_eq!(decode(version, &bytes[..cut.index(whole)], ANY), Ok(None), "a part is not a packet");
        bytes.extend_from_slice(b"after");
        let (packet, used) = decode(version, &bytes, ANY).unwrap().unwrap();
        prop_assert_eq!(used, whole);
        prop_assert_eq!(packet, Packet::Publish(Publish { dup, qos, retain, packet_id, topic: &topic, payload: &payload }));
    }

    #[test]
    fn a_receipt_is_read_as_it_was_written(version in versions(), packet_id in 1u16.., which in 0usize..4) {
        let kind = [ReceiptKind::Ack, ReceiptKind::Rec, ReceiptKind::Rel, ReceiptKind::Comp][which];
        let mut bytes = Vec::new();
        write_receipt(kind, packet_id, &mut bytes);
        let expected = Packet::Receipt(Receipt { kind, packet_id, reason: 0 });
        prop_assert_eq!(decode(version, &bytes, ANY), Ok(Some((expected, 4))));
    }
}
