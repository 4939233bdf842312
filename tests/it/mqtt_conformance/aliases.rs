//! Topic aliases, both ways.

use super::answer::Message;
use super::packet::*;
use crate::mqtt_broker::Broker;

fn aliased(topic: &str, payload: &str, alias: u16) -> Publish {
    Publish::new(topic, payload).props(props().two(id::ALIAS, alias))
}

/// [MQTT-3.3.2-12], 3.3.2.3.4: set, used, set anew; every one up to the maximum.
#[test]
fn c3_3_2_12_aliases_from_a_client() {
    let broker = Broker::start();
    let (mut client, ack) = broker.join(&Connect::new(V5, "client"));
    let most = ack.props.number(id::ALIAS_MAX).expect("aliases are allowed") as u16;
    let mut subscriber = broker.v5("subscriber");
    subscriber.subscribe(&[("t/#", 2)]);
    for (topic, payload, alias, qos) in [
        ("t/a", "1", 1, 0),
        ("", "2", 1, 1),
        ("t/b", "3", most, 2),
        ("", "4", most, 0),
        ("", "5", 1, 2),
        ("t/c", "6", 1, 0),
    ] {
        client.put(aliased(topic, payload, alias).qos(qos));
    }
    client.put(aliased("", "7", 1));
    client.put(aliased("", "8", most));
    let found: Vec<_> = (0..8)
        .map(|_| subscriber.message())
        .map(|message| (message.topic.clone(), message.text().to_owned()))
        .collect();
    let wanted = [
        ("t/a", "1"),
        ("t/a", "2"),
        ("t/b", "3"),
        ("t/b", "4"),
        ("t/a", "5"),
        ("t/c", "6"),
        ("t/c", "7"),
        ("t/b", "8"),
    ];
    assert_eq!(found, wanted.map(|(topic, text)| (topic.to_owned(), text.to_owned())));
}

/// [MQTT-3.3.2-8], [MQTT-3.3.2-9], 3.3.2.3.4: 0 and more than the maximum are 0x94; one that was not set is an error.
#[test]
fn c3_3_2_8_aliases_that_cannot_be() {
    let broker = Broker::start();
    let (_client, ack) = broker.join(&Connect::new(V5, "client"));
    let most = ack.props.number(id::ALIAS_MAX).expect("aliases are allowed") as u16;
    for (alias, codes) in [(0, &[0x94][..]), (most + 1, &[0x94])] {
        for topic in ["t", ""] {
            let mut client = broker.v5("bad");
            client.send(&aliased(topic, "x", alias).bytes(V5));
            client.ended_with(codes);
        }
    }
    let mut client = broker.v5("bad");
    client.send(&aliased("", "x", 1).bytes(V5));
    client.ended_with(&[0x82, 0x94]);
    let mut client = broker.v5("bad");
    client.send(&Publish::new("", "x").bytes(V5));
    client.ended_with(&[0x82]);
    let mut client = broker.v5("bad");
    client.send(&Publish::new("t", "x").props(props().two(id::ALIAS, 1).two(id::ALIAS, 1)).bytes(V5));
    client.ended_with(&[0x82, 0x81]);
}

/// [MQTT-3.3.2-7]: no alias outlives its connection, though the session does.
#[test]
fn c3_3_2_7_aliases_end_with_the_connection() {
    let broker = Broker::start();
    let connect = Connect::new(V5, "client").props(props().four(id::SESSION_EXPIRY, 60));
    let mut client = broker.join(&connect).0;
    client.put(aliased("t", "x", 1));
    client.put(aliased("", "x", 1).qos(1));
    client.leave();
    let mut client = broker.join(&connect.resume()).0;
    client.send(&aliased("", "x", 1).bytes(V5));
    client.ended_with(&[0x82, 0x94]);
}

/// The topics that messages are of, by the aliases of their connection.
fn resolve(messages: &[Message], most: u32) -> Vec<String> {
    let mut known = std::collections::HashMap::new();
    let topic = |message: &Message| {
        let alias = message.props.number(id::ALIAS);
        assert!(alias.is_none_or(|alias| (1..=most).contains(&alias)), "[MQTT-3.1.2-26]: {alias:?}, at most {most}");
        match alias {
            Some(alias) if message.topic.is_empty() => known.get(&alias).cloned().expect("an alias that was not set"),
            Some(alias) => {
                known.insert(alias, message.topic.clone());
                message.topic.clone()
            }
            None => message.topic.clone(),
        }
    };
    messages.iter().map(topic).collect()
}

/// [MQTT-3.1.2-26], [MQTT-3.3.2-11]: towards a client that allows them, no more than it allows; topics stay right.
#[test]
fn c3_1_2_26_aliases_from_the_server() {
    let broker = Broker::start();
    let most = 3;
    let connect = Connect::new(V5, "client").props(props().two(id::ALIAS_MAX, most).four(id::SESSION_EXPIRY, 60));
    let mut client = broker.join(&connect).0;
    let mut publisher = broker.v4("publisher");
    client.subscribe(&[("topic/#", 2)]);
    let wanted: Vec<String> =
        (0..40u32).map(|at| format!("topic/{}", [0, 1, 0, 2, 3, 4, 0, 1][at as usize % 8])).collect();
    for round in 0..2 {
        for (at, topic) in wanted.iter().enumerate() {
            publisher.publish(topic, topic, (at % 3) as u8);
        }
        let found: Vec<_> = wanted.iter().map(|_| client.message()).collect();
        // Messages of different QoS may overtake each other.
        let texts: Vec<_> = found.iter().map(|message| message.text().to_owned()).collect();
        assert_eq!(resolve(&found, most.into()), texts);
        assert!(found.iter().any(|message| message.topic.is_empty()), "the server uses aliases");
        if round == 0 {
            // [MQTT-3.3.2-7]: the next connection begins anew, also with what comes again.
            publisher.publish("topic/0", "again", 1);
            let held = client.held();
            client.drop_connection();
            client = broker.join(&connect.clone().resume()).0;
            let again = client.message();
            assert_eq!((again.topic.as_str(), again.text(), again.id), ("topic/0", "again", held.id));
            let known = again.props.number(id::ALIAS);
            client.leave();
            client = broker.join(&connect.clone().resume()).0;
            assert!(known.is_none_or(|alias| alias <= most.into()));
        }
    }
}

/// [MQTT-3.1.2-27]: none without leave.
#[test]
fn c3_1_2_27_no_aliases_without_leave() {
    let broker = Broker::start();
    let mut publisher = broker.v5("publisher");
    for properties in [props(), props().two(id::ALIAS_MAX, 0)] {
        let mut client = broker.join(&Connect::new(V5, "client").props(properties)).0;
        client.subscribe(&[("t", 0)]);
        for _ in 0..5 {
            publisher.put(aliased("t", "x", 1));
            let message = client.message();
            assert_eq!((message.topic.as_str(), message.props.number(id::ALIAS)), ("t", None));
        }
        client.leave();
    }
}
