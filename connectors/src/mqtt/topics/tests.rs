//! The tree beside its naive twin, and beside the engine's topic filters.

use proptest::prelude::*;

use super::*;

fn level() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "a", "b", "$x", "long name"])
}

fn topic() -> impl Strategy<Value = String> {
    prop::collection::vec(level(), 1..5).prop_map(|levels| levels.join("/")).prop_filter("not empty", |t| !t.is_empty())
}

fn filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![3 => level(), 1 => Just("+")];
    (prop::collection::vec(level, 0..5), any::<bool>())
        .prop_map(|(mut levels, rest)| {
            if rest {
                levels.push("#");
            }
            levels.join("/")
        })
        .prop_filter("not empty", |filter| !filter.is_empty())
}

proptest! {
    #[test]
    fn the_tree_gives_what_a_look_at_every_filter_gives(
        filters in prop::collection::vec(filter(), 0..20),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        topics in prop::collection::vec(topic(), 1..10),
    ) {
        let mut tree = TopicTree::default();
        let mut all: Vec<Option<&str>> = Vec::new();
        for (number, filter) in filters.iter().enumerate() {
            tree.insert(filter, number);
            all.push(Some(filter));
        }
        for index in removed {
            if filters.is_empty() {
                break;
            }
            let number = index.index(filters.len());
            let expected = usize::from(all[number].take().is_some());
            prop_assert_eq!(tree.remove(&filters[number], |found| *found == number), expected);
        }
        for topic in &topics {
            let mut found = Vec::new();
            tree.matches(topic, &mut |number| found.push(*number));
            found.sort_unstable();
            let naive = |(number, filter): (usize, &Option<&str>)| filter.filter(|f| filter_takes(f, topic)).map(|_| number);
            let expected: Vec<usize> = all.iter().enumerate().filter_map(naive).collect();
            prop_assert_eq!(found, expected, "{}", topic);
        }
        let left = all.iter().flatten().count();
        prop_assert_eq!(tree.len(), left);
        prop_assert_eq!(tree.root.is_empty(), left == 0);
    }

    #[test]
    fn filters_mean_what_they_mean_in_routes(filter in filter(), topic in topic()) {
        let compiled = engine::filter::TopicFilter::new(&filter).expect("well formed");
        prop_assert_eq!(filter_takes(&filter, &topic), compiled.matches(&topic), "{} {}", filter, topic);
    }
}

#[test]
fn the_examples_of_the_standard() {
    for (filter, topic, takes) in [
        ("sport/tennis/player1/#", "sport/tennis/player1", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
        ("sport/tennis/+", "sport/tennis/player1/ranking", false),
        ("sport/+", "sport", false),
        ("sport/+", "sport/", true),
        ("+/+", "/finance", true),
        ("/+", "/finance", true),
        ("+", "/finance", false),
        ("#", "$SYS/x", false),
        ("+/monitor/Clients", "$SYS/monitor/Clients", false),
        ("$SYS/#", "$SYS/", true),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
        ("ACCOUNTS", "Accounts", false),
    ] {
        assert_eq!(filter_takes(filter, topic), takes, "{filter} {topic}");
    }
}
