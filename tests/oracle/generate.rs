//! Random filters of every dialect and random events that they have something to say about.

use engine::batch::{Batch, BatchBuilder, HeaderWriter};
use engine::event::{MESSAGE_SOURCE, put_attribute, put_property};
use engine::filter::{CompileOptions, Dialect, Filter};
use engine::route::{OBSERVERS_FROM, Route, Source};
use fastrand::Rng;

const NUMBERS: [&str; 12] =
    ["0", "1", "-1", "2.5", "21.75", "30", "1e3", "100", "-0.5", "9007199254740993", "0.1", "7"];
const TEXTS: [&str; 12] = [
    "ok",
    "OK",
    "warn",
    "device-1",
    "device-17",
    "Ärger",
    "a/b",
    "sensors/4/temp",
    "",
    "4",
    "2017-03-09T00:00:00Z",
    "pump",
];
const FIELDS: [&str; 8] = ["temp", "status", "device_id", "loc.lat", "loc", "on", "list", "n"];

fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.usize(0..from.len())]
}

fn literal(rng: &mut Rng, dialect: Dialect) -> String {
    match rng.u8(0..10) {
        0 => "true".to_owned(),
        1 if dialect != Dialect::Anabranch => "null".to_owned(),
        2..5 => pick(rng, &NUMBERS).to_owned(),
        _ => format!("'{}'", pick(rng, &TEXTS)),
    }
}

fn operand(rng: &mut Rng, dialect: Dialect) -> String {
    let field = pick(rng, &FIELDS);
    match dialect {
        Dialect::Anabranch => match rng.u8(0..8) {
            0 => "$property.level".to_owned(),
            1 => pick(rng, &["subject", "type", "source", "id"]).to_owned(),
            2 => "list[1]".to_owned(),
            _ => field.to_owned(),
        },
        Dialect::IotHub => match rng.u8(0..8) {
            0 => "level".to_owned(),
            1 => "$connectionDeviceId".to_owned(),
            2 => "$body.list[1]".to_owned(),
            _ => format!("$body.{field}"),
        },
        _ => match rng.u8(0..4) {
            0 => pick(rng, &["subject", "type", "source"]).to_owned(),
            _ => format!("$body.{field}"),
        },
    }
}

fn condition(rng: &mut Rng, dialect: Dialect, depth: u8) -> String {
    let left = operand(rng, dialect);
    if depth > 0 {
        let inner = |rng: &mut Rng| condition(rng, dialect, depth - 1);
        match rng.u8(0..10) {
            0..3 => return format!("({} AND {})", inner(rng), inner(rng)),
            3 | 4 => return format!("({} OR {})", inner(rng), inner(rng)),
            5 if dialect != Dialect::DigitalTwins => return format!("NOT ({})", inner(rng)),
            _ => {}
        }
    }
    let text = pick(rng, &TEXTS);
    let right = operand(rng, dialect);
    match rng.u8(0..14) {
        12 => format!("{left} {} {right}", pick(rng, &["=", "!=", "<", "<=", ">", ">="])),
        13 if dialect != Dialect::DigitalTwins => {
            let (op, compared) = (pick(rng, &["+", "-", "*", "/", "%"]), pick(rng, &["=", "!=", "<", ">="]));
            let function = pick(rng, &["abs", "square", "ceiling", "floor", "sqrt", ""]);
            format!("{function}({left} {op} {right}) {compared} {}", pick(rng, &NUMBERS))
        }
        0..4 => format!("{left} = {}", literal(rng, dialect)),
        4 => format!("{left} != {}", literal(rng, dialect)),
        5 | 6 => format!("{left} {} {}", pick(rng, &["<", "<=", ">", ">="]), pick(rng, &NUMBERS)),
        7 => {
            let function = match dialect {
                Dialect::Anabranch => pick(rng, &["starts_with", "ends_with", "contains"]),
                _ => pick(rng, &["STARTS_WITH", "ENDS_WITH"]),
            };
            format!("{function}({left}, '{text}')")
        }
        8 if dialect == Dialect::Anabranch => {
            let pattern = match rng.u8(0..5) {
                0 => format!("{text}%"),
                1 => format!("%{text}"),
                2 => format!("%{text}%"),
                3 => format!("{}%{text}%", text.chars().next().unwrap_or('d')),
                _ => format!("_{text}%"),
            };
            format!("{left} {} '{pattern}'", pick(rng, &["LIKE", "NOT LIKE"]))
        }
        9 if dialect == Dialect::Anabranch => {
            format!("{left} BETWEEN {} AND {}", pick(rng, &NUMBERS), pick(rng, &NUMBERS))
        }
        10 if dialect != Dialect::DigitalTwins => {
            let list: Vec<String> = (0..rng.usize(1..5)).map(|_| literal(rng, dialect)).collect();
            format!("{left} {} ({})", pick(rng, &["IN", "NOT IN"]), list.join(", "))
        }
        11 if dialect == Dialect::Anabranch => match rng.u8(0..4) {
            0 => format!("{left} IS NULL"),
            1 => format!("length({left}) > 3"),
            2 => format!("topic_matches({left}, 'sensors/+/#')"),
            _ => format!("{left} * 2 > {}", pick(rng, &NUMBERS)),
        },
        _ => format!("{left} = {}", literal(rng, dialect)),
    }
}

fn grid(rng: &mut Rng) -> String {
    let filters: Vec<String> = (0..rng.usize(1..4))
        .map(|_| {
            let key = match rng.u8(0..4) {
                0 => pick(rng, &["subject", "Type", "source"]).to_owned(),
                _ => format!("data.{}", pick(rng, &FIELDS)),
            };
            let strings = |rng: &mut Rng| {
                let texts: Vec<String> =
                    (0..rng.usize(1..4)).map(|_| format!("{:?}", pick(rng, &TEXTS[..7]))).collect();
                format!("\"values\":[{}]", texts.join(","))
            };
            let (operator, operand) = match rng.u8(0..6) {
                0 => {
                    let names =
                        ["NumberLessThan", "NumberGreaterThan", "NumberLessThanOrEquals", "NumberGreaterThanOrEquals"];
                    (pick(rng, &names), format!("\"value\":{}", pick(rng, &NUMBERS)))
                }
                1 => {
                    let numbers: Vec<&str> = (0..rng.usize(1..4)).map(|_| pick(rng, &NUMBERS)).collect();
                    (pick(rng, &["NumberIn", "NumberNotIn"]), format!("\"values\":[{}]", numbers.join(",")))
                }
                2 => (pick(rng, &["NumberInRange", "NumberNotInRange"]), "\"values\":[[0,5],[20,40]]".to_owned()),
                3 => (pick(rng, &["IsNullOrUndefined", "IsNotNull"]), "\"values\":[]".to_owned()),
                _ => {
                    let names = [
                        "StringIn",
                        "StringNotIn",
                        "StringContains",
                        "StringBeginsWith",
                        "StringEndsWith",
                        "StringNotContains",
                        "StringNotBeginsWith",
                        "StringNotEndsWith",
                    ];
                    (pick(rng, &names), strings(rng))
                }
            };
            let operand = if operator.starts_with("Is") { String::new() } else { format!(",{operand}") };
            format!("{{\"operatorType\":\"{operator}\",\"key\":\"{key}\"{operand}}}")
        })
        .collect();
    format!("{{\"enableAdvancedFilteringOnArrays\":{},\"advancedFilters\":[{}]}}", rng.bool(), filters.join(","))
}

fn topic(rng: &mut Rng) -> String {
    pick(rng, &["sensors/+/temp", "sensors/#", "#", "+", "a/+", "sensors/4/temp", "+/+/temp", "a/b/#", "/#"]).to_owned()
}

/// A filter that compiles.
pub fn filter(rng: &mut Rng) -> Filter {
    loop {
        let dialect = Dialect::ALL[rng.usize(0..Dialect::ALL.len())];
        let text = match dialect {
            Dialect::EventGrid => grid(rng),
            Dialect::Mqtt => topic(rng),
            dialect => {
                let depth = rng.u8(0..4);
                condition(rng, dialect, depth)
            }
        };
        let options = CompileOptions { azure_date_quirk: rng.u8(0..4) == 0, ..CompileOptions::default() };
        if let Ok((filter, _)) = Filter::compile(&text, dialect, &options) {
            return filter;
        }
    }
}

/// Routes to so many endpoints.
pub fn routes(rng: &mut Rng, count: usize, endpoints: u16) -> Vec<Route> {
    (0..count)
        .map(|number| Route {
            name: format!("r{number}"),
            source: if rng.u8(0..12) == 0 { Source::TwinChangeEvents } else { Source::DeviceMessages },
            filter: filter(rng),
            endpoint: if rng.u8(0..6) == 0 { OBSERVERS_FROM + rng.u16(0..3) } else { rng.u16(0..endpoints) },
            enabled: rng.u8(0..16) != 0,
            every_source: rng.u8(0..8) == 0,
        })
        .collect()
}

fn value(rng: &mut Rng, depth: u8) -> String {
    match rng.u8(0..14) {
        0 => "null".to_owned(),
        1 => "true".to_owned(),
        2 => "false".to_owned(),
        3..8 => pick(rng, &NUMBERS).to_owned(),
        8 if depth > 0 => {
            let items: Vec<String> = (0..rng.usize(0..4)).map(|_| value(rng, depth - 1)).collect();
            format!("[{}]", items.join(","))
        }
        9 if depth > 0 => format!("{{\"lat\":{},\"x\":{}}}", value(rng, depth - 1), value(rng, depth - 1)),
        10 => "\"esc\\u0061ped \\\"ok\\\"\"".to_owned(),
        _ => format!("{:?}", pick(rng, &TEXTS)),
    }
}

/// A body: most often an object with some of the fields, in a few orders; now and then something else.
pub fn body(rng: &mut Rng) -> Vec<u8> {
    if rng.u8(0..20) == 0 {
        return value(rng, 2).into_bytes();
    }
    let mut members = Vec::new();
    let skip = rng.usize(0..6);
    for name in ["device_id", "temp", "status", "on", "n", "list", "loc"] {
        if rng.usize(0..7) != skip {
            members.push(format!("\"{name}\":{}", value(rng, 2)));
        }
    }
    if rng.u8(0..8) == 0 {
        members.reverse();
    }
    if rng.u8(0..16) == 0 && !members.is_empty() {
        members.push(members[0].clone());
    }
    let space = if rng.u8(0..4) == 0 { " " } else { "" };
    let mut text = format!("{{{}}}", members.join(&format!(",{space}"))).into_bytes();
    if rng.u8(0..24) == 0 {
        super::mutate::mutate(&mut text, rng);
    }
    text
}

/// A batch of events with headers of all kinds.
pub fn batch(rng: &mut Rng, events: usize) -> Batch {
    let mut builder = BatchBuilder::new(3);
    for _ in 0..events {
        let mut headers = HeaderWriter::default();
        match rng.u8(0..10) {
            0 => headers.put(MESSAGE_SOURCE, Some(b"twinChangeEvents")),
            1 | 2 => headers.put(MESSAGE_SOURCE, Some(b"Telemetry")),
            _ => {}
        }
        match rng.u8(0..8) {
            0 => headers.put("content-type", Some(b"application/json")),
            1 => headers.put("content-type", Some(b"application/vnd.x+json; charset=utf-8")),
            2 => headers.put("content-type", Some(b"text/plain")),
            _ => {}
        }
        match rng.u8(0..8) {
            0 | 1 => headers.put("content-encoding", Some(b"utf-8")),
            2 => headers.put("content-encoding", Some(b"utf-16")),
            _ => {}
        }
        if rng.bool() {
            let value = pick(rng, &TEXTS).as_bytes();
            put_property(&mut headers, pick(rng, &["level", "Level", "other"]), (rng.u8(0..6) != 0).then_some(value));
        }
        if rng.bool() {
            put_attribute(&mut headers, pick(rng, &["subject", "type", "source"]), pick(rng, &TEXTS));
        }
        if rng.u8(0..5) == 0 {
            headers.put("iothub-connection-device-id", Some(pick(rng, &TEXTS).as_bytes()));
        }
        let key = pick(rng, &TEXTS).as_bytes();
        let mut text = body(rng);
        if rng.u8(0..40) == 0 {
            // What it is in UTF-16, whatever the headers say.
            text = String::from_utf8_lossy(&text).encode_utf16().flat_map(u16::to_le_bytes).collect();
        }
        builder.push(Some(key), &text, &headers, 1_700_000_000_000).expect("fits");
    }
    builder.seal().expect("rows")
}
