//! The node's rules, one by one: what a client may not do and how it ends, what is refused, and what the bounds hold.

use engine::batch::{HeaderWriter, partition_of};
use engine::lane::Rows;

use super::tools::*;
use crate::quic::frame::*;
use crate::quic::session::server::{Action, Append, Kept, Opened, Outgoing, Rejected};
use crate::quic::session::{QuicLimits, Server, producer_number};

#[test]
fn what_ends_the_connection() {
    let fresh = || Server::new(QuicLimits::default(), true);
    assert_eq!(fault(fresh().handle_control(&subscribe(1, 1))), Code::PROTOCOL, "no HELLO");
    assert_eq!(fault(fresh().handle_publish(2, b"x", 0)), Code::PROTOCOL, "before WELCOME");
    assert_eq!(fault(open().handle_control(&hello())), Code::PROTOCOL, "a second HELLO");
    assert_eq!(fault(open().handle_control(&[0x40, 0x41, 0])), Code::UNKNOWN_FRAME);
    assert_eq!(open().handle_control(&[0x40, 0x40, 2, 9, 9]), Ok(()), "an even one is skipped");
    assert_eq!(fault(open().handle_control(&[0x05, 0x80, 1, 0, 1])), Code::FRAME_TOO_LARGE);
    assert_eq!(fault(open().handle_control(&[0x05, 1, 1])), Code::MALFORMED);
    let ended = Ended { subscription: 1, code: Code::NONE, text: "", advice: "" };
    assert_eq!(fault(open().handle_control(&bytes(Control::Ended(ended)))), Code::PROTOCOL, "the node's frame");
    let mut server = open();
    server.handle_control(&subscribe(7, 1)).expect("valid");
    assert_eq!(fault(server.handle_control(&subscribe(7, 1))), Code::PROTOCOL, "the same number");
    assert_eq!(fault(open().handle_publish(2, &[0x33, 4, 0, 0, 1, 0], 0)), Code::PROTOCOL, "no PRODUCER");
    assert_eq!(fault(open().handle_publish(2, &[0x31, 0x7f, 0xff], 0)), Code::FRAME_TOO_LARGE);
    let mut server = open();
    server.handle_publish(2, &producer(1), 0).expect("valid");
    assert_eq!(fault(server.handle_publish(2, &producer(2), 0)), Code::PROTOCOL, "a second PRODUCER");
    let mut server = open();
    server.handle_publish(2, &producer(1), 0).expect("valid");
    assert_eq!(fault(server.handle_publish(6, &producer(1), 0)), Code::PROTOCOL, "two streams, one number");
    assert_eq!(fault(server.handle_publish(2, &[0x33, 0x80, 0x20, 0, 0], 0)), Code::FRAME_TOO_LARGE);
    let mut server = open();
    server.handle_publish(2, &producer(1)[..5], 0).expect("more will come");
    assert_eq!(fault(server.handle_publish_end(2, false)), Code::MALFORMED, "an end within a frame");
    assert_eq!(
        open_with(QuicLimits::default(), 1).handle_publish(2, b"x", 0).map_err(|fault| fault.code),
        Err(Code::FORBIDDEN)
    );
    let mut server = open();
    for stream in 0..16 {
        server.handle_publish(stream, &producer(stream as u32), 0).expect("the ends of eight can be on their way");
    }
    assert_eq!(fault(server.handle_publish(99, &producer(99), 0)), Code::LIMIT);
    for stream in 0..8 {
        server.handle_publish_end(stream, stream == 3).expect("between frames");
    }
    assert!(answers(&mut server).is_empty());
    server.handle_publish(99, &producer(99), 0).expect("they have come");
}

#[test]
fn zero_rtt_carries_only_what_may_be_repeated() {
    let mut server = Server::new(QuicLimits::default(), false);
    server.handle_control(&[hello(), subscribe(1, 5)].concat()).expect("idempotent");
    server.poll_action();
    assert_eq!(fault(server.handle_publish(2, b"", 0)), Code::EARLY_DATA);
    server.handle_authenticated(grant(ALL)).expect("idempotent");
    let commit = bytes(Control::Commit(Commit { request: 1, subscriber: "a", positions: Pairs::default() }));
    assert_eq!(fault(server.handle_control(&commit)), Code::EARLY_DATA);
    server.handle_confirmed();
    server.handle_control(&commit).expect("the handshake is complete");
}

#[test]
fn what_waits_for_the_welcome_is_done_behind_it() {
    let mut server = Server::new(QuicLimits::default(), true);
    server.handle_control(&[hello(), subscribe(1, 5), subscribe(2, 5)].concat()).expect("valid");
    assert!(matches!(server.poll_action(), Some(Action::Authenticate(_))));
    assert!(server.poll_action().is_none() && !server.wants_control());
    server.handle_authenticated(grant(ALL)).expect("valid");
    assert!(matches!(server.poll_action(), Some(Action::Subscribe(wanted)) if wanted.subscription == 1));
    assert!(matches!(server.poll_action(), Some(Action::Subscribe(wanted)) if wanted.subscription == 2));
    server.handle_opened(1, &Opened { groups: vec![vec![(0, 5)]], ..Opened::default() }).expect("valid");
    server.handle_refused(2, Code::FILTER_INVALID, &"ä".repeat(5_000), "").expect("valid");
    assert_eq!(answers(&mut server), ["welcome", "subscribed 1", "refused 2 filter_invalid"]);
}

#[test]
fn what_is_refused_and_what_is_ended() {
    let mut server = open_with(QuicLimits { subscriptions_max: 1, ..QuicLimits::default() }, Welcome::MAY_READ);
    let mut list = Vec::new();
    Pairs::encode(&mut list, [(9, 0)]);
    let positions = Pairs::of(0, &list).expect("valid");
    let foreign = Subscribe { start: Start::Offsets(positions), ..Subscribe::new(1, 5) };
    let commit = Control::Commit(Commit { request: 3, subscriber: "a", positions: Pairs::default() });
    let frames = [bytes(Control::Subscribe(foreign)), subscribe(2, 5), subscribe(3, 5), bytes(commit)];
    server.handle_control(&frames.concat()).expect("valid");
    assert!(matches!(server.poll_action(), Some(Action::Subscribe(wanted)) if wanted.subscription == 2));
    assert!(server.poll_action().is_none());
    let wanted = ["refused 1 no_such_partition", "refused 3 limit", "committed 3 forbidden"];
    assert_eq!(answers(&mut server), wanted);
    server.handle_control(&[bytes(Control::Unsubscribe(2)), bytes(Control::Unsubscribe(2))].concat()).expect("valid");
    assert!(matches!(server.poll_action(), Some(Action::Unsubscribe { subscription: 2 })));
    assert!(server.poll_action().is_none(), "once");
    server.handle_ended(2, Code::NONE, "").expect("valid");
    server.handle_ended(2, Code::NONE, "").expect("it is over");
    assert_eq!(answers(&mut server), ["ended 2 none"]);

    let mut server = open_with(QuicLimits::default(), Welcome::MAY_COMMIT);
    server.handle_control(&subscribe(1, 5)).expect("valid");
    for (request, subscriber, positions) in [(1, "a/b", Pairs::default()), (2, "a", positions)] {
        server.handle_control(&bytes(Control::Commit(Commit { request, subscriber, positions }))).expect("valid");
    }
    let wanted = ["refused 1 forbidden", "committed 1 subscriber_invalid", "committed 2 no_such_partition"];
    assert_eq!(answers(&mut server), wanted);
}

#[test]
fn commits_are_answered_in_order_and_bounded() {
    let mut server = open_with(QuicLimits { commits_max: 2, ..QuicLimits::default() }, ALL);
    let commit =
        |request, subscriber| bytes(Control::Commit(Commit { request, subscriber, positions: Pairs::default() }));
    server.handle_control(&[commit(1, "a"), commit(2, "/"), commit(3, "c")].concat()).expect("valid");
    assert!(!server.wants_control() && answers(&mut server).is_empty());
    assert!(matches!(server.poll_action(), Some(Action::Commit { subscriber, .. }) if subscriber == "a"));
    assert!(server.poll_action().is_none(), "the third waits");
    server.handle_committed(Err((Code::CURSORS_FAILED, "disk".to_owned()))).expect("valid");
    assert_eq!(answers(&mut server), ["committed 1 cursors_failed", "committed 2 subscriber_invalid"]);
    assert!(matches!(server.poll_action(), Some(Action::Commit { subscriber, .. }) if subscriber == "c"));
    assert!(server.wants_control());
}

#[test]
fn answers_that_nobody_takes_stop_the_questions() {
    let mut server = open_with(QuicLimits::default(), 0);
    let mut number = 0;
    while server.wants_control() {
        number += 1;
        server.handle_control(&subscribe(number, 5)).expect("it is refused in peace");
        assert!(number < 100_000, "it would go on for ever");
    }
    assert!(!server.wants_publish());
    assert!(!answers(&mut server).is_empty() && server.wants_control());
}

#[test]
fn credit_is_used_up_once_too_far_and_given_up_to_its_bound() {
    let mut server = open_with(QuicLimits { credit_max: 1_000, ..QuicLimits::default() }, ALL);
    server.handle_control(&subscribe(1, 400)).expect("valid");
    assert!(!server.may_send(1), "it is not open");
    server.handle_opened(1, &Opened { groups: vec![vec![(1, 100)]], ..Opened::default() }).expect("valid");
    let mut out = Outgoing::default();
    let mut sent = 0;
    while server.may_send(1) {
        server.write_delivery(1, &delivery(Rows::All), &mut out);
        sent += 1;
    }
    assert_eq!(sent, 1, "400 bytes of credit are less than one batch, which may be sent all the same");
    let credit = |bytes_given| bytes(Control::Credit(Credit { subscription: 1, bytes: bytes_given }));
    server.handle_control(&credit(10)).expect("valid");
    assert!(!server.may_send(1), "it is below zero");
    server.handle_control(&credit(u64::MAX >> 2)).expect("valid");
    sent = 0;
    while server.may_send(1) {
        server.write_delivery(1, &delivery(Rows::All), &mut out);
        sent += 1;
    }
    assert_eq!(sent, 3, "1,000 bytes count, and no more");
}

#[test]
fn the_choice_of_the_encoding() {
    let encoding = |encodings, may_see_all, rows: &[u16]| {
        let mut server = open();
        let wanted = Subscribe { encodings, ..Subscribe::new(1, 10_000) };
        server.handle_control(&bytes(Control::Subscribe(wanted))).expect("valid");
        let opened = Opened { groups: vec![vec![(1, 100)]], may_see_all, ..Opened::default() };
        server.handle_opened(1, &opened).expect("valid");
        let rows = if rows.is_empty() { Rows::All } else { Rows::Some(rows.into()) };
        let mut out = Outgoing::default();
        server.write_delivery(1, &delivery(rows), &mut out);
        let out = out.take().concat();
        let found = head(&out, usize::MAX).expect("a frame").expect("whole");
        assert_eq!(found.total(), out.len());
        match DataFrame::decode(found.kind, &out[found.head_bytes..]) {
            Ok(Some(DataFrame::Batch(batch))) => {
                assert_eq!((batch.partition, batch.next_offset), (1, 103));
                (batch.encoding.number(), batch.records.len())
            }
            other => panic!("{other:?}"),
        }
    };
    let whole = delivery(Rows::All).batch.bytes().len();
    assert_eq!(encoding(7, true, &[]), (0, whole));
    assert_eq!(encoding(4, true, &[]), (2, whole), "as stored it is a packed batch too");
    assert_eq!(encoding(7, true, &[0, 2]), (1, whole), "nearly all of its bytes match");
    assert_eq!(encoding(7, true, &[0, 1, 2]), (0, whole), "all rows, though they are listed");
    assert_eq!(encoding(7, true, &[1, 2]).0, 2);
    assert_eq!(encoding(7, false, &[0, 2]).0, 2, "it may not see the others");
    assert_eq!(encoding(5, true, &[0, 2]).0, 2, "it does not read masks");
}

fn append(server: &mut Server) -> Append {
    match server.poll_action() {
        Some(Action::Append(append)) => append,
        other => panic!("{other:?}"),
    }
}

#[test]
fn published_frames_become_stamped_batches_however_they_are_cut() {
    let sent = [
        producer(3),
        publish(1, 40, &[10, 0, 3_000]),
        publish(2, 0, &[5]),
        vec![0x40, 0x40, 1, 9],
        publish(1, 43, &[1]),
    ];
    let sent = sent.concat();
    for piece in [1, 2, 7, 64, sent.len()] {
        let mut server = open();
        for part in sent.chunks(piece) {
            server.handle_publish(2, part, 1_234).expect("valid");
        }
        let appends = [append(&mut server), append(&mut server), append(&mut server)];
        for (append, (partition, sequence, count)) in appends.iter().zip([(1, 40, 3), (2, 0, 1), (1, 43, 1)]) {
            let stamp = append.batch.producer().expect("it was published");
            assert_eq!((append.batch.partition(), stamp.sequence), (partition, sequence));
            assert_eq!(stamp.producer, producer_number("ann", &[7; 16]));
            assert_eq!((append.batch.rows().len(), append.batch.max_timestamp_ms()), (count, 1_234));
        }
        assert!(answers(&mut server).is_empty());
        for append in &appends {
            server.handle_appended(&append.ticket, Ok(Kept { end_offset: 9 }));
        }
        let answers = answers(&mut server);
        assert!(answers == ["ack 3 [(2, 1), (1, 44)]"] || answers == ["ack 3 [(1, 44), (2, 1)]"], "{answers:?}");
        server.handle_publish_end(2, false).expect("between frames");
        assert!(server.is_settled());
    }
    assert_ne!(producer_number("ann", &[7; 16]), producer_number("bob", &[7; 16]));
}

#[test]
fn published_events_that_are_wrong_are_refused_alone() {
    let mut headers = HeaderWriter::default();
    headers.put("IoTHub-message-source", Some(b"Telemetry"));
    let key = b"d1";
    let (right, wrong) = (partition_of(key, 4), (partition_of(key, 4) + 1) % 4);
    let none = HeaderWriter::default();
    let mut mqtt = HeaderWriter::default();
    mqtt.put("mqtt", Some(b"x"));
    let mut long = publish(1, 5, &[3]);
    long.push(0);
    long[1] += 1;
    let cases = [
        (publish_of(1, 5, None, &[3], &headers), "event_invalid"),
        (publish_of(1, 5, None, &[3], &mqtt), "event_invalid"),
        (publish_of(wrong, 5, Some(key), &[3], &none), "wrong_partition"),
        (publish(1, 5, &[300_000]), "event_too_large"),
        (publish_of(partition_of(&[b'k'; 1025], 4), 5, Some(&[b'k'; 1025]), &[3], &none), "event_invalid"),
        (publish(5, 5, &[3]), "no_such_partition"),
        (long, "event_invalid"),
        (vec![0x33, 3, 1, 5, 1], "event_invalid"),
    ];
    for (bytes, code) in cases {
        let mut server = open();
        server.handle_publish(2, &producer(1), 0).expect("valid");
        server.handle_publish(2, &bytes, 0).expect("it is refused alone");
        assert!(server.poll_action().is_none());
        let refused = answers(&mut server);
        assert!(refused.len() == 1 && refused[0].contains(&format!(" 5 {code} None")), "{code}: {refused:?}");
        let partition = refused[0].split(' ').nth(1).and_then(|number| number.parse().ok()).expect("a partition");
        if partition < 4 {
            server.handle_publish(2, &publish(partition, 6, &[1]), 0).expect("it is dropped");
            assert!(server.poll_action().is_none() && answers(&mut server).is_empty());
            server.handle_publish(2, &publish(partition, 5, &[1]), 0).expect("it takes the sequence");
            append(&mut server);
        }
    }
    let mut server = open();
    server.handle_publish(2, &producer(1), 0).expect("valid");
    server.handle_publish(2, &publish_of(right, 5, Some(key), &[3], &none), 0).expect("valid");
    append(&mut server);
}

#[test]
fn what_the_log_refuses_sets_its_partition_back() {
    let mut server = open();
    let frames = [producer(1), publish(1, 0, &[1, 1]), publish(1, 2, &[1]), publish(1, 3, &[1]), publish(2, 0, &[1])];
    server.handle_publish(2, &frames.concat(), 0).expect("valid");
    let [first, second, third, other] = [0; 4].map(|_| append(&mut server));
    let failed = |code, expected| Err(Rejected { code, text: String::new(), expected });
    server.handle_appended(&first.ticket, Ok(Kept { end_offset: 2 }));
    server.handle_appended(&second.ticket, failed(Code::LOG_FAILED, None));
    server.handle_appended(&third.ticket, failed(Code::OUT_OF_ORDER, Some(2)));
    server.handle_appended(&other.ticket, Ok(Kept { end_offset: 1 }));
    let said = answers(&mut server);
    assert_eq!(said[0], "nack 1 2 log_failed None");
    assert!(said.len() == 2 && said[1].contains("(1, 2)") && said[1].contains("(2, 1)"), "{said:?}");
    server
        .handle_publish(2, &[publish(1, 4, &[1]), publish(1, 2, &[1]), publish(1, 3, &[1])].concat(), 0)
        .expect("valid");
    let [second, third] = [0; 2].map(|_| append(&mut server));
    server.handle_appended(&second.ticket, Ok(Kept { end_offset: 3 }));
    server.handle_appended(&third.ticket, Ok(Kept { end_offset: 4 }));
    assert_eq!(answers(&mut server), ["ack 1 [(1, 4)]"]);
    server.handle_publish(2, &publish(1, 9, &[1]), 0).expect("it is refused");
    assert_eq!(answers(&mut server), ["nack 1 9 out_of_order Some(4)"]);
}

#[test]
fn what_comes_again_is_acknowledged_again() {
    let mut server = open();
    server.handle_publish(2, &[producer(1), publish(1, 0, &[1, 1]), publish(1, 2, &[1])].concat(), 0).expect("valid");
    let [first, second] = [0; 2].map(|_| append(&mut server));
    server.handle_appended(&first.ticket, Ok(Kept { end_offset: 2 }));
    // The first is acknowledged, the second is on its way: both come again, and with them what is new.
    assert_eq!(answers(&mut server), ["ack 1 [(1, 2)]"]);
    server.handle_publish(2, &[publish(1, 0, &[1, 1]), publish(1, 2, &[1])].concat(), 0).expect("valid");
    let [first_again, second_again] = [0; 2].map(|_| append(&mut server));
    server.handle_appended(&second.ticket, Ok(Kept { end_offset: 3 }));
    server.handle_appended(&first_again.ticket, Ok(Kept { end_offset: 0 }));
    assert_eq!(answers(&mut server), ["ack 1 [(1, 3)]"], "an ACK does not go back");
    server.handle_appended(&second_again.ticket, Ok(Kept { end_offset: 0 }));
    assert_eq!(answers(&mut server), ["ack 1 [(1, 3)]"]);
    server.handle_publish(2, &publish(1, 2, &[1, 1]), 0).expect("half of it is new");
    let third = append(&mut server);
    assert_eq!(third.batch.producer().map(|stamp| stamp.sequence), Some(2), "the log takes what it lacks");
    server.handle_appended(&third.ticket, Ok(Kept { end_offset: 4 }));
    assert_eq!(answers(&mut server), ["ack 1 [(1, 4)]"]);
    server.handle_publish(2, &publish(1, 4, &[1]), 0).expect("it goes on behind what was new");
    append(&mut server);
}

#[test]
fn a_node_that_goes_takes_nothing_new_and_settles_the_rest() {
    let mut server = open();
    server.handle_publish(2, &[producer(1), publish(1, 0, &[1])].concat(), 0).expect("valid");
    let first = append(&mut server);
    server.go_away(Code::GOING_AWAY, 500, "restart", "");
    server.handle_publish(2, &publish(1, 1, &[1]), 0).expect("it is refused");
    server.handle_control(&subscribe(1, 1)).expect("it is refused");
    assert!(server.poll_action().is_none() && !server.is_settled());
    assert_eq!(answers(&mut server), ["goaway", "nack 1 1 going_away None", "refused 1 going_away"]);
    server.handle_appended(&first.ticket, Ok(Kept { end_offset: 1 }));
    assert_eq!(answers(&mut server), ["ack 1 [(1, 1)]"]);
    assert!(server.is_settled());
}

#[test]
fn what_is_on_its_way_to_the_log_is_bounded() {
    let mut server = open_with(QuicLimits { publish_in_flight_bytes_max: 1_000, ..QuicLimits::default() }, ALL);
    server.handle_publish(2, &[producer(1), publish(1, 0, &[1_000])].concat(), 0).expect("valid");
    assert!(!server.wants_publish());
    let first = append(&mut server);
    server.handle_appended(&first.ticket, Ok(Kept { end_offset: 1 }));
    assert!(server.wants_publish());
}
