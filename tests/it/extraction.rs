//! Bodies to columns: every kernel against the oracles, on cases, on truncations at every byte, and on mutants.

use oracle::json::JsonRunner;
use oracle::mutate::mutate;

/// Paths that the cases have something at.
const PATHS: [&str; 12] =
    ["a", "b", "device_id", "temp", "loc.lat", "loc", "list", "list[1]", "list[0].x", "status", "loc.deep.er", ""];

/// The same without elements of arrays: only then rows with arrays are read by their shape.
const WHOLE: [&str; 9] = ["a", "b", "device_id", "temp", "loc.lat", "loc", "list", "status", "loc.deep.er"];

/// Bodies worth starting from.
const SEEDS: [&str; 19] = [
    r#"{"device_id":"d-1","list":[0.12,9.81,-0.33],"temp":1,"a":[true,null,-7],"other":[1,2]}"#,
    r#"{"a": [1, 2, 3], "list": [ ], "b": [ -1.5 , 0 ], "temp": 4}"#,
    r#"{"list":[],"a":5,"b":[12],"status":[false]}"#,
    r#"{"a":1,"b":"x"}"#,
    r#"{"device_id":"device-00017","ts":1700000000123,"temp":21.75,"humidity":-0.5,"loc":{"lat":52.52,"lon":13.4},"status":"ok","on":true,"x":null,"y":false}"#,
    r#"{"device_id": "device-1", "temp": 3, "loc": {"lat": 1.5, "deep": {"er": "here"}}, "status": null}"#,
    "{\n  \"a\": 1,\n  \"b\": \"two\",\n  \"loc\": {\n    \"lat\": 3\n  }\n}",
    r#"{"a":"with \"quotes\" and \\ and \u00e4","b":"\ud83d\ude00"}"#,
    r#"{"a":"ä","b":"日本","status":"😀"}"#,
    r#"{"list":[1,{"x":2},"three",[4,[5]],null,true],"a":[]}"#,
    r#"{"list":[{"x":{"y":1}},2.5],"b":{}}"#,
    r#"{"a":1,"a":2,"loc":{"lat":1,"lat":"2"},"loc":{"lon":1}}"#,
    r#"{"a":"","b":"","status":""}"#,
    r#"{"a":12345678901234567890,"b":-9223372036854775809,"temp":0.1234567890123456789,"status":1e5}"#,
    r#"{"a":-0,"b":-0.0,"temp":0,"status":100000000000000000000000}"#,
    "  [1 , 2]  ",
    "\"just text\"",
    "17.25",
    r#"{"a":{"a":{"a":{"a":{"a":{}}}}},"b":{"":{"":0}}}"#,
];

#[test]
fn seeds_and_every_truncation_of_them() {
    for paths in [&PATHS[..], &WHOLE] {
        let mut runner = JsonRunner::new(paths);
        for seed in SEEDS {
            let bytes = seed.as_bytes();
            // More than once, so that the shape is learnt and then used.
            runner.check(&[bytes, bytes, bytes, bytes]).unwrap();
            let cuts: Vec<&[u8]> = (0..=bytes.len()).map(|end| &bytes[..end]).collect();
            runner.check(&cuts).unwrap();
            runner.check(&cuts).unwrap();
        }
        for (kernel, hits) in runner.shape_hits() {
            assert!(hits > 16, "{} found a known shape only {hits} times", kernel.name());
        }
    }
}

#[test]
fn holes_at_every_place_of_a_block() {
    let mut runner = JsonRunner::new(&["a", "b", "c"]);
    for pad in 0..140 {
        let text = "x".repeat(pad);
        let spaces = " ".repeat(pad);
        for body in [
            format!(r#"{{"pad":"{text}","a":"{text}","b":1.25,"c":true}}"#),
            format!(r#"{{{spaces}"a":{spaces}-12.5{spaces},"b":{spaces}"q"{spaces},"c":null}}"#),
            format!(r#"{{"a":"{text}ä","b":"","c":{{"d":"{text}"}}}}"#),
            format!(r#"{{"{text}":1,"a":0,"b":"{text}\n","c":[1]}}"#),
            format!(r#"{{"{text}":[2],"a":[1,-2.5,true],"b":[3],"c":0}}"#),
            format!(r#"{{"a":{spaces}[{spaces}1{spaces},{spaces}22{spaces}]{spaces},"b":[],"c":[null]}}"#),
            format!(r#"{{"a":[{}2],"b":1,"c":[12345678]}}"#, "1.5,".repeat(pad)),
        ] {
            let body = body.as_bytes();
            runner.check(&[body, body, body]).unwrap();
        }
    }
}

/// Each in the place of an array of an event whose shape is known.
#[test]
fn what_is_no_array_at_every_place_of_a_block() {
    let wrong = [
        "[1 2]",
        "[1,]",
        "[,1]",
        "[,]",
        "[1}",
        "[1]]",
        "[1]5",
        "5[1]",
        "[1]\"x\"",
        "\"x\"[1]",
        "[1][2]",
        "[01]",
        "[1",
        "1]",
        "[1:2]",
        "[1],",
        "[1\u{c}]",
        "[\u{c}1]",
        "[1,\u{b}2]",
        "[- 1]",
        "[1.]",
        "[tru]",
        "[nulll]",
        "[1\u{1}]",
        "[1é]",
        "[é]",
        "[\u{a0}1]",
        "[{]",
        "[}]",
        "[\"]",
        "[1]\n:",
        "[]]",
        "]",
        "[",
    ];
    let right = [
        "[1]",
        "[ 1 ]",
        "[]",
        "[[1]]",
        "[[]]",
        "[\"x\"]",
        "[\"]\"]",
        "[{}]",
        "[{\"a\":1}]",
        "[1e5]",
        "[1,\n2]",
        "1",
        "[-0,0.0]",
    ];
    let mut runner = JsonRunner::new(&["a", "b", "c"]);
    for pad in 0..70 {
        let text = "x".repeat(pad);
        let with = |value: &str| format!(r#"{{"pad":"{text}","a":{value},"b":2,"c":[7,8]}}"#);
        let known = with("[3]");
        let bodies: Vec<String> = wrong.iter().chain(&right).map(|value| with(value)).collect();
        let mut batch = vec![known.as_bytes(); 3];
        batch.extend(bodies.iter().map(String::as_bytes));
        runner.check(&batch).unwrap();
        // Alone, so that a row that is wrong does not send its neighbours to be looked at again.
        for body in &bodies {
            runner.check(&[body.as_bytes()]).unwrap();
        }
    }
    // Of what is right half is for shapes.
    for (kernel, hits) in runner.shape_hits() {
        assert!(hits > 70 * 10, "{} found a known shape only {hits} times", kernel.name());
    }
}

#[test]
fn depth_and_length_have_the_same_bounds_everywhere() {
    let mut runner = JsonRunner::new(&["a", "a.a.a"]);
    for depth in 120..135 {
        let array = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let object = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        let inner = object.replace('1', "[1]");
        let object = object.as_bytes();
        runner.check(&[array.as_bytes(), object, object, object, inner.as_bytes()]).unwrap();
    }
    for len in [32_700, 32_767, 32_768, 33_000, 70_000] {
        let text = format!(r#"{{"b":"{}","a":3}}"#, "y".repeat(len));
        let many = format!(r#"{{"b":"{}","a":3}}"#, vec!["1"; len / 2].join("\",\"c\":\""));
        runner.check(&[text.as_bytes(); 3]).unwrap();
        runner.check(&[many.as_bytes(); 3]).unwrap();
    }
}

/// Names of the same hash table place, many shapes, and more shapes than the table holds.
#[test]
fn more_shapes_than_there_is_room_for() {
    let mut runner = JsonRunner::new(&["a", "b"]);
    let bodies: Vec<String> = (0..6000).map(|at| format!(r#"{{"k{at}":{at},"a":{at}.5,"b":"{at}"}}"#)).collect();
    for _ in 0..3 {
        for chunk in bodies.chunks(97) {
            let twice: Vec<&[u8]> = chunk.iter().chain(chunk).map(|body| body.as_bytes()).collect();
            runner.check(&twice).unwrap();
        }
    }
}

/// The long run is `tests/mutants`: this is the part of it that every check does.
#[test]
fn mutants_have_the_values_that_the_oracles_see() {
    let mut runners = [JsonRunner::new(&PATHS), JsonRunner::new(&WHOLE)];
    let mut rng = fastrand::Rng::with_seed(20_261_121);
    for _ in 0..400 {
        let seed = SEEDS[rng.usize(0..SEEDS.len())].as_bytes();
        let mut bodies: Vec<Vec<u8>> = vec![seed.to_vec(), seed.to_vec(), seed.to_vec()];
        bodies.extend((0..60).map(|_| {
            let mut body = seed.to_vec();
            mutate(&mut body, &mut rng);
            body
        }));
        let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        for runner in &mut runners {
            runner.check(&bodies).unwrap();
        }
    }
    for runner in runners {
        assert!(runner.accepted > 1000 && runner.refused > 1000);
    }
}

/// A line of the corpus as bytes.
fn unquote(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let (byte, len) = match rest.as_bytes()[at + 1] {
            b'x' => (u8::from_str_radix(&rest[at + 2..at + 4], 16).expect("two digits"), 4),
            b'n' => (b'\n', 2),
            b't' => (b'\t', 2),
            b'r' => (b'\r', 2),
            b'\\' => (b'\\', 2),
            other => panic!("\\{} in {line}", other as char),
        };
        bytes.push(byte);
        rest = &rest[at + len..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

#[test]
fn the_corpus_at_every_place_of_a_block_and_cut_at_every_byte() {
    let corpus = include_str!("../corpus/json.txt");
    the_corpus(&PATHS, corpus);
    the_corpus(&WHOLE, corpus);
}

fn the_corpus(paths: &[&str], corpus: &str) {
    let mut runner = JsonRunner::new(paths);
    let mut bodies = 0;
    for line in corpus.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        bodies += 1;
        let body = unquote(line);
        runner.check(&[&body, &body, &body, &body]).unwrap();
        let padded: Vec<Vec<u8>> = (0..64).map(|pad| [b" ".repeat(pad), body.clone()].concat()).collect();
        for _ in 0..3 {
            runner.check(&padded.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        }
        let cuts: Vec<&[u8]> = (0..=body.len()).map(|end| &body[..end]).collect();
        for _ in 0..3 {
            runner.check(&cuts).unwrap();
        }
    }
    assert!(bodies > 100 && runner.accepted > 10_000 && runner.refused > 10_000);
}
