//! Hot paths allocate nothing per event: counted by an allocator that counts, in a binary of its own.
//!
//! What may allocate is the batch: its bytes and its row index grow a few times while they are filled.

mod mqtt;
mod parquet;
mod quic;

use std::sync::Arc;

use connectors::intake::Intake;
use connectors::parquet::{Body, Cells, ColumnConfig, Learner, Nested, OnMismatch, Piece, Schema, Table};
use engine::batch::{Batch, BatchBuilder, HeaderWriter};
use engine::event::{Event, put_attribute, put_property};
use engine::filter::{CompileOptions, Dialect, Filter};
use engine::mesh::AckLevel;
use engine::parse::Parser;
use engine::ring::{Bell, ring};
use engine::route::{Matcher, Route, RouteTable, Source};

const EVENTS: usize = 10_000;

fn bodies() -> Vec<String> {
    (0..EVENTS)
        .map(|n| {
            let temp = n % 60;
            format!("{{\"device_id\":\"dev-{:05}\",\"temp\":{temp}.5,\"status\":\"ok\",\"loc\":{{\"lat\":50.{n}}},\"n\":{n}}}", n % 500)
        })
        .collect()
}

/// Two shapes, and now and then one that has to be walked.
fn varied_bodies() -> Vec<String> {
    (0..EVENTS)
        .map(|n| {
            let temp = n % 60;
            let (more, status) = match n % 16 {
                0 => ("\"more\":[1,2],", "o\\u006b"),
                1 => ("\"more\":null,", "ok"),
                _ => ("", "ok"),
            };
            format!(
                "{{{more}\"device_id\":\"dev-{:05}\",\"temp\":{temp}.5,\"status\":\"{status}\",\"loc\":{{\"lat\":50.{n}}},\"n\":{n}}}",
                n % 500
            )
        })
        .collect()
}

fn batches(bodies: &[String]) -> Vec<Batch> {
    let mut builder = BatchBuilder::new(0);
    let mut batches = Vec::new();
    let mut headers = HeaderWriter::default();
    put_property(&mut headers, "level", Some(b"high"));
    put_attribute(&mut headers, "subject", "plant/7/temp");
    for body in bodies {
        if builder.is_full() {
            batches.extend(builder.seal());
        }
        builder.push(Some(b"dev"), body.as_bytes(), &headers, 0).expect("fits");
    }
    batches.extend(builder.seal());
    batches
}

fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn matching_allocates_nothing() {
    // Every way to a route: equality of one and of several, lists, ranges, beginnings, ends, words, topics, scans.
    let filters = [
        (Dialect::Anabranch, "temp > 30"),
        (Dialect::Anabranch, "status = 'ok' AND temp < 10"),
        (Dialect::Anabranch, "device_id = 'dev-0001' AND status = 'ok' AND n = 3"),
        (Dialect::Anabranch, "device_id LIKE 'dev-00%'"),
        (Dialect::Anabranch, "ends_with(device_id, '7') OR contains(device_id, '-01')"),
        (Dialect::Anabranch, "loc.lat BETWEEN 50 AND 51"),
        (Dialect::Anabranch, "n IN (1, 2, 3) AND NOT (status = 'ok')"),
        (Dialect::Anabranch, "temp * 2 - n > 40 AND status != 'ok'"),
        (Dialect::Anabranch, "length(device_id) > 3 AND $property.level IS NULL"),
        (Dialect::IotHub, "$body.temp > 20 AND level = 'high'"),
        (Dialect::EventGrid, r#"[{"operatorType":"StringIn","key":"data.status","values":["OK"]}]"#),
        (Dialect::Mqtt, "plant/+/temp"),
    ];
    let route = |(n, (dialect, text)): (usize, &(Dialect, &str))| Route {
        name: format!("r{n}"),
        source: Source::DeviceMessages,
        filter: Filter::compile(text, *dialect, &CompileOptions::default()).expect("valid").0,
        endpoint: (n % 2) as u16,
        enabled: true,
        every_source: false,
    };
    let routes: Vec<Route> = filters.iter().enumerate().map(route).collect();
    let table = RouteTable::new(1, &routes, None, vec![Arc::new([]), Arc::new([])]).expect("valid");
    let batches = batches(&varied_bodies());
    let mut matcher = Matcher::default();
    let mut run = || batches.iter().map(|batch| matcher.run(&table, batch, None)).count();
    run();
    let counted = allocations(|| {
        run();
    });
    assert_eq!(counted, 0, "for {EVENTS} events");
}

#[test]
fn taking_events_in_allocates_by_the_batch() {
    let bodies = bodies();
    let (bell, shard_bell) = (Bell::default(), Bell::default());
    let (to, _from) = ring(64, &shard_bell);
    let (_back, acks) = ring(64, &bell);
    let intake = Intake::new(0, 4, vec![to], vec![acks], bell);
    let (mut parser, headers) = (Parser::default(), HeaderWriter::default());
    parser.parse(bodies[0].as_bytes()).expect("JSON");
    let mut submission = intake.submission(AckLevel::Synced);
    let mut take = |bodies: &[String]| {
        for body in bodies {
            let document = parser.parse(body.as_bytes()).expect("JSON");
            let key = document.root().get("device_id").and_then(|key| key.as_str()).map(str::as_bytes);
            submission.push(key, body.as_bytes(), &headers, 0).expect("fits");
        }
    };
    take(&bodies[..1000]);
    let counted = allocations(|| take(&bodies[1000..]));
    // Growing bytes and rows doubles them: about twenty allocations a batch of six hundred events.
    let batches = EVENTS as u64 * 100 / 64_000 + 4;
    assert!(counted < 25 * batches, "{counted} allocations for {EVENTS} events in about {batches} batches");
}

#[test]
fn filling_columns_allocates_by_their_growth_only() {
    let bodies = bodies();
    let batches = batches(&bodies);
    let (mut parser, mut learner) = (Parser::default(), Learner::default());
    learner.see(parser.parse(bodies[0].as_bytes()).expect("JSON").root());
    let schema = learner.finish();
    let mut table = Table::new(&schema, true);
    let counted = allocations(|| {
        for batch in &batches {
            for row in 0..batch.rows().len() {
                let event = Event::new(batch, row);
                let text = event.data().expect("data");
                let document = parser.parse(text).expect("JSON");
                table.push(&event, &[], Some(Body { root: document.root(), text })).expect("a row");
            }
        }
    });
    assert_eq!(table.rows(), EVENTS);
    assert!(counted < 1000, "{counted} allocations for {EVENTS} events");
}

/// Two shapes, and rows that are not plain among them.
#[test]
fn rows_by_the_column_allocate_nothing_once_the_columns_have_their_size() {
    let batches = batches(&bodies());
    let (mut parser, mut learner) = (Parser::default(), Learner::default());
    learner.see(parser.parse(bodies()[0].as_bytes()).expect("JSON").root());
    let mut table = Table::new(&learner.finish(), true);
    let mut cells = Cells::default();
    let mut run = || {
        let mut plain = 0;
        for batch in &batches {
            let pieces = [Piece::from(batch)];
            cells.read(table.plan(), &pieces, (0..batch.rows().len()).map(|row| (0, row)));
            let mut at = 0;
            while at < cells.len() {
                if cells.is_plain(at) {
                    let pushed = table.push_cells(&cells, at, usize::MAX, &pieces).expect("no column refuses");
                    (at, plain) = (at + pushed, plain + pushed);
                } else {
                    at += 1;
                }
            }
        }
        table.take();
        plain
    };
    let plain = run();
    assert!(plain > EVENTS * 9 / 10, "{plain} of {EVENTS}");
    // Arrays are made by the table, not by the event: some for each of its columns.
    let counted = allocations(|| {
        run();
    });
    assert!(counted < 200, "{counted} allocations for {EVENTS} events");
}

/// Every type, values that do not fit, and members without a column that a learner wants to know of.
#[test]
fn columns_of_all_types_and_the_rest_allocate_by_their_growth_only() {
    let bodies: Vec<String> = (0..EVENTS)
        .map(|n| {
            format!(
                "{{\"price\":{n}.25,\"at\":\"2026-11-21T10:00:00.{:03}Z\",\"list\":[{n},null,1.5],\"day\":\"2026-11-21\",\"raw\":{{\"k\":[1]}},\
                 \"late\":{{\"x\":{n},\"y\":[true]}},\"temp\":\"n/a\",\"more\":{n}.125,\"bytes\":\"aGVsbG8=\"}}",
                n % 1000
            )
        })
        .collect();
    let columns: Vec<ColumnConfig> = [
        ("price", "decimal(12,2)"),
        ("at", "timestamp_us"),
        ("list", "list<float64>"),
        ("day", "date"),
        ("raw", "json"),
        ("bytes", "binary"),
        ("none", "int32"),
    ]
    .map(|(name, r#type)| ColumnConfig::new(name, r#type.parse().expect("a type")))
    .into();
    let mut schema = Schema::configured(&columns, Nested::Struct, OnMismatch::Null);
    let mut learner = Learner::default();
    let mut parser = Parser::default();
    learner.see(parser.parse(b"{\"temp\":1}").expect("JSON").root());
    learner.evolve(&mut schema);
    let mut table = Table::new(&schema, true).observing();
    let batches = batches(&bodies);
    let mut fill = |table: &mut Table| {
        for batch in &batches {
            for row in 0..batch.rows().len() {
                let event = Event::new(batch, row);
                let text = event.data().expect("data");
                let document = parser.parse(text).expect("JSON");
                table.push(&event, &[], Some(Body { root: document.root(), text })).expect("a row");
            }
        }
    };
    fill(&mut table);
    assert_eq!(table.take().num_rows(), EVENTS);
    let counted = allocations(|| fill(&mut table));
    assert_eq!(table.rows(), EVENTS);
    assert!(counted < 200, "{counted} allocations for {EVENTS} events");
    let mut learner = Learner::default();
    table.teach(&mut learner);
    let learnt = learner.evolve(&mut schema);
    assert_eq!(learnt.change.added, ["late.x", "late.y", "temp:string", "more"]);
}
