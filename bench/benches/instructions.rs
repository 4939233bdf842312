//! Instructions of the eleven functions in `cases`, counted by valgrind: `bench/instructions.sh` runs it and holds the counts
//! against `bench/budgets.toml`.
//!
//! What always holds: only the run of a case is counted, not what prepares it, warms it up or drops it. The kernel is the one for AVX2,
//! which is the fastest that valgrind knows; the allocator is glibc's, which depends on nothing but the calls.

#![allow(
    missing_docs,
    reason = "the macros that make the harness write public functions, and nobody can depend on a benchmark"
)]

mod cases;

use std::hint::black_box;

use cases::{
    Case, CatchUp, Columns, Decode, Dispatched, EVENTS, Envelopes, Extract, Packed, ReadBack, Routed, Step, Submit,
    ready,
};
use engine::parse::Kernel;
use gungraun::prelude::*;

fn ready_to_count<C: Case>(make: fn() -> C) -> C {
    assert_eq!(Kernel::best(), Kernel::Avx2, "budgets are for the AVX2 kernel, and valgrind offers another one here");
    ready(make)
}

/// The case is given back, so that dropping it is not counted.
#[inline(always)]
fn count<C: Case>(mut case: C) -> (usize, C) {
    let done = black_box(&mut case).run();
    assert_eq!(done, EVENTS, "a run did another number of events");
    (done, case)
}

#[library_benchmark(setup = ready_to_count)]
#[bench::cloudevents(Decode::cloudevents)]
fn decode(case: Decode) -> (usize, Decode) {
    count(case)
}

#[library_benchmark(setup = ready_to_count)]
#[bench::keyed(Submit::keyed)]
fn submit(case: Submit) -> (usize, Submit) {
    count(case)
}

#[library_benchmark(setup = ready_to_count)]
#[bench::known(Extract::known)]
#[bench::unseen(Extract::unseen)]
#[bench::text(Extract::text)]
fn extract(case: Extract) -> (usize, Extract) {
    count(case)
}

#[library_benchmark(setup = ready_to_count)]
#[bench::one(Routed::one)]
#[bench::ten_thousand(Routed::ten_thousand)]
fn route(case: Routed) -> (usize, Routed) {
    count(case)
}

#[library_benchmark(setup = ready_to_count)]
#[bench::new_ids(Step::new_ids)]
fn step(case: Step) -> (usize, Step) {
    count(case)
}

#[library_benchmark(setup = ready_to_count)]
#[bench::stored(ReadBack::stored)]
fn read_back(case: ReadBack) -> (usize, ReadBack) {
    count(case)
}

#[library_benchmark(setup = ready_to_count)]
#[bench::one_in_ten(CatchUp::one_in_ten)]
fn catch_up(case: CatchUp) -> (usize, CatchUp) {
    count(case)
}

#[library_benchmark(setup = ready_to_count)]
#[bench::parquet(Columns::parquet)]
#[bench::one_by_one(Columns::one_by_one)]
fn columns(case: Columns) -> (usize, Columns) {
    count(case)
}

#[library_benchmark(setup = ready_to_count)]
#[bench::structured(Envelopes::structured)]
fn envelope(case: Envelopes) -> (usize, Envelopes) {
    count(case)
}

#[library_benchmark(setup = ready_to_count)]
#[bench::ordered(Dispatched::ordered)]
fn dispatch(case: Dispatched) -> (usize, Dispatched) {
    count(case)
}

#[library_benchmark(setup = ready_to_count)]
#[bench::nine_in_ten(Packed::nine_in_ten)]
fn pack(case: Packed) -> (usize, Packed) {
    count(case)
}

library_benchmark_group!(
    name = hot_path,
    benchmarks = [decode, submit, extract, route, step, read_back, catch_up, columns, envelope, dispatch, pack]
);

main!(library_benchmark_groups = hot_path);
