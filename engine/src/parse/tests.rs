//! The parser against serde_json: the same bodies accepted, the same values seen.

use serde_json::Value as Json;

use super::*;

fn to_json(value: Value<'_>) -> Json {
    match value.kind() {
        Kind::Null => Json::Null,
        Kind::Bool(value) => value.into(),
        Kind::Int(value) => value.into(),
        Kind::Uint(value) => value.into(),
        Kind::Float(value) => value.into(),
        Kind::String(text) => text.into(),
        Kind::Array(_) => value.elements().map(to_json).collect(),
        Kind::Object(_) => {
            Json::Object(value.members().map(|(name, value)| (name.to_owned(), to_json(value))).collect())
        }
    }
}

const GOOD: [&str; 14] = [
    r#"{"a":1,"b":[1,2,{"c":null}],"d":"x"}"#,
    "[]",
    "{}",
    "3",
    r#""text""#,
    " true ",
    r#"{"a":{"b":{"c":[[],[{}],[1,[2,[3]]]]}},"z":-0.5e3}"#,
    r#"{"u":"Gr\u00fc\u00dfe \ud83d\ude00","e":"a\"b\\c\/d\b\f\n\r\t"}"#,
    r#"{"big":18446744073709551615,"small":-9223372036854775808}"#,
    "1.7976931348623157e308",
    "[0.1,1e-7,123456789.123456789,2.2250738585072014e-308]",
    r#"{"dup":1,"dup":2}"#,
    r#"{"":0}"#,
    "[1,2 ,3\n,\t4]",
];

const BAD: [&str; 20] = [
    "",
    " ",
    "{",
    "}",
    "[1,]",
    "{\"a\":}",
    "{\"a\" 1}",
    "{a:1}",
    "01",
    "1.",
    ".5",
    "+1",
    "tru",
    "nul",
    "\"abc",
    "\"\x01\"",
    "[1] 2",
    "{\"a\":1,}",
    "\"\\x\"",
    "-",
];

#[test]
fn good_bodies_have_serde_jsons_values() {
    let mut parser = Parser::default();
    for text in GOOD {
        let document = parser.parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(to_json(document.root()), serde_json::from_str::<Json>(text).unwrap(), "{text}");
    }
}

#[test]
fn bad_bodies_are_refused_with_a_place() {
    let mut parser = Parser::default();
    for text in BAD {
        assert!(serde_json::from_str::<Json>(text).is_err(), "{text:?} is not bad");
        match parser.parse(text.as_bytes()) {
            Ok(_) => panic!("{text:?} was accepted"),
            Err(ParseError::Syntax { at, .. }) => assert!(at <= text.len()),
            Err(ParseError::Empty) => assert!(text.trim().is_empty()),
        }
    }
    assert!(parser.parse(&[b'"', 0xff, b'"']).is_err());
}

#[test]
fn look_ups_take_the_last_duplicate_and_count_from_zero() {
    let mut parser = Parser::default();
    let document = parser.parse(br#"{"a":{"x":[10,{"y":7},30]},"a":{"x":[1,{"y":2},3]}}"#).unwrap();
    let x = document.root().get("a").and_then(|a| a.get("x")).unwrap();
    assert_eq!(x.at(1).and_then(|value| value.get("y")).and_then(Value::as_f64), Some(2.0));
    assert_eq!(x.at(2).and_then(Value::as_f64), Some(3.0));
    assert!(x.at(3).is_none() && x.get("y").is_none());
}

#[test]
fn depth_is_bounded_and_deep_input_does_no_harm() {
    let mut parser = Parser::default();
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parser.parse(nested(100).as_bytes()).is_ok());
    assert!(parser.parse(nested(limits::JSON_DEPTH_MAX + 2).as_bytes()).is_err());
    assert!(parser.parse(nested(100_000).as_bytes()).is_err());
    assert!(parser.parse(b"{}").is_ok());
}
