//! Random tables of all dialects on random events and on foreign bytes as bodies, held to the interpreter.
#![no_main]

use engine::batch::{BatchBuilder, HeaderWriter};
use fastrand::Rng;
use libfuzzer_sys::fuzz_target;
use oracle::generate;
use oracle::routing::{RoutingRunner, table};

fuzz_target!(|input: (u64, Vec<Vec<u8>>)| {
    let (seed, bodies) = input;
    let mut rng = Rng::with_seed(seed);
    let routes = generate::routes(&mut rng, 20, 4);
    let table = table(1, &routes, Some(0), 4);
    let mut runner = RoutingRunner::default();
    let mut builder = BatchBuilder::new(0);
    for body in bodies.iter().take(64).filter(|body| body.len() < 4096) {
        builder.push(Some(b"d"), body, &HeaderWriter::default(), 0).expect("fits");
    }
    for batch in [Some(generate::batch(&mut rng, 40)), builder.seal()].into_iter().flatten() {
        runner.check(&table, &routes, &batch).unwrap_or_else(|reason| panic!("{reason}"));
    }
});
