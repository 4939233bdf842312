//! What the demo says: the view, the plain line, the verdict, and the counts behind it.

use std::io::Write;
use std::sync::Arc;

use loadgen::fleet::Fleet;

use super::adapter::{Places, configuration};
use super::expected::Expected;
use super::folder::Folder;
use super::frame::{DemoFrame, EndpointFigures, IntakeFigures, Meter, Phase};
use super::tail::Tail;
use super::verdict::{EndpointTally, Tally};
use super::{parquet_rows, view};

fn frame() -> DemoFrame {
    let endpoint = |name: &str, kind, filter, matched, delivered, lag_events| EndpointFigures {
        name: name.to_owned(),
        kind,
        filter,
        matched,
        matched_per_s: matched as f64 / 7.0,
        delivered,
        lag_events,
        dead_lettered: 0,
    };
    DemoFrame {
        phase: Phase::Sending,
        elapsed_s: 7.2,
        seconds: 20.0,
        devices: 100_000,
        intake: IntakeFigures {
            sent: 701_000,
            acknowledged: 700_000,
            per_s: 100_000.4,
            p50_us: 1_840,
            p99_us: 12_300,
            ..IntakeFigures::default()
        },
        log_bytes: 198_400_000,
        endpoints: vec![
            endpoint("alerts", "webhook", "$body.temp > 30", 14_000, 13_990, 10),
            endpoint("telemetry", "parquet", "true", 700_000, 650_000, 50_000),
            endpoint("live", "tail", "$body.status = 'critical'", 700, 700, 0),
        ],
        critical: (0..9).map(|n| format!("critical {n}")).collect(),
    }
}

#[test]
fn the_view_shows_every_figure_in_its_place() {
    let lines = view::lines(&frame());
    assert_eq!(
        lines.join("\n"),
        "  100,000 devices over HTTP        100,000 events/s   acknowledged 700,000   ack p50 1.84 ms  p99 12.3 ms
  log 198.4 MB

  endpoint   kind      filter                        matched/s       matched     delivered       lag
  alerts     webhook   $body.temp > 30                   2,000        14,000        13,990        10
  telemetry  parquet   true                            100,000       700,000       650,000    50,000
  live       tail      $body.status = 'critical'           100           700           700         0

  live tail, critical events
    critical 4
    critical 5
    critical 6
    critical 7
    critical 8"
    );
    let mut early = frame();
    early.critical.clear();
    assert_eq!(view::lines(&early).len(), lines.len(), "the view never changes its height");
}

#[test]
fn without_a_terminal_a_second_is_a_line() {
    assert_eq!(
        view::plain_line(&frame()),
        "  7 s  in 100,000/s  acknowledged 700,000  p50 1.84 ms  p99 12.3 ms  log 198.4 MB  alerts 2,000/s lag 10  \
         telemetry 100,000/s lag 50,000  live 100/s lag 0"
    );
    let mut draining = frame();
    draining.phase = Phase::Draining;
    draining.intake.trouble = Some("the node answered 503".to_owned());
    let line = view::plain_line(&draining);
    assert!(line.starts_with("  7 s  draining  in ") && line.ends_with("  retrying: the node answered 503"), "{line}");
}

fn passed() -> Tally {
    let endpoint = |name: &str, far_end, count| EndpointTally {
        name: name.to_owned(),
        far_end,
        expected: count,
        matched: count,
        arrived: count,
        dead_lettered: 0,
    };
    Tally {
        sent: 2_000_000,
        acknowledged: 2_000_000,
        in_log: 2_000_000,
        endpoints: vec![
            endpoint("alerts", "by the webhook receiver", 40_000),
            endpoint("telemetry", "in 4 Parquet footers", 2_000_000),
        ],
        ..Tally::default()
    }
}

#[test]
fn counts_that_agree_pass() {
    let tally = passed();
    assert_eq!(tally.discrepancies(), []);
    assert_eq!(
        tally.to_string(),
        "  sent       2,000,000
  acknowledged 2,000,000
  in the log 2,000,000

  endpoint    should match       matched       arrived  counted
  alerts            40,000        40,000        40,000  by the webhook receiver
  telemetry      2,000,000     2,000,000     2,000,000  in 4 Parquet footers

  PASS: all counts agree"
    );
}

#[test]
fn each_count_that_is_off_by_one_fails_with_its_own_words() {
    type Spoil = fn(&mut Tally);
    let cases: [(Spoil, &str); 9] = [
        (|t| t.sent = 0, "nothing was sent"),
        (|t| t.acknowledged -= 1, "2,000,000 events were sent, 1,999,999 acknowledged"),
        (|t| t.in_log -= 1, "2,000,000 events were acknowledged, 1,999,999 are in the log"),
        (|t| t.in_log += 1, "2,000,000 events were acknowledged, 2,000,001 are in the log"),
        (|t| t.endpoints[0].matched += 1, "alerts: 40,000 events should match, 40,001 did"),
        (|t| t.endpoints[0].expected += 1, "alerts: 40,001 events should match, 40,000 did"),
        (|t| t.endpoints[0].arrived -= 1, "alerts: 40,000 events matched, 39,999 arrived (by the webhook receiver)"),
        (
            |t| t.endpoints[1].arrived += 1,
            "telemetry: 2,000,000 events matched, 2,000,001 arrived (in 4 Parquet footers)",
        ),
        (|t| t.endpoints[1].dead_lettered = 3, "telemetry: 3 events were written off as dead letters"),
    ];
    for (spoil, message) in cases {
        let mut tally = passed();
        spoil(&mut tally);
        let text = tally.to_string();
        assert!(text.contains("FAIL:") && text.contains(message), "{text}");
    }
}

#[test]
fn after_a_retry_copies_are_allowed_and_losses_are_not() {
    let mut tally = Tally { repeated: 100, retries: 2, ..passed() };
    tally.in_log += 150;
    tally.endpoints[0].matched += 3;
    tally.endpoints[0].arrived += 3;
    assert_eq!(tally.discrepancies(), []);
    tally.in_log += 51;
    assert_eq!(tally.discrepancies().len(), 1, "two attempts leave at most two copies");
    tally.in_log = tally.acknowledged - 1;
    assert_eq!(tally.discrepancies().len(), 1);
}

#[test]
fn expected_counts_follow_from_the_bytes_that_were_sent() {
    let expected = Arc::new(Expected::new(11).unwrap());
    let observe = expected.observer();
    let mut fleet = Fleet::new(11, 0..5_000);
    let (mut alerts, mut critical) = (0, 0);
    for _ in 0..20 {
        let mut batch = Vec::new();
        for n in 0..1_000 {
            let mut bytes = Vec::new();
            batch.push(fleet.write_event(1_795_213_800_000_000 + n, &mut bytes));
            let event: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            alerts += u64::from(event["temp"].as_f64().unwrap() > 30.0);
            critical += u64::from(event["status"] == "critical");
        }
        observe(&batch);
    }
    assert!(alerts > 0 && critical > 0);
    assert_eq!((expected.all(), expected.alerts(), expected.critical()), (20_000, alerts, critical));
}

#[test]
fn the_tail_counts_whole_lines_and_keeps_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("live.ndjson");
    let mut tail = Tail::new(path.clone());
    tail.follow().unwrap();
    assert_eq!(tail.lines(), 0, "the file may come later");

    let mut file = std::fs::File::create(&path).unwrap();
    let mut data = Vec::new();
    Fleet::new(1, 42..43).write_event(1_795_213_800_000_000, &mut data);
    let event = format!("{{\"specversion\":\"1.0\",\"data\":{}}}", String::from_utf8(data).unwrap());
    file.write_all(event.as_bytes()).unwrap();
    tail.follow().unwrap();
    assert_eq!(tail.lines(), 0, "a line without an end is none yet");
    file.write_all(b"\n").unwrap();
    tail.follow().unwrap();
    assert_eq!(tail.lines(), 1);
    assert!(tail.last()[0].starts_with("dev-000000042  site-"), "{:?}", tail.last());

    for n in 0..20 {
        writeln!(file, "{{\"device_id\":\"d{n}\"}}").unwrap();
    }
    tail.follow().unwrap();
    assert_eq!((tail.lines(), tail.last().len()), (21, view::CRITICAL_LINES));
    assert!(tail.last()[4].starts_with("d19  ?"), "{:?}", tail.last());
}

#[test]
fn a_meter_tells_rates_since_the_look_before() {
    let mut meter = Meter::new(2);
    assert_eq!(meter.rates(&[100, 5], 1.0), [100.0, 5.0]);
    assert_eq!(meter.rates(&[300, 5], 2.0), [100.0, 0.0]);
    assert_eq!(meter.rates(&[200, 9], 1.0), [0.0, 4.0], "a counter that falls is a restart, not a negative rate");
}

#[test]
fn footers_are_counted_and_what_is_no_parquet_is_named() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(parquet_rows::count(&folder.path().join("none")).unwrap().files, 0);
    std::fs::create_dir(folder.path().join("a")).unwrap();
    for (name, rows) in [("x.parquet", 3), ("a/y.parquet", 4)] {
        write_parquet(&folder.path().join(name), rows);
    }
    std::fs::write(folder.path().join("z.parquet.tmp"), "half").unwrap();
    let counted = parquet_rows::count(folder.path()).unwrap();
    assert_eq!((counted.files, counted.rows), (2, 7));
    std::fs::write(folder.path().join("z.parquet"), "half").unwrap();
    let error = parquet_rows::count(folder.path()).unwrap_err().to_string();
    assert!(error.contains("z.parquet is not a whole Parquet file"), "{error}");
}

fn write_parquet(path: &std::path::Path, rows: i64) {
    use parquet::data_type::Int64Type;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    let schema = parquet::schema::parser::parse_message_type("message m { REQUIRED INT64 n; }").unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer =
        SerializedFileWriter::new(file, Arc::new(schema), Arc::new(WriterProperties::builder().build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values: Vec<i64> = (0..rows).collect();
    column.typed::<Int64Type>().write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn the_demos_configuration_is_toml_whatever_its_folder_is_called() {
    let places = Places::within(std::path::Path::new("/tmp/a \"b\" \\ c"));
    let text = configuration(&places, "http://127.0.0.1:9/events");
    let config: toml::Table = toml::from_str(&text).unwrap();
    assert_eq!(config["node"]["data_dir"].as_str(), places.data.to_str());
    assert_eq!(config["endpoints"]["alerts"]["url"].as_str(), Some("http://127.0.0.1:9/events"));
    assert_eq!(config["routes"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_folder_that_holds_something_is_refused_and_a_given_one_is_kept() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("new");
    let folder = Folder::prepare(Some(&path)).unwrap();
    std::fs::write(&folder.places().live, "x").unwrap();
    folder.clean(false);
    assert!(folder.places().live.exists());
    let error = Folder::prepare(Some(&path)).unwrap_err().to_string();
    assert!(error.contains("is not empty"), "{error}");
}

#[test]
fn of_a_temporary_folder_the_parquet_files_stay() {
    let folder = Folder::prepare(None).unwrap();
    std::fs::create_dir(&folder.places().parquet).unwrap();
    std::fs::create_dir(&folder.places().data).unwrap();
    std::fs::write(&folder.places().live, "x").unwrap();
    folder.clean(true);
    assert!(folder.places().data.exists());
    folder.clean(false);
    assert!(folder.places().parquet.exists() && !folder.places().data.exists() && !folder.places().live.exists());
    std::fs::remove_dir_all(folder.path()).unwrap();
}
