//! Reading: the same queries by the same DuckDB, over our folder and over the file that DuckDB wrote itself, in turns.

use std::error::Error;

use serde::Deserialize;

use crate::peers::Peers;
use crate::row::{Peer, Row};
use crate::{Setting, cores, process};

use super::write::{Input, Written};

struct Query {
    case: &'static str,
    text: &'static str,
}

const QUERIES: [Query; 3] = [
    Query {
        case: "every event, by site: count, max(temp)",
        text: "SELECT site, count(*), max(temp) FROM {files} GROUP BY site",
    },
    Query { case: "temp > 30: count, sum(seq)", text: "SELECT count(*), sum(seq) FROM {files} WHERE temp > 30" },
    Query {
        case: "one device: ts and temp in order",
        text: "SELECT ts, temp FROM {files} WHERE device_id = 'dev-000000123' ORDER BY ts",
    },
];
/// Which of them answers what is known of the input: (number of events, …).
const COUNTED: usize = 1;

/// What the driver prints.
#[derive(Debug, Deserialize)]
struct Told {
    version: String,
    results: Vec<Answered>,
}

/// Of one query; the first of each pair is ours.
#[derive(Debug, Deserialize)]
struct Answered {
    wall_s: [Vec<f64>; 2],
    cpu_s: [Vec<f64>; 2],
    answer_rows: u64,
    first: Vec<Option<f64>>,
}

/// Measures all queries.
pub(super) fn run(
    setting: &Setting,
    peers: &Result<Peers, String>,
    input: &Input,
    written: &Written,
) -> Result<Vec<Row>, Box<dyn Error>> {
    let (Ok(peers), Some(theirs)) = (peers, &written.duckdb) else {
        // The rows of writing say why.
        return Ok(QUERIES.iter().map(|query| unread(query, setting)).collect());
    };
    let core = *cores::allowed()?.first().ok_or("no core is allowed")?;
    let rounds = if setting.quick { 2 } else { 15 };
    let mut script = peers.script("parquet_read.py");
    script.arg(rounds.to_string()).arg(written.ours.join("*.parquet")).arg(theirs);
    script.args(QUERIES.iter().map(|query| query.text));
    let ran = cores::on(core, || process::run(&mut script))??;
    let told: Told = serde_json::from_str(&ran.stdout)?;
    check(&told, input)?;
    Ok(QUERIES
        .iter()
        .zip(&told.results)
        .map(|(query, result)| row(query, result, &told.version, input, setting))
        .collect())
}

fn check(told: &Told, input: &Input) -> Result<(), Box<dyn Error>> {
    if told.results.len() != QUERIES.len() || told.results.iter().any(|result| result.answer_rows == 0) {
        return Err(format!("DuckDB answered not all of {} queries with rows: {told:?}", QUERIES.len()).into());
    }
    let counted = told.results[COUNTED].first.first().copied().flatten();
    if counted != Some(input.expected.hot as f64) {
        return Err(format!(
            "DuckDB counted {counted:?} events above 30 degrees, the input has {}",
            input.expected.hot
        )
        .into());
    }
    Ok(())
}

fn row(query: &Query, result: &Answered, version: &str, input: &Input, setting: &Setting) -> Row {
    let ms = |of: &[f64]| of.iter().map(|seconds| seconds * 1e3).collect::<Vec<_>>();
    let cpu = |of: &[f64]| of.iter().map(|seconds| seconds * 1e9 / input.events as f64).collect::<Vec<_>>();
    let peer = Peer {
        name: "duckdb over its own file".into(),
        version: version.to_owned(),
        values: ms(&result.wall_s[1]),
        cpu_ns: cpu(&result.cpu_s[1]),
    };
    let (ours, ours_cpu) = (ms(&result.wall_s[0]), cpu(&result.cpu_s[0]));
    let mut row = Row::new("parquet", query.case, "read by DuckDB", &ours, &ours_cpu, peer, setting.quick).unit("ms");
    row.note = "DuckDB with one thread reads both, in turns, files in the page cache".into();
    row
}

fn unread(query: &Query, setting: &Setting) -> Row {
    let nobody = Peer {
        name: "duckdb is missing, and nobody else is asked".into(),
        version: String::new(),
        values: Vec::new(),
        cpu_ns: Vec::new(),
    };
    Row::new("parquet", query.case, "read by DuckDB", &[], &[], nobody, setting.quick).unit("ms")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet::content::Content;

    fn input(hot: u64) -> Input {
        Input {
            path: std::path::PathBuf::new(),
            events: 1_000,
            bytes: 0,
            expected: Content { hot, ..Content::default() },
        }
    }

    fn told(hot: u64) -> Told {
        let result = |first: u64| {
            format!(
                r#"{{"wall_s":[[0.002,0.003],[0.001,0.001]],"cpu_s":[[0.002,0.002],[0.001,0.001]],"answer_rows":3,"first":[{first},null]}}"#
            )
        };
        let text = format!(r#"{{"version":"2.0.0","results":[{},{},{}]}}"#, result(1), result(hot), result(1));
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn less_time_is_ahead() {
        let setting = Setting { quick: true, anabranch: std::path::PathBuf::new(), data: None };
        let row = row(&QUERIES[0], &told(7).results[0], "2.0.0", &input(7), &setting);
        assert_eq!((row.ours, row.peer, row.ratio, row.tie), (2.5, Some(1.0), Some(0.4), false));
        assert_eq!((row.cpu_ns_per_event, row.peer_cpu_ns_per_event), (2_000.0, Some(1_000.0)));
    }

    #[test]
    fn a_wrong_count_fails_the_run() {
        assert!(check(&told(7), &input(7)).is_ok());
        let error = check(&told(6), &input(7)).unwrap_err().to_string();
        assert!(error.contains("Some(6.0)") && error.contains('7'), "{error}");
    }
}
