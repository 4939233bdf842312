//! Grants against the naive matching of filters, and the rules around them.

use proptest::prelude::*;

use super::*;
use crate::mqtt::topics::filter_takes;

fn only(filter: &str) -> Grants {
    Grants::new([filter.to_owned()], [filter.to_owned()])
}

#[test]
fn what_is_not_granted_is_denied() {
    let nothing = Grants::new([], []);
    assert!(!nothing.may_publish("a") && !nothing.may_subscribe("a") && !nothing.may_subscribe("#"));
    let everything = Grants::everything();
    assert!(everything.may_publish("$iothub/x") && everything.may_subscribe("$share/g/#"));
    let apart = Grants::new(["out/#".to_owned()], ["in/#".to_owned()]);
    assert!(apart.may_publish("out/x") && !apart.may_publish("in/x"));
    assert!(apart.may_subscribe("in/+") && !apart.may_subscribe("out/+"));
}

#[test]
fn of_a_shared_subscription_the_filter_counts() {
    let grants = only("a/#");
    assert!(grants.may_subscribe("$share/group/a/b"));
    assert!(!grants.may_subscribe("$share/group/b"));
    assert!(!grants.may_subscribe("$share/a/#"));
    assert!(!grants.may_subscribe("$share/a"));
    assert!(!only("$share/#").may_subscribe("$share/g/x"));
}

fn any_text(levels: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(levels), 1..5).prop_map(|levels| levels.join("/"))
}

proptest! {
    #[test]
    fn a_prepared_filter_matches_as_the_filter_does(
        filter in any_text(&["a", "b", "ab", "+", "+", "", "$x"]),
        has_end in any::<bool>(),
        topic in any_text(&["a", "b", "ab", "", "$x"]),
    ) {
        let filter = if has_end { format!("{filter}/#") } else { filter };
        for filter in [filter, "#".to_owned()] {
            let expected = filter_takes(&filter, &topic);
            prop_assert_eq!(only(&filter).may_publish(&topic), expected, "{} and {}", filter, topic);
        }
    }
}
