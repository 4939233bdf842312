//! PUBLISH to receipt: when the log has it, in order, once.

use super::*;
use crate::mqtt::broker::tests::client::{lasting, message};
use crate::mqtt::codec::{Publish, PublishProperties, ReceiptKind};
use crate::mqtt::config::MqttConfig;
use ReceiptKind::{Ack, Comp, Rec};

/// A client identifier whose messages go to this partition.
pub fn id_in(partition: u32, nth: usize) -> String {
    let ids = (0..).map(|number| format!("client-{number}"));
    let mut fit = ids.filter(|id| engine::batch::partition_of(id.as_bytes(), world::PARTITIONS) == partition);
    fit.nth(nth).expect("there is no end")
}

#[test]
fn a_receipt_comes_after_the_log_has_the_message_and_not_before() {
    let mut world = World::new(1);
    (world.auto.writes, world.auto.acks) = (false, false);
    let (client, _) = world.join(0, &v5("c"));
    world.publish(client, "t", "1", 1, 1);
    world.publish(client, "t", "2", 2, 2);
    assert_eq!((world.unwritten.len(), world.take(client)), (2, vec![]));
    world.write(0);
    world.settle();
    assert_eq!(world.take(client), vec![], "written is not acknowledged");
    world.ack(0);
    world.turn(0);
    world.settle();
    assert_eq!(world.take(client), vec![Got::Receipt(Ack, 1, Reason::Success)]);
    world.auto.acks = true;
    world.auto.writes = true;
    world.settle();
    let rest = [Got::Receipt(Rec, 2, Reason::Success), Got::Receipt(Comp, 2, Reason::Success)];
    assert_eq!(world.take(client), rest);
}

#[test]
fn receipts_keep_the_order_of_their_messages_whatever_the_order_of_the_acks() {
    // The key is the same for a client's messages, so two of its batches are acknowledged in order by a shard; after a refusal
    // they need not be.
    let mut world = World::new(1);
    (world.auto.writes, world.auto.acks) = (false, false);
    let (client, _) = world.join(0, &v5("c"));
    for packet_id in 1..=3 {
        world.publish(client, "t", "x", 1, packet_id);
    }
    (0..3).for_each(|_| world.write(0));
    for at in [2, 1] {
        world.ack(at);
        world.turn(0);
        world.settle();
        assert_eq!(world.take(client), vec![], "the first one is not done");
    }
    world.ack(0);
    world.turn(0);
    world.settle();
    let all: Vec<Got> = (1..=3).map(|packet_id| Got::Receipt(Ack, packet_id, Reason::Success)).collect();
    assert_eq!(world.take(client), all);
}

#[test]
fn a_failed_log_is_said_in_version_5_and_ends_the_connection_before() {
    let mut world = World::new(1);
    world.auto.writes = false;
    let (client, _) = world.join(0, &v5("c"));
    world.clients[client].publish("t", "1", 1, 1);
    world.publish(client, "t", "2", 2, 2);
    world.refuse(0);
    world.turn(0);
    world.settle();
    let refused = Reason::ImplementationSpecific;
    assert_eq!(world.take(client), [Got::Receipt(Ack, 1, refused), Got::Receipt(Rec, 2, refused)]);
    // The identifier of the message of QoS 2 is free again.
    world.auto.writes = true;
    world.publish(client, "t", "3", 2, 2);
    assert_eq!(world.take(client)[0], Got::Receipt(Rec, 2, Reason::Success));
    assert_eq!(world.log.iter().flatten().count(), 1);

    world.auto.writes = false;
    let (old, _) = world.join(0, &v311("old"));
    world.publish(old, "t", "1", 1, 1);
    world.refuse(0);
    world.turn(0);
    world.settle();
    assert_eq!((world.take(old), world.clients[old].is_closed), (vec![], true));
}

#[test]
fn what_a_failed_log_did_not_keep_is_taken_when_it_comes_again() {
    // Two messages of QoS 2 in one batch that fails; the client loses its connection over the first, and sends both again.
    let mut world = World::new(1);
    world.auto.writes = false;
    let connect = codec_connect_311_lasting("old");
    let (client, _) = world.join(0, &connect);
    world.clients[client].publish("t", "1", 2, 1);
    world.publish(client, "t", "2", 2, 2);
    world.refuse(0);
    world.turn(0);
    world.settle();
    assert!(world.clients[client].is_closed);
    world.auto.writes = true;
    let (again, present) = world.join(0, &connect);
    assert!(present);
    for (packet_id, payload) in [(1, "1"), (2, "2")] {
        let publish = Publish { dup: true, ..message("t", payload, 2, packet_id) };
        world.clients[again].packet(&Packet::Publish(publish));
    }
    world.settle();
    assert_eq!(rows(&world), 2, "both are in the log now");
}

fn codec_connect_311_lasting(client_id: &str) -> crate::mqtt::codec::Connect<'_> {
    crate::mqtt::codec::Connect { clean_start: false, ..v311(client_id) }
}

fn rows(world: &World) -> usize {
    world.log.iter().flatten().map(|batch| batch.rows().len()).sum()
}

#[test]
fn a_message_of_qos_2_whose_client_went_before_the_log_had_it_is_kept_once_or_taken_again() {
    for (keeps, moves) in [(true, false), (false, false), (true, true), (false, true)] {
        let mut world = World::new(2);
        (world.auto.writes, world.auto.acks) = (false, false);
        let (client, _) = world.join(0, &lasting("c", 100));
        world.publish(client, "t", "1", 2, 1);
        // It goes, or comes again elsewhere, before its message is done.
        if !moves {
            world.lose(client);
        }
        let again = world.client(usize::from(moves), &lasting("c", 100));
        let publish = Publish { dup: true, ..message("t", "1", 2, 1) };
        world.clients[again].packet(&Packet::Publish(publish));
        world.settle();
        assert!(!world.take(again).iter().any(|got| matches!(got, Got::Receipt(..))), "the log does not have it yet");
        if keeps {
            world.write(0);
            world.ack(0);
        } else {
            world.refuse(0);
        }
        world.turn(0);
        (world.auto.writes, world.auto.acks) = (true, true);
        world.settle();
        let got = world.take(again);
        assert!(got.contains(&Got::Receipt(Rec, 1, Reason::Success)), "{keeps} {moves}: {got:?}");
        assert_eq!(rows(&world), 1, "{keeps} {moves}");
    }
}

#[test]
fn repeated_messages_of_qos_2_are_taken_once_until_their_release() {
    let mut world = World::new(1);
    let (sub, _) = world.join(0, &v5("sub"));
    world.subscribe(sub, "t", 2);
    let (client, _) = world.join(0, &v5("c"));
    world.clients[client].answers = false;
    let again = Publish { dup: true, ..message("t", "1", 2, 7) };
    world.publish(client, "t", "1", 2, 7);
    for _ in 0..3 {
        world.clients[client].packet(&Packet::Publish(again));
    }
    world.settle();
    assert_eq!(world.take(client), vec![Got::Receipt(Rec, 7, Reason::Success); 4]);
    for _ in 0..2 {
        world.clients[client].receipt(ReceiptKind::Rel, 7);
    }
    world.settle();
    let released = [Got::Receipt(Comp, 7, Reason::Success), Got::Receipt(Comp, 7, Reason::PacketIdentifierNotFound)];
    assert_eq!(world.take(client), released);
    world.publish(client, "t", "2", 2, 7);
    assert_eq!(world.payloads(sub), ["1", "2"]);
}

#[test]
fn a_repetition_while_the_first_is_on_its_way_is_answered_once() {
    let mut world = World::new(1);
    world.auto.writes = false;
    let (client, _) = world.join(0, &v5("c"));
    world.publish(client, "t", "1", 2, 7);
    world.clients[client].packet(&Packet::Publish(Publish { dup: true, ..message("t", "1", 2, 7) }));
    world.settle();
    assert_eq!(world.take(client), []);
    world.auto.writes = true;
    world.settle();
    assert_eq!(world.take(client)[..1], [Got::Receipt(Rec, 7, Reason::Success)]);
    assert_eq!(rows(&world), 1);
}

#[test]
fn more_than_the_receive_maximum_ends_the_connection() {
    let settings = MqttConfig { receive_max: 2, life_cycle_events: false, ..MqttConfig::default() };
    let mut world = World::with(1, settings);
    world.auto.acks = false;
    let (client, _) = world.join(0, &v5("c"));
    world.publish(client, "t", "1", 1, 1);
    world.publish(client, "t", "2", 2, 2);
    assert_eq!(world.take(client), []);
    world.publish(client, "t", "3", 0, 0);
    world.publish(client, "t", "4", 1, 3);
    assert_eq!(world.take(client), [Got::Disconnect(Reason::ReceiveMaximumExceeded)]);
    assert!(world.clients[client].is_closed);
}

#[test]
fn an_old_client_with_many_messages_under_way_is_not_read_on_until_receipts_go_out() {
    let mut world = World::new(1);
    world.auto.acks = false;
    let (client, _) = world.join(0, &v311("c"));
    for packet_id in 1..=6000 {
        world.clients[client].publish("t", "x", 1, packet_id);
    }
    world.settle();
    assert!(!world.clients[client].unread.is_empty(), "it is held back");
    // It is not taken for dead while it is not read.
    world.auto.acks = true;
    world.settle();
    assert_eq!((world.take(client).len(), world.clients[client].unread.len()), (6000, 0));
}

#[test]
fn topic_aliases_of_a_client() {
    let mut world = World::new(1);
    let (sub, _) = world.join(0, &v5("sub"));
    world.subscribe(sub, "#", 0);
    let (client, _) = world.join(0, &v5("c"));
    let alias = |topic, payload, alias| {
        let properties = PublishProperties { topic_alias: Some(alias), ..PublishProperties::default() };
        Packet::Publish(Publish { properties, ..message(topic, payload, 0, 0) })
    };
    for packet in [alias("a", "1", 1), alias("", "2", 1), alias("b", "3", 1), alias("", "4", 1), alias("c", "5", 32)] {
        world.clients[client].packet(&packet);
    }
    world.settle();
    let got: Vec<(String, String)> =
        world.clients[sub].messages().into_iter().map(|got| (got.topic, got.payload)).collect();
    let wanted = [("a", "1"), ("a", "2"), ("b", "3"), ("b", "4"), ("c", "5")];
    assert_eq!(got, wanted.map(|(topic, payload)| (topic.to_owned(), payload.to_owned())));
    for packet in [alias("", "6", 2), alias("a", "6", 33)] {
        let (client, _) = world.join(0, &v5("other"));
        world.clients[client].packet(&packet);
        world.settle();
        assert_eq!(world.take(client), [Got::Disconnect(Reason::TopicAliasInvalid)]);
    }
}
