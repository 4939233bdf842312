//! Every way in which a place can be wrong is found in it, exactly and by name; and a place that is right is clean.

use std::io::Cursor;
use std::sync::Arc;

use super::*;
use crate::fleet::{Fleet, Model};
use crate::ledger::{Ledger, Verdict};
use crate::receiver::{Fault, Keeper};

const DEVICES: u32 = 50;

/// A run of `events` events, all acknowledged, and their payloads.
fn run(events: usize) -> (LedgerFile, Vec<Vec<u8>>) {
    let model = Model::telemetry();
    let mut fleet = Fleet::of(model.clone(), 5, 0..DEVICES);
    let mut ledger = Ledger::new(0..DEVICES);
    let payloads = (0..events).map(|n| {
        let mut payload = Vec::new();
        let emitted = fleet.write_event(1_795_213_800_000_000 + n as u64, &mut payload);
        ledger.send(emitted.device, emitted.seq);
        ledger.acknowledge(emitted.device, emitted.seq);
        payload
    });
    let payloads = payloads.collect();
    (LedgerFile { model, seed: 5, receipts: true, ledger }, payloads)
}

fn question(kept: LedgerFile, filter: Option<&str>) -> Question {
    let filter = filter.map(|text| Filter::parse(text, &kept.model).unwrap());
    Question { kept, filter, expect_sent: false }
}

fn of_lines(question: &Question, text: &[u8]) -> Verdict {
    let mut verifier = question.verifier();
    lines(&mut verifier, &mut Cursor::new(text), &mut |_| {}).unwrap();
    verifier.finish()
}

fn joined(payloads: &[Vec<u8>]) -> Vec<u8> {
    payloads.iter().flat_map(|payload| payload.iter().copied().chain([b'\n'])).collect()
}

#[test]
fn lines_of_events_and_of_cloud_events_are_read_alike() {
    let (kept, payloads) = run(1_000);
    let question = question(kept, None);
    let verdict = of_lines(&question, &joined(&payloads));
    assert!(verdict.is_clean() && verdict.expected == 1_000 && verdict.rows == 1_000, "{verdict}");
    let wrapped: Vec<Vec<u8>> = payloads
        .iter()
        .map(|payload| {
            let data = String::from_utf8(payload.clone()).unwrap();
            format!("{{\"specversion\":\"1.0\",\"id\":\"x\",\"anabranchoffset\":3,\"data\":{data}}}").into_bytes()
        })
        .collect();
    let verdict = of_lines(&question, &joined(&wrapped));
    assert!(verdict.is_clean() && verdict.rows == 1_000, "{verdict}");
}

/// What a bad keeper leaves of 10,000 events.
fn kept_badly(faults: &[&str]) -> (Verdict, u64) {
    let (kept, payloads) = run(10_000);
    let faults: Vec<Fault> = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let mut keeper = Keeper::new(Vec::new(), &faults);
    let mut out = Vec::new();
    for payload in &payloads {
        keeper.take(payload);
    }
    let made = keeper.finish().unwrap();
    out.extend_from_slice(keeper.written());
    (of_lines(&question(kept, None), &out), made)
}

#[test]
fn a_bad_keeper_is_caught_in_each_way() {
    let (verdict, made) = kept_badly(&["drop:1000"]);
    assert_eq!((made, verdict.lost, verdict.rows), (10, 10, 9_990));
    assert_eq!(verdict.findings.len(), 10);
    let (verdict, made) = kept_badly(&["duplicate:2000"]);
    assert_eq!((made, verdict.duplicates, verdict.lost), (5, 5, 0));
    let (verdict, made) = kept_badly(&["swap:3000"]);
    assert_eq!((made, verdict.inversions, verdict.lost), (3, 3, 0));
    let (verdict, made) = kept_badly(&["flip:2500"]);
    assert_eq!((made, verdict.corrupted, verdict.lost), (4, 4, 4), "what is corrupted is also missing");
    assert!(verdict.corruptions[0].contains("not those that were sent"), "{verdict}");
    let (verdict, made) = kept_badly(&["drop:4999", "duplicate:3001", "flip:2003", "swap:1777"]);
    let found = verdict.lost - verdict.corrupted + verdict.duplicates + verdict.inversions + verdict.corrupted;
    assert_eq!(found, made, "{verdict}");
    assert!(!verdict.is_clean());
}

#[test]
fn a_filtered_place_holds_what_the_seed_says() {
    let (kept, payloads) = run(5_000);
    let hot: Vec<Vec<u8>> = payloads
        .iter()
        .filter(|payload| {
            let event: serde_json::Value = serde_json::from_slice(payload).unwrap();
            event["temp"].as_f64().unwrap() > 25.0 && event["door"] == false
        })
        .cloned()
        .collect();
    let question = question(kept, Some("temp > 25 and door = false"));
    let verdict = of_lines(&question, &joined(&hot));
    assert!(verdict.is_clean() && verdict.expected == hot.len() as u64 && !hot.is_empty(), "{verdict}");
    assert_eq!(of_lines(&question, &joined(&payloads)).unwanted, (payloads.len() - hot.len()) as u64);
    assert_eq!(of_lines(&question, &joined(&hot[1..])).lost, 1);
}

#[test]
fn what_is_no_event_is_told_apart() {
    let (kept, payloads) = run(10);
    let question = question(kept, None);
    let mut text = joined(&payloads);
    text.extend_from_slice(
        b"{\"hello\":1}\n\n{\"specversion\":\"1.0\",\"data\":{\"x\":1}}\n{\"specversion\":\"1.0\", oops\n",
    );
    let verdict = of_lines(&question, &text);
    assert_eq!((verdict.strangers, verdict.corrupted, verdict.rows), (2, 1, 10));
    let mut cut = joined(&payloads);
    cut.truncate(cut.len() - 5);
    let verdict = of_lines(&question, &cut);
    assert_eq!((verdict.corrupted, verdict.lost), (1, 1), "the last line was cut off");
}

#[test]
fn without_receipts_what_was_sent_can_be_expected() {
    let (mut kept, payloads) = run(100);
    kept.receipts = false;
    let sent: Vec<u32> = (0..DEVICES).map(|device| kept.ledger.sent_by(device)).collect();
    kept.ledger = Ledger::new(0..DEVICES);
    for (device, sent) in sent.into_iter().enumerate() {
        (0..sent).for_each(|seq| kept.ledger.send(device as u32, seq));
    }
    let mut question = question(kept, None);
    let text = joined(&payloads[3..]);
    let verdict = of_lines(&question, &text);
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!((verdict.unacknowledged_missing, verdict.unacknowledged_there), (3, 97));
    question.expect_sent = true;
    assert_eq!(of_lines(&question, &text).lost, 3);
}

#[test]
fn a_spool_shows_what_arrived_in_its_order() {
    let (kept, payloads) = run(1_000);
    let question = question(kept, None);
    let spool = SharedSpool::new().unwrap();
    for payload in payloads.iter().filter(|payload| !payload.ends_with(b"7\"}")) {
        spool.with(|spool| spool.take(payload, 1_795_213_800_500_000, false));
    }
    spool.with(|spool| spool.take(b"{}", 0, false));
    spool.with(|spool| spool.take(&payloads[0][..50], 0, false));
    let arrived = payloads.iter().filter(|payload| !payload.ends_with(b"7\"}")).count() as u64;
    let mut verifier = question.verifier();
    let latency = spool.with(|spool| {
        assert_eq!(spool.rows(), arrived + 2);
        spool.show(&mut verifier).unwrap();
        spool.latency()
    });
    let verdict = verifier.finish();
    assert_eq!((verdict.rows, verdict.lost, verdict.strangers, verdict.corrupted), (arrived, 1_000 - arrived, 1, 1));
    assert!(latency.count == arrived && latency.p50_us.abs_diff(499_500) < 1_500, "{latency:?}");
}

/// The columns of `payloads` that a sink might have, as a file of Parquet in a folder of its own.
fn parquet_of(payloads: &[Vec<u8>], change: impl Fn(usize, &mut serde_json::Value)) -> tempfile::TempDir {
    use arrow_array::{ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray};
    let mut events: Vec<serde_json::Value> =
        payloads.iter().map(|event| serde_json::from_slice(event).unwrap()).collect();
    events.iter_mut().enumerate().for_each(|(at, event)| change(at, event));
    let text =
        |name: &str| -> ArrayRef { Arc::new(StringArray::from_iter(events.iter().map(|event| event[name].as_str()))) };
    let columns: [(&str, ArrayRef); 6] = [
        ("device_id", text("device_id")),
        ("seq", Arc::new(Int64Array::from_iter(events.iter().map(|event| event["seq"].as_i64())))),
        ("temp", Arc::new(Float64Array::from_iter(events.iter().map(|event| event["temp"].as_f64())))),
        ("status", text("status")),
        ("door", Arc::new(BooleanArray::from_iter(events.iter().map(|event| event["door"].as_bool())))),
        // Holds no decimal exactly, and so says nothing.
        (
            "humidity",
            Arc::new(Float32Array::from_iter(events.iter().map(|event| event["humidity"].as_f64().map(|n| n as f32)))),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("rows.parquet")).unwrap();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    folder
}

#[test]
fn every_column_of_parquet_is_held_against_the_event() {
    let (kept, payloads) = run(500);
    let question = question(kept, None);
    let judged = |folder: &tempfile::TempDir| {
        let mut verifier = question.verifier();
        parquet(&question, &mut verifier, folder.path(), &mut |_| {}).unwrap();
        verifier.finish()
    };
    let right = judged(&parquet_of(&payloads, |_, _| {}));
    assert!(right.is_clean() && right.rows == 500, "{right}");
    let wrong = judged(&parquet_of(&payloads, |at, event| match at {
        7 => event["temp"] = 99.5.into(),
        8 => event["status"] = "fine".into(),
        9 => event["door"] = serde_json::Value::Null,
        _ => {}
    }));
    assert_eq!((wrong.corrupted, wrong.lost, wrong.rows), (3, 0, 500), "{wrong}");
    assert!(wrong.corruptions[0].contains("column `temp`"), "{wrong}");
    let empty = tempfile::tempdir().unwrap();
    let error = parquet(&question, &mut question.verifier(), empty.path(), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("there is no *.parquet"), "{error}");
}

/// Columns of a sink that knows decimals, has a column for each kind of a field's values, and keeps the rest as JSON.
#[test]
fn decimals_kinds_and_what_has_no_column_are_held_against_the_event_too() {
    use arrow_array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray};
    let (kept, payloads) = run(300);
    let question = question(kept, None);
    let events: Vec<serde_json::Value> = payloads.iter().map(|event| serde_json::from_slice(event).unwrap()).collect();
    let judged = |wrong: &str| {
        let text = |name: &str| -> ArrayRef {
            Arc::new(StringArray::from_iter(events.iter().map(|event| event[name].as_str())))
        };
        let temp = events.iter().enumerate().map(|(at, event)| {
            let scaled = (event["temp"].as_f64()? * 10_000.0).round() as i128;
            (at % 2 == 0).then_some(scaled + i128::from(wrong == "temp" && at == 8))
        });
        let temp = Decimal128Array::from_iter(temp).with_precision_and_scale(38, 4).unwrap();
        let temp_text = events
            .iter()
            .enumerate()
            .map(|(at, event)| (wrong == "kind" && at % 2 == 1).then(|| event["temp"].to_string()));
        let rest = events.iter().enumerate().map(|(at, event)| {
            let mut rest = event.as_object().unwrap().clone();
            let has_column = |name: &str| match name {
                "device_id" | "seq" | "ts" | "status" => true,
                "temp" => at % 2 == 0,
                "humidity" => wrong == "rest" && at == 8,
                _ => false,
            };
            rest.retain(|name, _| !has_column(name));
            Some(serde_json::Value::Object(rest).to_string())
        });
        let columns: [(&str, ArrayRef); 6] = [
            ("device_id", text("device_id")),
            ("seq", Arc::new(Int64Array::from_iter(events.iter().map(|event| event["seq"].as_i64())))),
            ("status:string", text("status")),
            ("temp", Arc::new(temp)),
            // Text where there was a number: said, and wrong.
            ("temp:string", Arc::new(StringArray::from_iter(temp_text))),
            ("_rest", Arc::new(StringArray::from_iter(rest))),
        ];
        let folder = tempfile::tempdir().unwrap();
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let file = std::fs::File::create(folder.path().join("rows.parquet")).unwrap();
        let mut writer = ::parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let mut verifier = question.verifier();
        parquet(&question, &mut verifier, folder.path(), &mut |_| {}).unwrap();
        verifier.finish()
    };
    let right = judged("nothing");
    assert!(right.is_clean() && right.rows == 300, "{right}");
    assert_eq!(judged("temp").corrupted, 1);
    assert_eq!(judged("rest").corrupted, 1);
    assert_eq!(judged("kind").corrupted, 150);
}

/// The events by site and in turn over two folders, as a lake that is laid out by folders has them.
fn lake_of(payloads: &[Vec<u8>], change: impl Fn(usize, &mut serde_json::Value)) -> tempfile::TempDir {
    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    let folder = tempfile::tempdir().unwrap();
    let mut events: Vec<serde_json::Value> =
        payloads.iter().map(|event| serde_json::from_slice(event).unwrap()).collect();
    events.iter_mut().enumerate().for_each(|(at, event)| change(at, event));
    let mut sites: std::collections::BTreeMap<String, Vec<usize>> = std::collections::BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        sites.entry(format!("hour={:02}/site={}", at % 2, event["site"].as_str().unwrap())).or_default().push(at);
    }
    for (name, members) in sites {
        let whole = |of: &dyn Fn(usize) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(members.iter().map(|at| of(*at))))
        };
        let ids = members.iter().map(|at| events[*at]["device_id"].as_str().unwrap());
        let columns: [(&str, ArrayRef); 4] = [
            ("_partition", whole(&|_| 3)),
            ("_offset", whole(&|at| at as i64)),
            ("device_id", Arc::new(StringArray::from_iter_values(ids))),
            ("seq", whole(&|at| events[at]["seq"].as_i64().unwrap())),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let within = folder.path().join(&name);
        std::fs::create_dir_all(&within).unwrap();
        let file = std::fs::File::create(within.join("rows.parquet")).unwrap();
        let mut writer = ::parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
    folder
}

#[test]
fn folders_that_say_values_are_columns_and_do_not_disturb_the_order() {
    let (kept, payloads) = run(500);
    let question = question(kept, None);
    let judged = |folder: &tempfile::TempDir| {
        let mut verifier = question.verifier();
        parquet(&question, &mut verifier, folder.path(), &mut |_| {}).unwrap();
        verifier.finish()
    };
    let right = judged(&lake_of(&payloads, |_, _| {}));
    assert!(right.is_clean() && right.rows == 500, "{right}");
    let wrong = judged(&lake_of(&payloads, |at, event| {
        if at == 7 {
            event["site"] = "site-elsewhere".into();
        }
    }));
    assert_eq!((wrong.corrupted, wrong.lost, wrong.inversions), (1, 0, 0), "{wrong}");
    assert!(wrong.corruptions[0].contains("the folder's `site`"), "{wrong}");
}

#[test]
fn what_a_carrier_repeats_is_legal_and_what_it_does_not_mark_is_not() {
    let (kept, payloads) = run(100);
    let question = question(kept, None);
    let judged = |again: [bool; 2]| {
        let spool = SharedSpool::new().unwrap();
        payloads.iter().for_each(|payload| spool.with(|spool| spool.take(payload, 0, false)));
        again.iter().for_each(|&again| spool.with(|spool| spool.take(&payloads[7], 0, again)));
        let mut verifier = question.verifier();
        spool.with(|spool| spool.show(&mut verifier)).unwrap();
        verifier.finish()
    };
    let marked = judged([true, true]);
    assert!(marked.is_clean() && marked.repeats_legal == 2, "{marked}");
    assert_eq!(judged([true, false]).duplicates, 1);
    let spool = SharedSpool::new().unwrap();
    payloads.iter().for_each(|payload| spool.with(|spool| spool.take(payload, 0, true)));
    let mut verifier = question.verifier();
    spool.with(|spool| spool.show(&mut verifier)).unwrap();
    assert!(verifier.finish().is_clean(), "marked, and there once");
}

#[test]
fn a_hundred_thousand_devices_cost_a_few_megabytes() {
    let mut ledger = Ledger::new(0..100_000);
    for device in 0..100_000 {
        (0..100).for_each(|seq| ledger.send(device, seq));
    }
    let kept = LedgerFile { model: Arc::clone(&Model::telemetry()), seed: 1, receipts: false, ledger };
    let question = Question { kept, filter: None, expect_sent: true };
    let verifier = question.verifier();
    assert!(verifier.memory_bytes() < 5_000_000, "{} bytes for 10 million events", verifier.memory_bytes());
}
