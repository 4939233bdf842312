//! The client's rules, one by one: what it sends again and what not, where it is, what a node may not send; and bent bytes for both.

use engine::batch::{HeaderWriter, partition_of};
use engine::lane::Rows;

use super::tools::*;
use crate::quic::frame::*;
use crate::quic::session::client::{ClientSettings, Event, PublishError, SubscribeOptions};
use crate::quic::session::server::{Action, Opened, Outgoing, write_lost, write_position};
use crate::quic::session::{Client, Fault, QuicLimits, Server};

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
fn only_codes_of_the_list_drop_events() {
    let later = Code(0x3fff);
    let dropping: Vec<_> = Code::ALL.iter().chain([&later]).filter(|code| code.drops_events()).collect();
    assert_eq!(dropping.len(), 5, "{dropping:?}");
    for code in Code::ALL.iter().chain([&later]).copied() {
        let mut client = client();
        publish_to(&mut client, 1, 1);
        assert_eq!(sent(&mut client, 0), [(1, 0, 1)]);
        nack(&mut client, 0, code, None).expect("valid");
        let is_rejected = matches!(client.poll_event(), Some(Event::Rejected { number: 0, count: 1, .. }));
        assert_eq!((is_rejected, client.is_all_settled()), (code.drops_events(), code.drops_events()), "{code}");
        let again = if code.drops_events() || code.is_of_connection() { vec![] } else { vec![(1, 0, 1)] };
        assert_eq!(sent(&mut client, 1_100), again, "{code}");
        if code.is_of_connection() {
            assert_eq!(client.next_due_ms(1_100), None);
            welcome(&mut client);
            assert_eq!(sent(&mut client, 1_100), [(1, 0, 1)], "{code}");
        }
    }
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
    let mut out = Outgoing::default();
    server.write_delivery(1, &delivery(rows), &mut out);
    out.take().concat()
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
    let masked = batch(Rows::Some([0, 2].into()));
    // Behind the head: partition, offset in two bytes, encoding, length of the mask.
    let mask_at = head(&masked, usize::MAX).expect("a frame").expect("whole").head_bytes + 5;
    assert_eq!(masked[mask_at - 2..=mask_at], [1, 1, 0b101]);
    assert_eq!(send(&[data(1), masked.clone()].concat()), Ok(()));
    let mut padded = masked;
    padded[mask_at] |= 0b1000;
    assert_eq!(send(&[data(1), padded].concat()), Err(Code::MALFORMED), "a bit behind the last event");
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
    let mut client = Client::new(ClientSettings::default());
    client.handle_connected();
    let later = bytes(Control::Welcome(Welcome { minor: 1, partitions: 4, ..Welcome::default() }));
    assert_eq!(fault(client.handle_control(&later, 0)), Code::PROTOCOL, "a minor version that was not offered");
}

#[test]
fn which_ends_are_final() {
    for code in Code::ALL.iter().chain([&Code(0x3fff)]).copied() {
        let ended = |is_refused: bool| {
            let (subscription, text, advice) = (1, "", "");
            let mut client = client();
            let frame = match is_refused {
                true => {
                    client.subscribe(SubscribeOptions::default());
                    Control::Refused(Refused { subscription, code, text, advice })
                }
                false => {
                    client = subscribed().0;
                    Control::Ended(Ended { subscription, code, text, advice })
                }
            };
            client.handle_control(&bytes(frame), 0).expect("valid");
            match client.poll_event() {
                Some(Event::Refused { code: why, .. } | Event::Ended { code: why, .. }) => {
                    assert_eq!(why, code);
                    true
                }
                Some(Event::Postponed { .. }) | None => false,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(ended(true), !code.is_passing(), "REFUSED {code}");
        assert_eq!(ended(false), !code.is_passing() && code != Code::NONE, "ENDED {code}");
    }
    assert!(!Code(0x3fff).is_passing() && !Code(0x3fff).is_final());
}

#[test]
fn an_end_can_be_asked_for_before_the_beginning() {
    let leaving = || {
        let mut client = client();
        let handle = client.subscribe(SubscribeOptions::default());
        client.unsubscribe(handle);
        let mut out = Vec::new();
        client.poll_control(&mut out);
        (client, handle)
    };
    let is_end = |event, handle| match event {
        Some(Event::Ended { subscription, code, .. }) => (subscription, code) == (handle, Code::NONE),
        _ => false,
    };
    for code in [Code::NONE, Code::FILTER_INVALID, Code::BUSY] {
        let (mut client, handle) = leaving();
        let refused = Refused { subscription: 1, code, text: "", advice: "" };
        client.handle_control(&bytes(Control::Refused(refused)), 0).expect("valid");
        assert!(is_end(client.poll_event(), handle), "{code}");
    }
    let (mut client, handle) = leaving();
    open_at(&mut client, 100);
    let ended = Ended { subscription: 1, code: Code::NONE, text: "", advice: "" };
    client.handle_control(&bytes(Control::Ended(ended)), 0).expect("valid");
    assert!(is_end(client.poll_event(), handle));
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
