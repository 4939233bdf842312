//! What the generators promise.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

const ALL: [Workload; 11] = [
    Workload::Telemetry,
    Workload::Spaced,
    Workload::Escaped,
    Workload::Arrays,
    Workload::NonAscii,
    Workload::Kilobyte,
    Workload::Shapes(8),
    Workload::Shapes(64),
    Workload::Shapes(512),
    Workload::AllUnseen,
    Workload::Hostile,
];

fn made(workload: Workload) -> Events {
    generate(workload, 1000, Amount::Events(2000)).unwrap()
}

fn parsed(events: &Events) -> Vec<Option<Value>> {
    events.batches.iter().flat_map(payloads).map(|payload| serde_json::from_slice(payload).ok()).collect()
}

#[test]
fn all_but_the_hostile_are_valid_and_have_what_is_wanted() {
    for workload in ALL.into_iter().filter(|workload| *workload != Workload::Hostile) {
        let events = made(workload);
        let values = parsed(&events);
        assert_eq!(values.len(), 2000);
        for (value, fact) in values.iter().zip(&events.facts) {
            let value = value.as_ref().unwrap_or_else(|| panic!("{workload:?}"));
            assert!(WANTED.iter().all(|name| value.get(name).is_some()), "{workload:?}: {value}");
            assert_eq!(value["device_id"], device_name(fact.device));
            assert_eq!(value["temp"].as_f64(), Some(f64::from(fact.temp_centi) / 100.0));
        }
    }
}

#[test]
fn sizes_are_as_named() {
    let mean = |workload| made(workload).bytes_per_event();
    assert!((mean(Workload::Telemetry) - 247.0).abs() < 3.0, "{}", mean(Workload::Telemetry));
    assert!((mean(Workload::Kilobyte) - 1024.0).abs() < 80.0, "{}", mean(Workload::Kilobyte));
    assert!((mean(Workload::Shapes(512)) - 247.0).abs() < 12.0, "{}", mean(Workload::Shapes(512)));
}

#[test]
fn telemetry_has_15_leaves_and_one_nested_object() {
    let value = parsed(&made(Workload::Telemetry))[0].clone().unwrap();
    let members: Vec<&Value> = value.as_object().unwrap().values().collect();
    let nested: Vec<usize> = members.iter().filter_map(|member| member.as_object().map(serde_json::Map::len)).collect();
    assert_eq!((members.len() - nested.len() + nested.iter().sum::<usize>(), nested), (15, vec![2]));
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for workload in ALL {
        assert!(made(workload).batches == made(workload).batches, "{workload:?}");
    }
}

#[test]
fn shapes_are_as_many_as_asked_for() {
    let shapes = |workload| {
        let keys = |value: Option<Value>| {
            value
                .and_then(|value| Some(value.as_object()?.keys().cloned().collect::<Vec<_>>().join(",")))
                .unwrap_or_default()
        };
        parsed(&made(workload)).into_iter().map(keys).collect::<BTreeSet<_>>().len()
    };
    assert_eq!(shapes(Workload::Telemetry), 1);
    assert_eq!(shapes(Workload::Shapes(8)), 8);
    assert!(shapes(Workload::Shapes(512)) > 450);
    assert_eq!(shapes(Workload::AllUnseen), 2000);
}

#[test]
fn hostile_events_are_some_valid_some_not() {
    let values = parsed(&made(Workload::Hostile));
    let broken = values.iter().filter(|value| value.is_none()).count();
    assert!((80..240).contains(&broken), "{broken} of 2000");
}
