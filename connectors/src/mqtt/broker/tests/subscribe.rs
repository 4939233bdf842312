//! SUBSCRIBE and what follows: retained messages, overlaps, identifiers, options.

use super::*;
use crate::mqtt::broker::tests::client::{lasting, message, options};
use crate::mqtt::codec::{Publish, Qos, SubscribeOptions};
use crate::mqtt::config::MqttConfig;

fn retained<'a>(topic: &'a str, payload: &'a str, qos: u8, packet_id: u16) -> Packet<'a> {
    Packet::Publish(Publish { retain: true, ..message(topic, payload, qos, packet_id) })
}

#[test]
fn what_was_acknowledged_before_comes_retained_and_not_as_news() {
    for client in [v5("sub"), v311("sub")] {
        let mut world = World::new(2);
        world.follows = vec![false, false];
        let (publisher, _) = world.join(0, &v5("pub"));
        let (sub, _) = world.join(1, &client);
        world.clients[publisher].packet(&retained("t", "old", 1, 1));
        world.settle();
        assert_eq!(world.take(publisher).len(), 1, "acknowledged");
        world.clients[sub].subscribe(1, &[("t", 1)]);
        // It has messages of its own under way, whose receipts come meanwhile.
        world.clients[sub].publish("other", "x", 1, 1);
        world.settle();
        assert_eq!(world.take(sub), [], "it waits for the tap");
        world.show_all(1);
        world.settle();
        let got = world.take(sub);
        assert_eq!(got[0], Got::SubAck(1, vec![Reason::GrantedQos1]));
        let found = got.iter().filter_map(|got| if let Got::Publish(found) = got { Some(found.retain) } else { None });
        assert_eq!(found.collect::<Vec<_>>(), [true]);
        world.follows = vec![true, true];
        world.settle();
        let others = world.clients[sub].messages();
        assert_eq!(others, []);
    }
}

#[test]
fn receipts_do_not_let_a_waiting_subscribe_go_on() {
    let mut world = World::new(1);
    world.follows[0] = false;
    let (other, _) = world.join(0, &v5("other"));
    world.clients[other].packet(&retained("t", "first", 1, 1));
    world.settle();
    let (sub, _) = world.join(0, &v311("sub"));
    world.auto.acks = false;
    world.clients[sub].publish("x", "x", 1, 1);
    world.clients[sub].subscribe(1, &[("a", 1)]);
    world.settle();
    // What is acknowledged behind it is nothing that it waits for.
    world.publish(other, "x", "x", 1, 2);
    world.ack(1);
    world.auto.acks = true;
    world.settle();
    assert_eq!(world.take(sub), [Got::Receipt(crate::mqtt::codec::ReceiptKind::Ack, 1, Reason::Success)]);
    let partition = |id: &str| engine::batch::partition_of(id.as_bytes(), world::PARTITIONS) as usize;
    assert!(world.show(0, partition("other")));
    world.settle();
    assert_eq!(world.take(sub), [Got::SubAck(1, vec![Reason::GrantedQos1])]);
    // The next one waits for more.
    world.clients[other].packet(&retained("t", "second", 1, 3));
    world.settle();
    world.clients[sub].subscribe(2, &[("t", 1)]);
    world.settle();
    for id in ["other", "sub"] {
        assert!(world.show(0, partition(id)));
        world.settle();
    }
    assert_eq!(world.take(sub), []);
    world.follows[0] = true;
    world.settle();
    let messages = world.clients[sub].messages();
    assert_eq!(messages.len(), 1);
    assert!(messages[0].retain && messages[0].payload == "second", "{messages:?}");
}

#[test]
fn what_a_faster_core_retained_comes_once() {
    let mut world = World::new(2);
    world.follows = vec![true, false];
    world.auto.acks = false;
    let (publisher, _) = world.join(0, &v5("pub"));
    let (sub, _) = world.join(1, &v5("sub"));
    world.clients[publisher].packet(&retained("t", "new", 1, 1));
    world.settle();
    assert_eq!(world.node.retained.stats().messages, 1, "core 0 has shown it");
    world.subscribe(sub, "t", 1);
    world.follows[1] = true;
    world.settle();
    assert_eq!(world.payloads(sub), ["new"]);
}

#[test]
fn retain_handling_and_removal() {
    let mut world = World::new(1);
    let (client, _) = world.join(0, &v5("c"));
    world.clients[client].packet(&retained("a/b", "kept", 1, 1));
    world.settle();
    world.take(client);
    let with = |retain_handling| SubscribeOptions { retain_handling, ..options(1) };
    for (handling, again, wanted) in
        [(0, false, 1), (0, true, 1), (1, true, 0), (2, true, 0), (2, false, 0), (1, false, 1)]
    {
        if !again {
            world.clients[client].unsubscribe(1, "a/+");
        }
        world.clients[client].subscribe_with(2, None, "a/+", with(handling));
        world.settle();
        let messages = world.clients[client].messages();
        assert_eq!(messages.len(), wanted, "{handling} {again}");
        assert!(messages.iter().all(|message| message.retain));
    }
    world.clients[client].packet(&retained("a/b", "", 1, 3));
    world.settle();
    let removal = world.clients[client].messages();
    assert_eq!((removal.len(), removal[0].retain), (1, false));
    world.clients[client].subscribe(4, &[("#", 1)]);
    world.settle();
    assert!(world.clients[client].messages().is_empty());
}

#[test]
fn more_retained_messages_than_there_is_room_for_come_one_after_the_other() {
    let mut world =
        World::with(1, MqttConfig { out_bytes_max: 4096, life_cycle_events: false, ..MqttConfig::default() });
    let (client, _) = world.join(0, &v5("c"));
    let payload = "x".repeat(1000);
    for number in 0..50 {
        world.clients[client].packet(&retained(&format!("r/{number:02}"), &payload, 0, 0));
    }
    world.settle();
    for qos in [0, 1] {
        let mut connect = v5("sub");
        connect.properties.receive_max = Some(1);
        let (sub, _) = world.join(0, &connect);
        world.clients[sub].subscribe(1, &[("r/#", qos)]);
        world.settle();
        let topics: Vec<String> = world.clients[sub].messages().into_iter().map(|message| message.topic).collect();
        let wanted: Vec<String> = (0..50).map(|number| format!("r/{number:02}")).collect();
        assert_eq!(topics, wanted, "QoS {qos}");
    }
}

#[test]
fn overlapping_subscriptions_give_one_message_with_all_identifiers_at_the_highest_qos() {
    let mut world = World::new(1);
    let (client, _) = world.join(0, &v5("c"));
    world.clients[client].subscribe_with(1, Some(7), "a/#", options(0));
    world.clients[client].subscribe_with(2, Some(300), "a/+", options(2));
    world.clients[client].subscribe_with(3, None, "a/b", options(1));
    world.clients[client].subscribe_with(4, Some(9), "b", options(1));
    world.settle();
    world.take(client);
    world.clients[client].publish("a/b", "x", 1, 1);
    world.settle();
    let messages = world.clients[client].messages();
    assert_eq!(messages.len(), 1);
    let mut ids = messages[0].ids.clone();
    ids.sort_unstable();
    assert_eq!((messages[0].qos, ids), (Qos::AtLeastOnce, vec![7, 300]));
    world.clients[client].unsubscribe(5, "a/+");
    world.clients[client].unsubscribe(6, "a/+");
    world.publish(client, "a/b", "y", 2, 2);
    let got = world.take(client);
    assert_eq!(got[0], Got::UnsubAck(5, vec![Reason::Success]));
    assert_eq!(got[1], Got::UnsubAck(6, vec![Reason::NoSubscriptionExisted]));
    let found = got.iter().find_map(|got| if let Got::Publish(found) = got { Some(found) } else { None });
    assert_eq!(found.map(|found| (found.qos, found.ids.clone())), Some((Qos::AtLeastOnce, vec![7])));
}

#[test]
fn no_local_and_retain_as_published() {
    let mut world = World::new(1);
    let (client, _) = world.join(0, &v5("c"));
    let (other, _) = world.join(0, &v5("other"));
    let local = SubscribeOptions { no_local: true, retain_as_published: true, ..options(1) };
    world.clients[client].subscribe_with(1, None, "t", local);
    world.settle();
    world.publish(client, "t", "mine", 1, 1);
    world.clients[other].packet(&retained("t", "kept", 1, 1));
    world.settle();
    let messages = world.clients[client].messages();
    assert_eq!(messages.iter().map(|got| (&*got.payload, got.retain)).collect::<Vec<_>>(), [("kept", true)]);
    // Another subscription without the wish takes it.
    world.subscribe(client, "+", 0);
    world.clients[client].messages();
    world.publish(client, "t", "mine", 1, 2);
    assert_eq!(world.payloads(client), ["mine"]);
}

#[test]
fn a_session_that_stays_hears_of_its_subscription_when_it_is_stored() {
    let mut world = World::new(1);
    let (client, _) = world.join(0, &lasting("c", 100));
    world.auto.stores = false;
    let (other, _) = world.join(0, &v5("other"));
    world.clients[other].packet(&retained("t", "kept", 1, 1));
    world.settle();
    world.clients[client].subscribe(1, &[("t", 1)]);
    world.settle();
    assert_eq!((world.take(client), world.stored.len()), (vec![], 1));
    world.tell_stored(true);
    world.settle();
    let got = world.take(client);
    assert_eq!(got[0], Got::SubAck(1, vec![Reason::GrantedQos1]));
    assert!(matches!(&got[1], Got::Publish(message) if message.retain));
    world.clients[client].subscribe(2, &[("u", 1)]);
    world.settle();
    world.tell_stored(false);
    world.settle();
    assert_eq!(world.take(client), [Got::Disconnect(Reason::ImplementationSpecific)]);
}

#[test]
fn filters_that_are_none_are_refused() {
    let mut world = World::new(1);
    let (client, _) = world.join(0, &v5("c"));
    world.clients[client].subscribe(1, &[("a/#/b", 1), ("$share/g/", 1), ("$share/+/a", 1), ("a", 1)]);
    world.settle();
    let bad = Reason::TopicFilterInvalid;
    assert_eq!(world.take(client), [Got::SubAck(1, vec![bad, bad, bad, Reason::GrantedQos1])]);
    let (old, _) = world.join(0, &v311("old"));
    world.clients[old].subscribe(1, &[("a/#/b", 1)]);
    world.settle();
    assert!(world.clients[old].is_closed && world.take(old).is_empty());
}
