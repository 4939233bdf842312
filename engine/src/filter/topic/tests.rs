//! Topic filters against the examples of MQTT 5 section 4.7, and against the naive way.

use proptest::prelude::*;

use super::*;

#[test]
fn the_examples_of_the_standard() {
    for (filter, topic, expected) in [
        // 4.7.1.2, multi-level wildcard
        ("sport/tennis/player1/#", "sport/tennis/player1", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
        ("sport/tennis/player1/#", "sport/tennis/player10", false),
        ("sport/#", "sport", true),
        ("sport/#", "sports", false),
        ("#", "sport", true),
        ("#", "/", true),
        // 4.7.1.3, single-level wildcard
        ("sport/tennis/+", "sport/tennis/player1", true),
        ("sport/tennis/+", "sport/tennis/player2", true),
        ("sport/tennis/+", "sport/tennis/player1/ranking", false),
        ("sport/+", "sport", false),
        ("sport/+", "sport/", true),
        ("+", "sport", true),
        ("+", "/finance", false),
        ("+/tennis/#", "sport/tennis", true),
        ("+/tennis/#", "sport/tennis/x/y", true),
        ("sport/+/player1", "sport/tennis/player1", true),
        ("sport/+/player1", "sport/player1", false),
        ("+/+", "/finance", true),
        ("/+", "/finance", true),
        ("/+", "finance", false),
        // 4.7.2, topics beginning with $
        ("#", "$SYS/monitor", false),
        ("+/monitor/Clients", "$SYS/monitor/Clients", false),
        ("$SYS/#", "$SYS", true),
        ("$SYS/#", "$SYS/monitor", true),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
        ("a/#", "a/$SYS", true),
        ("a/+", "a/$SYS", true),
        // 4.7.3, semantics: case, spaces, empty levels
        ("ACCOUNTS", "Accounts", false),
        ("Accounts payable", "Accounts payable", true),
        ("/finance", "finance", false),
        ("finance/", "finance", false),
        ("finance/+", "finance/", true),
        ("a//b", "a//b", true),
        ("a/+/b", "a//b", true),
        ("a//b", "a/b", false),
        ("/", "/", true),
        ("/#", "/", true),
        ("//#", "/", true),
        ("+/+", "/", true),
        ("a/#", "a/", true),
        ("grün/+", "grün/blau", true),
        // In a topic that is no MQTT topic these are plain characters.
        ("a/+", "a/#", true),
        ("a/b", "a/+", false),
    ] {
        let compiled = TopicFilter::new(filter).expect(filter);
        assert_eq!(compiled.matches(topic), expected, "{filter} on {topic}");
        assert_eq!(compiled.text(), filter);
    }
}

#[test]
fn what_is_no_topic_filter_is_refused_at_its_place() {
    for (filter, error, place) in [
        ("", TopicError::Empty, 0..0),
        ("sport/tennis#", TopicError::HashNotAlone(12), 12..13),
        ("sport/tennis/#/ranking", TopicError::HashNotLast(13), 13..14),
        ("#/a", TopicError::HashNotLast(0), 0..1),
        ("#a", TopicError::HashNotAlone(0), 0..1),
        ("sport+", TopicError::PlusNotAlone(5), 5..6),
        ("a/+b/c", TopicError::PlusNotAlone(2), 2..3),
        ("++", TopicError::PlusNotAlone(0), 0..1),
        ("ä/b\0", TopicError::Nul(4), 4..5),
        ("$share/group/sport/+", TopicError::Shared, 0..13),
        ("$share/group", TopicError::Shared, 0..12),
        ("$share", TopicError::Shared, 0..6),
    ] {
        let found = TopicFilter::new(filter).expect_err(filter);
        assert_eq!(found, error, "{filter:?}");
        assert_eq!(found.place(filter), place, "{filter:?}");
        assert!(!found.help(filter).is_empty());
    }
    assert_eq!(TopicError::Shared.help("$share/g/a/+/#"), "write the topic filter alone: `a/+/#`");
    assert!(TopicFilter::new(&"a".repeat(TOPIC_BYTES_MAX)).is_ok());
    assert_eq!(TopicFilter::new(&"a".repeat(TOPIC_BYTES_MAX + 1)), Err(TopicError::TooLong(TOPIC_BYTES_MAX + 1)));
    // Only the name itself is reserved.
    assert!(TopicFilter::new("$shared/x").is_ok());
    assert!(TopicFilter::new("$SYS/#").is_ok());
}

#[test]
fn levels_are_open_to_inspection() {
    let filter = TopicFilter::new("a/+//#").expect("valid");
    assert_eq!(filter.levels(), [Level::Name("a".into()), Level::Any, Level::Name("".into()), Level::Rest]);
}

/// The standard's words, level by level.
fn naive(filter: &[&str], topic: &[&str]) -> bool {
    match (filter.split_first(), topic.split_first()) {
        (None, None) => true,
        (Some((&"#", _)), _) => true,
        (Some((&"+", filter)), Some((_, topic))) => naive(filter, topic),
        (Some((level, filter)), Some((name, topic))) => level == name && naive(filter, topic),
        _ => false,
    }
}

fn levels(alphabet: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(alphabet), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    #[test]
    fn matching_is_what_the_naive_way_says(
        mut filter in levels(&["a", "b", "", "$a", "+", "+", "ä"]),
        rest in any::<bool>(),
        topic in levels(&["a", "b", "", "$a", "ä"]),
    ) {
        if rest {
            filter.push("#");
        }
        let (filter_text, topic_text) = (filter.join("/"), topic.join("/"));
        prop_assume!(!filter_text.is_empty());
        let servers_own = topic_text.starts_with('$') && filter_text.starts_with(['+', '#']);
        let expected = naive(&filter, &topic) && !servers_own;
        let compiled = TopicFilter::new(&filter_text).expect("valid");
        prop_assert_eq!(compiled.matches(&topic_text), expected, "{} on {}", filter_text, topic_text);
    }
}
