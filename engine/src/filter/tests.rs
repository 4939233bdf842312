//! The filter language against its corpus: every example and table row of the specification as data, and every refusal with
//! the words it gives.

pub(crate) mod event;
mod properties;
mod refused;
mod units;

use serde::Deserialize;

use super::*;
use event::{Case, Events};

#[derive(Deserialize)]
struct Corpus {
    events: Events,
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    about: String,
    dialect: String,
    event: String,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    azure_date_quirk: bool,
    cases: Vec<(String, char)>,
}

impl Group {
    fn options(&self) -> CompileOptions {
        let source = self.source.as_deref().map_or(Source::default(), |name| Source::by_name(name).expect("a source"));
        CompileOptions { source, azure_date_quirk: self.azure_date_quirk }
    }
}

fn corpus() -> Corpus {
    serde_json::from_str(include_str!("../../../tests/corpus/filters.json")).expect("the corpus is JSON")
}

/// Calls `visit` for every group of the corpus with its event and its filters that should answer, and whether with true.
pub(crate) fn each_group(mut visit: impl FnMut(&crate::batch::Batch, Vec<(Filter, bool)>)) {
    let corpus = corpus();
    for group in &corpus.groups {
        let dialect = Dialect::by_name(&group.dialect).expect("a dialect");
        let filters = group.cases.iter().filter_map(|(text, expected)| {
            let (filter, _) = Filter::compile(text, dialect, &group.options()).ok()?;
            Some((filter, *expected == 'T'))
        });
        visit(Case::new(&corpus.events[&group.event]).batch(), filters.collect());
    }
}

fn letter(truth: Truth) -> char {
    match truth {
        Truth::True => 'T',
        Truth::False => 'F',
        Truth::Undefined => 'U',
    }
}

#[test]
fn every_filter_of_the_corpus_answers_as_expected() {
    let corpus = corpus();
    let mut wrong = Vec::new();
    for group in &corpus.groups {
        let dialect = Dialect::by_name(&group.dialect).expect("a dialect");
        let case = Case::new(&corpus.events[&group.event]);
        for (text, expected) in &group.cases {
            let found = match Filter::compile(text, dialect, &group.options()) {
                Ok((filter, _)) => case.with(dialect, |event, body| letter(filter.eval(event, body)).to_string()),
                Err(problems) => problems[0].message.clone(),
            };
            if found != expected.to_string() {
                wrong.push(format!("{}: {text}\n    expected {expected}, found {found}", group.about));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_printed_compiles_to_the_same_answers() {
    let corpus = corpus();
    for group in &corpus.groups {
        let dialect = Dialect::by_name(&group.dialect).expect("a dialect");
        let case = Case::new(&corpus.events[&group.event]);
        for (text, _) in &group.cases {
            let (filter, _) = Filter::compile(text, dialect, &group.options()).expect("the corpus compiles");
            let printed = filter.to_string();
            let (again, _) = Filter::compile(&printed, dialect, &group.options())
                .unwrap_or_else(|problems| panic!("{text}\nprints as\n{printed}\n{problems:#?}"));
            assert_eq!(again.to_string(), printed, "of {text}");
            let [first, second] =
                [&filter, &again].map(|filter| case.with(dialect, |event, body| filter.eval(event, body)));
            assert_eq!(first, second, "{text}\nprints as\n{printed}");
        }
    }
}

#[test]
fn a_trace_shows_the_answer_and_names_each_part() {
    let corpus = corpus();
    for group in &corpus.groups {
        let dialect = Dialect::by_name(&group.dialect).expect("a dialect");
        let case = Case::new(&corpus.events[&group.event]);
        for (text, _) in &group.cases {
            let (filter, _) = Filter::compile(text, dialect, &group.options()).expect("the corpus compiles");
            let (truth, trace) =
                case.with(dialect, |event, body| (filter.eval(event, body), filter.trace(event, body)));
            match truth {
                Truth::Undefined => assert!(!matches!(&*trace.value, "true" | "false"), "{text}: {trace:#?}"),
                // The literal null counts as false.
                Truth::False if trace.value == "null" => {}
                known => assert_eq!(trace.value, known.name(), "{text}"),
            }
            check_spans(text, &trace);
        }
    }
}

fn check_spans(text: &str, trace: &Trace) {
    assert!(text.get(trace.span.clone()).is_some(), "{text}: {:?}", trace.span);
    for child in &trace.children {
        check_spans(text, child);
    }
}

#[test]
fn reading_the_data_is_known_beforehand() {
    for (text, reads) in [
        ("type = 'x'", false),
        ("$property.x = 'y'", false),
        ("temp > 3", true),
        ("type = 'x' OR EXISTS(temp)", true),
        ("$body = 3", true),
    ] {
        let (filter, _) = Filter::compile(text, Dialect::Anabranch, &CompileOptions::default()).expect(text);
        assert_eq!(filter.reads_body(), reads, "{text}");
    }
    for (text, dialect, reads) in [
        (r#"{"subjectBeginsWith":"/x","includedEventTypes":["a"]}"#, Dialect::EventGrid, false),
        (r#"[{"key":"data.x","operatorType":"IsNotNull"}]"#, Dialect::EventGrid, true),
        ("a/+/b", Dialect::Mqtt, false),
        ("topic_matches(subject, 'a/#')", Dialect::Anabranch, false),
        ("topic_matches(topic, 'a/#')", Dialect::Anabranch, true),
    ] {
        let (filter, _) = Filter::compile(text, dialect, &CompileOptions::default()).expect(text);
        assert_eq!(filter.reads_body(), reads, "{text}");
    }
}

#[test]
fn the_manuals_examples_compile() {
    let manual = include_str!("../../../docs/filters.md");
    let sections = [
        ("### Examples\n", Dialect::Anabranch, 8),
        ("\nExamples: `level", Dialect::IotHub, 4),
        ("\nExamples: `type", Dialect::DigitalTwins, 3),
    ];
    for (start, dialect, expected) in sections {
        let at = manual.find(start).expect(start);
        let section = manual[at..].split("\n## ").next().unwrap_or_default();
        let paragraph = if dialect == Dialect::Anabranch {
            section
                .lines()
                .filter(|line| line.starts_with("| `"))
                .map(|line| line.split(" | ").next().unwrap_or_default())
                .collect()
        } else {
            section.trim_start().split("\n\n").next().unwrap_or_default().replace('\n', " ")
        };
        let examples: Vec<&str> = paragraph.split('`').skip(1).step_by(2).collect();
        assert_eq!(examples.len(), expected, "{examples:?}");
        for text in examples {
            let result = Filter::compile(text, dialect, &CompileOptions::default());
            assert!(result.is_ok_and(|(_, warnings)| warnings.is_empty()), "{dialect}: {text}");
        }
    }
}

/// What the manual says that a topic filter takes or does not take.
#[test]
fn the_manuals_topic_filters_are_right() {
    let manual = include_str!("../../../docs/filters.md");
    let section = manual.split("\n## MQTT topic filters\n").nth(1).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let mut rows = 0;
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<Vec<String>> = line.trim_matches('|').split(" | ").map(quoted).collect();
        let [filter, takes, others] = &cells[..] else { panic!("{line}") };
        assert!(!takes.is_empty() && !others.is_empty(), "{line}");
        for (topics, expected) in [(takes, true), (others, false)] {
            for topic in topics {
                let found = TopicFilter::new(&filter[0]).expect(line).matches(topic);
                assert_eq!(found, expected, "{} on {topic}", filter[0]);
            }
        }
        rows += 1;
    }
    assert!(rows >= 6, "{rows}");
}

/// The manual's table names every operator, and its example compiles.
#[test]
fn the_manuals_event_grid_section_is_right() {
    let manual = include_str!("../../../docs/filters.md");
    let section = manual.split("\n## Event Grid advanced filters\n").nth(1).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let example = section.split("```").nth(1).and_then(|block| block.strip_prefix("json\n")).expect("an example");
    let (filter, warnings) =
        Filter::compile(example, Dialect::EventGrid, &CompileOptions::default()).expect("the example compiles");
    assert!(warnings.is_empty() && filter.reads_body(), "{warnings:?}");
    for operator in GridOperator::NAMED {
        assert!(section.contains(&format!("`{}`", operator.name())), "{} is missing", operator.name());
    }
}
