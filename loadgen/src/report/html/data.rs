//! What the charts of a page draw: one column per line, rounded to what can be seen.
//!
//! Columns are of one length. What was not measured is `null`, never zero.

use serde::Serialize;

use super::Report;

/// The most points of a line. No screen shows more, and the file of a day stays below a megabyte.
pub(super) const POINTS_MAX: usize = 4_000;

#[derive(Debug, Default, Serialize)]
pub(super) struct Data {
    at_s: Vec<f64>,
    intended: Vec<Option<f64>>,
    sent: Vec<f64>,
    acknowledged: Vec<f64>,
    retries: Vec<f64>,
    p50: Vec<Option<u64>>,
    p90: Vec<Option<u64>>,
    p99: Vec<Option<u64>>,
    p999: Vec<Option<u64>>,
    max: Vec<Option<u64>>,
    cpu: Vec<Option<f64>>,
    memory: Vec<Option<u64>>,
    /// Percentiles by the number of their nines: 1 is 90 %, 2 is 99 %.
    nines: Vec<f64>,
    /// Microseconds at each of `nines`.
    by_nines: Vec<u64>,
    /// Seconds that a point stands for.
    #[serde(skip)]
    point_s: f64,
}

impl Data {
    pub(super) fn of(report: &Report<'_>) -> Self {
        let series = report.series.coarser(POINTS_MAX);
        let points = series.seconds.len();
        let point_s = series.seconds.last().map_or(0.0, |last| last.at_s / points as f64);
        let mut data = Self { point_s, ..Self::default() };
        for (length_s, second) in series.with_lengths() {
            let rate = |events: f64| if length_s > 0.0 { round(events / length_s, 10.0) } else { 0.0 };
            let measured = |us: u64| (second.latency.count > 0).then_some(us);
            data.at_s.push(round(second.at_s, 1_000.0));
            data.intended.push(second.intended_events.map(rate));
            data.sent.push(rate(second.sent_events as f64));
            data.acknowledged.push(rate(second.acknowledged_events as f64));
            data.retries.push(rate(second.retries as f64));
            data.p50.push(measured(second.latency.p50_us));
            data.p90.push(measured(second.latency.p90_us));
            data.p99.push(measured(second.latency.p99_us));
            data.p999.push(measured(second.latency.p999_us));
            data.max.push(measured(second.latency.max_us));
            data.cpu.push(second.cpu_cores.map(|cores| round(cores, 1_000.0)));
            data.memory.push(second.resident_bytes);
        }
        // The slowest lies infinitely far to the right; it stands in the table.
        for (percentile, us) in report.latency.iter().filter(|(percentile, _)| (0.0..100.0).contains(percentile)) {
            data.nines.push(round(-(1.0 - percentile / 100.0).log10(), 10_000.0));
            data.by_nines.push(*us);
        }
        data
    }

    pub(super) fn has_retries(&self) -> bool {
        self.retries.iter().any(|rate| *rate > 0.0)
    }

    /// How much time a point stands for, as a sentence.
    pub(super) fn resolution(&self) -> String {
        match self.point_s {
            ..1.5 => "A point stands for a second.".to_owned(),
            point_s => format!("A point stands for about {point_s:.0} seconds."),
        }
    }

    /// As JSON that may stand inside a `script` element: no `<` in it, hence no end tag and no comment.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers have a form in JSON").replace('<', "\\u003c")
    }
}

/// To a part of one; what is no number becomes zero.
fn round(value: f64, parts: f64) -> f64 {
    if value.is_finite() { (value * parts).round() / parts } else { 0.0 }
}
