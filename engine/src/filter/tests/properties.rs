//! What holds for any text: compiling never panics, spans lie in the text, and what compiles can be printed and read again.

use proptest::prelude::*;

use super::event::{Case, Description};
use crate::filter::*;

fn case() -> Case {
    let event: Description = serde_json::from_str(
        r#"{"iothub":true,"properties":{"a":"1","b":null,"level":"hot"},
            "system":{"contentType":"application/json","contentEncoding":"utf-8","messageId":"m"},
            "body":{"a":1,"b":"text","c":null,"d":[1,{"e":true}],"t":true,"f":false}}"#,
    )
    .expect("an event");
    Case::new(&event)
}

/// Pieces that make up filters, in and out of place.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b",
        "none",
        "level",
        "type",
        "subject",
        "$body.a",
        "$body.b",
        "$body.c",
        "$body.d[1].e",
        "$body.t",
        "$body.f",
        "t",
        "f",
        "c",
        "d[0]",
        "$messageId",
        "{$messageId}",
        "$property.a",
        "`odd name`",
        "$x",
        "$body",
        "$twin.tags.x",
        "1",
        "2.5",
        "-3",
        "0x1F",
        "1e3",
        "e5",
        "'a'",
        "'hot'",
        "\"x\"",
        "'it\\'s'",
        "'\\u00e4'",
        "true",
        "false",
        "null",
        "undefined",
        "AND",
        "OR",
        "NOT",
        "IN",
        "BETWEEN",
        "LIKE",
        "'%a_'",
        "ESCAPE",
        "'!'",
        "IS",
        "NULL",
        "EXISTS",
        "(",
        ")",
        ",",
        "+",
        "-",
        "*",
        "/",
        "%",
        "=",
        "!=",
        "<>",
        "<",
        "<=",
        ">",
        ">=",
        "||",
        "??",
        "[",
        "]",
        "[0]",
        ".",
        ".x",
        "{",
        "}",
        "!",
        "&&",
        "==",
        "?",
        ":",
        "\\",
        "'",
        "\"",
        "`",
        "$",
        "/*",
        "*/",
        "/* c */",
        "length(",
        "is_defined(",
        "concat(",
        "substring(",
        "as_number(",
        "starts_with(",
        "CONTAINS(",
        "select",
        "ä",
        "😀",
        "\u{0}",
        "\n",
        "\t",
    ])
}

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec((piece(), prop::sample::select(vec!["", " ", "  "])), 0..24)
        .prop_map(|pieces| pieces.into_iter().flat_map(|(piece, space)| [piece, space]).collect())
}

/// Conditions that mostly compile.
fn condition() -> impl Strategy<Value = String> {
    let number = prop::sample::select(vec![
        "1",
        "2.5",
        "$body.a",
        "$body.zero",
        "(1 + 2)",
        "length('abc')",
        "-3",
        "0x10",
        "1e30",
    ]);
    let string = prop::sample::select(vec![
        "'a'",
        "'hot'",
        "$body.b",
        "$messageId",
        "lower('AB')",
        "('a' || 'b')",
        "'\\u0007\\\\'",
    ]);
    let compare = prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        (number.clone(), compare.clone(), number.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (string.clone(), compare, string.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (number.clone(), number.clone(), number).prop_map(|(a, b, c)| format!("{a} + {b} * {c} > - {a}")),
        (string.clone(), string).prop_map(|(a, b)| format!("contains({a}, {b})")),
        prop::sample::select(vec![
            "true",
            "false",
            "$body.t",
            "$body.f",
            "is_defined($body.c)",
            "($body.x ?? $body.t)"
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" AND "))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" OR "))),
            inner.clone().prop_map(|part| format!("NOT ({part})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a}) = ({b})")),
        ]
    })
}

/// Event Grid filters that mostly compile.
fn event_grid() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "data.a", "data.b", "Data.c", "data.d", "data.t", "data", "data.x.y", "Subject", "ext",
    ]);
    let flag =
        prop::sample::select(vec!["", "\"isSubjectCaseSensitive\":true,", "\"enableAdvancedFilteringOnArrays\":true,"]);
    let rest = prop::sample::select(vec![
        "",
        "\"subjectBeginsWith\":\"/Ä\",",
        "\"subjectEndsWith\":\"\",",
        "\"includedEventTypes\":[\"A\",\"b\"],",
        "\"includedEventTypes\":\"all\",",
    ]);
    let operand = prop::sample::select(vec![
        "1",
        "[1,2.5]",
        "[[1,2],[-1e30,1e30]]",
        "[1,2]",
        "true",
        "\"Text\"",
        "[\"TE\",\"\\u00c4\\n\"]",
        "null",
        "[]",
        "{}",
        "[2,1]",
    ]);
    let condition =
        (prop::sample::select(GridOperator::NAMED.to_vec()), key, operand).prop_map(|(operator, key, operand)| {
            let operand = if operator.operand() == GridOperand::None { "null" } else { operand };
            format!("{{\"key\":\"{key}\",\"value\":{operand},\"operatorType\":\"{}\"}}", operator.name())
        });
    (flag, rest, prop::collection::vec(condition, 0..4))
        .prop_map(|(flag, rest, conditions)| format!("{{{flag}{rest}\"filters\":[{}]}}", conditions.join(",")))
}

fn topics() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a", "b", "/", "/", "+", "#", "\n", "\r\n", "\r", " ", "\t", "$share/", "$SYS", "ä", "\0",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn options() -> CompileOptions {
    CompileOptions { source: Source::TwinChangeEvents, azure_date_quirk: true }
}

/// Compiles and runs `text` in every dialect and holds what must hold.
fn check(text: &str, case: &Case) -> Result<(), TestCaseError> {
    for dialect in Dialect::ALL {
        let problems = match Filter::compile(text, dialect, &options()) {
            Err(problems) => {
                prop_assert!(problems.iter().any(|problem| problem.severity == Severity::Error), "{dialect}: {text}");
                problems
            }
            Ok((filter, warnings)) => {
                let printed = filter.to_string();
                let again = Filter::compile(&printed, dialect, &options());
                let Ok((again, _)) = again else {
                    return Err(TestCaseError::fail(format!("{dialect}: {text}\nprints as\n{printed}\n{again:#?}")));
                };
                prop_assert_eq!(again.to_string(), printed.clone(), "{}: {}", dialect, text);
                let [first, second] = [&filter, &again].map(|filter| {
                    case.with(dialect, |event, body| (filter.eval(event, body), filter.trace(event, body).value))
                });
                prop_assert_eq!(first, second, "{}: {}\nprints as\n{}", dialect, text, printed);
                warnings
            }
        };
        for problem in problems {
            prop_assert!(text.get(problem.span.clone()).is_some(), "{dialect}: {text}: {problem:?}");
            if let Some(suggestion) = &problem.suggestion {
                prop_assert!(text.get(suggestion.span.clone()).is_some(), "{dialect}: {text}: {problem:?}");
            }
            let (start, end) = problem.location(text);
            prop_assert!((start.line, start.column) <= (end.line, end.column));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn token_soup_never_panics(text in soup()) {
        check(&text, &case())?;
    }

    #[test]
    fn any_text_never_panics(text in ".{0,60}") {
        check(&text, &case())?;
    }

    #[test]
    fn event_grid_filters_survive_printing(text in event_grid()) {
        check(&text, &case())?;
    }

    #[test]
    fn topic_filters_survive_printing(text in topics()) {
        check(&text, &case())?;
        let call = format!("topic_matches($body.b, '{}')", text.replace('\0', "\\u0000"));
        check(&call, &case())?;
    }

    #[test]
    fn conditions_survive_printing(text in condition()) {
        check(&text, &case())?;
    }
}
