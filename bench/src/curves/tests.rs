//! What is drawn is what was measured.

use super::*;
use crate::row::Peer;

fn point(suite: &'static str, size: u64, ours_ns: f64, peer: (&str, f64)) -> Row {
    let peer = Peer { name: peer.0.into(), version: String::new(), values: vec![1e9 / peer.1], cpu_ns: vec![peer.1] };
    let mut row = Row::new(suite, "case", "metric", &[1e9 / ours_ns], &[ours_ns], peer, false);
    row.size = Some(size);
    row
}

fn records(rows: Vec<Row>) -> BTreeMap<String, Record> {
    let suite = rows[0].suite.clone();
    let text = String::new;
    let record = Record {
        suite: suite.clone(),
        date: "2026-11-21".into(),
        commit: text(),
        machine: text(),
        instructions: text(),
        compiled_for: text(),
        rows,
    };
    BTreeMap::from([(suite, record)])
}

#[test]
fn a_chart_has_every_point_of_every_line() {
    let rows: Vec<Row> = [1, 8, 64, 512]
        .into_iter()
        .flat_map(|size| {
            [point("extract", size, 80.0, ("simd-json tape", 400.0)), point("extract", size, 80.0, ("sonic-rs", 450.0))]
        })
        .collect();
    let records = records(rows);
    let (title, svg) = draw("extract-by-shapes", &records).unwrap();
    assert!(title.starts_with("Extract"), "{title}");
    assert_eq!((svg.matches("<circle").count(), svg.matches("<polyline").count()), (12, 3));
    assert!(svg.contains("Anabranch: 80 ns") && svg.contains("sonic-rs get_many: 450 ns"), "{svg}");
    assert!(svg.contains("prefers-color-scheme: dark") && svg.contains("2026-11-21"), "{svg}");
    assert!(svg.contains(">64</text>") && !svg.contains(">10</text>"), "measured at powers of two: {svg}");
}

#[test]
fn far_apart_values_make_the_axis_logarithmic() {
    let near =
        vec![point("match", 1_000, 80.0, ("quamina", 260.0)), point("match", 1_000_000, 90.0, ("quamina", 600.0))];
    let far = vec![point("match", 1, 80.0, ("quamina", 260.0)), point("match", 100_000, 90_000.0, ("quamina", 600.0))];
    let [near, far] = [near, far].map(|rows| draw("match-by-routes", &records(rows)).unwrap().1);
    assert!(near.contains(">0</text>") && near.contains(">1 M</text>"), "{near}");
    assert!(!far.contains(">0</text>") && far.contains(">100</text>"), "{far}");
    assert!(near.contains("temp &gt; c"), "{near}");
}

#[test]
fn throughput_by_shards_has_a_line_per_case() {
    let rows: Vec<Row> = ["match", "e2e"]
        .into_iter()
        .flat_map(|case| {
            [1u64, 2, 4, 8, 16].map(|shards| {
                let mut row = point("scaling", shards, 250.0 / shards as f64, ("linear", 250.0));
                row.case = case.into();
                row
            })
        })
        .collect();
    let (_, svg) = draw("scaling", &records(rows)).unwrap();
    assert_eq!((svg.matches("<circle").count(), svg.matches("<polyline").count()), (10, 2));
    assert!(svg.contains("match: 64 M/s") && svg.contains("e2e: 64 M/s") && svg.contains(">16</text>"), "{svg}");
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let records = records(vec![Row { size: None, ..point("match", 1, 1.0, ("quamina", 1.0)) }]);
    let said = |name| draw(name, &records).unwrap_err();
    assert!(said("match-by-routes").contains("has no rows"));
    assert!(said("extract-by-shapes").contains("needs a record of suite extract"));
    assert!(said("pie").contains("there is no chart 'pie'"));
}
