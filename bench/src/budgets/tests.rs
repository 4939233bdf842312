//! What fails and what does not: counts, tolerances, files.

use super::counts::{CountsError, PerEvent, parse};
use super::file::Budgets;
use super::judge::{Fault, OTHER_TOOLS_PERCENT, SAME_TOOLS_PERCENT, Tolerance, judge};
use super::size::EVENTS;
use super::tools::Tools;

fn tools(rustc: &str) -> Tools {
    Tools { rustc: rustc.into(), valgrind: "valgrind-3.19.0".into(), libc: "glibc 2.36".into() }
}

fn per_event(entries: &[(&str, f64)]) -> PerEvent {
    entries.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn line(function: &str, instructions: u64) -> String {
    format!(
        "{{\"function_name\":\"{function}\",\"id\":\"known\",\"kind\":\"LibraryBenchmark\",\"profiles\":[{{\"tool\":\"Callgrind\",\
         \"data\":{{\"parts\":[],\"total\":{{\"metrics\":{{\"Ir\":{{\"values\":{{\"new\":{instructions}}}}}}},\"regressions\":[]}}}}}}]}}"
    )
}

#[test]
fn counts_are_per_event_and_by_function_and_input() {
    let text = format!("{}\n{}\n", line("extract", 3 * EVENTS as u64), line("route", EVENTS as u64 / 2));
    assert_eq!(parse(&text).expect("two cases"), per_event(&[("extract/known", 3.0), ("route/known", 0.5)]));
}

#[test]
fn counts_that_are_none_are_refused() {
    assert!(matches!(parse(""), Err(CountsError::Empty)));
    assert!(matches!(parse("{}"), Err(CountsError::Line(1, _))));
    let cut_off = line("extract", 1);
    let cut_off = format!("{}\n{}", line("route", 1), &cut_off[..cut_off.len() - 3]);
    assert!(matches!(parse(&cut_off), Err(CountsError::Line(2, _))));
    let twice = format!("{}\n{}", line("route", 1), line("route", 1));
    assert!(matches!(parse(&twice), Err(CountsError::Line(2, _))));
    let other_tool = line("route", 1).replace("Callgrind", "Dhat");
    assert!(matches!(parse(&other_tool), Err(CountsError::Line(1, _))));
}

#[test]
fn more_than_the_tolerance_fails_in_both_directions() {
    let budgets = per_event(&[("a", 1000.0)]);
    for (counted, fault) in [
        (1000.0, None),
        (1029.9, None),
        (970.1, None),
        (1030.1, Some(Fault::Slower)),
        (969.9, Some(Fault::Faster)),
        (2000.0, Some(Fault::Slower)),
        (0.0, Some(Fault::Faster)),
    ] {
        let verdict = judge(&budgets, &per_event(&[("a", counted)]), SAME_TOOLS_PERCENT);
        assert_eq!(verdict.0[0].fault, fault, "{counted}");
        assert_eq!(verdict.is_kept(), fault.is_none(), "{counted}");
    }
}

#[test]
fn a_function_without_a_budget_or_a_count_fails() {
    let verdict = judge(&per_event(&[("gone", 1.0), ("same", 1.0)]), &per_event(&[("new", 1.0), ("same", 1.0)]), 3.0);
    let faults: Vec<_> = verdict.0.iter().map(|line| (line.name.as_str(), line.fault)).collect();
    assert_eq!(faults, [("gone", Some(Fault::NotCounted)), ("new", Some(Fault::NoBudget)), ("same", None)]);
    assert!(!verdict.is_kept());
    for budget in [0.0, f64::NAN] {
        assert!(!judge(&per_event(&[("a", budget)]), &per_event(&[("a", 0.0)]), 3.0).is_kept(), "{budget}");
    }
}

#[test]
fn the_table_names_function_budget_count_and_percent() {
    let table = judge(&per_event(&[("route/one", 2000.0)]), &per_event(&[("route/one", 2100.0)]), 3.0).to_string();
    let line = table.lines().nth(1).expect("a line").split_whitespace().collect::<Vec<_>>();
    assert_eq!(line, ["route/one", "2000.0", "2100.0", "+5.00", "SLOWER"]);
}

#[test]
fn other_tools_widen_the_tolerance_and_are_named() {
    let same = Tolerance::of(&tools("rustc 1.95.0"), &tools("rustc 1.95.0"));
    assert_eq!((same.percent(), same.differences().len()), (SAME_TOOLS_PERCENT, 0));
    let other = Tolerance::of(&tools("rustc 1.95.0"), &tools("rustc 1.96.0"));
    assert_eq!(other.percent(), OTHER_TOOLS_PERCENT);
    assert!(other.differences()[0].contains("rustc 1.95.0") && other.differences()[0].contains("rustc 1.96.0"));
}

#[test]
fn budgets_are_read_as_they_were_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("budgets.toml");
    assert!(Budgets::read(&path).expect_err("none yet").is_missing());
    Budgets::new(tools("rustc 1.95.0"), per_event(&[("a/b", 12.3456)])).write(&path).expect("written");
    let read = Budgets::read(&path).expect("read");
    assert_eq!(read.counted_with, tools("rustc 1.95.0"));
    assert_eq!(read.instructions_per_event, per_event(&[("a/b", 12.3)]));
    std::fs::write(&path, "budget = 1").expect("written");
    assert!(!Budgets::read(&path).expect_err("malformed").is_missing());
}

#[test]
fn the_budgets_in_the_repository_can_be_read() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("budgets.toml");
    let budgets = Budgets::read(&path).expect("bench/budgets.toml");
    assert!(budgets.instructions_per_event.len() >= 10, "the eleven functions");
    assert!(budgets.instructions_per_event.values().all(|budget| budget.is_finite() && *budget > 0.0));
}
