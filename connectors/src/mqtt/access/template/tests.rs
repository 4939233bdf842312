//! Templates as data: the filters they become, those that are refused, and names that try to reach further.

use proptest::prelude::*;

use super::super::topics::filter_contains;
use super::*;

fn filters(template: &str, name: &str) -> Vec<String> {
    let attributes = Attributes::new([
        ("area".into(), Attribute::Text("section1".into())),
        ("floor".into(), Attribute::Integer(-3)),
        ("lines".into(), Attribute::List(["l1".into(), "l2".into(), "l/3".into()].into())),
        ("evil".into(), Attribute::Text("x/#".into())),
        ("empty".into(), Attribute::Text("".into())),
    ]);
    Template::parse(template).unwrap_or_else(|error| panic!("{error}")).filters(name, &attributes)
}

#[test]
fn variables_are_replaced() {
    let cases: &[(&str, &[&str])] = &[
        ("plain/+/#", &["plain/+/#"]),
        ("devices/${client.authenticationName}/#", &["devices/Veh-7/#"]),
        ("devices/${client.name}", &["devices/Veh-7"]),
        ("d_${client.authenticationName}_e/x", &["d_Veh-7_e/x"]),
        ("m/${client.authenticationName|.factory1}/temp", &["m/Veh-7.factory1/temp"]),
        ("area/${client.attributes.area}/telemetry", &["area/section1/telemetry"]),
        ("f/${client.attributes.floor}", &["f/-3"]),
        ("${client.attributes.area}-${client.attributes.floor}/#", &["section1--3/#"]),
        ("l/${client.attributes.lines}/+", &["l/l1/+", "l/l2/+"]),
        ("$iothub/${client.authenticationName}", &["$iothub/Veh-7"]),
        // Nothing is granted by what the client does not have, or by what is more than a part of a level.
        ("x/${client.attributes.none}", &[]),
        ("x/${client.attributes.evil}", &[]),
        ("x/${client.attributes.empty}", &[]),
    ];
    for (template, expected) in cases {
        assert_eq!(filters(template, "Veh-7"), *expected, "{template}");
    }
}

#[test]
fn a_name_cannot_become_a_wildcard_or_a_level() {
    for name in ["+", "#", "a/b", "a+", "", "x\0"] {
        assert_eq!(filters("devices/${client.authenticationName}/#", name), Vec::<String>::new(), "{name:?}");
    }
}

#[test]
fn lists_do_not_multiply_without_end() {
    let items: Box<[Box<str>]> = (0..50).map(|at| at.to_string().into()).collect();
    let attributes = Attributes::new([("l".into(), Attribute::List(items))]);
    let template = Template::parse("${client.attributes.l}/${client.attributes.l}/${client.attributes.l}").unwrap();
    assert_eq!(template.filters("x", &attributes).len(), FILTERS_MAX);
}

#[test]
fn a_wrong_template_is_refused() {
    let cases = [
        ("", "1 to 4096 bytes"),
        ("a/#/b", "no topic filter"),
        ("a/b#", "no topic filter"),
        ("a/b+/c", "no topic filter"),
        ("+${client.name}/a", "no topic filter"),
        ("${client.name}#", "no topic filter"),
        ("a/${client.name", "closing brace"),
        ("a/${principal}", "is no variable"),
        ("a/${client.attributes.}", "is no variable"),
        ("a/${client.attributes.a-b}", "is no variable"),
        ("a/${client.name|/x}", "plain text of the same level"),
        ("a/${client.name|+}", "plain text of the same level"),
    ];
    for (template, expected) in cases {
        let error = Template::parse(template).expect_err(template);
        assert!(error.contains(expected), "{template}: {error}");
    }
}

proptest! {
    /// Whatever a client is called, it is granted nothing outside of the level that the variable stands for.
    #[test]
    fn a_name_stays_within_its_level(name in "[a+#/${}|\\PC]{0,8}", suffix in "[a.-]{0,2}") {
        let template = format!("d/x${{client.authenticationName|{suffix}}}y/#");
        for filter in Template::parse(&template).unwrap().filters(&name, &Attributes::default()) {
            prop_assert!(filter_contains("d/+/#", &filter) && !filter.contains('+'), "{}", filter);
            prop_assert_eq!(filter, format!("d/x{name}{suffix}y/#"));
        }
    }

    /// Whatever is written becomes filters that are filters, or is refused.
    #[test]
    fn any_text_is_read_or_refused(parts in prop::collection::vec("(\\$\\{client\\.name(\\|.?)?\\}?|[a/+#${}|]|\\PC)", 0..8)) {
        let text = parts.concat();
        if let Ok(template) = Template::parse(&text) {
            for filter in template.filters("veh-7", &Attributes::default()) {
                prop_assert!(is_filter(&filter), "{} became {}", text, filter);
            }
        }
    }
}
