//! One result, and all of them as a table or as JSON.

use serde::{Deserialize, Serialize};

use crate::machine;

/// One comparison.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Suite.
    pub suite: String,
    /// Case of the suite.
    pub case: String,
    /// What was measured.
    pub metric: String,
    /// Its unit; [`less_is_better`] says which way is ahead.
    pub unit: String,
    /// Number of routes or shapes, where the case is a point of a curve.
    pub size: Option<u64>,
    /// Which of ours: the kernel, where it was not left to the engine to choose.
    pub ours_name: String,
    /// Ours, median.
    pub ours: f64,
    /// Slowest and fastest of ours.
    pub ours_range: (f64, f64),
    /// The peer's, median; nothing when it is missing.
    pub peer: Option<f64>,
    /// Slowest and fastest of the peer's.
    pub peer_range: Option<(f64, f64)>,
    /// Who the peer is, or why there is none.
    pub peer_name: String,
    /// Its version.
    pub peer_version: String,
    /// How many times better we are.
    pub ratio: Option<f64>,
    /// The same by processor time, which neighbours on the machine disturb less.
    pub cpu_ratio: Option<f64>,
    /// The ranges overlap: neither is ahead.
    pub tie: bool,
    /// Our processor time per event.
    pub cpu_ns_per_event: f64,
    /// The peer's.
    pub peer_cpu_ns_per_event: Option<f64>,
    /// Mean size of an event's data, where throughput is of interest.
    pub bytes_per_event: Option<f64>,
    /// Our throughput of data, in 10^9 bytes a second.
    pub gb_per_s: Option<f64>,
    /// The peer's.
    pub peer_gb_per_s: Option<f64>,
    /// Share of the events whose shape our extractor knew already.
    pub shape_hit_rate: Option<f64>,
    /// What a reader has to know: what each validates, how it was built, where the peer differs by nature.
    pub note: String,
    /// Measured with small inputs, to see that it works.
    pub quick: bool,
    /// Vector instructions of the machine.
    pub isa: String,
    /// The machine.
    pub machine: String,
}

/// Who we are compared with.
pub struct Peer {
    /// Its name, or why there is none.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its measurements; none when it is missing.
    pub values: Vec<f64>,
    /// Its processor time per event.
    pub cpu_ns: Vec<f64>,
}

impl Row {
    /// From the measurements of both.
    pub fn new(
        suite: &'static str,
        case: &str,
        metric: &'static str,
        ours: &[f64],
        cpu_ns: &[f64],
        peer: Peer,
        quick: bool,
    ) -> Self {
        let measured = !peer.values.is_empty();
        let (ours_range, peer_range) = (range(ours), measured.then(|| range(&peer.values)));
        let peer_median = measured.then(|| median(&peer.values));
        Self {
            suite: suite.to_owned(),
            case: case.to_owned(),
            metric: metric.to_owned(),
            unit: "events/s".to_owned(),
            size: None,
            ours_name: String::new(),
            ours: median(ours),
            ours_range,
            peer: peer_median,
            peer_range,
            peer_name: peer.name,
            peer_version: peer.version,
            ratio: peer_median.map(|peer| median(ours) / peer),
            tie: peer_range.is_some_and(|peer| ours_range.0 <= peer.1 && peer.0 <= ours_range.1),
            cpu_ratio: (!cpu_ns.is_empty() && !peer.cpu_ns.is_empty()).then(|| median(&peer.cpu_ns) / median(cpu_ns)),
            cpu_ns_per_event: median(cpu_ns),
            peer_cpu_ns_per_event: (!peer.cpu_ns.is_empty()).then(|| median(&peer.cpu_ns)),
            bytes_per_event: None,
            gb_per_s: None,
            peer_gb_per_s: None,
            shape_hit_rate: None,
            note: String::new(),
            quick,
            isa: machine::isa().to_owned(),
            machine: machine::machine(),
        }
    }

    /// With the mean size of an event's data, from which throughput follows.
    pub fn bytes_per_event(mut self, bytes: f64) -> Self {
        self.bytes_per_event = Some(bytes);
        self.gb_per_s = Some(self.ours * bytes / 1e9);
        self.peer_gb_per_s = self.peer.map(|peer| peer * bytes / 1e9);
        self
    }

    /// In another unit than events per second; the ratio stays above 1 where ours is ahead.
    pub fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit.to_owned();
        self.ratio = match less_is_better(unit) {
            true => self.peer.map(|peer| peer / self.ours),
            false => self.peer.map(|peer| self.ours / peer),
        };
        self
    }
}

/// Which way is ahead: of rates more, of everything else that is measured (time, size, memory, shares of a core) less.
pub fn less_is_better(unit: &str) -> bool {
    !unit.ends_with("/s")
}

/// The middle one; 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

/// Slowest and fastest; zeros of nothing.
fn range(values: &[f64]) -> (f64, f64) {
    if values.is_empty() {
        return (0.0, 0.0);
    }
    values.iter().fold((f64::INFINITY, 0.0), |(low, high), &value| (value.min(low), value.max(high)))
}

/// All rows for people.
pub fn table(rows: &[Row]) -> String {
    let mut lines: Vec<[String; 11]> = vec![
        [
            "case",
            "metric",
            "ours",
            "peer",
            "ratio",
            "ns/event",
            "CPU ns/event",
            "CPU ratio",
            "GB/s",
            "shapes known",
            "peer",
        ]
        .map(str::to_owned),
    ];
    let mut notes: Vec<&str> = Vec::new();
    for row in rows {
        let ratio = match row.ratio {
            None => "-".to_owned(),
            Some(ratio) if row.tie => format!("{ratio:.2} (tie)"),
            Some(ratio) => format!("{ratio:.2}"),
        };
        let wall = match row.unit.as_str() {
            "events/s" => both(Some(1e9 / row.ours), row.peer.map(|peer| 1e9 / peer), 0),
            unit => unit.to_owned(),
        };
        let cpu = Some(row.cpu_ns_per_event).filter(|cpu| *cpu > 0.0);
        let note = match notes.iter().position(|note| *note == row.note) {
            _ if row.note.is_empty() => String::new(),
            Some(at) => format!(" [{}]", at + 1),
            None => {
                notes.push(&row.note);
                format!(" [{}]", notes.len())
            }
        };
        let name = [row.ours_name.as_str(), row.metric.as_str()].join(" ");
        lines.push([
            format!("{} {}", row.suite, row.case),
            name.trim().to_owned(),
            amount(row.ours),
            row.peer.map_or_else(|| "-".to_owned(), amount),
            ratio,
            wall,
            both(cpu, row.peer_cpu_ns_per_event, 0),
            row.cpu_ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
            both(row.gb_per_s, row.peer_gb_per_s, 2),
            row.shape_hit_rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1} %", rate * 100.0)),
            format!("{} {}{note}", row.peer_name, row.peer_version).trim().to_owned(),
        ]);
    }
    let mut text = String::new();
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..11).map(width).collect();
    for line in &lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(at, (cell, &width))| match at {
            2..=9 => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    for (at, note) in notes.iter().enumerate() {
        text.push_str(&format!("\n[{}] {note}", at + 1));
    }
    text.push_str(&format!("\n\n{}\n{}", machine::machine(), machine::instructions()));
    if rows.iter().any(|row| row.quick) {
        text.push_str("\n--quick: too small to say how fast anything is");
    }
    text
}

/// Ours and the peer's in one cell.
fn both(ours: Option<f64>, peer: Option<f64>, decimals: usize) -> String {
    match (ours, peer) {
        (None, _) => "-".to_owned(),
        (Some(ours), None) => format!("{ours:.decimals$}"),
        (Some(ours), Some(peer)) => format!("{ours:.decimals$} / {peer:.decimals$}"),
    }
}

/// With thousands apart; small ones with as many decimals as say something.
fn amount(value: f64) -> String {
    match value {
        ..1.0 => format!("{value:.3}"),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => loadgen::report::grouped(value.round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: &[f64], peer: &[f64]) -> Row {
        let peer = Peer {
            name: "duckdb".into(),
            version: "2.0.0".into(),
            values: peer.to_vec(),
            cpu_ns: vec![700.0; peer.len()],
        };
        Row::new("pipe", "all", "one core", ours, &[500.0], peer, false)
    }

    #[test]
    fn the_ratio_is_of_medians_and_overlapping_ranges_are_a_tie() {
        let ahead = row(&[300.0, 200.0, 210.0], &[100.0, 90.0, 110.0]);
        assert_eq!((ahead.ratio, ahead.tie), (Some(2.1), false));
        assert!(row(&[100.0, 120.0], &[110.0, 90.0]).tie);
    }

    #[test]
    fn above_one_is_ahead_in_every_unit() {
        for unit in ["events/s", "routes/s", "updates/s", "B/s", "bytes/s"] {
            let row = row(&[300.0], &[100.0]).unit(unit);
            assert_eq!((row.ratio, less_is_better(unit)), (Some(3.0), false), "{unit}");
        }
        for unit in ["ns", "µs", "ms", "s", "%", "bytes", "bytes/route", "bytes/event", "MiB", "ns/event"] {
            let row = row(&[100.0], &[300.0]).unit(unit);
            assert_eq!((row.ratio, less_is_better(unit)), (Some(3.0), true), "{unit}");
        }
        let there_and_back = row(&[100.0], &[300.0]).unit("ms").unit("events/s");
        assert_eq!(there_and_back.ratio, Some(1.0 / 3.0));
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let written = row(&[300.0, 200.0, 210.0], &[100.0]).unit("ms");
        let text = serde_json::to_string(&written).unwrap();
        let read: Row = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        for field in
            ["suite", "case", "metric", "unit", "ours", "peer", "peer_name", "peer_version", "ratio", "isa", "machine"]
        {
            assert!(text.contains(&format!("\"{field}\":")), "{field}: {text}");
        }
    }

    #[test]
    fn amounts_keep_the_digits_that_say_something() {
        assert_eq!([0.18, 5.5, 23.45, 1_234.5].map(amount), ["0.180", "5.50", "23.4", "1,235"].map(str::to_owned));
    }

    #[test]
    fn a_missing_peer_is_named() {
        let mut missing = row(&[200.0], &[]);
        missing.peer_name = "duckdb is missing: no network".into();
        missing.peer_version.clear();
        assert_eq!((missing.peer, missing.ratio, missing.tie), (None, None, false));
        let text = table(&[missing]);
        assert!(text.contains("duckdb is missing: no network"), "{text}");
    }

    #[test]
    fn medians() {
        assert_eq!([median(&[]), median(&[3.0]), median(&[3.0, 1.0]), median(&[9.0, 1.0, 2.0])], [0.0, 3.0, 2.0, 2.0]);
    }
}
