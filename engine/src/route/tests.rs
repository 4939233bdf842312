//! Routing as the sheet has it: several matches, one copy, order irrelevant, enabled, sources, fallback.

use super::*;
use crate::batch::{Batch, BatchBuilder, HeaderWriter};
use crate::event::{MESSAGE_SOURCE, put_property};
use crate::filter::{CompileOptions, Dialect};

fn route(filter: &str, endpoint: EndpointId, enabled: bool, source: Source) -> Route {
    let filter = Filter::compile(filter, Dialect::IotHub, &CompileOptions::default()).expect("valid").0;
    Route { name: format!("r{endpoint}"), source, filter, endpoint, enabled, every_source: false }
}

fn table(routes: Vec<Route>, fallback: Option<EndpointId>) -> RouteTable {
    RouteTable::new(1, &routes, fallback, vec![Arc::new([]), Arc::new([]), Arc::new([])]).expect("valid")
}

fn levels(levels: &[&str]) -> Batch {
    let mut builder = BatchBuilder::new(0);
    for level in levels {
        let mut headers = HeaderWriter::default();
        put_property(&mut headers, "level", Some(level.as_bytes()));
        builder.push(Some(b"d"), b"", &headers, 0).expect("fits");
    }
    builder.seal().expect("rows")
}

fn matched(table: &RouteTable, batch: &Batch, only: Option<EndpointId>) -> Vec<Vec<usize>> {
    let mut matcher = Matcher::default();
    matcher.run(table, batch, only);
    (0..3)
        .map(|endpoint| match matcher.rows(endpoint) {
            None => vec![],
            Some(crate::lane::Rows::All) => (0..batch.rows().len()).collect(),
            Some(crate::lane::Rows::Some(rows)) => rows.iter().map(|row| usize::from(*row)).collect(),
        })
        .collect()
}

/// The sheet's worked examples (1.5): R1 `true` to A, R2 and R3 `level = 'c'` to A and B, the rest to events.
#[test]
fn worked_examples_of_the_sheet() {
    let source = Source::DeviceMessages;
    let routes = |r1: bool| {
        vec![route("true", 0, r1, source), route("level = 'c'", 0, true, source), route("level = 'c'", 1, true, source)]
    };
    let batch = levels(&["c", "x"]);
    assert_eq!(matched(&table(routes(true), Some(2)), &batch, None), [vec![0, 1], vec![0], vec![]]);
    assert_eq!(matched(&table(routes(false), Some(2)), &batch, None), [vec![0], vec![0], vec![1]]);
    assert_eq!(matched(&table(routes(false), None), &batch, None), [vec![0], vec![0], vec![]]);
    let mut matcher = Matcher::default();
    matcher.run(&table(routes(false), None), &batch, None);
    assert_eq!(matcher.orphaned(), 1);
}

#[test]
fn the_order_of_routes_means_nothing() {
    let source = Source::DeviceMessages;
    let make = |order: [usize; 3]| {
        let all = [("true", 0), ("level = 'c'", 1), ("level <> 'c'", 0)];
        table(order.iter().map(|at| route(all[*at].0, all[*at].1, true, source)).collect(), Some(2))
    };
    let batch = levels(&["c", "x", "c"]);
    let expected = matched(&make([0, 1, 2]), &batch, None);
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        assert_eq!(matched(&make(order), &batch, None), expected);
    }
}

#[test]
fn routes_look_at_their_own_source_and_fallback_is_for_telemetry() {
    let routes = vec![
        route("level = 'c'", 0, true, Source::DeviceMessages),
        route("level = 'c'", 1, true, Source::TwinChangeEvents),
        route("level = 'none'", 1, true, Source::DigitalTwinChangeEvents),
    ];
    let table = table(routes, Some(2));
    let mut builder = BatchBuilder::new(0);
    for source in ["Telemetry", "twinChangeEvents", "digitalTwinChangeEvents", "deviceLifecycleEvents"] {
        let mut headers = HeaderWriter::default();
        headers.put(MESSAGE_SOURCE, Some(source.as_bytes()));
        put_property(&mut headers, "level", Some(b"c"));
        builder.push(Some(b"d"), b"", &headers, 0).expect("fits");
    }
    let batch = builder.seal().expect("rows");
    assert_eq!(matched(&table, &batch, None), [vec![0], vec![1, 2], vec![]]);
}

#[test]
fn matching_for_one_endpoint_gives_what_matching_for_all_gives_it() {
    let source = Source::DeviceMessages;
    let routes = vec![route("level = 'c'", 0, true, source), route("level = 'x'", 1, true, source)];
    let table = table(routes, Some(2));
    let batch = levels(&["c", "x", "z", "c"]);
    let all = matched(&table, &batch, None);
    for endpoint in 0..3 {
        assert_eq!(matched(&table, &batch, Some(endpoint))[usize::from(endpoint)], all[usize::from(endpoint)]);
    }
}

#[test]
fn a_table_that_names_what_is_not_there_is_refused() {
    let routes = vec![route("true", 7, true, Source::DeviceMessages)];
    let error = RouteTable::new(1, &routes, None, vec![Arc::new([])]).expect_err("unknown endpoint");
    assert_eq!(error, TableError::UnknownEndpoint { route: "r7".into(), endpoint: 7 });
}

/// Every filter of the corpus as a route of its own: alone in a table, and all of an event in one.
#[test]
fn the_corpus_routes_as_the_interpreter_answers() {
    let mut matcher = Matcher::default();
    crate::filter::tests::each_group(|batch, filters| {
        let routes: Vec<Route> = filters
            .iter()
            .enumerate()
            .map(|(at, (filter, _))| Route {
                name: format!("r{at}"),
                source: Source::DeviceMessages,
                filter: filter.clone(),
                endpoint: at as u16,
                enabled: true,
                every_source: false,
            })
            .collect();
        let enrichments = || routes.iter().map(|_| Arc::from([])).collect::<Vec<Arc<[Enrichment]>>>();
        let together = RouteTable::new(1, &routes, None, enrichments()).expect("valid");
        matcher.run(&together, batch, None);
        for (at, (filter, expected)) in filters.iter().enumerate() {
            assert_eq!(matcher.matched(at as u16) == 1, *expected, "[{}] {}", filter.dialect(), filter.text());
        }
        for (at, (filter, expected)) in filters.iter().enumerate() {
            let alone = RouteTable::new(1, &routes[at..=at], None, enrichments()).expect("valid");
            matcher.run(&alone, batch, None);
            assert_eq!(matcher.matched(at as u16) == 1, *expected, "alone: [{}] {}", filter.dialect(), filter.text());
        }
    });
}

#[test]
fn a_changed_table_is_as_one_built_of_the_same_routes() {
    let source = Source::DeviceMessages;
    let named = |number: usize, filter: &str, endpoint| Route {
        name: format!("n{number}"),
        ..route(filter, endpoint, true, source)
    };
    let first: Vec<Route> = (0..300).map(|at| named(at, &format!("level = 'l{}'", at % 7), (at % 2) as u16)).collect();
    let mut changed = table(first.clone(), Some(2));
    let mut routes = first;
    let batch = levels(&["l0", "l1", "l2", "l3", "x", "new", "l6"]);
    let steps: [(Vec<Route>, Vec<String>); 5] = [
        (vec![named(1000, "level = 'new'", 1), named(1001, "starts_with(level, 'l')", 0)], vec![]),
        (vec![], (0..290).map(|at| format!("n{at}")).collect()),
        (vec![named(1000, "level = 'x'", 1), named(295, "level = 'l0'", 1)], vec!["n1001".to_owned()]),
        ((2000..2400).map(|at| named(at, &format!("level = 'l{}'", at % 3), 0)).collect(), vec!["nobody".to_owned()]),
        (vec![named(2001, "level = 'l6'", 1)], vec!["n2000".to_owned(), "n295".to_owned()]),
    ];
    for (version, (add, remove)) in steps.into_iter().enumerate() {
        routes.retain(|route| !remove.contains(&route.name) && !add.iter().any(|added| added.name == route.name));
        routes.extend(add.iter().cloned());
        let remove: Vec<&str> = remove.iter().map(String::as_str).collect();
        changed = changed.change(version as u64 + 2, add, &remove).expect("valid");
        assert_eq!((changed.len(), changed.enabled()), (routes.len(), routes.len()));
        assert_eq!(
            matched(&changed, &batch, None),
            matched(&table(routes.clone(), Some(2)), &batch, None),
            "step {version}"
        );
    }
}

#[test]
fn scans_have_a_bound_and_the_error_names_the_route() {
    let routes: Vec<Route> = (0..2000)
        .map(|at| Route {
            name: format!("s{at}"),
            ..route(&format!("length(level) > {at}"), 0, true, Source::DeviceMessages)
        })
        .collect();
    let error = RouteTable::new(1, &routes, None, vec![Arc::new([])]).expect_err("too many scans");
    assert!(matches!(&error, TableError::ScansTooCostly { route, .. } if route == "s1999"), "{error}");
    assert!(error.to_string().contains("add an equality"), "{error}");
}

#[test]
fn a_path_says_how_a_filter_is_found() {
    let found = |text: &str| {
        let (filter, _) = Filter::compile(text, Dialect::Anabranch, &CompileOptions::default()).expect("valid");
        paths(&filter).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(found("device_id = 'a' AND temp > 30"), ["equality on $body.device_id, 1 check (cost 1)"]);
    assert_eq!(found("a = 1 OR subject LIKE 'x%'"), ["equality on $body.a", "prefix on subject"]);
    assert_eq!(found("NOT (a = 1)").len(), 1);
    assert!(found("NOT (a = 1)")[0].starts_with("scan, 1 check"));
    assert_eq!(found("true"), ["always"]);
    assert!(found("false").is_empty());
}
