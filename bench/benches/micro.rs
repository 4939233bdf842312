//! `cargo bench -p bench`: time per event of the eleven functions in `cases`, by criterion, with the fastest kernel of the machine.
//!
//! For the eye, on a quiet machine: criterion says by how much a function differs from the last run. `-- --quick` is shorter, `--
//! NAME` picks cases, `-- --save-baseline NAME` and `-- --baseline NAME` compare two states of the code.
//!
//! What keeps a slow-down out is `bench/instructions.sh`: it counts the instructions of the same cases in valgrind, which no noise
//! touches, and holds them against `bench/budgets.toml`; `.ci/run` does so too.

#![allow(
    missing_docs,
    reason = "the macros that make the harness write public functions, and nobody can depend on a benchmark"
)]

mod cases;

use std::time::{Duration, Instant};

use cases::{
    Case, CatchUp, Columns, Decode, Dispatched, EVENTS, Envelopes, Extract, Packed, ReadBack, Routed, Step, Submit,
    ready,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Names are those of the budgets: function and input.
fn measure<C: Case>(criterion: &mut Criterion, function: &str, input: &str, make: impl Fn() -> C) {
    let mut group = criterion.benchmark_group(function);
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function(input, |bencher| {
        let mut case = ready(&make);
        bencher.iter_custom(|runs| {
            let mut took = Duration::ZERO;
            for _ in 0..runs {
                let began = Instant::now();
                let done = case.run();
                took += began.elapsed();
                assert_eq!(done, EVENTS, "a run did another number of events");
                case.prepare();
            }
            took
        });
    });
    group.finish();
}

fn all(criterion: &mut Criterion) {
    measure(criterion, "decode", "cloudevents", Decode::cloudevents);
    measure(criterion, "submit", "keyed", Submit::keyed);
    measure(criterion, "extract", "known", Extract::known);
    measure(criterion, "extract", "unseen", Extract::unseen);
    measure(criterion, "extract", "text", Extract::text);
    measure(criterion, "route", "one", Routed::one);
    measure(criterion, "route", "ten_thousand", Routed::ten_thousand);
    measure(criterion, "step", "new_ids", Step::new_ids);
    measure(criterion, "read_back", "stored", ReadBack::stored);
    measure(criterion, "catch_up", "one_in_ten", CatchUp::one_in_ten);
    measure(criterion, "columns", "parquet", Columns::parquet);
    measure(criterion, "columns", "one_by_one", Columns::one_by_one);
    measure(criterion, "envelope", "structured", Envelopes::structured);
    measure(criterion, "dispatch", "ordered", Dispatched::ordered);
    measure(criterion, "pack", "nine_in_ten", Packed::nine_in_ten);
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_millis(1500))
        .sample_size(50)
        .without_plots();
    targets = all
}
criterion_main!(benches);
