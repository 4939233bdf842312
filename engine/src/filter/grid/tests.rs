//! Every operator against every kind of value.

use super::super::tests::event::{Case, Description};
use super::super::{CompileOptions, Dialect, Filter, fold_char};
use super::*;

/// The answers of one operator for the key `data.x`.
struct Row {
    operator: &'static str,
    operand: &'static str,
    /// For a value that equals an operand (or holds it); for the same in other case; for one that does not.
    equal: (&'static str, bool),
    case: (&'static str, bool),
    other: (&'static str, bool),
    /// For no value, null, a value of another kind, an object.
    nothing: [bool; 4],
    /// For an array with an equal element among others, with and without the flag.
    array: (&'static str, bool, bool),
    /// For an array without one, with the flag.
    others: (&'static str, bool),
}

const fn row(operator: &'static str, operand: &'static str, equal: (&'static str, bool)) -> Row {
    let no = ("null", false);
    Row {
        operator,
        operand,
        equal,
        case: no,
        other: no,
        nothing: [false; 4],
        array: ("[]", false, false),
        others: ("[]", false),
    }
}

fn rows() -> Vec<Row> {
    let number = |operator, operand, equal, other, array, others| Row {
        other,
        array: (array, true, false),
        others: (others, false),
        ..row(operator, operand, equal)
    };
    let text = |operator, equal, case, other, array, others| Row {
        case,
        other,
        array: (array, true, false),
        others: (others, false),
        ..row(operator, r#""values":["Beta","ÄRGER"]"#, equal)
    };
    let negative = |row: Row, nothing: bool| Row {
        equal: (row.equal.0, !row.equal.1),
        case: (row.case.0, row.case.0 == "null" && nothing),
        other: (row.other.0, !row.other.1),
        nothing: [nothing; 4],
        array: (row.array.0, false, nothing),
        others: (row.others.0, true),
        ..row
    };
    let number_in =
        || number("NumberIn", r#""values":[3,1.5]"#, ("3.0", true), ("4", false), r#"["3",null,1.5]"#, "[1,2]");
    let range =
        || number("NumberInRange", r#""values":[[1,2],[10,20]]"#, ("20", true), ("20.5", false), "[5,1]", "[5,21]");
    let string_in = || {
        text("StringIn", (r#""beta""#, true), (r#""BETA""#, true), (r#""betas""#, false), r#"[1,"ärger"]"#, r#"["x"]"#)
    };
    let contains = || {
        text(
            "StringContains",
            (r#""xbetax""#, true),
            (r#""XBETAX""#, true),
            (r#""bet""#, false),
            r#"["Ärgerlich"]"#,
            r#"["x"]"#,
        )
    };
    let begins = || {
        text(
            "StringBeginsWith",
            (r#""betax""#, true),
            (r#""ärGERx""#, true),
            (r#""xbeta""#, false),
            r#"["x","BETA"]"#,
            r#"["xbeta"]"#,
        )
    };
    let ends = || {
        text(
            "StringEndsWith",
            (r#""xbeta""#, true),
            (r#""xärGER""#, true),
            (r#""betax""#, false),
            r#"["x","xBETA"]"#,
            r#"["betax"]"#,
        )
    };
    vec![
        number_in(),
        Row { operator: "NumberNotIn", ..negative(number_in(), true) },
        number("NumberLessThan", r#""value":3"#, ("2.9", true), ("3", false), "[5,2]", "[3,4]"),
        number("NumberLessThanOrEquals", r#""value":3"#, ("3", true), ("3.1", false), "[5,3]", "[4]"),
        number("NumberGreaterThan", r#""value":3"#, ("3.1", true), ("3", false), "[1,5]", "[1,3]"),
        number("NumberGreaterThanOrEquals", r#""value":3"#, ("3", true), ("-3", false), "[1,3]", "[1]"),
        range(),
        Row { operator: "NumberNotInRange", ..negative(range(), true) },
        number("BoolEquals", r#""value":false"#, ("false", true), ("true", false), "[true,false]", "[true,0]"),
        string_in(),
        Row { operator: "StringNotIn", ..negative(string_in(), true) },
        contains(),
        begins(),
        ends(),
        Row { operator: "StringNotContains", ..negative(contains(), false) },
        Row { operator: "StringNotBeginsWith", ..negative(begins(), false) },
        Row { operator: "StringNotEndsWith", ..negative(ends(), false) },
        Row {
            nothing: [true, true, false, false],
            case: ("null", true),
            other: ("null", true),
            ..row("IsNullOrUndefined", "", ("null", true))
        },
        Row {
            nothing: [false, false, true, true],
            array: ("[]", true, true),
            others: ("[null]", true),
            ..row("IsNotNull", "", ("0", true))
        },
    ]
}

#[test]
fn every_operator_against_every_kind_of_value() {
    let mut seen = Vec::new();
    for row in rows() {
        let operand = if row.operand.is_empty() { String::new() } else { format!(",{}", row.operand) };
        let condition = format!(r#"{{"operatorType":"{}","key":"data.x"{operand}}}"#, row.operator);
        let with = |arrays: bool| {
            let text = format!(r#"{{"enableAdvancedFilteringOnArrays":{arrays},"advancedFilters":[{condition}]}}"#);
            let (filter, warnings) =
                Filter::compile(&text, Dialect::EventGrid, &CompileOptions::default()).expect(&text);
            assert!(warnings.is_empty(), "{warnings:?}");
            filter
        };
        let [plain, arrays] = [false, true].map(with);
        let kind = if row.operator.starts_with("String") { "7" } else { r#""text""# };
        let mut cases = vec![
            ("{}".to_owned(), row.nothing[0], row.nothing[0]),
            (r#"{"x":null}"#.to_owned(), row.nothing[1], row.nothing[1]),
            (format!(r#"{{"x":{kind}}}"#), row.nothing[2], row.nothing[2]),
            (r#"{"x":{"x":3}}"#.to_owned(), row.nothing[3], row.nothing[3]),
            (format!(r#"{{"x":{}}}"#, row.array.0), row.array.1, row.array.2),
            (format!(r#"{{"x":{}}}"#, row.others.0), row.others.1, row.array.2),
            // Nothing that the operator could look at, in an array or in no array at all.
            (r#"{"x":[null,{"y":1},[1]]}"#.to_owned(), row.nothing[3], row.nothing[3]),
        ];
        for (value, expected) in [row.equal, row.case, row.other] {
            cases.push((format!(r#"{{"x":{value}}}"#), expected, expected));
        }
        for (body, expected, expected_plain) in cases {
            let event: Description = serde_json::from_str(&format!(r#"{{"body":{body}}}"#)).expect("an event");
            let case = Case::new(&event);
            for (filter, expected) in [(&arrays, expected), (&plain, expected_plain)] {
                let found = case.with(Dialect::EventGrid, |event, body| filter.eval(event, body));
                assert_eq!(found.name(), expected.to_string(), "{filter} on {body}");
            }
        }
        seen.push(row.operator);
    }
    assert_eq!(seen, GridOperator::NAMED.map(GridOperator::name), "each operator has a row");
}

/// The sheet's asymmetry: of the negative operators only those that ask for equality or a range take a missing value.
#[test]
fn what_takes_nothing() {
    use GridOperator::{IsNullOrUndefined, NumberNotIn, NumberNotInRange, StringNotIn};
    for operator in GridOperator::NAMED {
        let expected = matches!(operator, IsNullOrUndefined | NumberNotIn | NumberNotInRange | StringNotIn);
        assert_eq!(operator.takes_nothing(), expected, "{}", operator.name());
        assert_eq!(operator.decide(None), expected, "{}", operator.name());
        assert_eq!(GridOperator::by_name(operator.name()), Some(operator));
    }
    assert_eq!(GridOperator::by_name("subjectBeginsWith"), None);
    assert_eq!(GridOperator::by_name("stringin"), None);
}

#[test]
fn folding_is_unicodes_simple_one() {
    for (a, b) in [
        ("HALLO", "hallo"),
        ("ÄÖÜ", "äöü"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("ẞ", "ß"),
        ("\u{212a}", "k"),
        ("ſ", "s"),
        ("µ", "μ"),
        ("ǅ", "ǆ"),
        ("ᾈ", "ᾀ"),
        ("Ꭰ", "ꭰ"),
        ("\u{1fd3}", "\u{390}"),
        ("\u{1fe3}", "\u{3b0}"),
        ("ﬅ", "ﬆ"),
        ("ДОМ", "дом"),
    ] {
        assert_eq!(fold(a), fold(b), "{a} {b}");
    }
    // One character for one, and no locale.
    for (a, b) in [("ß", "ss"), ("İ", "i"), ("ı", "i"), ("I", "ı"), ("ﬁ", "fi"), ("é", "e"), ("a\u{301}", "á")]
    {
        assert_ne!(fold(a), fold(b), "{a} {b}");
    }
    for c in '\0'..=char::MAX {
        let folded = fold_char(c);
        assert_eq!(fold_char(folded), folded, "{c:?} folds twice");
        assert!(!c.is_ascii() || folded == c.to_ascii_lowercase());
    }
    assert!(matches!(fold("schon klein, ß"), std::borrow::Cow::Borrowed(_)));
}
