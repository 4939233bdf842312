//! Limits, places, patterns and the small parts.

use crate::filter::*;
use crate::limits;

fn compile(text: &str) -> Result<(Filter, Vec<Diagnostic>), Vec<Diagnostic>> {
    Filter::compile(text, Dialect::Anabranch, &CompileOptions::default())
}

#[test]
fn limits_refuse_and_never_overflow_the_stack() {
    let deep = |open: &str, close: &str, depth: usize| format!("{}true{}", open.repeat(depth), close.repeat(depth));
    for dialect in [Dialect::Anabranch, Dialect::IotHub, Dialect::DigitalTwins] {
        let compile = |text: &str| Filter::compile(text, dialect, &CompileOptions::default());
        assert!(compile(&deep("(", ")", limits::FILTER_DEPTH_MAX - 2)).is_ok(), "{dialect}");
        for (open, close) in [("(", ")"), ("NOT ", ""), ("(", ""), ("lower(", ")"), ("- ", "")] {
            let problems = compile(&deep(open, close, 4000)).expect_err("too deep");
            assert!(
                problems.iter().any(|problem| problem.message.contains("deeper")),
                "{dialect} {open}: {problems:#?}"
            );
        }
    }
    for open in ["[", "{\"a\":"] {
        let problems = Filter::compile(&open.repeat(4000), Dialect::EventGrid, &CompileOptions::default());
        assert!(problems.expect_err("too deep")[0].message.contains("deeper"));
    }
    let lines = |count: usize| vec!["a/+"; count].join("\n");
    let mqtt = |text: &str| Filter::compile(text, Dialect::Mqtt, &CompileOptions::default());
    assert!(mqtt(&lines(1000)).is_ok());
    assert!(mqtt(&lines(limits::FILTER_NODES_MAX)).is_err());
    assert!(compile(&format!("1{} > 0", " + 1".repeat(limits::FILTER_DEPTH_MAX - 4))).is_ok());
    assert!(compile(&format!("1{} > 0", " + 1".repeat(3000))).is_err());
    // Long chains are flat.
    assert!(compile(&vec!["a = 1"; 1000].join(" OR ")).is_ok());
    assert!(compile(&vec!["a = 1"; limits::FILTER_NODES_MAX].join(" OR ")).is_err());
    let long = format!("'{}' = 'a'", "a".repeat(limits::FILTER_BYTES_MAX));
    assert!(compile(&long).expect_err("too long")[0].message.contains("bytes"));
    assert!(compile(&format!("a LIKE '{}'", "a".repeat(limits::FILTER_PATTERN_BYTES_MAX + 1))).is_err());
    let many = vec!["a = ="; 200].join(" OR ");
    assert_eq!(compile(&many).expect_err("wrong").len(), limits::FILTER_PROBLEMS_MAX);
}

#[test]
fn places_count_from_one_in_characters() {
    let text = "true\nAND ä = 'ö' x";
    let problems = compile(text).expect_err("wrong");
    let (start, end) = problems[0].location(text);
    assert_eq!((start.line, start.column, end.line, end.column), (2, 13, 2, 14));
    assert_eq!(LineColumn::of("ab", 9), LineColumn { line: 1, column: 3 });
}

#[test]
fn names_of_dialects_and_sources() {
    assert_eq!(Dialect::by_name("IoTHub"), Some(Dialect::IotHub));
    assert_eq!(Dialect::by_name("sql"), None);
    assert_eq!(Source::by_name("devicemessages"), Some(Source::DeviceMessages));
    assert_eq!(Source::by_name("Invalid"), None);
    for dialect in Dialect::ALL {
        assert_eq!(Dialect::by_name(dialect.name()), Some(dialect));
        let (all, warnings) =
            Filter::compile(dialect.default_filter(), dialect, &CompileOptions::default()).expect("valid");
        assert!(!all.reads_body() && warnings.is_empty(), "{dialect}");
    }
}

/// The pattern matched by trying everything.
fn naive(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('%', rest)) => (0..=text.len()).any(|skip| naive(rest, &text[skip..])),
        Some(('_', rest)) => text.split_first().is_some_and(|(_, after)| naive(rest, after)),
        Some((c, rest)) => text.split_first().is_some_and(|(first, after)| first == c && naive(rest, after)),
    }
}

#[test]
fn patterns_match_as_the_naive_way_does() {
    let mut seed = 7u32;
    let mut next = |bound: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) % bound
    };
    for _ in 0..20_000 {
        let mut draw = |alphabet: &[char], most: u32| -> Vec<char> {
            (0..next(most)).map(|_| alphabet[next(alphabet.len() as u32) as usize]).collect()
        };
        let pattern = draw(&['a', 'b', 'ö', '_', '%', '%'], 7);
        let text = draw(&['a', 'b', 'ö'], 9);
        let [pattern_text, text_text]: [String; 2] = [pattern.iter().collect(), text.iter().collect()];
        let compiled = Pattern::new(&pattern_text, None).expect("a pattern");
        assert_eq!(compiled.matches(&text_text), naive(&pattern, &text), "{pattern_text} on {text_text}");
    }
}

#[test]
fn a_joined_text_is_bounded() {
    let event: super::event::Description =
        serde_json::from_str(&format!(r#"{{"body":{{"x":"{}"}}}}"#, "y".repeat(100_000))).expect("an event");
    let case = super::event::Case::new(&event);
    let text = format!("length({}) > 0", ["x"; 12].join(" || "));
    let (filter, _) = compile(&text).expect("a filter");
    assert_eq!(case.with(Dialect::Anabranch, |event, body| filter.eval(event, body)), Truth::Undefined);
    let (filter, _) = compile("length(x || x) = 200000").expect("a filter");
    assert_eq!(case.with(Dialect::Anabranch, |event, body| filter.eval(event, body)), Truth::True);
}

#[test]
fn cost_follows_the_work() {
    let cost = |text: &str| compile(text).expect(text).0.cost();
    assert!(cost("true") < cost("a = 1"));
    assert!(cost("a = 1") < cost("a.b.c = 1"));
    assert!(cost("a LIKE 'x%'") < cost("a LIKE '%x_x_x_x%'"));
}

#[test]
fn a_filter_that_costs_too_much_names_its_part_and_the_way_out() {
    let wild = "_".repeat(1000);
    let text = format!("a = 1 AND (b LIKE '{wild}' OR c LIKE '{wild}' OR d LIKE '{wild}')");
    let problems = Filter::compile(&text, Dialect::Anabranch, &CompileOptions::default()).expect_err("too dear");
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    assert!(problem.message.contains("more than the 10000"), "{}", problem.message);
    assert!(text[problem.span.clone()].starts_with("b LIKE"), "{}", &text[problem.span.clone()]);
    assert!(problem.help.as_ref().is_some_and(|help| help.contains("split the filter")));
}
