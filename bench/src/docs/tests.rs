//! Templates, good and bad, and the page that is on disk.

use std::collections::BTreeMap;

use super::figure::{digits, quantity};
use super::render::{Page, render};
use crate::record::Record;
use crate::row::{Peer, Row};

fn records() -> BTreeMap<String, Record> {
    let peer = |name: &str, values: &[f64]| Peer {
        name: name.into(),
        version: "2.0".into(),
        values: values.to_vec(),
        cpu_ns: vec![500.0; values.len()],
    };
    let metric = "parse, match";
    let ours = [7_500_000.0, 7_600_000.0, 8_000_000.0];
    let mut first = Row::new("match", "1,000 routes", metric, &ours, &[131.6], peer("quamina", &[2_000_000.0]), false);
    first.size = Some(1_000);
    first.note = "validates | nothing".into();
    let mut second = Row { case: "10,000 routes".into(), size: Some(10_000), ..first.clone() };
    second.tie = true;
    let mut kernel = Row { ours_name: "avx2".into(), ours: 5e6, ..first.clone() };
    kernel.note.clear();
    let mut others = first.clone();
    (others.case, others.metric, others.unit) = ("memory".into(), "memory".into(), "bytes/route".into());
    (others.ours, others.peer, others.peer_name) = (2_056.8, None, String::new());
    let record = Record {
        suite: "match".into(),
        date: "2026-11-21".into(),
        commit: "abc".into(),
        machine: "a machine".into(),
        instructions: "AVX-512".into(),
        compiled_for: "SSE2".into(),
        rows: vec![first, second, kernel, others],
    };
    BTreeMap::from([("match".into(), record)])
}

fn page(template: &str) -> Page {
    render(template, &records()).unwrap()
}

/// Without the head that every page has.
fn text(template: &str) -> String {
    page(template).text.split_once("-->\n").unwrap().1.to_owned()
}

#[test]
fn figures_stand_in_sentences() {
    let template = r#"On {{date match}}: {{value match cpu case="1,000*" metric="parse, match"}} ns,
{{value match ratio case="1,000 routes"}}x of {{machine match}}
{{value match ours case="memory"}} and {{value match ours kernel="avx2"}}, at {{commit match}}"#;
    assert_eq!(
        text(template),
        "On 2026-11-21: 132 ns,\n3.80x of a machine\n2,057 bytes/route and 5.00 M events/s, at abc\n"
    );
}

#[test]
fn a_table_has_what_its_rows_have() {
    let expected = "\
| parse, match | ours | quamina 2.0 | ratio | spread | CPU ns/event |
| --- | ---: | ---: | ---: | ---: | ---: |
| 1,000 routes | 7.60 M events/s | 2.00 M events/s | 3.80 | 5 % / 0 % | 132 / 500 |
| 10,000 routes | 7.60 M events/s | 2.00 M events/s | 3.80, tie | 5 % / 0 % | 132 / 500 |

(validates | nothing)
";
    assert_eq!(text("{{table match metric=\"parse*\"}}"), expected);
    let all = text("{{table match kernel=\"*\"}}");
    assert!(
        all.contains("| case | what | kernel |") && all.contains("| 1,000 routes (1) | parse, match | chosen |"),
        "{all}"
    );
    assert!(
        all.contains("| 1,000 routes | parse, match | avx2 |") && all.ends_with("\n1. validates | nothing\n"),
        "{all}"
    );
}

#[test]
fn a_chart_is_drawn_and_shown() {
    let page = page("{{chart match-by-routes}}\n");
    assert!(page.text.ends_with("cost by number of routes](match-by-routes.svg)\n"), "{}", page.text);
    assert_eq!(page.charts.len(), 1);
    assert!(page.charts[0].0 == "match-by-routes" && page.charts[0].1.starts_with("<svg"));
}

#[test]
fn what_has_no_record_yet_is_left_out() {
    let template = "a\n\n{{if scaling}}\n{{chart scaling}}\n{{end}}\n\nb\n{{if match}}\n{{commit match}}\n{{end}}\n";
    assert_eq!(text(template), "a\n\nb\nabc\n");
}

#[test]
fn records_are_listed() {
    let one = text("{{records}}");
    assert!(
        one.starts_with("All on a machine; AVX-512.\n") && one.ends_with("\n| `match` | 2026-11-21 | abc |\n"),
        "{one}"
    );
    let mut two = records();
    let other = Record { suite: "log".into(), machine: "another".into(), ..two["match"].clone() };
    two.insert("log".into(), other);
    let two = render("{{records}}", &two).unwrap().text;
    assert!(two.contains("\n| `log` | 2026-11-21 | abc | another; AVX-512 |\n"), "{two}");
}

#[test]
fn mistakes_are_told_with_their_line() {
    for (template, expected) in [
        ("a\n{{valu match ours}}", "2: 'valu' is not known"),
        ("{{value log ours}}", "1: suite log has no record in bench/records: there is match"),
        ("\n\n{{table log}}", "3: suite log has no record"),
        ("{{chart scaling}}", "1: chart 'scaling' needs a record of suite scaling"),
        ("{{chart pie}}", "there is no chart 'pie'"),
        (
            "{{value match ours case=\"2 routes\"}}",
            "has no case=\"2 routes\": there is \"1,000 routes\", \"10,000 routes\"",
        ),
        ("{{value match ours colour=\"red\"}}", "'colour' is no key"),
        ("{{value match weight case=\"1,000*\"}}", "'weight' is no field"),
        ("{{value match peer case=\"memory\"}}", "'memory' has no peer"),
        ("{{value match}}", "needs a field"),
        ("{{value match ours}}", "are meant: say case"),
        ("{{value match ours case=memory}}", "with quotes"),
        ("{{value match ours case=\"memory}}", "has no end"),
        ("{{value match ours case=\"memory\"x}}", "a space is missing before 'x'"),
        ("{{table match fast}}", "does not know what 'fast' means"),
        ("{{}}", "nothing is asked for"),
        ("see {{date match", "`{{` without `}}`"),
        ("see {{table match}}", "on a line of its own"),
        ("{{if match}}\ntext", "1: an `if` without its `end`"),
        ("{{end}}", "an `end` without its `if`"),
        ("{{if match}}\n{{if match}}\n{{end}}", "2: an `if` stands in another"),
    ] {
        let error = render(template, &records()).unwrap_err();
        assert!(error.contains(expected), "{template}: {error}");
    }
}

#[test]
fn figures_have_three_digits_and_their_unit() {
    let values = [0.0, 0.18, 0.0354, 0.9996, 1.5, 9.996, 23.46, 99.96, 131.2, 5_816.4];
    let expected = ["0", "0.18", "0.035", "1.00", "1.50", "10.0", "23.5", "100", "131", "5,816"];
    assert_eq!(values.map(digits), expected.map(str::to_owned));
    let told = [
        quantity(2.43e9, "B/s"),
        quantity(4.02e8, "B/s"),
        quantity(7.62e6, "events/s"),
        quantity(443_654.0, "routes/s"),
        quantity(0.98, "updates/s"),
        quantity(235.9, "µs"),
        quantity(12_345.0, "µs"),
        quantity(16.08, "bytes/event"),
    ];
    let expected = [
        "2.43 GB/s",
        "402 MB/s",
        "7.62 M events/s",
        "444 k routes/s",
        "0.98 updates/s",
        "236 µs",
        "12.3 ms",
        "16.1 bytes/event",
    ];
    assert_eq!(told, expected.map(str::to_owned));
}

#[test]
fn the_first_line_that_differs_is_found() {
    let lines = |a, b| super::first_difference(a, b);
    assert_eq!(
        [lines("a\nb\n", "a\nb\n"), lines("a\nb\n", "a\nc\n"), lines("a\n", "a\nb\n"), lines("a\n", "a")],
        [None, Some(2), Some(2), Some(2)]
    );
}

#[test]
fn the_page_on_disk_is_what_the_records_say() {
    super::check().unwrap();
}
