//! Rows made by the column against rows made one by one: the same tables, the same refusals, the same notes for a learner.

use engine::event::{Event, put_property};
use engine::parse::Parser;
use proptest::prelude::*;

use super::oracle::{J, columns, json, number, object, text};
use super::*;
use crate::parquet::{
    Body, Cells, ColumnConfig, ColumnType, Learner, Nested, OnMismatch, Piece, Refused, Schema, Table,
};

/// What became of some events.
#[derive(Debug, PartialEq)]
struct Made {
    rows: RecordBatch,
    refused: Vec<(usize, Refused)>,
    mismatches: u64,
}

/// One event after the other.
fn one_by_one(schema: &Schema, delivery: &Delivery) -> Made {
    let (mut table, mut parser) = (Table::new(schema, true).observing(), Parser::default());
    let mut refused = Vec::new();
    for (at, event) in delivery.events().enumerate() {
        push(&mut table, &mut parser, &event, at, &mut refused);
    }
    Made { rows: table.take(), refused, mismatches: table.mismatches() }
}

fn push(table: &mut Table, parser: &mut Parser, event: &Event<'_>, at: usize, refused: &mut Vec<(usize, Refused)>) {
    let text = event.data().unwrap_or_default();
    let document = parser.parse(text).ok();
    let body = document.as_ref().map(|document| Body { root: document.root(), text });
    if let Err(why) = table.push(event, &[], body) {
        refused.push((at, why));
    }
}

/// By the column where that is possible; how many rows were. They are read in lots of growing size, by one reader, of which two thirds are
/// gathered from several pieces.
fn by_column(cells: &mut Cells, schema: &Schema, delivery: &Delivery) -> (Made, usize) {
    let (mut table, mut parser) = (Table::new(schema, true).observing(), Parser::default());
    let (mut refused, mut plain) = (Vec::new(), 0);
    let all: Vec<usize> = delivery.row_indexes().collect();
    let (mut first, mut size) = (0, 1);
    while first < all.len() {
        let some = &all[first..all.len().min(first + size)];
        let pieces = vec![Piece::from(delivery); 1 + first % 3];
        cells.read(table.plan(), &pieces, some.iter().map(|row| (row % pieces.len(), *row)));
        let mut at = 0;
        while at < cells.len() {
            if !cells.is_plain(at) {
                let event = cells.event(at, &pieces);
                push(&mut table, &mut parser, &event, first + at, &mut refused);
                at += 1;
                continue;
            }
            match table.push_cells(cells, at, 7, &pieces) {
                Ok(len) => {
                    plain += len;
                    at += len;
                }
                Err(why) => {
                    refused.push((first + at, why));
                    at += 1;
                }
            }
        }
        first += some.len();
        size += 3;
    }
    (Made { rows: table.take(), refused, mismatches: table.mismatches() }, plain)
}

fn delivery_with_sites<T: AsRef<[u8]>>(events: &[(T, Option<String>)]) -> Delivery {
    let events: Vec<_> = events
        .iter()
        .map(|(text, site)| {
            let mut headers = HeaderWriter::default();
            if let Some(site) = site {
                put_property(&mut headers, "site", Some(site.as_bytes()));
            }
            (b"k".as_slice(), text.as_ref(), headers)
        })
        .collect();
    delivery_of(3, 1000, &events, &[])
}

/// A value that the column takes, most often.
fn fitting(r#type: &ColumnType) -> BoxedStrategy<J> {
    let number = || number().prop_map(J::Number);
    let small = || (-2000i64..2000).prop_map(|n| J::Number(n.to_string()));
    let text = || text().prop_map(J::Text);
    match r#type {
        ColumnType::Bool => any::<bool>().prop_map(J::Bool).boxed(),
        ColumnType::Int32 | ColumnType::Int64 | ColumnType::Uint64 => prop_oneof![small(), number()].boxed(),
        ColumnType::Float32 | ColumnType::Float64 => {
            prop_oneof![small(), number(), "-?[1-9][0-9]{0,3}\\.[0-9]{1,4}".prop_map(J::Number)].boxed()
        }
        ColumnType::String => text().boxed(),
        ColumnType::Timestamp(_) | ColumnType::Decimal(..) => prop_oneof![small(), number(), text()].boxed(),
        ColumnType::List(item) => {
            let element = prop_oneof![9 => fitting(item), 1 => Just(J::Null)];
            prop::collection::vec(element, 0..5).prop_map(J::Array).boxed()
        }
        _ => prop_oneof![text(), small(), json()].boxed(),
    }
}

/// A member at a path, as far as what is there already allows.
fn put(members: &mut Vec<(String, J)>, path: &str, value: J) {
    let Some((outer, inner)) = path.split_once('.') else {
        return if members.iter().all(|(name, _)| name != path) {
            members.push((path.to_owned(), value))
        };
    };
    if members.iter().all(|(name, _)| name != outer) {
        members.push((outer.to_owned(), J::Object(Vec::new())));
    }
    if let Some((_, J::Object(inside))) = members.iter_mut().find(|(name, _)| name == outer) {
        put(inside, inner, value);
    }
}

/// Events of which most have what the columns want, and some anything.
fn events(columns: Vec<ColumnConfig>) -> impl Strategy<Value = Vec<(J, Option<String>)>> {
    let members: Vec<_> = columns
        .iter()
        .filter(|column| column.attribute.is_none())
        .map(|column| {
            let path = column.path().to_owned();
            let value = prop_oneof![12 => fitting(&column.r#type), 1 => Just(J::Null), 1 => json()];
            prop::option::weighted(0.93, value).prop_map(move |value| value.map(|value| (path.clone(), value)))
        })
        .collect();
    let good = members.prop_map(|members| {
        let mut all = Vec::new();
        members.into_iter().flatten().for_each(|(path, value)| put(&mut all, &path, value));
        J::Object(all)
    });
    let event = prop_oneof![9 => good, 1 => object(json()).prop_map(J::Object), 1 => json()];
    prop::collection::vec((event, prop::option::of(text())), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn declared_columns(
        (nested, columns, events) in prop_oneof![Just(Nested::Flatten), Just(Nested::Struct)]
            .prop_flat_map(|nested| (Just(nested), columns(nested)))
            .prop_flat_map(|(nested, columns)| (Just(nested), Just(columns.clone()), events(columns))),
        space in "[ \n\t]{0,2}",
    ) {
        let schema = Schema::configured(&columns, nested, OnMismatch::Null);
        let events: Vec<_> = events.iter().map(|(event, site)| (event.text(&space), site.clone())).collect();
        let delivery = delivery_with_sites(&events);
        let (made, _) = by_column(&mut Cells::default(), &schema, &delivery);
        prop_assert_eq!(made, one_by_one(&schema, &delivery));
    }

    /// Places with several columns among them.
    #[test]
    fn learnt_columns(events in prop::collection::vec(prop::collection::vec(("[a-c]", json()), 0..4).prop_map(J::Object), 1..80)) {
        let (mut learner, mut parser) = (Learner::default(), Parser::default());
        let events: Vec<_> = events.iter().map(|event| (event.text(""), None)).collect();
        for (event, _) in events.iter().take(20) {
            learner.see(parser.parse(event.as_bytes()).expect("JSON").root());
        }
        let schema = learner.finish();
        let delivery = delivery_with_sites(&events);
        let (made, _) = by_column(&mut Cells::default(), &schema, &delivery);
        prop_assert_eq!(made, one_by_one(&schema, &delivery));
    }

    /// What devices send that somebody has damaged: some of it is no JSON, some no text.
    #[test]
    fn damaged_events(
        events in prop::collection::vec(
            (
                prop::collection::vec(("[a-c]", json()), 0..4).prop_map(J::Object),
                prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            ),
            1..40,
        ),
    ) {
        let (mut learner, mut parser) = (Learner::default(), Parser::default());
        let damaged = |(event, damages): &(J, Vec<(prop::sample::Index, u8)>)| {
            let mut bytes = event.text(" ").into_bytes();
            for (place, byte) in damages {
                let at = place.index(bytes.len());
                bytes[at] = *byte;
            }
            (bytes, None)
        };
        for (event, _) in &events {
            learner.see(parser.parse(event.text("").as_bytes()).expect("JSON").root());
        }
        let schema = learner.finish();
        let delivery = delivery_with_sites(&events.iter().map(damaged).collect::<Vec<_>>());
        let (made, _) = by_column(&mut Cells::default(), &schema, &delivery);
        prop_assert_eq!(made, one_by_one(&schema, &delivery));
    }
}

#[test]
fn events_of_a_fleet_are_plain() {
    let event = |at: i64| {
        let lists = format!(r#""acc":[{at}.25,-1,0.5],"seqs":[{at}, null ,2],"flags":[true],"#);
        format!(
            r#"{{"device_id":"dev-{:05}","ts":{},"temp":{:.2},"n":{at},"ok":{},"loc":{{"lat":{}.5,"lon":{at}}},"text":"ä {at}",{lists}"none":null}}"#,
            at % 100,
            1_795_000_000_000 + at,
            at as f64 / 7.0,
            at % 2 == 0,
            at % 90,
        )
    };
    let odd = [
        r#"{"device_id":"x","more":1}"#,
        r#"{"n":1.5}"#,
        r#"{"device_id":"with \" escapes","n":-0}"#,
        "no JSON",
        r#"{"n":01}"#,
        r#"{"n":1,"n":2}"#,
        r#"{"acc":[1,"x"]}"#,
        r#"{"seqs":[1.5]}"#,
        r#"{"flags":[],"acc":[1e3]}"#,
        r#"{"flags":[[true]]}"#,
        "{}",
        r#"{"device_id":"\ud800"}"#,
    ];
    let mut events: Vec<(String, Option<String>)> = (0..250).map(|at| (event(at), None)).collect();
    for (at, odd) in odd.iter().enumerate() {
        events.insert(20 + 20 * at, ((*odd).to_owned(), None));
    }
    let (mut learner, mut parser) = (Learner::default(), Parser::default());
    learner.see(parser.parse(event(1).as_bytes()).expect("JSON").root());
    learner.see(parser.parse(br#"{"none":"some"}"#).expect("JSON").root());
    let schema = learner.finish();
    let delivery = delivery_with_sites(&events);
    let mut cells = Cells::default();
    let (made, plain) = by_column(&mut cells, &schema, &delivery);
    assert_eq!(made, one_by_one(&schema, &delivery));
    // Two of the odd ones are plain: escapes, minus zero, exponents and empty lists are no trouble.
    assert_eq!(plain, 252);
}
