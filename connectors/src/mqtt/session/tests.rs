//! Packet identifiers and the state machines of both directions.

use super::*;

fn session() -> Session {
    Session::new("c".into(), "c".into(), 10)
}

fn log(offset: u64) -> Origin {
    Origin::Log { partition: 0, offset }
}

#[test]
fn identifiers_go_around_and_never_name_two_messages() {
    let mut session = session();
    let stuck = session.send(Qos::AtLeastOnce, log(0));
    let also = session.send(Qos::ExactlyOnce, log(1));
    assert_eq!((stuck, also), (1, 2));
    let mut seen = std::collections::HashSet::new();
    for offset in 2..200_000 {
        let id = session.send(Qos::AtLeastOnce, log(offset));
        assert!(id != 0 && id != stuck && id != also, "{id}");
        seen.insert(id);
        assert!(session.acknowledge(id));
    }
    assert_eq!(seen.len(), 65_533, "every other identifier is used");
    assert_eq!(session.settled(0, 200_000), 0);
    assert!(session.acknowledge(stuck));
    assert_eq!(session.settled(0, 200_000), 1, "the other one holds it back");
}

#[test]
fn each_receipt_ends_only_what_it_is_for() {
    let mut session = session();
    let one = session.send(Qos::AtLeastOnce, log(0));
    let two = session.send(Qos::ExactlyOnce, log(1));
    assert!(!session.receive(one) && !session.complete(one) && !session.acknowledge(two));
    assert!(!session.complete(two), "not before it was received");
    assert!(session.receive(two) && session.receive(two), "a repeated PUBREC is none the worse");
    assert!(session.complete(two) && !session.complete(two));
    assert!(session.acknowledge(one) && !session.acknowledge(one));
    let refused = session.send(Qos::ExactlyOnce, log(2));
    assert!(session.reject(refused) && session.in_flight.is_empty());
}

#[test]
fn a_message_of_qos_2_is_taken_once_until_it_is_released() {
    let mut session = session();
    assert!(!session.has_taken(7, false));
    session.take(7);
    assert!(session.has_taken(7, false) && session.has_taken(7, true));
    assert!(session.release(7) && !session.release(7));
    assert!(!session.has_taken(7, true));
    session.incoming.push(Incoming { packet_id: 9, is_pending: false, is_doubtful: true });
    assert!(session.has_taken(9, true), "sent again after a crash");
    assert!(!session.has_taken(9, false), "a new message with an identifier that was released before the crash");
}

#[test]
fn restored_messages_keep_their_identifiers_and_the_next_is_another() {
    let mut session = session();
    session.restore(40_000, Qos::AtLeastOnce, false, log(5));
    session.restore(3, Qos::ExactlyOnce, true, log(6));
    session.sent = 2;
    assert_eq!(session.send(Qos::AtLeastOnce, log(7)), 4);
    assert!(session.acknowledge(40_000) && session.complete(3));
}

#[test]
fn shares_are_taken_apart() {
    assert_eq!(split_share("$share/g/a/+"), Some(("g", "a/+")));
    assert_eq!(split_share("$share/g"), None);
    assert_eq!(split_share("a/b"), None);
}
