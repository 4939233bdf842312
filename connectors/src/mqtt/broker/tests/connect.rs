//! CONNECT, keep-alive, sessions that come and go with time.

use super::*;
use crate::mqtt::broker::tests::client::{lasting, will};
use crate::mqtt::codec::Connect;
use crate::mqtt::registry::Claim;

#[test]
fn a_session_stays_as_long_as_was_said_and_no_longer() {
    let mut world = World::new(1);
    let (client, present) = world.join(0, &lasting("c", 10));
    assert!(!present);
    world.subscribe(client, "t", 1);
    world.lose(client);
    world.pass(9);
    let (client, present) = world.join(0, &lasting("c", 10));
    assert!(present);
    world.lose(client);
    world.pass(10);
    assert!(world.node.registry.is_empty());
    world.save();
    assert!(world.stored.is_empty(), "and is no longer stored");
    let (_, present) = world.join(0, &lasting("c", 10));
    assert!(!present);
}

#[test]
fn a_disconnect_can_change_how_long_the_session_stays() {
    let mut world = World::new(1);
    let (client, _) = world.join(0, &lasting("c", 10));
    world.subscribe(client, "t", 1);
    world.save();
    assert_eq!(world.stored.len(), 1);
    world.clients[client].disconnect(Reason::Success, Some(0));
    world.settle();
    assert!(world.clients[client].is_closed && world.node.registry.is_empty());
    world.save();
    assert!(world.stored.is_empty(), "a session that ended must not come back with the node");

    let (client, _) = world.join(0, &lasting("c", 10));
    world.clients[client].disconnect(Reason::Success, Some(1000));
    world.settle();
    world.pass(500);
    assert!(world.join(0, &lasting("c", 10)).1);

    let (client, _) = world.join(0, &v5("d"));
    world.clients[client].disconnect(Reason::Success, Some(5));
    world.settle();
    assert_eq!(world.take(client), [Got::Disconnect(Reason::ProtocolError)]);
}

#[test]
fn a_session_that_stays_is_stored_before_its_client_hears_of_it() {
    let mut world = World::new(1);
    world.auto.stores = false;
    let client = world.client(0, &lasting("c", 100));
    world.clients[client].packet(&Packet::PingReq);
    world.settle();
    assert_eq!((world.take(client), world.stored.len()), (vec![], 1));
    world.tell_stored(true);
    world.settle();
    assert_eq!(world.take(client), [Got::ConnAck { present: false, reason: Reason::Success }, Got::PingResp]);
    for connect in [lasting("d", 100), Connect { clean_start: false, ..v311("e") }] {
        let client = world.client(0, &connect);
        world.tell_stored(false);
        world.settle();
        let refused = Got::ConnAck { present: false, reason: Reason::ServerUnavailable };
        assert_eq!((world.take(client), world.clients[client].is_closed), (vec![refused], true));
    }
}

#[test]
fn a_clean_start_ends_the_session_before() {
    let mut world = World::new(1);
    let (client, _) = world.join(0, &lasting("c", 100));
    world.subscribe(client, "t", 1);
    world.lose(client);
    let (client, present) = world.join(0, &Connect { clean_start: true, ..lasting("c", 100) });
    assert!(!present);
    world.publish(client, "t", "x", 1, 1);
    assert_eq!(world.payloads(client), Vec::<String>::new());
    world.save();
    assert_eq!(world.stored.len(), 1);
    assert!(!String::from_utf8_lossy(&world.stored["c"]).contains("filter"));
}

#[test]
fn silent_clients_go_after_one_and_a_half_keep_alives() {
    let mut world = World::new(1);
    let connect = Connect { keep_alive_s: 10, will: Some(will("w", "gone", 0)), ..v5("c") };
    let (sub, _) = world.join(0, &v5("sub"));
    world.subscribe(sub, "w", 1);
    let (client, _) = world.join(0, &connect);
    world.pass(14);
    world.clients[client].packet(&Packet::PingReq);
    world.settle();
    assert_eq!(world.take(client), [Got::PingResp]);
    world.pass(14);
    assert!(!world.clients[client].is_closed);
    world.pass(1);
    assert_eq!(world.take(client), [Got::Disconnect(Reason::KeepAliveTimeout)]);
    assert_eq!(world.payloads(sub), ["gone"]);
}

#[test]
fn who_is_not_read_is_not_taken_for_silent() {
    let mut world = World::new(1);
    world.follows[0] = false;
    let (client, _) = world.join(0, &Connect { keep_alive_s: 10, ..v5("c") });
    world.publish(client, "t", "x", 1, 1);
    // The tap has not shown what was acknowledged: the SUBSCRIBE waits, and so does what is behind it.
    world.clients[client].subscribe(2, &[("t", 0)]);
    world.settle();
    world.take(client);
    world.pass(60);
    assert!(!world.clients[client].is_closed);
    world.follows[0] = true;
    world.settle();
    assert_eq!(world.take(client), [Got::SubAck(2, vec![Reason::Success])]);
    world.pass(60);
    assert!(world.clients[client].is_closed, "now it is silent");
}

#[test]
fn who_says_nothing_at_first_goes() {
    let mut world = World::new(1);
    let client = world.dial(0);
    world.settle();
    world.pass(9);
    assert!(!world.clients[client].is_closed);
    world.pass(1);
    assert!(world.clients[client].is_closed);
    let place = world.brokers[0].open("tcp", true).expect("it runs");
    assert_eq!(place.index, world.clients[client].place.index, "its number is free");
}

#[test]
fn the_first_packet_is_connect_and_no_second() {
    let mut world = World::new(1);
    let client = world.dial(0);
    world.clients[client].packet(&Packet::PingReq);
    world.settle();
    assert!(world.clients[client].is_closed && world.take(client).is_empty());
    let (client, _) = world.join(0, &v5("c"));
    world.clients[client].connect(&v5("c"));
    world.settle();
    assert_eq!(world.take(client), [Got::Disconnect(Reason::ProtocolError)]);
}

#[test]
fn packets_in_pieces_are_packets() {
    let mut world = World::new(1);
    let client = world.dial(0);
    world.clients[client].connect(&v5("c"));
    world.clients[client].subscribe(1, &[("t", 0)]);
    world.clients[client].publish("t", "x", 1, 1);
    let bytes = std::mem::take(&mut world.clients[client].unread);
    for byte in bytes {
        world.clients[client].unread.push(byte);
        world.settle();
    }
    assert_eq!(world.take(client).len(), 4);
}

#[test]
fn a_stop_tells_everybody_and_sessions_stay() {
    let mut world = World::new(1);
    let (lasting_one, _) = world.join(0, &lasting("c", 100));
    let (old, _) = world.join(0, &v311("d"));
    world.brokers[0].stop();
    world.turn(0);
    world.settle();
    assert_eq!(world.take(lasting_one), [Got::Disconnect(Reason::ServerShuttingDown)]);
    assert!(world.clients[old].is_closed && world.take(old).is_empty());
    assert_eq!(world.brokers[0].open_connections(), 0);
    assert!(world.brokers[0].open("tcp", true).is_none());
    let place = Place { core: 0, index: 99, generation: 1 };
    let claim = world.node.registry.claim(&"c".into(), &"".into(), place);
    assert!(matches!(claim, Ok(Claim::Away(_))), "{claim:?}");
}
