//! The matcher against the interpreter: random tables of all dialects on random events, and tables that change.

use oracle::generate;
use oracle::routing::{RoutingRunner, table};

#[test]
fn random_tables_route_as_the_interpreter_does() {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut runner = RoutingRunner::default();
    for round in 0..60 {
        let endpoints = rng.u16(1..12);
        let count = rng.usize(1..80);
        let routes = generate::routes(&mut rng, count, endpoints);
        let fallback = rng.bool().then_some(0);
        let table = table(round, &routes, fallback, usize::from(endpoints));
        for _ in 0..3 {
            let events = rng.usize(1..200);
            let batch = generate::batch(&mut rng, events);
            runner.check(&table, &routes, &batch).unwrap();
        }
    }
    assert!(runner.routed > 10_000, "{}", runner.routed);
}

/// Each route alone: nothing hides behind another route to the same endpoint.
#[test]
fn random_filters_alone_match_as_the_interpreter_does() {
    let mut rng = fastrand::Rng::with_seed(4);
    let mut runner = RoutingRunner::default();
    let batches = [generate::batch(&mut rng, 130), generate::batch(&mut rng, 64), generate::batch(&mut rng, 1)];
    for round in 0..1500 {
        let routes = generate::routes(&mut rng, 1, 1);
        let table = table(round, &routes, None, 1);
        for batch in &batches {
            runner.check(&table, &routes, batch).unwrap();
        }
    }
}

#[test]
fn a_table_that_changes_routes_as_one_that_was_built() {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut runner = RoutingRunner::default();
    let mut routes = generate::routes(&mut rng, 200, 6);
    let mut changing = table(1, &routes, None, 6);
    for version in 2..40 {
        let mut added = generate::routes(&mut rng, 9, 6);
        for (at, route) in added.iter_mut().enumerate() {
            // Some replace what is there.
            route.name = format!("r{}", rng.usize(0..300) * 9 + at);
        }
        let removed: Vec<String> = (0..4).map(|_| format!("r{}", rng.usize(0..400))).collect();
        routes.retain(|route| !removed.contains(&route.name) && !added.iter().any(|other| other.name == route.name));
        routes.extend(added.iter().cloned());
        let removed: Vec<&str> = removed.iter().map(String::as_str).collect();
        changing = changing.change(version, added, &removed).expect("a table");
        let batch = generate::batch(&mut rng, 40);
        runner.check(&changing, &routes, &batch).unwrap();
        assert_eq!(changing.len(), routes.len());
    }
}
