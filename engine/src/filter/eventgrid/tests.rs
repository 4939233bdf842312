//! Shapes of the filter, keys, and the plan that comes out.

use super::super::tests::event::{Case, Description};
use super::super::{CompileOptions, Dialect, Filter, Severity};
use super::json::read;
use super::*;

fn compile(text: &str) -> (Filter, Vec<Diagnostic>) {
    Filter::compile(text, Dialect::EventGrid, &CompileOptions::default())
        .unwrap_or_else(|found| panic!("{text}: {found:#?}"))
}

fn grid(expr: &Expr) -> &GridCondition {
    match &expr.kind {
        ExprKind::Grid(condition) => condition,
        other => panic!("{other:?}"),
    }
}

fn parts(filter: &Filter) -> Vec<&GridCondition> {
    match &filter.root().kind {
        ExprKind::And(parts) => parts.iter().map(grid).collect(),
        _ => vec![grid(filter.root())],
    }
}

#[test]
fn all_shapes_give_one_plan() {
    let condition = r#"{"operatorType":"StringIn","key":"data.site","values":["HH","Bre"]}"#;
    let expected = "[{\"operatorType\":\"StringIn\",\"key\":\"data.site\",\"values\":[\"hh\",\"bre\"]}]";
    for text in [
        format!("[{condition}]"),
        format!(r#"{{"advancedFilters":[{condition}]}}"#),
        format!(r#"{{"filters":[{condition}]}}"#),
        format!(r#"{{"filter":{{"includedEventTypes":null,"subjectBeginsWith":"","advancedFilters":[{condition}]}}}}"#),
        format!(r#"{{"filtersConfiguration":{{"includedEventTypes":["All"],"filters":[{condition}]}}}}"#),
        format!(r#"{{"isSubjectCaseSensitive":true,"enableAdvancedFilteringOnArrays":false,"filters":[{condition}]}}"#),
    ] {
        let (filter, warnings) = compile(&text);
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(filter.to_string(), expected, "{text}");
        assert!(filter.reads_body());
    }
    for text in ["{}", "[]", " true ", r#"{"filters":[]}"#, r#"{"advancedFilters":null,"subjectEndsWith":null}"#] {
        let (filter, _) = compile(text);
        assert_eq!(filter.root().kind, ExprKind::Literal(Literal::Bool(true)), "{text}");
        assert_eq!((filter.to_string().as_str(), filter.reads_body()), ("{}", false));
    }
}

/// Equal but for places: what is printed has others.
fn same(a: &Filter, b: &Filter) -> bool {
    parts(a) == parts(b)
}

#[test]
fn what_is_printed_compiles_to_an_equal_plan() {
    for text in [
        r#"{"includedEventTypes":["A","b\"c"],"subjectBeginsWith":"/X/","subjectEndsWith":".JPG"}"#,
        r#"{"includedEventTypes":["A"],"subjectBeginsWith":"/X/","isSubjectCaseSensitive":true}"#,
        r#"{"subjectEndsWith":"\u00c4/\n","isSubjectCaseSensitive":true,"enableAdvancedFilteringOnArrays":true,
            "filters":[{"key":"data.a","operatorType":"NumberNotInRange","values":[-1e300,0.1]},
                       {"key":"data.a","operatorType":"BoolEquals","value":false}]}"#,
        r#"{"enableAdvancedFilteringOnArrays":true,"filters":[{"key":"subject","operatorType":"IsNotNull"},
            {"key":"DATA","operatorType":"StringContains","values":"x"},{"key":"Data.Ä.b c","operatorType":"IsNullOrUndefined"}]}"#,
        r#"[{"key":"data.n","operatorType":"NumberIn","values":[1,-0.0,1e21,1e-9,123456789012345680000]}]"#,
    ] {
        let (filter, _) = compile(text);
        let (again, _) = compile(&filter.to_string());
        assert!(same(&filter, &again), "{text}\nprints as\n{filter}");
    }
}

#[test]
fn parts_come_in_a_fixed_order() {
    let (filter, _) = compile(
        r#"{"filters":[{"key":"data.t","operatorType":"NumberGreaterThan","value":70}],"includedEventTypes":["a"],
            "subjectEndsWith":".Jpg","subjectBeginsWith":"/X/","enableAdvancedFilteringOnArrays":true}"#,
    );
    let found: Vec<_> = parts(&filter).iter().map(|part| (part.operator, part.arrays)).collect();
    use GridOperator::{NumberGreaterThan, StringBeginsWith, StringEndsWith, StringIn};
    assert_eq!(
        found,
        [(StringBeginsWith, false), (StringEndsWith, false), (StringIn, false), (NumberGreaterThan, true)]
    );
    assert_eq!(parts(&filter)[0].values, GridValues::Strings(["/x/".into()].into()));
}

#[test]
fn keys_of_both_schemas() {
    let key = |key: &str| {
        let (filter, warnings) = compile(&format!(r#"[{{"operatorType":"IsNotNull","key":"{key}"}}]"#));
        (parts(&filter)[0].key.clone(), warnings.len())
    };
    for (written, name) in [
        ("id", "id"),
        ("Id", "id"),
        ("eventId", "id"),
        ("Topic", "source"),
        ("SOURCE", "source"),
        ("Subject", "subject"),
        ("EventType", "type"),
        ("type", "type"),
        ("DataVersion", "dataversion"),
        ("eventtypeversion", "dataversion"),
        ("specversion", "specversion"),
        ("time", "time"),
        ("EventTime", "time"),
        ("datacontenttype", "datacontenttype"),
        ("dataschema", "dataschema"),
        ("ComExampleOtherValue", "comexampleothervalue"),
        ("database", "database"),
    ] {
        assert_eq!(key(written), (Reference::Attribute(name.into()), 0), "{written}");
    }
    let path = |names: &[&str]| {
        Reference::Body(names.iter().map(|name| super::super::plan::Step::Member((*name).into())).collect())
    };
    assert_eq!(key("data"), (path(&[]), 0));
    assert_eq!(key("Data.key1"), (path(&["key1"]), 0));
    assert_eq!(key("data.A.b c.0"), (path(&["A", "b c", "0"]), 0));
    assert_eq!(key("site_id"), (Reference::Attribute("site_id".into()), 1));
}

#[test]
fn azures_limits_are_warnings() {
    let condition = r#"{"operatorType":"NumberIn","key":"data.x","values":[1]}"#;
    let many = |count: usize| format!("[{}]", vec![condition; count].join(","));
    assert!(compile(&many(25)).1.is_empty());
    let (filter, warnings) = compile(&many(26));
    assert_eq!(parts(&filter).len(), 26);
    assert_eq!(warnings.len(), 2);
    assert!(warnings.iter().all(|warning| warning.severity == Severity::Warning && warning.span == (0..1)));
    let text = |characters: usize| {
        format!(r#"[{{"operatorType":"StringIn","key":"data.x","values":["{}"]}}]"#, "ä".repeat(characters))
    };
    assert!(compile(&text(512)).1.is_empty());
    assert_eq!(compile(&text(513)).1.len(), 1);
    let values = vec!["1"; 26].join(",");
    assert_eq!(compile(&format!(r#"[{{"operatorType":"NumberIn","key":"data.x","values":[{values}]}}]"#)).1.len(), 1);
}

#[test]
fn cost_grows_with_the_values() {
    let cost = |operator: &str, count: usize| {
        let values = vec!["\"a\""; count].join(",");
        compile(&format!(r#"[{{"operatorType":"{operator}","key":"data.x","values":[{values}]}}]"#)).0.cost()
    };
    assert!(cost("StringIn", 1) < cost("StringIn", 10));
    assert!(cost("StringIn", 10) < cost("StringContains", 10));
    assert!(cost("StringContains", 1000) > 1000);
}

/// Whatever is said about the JSON, the same is valid for serde_json, and the values are the same.
#[test]
fn the_reader_reads_json() {
    fn value(node: &Node) -> serde_json::Value {
        match &node.kind {
            Json::Null => serde_json::Value::Null,
            Json::Bool(found) => (*found).into(),
            Json::Number(found) => (*found).into(),
            Json::String(found) => found.as_str().into(),
            Json::Array(items) => items.iter().map(value).collect(),
            Json::Object(members) => members
                .iter()
                .map(|member| (member.name.clone(), value(&member.value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
    for text in [
        "null",
        " [1.5 , -2.5e3,\t0.5E-2, -0.5] ",
        r#"{"a":{"b":[{}, [], "", true]},"":null}"#,
        r#""\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00😀""#,
        "01.5",
        "1.",
        ".5",
        "+1.5",
        "1e",
        "-",
        "[1.5,]",
        "[,]",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1.5,}"#,
        "{,}",
        "[1.5 2.5]",
        "tru",
        "nul",
        r#""a"#,
        r#""\x""#,
        r#""\ud800""#,
        r#""\ud800\u0041""#,
        r#""\udc00""#,
        r#""\u12g4""#,
        r#""\u12"#,
        "\"a\nb\"",
        "\"\u{1}\"",
        "[",
        "{",
        "1.5 2.5",
        "{}x",
        "\u{a0}1.5",
        "'a'",
        "// x",
        "nan",
        "\u{feff}{}",
        "[1.5",
        "{\"a\":1.5",
        "\"\\",
        "-a",
        "1.5.5",
        "1e5.5",
    ] {
        match (read(text), serde_json::from_str::<serde_json::Value>(text)) {
            (Ok(ours), Ok(theirs)) => {
                assert_eq!(value(&ours), theirs, "{text}");
                assert_eq!(&text[ours.span.clone()], text.trim(), "{text}");
            }
            (Err(problem), Err(_)) => assert!(text.get(problem.span.clone()).is_some(), "{text}: {problem:?}"),
            (ours, theirs) => panic!("{text}: {ours:?}, serde_json {theirs:?}"),
        }
    }
    // Narrower than others on purpose.
    assert!(read(r#"{"a":1,"a":2}"#).is_err());
    assert!(read("1e999").is_err());
}

#[test]
fn spans_are_those_of_the_conditions() {
    let text =
        "{\n \"subjectBeginsWith\": \"/ä\",\n \"filters\": [ {\"key\":\"data.x\",\"operatorType\":\"IsNotNull\"} ] }\n";
    let (filter, _) = compile(text);
    let ExprKind::And(parts) = &filter.root().kind else { panic!("{filter}") };
    let texts: Vec<&str> = parts.iter().map(|part| &text[part.span.clone()]).collect();
    assert_eq!(texts, ["\"/ä\"", "{\"key\":\"data.x\",\"operatorType\":\"IsNotNull\"}"]);
    assert_eq!(&text[filter.root().span.clone()], text.trim());
}

#[test]
fn a_trace_says_what_was_looked_at() {
    let reason = |body: &str, text: &str| {
        let event: Description =
            serde_json::from_str(&format!(r#"{{"body_text":{body:?},"attributes":{{"subject":"s"}}}}"#))
                .expect("an event");
        let (filter, _) = compile(text);
        Case::new(&event).with(Dialect::EventGrid, |event, body| filter.trace(event, body).reason).unwrap_or_default()
    };
    let number = r#"[{"operatorType":"NumberIn","key":"data.x.y","values":[1]}]"#;
    assert_eq!(reason(r#"{"x":{"y":2}}"#, number), "`data.x.y` is 2");
    assert_eq!(reason(r#"{"x":{"y":null}}"#, number), "`data.x.y` is null");
    assert_eq!(reason(r#"{"x":{"y":"1"}}"#, number), "`data.x.y` is '1', not a number: it counts as missing");
    assert_eq!(reason("{}", number), "`data.x.y` is missing");
    assert_eq!(
        reason(r#"{"x":{"y":[1]}}"#, number),
        "`data.x.y` is an array of 1 element; enableAdvancedFilteringOnArrays is not set"
    );
    assert!(reason("{", number).contains("not JSON"));
    assert_eq!(reason("{", r#"[{"operatorType":"StringIn","key":"Subject","values":["t"]}]"#), "`subject` is 's'");
    assert_eq!(reason("{", r#"[{"operatorType":"StringIn","key":"ext","values":["t"]}]"#), "`ext` is missing");
}
