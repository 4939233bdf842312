//! Topic filters against lists of cases, and containment against a naive twin that goes through all topics.

use proptest::prelude::*;

use crate::mqtt::topics::filter_takes;

use super::*;

#[test]
fn a_filter_matches_as_the_standard_says() {
    let cases = [
        ("a/b", "a/b", true),
        ("a/b", "a/b/c", false),
        ("a/b", "A/b", false),
        ("a/+", "a/b", true),
        ("a/+", "a/", true),
        ("a/+", "a", false),
        ("a/+", "a/b/c", false),
        ("+/+", "/x", true),
        ("/+", "/x", true),
        ("+", "/x", false),
        ("a/#", "a", true),
        ("a/#", "a/b/c", true),
        ("a/#", "ab", false),
        ("#", "a/b", true),
        ("#", "/", true),
        ("+/b/#", "a/b", true),
        ("#", "$SYS/x", false),
        ("+/x", "$SYS/x", false),
        ("$SYS/#", "$SYS/x", true),
        ("$SYS/+", "$SYS/x", true),
        ("a/+/#", "a/$b", true),
    ];
    for (filter, topic, expected) in cases {
        assert_eq!(filter_takes(filter, topic), expected, "{filter} and {topic}");
    }
}

#[test]
fn a_filter_is_within_another_if_all_its_topics_are() {
    let cases = [
        ("a/#", "a/#", true),
        ("a/#", "a", true),
        ("a/#", "a/+/c", true),
        ("a/#", "a/b/#", true),
        ("a/#", "#", false),
        ("a/#", "+/b", false),
        ("a/+", "a/b", true),
        ("a/+", "a/+", true),
        ("a/+", "a/#", false),
        ("a/+/#", "a/#", false),
        ("a/+/#", "a/b", true),
        ("a/b", "a/+", false),
        ("#", "#", true),
        ("#", "+/x", true),
        ("+/#", "#", true),
        ("+/#", "+/#", true),
        ("+/+/#", "#", false),
        ("+/+/#", "+/#", false),
        ("+/+/#", "/#", true),
        ("+/+", "/#", false),
        ("/+/#", "/#", true),
        ("/#", "/#", true),
        ("#", "$SYS/#", false),
        ("+/x", "$SYS/x", false),
        ("$SYS/#", "$SYS/x", true),
        ("$SYS/#", "#", false),
    ];
    for (template, requested, expected) in cases {
        assert_eq!(filter_contains(template, requested), expected, "{requested} within {template}");
    }
}

/// All topics of one to five levels out of these: more levels than any filter below has, and names that no filter says.
fn all_topics() -> Vec<String> {
    let mut topics: Vec<String> = Vec::new();
    let mut longest: Vec<String> = vec![String::new()];
    for depth in 0..5 {
        longest = longest
            .iter()
            .flat_map(|begin| {
                ["", "a", "b", "$c", "other"].map(|level| match depth {
                    0 => level.to_owned(),
                    _ => format!("{begin}/{level}"),
                })
            })
            .collect();
        topics.extend(longest.iter().filter(|topic| !topic.is_empty()).cloned());
    }
    topics
}

fn any_filter() -> impl Strategy<Value = String> {
    let level = prop::sample::select(vec!["+", "+", "", "a", "b", "$c"]);
    (prop::collection::vec(level, 0..4), any::<bool>()).prop_filter_map("empty", |(mut levels, has_end)| {
        if has_end || levels.is_empty() {
            levels.push("#");
        }
        Some(levels.join("/")).filter(|filter| !filter.is_empty())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn containment_is_what_going_through_all_topics_finds(template in any_filter(), requested in any_filter()) {
        thread_local!(static TOPICS: Vec<String> = all_topics());
        let naive = TOPICS.with(|topics| {
            topics.iter().filter(|topic| filter_takes(&requested, topic)).all(|topic| filter_takes(&template, topic))
        });
        prop_assert_eq!(filter_contains(&template, &requested), naive, "{} within {}", requested, template);
    }
}
