//! Queries as data: who is in, who is not, and what is said of a wrong one.

use proptest::prelude::*;

use super::*;

fn truck() -> Attributes {
    Attributes::new([
        ("type".into(), Attribute::Text("truck".into())),
        ("floor".into(), Attribute::Integer(3)),
        ("sensors".into(), Attribute::List(["gps".into(), "temp".into()].into())),
    ])
}

#[test]
fn a_query_says_who_is_in() {
    let cases = [
        ("attributes.type = 'truck'", true),
        ("attributes.type = \"truck\"", true),
        ("attributes.type='Truck'", false),
        ("attributes.type <> 'car'", true),
        ("attributes.type != 'truck'", false),
        ("attributes.floor = 3", true),
        ("attributes.floor = '3'", false),
        ("attributes.floor < 3", false),
        ("attributes.floor <= 3", true),
        ("attributes.floor > -4", true),
        ("attributes.floor >= 4", false),
        ("attributes.floor <> 4", true),
        ("attributes.type > 1", false),
        ("attributes.sensors = 'gps'", true),
        ("attributes.sensors = 'cam'", false),
        ("attributes.sensors != 'gps'", false),
        ("attributes.sensors != 'cam'", true),
        ("attributes.sensors IN ['cam', 'temp']", true),
        ("attributes.floor in [1,2,3]", true),
        ("attributes.floor in [1, '3']", false),
        ("authenticationName = 'VEH-7'", true),
        ("authenticationName in ['a','veh-7']", true),
        ("authenticationName <> 'veh-7'", false),
        ("authenticationName != 'other'", true),
        // Nobody who lacks the attribute is in.
        ("attributes.none = 'x'", false),
        ("attributes.none != 'x'", false),
        ("attributes.none < 5", false),
        // `and` binds tighter than `or`.
        ("attributes.floor = 3 or attributes.floor = 4 and attributes.type = 'car'", true),
        ("(attributes.floor = 3 or attributes.floor = 4) and attributes.type = 'car'", false),
        ("attributes.type = 'truck' AND (attributes.floor=9 OR authenticationName='veh-7')", true),
        ("((attributes.type='truck'))", true),
    ];
    for (text, expected) in cases {
        let query = Query::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(query.holds("veh-7", &truck()), expected, "{text}");
    }
}

#[test]
fn nobody_without_a_name_is_found_by_name() {
    for text in ["authenticationName = ''", "authenticationName <> 'x'"] {
        assert!(!Query::parse(text).unwrap().holds("", &Attributes::default()), "{text}");
    }
}

#[test]
fn a_wrong_query_says_where_it_is_wrong() {
    let cases = [
        ("", "ends where it wants `attributes.<name>`"),
        ("attributes. = 1", "at character 1"),
        ("attributes.a.b = 1", "at character 1"),
        ("type = 'x'", "wants `attributes.<name>` or `authenticationName` at character 1"),
        ("attributes.type", "wants one of ="),
        ("attributes.type ~ 'x'", "at character 17, not `~ 'x'`"),
        ("attributes.type = x", "a text in quotes or a whole number"),
        ("attributes.type = 1.5", "or the end at character 20"),
        ("attributes.type = 'x", "closing quote"),
        ("attributes.type < 'x'", "text has no order"),
        ("authenticationName < 3", "can be compared with"),
        ("attributes.a in 'x'", "wants `[`"),
        ("attributes.a in ['x' 'y']", "wants `,` or `]`"),
        ("(attributes.a = 1", "ends where it wants `)`"),
        ("attributes.a = 1)", "or the end at character 17"),
        ("attributes.a = 1 and", "ends where it wants"),
        ("attributes.a = 99999999999999999999", "a whole number"),
    ];
    for (text, expected) in cases {
        let error = Query::parse(text).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_query_is_bounded() {
    let deep = format!("{}attributes.a=1{}", "(".repeat(40), ")".repeat(40));
    assert!(Query::parse(&deep).expect_err("too deep").contains("parentheses"));
    let long = format!("attributes.a = '{}'", "x".repeat(5000));
    assert!(Query::parse(&long).expect_err("too long").contains("4096"));
    let many = format!("attributes.a in [{}1]", "1,".repeat(200));
    assert!(Query::parse(&many).expect_err("too many").contains("100 values"));
    let beside = vec!["(attributes.a=1)"; 40].join("or");
    assert!(Query::parse(&beside).is_ok());
}

proptest! {
    /// Whatever is written, reading it ends with a query or a reason.
    #[test]
    fn any_text_is_read_or_refused(
        words in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec![
                    "attributes.a", "authenticationName", "and", "or", "in", "(", ")", "[", "]", ",", "=", "<>", "<=", "'x'", "-1", "'", "é",
                ]).prop_map(str::to_owned),
                "\\PC{0,4}",
            ],
            0..12,
        ),
    ) {
        if let Ok(query) = Query::parse(&words.join(" ")) {
            query.holds("veh-7", &truck());
        }
    }
}
