//! Every number of a body gives the text that it was written as, in whatever order they are asked for.

use proptest::prelude::*;

use crate::parse::{Kind, NumberTexts, Parser, Value};

fn numbers<'d>(value: Value<'d>, out: &mut Vec<Value<'d>>) {
    match value.kind() {
        Kind::Int(_) | Kind::Uint(_) | Kind::Float(_) => out.push(value),
        Kind::Array(_) => value.elements().for_each(|element| numbers(element, out)),
        Kind::Object(_) => value.members().for_each(|(_, member)| numbers(member, out)),
        Kind::Null | Kind::Bool(_) | Kind::String(_) => {}
    }
}

fn check(json: &str, expected: &[&str]) {
    let mut parser = Parser::default();
    let document = parser.parse(json.as_bytes()).expect("JSON");
    let mut found = Vec::new();
    numbers(document.root(), &mut found);
    let mut texts = NumberTexts::new(document.root(), json.as_bytes());
    let there: Vec<_> = found.iter().map(|number| texts.of(*number).expect("a number")).collect();
    let back: Vec<_> = found.iter().rev().map(|number| texts.of(*number).expect("a number")).collect();
    let expected: Vec<_> = expected.iter().map(|text| text.as_bytes()).collect();
    assert_eq!(there, expected, "{json}");
    assert!(back.iter().rev().eq(&expected), "{json}");
}

#[test]
fn each_number_has_its_own_text() {
    check("1", &["1"]);
    check("[]", &[]);
    check(
        r#"{"7":"8","\"9":[-1.50,{"a\\":0.1000000000000000055}],"b":1E+2,"c":18446744073709551616 }"#,
        &["-1.50", "0.1000000000000000055", "1E+2", "18446744073709551616"],
    );
}

#[test]
fn what_is_no_number_of_the_body_has_none() {
    let (mut parser, mut other) = (Parser::default(), Parser::default());
    let json = br#"{"a":"1","b":[2]}"#;
    let document = parser.parse(json).expect("JSON");
    let mut texts = NumberTexts::new(document.root(), json);
    for name in ["a", "b"] {
        assert_eq!(texts.of(document.root().get(name).expect("a member")), None, "{name}");
    }
    let longer = other.parse(b"[1,2,3,4,5,6,7,8]").expect("JSON");
    assert_eq!(texts.of(longer.root()), None);
    let mut wrong_text = NumberTexts::new(document.root(), b"{}");
    assert_eq!(wrong_text.of(document.root().get("b").expect("a member").at(0).expect("one")), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn of_any_array(items in prop::collection::vec(prop_oneof![
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?(e-?[0-9]{1,2})?".prop_map(|text| (text.clone(), Some(text))),
        "[a-z0-9\"\\\\-]{0,9}".prop_map(|text| (serde_json::to_string(&text).expect("JSON"), None)),
        Just(("null".to_owned(), None)),
        Just(("{\"1\":true}".to_owned(), None)),
    ], 0..12)) {
        let json = format!("[{}]", items.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(" , "));
        let expected: Vec<_> = items.iter().filter_map(|(_, number)| number.as_deref()).collect();
        check(&json, &expected);
    }
}
