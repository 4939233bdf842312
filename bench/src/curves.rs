//! The two curves of `docs/`: cost by number of routes and cost by number of shapes, drawn from the measured rows.

mod chart;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::path::{Path, PathBuf};

use crate::record;
use crate::row::Row;

use chart::{Chart, Series};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");

/// Draws the curves whose suites were measured; says where. None measured is an error.
pub fn draw(rows: &[Row]) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut drawn = Vec::new();
    for (file, chart) in [("match-by-routes.svg", by_routes(rows)), ("extract-by-shapes.svg", by_shapes(rows))] {
        let Some(chart) = chart else { continue };
        let path = Path::new(DOCS).join(file);
        std::fs::write(&path, chart.svg()).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        drawn.push(path);
    }
    match drawn.is_empty() {
        true => Err("there is no curve in what was measured: the suites `extract` and `match` have one each".into()),
        false => Ok(drawn),
    }
}

fn by_routes(rows: &[Row]) -> Option<Chart> {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.suite == "match" && row.size.is_some()).collect();
    let series = vec![ours(&rows), peer(&rows, "quamina", "quamina, no full validation")];
    chart(
        &rows,
        series,
        "Parse, validate, fill 6 columns, match: cost by number of routes",
        "routes, device_id = 'x' AND temp > c, one per device",
    )
}

fn by_shapes(rows: &[Row]) -> Option<Chart> {
    let of_curve = |row: &&Row| row.suite == "extract" && row.size.is_some() && row.ours_name.is_empty();
    let rows: Vec<&Row> = rows.iter().filter(of_curve).collect();
    let series =
        vec![ours(&rows), peer(&rows, "simd-json", "simd-json tape"), peer(&rows, "sonic-rs", "sonic-rs get_many")];
    chart(
        &rows,
        series,
        "Extract 6 typed fields, validated: cost by number of shapes",
        "shapes of events, interleaved at random",
    )
}

fn chart(rows: &[&Row], series: Vec<Series>, title: &'static str, x_label: &'static str) -> Option<Chart> {
    let first = rows.first()?;
    Some(Chart {
        title,
        x_label,
        y_label: "nanoseconds per event on one core",
        source: format!(
            "{}, {}; {} bytes per event; {}",
            first.machine,
            first.isa,
            first.bytes_per_event.unwrap_or_default().round(),
            record::today()
        ),
        series: series.into_iter().filter(|series| !series.points.is_empty()).collect(),
    })
}

fn ours(rows: &[&Row]) -> Series {
    let mut points: Vec<(f64, f64)> = rows.iter().filter_map(|row| Some((row.size? as f64, 1e9 / row.ours))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points.dedup_by(|a, b| a.0 == b.0);
    Series { name: "Anabranch", points }
}

fn peer(rows: &[&Row], prefix: &str, name: &'static str) -> Series {
    let of_peer = rows.iter().filter(|row| row.peer_name.starts_with(prefix));
    let mut points: Vec<(f64, f64)> = of_peer.filter_map(|row| Some((row.size? as f64, 1e9 / row.peer?))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    Series { name, points }
}
