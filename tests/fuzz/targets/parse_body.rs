//! The body parser against serde_json: the same bodies accepted, the same values seen.
#![no_main]

use engine::limits;
use engine::parse::{Kind, Parser, Value};
use libfuzzer_sys::fuzz_target;
use serde_json::Value as Json;

fn same(ours: Value<'_>, theirs: &Json) -> bool {
    match (ours.kind(), theirs) {
        (Kind::Null, Json::Null) => true,
        (Kind::Bool(a), Json::Bool(b)) => a == *b,
        (Kind::String(a), Json::String(b)) => a == b,
        (Kind::Int(_) | Kind::Uint(_) | Kind::Float(_), Json::Number(b)) => ours.as_f64() == b.as_f64(),
        (Kind::Array(len), Json::Array(b)) => len == b.len() && ours.elements().zip(b).all(|(a, b)| same(a, b)),
        // serde_json keeps one of several members of one name: the last, as our look-up does.
        (Kind::Object(_), Json::Object(b)) => b.iter().all(|(name, b)| ours.get(name).is_some_and(|a| same(a, b))),
        _ => false,
    }
}

fn depth(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| matches!(byte, b'[' | b'{')).count()
}

fuzz_target!(|input: &[u8]| {
    let mut parser = Parser::default();
    match (parser.parse(input), serde_json::from_slice::<Json>(input)) {
        (Ok(document), Ok(theirs)) => assert!(same(document.root(), &theirs), "{theirs}"),
        // Numbers beyond a double and nesting beyond a limit are judged differently, and only those.
        (Ok(_), Err(error)) => assert!(error.to_string().contains("number out of range"), "wrong accept: {error}"),
        (Err(error), Ok(theirs)) => {
            let far = depth(input) > limits::JSON_DEPTH_MAX || theirs.to_string().contains("e");
            assert!(far || input.starts_with(b"\xef\xbb\xbf"), "wrong refusal of {theirs}: {error}");
        }
        (Err(_), Err(_)) => {}
    }
    // The parser is as good as new afterwards.
    assert!(parser.parse(b"{\"a\":1}").is_ok());
});
