//! The parts of the suite agree with each other on small sets.

use super::*;

fn events(devices: u32) -> Events {
    generate(Workload::Telemetry, devices, Amount::Events(300)).expect("events")
}

fn total(ours: &mut Ours, events: &Events) -> u64 {
    events.batches.iter().map(|batch| ours.run(batch, &mut Checksum::default())).sum()
}

#[test]
fn ours_quamina_and_the_generator_count_the_same() {
    for kind in [PerDevice::Equality, PerDevice::EqualityAndRange] {
        let events = events(50);
        let known: u64 = expected(kind, 50, &events).iter().sum();
        let mut ours = Ours::build(&kind.routes(50)).expect("builds");
        let quamina = Quamina::build(kind, 50, PATIENCE).expect("builds");
        let of_quamina: u64 = events.batches.iter().map(|batch| quamina.run(batch).expect("matches")).sum();
        assert_eq!((total(&mut ours, &events), of_quamina), (known, known), "{kind:?}");
        assert!(known > 60, "{known}");
    }
}

#[test]
fn the_mixed_set_has_matches_of_the_naive_matcher() {
    let events = events(300);
    let routes = routes::mixed(300, 300);
    let mut ours = Ours::build(&routes).expect("builds");
    sample(&mut ours, &routes, &events).expect("equal");
    assert!(total(&mut ours, &events) > 100);
}

#[test]
fn a_route_that_is_added_matches_and_one_that_is_removed_does_not() {
    let events = events(1);
    let mut ours = Ours::build(&[]).expect("builds");
    assert_eq!(total(&mut ours, &events), 0);
    ours.add(&PerDevice::Equality.route(0)).expect("adds");
    assert_eq!(total(&mut ours, &events), 300);
    ours.remove_last().expect("removes");
    assert_eq!(total(&mut ours, &events), 0);
}
