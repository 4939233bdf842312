//! Bytes that must be refused, each with the reason that the sender is told.

use super::*;

/// Reads the packet that `first` and `body` make.
fn refused(version: Version, from: Side, first: u8, body: &[u8]) -> DecodeError {
    let mut bytes = vec![first, body.len() as u8];
    bytes.extend_from_slice(body);
    match read(version, from, &bytes) {
        Ok(packet) => panic!("{first:02X} {body:02X?} was read as {packet:?}"),
        Err(error) => error,
    }
}

use Reason::UnsupportedProtocolVersion as Unsupported;
use Reason::{MalformedPacket as Malformed, ProtocolError as Protocol, TopicAliasInvalid, TopicNameInvalid};
use Side::{Client, Server};
use Version::{V5, V31, V311};

#[test]
fn connects() {
    let cases: &[(&[u8], Reason, Option<Version>)] = &[
        (b"", Malformed, None),
        (b"\0\x04MQT", Malformed, None),
        (b"\0\x04mqtt\x04\x02\0\0\0\0", Unsupported, None),
        (b"\0\x04MQTT", Malformed, None),
        (b"\0\x04MQTT\x03\x02\0\0\0\0", Unsupported, Some(V311)),
        (b"\0\x04MQTT\x06\x02\0\0\0\0\0", Unsupported, Some(V5)),
        (b"\0\x04MQTT\x84\x02\0\0\0\0", Unsupported, Some(V311)),
        (b"\0\x06MQIsdp\x04\x02\0\0\0\0", Unsupported, Some(V311)),
        // Reserved flag; will flags without will; will QoS 3.
        (b"\0\x04MQTT\x04\x03\0\0\0\0", Malformed, Some(V311)),
        (b"\0\x04MQTT\x04\x0A\0\0\0\0", Malformed, Some(V311)),
        (b"\0\x04MQTT\x05\x22\0\0\0\0\0", Malformed, Some(V5)),
        (b"\0\x04MQTT\x04\x1E\0\0\0\0\0\x01w\0\0", Malformed, Some(V311)),
        (b"\0\x06MQIsdp\x03\x1E\0\0\0\0\0\x01w\0\0", Malformed, Some(V31)),
        // A password without a user name.
        (b"\0\x04MQTT\x04\x42\0\0\0\0\0\x01p", Malformed, Some(V311)),
        (b"\0\x06MQIsdp\x03\x42\0\0\0\0\0\x01p", Malformed, Some(V31)),
        // Fields missing, bytes left, texts that are none.
        (b"\0\x04MQTT\x04\x82\0\0\0\0", Malformed, Some(V311)),
        (b"\0\x04MQTT\x04\x02\0\0\0\0\0", Malformed, Some(V311)),
        (b"\0\x04MQTT\x04\x02\0\0\0\x01\xFF", Malformed, Some(V311)),
        (b"\0\x04MQTT\x04\x02\0\0\0\x01\0", Malformed, Some(V311)),
        (b"\0\x04MQTT\x04\x02\0\0\0\x03\xED\xA0\x80", Malformed, Some(V311)),
        // The topic of the will.
        (b"\0\x04MQTT\x04\x06\0\0\0\0\0\x01#\0\0", TopicNameInvalid, Some(V311)),
        (b"\0\x04MQTT\x04\x06\0\0\0\0\0\0\0\0", TopicNameInvalid, Some(V311)),
        (b"\0\x04MQTT\x05\x06\0\0\0\0\0\x02\x23\x01\0\x01w\0\0", Malformed, Some(V5)),
        (b"\0\x04MQTT\x05\x06\0\0\0\0\0\x02\x01\x02\0\x01w\0\0", Protocol, Some(V5)),
        (b"\0\x04MQTT\x05\x06\0\0\0\0\0\x05\x08\0\x02a+\0\x01w\0\0", Protocol, Some(V5)),
    ];
    for (body, reason, answer) in cases {
        let error = refused(V311, Client, 0x10, body);
        assert_eq!((error.reason, error.answer), (*reason, *answer), "{body:02X?}: {error}");
    }
}

#[test]
fn properties_of_connect() {
    let cases: &[(&[u8], Reason)] = &[
        // Unknown, of another packet, cut short, an identifier of two bytes.
        (b"\x00\x01", Malformed),
        (b"\x7F\x01", Malformed),
        (b"\x80\x01\x00", Malformed),
        (b"\x01\x01", Malformed),
        (b"\x18\0\0\0\0", Malformed),
        (b"\x21\0", Malformed),
        (b"\x15\0\x02a", Malformed),
        (b"\x26\0\x01a", Malformed),
        (b"\x26\0\x01a\0\x01\xC0", Malformed),
        // Twice, or out of range.
        (b"\x21\0\x01\x21\0\x01", Protocol),
        (b"\x11\0\0\0\0\x11\0\0\0\0", Protocol),
        (b"\x21\0\0", Protocol),
        (b"\x27\0\0\0\0", Protocol),
        (b"\x17\x02", Protocol),
        (b"\x19\x02", Protocol),
        (b"\x16\0\x01d", Protocol),
    ];
    for (list, reason) in cases {
        let body = [b"\0\x04MQTT\x05\x02\0\0", &[list.len() as u8][..], list, b"\0\0"].concat();
        let error = refused(V5, Client, 0x10, &body);
        assert_eq!((error.reason, error.answer), (*reason, Some(V5)), "{list:02X?}: {error}");
    }
    // A property list that is longer than the packet, and one whose length is not the shortest.
    for list in [&b"\x20\0\0"[..], b"\x80\0\0\0", b"\xFF\xFF\xFF\xFF\x7F\0\0"] {
        let error = refused(V5, Client, 0x10, &[b"\0\x04MQTT\x05\x02\0\0", list].concat());
        assert_eq!(error.reason, Malformed, "{list:02X?}");
    }
}

#[test]
fn publishes() {
    let cases: &[(Version, Side, u8, &[u8], Reason)] = &[
        (V311, Client, 0x36, b"\0\x01a\0\x01", Malformed),
        (V5, Client, 0x3E, b"\0\x01a\0\x01\0", Malformed),
        (V311, Client, 0x38, b"\0\x01a", Malformed),
        (V311, Client, 0x32, b"\0\x01a\0\0", Protocol),
        (V311, Client, 0x32, b"\0\x01a\0", Malformed),
        (V311, Client, 0x30, b"\0", Malformed),
        (V311, Client, 0x30, b"", Malformed),
        (V311, Client, 0x30, b"\0\x02a", Malformed),
        (V311, Client, 0x30, b"\0\0", TopicNameInvalid),
        (V5, Client, 0x30, b"\0\0\0", Protocol),
        (V5, Client, 0x30, b"\0\x01a", Malformed),
        (V311, Client, 0x30, b"\0\x01#", TopicNameInvalid),
        (V5, Server, 0x30, b"\0\x03a/+\0", TopicNameInvalid),
        (V5, Client, 0x30, b"\0\x01\0\0", Malformed),
        (V5, Client, 0x30, b"\0\x02\xC3\x28\0", Malformed),
        (V5, Client, 0x30, b"\0\x03\xED\xBF\xBF\0", Malformed),
        (V5, Client, 0x30, b"\0\0\x03\x23\0\0", TopicAliasInvalid),
        (V5, Client, 0x30, b"\0\x01a\x06\x23\0\x01\x23\0\x01", Protocol),
        (V5, Client, 0x30, b"\0\x01a\x02\x0B\x01", Protocol),
        (V5, Server, 0x30, b"\0\x01a\x02\x0B\0", Protocol),
        (V5, Server, 0x30, b"\0\x01a\x03\x0B\x81\0", Malformed),
        (V5, Server, 0x30, b"\0\x01a\x06\x0B\x80\x80\x80\x80\x01", Malformed),
        (V5, Client, 0x30, b"\0\x01a\x02\x01\x02", Protocol),
        (V5, Client, 0x30, b"\0\x01a\x04\x08\0\x01#", Protocol),
        (V5, Client, 0x30, b"\0\x01a\x03\x08\0\0", Protocol),
        (V5, Client, 0x30, b"\0\x01a\x05\x11\0\0\0\0", Malformed),
    ];
    for (version, from, first, body, reason) in cases {
        let error = refused(*version, *from, *first, body);
        assert_eq!(error.reason, *reason, "{version:?} {first:02X} {body:02X?}: {error}");
        assert_eq!(error.answer, None);
    }
}

#[test]
fn all_others() {
    let cases: &[(Version, Side, u8, &[u8], Reason)] = &[
        // Flags of the fixed header.
        (V311, Client, 0x11, b"\0\x04MQTT\x04\x02\0\0\0\0", Malformed),
        (V311, Client, 0x41, b"\0\x01", Malformed),
        (V311, Client, 0x60, b"\0\x01", Malformed),
        (V5, Client, 0x6A, b"\0\x01", Malformed),
        (V31, Client, 0x63, b"\0\x01", Malformed),
        (V311, Client, 0x80, b"\0\x01\0\x01a\0", Malformed),
        (V311, Client, 0x8A, b"\0\x01\0\x01a\0", Malformed),
        (V311, Client, 0xA0, b"\0\x01\0\x01a", Malformed),
        (V311, Client, 0xC1, b"", Malformed),
        (V311, Client, 0xE1, b"", Malformed),
        // Packets of the other side, and of another version.
        (V311, Client, 0x20, b"\0\0", Protocol),
        (V311, Client, 0x90, b"\0\x01\0", Protocol),
        (V311, Client, 0xB0, b"\0\x01", Protocol),
        (V311, Client, 0xD0, b"", Protocol),
        (V311, Server, 0x10, b"\0\x04MQTT\x04\x02\0\0\0\0", Protocol),
        (V311, Server, 0x82, b"\0\x01\0\x01a\0", Protocol),
        (V311, Server, 0xA2, b"\0\x01\0\x01a", Protocol),
        (V311, Server, 0xC0, b"", Protocol),
        (V311, Server, 0xE0, b"", Protocol),
        (V311, Client, 0xF0, b"", Malformed),
        // CONNACK.
        (V311, Server, 0x20, b"\x02\0", Malformed),
        (V311, Server, 0x20, b"\0\x06", Protocol),
        (V311, Server, 0x20, b"\x01\x05", Protocol),
        (V311, Server, 0x20, b"\0\0\0", Malformed),
        (V5, Server, 0x20, b"\0\0", Malformed),
        (V5, Server, 0x20, b"\0\x01\0", Protocol),
        (V5, Server, 0x20, b"\0\x93\0", Protocol),
        (V5, Server, 0x20, b"\x01\x80\0", Protocol),
        (V5, Server, 0x20, b"\0\0\x02\x24\x02", Protocol),
        (V5, Server, 0x20, b"\0\0\x02\x17\0", Malformed),
        // Receipts.
        (V311, Client, 0x40, b"\0\0", Protocol),
        (V311, Client, 0x40, b"\0", Malformed),
        (V311, Client, 0x40, b"\0\x01\0", Malformed),
        (V5, Client, 0x40, b"\0\x01\x92", Protocol),
        (V5, Client, 0x40, b"\0\x01\x01", Protocol),
        (V5, Client, 0x50, b"\0\x01\x03", Protocol),
        (V5, Client, 0x62, b"\0\x01\x10", Protocol),
        (V5, Client, 0x70, b"\0\x01\x80", Protocol),
        (V5, Client, 0x40, b"\0\x01\0\x01", Malformed),
        (V5, Client, 0x40, b"\0\x01\0\0\0", Malformed),
        (V5, Client, 0x40, b"\0\x01\0\x08\x1F\0\x01a\x1F\0\x01a", Protocol),
        (V5, Client, 0x40, b"\0\x01\0\x02\x01\0", Malformed),
        // SUBSCRIBE and its answer.
        (V311, Client, 0x82, b"\0\0\0\x01a\0", Protocol),
        (V311, Client, 0x82, b"\0\x01", Protocol),
        (V5, Client, 0x82, b"\0\x01\0", Protocol),
        (V5, Client, 0x82, b"\0\x01", Malformed),
        (V311, Client, 0x82, b"\0\x01\0\x01a", Malformed),
        (V311, Client, 0x82, b"\0\x01\0\x01a\x03", Malformed),
        (V311, Client, 0x82, b"\0\x01\0\x01a\x04", Malformed),
        (V311, Client, 0x82, b"\0\x01\0\x01\0\x01", Malformed),
        (V5, Client, 0x82, b"\0\x01\0\0\x01a\x03", Protocol),
        (V5, Client, 0x82, b"\0\x01\0\0\x01a\x30", Protocol),
        (V5, Client, 0x82, b"\0\x01\0\0\x01a\x40", Malformed),
        (V5, Client, 0x82, b"\0\x01\0\0\x0A$share/g/a\x04", Protocol),
        (V5, Client, 0x82, b"\0\x01\x02\x0B\0\0\x01a\0", Protocol),
        (V5, Client, 0x82, b"\0\x01\x04\x0B\x01\x0B\x02\0\x01a\0", Protocol),
        (V5, Client, 0x82, b"\0\x01\x05\x0B\xFF\xFF\xFF\xFF\0\x01a\0", Malformed),
        (V311, Server, 0x90, b"\0\x01", Protocol),
        (V311, Server, 0x90, b"\0\x01\x03", Protocol),
        (V311, Server, 0x90, b"\0\x01\x87", Protocol),
        (V5, Server, 0x90, b"\0\x01\0\x11", Protocol),
        (V5, Server, 0x90, b"\0\x01\0", Protocol),
        // UNSUBSCRIBE and its answer.
        (V311, Client, 0xA2, b"\0\x01", Protocol),
        (V5, Client, 0xA2, b"\0\x01\0", Protocol),
        (V5, Client, 0xA2, b"\0\0\0\0\x01a", Protocol),
        (V311, Client, 0xA2, b"\0\x01\0\x01", Malformed),
        (V5, Client, 0xA2, b"\0\x01\x02\x0B\x01\0\x01a", Malformed),
        (V311, Server, 0xB0, b"\0\x01\0", Malformed),
        (V5, Server, 0xB0, b"\0\x01\0\x01", Protocol),
        // PINGREQ, DISCONNECT, AUTH.
        (V5, Client, 0xC0, b"\0", Malformed),
        (V5, Server, 0xD0, b"\0", Malformed),
        (V311, Client, 0xE0, b"\0", Malformed),
        (V5, Client, 0xE0, b"\x8B", Protocol),
        (V5, Server, 0xE0, b"\x04", Protocol),
        (V5, Client, 0xE0, b"\x03", Protocol),
        (V5, Client, 0xE0, b"\0\0\0", Malformed),
        (V5, Client, 0xE0, b"\0\x04\x1C\0\x01s", Protocol),
        (V5, Server, 0xE0, b"\0\x05\x11\0\0\0\0", Protocol),
        (V5, Client, 0xE0, b"\0\x03\x21\0\x01", Malformed),
        (V5, Client, 0xF0, b"", Protocol),
        (V5, Client, 0xF0, b"\x18", Malformed),
        (V5, Client, 0xF0, b"\x18\0", Protocol),
        (V5, Client, 0xF0, b"\0\x04\x15\0\x01m", Protocol),
        (V5, Server, 0xF0, b"\x19\x04\x15\0\x01m", Protocol),
        (V5, Client, 0xF0, b"\x80\x04\x15\0\x01m", Protocol),
        (V5, Client, 0xF0, b"\x18\x08\x15\0\x01m\x15\0\x01m", Protocol),
        (V5, Client, 0xF0, b"\x18\x04\x15\0\x01m\0", Malformed),
    ];
    for (version, from, first, body, reason) in cases {
        let error = refused(*version, *from, *first, body);
        assert_eq!(error.reason, *reason, "{version:?} {from:?} {first:02X} {body:02X?}: {error}");
    }
}
