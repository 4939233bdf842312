//! The kernels among themselves, and the scalar check against a plain reading of the grammar. What an extraction gives is held
//! to other parsers in `tests/it/extraction.rs`. Small enough to run under Miri.

use super::dispatch::Machine;
use super::portable::Portable;
use super::scan::{Scalars, Scan};
use crate::parse::{Columns, Extractor, Fields, Kernel, Span, Step, Tag};

/// Skeleton, scalars and holes of an event by reading it byte by byte; strings in values have no escapes here.
fn plainly(event: &str) -> (String, String, Vec<u16>) {
    let (mut skeleton, mut scalars, mut edges) = (String::new(), String::new(), Vec::new());
    let (mut at, mut behind_colon) = (0, false);
    let bytes = event.as_bytes();
    while at < bytes.len() {
        let rest = &event[at..];
        if let Some(inside) = rest.strip_prefix('"') {
            let end = at + 1 + inside.find('"').expect("closed");
            skeleton.push_str(if behind_colon { "\"\"" } else { &event[at..=end] });
            if behind_colon {
                edges.extend([at as u16, end as u16]);
            }
            (at, behind_colon) = (end + 1, false);
        } else if let Some(c) = rest.chars().next().filter(|c| "{}:, \n".contains(*c)) {
            skeleton.push(c);
            behind_colon = c == ':' || (behind_colon && c.is_ascii_whitespace());
            at += 1;
        } else if let Some(inside) = rest.strip_prefix('[') {
            let len = inside.find(']').expect("closed");
            scalars.extend(inside[..len].chars().filter(|c| *c != ' '));
            scalars.push(',');
            edges.extend([at as u16, (at + len + 2) as u16]);
            (at, behind_colon) = (at + len + 2, false);
        } else {
            let len = rest.find(|c| "},: \n".contains(c)).expect("something follows");
            scalars.push_str(&rest[..len]);
            scalars.push(',');
            edges.extend([at as u16, (at + len) as u16]);
            (at, behind_colon) = (at + len, false);
        }
    }
    (skeleton, scalars, edges)
}

#[test]
fn an_event_splits_as_it_does_when_read_byte_by_byte() {
    for pad in [0, 1, 13, 37, 51, 52, 53, 63, 64, 65] {
        let text = "v".repeat(pad);
        let event = format!(
            "{{\"a\":\"{text}\",\"b\" : -1.5 ,\n\"{text}\":{{\"c\":true,\"d\":\"\"}},\"g\":[1, -2.5 ,null],\"e\":{{}},\"f\":0}}"
        );
        let (mut scan, mut scalars) = (Scan::default(), Scalars::default());
        scalars.reset(event.len(), 1);
        // Without a byte behind it, so that reading on would be seen.
        let bytes = event.clone().into_bytes().into_boxed_slice();
        let found = Portable::scan(&bytes, 0, bytes.len(), &mut scan, &mut scalars).expect("on the fast path");
        let split = scan.split(&found);
        let (skeleton, expected, edges) = plainly(&event);
        assert_eq!(String::from_utf8_lossy(split.skeleton), skeleton);
        assert_eq!(split.edges, edges);
        assert_eq!(String::from_utf8_lossy(&scalars.bytes[..scalars.len]), expected);
    }
}

#[test]
fn scalars_are_right_exactly_if_the_grammar_says_so() {
    let tokens = [
        "0",
        "-0",
        "1",
        "-1",
        "10",
        "0.5",
        "-0.25",
        "123456789",
        "true",
        "false",
        "null",
        "00",
        "01",
        "-",
        "-01",
        "1.",
        ".5",
        "1.2.3",
        "1-2",
        "--1",
        "tru",
        "truee",
        "nul",
        "True",
        "1e5",
        "1E5",
        "+1",
        "1a",
        "a",
        "0x1",
        "1.e",
        "-a",
        "falsee",
        "fals",
    ];
    for token in tokens {
        // An exponent is legal, but not here: the walker takes it.
        let legal = serde_json::from_str::<serde_json::Value>(token).is_ok() && !token.contains(['e', 'E'])
            || ["true", "false"].contains(&token);
        for before in
            ["", "0,", "12345678,true,", "1.25,null,-7,false,100000,22,333,4444,55555,666666,7777777,88888,9,"]
        {
            let text = format!("{before}{token},1,");
            let mut scalars = Scalars::default();
            scalars.reset(text.len(), 1);
            scalars.bytes[..text.len()].copy_from_slice(text.as_bytes());
            assert_eq!(Portable::scalars(&mut scalars, 0, text.len()), legal, "{text}");
        }
    }
}

#[test]
fn every_kernel_fills_the_same_cells() {
    let bodies: Vec<String> =
        (0..40).map(|n| format!("{{\"id\":\"d{n}\",\"t\":{}.{n},\"on\":{},\"l\":[{n}]}}", n * 7, n % 2 == 0)).collect();
    let plain: Vec<String> = bodies.iter().map(|body| body.replace(['[', ']'], "")).collect();
    let mut fields = Fields::new(1);
    for (column, name) in ["id", "t", "on", "l"].into_iter().enumerate() {
        fields.add(&[Step::Member(name.into())], column as u32);
    }
    let run = |kernel: Kernel| {
        let (mut bytes, mut spans) = (Vec::new(), Vec::new());
        for body in bodies.iter().chain(&plain) {
            spans.push(Span { start: bytes.len() as u32, len: body.len() as u32 });
            bytes.extend_from_slice(body.as_bytes());
        }
        let (mut extractor, mut columns) = (Extractor::new(kernel, 3).always_look(), Columns::default());
        columns.reset(spans.len(), 4);
        extractor.run(&fields, &bytes, &spans, &mut columns);
        let rows = 0..spans.len();
        rows.flat_map(|row| (0..4).map(move |column| (row, column)))
            .map(|(row, column)| columns.cell(column, row))
            .collect::<Vec<(Tag, u64)>>()
    };
    let expected = run(Kernel::Portable);
    for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()) {
        assert_eq!(run(kernel), expected, "{}", kernel.name());
    }
}
