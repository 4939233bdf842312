//! Where packets end and which answer they get; whole connections are tried in the tests of `source`.

use proptest::prelude::*;

use super::answers::{ANSWERS_MAX, Answers};
use super::cut::{Answered, Length, answer, answered, length, whole};

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut left = body.len();
    loop {
        let more = left > 0x7F;
        out.push(left as u8 & 0x7F | u8::from(more) << 7);
        left >>= 7;
        if !more {
            break;
        }
    }
    out.extend_from_slice(body);
    out
}

fn publish(qos: u8, topic: &str, id: u16) -> Vec<u8> {
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend_from_slice(topic.as_bytes());
    if qos > 0 {
        body.extend_from_slice(&id.to_be_bytes());
    }
    body.extend_from_slice(b"payload");
    packet(0x30 | qos << 1, &body)
}

#[test]
fn lengths_are_read_as_soon_as_they_are_there() {
    assert_eq!(length(&[]), Length::Unknown);
    assert_eq!(length(&[0x30]), Length::Unknown);
    assert_eq!(length(&[0x30, 0xFF, 0xFF, 0xFF]), Length::Unknown);
    assert_eq!(length(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]), Length::Known { header: 5, total: 5 + 268_435_455 });
    assert_eq!(length(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF]), Length::Malformed);
    assert_eq!(length(&[0xC0, 0]), Length::Known { header: 2, total: 2 });
    assert_eq!(length(&packet(0x30, &[0; 200])), Length::Known { header: 3, total: 203 });
}

#[test]
fn every_request_finds_its_answer() {
    let requests = [
        (publish(1, "a/topic", 0x1234), packet(0x40, &[0x12, 0x34])),
        (publish(2, "a/topic", 0x1234), packet(0x50, &[0x12, 0x34, 0, 0])),
        (packet(0x62, &[0x12, 0x34]), packet(0x70, &[0x12, 0x34])),
        (packet(0x82, &[0x12, 0x34, 0, 1, b't', 0]), packet(0x90, &[0x12, 0x34, 0])),
        (packet(0xA2, &[0x12, 0x34, 0, 1, b't']), packet(0xB0, &[0x12, 0x34])),
        (packet(0xC0, &[]), packet(0xD0, &[])),
    ];
    for (at, (request, _)) in requests.iter().enumerate() {
        let Answered::With(wanted) = answered(request) else { panic!("{request:?}") };
        for (other, (_, answering)) in requests.iter().enumerate() {
            assert_eq!(answer(answering) == Some(wanted), at == other, "{request:?} {answering:?}");
        }
    }
    for unanswered in [publish(0, "t", 0), packet(0x40, &[0, 1]), packet(0x50, &[0, 1]), packet(0x70, &[0, 1])] {
        assert_eq!(answered(&unanswered), Answered::Never);
    }
    for nobodys in [publish(1, "t", 1), packet(0x20, &[0, 0]), packet(0x62, &[0, 1]), packet(0xE0, &[0])] {
        assert_eq!(answer(&nobodys), None);
    }
    let long = publish(1, &"t".repeat(300), 7);
    for cut in 0..long.len() - "payload".len() {
        assert_eq!(answered(&long[..cut]), Answered::Unknown, "{cut}");
    }
}

#[test]
fn answers_are_given_once_and_in_the_order_of_the_requests() {
    let mut answers = Answers::default();
    assert!(answers.expect(4, &publish(1, "t", 7)));
    assert!(answers.expect(8, &publish(1, "t", 7)));
    assert!(!answers.expect(8, &publish(0, "t", 0)));
    let ack = packet(0x40, &[0, 7]);
    for stream in [4, 8] {
        assert_eq!(answers.stream_of(&ack), Some(stream));
        answers.take(&ack);
    }
    assert_eq!(answers.stream_of(&ack), None);
    assert!(answers.is_empty());
    for id in 0..ANSWERS_MAX {
        assert!(answers.has_room());
        answers.expect(4, &publish(1, "t", id as u16));
    }
    assert!(!answers.has_room());
}

proptest! {
    #[test]
    fn whole_packets_are_found_wherever_the_bytes_end(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let packets: Vec<Vec<u8>> = bodies.iter().map(|body| packet(0x30, body)).collect();
        let all = packets.concat();
        let cut = cut.index(all.len() + 1);
        let (mut seen, mut end) = (Vec::new(), 0);
        for one in &packets {
            if end + one.len() <= cut {
                seen.push(one.clone());
                end += one.len();
            } else {
                break;
            }
        }
        let mut found = Vec::new();
        prop_assert_eq!(whole(&all[..cut], |packet| found.push(packet.to_vec())), end);
        prop_assert_eq!(found, seen);
    }

    #[test]
    fn no_bytes_bring_it_down(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut total = 0;
        let end = whole(&bytes, |packet| total += packet.len());
        prop_assert_eq!(total, end);
        let mut answers = Answers::default();
        if answers.expect(4, &bytes) {
            prop_assert!(answered(&bytes) != Answered::Unknown);
        }
        prop_assert_eq!(answers.stream_of(&bytes), None);
    }
}
