//! Servers that break, refuse and limit on purpose.

use std::sync::mpsc;

use super::server::{CONNACK, CONNACK_PRESENT, Peer, listen, sink};
use super::*;
use codec::{Packet, ReceiptKind, decode, write_receipt};

/// A plan of one device and one connection.
fn single(target: &Target, qos: Qos, events: u64) -> MqttPlan {
    let mut plan = plan(target, Version::V5, qos);
    (plan.devices, plan.connections, plan.threads, plan.events) = (1, 1, 1, events);
    plan
}

/// Of a PUBLISH: DUP, packet id, sequence number.
fn message(packet: &[u8]) -> (bool, u16, u32) {
    let Ok(Some((Packet::Publish(publish), _))) = decode(Version::V5, packet, usize::MAX) else {
        panic!("{packet:02x?}")
    };
    (publish.dup, publish.packet_id.unwrap_or(0), event_of(&publish).1)
}

fn receipt(kind: ReceiptKind, packet_id: u16) -> Vec<u8> {
    let mut out = Vec::new();
    write_receipt(kind, packet_id, &mut out);
    out
}

fn ack_everything(peer: &mut Peer) {
    while let Some(packet) = peer.packet() {
        match packet[0] & 0xF0 {
            0x30 => {
                let kind = if packet[0] & 0x06 == 0x04 { ReceiptKind::Rec } else { ReceiptKind::Ack };
                peer.say(&receipt(kind, message(&packet).1));
            }
            0x60 => peer.say(&receipt(ReceiptKind::Comp, u16::from_be_bytes([packet[2], packet[3]]))),
            _ => {}
        }
    }
}

/// What each connection after the first sends: DUP, id and sequence number of a PUBLISH, or the id of a PUBREL.
#[derive(Debug, PartialEq)]
enum Sent {
    Message(bool, u16, u32),
    Release(u16),
}

/// QoS 2: three messages, PUBREC for the first, then the connection is cut. What the next one, with this CONNACK, begins with.
fn after_a_cut(connack: &'static [u8]) -> (Vec<Sent>, MqttOutcome) {
    let (tell, told) = mpsc::channel();
    let target = listen(move |mut peer, number| {
        let connect = peer.packet().unwrap();
        assert_eq!(connect[9] & 0x02 != 0, number == 0, "a clean start on the first connection only");
        if number == 0 {
            peer.say(CONNACK);
            let first = message(&peer.packet().unwrap());
            peer.packet().unwrap();
            peer.packet().unwrap();
            peer.say(&receipt(ReceiptKind::Rec, first.1));
            assert_eq!(peer.packet().unwrap()[0], 0x62);
            return;
        }
        peer.say(connack);
        for _ in 0..3 {
            let packet = peer.packet().unwrap();
            tell.send(if packet[0] == 0x62 {
                peer.say(&receipt(ReceiptKind::Comp, u16::from_be_bytes([packet[2], packet[3]])));
                Sent::Release(u16::from_be_bytes([packet[2], packet[3]]))
            } else {
                let (dup, id, seq) = message(&packet);
                peer.say(&receipt(ReceiptKind::Rec, id));
                Sent::Message(dup, id, seq)
            })
            .unwrap();
        }
        ack_everything(&mut peer);
    });
    let outcome = run_plan(single(&target, Qos::ExactlyOnce, 3)).unwrap();
    (told.try_iter().collect(), outcome)
}

#[test]
fn a_session_that_the_broker_kept_is_continued() {
    let (sent, outcome) = after_a_cut(CONNACK_PRESENT);
    assert_eq!(sent, [Sent::Release(1), Sent::Message(true, 2, 1), Sent::Message(true, 3, 2)]);
    assert_eq!((outcome.ledger.acknowledged_events(), outcome.ledger.repeated_events(), outcome.reconnects), (3, 2, 1));
}

#[test]
fn a_session_that_the_broker_lost_is_begun_again() {
    let (sent, outcome) = after_a_cut(CONNACK);
    assert_eq!(sent, [Sent::Message(true, 1, 0), Sent::Message(true, 2, 1), Sent::Message(true, 3, 2)]);
    assert_eq!((outcome.ledger.acknowledged_events(), outcome.ledger.repeated_events()), (3, 3));
}

#[test]
fn the_window_and_the_brokers_receive_maximum_bound_what_is_under_way() {
    for (connack, window, expected) in [(CONNACK, 7, 7), (&b"\x20\x06\x00\x00\x03\x21\x00\x04"[..], 7, 4)] {
        let (tell, told) = mpsc::channel();
        let target = listen(move |mut peer, _| {
            peer.packet().unwrap();
            peer.say(connack);
            let messages: Vec<u16> = (0..expected).map(|_| message(&peer.packet().unwrap()).1).collect();
            // More would have come in the same write.
            tell.send(peer.has_more()).unwrap();
            messages.iter().for_each(|&id| peer.say(&receipt(ReceiptKind::Ack, id)));
            ack_everything(&mut peer);
        });
        let mut plan = single(&target, Qos::AtLeastOnce, 50);
        plan.window = window;
        assert_eq!(run_plan(plan).unwrap().ledger.acknowledged_events(), 50);
        assert!(!told.recv().unwrap(), "no more than {expected} without a receipt");
    }
}

#[test]
fn a_message_without_a_receipt_in_time_breaks_the_connection_and_goes_out_again() {
    let target = listen(|mut peer, number| {
        peer.packet().unwrap();
        peer.say(CONNACK);
        if number == 0 {
            while peer.packet().is_some() {}
        }
        ack_everything(&mut peer);
    });
    let mut plan = single(&target, Qos::AtLeastOnce, 5);
    plan.access.request_timeout = Duration::from_millis(50);
    let outcome = run_plan(plan).unwrap();
    assert_eq!((outcome.ledger.acknowledged_events(), outcome.ledger.repeated_events()), (5, 5));
    assert!(
        outcome.latencies.quantiles().p50_us >= 50_000,
        "from the first attempt: {:?}",
        outcome.latencies.quantiles()
    );
}

#[test]
fn a_refusal_that_lasts_ends_the_run_with_the_brokers_words() {
    for (version, connack, words) in [
        (Version::V311, &b"\x20\x02\x00\x05"[..], "not authorized"),
        (Version::V5, b"\x20\x03\x00\x86\x00", "bad user or password"),
        (Version::V5, b"\x20\x05\x00\x00\x02\x24\x00", "QoS 0 at most"),
        (Version::V5, b"\x20\x03\x00\x00\x00\xE0\x01\x8E", "taken over"),
        (Version::V5, b"HTTP/1.1 400 Bad Request\r\n\r\n", "no MQTT"),
    ] {
        let target = listen(move |mut peer, _| {
            // The others are called off when the first is refused.
            if peer.packet().is_some() {
                peer.say(connack);
                while peer.packet().is_some() {}
            }
        });
        let mut plan = plan(&target, version, Qos::AtLeastOnce);
        plan.access.give_up_after = Duration::from_secs(20);
        let said = run_plan(plan).map(|_| "no error").unwrap_err().to_string();
        assert!(said.contains(words) && said.contains(&target.to_string()), "{said}");
    }
}

#[test]
fn a_single_message_that_the_broker_refuses_is_not_acknowledged() {
    let target = listen(|mut peer, _| {
        peer.packet().unwrap();
        peer.say(CONNACK);
        while let Some(packet) = peer.packet() {
            if packet[0] & 0xF0 == 0x30 {
                let (_, id, seq) = message(&packet);
                let [high, low] = id.to_be_bytes();
                peer.say(&[0x40, 3, high, low, if seq == 2 { 0x97 } else { 0x10 }]);
            }
        }
    });
    let outcome = run_plan(single(&target, Qos::AtLeastOnce, 5)).unwrap();
    assert_eq!((outcome.ledger.acknowledged_events(), outcome.ledger.unknown_events(), outcome.refused), (4, 1, 1));
}

#[test]
fn a_broker_that_is_never_there_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target: Target = format!("mqtt://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let mut plan = plan(&target, Version::V5, Qos::AtLeastOnce);
    plan.access.give_up_after = Duration::from_millis(100);
    let outcome = run_plan(plan).unwrap();
    assert_eq!((outcome.abandoned, outcome.ledger.sent_events()), (4, 0));
    assert!(outcome.retries > 4);
    let reader = SubscribePlan {
        access: Access { give_up_after: Duration::ZERO, ..Access::new(target) },
        ..SubscribePlan::new("mqtt://x".parse().unwrap(), "r", Vec::new())
    };
    let (_stop, stopped) = watch::channel(false);
    assert!(matches!(block_on(subscribe(reader, stopped, None, |_| {})), Err(MqttError::Unreachable { .. })));
}

#[test]
fn an_idle_connection_is_kept_alive_by_pings() {
    let (tell, told) = mpsc::channel();
    let target = listen(move |mut peer, _| {
        peer.packet().unwrap();
        // The broker wants a packet a second.
        peer.say(b"\x20\x06\x00\x00\x03\x13\x00\x01");
        while let Some(packet) = peer.packet() {
            if packet[0] == 0xC0 {
                peer.say(b"\xD0\x00");
                tell.send(()).unwrap();
            }
        }
    });
    let mut plan = single(&target, Qos::AtLeastOnce, u64::MAX);
    // The first event is due after hours.
    plan.pace = crate::pace::Pace::Open { rate: crate::pace::Rate::Constant(1e-9), poisson: true };
    let (stop, stopped) = watch::channel(false);
    let pinged = std::thread::spawn(move || {
        let pinged = told.recv_timeout(Duration::from_secs(10)).is_ok();
        stop.send_replace(true);
        pinged
    });
    let outcome = block_on(run(plan, Arc::new(Progress::default()), stopped)).unwrap();
    assert!(pinged.join().unwrap());
    assert_eq!((outcome.ledger.sent_events(), outcome.reconnects), (0, 0));
}

#[test]
fn what_a_sink_swallows_is_what_was_written() {
    for version in [Version::V311, Version::V5] {
        let (target, bytes) = sink();
        let mut plan = plan(&target, version, Qos::AtMostOnce);
        plan.events = 100_000;
        let outcome = run_plan(plan).unwrap();
        assert_eq!((outcome.ledger.sent_events(), outcome.ledger.acknowledged_events()), (100_000, 0));
        // Each connection also says good-bye.
        let byes = if version == Version::V5 { 4 * 9 } else { 4 * 2 };
        assert_eq!(bytes.load(Ordering::Relaxed), outcome.bytes + byes);
    }
}

#[test]
fn a_subscriber_shows_a_message_of_qos_2_once() {
    let (tell, told) = mpsc::channel();
    let target = listen(move |mut peer, number| {
        assert_eq!(peer.packet().unwrap()[0], 0x10);
        peer.say(if number == 0 { CONNACK } else { CONNACK_PRESENT });
        assert_eq!(peer.packet().unwrap()[0], 0x82);
        peer.say(b"\x90\x04\x00\x01\x00\x02");
        let first = if number == 0 { 0x34 } else { 0x3C };
        peer.say(&[first, 7, 0, 1, b't', 0, 9, 0, b'x']);
        assert_eq!(peer.packet().unwrap(), receipt(ReceiptKind::Rec, 9));
        if number == 0 {
            return;
        }
        peer.say(&receipt(ReceiptKind::Rel, 9));
        assert_eq!(peer.packet().unwrap(), receipt(ReceiptKind::Comp, 9));
        tell.send(()).unwrap();
        while peer.packet().is_some() {}
    });
    let mut plan = SubscribePlan::new(target, "reader", vec!["t".to_owned()]);
    plan.qos = Qos::ExactlyOnce;
    let (stop, stopped) = watch::channel(false);
    std::thread::spawn(move || {
        told.recv_timeout(Duration::from_secs(10)).ok();
        stop.send_replace(true);
    });
    let mut payloads = Vec::new();
    let outcome = block_on(subscribe(plan, stopped, None, |publish| payloads.push(publish.payload.to_vec()))).unwrap();
    assert_eq!(payloads, [b"x"]);
    assert_eq!((outcome.messages, outcome.reconnects), (1, 1));
}
