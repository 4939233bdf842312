//! Any JSON objects, whatever the columns: columns and rest together say what the events said.

use std::collections::BTreeMap;

use engine::event::Event;
use engine::parse::{Kind, Parser, Value};
use proptest::prelude::*;

use super::*;
use crate::parquet::Learner;
use crate::parquet::table::{Body, Table};

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (-100i64..100).prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_filter("JSON has no NaN", |number| number.is_finite()).prop_map(Json::from),
        ".{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from), object(inner).prop_map(Json::from)]
    })
}

/// Few names, so that events share them; none with a dot, which would read as a path.
fn object(value: impl Strategy<Value = Json>) -> impl Strategy<Value = Row> {
    prop::collection::btree_map("[a-d]|_x|é", value, 0..5).prop_map(|members| members.into_iter().collect())
}

/// As serde_json, but with every double to its last bit.
fn read(value: Value<'_>) -> Json {
    match value.kind() {
        Kind::Null => Json::Null,
        Kind::Bool(truth) => truth.into(),
        Kind::Int(number) => number.into(),
        Kind::Uint(number) => number.into(),
        Kind::Float(number) => number.into(),
        Kind::String(text) => text.into(),
        Kind::Array(_) => value.elements().map(read).collect(),
        Kind::Object(_) => Json::Object(value.members().map(|(name, value)| (name.to_owned(), read(value))).collect()),
    }
}

/// Leaves under their names with dots; nulls are left out. What is behind a colon says the kind of a column's values.
fn flatten(value: &Json, name: &str, out: &mut BTreeMap<String, Json>) {
    match value {
        Json::Object(members) if !members.is_empty() => {
            for (inner, value) in members {
                let dot = if name.is_empty() { "" } else { "." };
                flatten(value, &format!("{name}{dot}{}", inner.split(':').next().unwrap_or_default()), out);
            }
        }
        Json::Null => {}
        _ => {
            out.insert(name.to_owned(), plain(value));
        }
    }
}

/// A double and a whole number of the same value are one number.
fn plain(value: &Json) -> Json {
    match value {
        Json::Array(elements) => elements.iter().map(plain).collect(),
        Json::Number(number) => {
            let is_whole = |double: &f64| double.abs() <= (1u64 << 53) as f64 && double.fract() == 0.0;
            let whole = number.as_f64().filter(|double| number.as_i64().is_none() && is_whole(double));
            whole.map_or_else(|| value.clone(), |double| Json::from(double as i64))
        }
        _ => value.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn columns_and_rest_together_are_the_event(events in prop::collection::vec(object(json()), 1..12), learnt_from in 0usize..12) {
        let texts: Vec<String> = events.iter().map(|event| Json::Object(event.clone()).to_string()).collect();
        let (mut parser, mut learner) = (Parser::default(), Learner::default());
        for text in texts.iter().take(learnt_from) {
            learner.see(parser.parse(text.as_bytes()).expect("JSON").root());
        }
        let mut table = Table::new(&learner.finish(), false);
        for text in &texts {
            let delivery = delivery(0, 0, &[text]);
            let document = parser.parse(text.as_bytes()).expect("JSON");
            let body = Body { root: document.root(), text: text.as_bytes() };
            table.push(&Event::new(&delivery.batch, 0), &[], Some(body)).expect("a row");
        }
        for (event, mut row) in events.iter().zip(to_rows(&table.take())) {
            let rest = row.remove("_rest").map(|text| {
                let text = text.as_str().expect("text").to_owned();
                match read(parser.parse(text.as_bytes()).expect("JSON").root()) {
                    Json::Object(members) => members,
                    other => panic!("{other} is no object"),
                }
            });
            let (mut expected, mut found) = (BTreeMap::new(), BTreeMap::new());
            if !event.is_empty() {
                flatten(&Json::Object(event.clone()), "", &mut expected);
            }
            for part in [Some(row), rest].into_iter().flatten() {
                for (name, value) in &part {
                    let name = name.split(':').next().expect("a name");
                    prop_assert!(!found.contains_key(name), "{name} is in a column and in the rest");
                    flatten(value, name, &mut found);
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
