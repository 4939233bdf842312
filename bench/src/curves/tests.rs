//! What is drawn is what was measured.

use super::*;
use crate::row::Peer;

fn point(suite: &'static str, size: u64, ours_ns: f64, peer: (&str, f64)) -> Row {
    let peer = Peer { name: peer.0.into(), version: String::new(), values: vec![1e9 / peer.1], cpu_ns: vec![peer.1] };
    let mut row = Row::new(suite, "case", "metric", &[1e9 / ours_ns], &[ours_ns], peer, false);
    row.size = Some(size);
    row
}

#[test]
fn a_chart_has_every_point_of_every_line() {
    let rows: Vec<Row> = [1, 8, 64, 512]
        .into_iter()
        .flat_map(|size| {
            [point("extract", size, 80.0, ("simd-json tape", 400.0)), point("extract", size, 80.0, ("sonic-rs", 450.0))]
        })
        .collect();
    let chart = by_shapes(&rows).unwrap();
    let points: Vec<usize> = chart.series.iter().map(|series| series.points.len()).collect();
    assert_eq!(points, [4, 4, 4]);
    let svg = chart.svg();
    assert_eq!(svg.matches("<circle").count(), 12);
    assert!(svg.contains("Anabranch: 80 ns") && svg.contains("sonic-rs get_many: 450 ns"), "{svg}");
    assert!(svg.contains("prefers-color-scheme: dark"));
    assert!(by_routes(&rows).is_none());
}

#[test]
fn far_apart_values_make_the_axis_logarithmic() {
    let near = [point("match", 1_000, 80.0, ("quamina", 260.0)), point("match", 1_000_000, 90.0, ("quamina", 600.0))];
    let far = [point("match", 1, 80.0, ("quamina", 260.0)), point("match", 100_000, 90_000.0, ("quamina", 600.0))];
    let (near, far) = (by_routes(&near).unwrap().svg(), by_routes(&far).unwrap().svg());
    assert!(near.contains(">0</text>") && near.contains(">1 M</text>"), "{near}");
    assert!(!far.contains(">0</text>") && far.contains(">100</text>"), "{far}");
    assert!(near.contains("temp &gt; c"), "{near}");
}

#[test]
fn nothing_to_draw_is_an_error() {
    assert!(draw(&[point("pipe", 1, 1.0, ("duckdb", 1.0))]).is_err());
}
