//! Topic names and topic filters: which match which, and which are none.

use super::packet::*;
use crate::mqtt_broker::Broker;

/// Filter, topics that it matches, topics that it does not.
const TABLE: &[(&str, &[&str], &[&str])] = &[
    ("#", &["a", "/", "//", "a/b", "/a", "a/", " "], &["$a", "$a/b", "$"]),
    ("+", &["a", " ", "ü", "a b"], &["/", "a/b", "/a", "a/", "$a"]),
    ("+/+", &["a/b", "/a", "a/", "/"], &["a", "a/b/c", "//", "$a/b"]),
    ("/+", &["/a", "/"], &["a", "a/b", "/a/b"]),
    ("/#", &["/", "/a", "/a/b", "//"], &["a", "a/b", "a/"]),
    ("+/#", &["a", "a/b", "/", "/a", "a/b/c"], &["$a/b", "$a"]),
    ("sport/#", &["sport", "sport/", "sport/a", "sport/a/b"], &["sports", "Sport", "a/sport"]),
    (
        "sport/tennis/player1",
        &["sport/tennis/player1"],
        &["sport/tennis/player1/", "sport/tennis", "sport/tennis/Player1"],
    ),
    (
        "sport/tennis/player1/#",
        &["sport/tennis/player1", "sport/tennis/player1/score/wimbledon"],
        &["sport/tennis/player2"],
    ),
    ("sport/+", &["sport/", "sport/a"], &["sport", "sport/a/b"]),
    ("sport/+/player1", &["sport/tennis/player1", "sport//player1"], &["sport/player1", "sport/a/b/player1"]),
    ("+/tennis/#", &["a/tennis", "a/tennis/b/c", "/tennis"], &["tennis", "a/b/tennis", "$a/tennis"]),
    ("a/+/+/b", &["a/1/2/b", "a///b"], &["a/1/b", "a/1/2/3/b"]),
    ("a//b", &["a//b"], &["a/b", "a///b"]),
    ("/", &["/"], &["//", "a"]),
    ("a/", &["a/"], &["a", "a/b", "/a"]),
    ("/a", &["/a"], &["a", "//a"]),
    ("ACCOUNTS", &["ACCOUNTS"], &["Accounts", "accounts"]),
    ("Accounts payable", &["Accounts payable"], &["Accountspayable", "Accounts  payable"]),
    ("\u{e9}", &["\u{e9}"], &["e\u{301}", "e"]),
    ("\u{feff}a", &["\u{feff}a"], &["a"]),
    ("$a/+", &["$a/b", "$a/"], &["$a", "$a/b/c", "a/b"]),
    ("$a/#", &["$a", "$a/b", "$a/b/c"], &["$b", "a"]),
    ("$", &["$"], &["$a"]),
    ("a/$b/+", &["a/$b/c"], &["a/b/c"]),
    ("+/$b", &["a/$b"], &["$b"]),
    ("日本/+", &["日本/東京"], &["日本"]),
    ("a/#", &["a", "a/$x"], &["ab", "b"]),
];

/// [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.2-1], [MQTT-4.7.3-4]; 3.1.1 [MQTT-4.7.1-2], [MQTT-4.7.1-3], [MQTT-4.7.2-1],
/// [MQTT-4.7.3-4].
#[test]
fn c4_7_filters_match_as_the_table_says() {
    let broker = Broker::start();
    for version in [V4, V5] {
        let mut publisher = broker.of(version, "publisher");
        for (filter, matching, other) in TABLE {
            let mut subscriber = broker.of(version, "subscriber");
            assert_eq!(subscriber.subscribe(&[(filter, 0)]), [0], "{filter}");
            for topic in matching.iter().chain(*other) {
                publisher.publish(topic, "x", 0);
            }
            let found: Vec<_> = subscriber.all_after(&mut publisher).into_iter().map(|message| message.topic).collect();
            assert_eq!(found, *matching, "{filter}");
            subscriber.leave();
        }
    }
}

/// The same for many subscriptions at once: one copy of each message for whoever has one that matches.
#[test]
fn c4_7_all_filters_at_once() {
    let broker = Broker::start();
    let (mut subscriber, mut publisher) = (broker.v5("subscriber"), broker.v5("publisher"));
    for (at, (filter, ..)) in TABLE.iter().enumerate() {
        subscriber.subscribe_with(&props().varint(id::SUBSCRIPTION, at + 1), &[(filter, 0)]);
    }
    let matches = |filter: &str, topic: &str| {
        let mut levels = topic.split('/');
        let mut filters = filter.split('/').peekable();
        if topic.starts_with('$') && filter.starts_with(['+', '#']) {
            return false;
        }
        while let Some(level) = filters.next() {
            match (level, levels.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (level, Some(found)) if level == found => {}
                _ => return false,
            }
            if levels.clone().next().is_none() && filters.peek() == Some(&"#") {
                return true;
            }
        }
        levels.next().is_none()
    };
    let topics: Vec<&str> =
        TABLE.iter().flat_map(|(_, matching, other)| matching.iter().chain(*other)).copied().collect();
    for topic in topics {
        let wanted: Vec<u32> =
            (1u32..).zip(TABLE).filter(|(_, (filter, ..))| matches(filter, topic)).map(|(at, _)| at).collect();
        publisher.publish(topic, "x", 0);
        if wanted.is_empty() {
            continue;
        }
        let message = subscriber.message();
        assert_eq!((message.topic.as_str(), message.props.subscriptions()), (topic, wanted));
    }
}

/// [MQTT-3.3.2-2], [MQTT-4.7.0-1], [MQTT-4.7.3-1], [MQTT-4.7.3-2]; 3.1.1 [MQTT-3.3.2-2], [MQTT-4.7.3-1]: names that are none.
#[test]
fn c3_3_2_2_topic_names_that_are_none() {
    let broker = Broker::start();
    for version in [V4, V5] {
        for topic in ["#", "+", "a/#", "a/+/b", "a+", "a#b", "", "a\0b"] {
            for qos in 0..=2 {
                let mut client = broker.of(version, "client");
                client.send(&Publish::new(topic, "x").qos(qos).id(1).bytes(version));
                client.ended_with(&[0x90, 0x81, 0x82]);
            }
        }
    }
    broker.v5("well").ping();
}

/// [MQTT-4.7.3-3]: names and filters may be long.
#[test]
fn c4_7_3_3_long_names() {
    let broker = Broker::start();
    let (mut subscriber, mut publisher) = (broker.v5("subscriber"), broker.v4("publisher"));
    let long = "x/".repeat(50) + &"y".repeat(3_000);
    assert_eq!(subscriber.subscribe(&[(&long, 0), ("x/#", 0)]), [0, 0]);
    publisher.publish(&long, "x", 1);
    assert_eq!(subscriber.message().topic, long);
    subscriber.is_quiet_after(&mut publisher);
}
