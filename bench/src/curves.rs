//! The charts of `docs/`, drawn from records: cost by number of routes, cost by number of shapes, throughput by number of shards.

mod chart;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::record::Record;
use crate::row::Row;

use chart::{Chart, Series};

/// A chart by the name of its file without `.svg`: what it shows in words, and the drawing. An error says what is missing for it.
pub fn draw(name: &str, records: &BTreeMap<String, Record>) -> Result<(&'static str, String), String> {
    let (suite, of): (_, fn(&Record) -> Option<Chart>) = match name {
        "match-by-routes" => ("match", by_routes),
        "extract-by-shapes" => ("extract", by_shapes),
        "scaling" => ("scaling", by_shards),
        _ => {
            return Err(format!(
                "there is no chart '{name}': match-by-routes, extract-by-shapes and scaling are drawn"
            ));
        }
    };
    let record = records.get(suite).ok_or_else(|| format!("chart '{name}' needs a record of suite {suite}"))?;
    let chart = of(record).ok_or_else(|| format!("the record of suite {suite} has no rows for chart '{name}'"))?;
    Ok((chart.title, chart.svg()))
}

fn by_routes(record: &Record) -> Option<Chart> {
    let rows: Vec<&Row> = record.rows.iter().filter(|row| row.size.is_some()).collect();
    let series = vec![ours(&rows), peer(&rows, "quamina", "quamina, no full validation")];
    let title = "Parse, validate, fill 6 columns, match: cost by number of routes";
    let x_label = "routes, device_id = 'x' AND temp > c, one per device";
    chart(record, &rows, series, title, x_label)
}

fn by_shapes(record: &Record) -> Option<Chart> {
    let of_curve = |row: &&Row| row.size.is_some() && row.ours_name.is_empty();
    let rows: Vec<&Row> = record.rows.iter().filter(of_curve).collect();
    let series =
        vec![ours(&rows), peer(&rows, "simd-json", "simd-json tape"), peer(&rows, "sonic-rs", "sonic-rs get_many")];
    let title = "Extract 6 typed fields, validated: cost by number of shapes";
    chart(record, &rows, series, title, "shapes of events, interleaved at random")
}

/// A line per case, `size` being the number of shards.
fn by_shards(record: &Record) -> Option<Chart> {
    let rows: Vec<&Row> = record.rows.iter().filter(|row| row.size.is_some() && row.unit == "events/s").collect();
    let mut series: Vec<Series> = Vec::new();
    for row in &rows {
        let point = (row.size? as f64, row.ours);
        match series.iter_mut().find(|series| series.name == row.case) {
            Some(series) => series.points.push(point),
            None => series.push(Series { name: row.case.clone(), points: vec![point] }),
        }
    }
    series.iter_mut().for_each(by_x);
    Some(Chart {
        title: "Throughput by number of shards",
        x_label: "shards",
        y_label: "events per second",
        unit: "/s",
        source: source(record, &rows)?,
        series,
    })
}

fn chart(
    record: &Record,
    rows: &[&Row],
    series: Vec<Series>,
    title: &'static str,
    x_label: &'static str,
) -> Option<Chart> {
    Some(Chart {
        title,
        x_label,
        y_label: "nanoseconds per event on one core",
        unit: " ns",
        source: source(record, rows)?,
        series: series.into_iter().filter(|series| !series.points.is_empty()).collect(),
    })
}

/// Machine, instructions, event size and day; nothing of no rows.
fn source(record: &Record, rows: &[&Row]) -> Option<String> {
    let first = rows.first()?;
    let bytes = first.bytes_per_event.map(|bytes| format!("; {} bytes per event", bytes.round())).unwrap_or_default();
    Some(format!("{}, {}{bytes}; {}", first.machine, first.isa, record.date))
}

fn ours(rows: &[&Row]) -> Series {
    let points = rows.iter().filter_map(|row| Some((row.size? as f64, 1e9 / row.ours))).collect();
    let mut series = Series { name: "Anabranch".into(), points };
    by_x(&mut series);
    series
}

fn peer(rows: &[&Row], prefix: &str, name: &str) -> Series {
    let of_peer = rows.iter().filter(|row| row.peer_name.starts_with(prefix));
    let points = of_peer.filter_map(|row| Some((row.size? as f64, 1e9 / row.peer?))).collect();
    let mut series = Series { name: name.into(), points };
    by_x(&mut series);
    series
}

/// Left to right; of several rows at the same place, one for each peer, the first.
fn by_x(series: &mut Series) {
    series.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    series.points.dedup_by(|a, b| a.0 == b.0);
}
