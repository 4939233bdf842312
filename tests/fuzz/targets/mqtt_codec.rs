//! Foreign bytes as MQTT: no panic, and what is read is written again and read as the same.
#![no_main]

use connectors::mqtt::codec::{Packet, Side, Version, decode, frame, is_topic_filter, is_topic_name, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [choice, first, body @ ..] = input else { return };
    let version = [Version::V31, Version::V311, Version::V5][usize::from(choice % 3)];
    let from = if choice & 0x80 == 0 { Side::Client } else { Side::Server };
    let _ = frame(&input[1..], usize::MAX);
    if body.len() > 16_383 {
        return;
    }
    // A frame of the right length, so that the fuzzer gets past it and into the packet.
    let mut bytes = vec![*first];
    if body.len() > 127 {
        bytes.push(body.len() as u8 | 0x80);
        bytes.push((body.len() >> 7) as u8);
    } else {
        bytes.push(body.len() as u8);
    }
    bytes.extend_from_slice(body);
    let Ok(found) = frame(&bytes, bytes.len()) else { return };
    let found = found.expect("the frame is whole");
    assert_eq!(found.body, body);
    let Ok(packet) = decode(version, from, &found) else { return };

    let version = if let Packet::Connect(connect) = packet { connect.version } else { version };
    if let Packet::Publish(publish) = packet {
        assert!(publish.topic.is_empty() || is_topic_name(publish.topic));
        assert!(publish.topic.is_empty() || is_topic_filter(publish.topic) || publish.topic.starts_with("$share"));
    }
    let mut again = Vec::new();
    assert!(write(&mut again, version, &packet));
    let found = frame(&again, again.len()).expect("we wrote it").expect("whole");
    assert_eq!(decode(version, from, &found), Ok(packet));
});
