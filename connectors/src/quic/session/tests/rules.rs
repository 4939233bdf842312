//! Rules, one by one: what a client may not do and how it ends, what is refused, and what the bounds hold.

use std::sync::Arc;

use engine::batch::{BatchBuilder, HEADER_BYTES, HeaderWriter, partition_of};
use engine::lane::{Delivery, Rows};

use crate::quic::frame::*;
use crate::quic::session::client::{ClientSettings, Event, PublishError, SubscribeOptions};
use crate::quic::session::server::{Action, Append, Grant, Kept, Opened, Rejected, write_lost, write_position};
use crate::quic::session::{Client, Fault, QuicLimits, Server, producer_number};

const ALL: u64 = Welcome::MAY_READ | Welcome::MAY_PUBLISH | Welcome::MAY_COMMIT;

fn bytes(frame: Control<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    frame.write(&mut out);
    out
}

fn hello() -> Vec<u8> {
    bytes(Control::Hello(Hello { user: "ann", password: "secret", ..Hello::default() }))
}

fn subscribe(number: u32, credit: u64) -> Vec<u8> {
    bytes(Control::Subscribe(Subscribe::new(number, credit)))
}

fn grant(permissions: u64) -> Grant {
    Grant { principal: "ann".to_owned(), permissions, partitions: 4, ..Grant::default() }
}

/// A server that has let its client in.
fn open_with(limits: QuicLimits, permissions: u64) -> Server {
    let mut server = Server::new(limits, true);
    server.handle_control(&hello()).expect("HELLO");
    assert!(
        matches!(server.poll_action(), Some(Action::Authenticate(who)) if who.user == "ann" && who.password == "secret")
    );
    server.handle_authenticated(grant(permissions)).expect("nothing waits");
    let mut out = Vec::new();
    server.poll_control(&mut out).expect("nothing waits");
    server
}

fn open() -> Server {
    open_with(QuicLimits::default(), ALL)
}

/// What the server answers, in words.
fn answers(server: &mut Server) -> Vec<String> {
    let mut out = Vec::new();
    server.poll_control(&mut out).expect("nothing waits");
    words(&out)
}

fn words(mut rest: &[u8]) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(found) = head(rest, usize::MAX).expect("frames") {
        let frame = Control::decode(found.kind, &rest[found.head_bytes..found.total()]).expect("valid").expect("known");
        words.push(match frame {
            Control::Refused(refused) => format!("refused {} {}", refused.subscription, refused.code.name()),
            Control::Ended(ended) => format!("ended {} {}", ended.subscription, ended.code.name()),
            Control::Subscribed(opened) => format!("subscribed {}", opened.subscription),
            Control::Committed(answer) => format!("committed {} {}", answer.request, answer.code.name()),
            Control::Ack(ack) => {
                let entries: Vec<_> = ack.entries.iter().map(|entry| (entry.partition, entry.next_sequence)).collect();
                format!("ack {} {entries:?}", ack.publish)
            }
            Control::Nack(nack) => {
                format!("nack {} {} {} {:?}", nack.partition, nack.sequence, nack.code.name(), nack.expected)
            }
            other => format!("{other:?}").split(['(', ' ']).next().unwrap_or_default().to_lowercase(),
        });
        rest = &rest[found.total()..];
    }
    words
}

#[track_caller]
fn fault(result: Result<(), Fault>) -> Code {
    result.expect_err("it is against the rules").code
}

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
    for stream in 0..8 {
        server.handle_publish(stream, &producer(stream as u32), 0).expect("eight are allowed");
    }
    assert_eq!(fault(server.handle_publish(99, &producer(99), 0)), Code::LIMIT);
    server.handle_publish_end(3, false).expect("between frames");
    assert!(answers(&mut server).is_empty());
    server.handle_publish(99, &producer(99), 0).expect("one has ended");
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

fn delivery(rows: Rows) -> Delivery {
    let mut builder = BatchBuilder::new(1);
    for value in [&[b'a'; 400][..], b"b", b"c"] {
        builder.push(None, value, &HeaderWriter::default(), 1).expect("it fits");
    }
    let mut batch = builder.seal().expect("three");
    batch.set_base_offset(100);
    Delivery { batch: Arc::new(batch), rows, enrichments: Arc::from([]), table_version: 1 }
}

#[test]
fn credit_is_used_up_once_too_far_and_given_up_to_its_bound() {
    let mut server = open_with(QuicLimits { credit_max: 1_000, ..QuicLimits::default() }, ALL);
    server.handle_control(&subscribe(1, 400)).expect("valid");
    assert!(!server.may_send(1), "it is not open");
    server.handle_opened(1, &Opened { groups: vec![vec![(1, 100)]], ..Opened::default() }).expect("valid");
    let mut out = Vec::new();
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
        let mut out = Vec::new();
        server.write_delivery(1, &delivery(rows), &mut out);
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

fn producer(publish: u32) -> Vec<u8> {
    let mut out = Vec::new();
    PublishFrame::Producer(Producer { publish, id: [7; 16] }).write(&mut out);
    out
}

/// A PUBLISH of events without keys, of so many bytes each.
fn publish(partition: u32, sequence: u64, sizes: &[usize]) -> Vec<u8> {
    publish_of(partition, sequence, None, sizes, &HeaderWriter::default())
}

fn publish_of(partition: u32, sequence: u64, key: Option<&[u8]>, sizes: &[usize], headers: &HeaderWriter) -> Vec<u8> {
    let mut builder = BatchBuilder::new(partition);
    for size in sizes {
        builder.push(key, &vec![b'x'; *size], headers, 0).expect("it fits");
    }
    let batch = builder.seal().expect("some");
    let records = &batch.bytes()[HEADER_BYTES..];
    let mut out = Vec::new();
    PublishFrame::Publish(Publish { partition, sequence, count: sizes.len() as u32, records }).write(&mut out);
    out
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

/// A client that was let in by a node with four partitions.
fn client() -> Client {
    let mut client = Client::new(ClientSettings::default());
    assert_eq!(client.publish(None, b"x", &HeaderWriter::default()), Err(PublishError::NotConnected));
    welcome(&mut client);
    client
}

fn welcome(client: &mut Client) {
    client.handle_connected();
    let welcome = Welcome { partitions: 4, publish_streams_max: 8, publish_bytes_max: 5_000, ..Welcome::default() };
    client.handle_control(&bytes(Control::Welcome(welcome)), 0).expect("valid");
    assert!(matches!(client.poll_event(), Some(Event::Welcome(greeting)) if greeting.partitions == 4));
}

/// The sequences of what the client sends on its first publish stream.
fn sent(client: &mut Client, now_ms: u64) -> Vec<(u32, u64, u32)> {
    let mut out = Vec::new();
    client.poll_publish(0, now_ms, &mut out, usize::MAX);
    let (mut rest, mut sent) = (&out[..], Vec::new());
    while let Some(found) = head(rest, usize::MAX).expect("frames") {
        let body = &rest[found.head_bytes..found.total()];
        if let Some(PublishFrame::Publish(frame)) = PublishFrame::decode(found.kind, body).expect("valid") {
            sent.push((frame.partition, frame.sequence, frame.count));
        }
        rest = &rest[found.total()..];
    }
    sent
}

fn publish_to(client: &mut Client, partition: u32, count: usize) {
    let key = (0..).map(|i: u32| i.to_string()).find(|key| partition_of(key.as_bytes(), 4) == partition).expect("some");
    for _ in 0..count {
        client.publish(Some(key.as_bytes()), b"x", &HeaderWriter::default()).expect("there is room");
    }
    client.flush();
}

fn nack(client: &mut Client, sequence: u64, code: Code, expected: Option<u64>) -> Result<(), Fault> {
    let nack = Nack { publish: 0, partition: 1, sequence, code, text: "no", advice: "", expected };
    client.handle_control(&bytes(Control::Nack(nack)), 1_000)
}

#[test]
fn a_client_drops_what_will_never_be_taken_and_numbers_the_rest_anew() {
    let mut client = client();
    publish_to(&mut client, 1, 2);
    publish_to(&mut client, 1, 3);
    publish_to(&mut client, 1, 1);
    assert_eq!(sent(&mut client, 0), [(1, 0, 2), (1, 2, 3), (1, 5, 1)]);
    assert_eq!(sent(&mut client, 0), []);
    nack(&mut client, 2, Code::FORBIDDEN, None).expect("valid");
    assert!(matches!(client.poll_event(), Some(Event::Rejected { number: 2, count: 3, code: Code::FORBIDDEN, .. })));
    assert_eq!(sent(&mut client, 1_000), [(1, 2, 1)], "what followed takes its sequence");
    assert_eq!(client.settled(1), 0);
    let mut entries = Vec::new();
    Acks::encode(&mut entries, AckEntry { partition: 1, next_sequence: 3, end_offset: 0 });
    let ack = bytes(Control::Ack(Ack { publish: 0, entries: Acks::of(0, &entries).expect("valid") }));
    client.handle_control(&ack, 0).expect("valid");
    assert_eq!(client.settled(1), 6);
    assert!(client.is_all_settled());
    assert_eq!(fault(nack(&mut client, 2, Code::EVENT_INVALID, None)), Code::PROTOCOL, "it was not sent");
}

#[test]
fn one_bad_event_does_not_take_its_frame_along() {
    let mut client = client();
    publish_to(&mut client, 1, 5);
    publish_to(&mut client, 1, 1);
    assert_eq!(sent(&mut client, 0), [(1, 0, 5), (1, 5, 1)]);
    // The fourth event is bad: halves lead to it.
    nack(&mut client, 0, Code::EVENT_INVALID, None).expect("valid");
    assert_eq!(sent(&mut client, 0), [(1, 0, 2), (1, 2, 3), (1, 5, 1)]);
    nack(&mut client, 2, Code::EVENT_INVALID, None).expect("valid");
    assert_eq!(sent(&mut client, 0), [(1, 2, 1), (1, 3, 2), (1, 5, 1)]);
    nack(&mut client, 3, Code::EVENT_INVALID, None).expect("valid");
    assert!(client.poll_event().is_none());
    assert_eq!(sent(&mut client, 0), [(1, 3, 1), (1, 4, 1), (1, 5, 1)]);
    nack(&mut client, 3, Code::EVENT_INVALID, None).expect("valid");
    assert!(matches!(client.poll_event(), Some(Event::Rejected { number: 3, count: 1, .. })));
    assert_eq!(sent(&mut client, 0), [(1, 3, 1), (1, 4, 1)], "what followed takes its sequence");
    let mut entries = Vec::new();
    Acks::encode(&mut entries, AckEntry { partition: 1, next_sequence: 5, end_offset: 0 });
    let ack = bytes(Control::Ack(Ack { publish: 0, entries: Acks::of(0, &entries).expect("valid") }));
    client.handle_control(&ack, 0).expect("valid");
    assert!(client.is_all_settled() && client.publish_queue_bytes() == 0);
}

#[test]
fn a_client_waits_longer_each_time_and_sends_again_from_where_it_is_told() {
    let mut client = client();
    publish_to(&mut client, 1, 2);
    publish_to(&mut client, 1, 3);
    sent(&mut client, 0);
    nack(&mut client, 2, Code::OUT_OF_ORDER, Some(0)).expect("valid");
    assert_eq!(client.next_due_ms(1_000), Some(1_100));
    assert_eq!(sent(&mut client, 1_099), []);
    assert_eq!(sent(&mut client, 1_100), [(1, 0, 2), (1, 2, 3)]);
    nack(&mut client, 0, Code::LOG_FAILED, None).expect("valid");
    assert_eq!(client.next_due_ms(1_100), Some(1_200));
    nack(&mut client, 0, Code::LOG_FAILED, None).expect_err("it was not sent again");
    welcome(&mut client);
    assert_eq!(sent(&mut client, 1_000), [(1, 0, 2), (1, 2, 3)], "a new connection sends at once");
    nack(&mut client, 2, Code::OUT_OF_ORDER, Some(1)).expect_err("frames are kept whole or not");
}

#[test]
fn a_client_is_told_what_a_node_forgot_that_had_acknowledged_it() {
    let mut client = client();
    publish_to(&mut client, 1, 4);
    publish_to(&mut client, 1, 1);
    sent(&mut client, 0);
    let mut entries = Vec::new();
    Acks::encode(&mut entries, AckEntry { partition: 1, next_sequence: 4, end_offset: 4 });
    let ack = bytes(Control::Ack(Ack { publish: 0, entries: Acks::of(0, &entries).expect("valid") }));
    client.handle_control(&ack, 0).expect("valid");
    nack(&mut client, 4, Code::OUT_OF_ORDER, Some(1)).expect("valid");
    assert!(matches!(client.poll_event(), Some(Event::Forgotten { partition: 1, count: 3 })));
    assert_eq!(sent(&mut client, 5_000), [(1, 1, 1)]);
}

#[test]
fn a_client_takes_no_more_than_it_can_hold_or_send() {
    let settings = ClientSettings { publish_queue_bytes_max: 100, ..ClientSettings::default() };
    let mut client = Client::new(settings);
    welcome(&mut client);
    let none = HeaderWriter::default();
    assert!(matches!(client.publish(None, &[0; 5_000], &none), Err(PublishError::TooLargeForNode { .. })));
    client.publish(None, &[0; 100], &none).expect("there is room");
    client.flush();
    assert!(matches!(client.publish(None, b"x", &none), Err(PublishError::Full { .. })));
}

fn data(number: u32) -> Vec<u8> {
    let mut out = Vec::new();
    DataFrame::Header(DataHeader { subscription: number, group: 0 }).write(&mut out);
    out
}

/// A client with an open subscription of partition 1, at offset 100.
fn subscribed() -> (Client, u32) {
    let mut client = client();
    let handle = client.subscribe(SubscribeOptions { window_bytes: 800, ..SubscribeOptions::default() });
    open_at(&mut client, 100);
    (client, handle)
}

fn open_at(client: &mut Client, offset: u64) {
    let (mut groups, mut frame) = (Vec::new(), Vec::new());
    Groups::encode(&mut groups, [(1, offset)]);
    Subscribed::put(&mut frame, 1, &groups, std::iter::empty(), std::iter::empty());
    client.handle_control(&frame, 0).expect("valid");
    assert!(matches!(client.poll_event(), Some(Event::Subscribed { .. })));
}

/// What the node sends of the delivery.
fn batch(rows: Rows) -> Vec<u8> {
    let mut server = open();
    server.handle_control(&subscribe(1, 10_000)).expect("valid");
    let opened = Opened { groups: vec![vec![(1, 100)]], may_see_all: true, ..Opened::default() };
    server.handle_opened(1, &opened).expect("valid");
    let mut out = Vec::new();
    server.write_delivery(1, &delivery(rows), &mut out);
    out
}

#[test]
fn positions_follow_what_was_handed_over() {
    let (mut client, handle) = subscribed();
    assert_eq!(client.positions(handle), [(1, 100)]);
    let mut bytes = [data(1), batch(Rows::Some([1, 2].into()))].concat();
    write_position(&mut bytes, 1, 150);
    write_lost(&mut bytes, 1, 150, 200);
    write_position(&mut bytes, 1, 210);
    for part in bytes.chunks(3) {
        client.handle_data(3, part).expect("valid");
    }
    assert_eq!(client.positions(handle), [(1, 100)]);
    let Some(Event::Batch(received)) = client.poll_event() else { panic!("events came") };
    assert_eq!(received.events().map(|event| event.offset()).collect::<Vec<_>>(), [101, 102]);
    assert_eq!(client.positions(handle), [(1, 150)]);
    assert!(matches!(client.poll_event(), Some(Event::Lost { from: 150, to: 200, .. })));
    assert_eq!(client.positions(handle), [(1, 210)]);
    // The next connection goes on there.
    client.handle_connected();
    let mut out = Vec::new();
    client.poll_control(&mut out);
    let at = head(&out, usize::MAX).expect("HELLO").expect("whole").total();
    let found = head(&out[at..], usize::MAX).expect("SUBSCRIBE").expect("whole");
    let body = &out[at + found.head_bytes..at + found.total()];
    let Ok(Some(Control::Subscribe(again))) = Control::decode(found.kind, body) else { panic!("{out:?}") };
    let Start::Offsets(offsets) = again.start else { panic!("{again:?}") };
    assert_eq!(offsets.iter().collect::<Vec<_>>(), [(1, 210)]);
}

#[test]
fn what_a_node_may_not_send() {
    let send = |bytes: &[u8]| {
        let (mut client, _) = subscribed();
        client.handle_data(3, bytes).map_err(|fault| fault.code)
    };
    let good = batch(Rows::All);
    assert_eq!(send(&[data(1), good.clone()].concat()), Ok(()));
    assert_eq!(send(&good), Err(Code::PROTOCOL), "no DATA");
    assert_eq!(send(&[data(1), data(1)].concat()), Err(Code::PROTOCOL), "DATA twice");
    assert_eq!(send(&[data(1), good.clone(), good.clone()].concat()), Err(Code::PROTOCOL), "the same again");
    assert_eq!(send(&[data(9), good.clone(), good.clone()].concat()), Ok(()), "of a subscription that is over");
    let mut bent = good.clone();
    let last = bent.len() - 1;
    bent[last] ^= 1;
    assert_eq!(send(&[data(1), bent].concat()), Err(Code::MALFORMED), "its checksum");
    let mut back = data(1);
    write_position(&mut back, 1, 99);
    assert_eq!(send(&back), Err(Code::PROTOCOL), "back");
    let mut foreign = data(1);
    write_position(&mut foreign, 2, 500);
    assert_eq!(send(&foreign), Err(Code::PROTOCOL), "a partition that was not asked for");
    let (mut client, _) = subscribed();
    client.handle_data(3, &[data(1), good[..20].to_vec()].concat()).expect("more will come");
    assert_eq!(fault(client.handle_data_end(3, false)), Code::MALFORMED);
    let (mut client, _) = subscribed();
    assert_eq!(fault(client.handle_control(&hello(), 0)), Code::PROTOCOL, "a client's frame");
}

#[test]
fn events_that_come_before_subscribed_wait_for_it() {
    let mut client = client();
    client.subscribe(SubscribeOptions::default());
    client.handle_data(3, &[data(1), batch(Rows::All)].concat()).expect("it waits");
    client.handle_data_end(3, false).expect("what waits is still wanted");
    assert!(client.poll_event().is_none());
    open_at(&mut client, 101);
    let Some(Event::Batch(received)) = client.poll_event() else { panic!("events came") };
    let offsets: Vec<_> = received.events().map(|event| event.offset()).collect();
    assert_eq!(offsets, [101, 102], "the stored batch begins before what was asked for");
}

#[test]
fn credit_is_given_for_what_was_handed_over() {
    let (mut client, _) = subscribed();
    let mut out = Vec::new();
    client.poll_control(&mut out);
    client.handle_data(3, &[data(1), batch(Rows::All)].concat()).expect("valid");
    out.clear();
    assert!(!client.poll_control(&mut out), "nobody has taken it");
    client.poll_event();
    assert!(client.poll_control(&mut out));
    let found = head(&out, usize::MAX).expect("CREDIT").expect("whole");
    assert_eq!((found.kind, found.total()), (kind::CREDIT, out.len()));
}

#[test]
fn bent_bytes_end_the_connection_or_change_nothing_but_never_panic() {
    let none = HeaderWriter::default();
    let commit = Control::Commit(Commit { request: 1, subscriber: "a", positions: Pairs::default() });
    let control = [hello(), subscribe(1, 900), bytes(commit), bytes(Control::Unsubscribe(1))].concat();
    let sent = [producer(1), publish(1, 0, &[9, 9]), publish_of(partition_of(b"k", 4), 7, Some(b"k"), &[3], &none)];
    let (sent, came) = (sent.concat(), [data(1), batch(Rows::All)].concat());
    let mut random = fastrand::Rng::with_seed(4);
    let (mut ended, mut kept) = (0, 0);
    for _ in 0..20_000 {
        let mut bend = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
            bytes
        };
        let mut server = Server::new(QuicLimits::default(), true);
        let first = server.handle_control(&bend(&control));
        let second = first.and_then(|()| {
            if !matches!(server.poll_action(), Some(Action::Authenticate(_))) {
                return Ok(());
            }
            server.handle_authenticated(grant(ALL))?;
            server.handle_publish(2, &bend(&sent), 1)
        });
        let (mut client, _) = subscribed();
        let third = client.handle_data(3, &bend(&came));
        while let Some(event) = client.poll_event() {
            if let Event::Batch(received) = event {
                assert!(received.events().count() <= 3);
            }
        }
        for result in [second, third] {
            if result.is_err() { ended += 1 } else { kept += 1 }
        }
    }
    assert!(ended > 5_000 && kept > 5_000, "{ended} ended, {kept} went on");
}
